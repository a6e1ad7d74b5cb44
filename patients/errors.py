"""The one table of coded errors that people and clients meet, and the exception that carries them.

API (`application/problem+json`) and pages show the same sentence. `diagnosis/errors.py` adds the image codes.
May import: the standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """`status` is the HTTP status; `detail` is the sentence, with `{fields}` filled from the error's params."""

    status: int
    title: str
    detail: str


CODES: dict[str, ErrorCode] = {
    # who you are, what you may do
    "not_authenticated": ErrorCode(401, "Not signed in", "Sign in to continue."),
    "permission_denied": ErrorCode(403, "Not allowed", "Your role does not allow this. Ask your clinic administrator."),
    "mfa_required": ErrorCode(403, "Second factor needed", "Set up a second sign-in factor to continue."),
    "reauthentication_required": ErrorCode(
        403, "Sign in again", "Sign in again on the site to do this. A program with a token cannot."
    ),
    "csrf_failed": ErrorCode(403, "Page too old", "The page is too old. Reload it."),
    "rate_limited": ErrorCode(429, "Too many requests", "Too many requests. Wait {seconds} seconds and try again."),
    "account_locked": ErrorCode(429, "Too many attempts", "Too many sign-in attempts. Try again in 15 minutes."),
    "not_found": ErrorCode(404, "Not found", "There is nothing here, or you may not see it."),
    "method_not_allowed": ErrorCode(405, "Method not allowed", "This address does not accept {method}."),
    "not_acceptable": ErrorCode(406, "Not acceptable", "This address answers with JSON."),
    # what you sent
    "invalid_input": ErrorCode(400, "Check the form", "Some fields need attention."),
    "invalid_text": ErrorCode(
        400, "Invalid text", "{field}: contains characters that cannot be stored, or is too long."
    ),
    "invalid_date": ErrorCode(400, "Invalid date", "{field}: give a date that is not in the future, age at most 130."),
    "invalid_parameter": ErrorCode(400, "Invalid parameter", "{field}: allowed values are {allowed}."),
    "invalid_json": ErrorCode(400, "Invalid JSON", "The body is not JSON that can be read."),
    "unknown_field": ErrorCode(400, "Unknown field", "{field}: this field does not exist here."),
    "unsupported_body": ErrorCode(415, "Unsupported body", "Send {expected}."),
    "identifier_taken": ErrorCode(409, "Identifier in use", "{system} {value} already belongs to another patient."),
    "username_taken": ErrorCode(409, "Username in use", "Somebody has this username already. Choose another one."),
    "account_deactivated": ErrorCode(
        409, "Account deactivated", "The system administrator has deactivated this account. Ask them first."
    ),
    "link_refused": ErrorCode(
        409, "Link refused", "A new password link for this person comes from the system administrator."
    ),
    "patient_signed": ErrorCode(
        409, "Report signed", "A signed report names this patient, so name, birth and sex can no longer be changed."
    ),
    # what the patient agreed to
    "care_not_agreed": ErrorCode(
        409,
        "No consent to care",
        "No film is taken in: the patient's consent to care is not recorded, or was refused. Record it on the "
        "patient's page first.",
    ),
    "ai_not_agreed": ErrorCode(409, "No model answer", "No model answer: the patient did not agree to AI assistance."),
    "consent_changed": ErrorCode(
        409, "Consent changed", "A patient withdrew consent meanwhile. Nothing was written; begin again."
    ),
    "film_expired": ErrorCode(
        410,
        "Film expired",
        "The picture is no longer kept: it expired on {date}, by the rule “{rule}”. Results and reports are kept.",
    ),
    # uploads, before the picture is looked at
    "file_missing": ErrorCode(400, "No image", "No image was sent. Choose a file and try again."),
    "file_too_large": ErrorCode(413, "File too large", "The file is {size} MB; the limit is {limit} MB."),
    "length_mismatch": ErrorCode(400, "Upload cut off", "The upload was cut off. Send it again."),
    "content_encoding_unsupported": ErrorCode(415, "Compressed upload", "Compressed uploads are not accepted."),
    "too_many_files": ErrorCode(400, "Too many files", "Send one image at a time."),
    "checksum_mismatch": ErrorCode(422, "Checksum differs", "The file changed on the way. Send it again."),
    "patient_mismatch": ErrorCode(
        409,
        "Another patient",
        "The file says patient {file_says}; you selected {selected}. Choose the right patient, or add that number "
        "to this patient's identifiers.",
    ),
    "duplicate_of": ErrorCode(200, "Already sent", "Already sent on {date}; nothing was added."),
    "image_under_other_patient": ErrorCode(
        409, "Filed elsewhere", "Already filed under another patient. Ask the clinic administrator."
    ),
    "dicom_instance_conflict": ErrorCode(
        409, "DICOM instance exists", "This DICOM image was already sent with other content. Check the export."
    ),
    "accession_taken": ErrorCode(409, "Accession number in use", "This accession number belongs to another study."),
    "idempotency_key_required": ErrorCode(400, "Key missing", "Send an Idempotency-Key header with every upload."),
    "idempotency_key_reused": ErrorCode(422, "Key reused", "This Idempotency-Key was used for another request."),
    "idempotency_in_progress": ErrorCode(
        409, "In progress", "The same upload is still in progress. Try again shortly."
    ),
    # work
    "job_not_retriable": ErrorCode(409, "Cannot retry", "Only a failed or cancelled job can be tried again."),
    "job_not_cancellable": ErrorCode(409, "Cannot cancel", "Only a waiting or failed job can be cancelled."),
    "worker_lost": ErrorCode(500, "Worker lost", "The computer working on this film stopped three times. Try again."),
    "model_unavailable": ErrorCode(503, "No model", "No model is active. Ask the system administrator."),
    "image_integrity": ErrorCode(500, "Stored film damaged", "The stored film is damaged and was not analysed."),
    "result_refused": ErrorCode(500, "Result refused", "The result did not belong to this film and was refused."),
    "processing_delayed": ErrorCode(201, "Delayed", "Saved. Analysis may be late."),
    # us
    "storage_unavailable": ErrorCode(503, "Storage unavailable", "Nothing was saved. Try again in 30 s."),
    "temporarily_unavailable": ErrorCode(503, "Temporarily unavailable", "Nothing was saved. Try again in 30 s."),
    "internal_error": ErrorCode(
        500, "Something went wrong", "Something went wrong on our side. Reference {request_id}."
    ),
}


class _Blank(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return ""


def error_sentence(code: str, **params: object) -> str:
    """The sentence for `code`; fields that were not given become empty text."""
    return CODES[code].detail.format_map(_Blank(params))


class ApplicationError(Exception):
    """A refusal with a stable code. `fields` maps a form field to its own sentences, where there are any."""

    def __init__(self, code: str, *, fields: dict[str, list[str]] | None = None, **params: object) -> None:
        self.code = code
        self.params = params
        self.fields = fields or {}
        super().__init__(self.detail)

    @property
    def status(self) -> int:
        return CODES[self.code].status

    @property
    def detail(self) -> str:
        return error_sentence(self.code, **self.params)
