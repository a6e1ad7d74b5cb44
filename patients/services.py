"""Changes to patient records: register, correct, add and remove identifiers. Each leaves its audit in the same commit.

May import: Django, `patients.models`, `patients.access`, `patients.audit`, `patients.text`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from django.db import IntegrityError, transaction

from patients import access
from patients.access import Action
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.models import Clinic, Patient, PatientIdentifier, User
from patients.text import clean_abha, clean_identifier, clean_text, required_text, search_name

MAX_AGE_YEARS = 130
MAX_IDENTIFIERS = 20
#: What a signed report was written about; only the rest may change afterwards.
_ON_A_REPORT = frozenset({"name", "birth_date", "birth_year", "sex"})
_EDITABLE = _ON_A_REPORT | {"phone", "abha_number"}


@transaction.atomic
def patient_register(
    *,
    user: User,
    clinic: Clinic,
    name: str,
    birth_date: date | None = None,
    birth_year: int | None = None,
    sex: str = Patient.Sex.UNKNOWN,
    identifiers: Sequence[Mapping[str, str]] = (),
    phone: str = "",
    abha_number: str = "",
) -> Patient:
    """A new patient of the clinic. One of `birth_date` and `birth_year` is needed; `identifiers` are
    `{"system": …, "value": …}`, the system MRN where none is given.

    Raises `not_found` (a clinic the user does not belong to), `permission_denied`, `invalid_text`, `invalid_date`,
    `invalid_parameter`, `invalid_input` (something needed is missing) and `identifier_taken`.
    """
    _require_clinic(user, clinic)
    if len(identifiers) > MAX_IDENTIFIERS:
        raise ApplicationError("invalid_parameter", field="identifiers", allowed=f"at most {MAX_IDENTIFIERS} numbers")
    patient = Patient(clinic=clinic, created_by=user)
    values = {
        "name": name,
        "birth_date": birth_date,
        "birth_year": birth_year,
        "sex": sex,
        "phone": phone,
        "abha_number": abha_number,
    }
    _apply(patient, values)
    _store(patient)
    for each in identifiers:
        _identifier_store(patient, each)
    audit_record(user=user, verb="create", target=patient, clinic=clinic, patient=patient)
    return patient


@transaction.atomic
def patient_update(*, user: User, patient: Patient, **values: object) -> Patient:
    """Correct any of name, birth_date, birth_year, sex, phone, abha_number; what is not given stays.

    A birth year that disagrees with the stored date removes the date. The audit keeps both texts of each changed
    field; nothing is written when nothing changes. Raises as `patient_register`, and `patient_signed` for what
    stands on a signed report.
    """
    patient = _locked(user, patient)
    unknown = sorted(set(values) - _EDITABLE)
    if unknown:
        raise ApplicationError("unknown_field", field=unknown[0])
    before = _texts(patient)
    _apply(patient, values)
    changes = {field: [before[field], text] for field, text in _texts(patient).items() if text != before[field]}
    if not changes:
        return patient
    if _ON_A_REPORT & changes.keys() and _has_signed_report(patient):
        raise ApplicationError("patient_signed")
    _store(patient)
    audit_record(user=user, verb="update", target=patient, clinic=patient.clinic, patient=patient, changes=changes)
    return patient


@transaction.atomic
def identifier_add(*, user: User, patient: Patient, system: str, value: str) -> PatientIdentifier:
    """Another number by which the patient is known. Raises `identifier_taken` when a patient of the clinic has it."""
    patient = _locked(user, patient)
    if patient.identifiers.count() >= MAX_IDENTIFIERS:
        raise ApplicationError("invalid_parameter", field="identifiers", allowed=f"at most {MAX_IDENTIFIERS} numbers")
    identifier = _identifier_store(patient, {"system": system, "value": value})
    audit_record(
        user=user,
        verb="update",
        target=patient,
        clinic=patient.clinic,
        patient=patient,
        changes={"identifier": ["", str(identifier)]},
    )
    return identifier


@transaction.atomic
def identifier_remove(*, user: User, patient: Patient, identifier_id: int) -> None:
    """Take a wrong number off the record; the audit keeps it. Raises `not_found` when it is not this patient's."""
    patient = _locked(user, patient)
    identifier = patient.identifiers.filter(pk=identifier_id).first()
    if identifier is None:
        raise ApplicationError("not_found")
    audit_record(
        user=user,
        verb="update",
        target=patient,
        clinic=patient.clinic,
        patient=patient,
        changes={"identifier": [str(identifier), ""]},
    )
    identifier.delete()


def _require_clinic(user: User, clinic: Clinic) -> None:
    access.get_visible(Clinic.objects, user, pk=clinic.pk)
    access.require_at(user, Action.PATIENT_CREATE, clinic)


def _locked(user: User, patient: Patient) -> Patient:
    """The row as it is now, held until the commit, for a user who may edit it."""
    fresh = access.get_visible(
        Patient.objects.select_for_update(of=("self",)).select_related("clinic"), user, pk=patient.pk
    )
    access.require_at(user, Action.PATIENT_EDIT, fresh.clinic)
    return fresh


def _apply(patient: Patient, values: Mapping[str, object]) -> None:
    """Put checked values on the patient; `values` holds only what is to be set."""
    if "name" in values:
        patient.name = required_text(values["name"], field="name", limit=200)
        patient.search_name = search_name(patient.name)
    if "sex" in values:
        patient.sex = _sex(values["sex"])
    if "phone" in values:
        patient.phone = clean_text(values["phone"], field="phone", limit=32)
    if "abha_number" in values:
        patient.abha_number = clean_abha(values["abha_number"])
    if "birth_date" in values or "birth_year" in values:
        _apply_birth(patient, values)


def _apply_birth(patient: Patient, values: Mapping[str, object]) -> None:
    """A date carries its year; a year alone removes a date that disagrees, and a date given as None goes."""
    today = patient.clinic.today
    birth_date, birth_year = values.get("birth_date"), values.get("birth_year")
    year: object
    if birth_date is not None:
        if not isinstance(birth_date, date) or birth_date > today or birth_year not in (None, birth_date.year):
            raise ApplicationError("invalid_date", field="birth_date")
        patient.birth_date, year, field = birth_date, birth_date.year, "birth_date"
    else:
        year, field = birth_year if birth_year is not None else patient.birth_year, "birth_year"
        if "birth_date" in values or (patient.birth_date and patient.birth_date.year != year):
            patient.birth_date = None
    if year is None:
        raise ApplicationError("invalid_input", fields={"birth_year": ["Give the birth date or the birth year."]})
    if type(year) is not int or not today.year - MAX_AGE_YEARS <= year <= today.year:
        raise ApplicationError("invalid_date", field=field)
    patient.birth_year = year


def _sex(value: object) -> str:
    if value not in Patient.Sex.values:
        raise ApplicationError("invalid_parameter", field="sex", allowed=", ".join(Patient.Sex.values))
    return str(value)


def _store(patient: Patient) -> None:
    try:
        with transaction.atomic():
            patient.save()
    except IntegrityError as error:
        if not patient.abha_number:
            raise
        raise ApplicationError("identifier_taken", system="ABHA", value=patient.abha_number) from error


def _identifier_store(patient: Patient, identifier: Mapping[str, str]) -> PatientIdentifier:
    system, value = clean_identifier(identifier)
    try:
        with transaction.atomic():
            return PatientIdentifier.objects.create(patient=patient, clinic=patient.clinic, system=system, value=value)
    except IntegrityError as error:
        raise ApplicationError("identifier_taken", system=system, value=value) from error


def _has_signed_report(patient: Patient) -> bool:
    return Patient.objects.filter(pk=patient.pk, studies__reports__status__in=("final", "amended")).exists()


def _texts(patient: Patient) -> dict[str, str]:
    return {field: str(getattr(patient, field) or "") for field in sorted(_EDITABLE)}
