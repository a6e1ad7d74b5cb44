"""Registering and correcting patients: what is accepted, what is refused with which code, what the audit keeps."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from patients.errors import ApplicationError
from patients.models import AuditEvent, Patient, PatientIdentifier
from patients.services import identifier_add, identifier_remove, patient_register, patient_update
from tests import factories


@pytest.fixture
def register(user_for, clinic):
    def call(**values):
        return patient_register(**({"user": user_for("operator"), "clinic": clinic, "name": "Asha Verma",
                                    "birth_year": 1961} | values))  # fmt: skip

    return call


def refusal(call, *args, **kwargs) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        call(*args, **kwargs)
    return caught.value


def test_a_registered_patient_has_identifiers_and_an_audit_event(register, user_for, clinic):
    patient = register(
        identifiers=[{"system": "MRN", "value": "0017"}, {"value": "9RG1"}],
        birth_date=date(1961, 5, 3),
        sex="female",
        phone="+91 98765 43210",
    )
    stored = Patient.objects.get()
    assert (stored.name, stored.birth_year, stored.birth_date) == ("Asha Verma", 1961, date(1961, 5, 3))
    assert sorted(map(str, stored.identifiers.all())) == ["MRN 0017", "MRN 9RG1"]
    event = AuditEvent.objects.get()
    assert (event.verb, event.user, event.clinic, event.patient) == ("create", user_for("operator"), clinic, patient)


@pytest.mark.parametrize("role", ["radiologist", "doctor", "clinicadmin", "system"])
def test_only_operators_and_radiographers_register(register, user_for, role):
    assert refusal(register, user=user_for(role)).code == "permission_denied"
    assert not Patient.objects.exists()


def test_a_foreign_clinic_does_not_exist(register, other_clinic):
    assert refusal(register, clinic=other_clinic).code == "not_found"


@pytest.mark.parametrize(
    "name", ["آمنہ خان", "אסתר כהן", "आशा वर्मा", "ക്ഷേമ", "Nguyễn Thị Ánh", "李小龍", "O'Brien-Núñez"]
)
def test_names_of_every_script_are_kept(register, name):
    assert register(name=name).name == name


@pytest.mark.parametrize(
    "name",
    [
        "Asha\x00Verma",
        "Asha\ud800Verma",
        "Asha\r\nVerma",
        "Asha\nVerma",
        "Asha\tVerma",
        "Asha\x1b[31mVerma",
        "\u202eamreV ahsA",
        "Asha\u2067Verma\u2069",
        "Asha\u200fVerma",
        "Asha\u2028Verma",
        "A" * 201,
        "A" * 1_000_000,
    ],
)
def test_text_that_cannot_be_a_name_is_refused(register, name):
    error = refusal(register, name=name)
    assert (error.code, error.params["field"]) == ("invalid_text", "name")
    assert not Patient.objects.exists()


@pytest.mark.parametrize("name", ["", "   "])
def test_a_name_is_needed(register, name):
    error = refusal(register, name=name)
    assert (error.code, list(error.fields)) == ("invalid_input", ["name"])


@pytest.mark.parametrize(
    "birth",
    [
        {"birth_year": 1800},
        {"birth_year": 2999},
        {"birth_year": 10**12},
        {"birth_year": "1961"},
        {"birth_year": True},
        {"birth_year": None, "birth_date": date(2999, 1, 1)},
        {"birth_year": None, "birth_date": date(1800, 1, 1)},
        {"birth_year": 1961, "birth_date": date(1962, 1, 1)},
    ],
)
def test_impossible_births_are_refused(register, birth):
    assert refusal(register, **birth).code == "invalid_date"


def test_a_birth_date_or_year_is_needed(register):
    assert list(refusal(register, birth_year=None).fields) == ["birth_year"]


def test_today_is_the_date_at_the_clinic(register, clinic, time_machine_at):
    clinic.time_zone = "Asia/Kolkata"
    time_machine_at(datetime(2026, 3, 1, 20, 0, tzinfo=UTC))
    assert register(birth_year=None, birth_date=date(2026, 3, 2)).birth_date == date(2026, 3, 2)
    assert refusal(register, birth_year=None, birth_date=date(2026, 3, 3)).code == "invalid_date"


@pytest.mark.parametrize("number", ["91-2345-6789-0123", "91 2345 6789 0123", "91234567890123"])
def test_an_abha_number_is_kept_as_printed_on_the_card(register, number):
    assert register(abha_number=number).abha_number == "91-2345-6789-0123"


@pytest.mark.parametrize("number", ["123", "91-2345-6789-01234", "abcdefghijklmn", "९१२३४५६७८९०१२३"])
def test_other_abha_numbers_are_refused(register, number):
    error = refusal(register, abha_number=number)
    assert (error.code, error.params["field"]) == ("invalid_parameter", "abha_number")


def test_an_abha_number_belongs_to_one_patient_of_a_clinic(register):
    register(abha_number="91234567890123")
    assert refusal(register, name="Someone Else", abha_number="91-2345-6789-0123").code == "identifier_taken"


def test_an_unknown_sex_is_refused_with_the_allowed_words(register):
    assert "female" in refusal(register, sex="f").detail


@pytest.mark.parametrize("value", ["0017", "ab1", "AB1"])
def test_an_identifier_belongs_to_one_patient_of_a_clinic(register, value):
    register(identifiers=[{"system": "MRN", "value": "0017"}, {"system": "MRN", "value": "aB1"}])
    error = refusal(register, name="Someone Else", identifiers=[{"system": "mrn", "value": value}])
    assert error.code == "identifier_taken"
    assert Patient.objects.count() == 1
    assert AuditEvent.objects.count() == 1


def test_another_clinic_may_use_the_same_identifier(register, user_for, other_clinic):
    register(identifiers=[{"system": "MRN", "value": "0017"}])
    register(user=user_for("operator", other_clinic), clinic=other_clinic, identifiers=[{"value": "0017"}])
    assert PatientIdentifier.objects.filter(value="0017").count() == 2


@pytest.mark.parametrize(
    ("value", "code"), [("", "invalid_input"), ("0\x001", "invalid_text"), ("9" * 65, "invalid_text")]
)
def test_identifiers_obey_the_text_rules(register, value, code):
    assert refusal(register, identifiers=[{"system": "MRN", "value": value}]).code == code


def test_an_endless_list_of_identifiers_is_refused(register):
    many = [{"system": "MRN", "value": str(number)} for number in range(21)]
    assert refusal(register, identifiers=many).code == "invalid_parameter"


def test_a_correction_keeps_before_and_after(user_for, patient):
    patient_update(user=user_for("radiographer"), patient=patient, name="Asha Sharma", birth_year=1962)
    patient.refresh_from_db()
    assert (patient.name, patient.search_name, patient.birth_year) == ("Asha Sharma", "asha sharma", 1962)
    event = AuditEvent.objects.get()
    assert event.verb == "update"
    assert event.changes == {"name": ["Asha Verma", "Asha Sharma"], "birth_year": ["1961", "1962"]}


def test_a_correction_that_changes_nothing_writes_nothing(user_for, patient):
    patient_update(user=user_for("operator"), patient=patient, name=" Asha  Verma ")
    assert not AuditEvent.objects.exists()


def test_a_new_birth_year_removes_a_date_that_disagrees(user_for, clinic):
    patient = factories.patient_make(clinic, birth_date=date(1961, 5, 3))
    updated = patient_update(user=user_for("operator"), patient=patient, birth_year=1962)
    assert (updated.birth_date, updated.birth_year) == (None, 1962)


def test_the_same_birth_year_keeps_the_date(user_for, clinic):
    patient = factories.patient_make(clinic, birth_date=date(1961, 5, 3))
    assert patient_update(user=user_for("operator"), patient=patient, birth_year=1961).birth_date == date(1961, 5, 3)


def test_a_date_can_be_taken_back_and_leaves_its_year(user_for, clinic):
    patient = factories.patient_make(clinic, birth_date=date(1961, 5, 3))
    updated = patient_update(user=user_for("operator"), patient=patient, birth_date=None)
    assert (updated.birth_date, updated.birth_year) == (None, 1961)


def test_an_unknown_field_is_refused(user_for, patient):
    assert refusal(patient_update, user=user_for("operator"), patient=patient, clinic="x").code == "unknown_field"


@pytest.mark.parametrize(("role", "code"), [("radiologist", "permission_denied"), ("clinicadmin", "not_found"),
                                            ("doctor", "not_found"), ("system", "not_found")])  # fmt: skip
def test_others_may_not_correct(user_for, patient, role, code):
    assert refusal(patient_update, user=user_for(role), patient=patient, name="X").code == code
    assert refusal(identifier_add, user=user_for(role), patient=patient, system="MRN", value="1").code == code


def test_a_foreign_patient_cannot_be_corrected(user_for, foreign_patient):
    assert refusal(patient_update, user=user_for("operator"), patient=foreign_patient, name="X").code == "not_found"


def test_what_stands_on_a_signed_report_stays(user_for, patient):
    factories.report_make(factories.study_make(patient), user_for("radiologist"))
    assert refusal(patient_update, user=user_for("operator"), patient=patient, name="X").code == "patient_signed"
    assert patient_update(user=user_for("operator"), patient=patient, phone="12345").phone == "12345"


def test_identifiers_come_and_go_with_their_audit(user_for, patient):
    identifier = identifier_add(user=user_for("operator"), patient=patient, system="DICOM", value="9RG1")
    identifier_remove(user=user_for("operator"), patient=patient, identifier_id=identifier.pk)
    assert [str(each) for each in patient.identifiers.all()] == ["MRN 0017"]
    assert [event.changes["identifier"] for event in AuditEvent.objects.order_by("id")] == [
        ["", "DICOM 9RG1"],
        ["DICOM 9RG1", ""],
    ]


def test_an_identifier_of_another_patient_cannot_be_removed(user_for, clinic, patient):
    other = factories.patient_make(clinic, mrn="0099")
    call = dict(user=user_for("operator"), patient=patient, identifier_id=other.identifiers.get().pk)
    assert refusal(identifier_remove, **call).code == "not_found"
    assert other.identifiers.exists()


def test_nothing_is_registered_when_the_audit_cannot_be_written(register, audit_down):
    assert refusal(register).code == "temporarily_unavailable"
    assert not Patient.objects.exists()
