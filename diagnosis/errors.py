"""Joins the codes of images (from `mlcore`) and of models to the one table of coded errors, with their HTTP status.

May import: `patients.errors`, `mlcore.contracts`.
"""

from __future__ import annotations

from mlcore.contracts import IMAGE_CODES
from patients.errors import CODES, ErrorCode

_STATUS = {"file_empty": 400, "unsupported_media_type": 415, "type_mismatch": 415}
_WARNINGS = {
    "trailing_data_removed",
    "low_resolution",
    "quality_low_contrast",
    "quality_inverted",
    "quality_cropped",
    "quality_unusual",
}

for _code, _sentence in IMAGE_CODES.items():
    _status = 201 if _code in _WARNINGS else _STATUS.get(_code, 422)
    CODES[_code] = ErrorCode(_status, _code.replace("_", " ").capitalize(), _sentence)

CODES |= {
    "malware_detected": ErrorCode(
        422,
        "Malware found",
        "Refused by the virus scanner. Do not send it again; tell whoever looks after the computer it came from.",
    ),
    "model_active": ErrorCode(
        409, "Model is active", "The active version cannot be put on trial. Activate another version first."
    ),
    "model_not_usable": ErrorCode(
        409, "Model cannot be used", "{model} cannot be used: {reason}. Register its folder again."
    ),
    "approval_asked": ErrorCode(
        409, "Asked for already", "{who} has asked for {model} already. Another system administrator decides on it."
    ),
    "approval_not_asked": ErrorCode(409, "Nothing to decide", "Nobody has asked for {model}. Ask for it first."),
    "approval_same_person": ErrorCode(
        409, "Second person needed", "You asked for {model} yourself. Another system administrator has to approve it."
    ),
    "approval_unnamed": ErrorCode(
        409,
        "Two people needed",
        "An activation is asked for and approved by two system administrators. Say who you are.",
    ),
    "approval_void": ErrorCode(
        409, "Files changed", "The files of {model} changed after {who} had asked. Look at them and ask again."
    ),
    "approval_needed": ErrorCode(
        409,
        "Second person needed",
        "These files of {model} were never approved by two people. Ask for its activation instead.",
    ),
    # thresholds of a clinic
    "threshold_asked": ErrorCode(
        409, "Proposed already", "{who} has proposed a threshold for {label} already. Decide on that one first."
    ),
    "threshold_not_asked": ErrorCode(
        409, "Nothing to decide", "This proposal is closed: it was decided on, or another step followed it."
    ),
    "threshold_same_person": ErrorCode(
        409, "Second person needed", "You proposed this threshold yourself. Another radiologist has to approve it."
    ),
    "threshold_too_few": ErrorCode(
        409,
        "Too few cases",
        "{label} has {positives} signed cases with and {negatives} without it here; {needed} of each are needed.",
    ),
    "threshold_reason_missing": ErrorCode(409, "Reason missing", "Say why this threshold, in a few words."),
    "threshold_not_own": ErrorCode(
        409, "Nothing to take back", "For {label} the threshold of the card applies here already."
    ),
    "no_model_before": ErrorCode(409, "Nothing to go back to", "No other version was active before this one."),
    "reading_claimed": ErrorCode(
        409, "Being read", "{who} has been reading this study since {since}. Talk to them before you take it over."
    ),
    "reading_closed": ErrorCode(409, "Already read", "A report of this study is signed. There is nothing to claim."),
    # reports
    "stale_page": ErrorCode(
        412, "Changed meanwhile", "Somebody changed this report since you opened it. Nothing was saved; open it again."
    ),
    "version_required": ErrorCode(
        428, "Version missing", "Say which version you change: send the report's version as If-Match."
    ),
    "report_signed": ErrorCode(409, "Report signed", "This report is signed and cannot be changed. Amend it instead."),
    "report_not_signed": ErrorCode(409, "Not signed", "Only a signed report can be amended; this one can be changed."),
    "report_amended": ErrorCode(
        409, "Amended already", "This report is amended already, or an amendment of it is being written."
    ),
    "reason_missing": ErrorCode(409, "Reason missing", "Say why the report is amended."),
    "decision_missing": ErrorCode(
        409, "Findings undecided", "Accept or reject what the model reports first: {findings}."
    ),
    "impression_missing": ErrorCode(409, "No impression", "A report needs an impression."),
    "registration_missing": ErrorCode(
        409,
        "Registration number missing",
        "Only a registered doctor signs. The clinic administrator enters your registration number under People.",
    ),
    "finding_unknown": ErrorCode(
        422, "Unknown finding", "{label} is neither a finding that the model reports here nor one that can be added."
    ),
    # reports taken out as a table
    "export_reason_missing": ErrorCode(
        409, "Reason missing", "Say what the export is for, in a sentence of {least} letters or more."
    ),
    "export_limit": ErrorCode(
        409,
        "Enough for now",
        "You have taken out {limit} exports within 24 hours, the most that one person may. The next one can go out on "
        "{again}.",
    ),
    "export_empty": ErrorCode(
        409, "Nothing to take out", "No report that was signed on these days fits. Nothing was taken out."
    ),
    "export_too_many": ErrorCode(
        409,
        "Too many studies",
        "{count} studies fit, and {limit} at most go out at once. Choose fewer days, or one finding.",
    ),
    # critical findings
    "alert_acknowledged": ErrorCode(409, "Acknowledged already", "{who} has acknowledged this finding already."),
    "alert_void": ErrorCode(
        409,
        "Withdrawn",
        "The radiologist has withdrawn this finding; there is nothing to acknowledge. Read the report.",
    ),
    "action_missing": ErrorCode(409, "Say what was done", "Say in a few words what was done, or who was told."),
    # a study under the wrong patient
    "move_unknown_patient": ErrorCode(
        409, "Number not found", "{number} is the number of no patient of this clinic, or of several."
    ),
    "move_same_patient": ErrorCode(409, "The same patient", "The study is under this patient already."),
    "move_reason_missing": ErrorCode(409, "Reason missing", "Say why these films are of another patient."),
    "move_asked": ErrorCode(409, "Asked already", "{who} has asked already; a second person decides first."),
    "move_decided": ErrorCode(409, "Decided already", "{who} has decided this already."),
    "move_same_person": ErrorCode(409, "Second person needed", "You asked for it yourself. Somebody else decides."),
    "move_report_signed": ErrorCode(
        409,
        "Report signed",
        "The signed report names this patient, so the study stays. The radiologist amends the report to say whose "
        "films they are, and the films are sent again under the right patient.",
    ),
    "move_waits": ErrorCode(
        409,
        "Not sure whose",
        "Somebody says that these films are of another patient or study. Let that be decided first.",
    ),
    # one examination that was sent as two studies
    "study_merged": ErrorCode(409, "Part of another study", "The films of this study are of study {study} now."),
    "merge_same_study": ErrorCode(409, "The same study", "Choose another study than this one."),
    "merge_other_patient": ErrorCode(
        409, "Of another patient", "The other study is of another patient. Move this one to that patient first."
    ),
    "merge_report_begun": ErrorCode(
        409,
        "Report begun",
        "A report speaks of the films of this study, so they stay. A draft can be discarded by its writer.",
    ),
    "merge_hides": ErrorCode(
        409,
        "Somebody would no longer see them",
        "The doctor or the program that follows this study is not named in the other one, and would lose its films.",
    ),
    "merge_reason_missing": ErrorCode(409, "Reason missing", "Say why the two studies are one examination."),
    # pictures that go before their time
    "removal_asked": ErrorCode(409, "Asked already", "The removal of this study's pictures is asked already."),
    "removal_decided": ErrorCode(409, "Decided already", "This was decided or withdrawn already."),
    "removal_same_person": ErrorCode(409, "Second person needed", "You asked for it yourself. Somebody else decides."),
    "removal_kept": ErrorCode(409, "Kept", "The pictures of this study are kept: {reason}."),
    "removal_gone": ErrorCode(409, "Nothing to remove", "This study has no picture any more."),
    "removal_reason_missing": ErrorCode(409, "Reason missing", "Say why the pictures have to go."),
    # second look
    "second_look_signer": ErrorCode(
        409, "Another reader", "You signed a report of this study. Somebody else has to take the second look."
    ),
    "second_look_done": ErrorCode(409, "Looked at already", "{who} has taken the second look already."),
    "finding_present": ErrorCode(
        409, "Not normal", "You said that a finding is there, so the text of a normal report is not written."
    ),
    "clinic_told": ErrorCode(
        409, "Clinic told", "The clinic was told of a critical finding in this report. Correct the report instead."
    ),
    "text_edited": ErrorCode(409, "Text edited", "You have written a text of your own. Empty it first."),
    "text_not_printable": ErrorCode(
        422, "Cannot be printed", "The paper's font cannot print these letters: {letters}. Write them otherwise."
    ),
    "first_impression_needed": ErrorCode(
        409, "Read first", "Save your own first impression; the model's answer is shown afterwards."
    ),
}
