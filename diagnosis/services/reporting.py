"""Service 5: a report from the first word to the signature, and its amendment.

Every change of a draft names the version it was made from and is refused when another came first. Each change leaves
its audit in the same commit. Whether the person has signed in a moment ago is asked by the callers
(`patients.stepup`), for only a request can tell.
May import: `diagnosis.models`, `.reports`, `.sentences`, `.services.alerts`,
`.services.merging`, `.services.moves`, `.services.second_look`, `patients`.
"""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.utils import timezone

from diagnosis.models import CriticalAlert, FirstImpression, Report, ReportedFinding, Study
from diagnosis.querysets import SIGNED, reads_first
from diagnosis.reports import Answer, addable, answers_read, prior_read, report_draft, wording_of
from diagnosis.services.alerts import alerts_follow
from diagnosis.services.merging import require_not_merged
from diagnosis.services.moves import require_patient_sure
from diagnosis.services.second_look import discordances_follow
from patients import access
from patients.access import Action
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.models import Clinic, Role, User
from patients.text import clean_lines, clean_text

FINDINGS_LIMIT, IMPRESSION_LIMIT, REASON_LIMIT = 10_000, 2_000, 500
Verdict, Status = ReportedFinding.Verdict, Report.Status
LIVE = (Status.DRAFT, Status.PRELIMINARY)


@transaction.atomic
def first_impression_save(*, user: User, study: Study, text: str) -> FirstImpression:
    """Keep what the reader thinks before the model's answer is shown to them; the first one stays, and it begins the
    draft's impression. Answers with the one that is kept. Raises `permission_denied`, `impression_missing`,
    `invalid_text`."""
    access.require_at(user, Action.REPORT_WRITE, study.clinic)
    text = clean_lines(text, field="impression", limit=IMPRESSION_LIMIT)
    if not text:
        raise ApplicationError("impression_missing")
    kept, first = FirstImpression.objects.get_or_create(study=study, reader=user, defaults={"text": text})
    if not first:
        return kept
    audit_record(user=user, verb="first_impression", target=study, clinic=study.clinic, patient=study.patient)
    if not study.reports.filter(status__in=SIGNED).exists():
        report = _locked(user, draft_open(user=user, study=study))
        if not report.impression:
            report.impression = text
            _store(user, report, "update")
    return kept


@transaction.atomic
def draft_open(*, user: User, study: Study) -> Report:
    """The study's live draft, begun if there is none. Raises `permission_denied`, `first_impression_needed` (read-first
    mode), `report_signed` where only an amendment can follow, and `study_merged`."""
    access.require_at(user, Action.REPORT_WRITE, study.clinic)
    _require_first_impression(user, study)
    live = Report.objects.visible_to(user).filter(study=study, status__in=LIVE)
    report = live.first()
    if report is None:
        if study.reports.filter(status__in=SIGNED).exists():
            raise ApplicationError("report_signed")
        require_not_merged(study)
        try:
            with transaction.atomic():
                report = Report.objects.create(study=study, author=user)
        except IntegrityError:  # somebody opened it at the same moment
            return live.get()
        audit_record(user=user, verb="create", target=report, clinic=study.clinic, patient=study.patient)
    return report


@transaction.atomic
def draft_save(
    *, user: User, report: Report, version: int, findings_text: str | None = None, impression: str | None = None
) -> Report:
    """Keep what was typed; None leaves a text as it is, and nothing is written when nothing changed.

    Raises `not_found`, `permission_denied`, `report_signed`, `stale_page`, `first_impression_needed`, `invalid_text`.
    """
    report = _writable(user, report, version)
    texts = {
        "findings_text": (findings_text, FINDINGS_LIMIT),
        "impression": (impression, IMPRESSION_LIMIT),
    }
    before = {field: getattr(report, field) for field in texts}
    for field, (text, limit) in texts.items():
        if text is not None:
            setattr(report, field, clean_lines(text, field=field, limit=limit))
    if any(getattr(report, field) != text for field, text in before.items()):
        _store(user, report, "update")
    return report


@transaction.atomic
def finding_decide(*, user: User, report: Report, version: int, label: str, verdict: str, reason: str = "") -> Report:
    """The reader's word about one label: accept or reject (with a reason) what the model reports, add what it does not;
    an empty verdict takes the decision back. An unedited findings text is drafted anew; an edited one is left alone.

    Raises as `draft_save`, and `finding_unknown`, `invalid_parameter` (verdict or reason).
    """
    report = _writable(user, report, version)
    answers = answers_read(user=user, study=report.study, report=report)
    answer = next((each for each in answers if each.label == label), None)
    _check_decision(answers, answer, label, verdict, reason)
    if verdict:
        said = {
            "verdict": verdict,
            "reason": reason,
            "finding": answer.finding if answer else None,
            "decided_by": user,
            "decided_at": timezone.now(),
        }
        ReportedFinding.objects.update_or_create(report=report, label=label, defaults=said)
    else:
        ReportedFinding.objects.filter(report=report, label=label).delete()
    _redraft(user, report)
    _store(user, report, "decide")
    if report.status == Status.PRELIMINARY:  # it is relied on already
        alerts_follow(user=user, report=report)
    return report


@transaction.atomic
def draft_again(*, user: User, report: Report, version: int) -> Report:
    """Replace the findings text by what the decisions say, edited or not. Raises as `draft_save`."""
    report = _writable(user, report, version)
    _redraft(user, report, edited_too=True)
    _store(user, report, "update")
    return report


@transaction.atomic
def draft_normal(*, user: User, report: Report, version: int) -> Report:
    """Write the clinic's text of a normal report, in place of a text that nobody edited. Raises as `draft_save`, and
    `finding_present` where the reader says that something is there, `text_edited`."""
    report = _writable(user, report, version)
    if any(each.is_present for each in answers_read(user=user, study=report.study, report=report)):
        raise ApplicationError("finding_present")
    if report.findings_text not in ("", report.drafted_text):
        raise ApplicationError("text_edited")
    report.findings_text = report.drafted_text = wording_of(report.study.clinic).normal
    _store(user, report, "update")
    return report


@transaction.atomic
def report_preliminary(*, user: User, report: Report, version: int) -> Report:
    """Say that the report can be relied on for now; it can still be changed. Its critical findings alert the clinic at
    once. Raises as `draft_save`, and
    `impression_missing`, `move_waits`."""
    report = _writable(user, report, version)
    require_patient_sure(report.study)
    _require_impression(report)
    report.status, report.preliminary_at = Status.PRELIMINARY, report.preliminary_at or timezone.now()
    _store(user, report, "preliminary")
    alerts_follow(user=user, report=report)
    return report


@transaction.atomic
def report_sign(*, user: User, report: Report, version: int) -> Report:
    """Sign for good, with the signer's registration number; of two at once one does. What the model reported needs a
    decision each; what it did not report and nobody added is noted as absent, so that agreement can be counted.

    Raises as `draft_save`, and `registration_missing`, `impression_missing`, `decision_missing`, `move_waits`.
    """
    report = _writable(user, report, version)
    access.require_at(user, Action.REPORT_SIGN, report.study.clinic)
    require_patient_sure(report.study)
    registration_number = registration_number_of(user, report.study.clinic)
    if not registration_number:
        raise ApplicationError("registration_missing")
    _require_impression(report)
    answers = answers_read(user=user, study=report.study, report=report)
    undecided = [each.title for each in answers if (each.is_positive or each.decision) and not each.is_decided]
    if undecided:
        raise ApplicationError("decision_missing", findings=", ".join(undecided))
    now = timezone.now()
    ReportedFinding.objects.bulk_create(
        ReportedFinding(
            report=report,
            label=each.label,
            verdict=Verdict.ABSENT,
            finding=each.finding,
            decided_by=user,
            decided_at=now,
        )
        for each in answers
        if not each.decision
    )
    report.status = Status.AMENDED if report.supersedes_id else Status.FINAL
    report.signed_by, report.signed_at, report.registration_number = user, now, registration_number
    _store(user, report, "sign")
    alerts_follow(user=user, report=report)
    discordances_follow(user=user, report=report)
    return report


@transaction.atomic
def report_amend(*, user: User, report: Report, reason: str) -> Report:
    """Begin an amendment: a draft that starts from the signed report and supersedes it once it is signed itself.

    Raises `not_found`, `permission_denied`, `report_not_signed`, `report_amended`, `reason_missing`, `invalid_text`.
    """
    report = _locked(user, report)
    reason = clean_text(reason, field="reason", limit=REASON_LIMIT)
    if not report.is_signed:
        raise ApplicationError("report_not_signed")
    if not reason:
        raise ApplicationError("reason_missing")
    copied = ("study", "findings_text", "drafted_text", "impression")
    try:
        with transaction.atomic():
            amendment = Report.objects.create(
                author=user,
                supersedes=report,
                amendment_reason=reason,
                **{field: getattr(report, field) for field in copied},
            )
    except IntegrityError as error:
        raise ApplicationError("report_amended") from error
    kept = ReportedFinding.objects.filter(report=report).exclude(verdict=Verdict.ABSENT)
    for decision in kept:
        decision.pk, decision.report = None, amendment
    ReportedFinding.objects.bulk_create(kept)
    study = report.study
    audit_record(user=user, verb="amend", target=amendment, clinic=study.clinic, patient=study.patient, reason=reason)
    return amendment


@transaction.atomic
def draft_discard(*, user: User, report: Report, version: int) -> None:
    """Take away a draft or amendment that was begun by mistake, with its decisions. Their history and the audit keep
    all of it; a first impression stays as it was saved. Raises as `draft_save`, and `clinic_told` where a critical
    finding of it was told to the clinic: that is taken back by correcting the report, not by making it disappear."""
    report = _writable(user, report, version)
    if CriticalAlert.objects.filter(report=report).exists():
        raise ApplicationError("clinic_told")
    study = report.study
    audit_record(user=user, verb="discard", target=report, clinic=study.clinic, patient=study.patient)
    report.decisions.all().delete()
    report.delete()


def registration_number_of(user: User, clinic: Clinic) -> str:
    """The number with which the user signs at this clinic now; empty where none is known."""
    held = access.rights_of(user).memberships
    signing = (each for each in held if each.clinic_id == clinic.pk and each.role == Role.RADIOLOGIST)
    return next((each.registration_number for each in signing), "")


def _locked(user: User, report: Report) -> Report:
    """The report as it is now, held until the commit, for a user who writes reports at its clinic."""
    reports = Report.objects.select_for_update(of=("self",)).select_related("study__clinic", "study__patient")
    fresh: Report = access.get_visible(reports, user, pk=report.pk)
    access.require_at(user, Action.REPORT_WRITE, fresh.study.clinic)
    return fresh


def _writable(user: User, report: Report, version: int) -> Report:
    report = _locked(user, report)
    if report.is_signed:
        raise ApplicationError("report_signed")
    if report.version != version:
        raise ApplicationError("stale_page")
    _require_first_impression(user, report.study)
    return report


def _store(user: User, report: Report, verb: str) -> None:
    report.version += 1
    report.save()
    study = report.study
    audit_record(user=user, verb=verb, target=report, clinic=study.clinic, patient=study.patient)


def _redraft(user: User, report: Report, *, edited_too: bool = False) -> None:
    edited = report.findings_text != report.drafted_text
    answers = answers_read(user=user, study=report.study, report=report)
    prior, wording = prior_read(user=user, study=report.study), wording_of(report.study.clinic)
    report.drafted_text = report_draft(answers, prior, wording)
    if edited_too or not edited:
        report.findings_text = report.drafted_text


def _check_decision(answers: list[Answer], answer: Answer | None, label: str, verdict: str, reason: str) -> None:
    """Accept and reject what the model reports, add what it does not, take back what was decided."""
    positive = answer is not None and answer.is_positive
    if answer is None and label not in dict(addable(answers)):
        raise ApplicationError("finding_unknown", label=label)
    allowed = (Verdict.ACCEPTED, Verdict.REJECTED) if positive else (Verdict.ADDED,)
    if verdict and verdict not in allowed:
        raise ApplicationError("invalid_parameter", field="verdict", allowed=", ".join(allowed))
    if (verdict == Verdict.REJECTED) != bool(reason) or (reason and reason not in ReportedFinding.Reason.values):
        reasons = ", ".join(ReportedFinding.Reason.values)
        raise ApplicationError("invalid_parameter", field="reason", allowed=f"of a rejected finding {reasons}")


def _require_impression(report: Report) -> None:
    if not report.impression.strip():
        raise ApplicationError("impression_missing")


def _require_first_impression(user: User, study: Study) -> None:
    if Study.objects.filter(reads_first(user), pk=study.pk).exists():
        raise ApplicationError("first_impression_needed")
