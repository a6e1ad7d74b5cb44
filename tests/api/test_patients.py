"""`/patients/`: register, search, correct, compare; what is refused, what is recorded, what stays hidden."""

from __future__ import annotations

import pytest
from django.utils import timezone

from patients.models import AuditEvent, Patient
from tests import factories as make
from tests.api.problems import assert_problem

pytestmark = pytest.mark.django_db

URL = "/api/v1/patients/"
NEW = {
    "name": "Chandra Rao",
    "birth_date": "1950-02-03",
    "sex": "female",
    "identifiers": [{"system": "MRN", "value": "0099"}],
}


def _post(client, body, url=URL):
    return client.post(url, body, format="json")


def test_a_patient_is_registered_and_can_be_read(api_for, clinic):
    client = api_for("operator")
    response = _post(client, NEW)
    assert response.status_code == 201
    body = response.json()
    assert response.headers["Location"] == f"{URL}{body['id']}/"
    assert (body["clinic"], body["birth_year"]) == (str(clinic.pk), 1950)
    assert body["identifiers"] == [{"system": "MRN", "value": "0099"}]
    assert client.get(f"{URL}{body['id']}/").json() == body


def test_a_birth_year_is_enough(api_for):
    response = _post(api_for("operator"), {"name": "Chandra Rao", "birth_year": 1950})
    assert response.status_code == 201
    assert (response.json()["birth_date"], response.json()["sex"]) == (None, "unknown")


@pytest.mark.parametrize("role", ["radiologist", "doctor", "clinicadmin", "system"])
def test_who_may_not_register_patients_is_told_so_before_the_body_is_read(role, api_for):
    assert_problem(_post(api_for(role), {"nonsense": 1}), "permission_denied")


def test_who_registers_at_several_clinics_names_one(api_for, user_for, other_clinic):
    make.membership_make(user_for("operator"), other_clinic, "operator")
    client = api_for("operator")
    assert assert_problem(_post(client, NEW), "invalid_input")["errors"] == {"clinic": ["This field is required."]}
    response = _post(client, NEW | {"clinic": str(other_clinic.pk)})
    assert response.json()["clinic"] == str(other_clinic.pk)


@pytest.mark.parametrize("given", ["foreign", "00000000-0000-0000-0000-000000000000", "x", "\0", "1" * 300])
def test_a_foreign_unknown_or_malformed_clinic_is_not_found(given, api_for, other_clinic):
    clinic = str(other_clinic.pk) if given == "foreign" else given
    assert_problem(_post(api_for("operator"), NEW | {"clinic": clinic}), "not_found")


def test_an_identifier_in_use_is_refused_and_nothing_is_registered(api_for, patient):
    taken = NEW | {"identifiers": [{"value": "0017"}]}
    assert_problem(_post(api_for("operator"), taken), "identifier_taken")
    assert Patient.objects.count() == 1


def test_the_same_identifier_at_another_clinic_is_no_hindrance_and_no_hint(api_for, foreign_patient):
    assert _post(api_for("operator"), NEW | {"identifiers": [{"value": "0042"}]}).status_code == 201


def test_a_record_is_corrected_field_by_field(api_for, patient):
    response = api_for("operator").patch(f"{URL}{patient.pk}/", {"phone": "+91 98"}, format="json")
    assert (response.status_code, response.json()["phone"], response.json()["name"]) == (200, "+91 98", "Asha Verma")


def test_a_number_is_added_by_which_the_patient_is_known(api_for, patient):
    client = api_for("operator")
    url = f"{URL}{patient.pk}/identifiers/"
    response = _post(client, {"system": "DICOM", "value": "9RG1"}, url)
    assert response.status_code == 201
    assert {"system": "DICOM", "value": "9RG1"} in response.json()["identifiers"]
    assert_problem(_post(client, {"system": "DICOM", "value": "9RG1"}, url), "identifier_taken")


@pytest.mark.parametrize("role", ["radiologist", "clinicadmin"])
def test_who_may_not_edit_is_refused(role, api_for, patient):
    response = api_for(role).patch(f"{URL}{patient.pk}/", {"phone": "1"}, format="json")
    assert_problem(response, "permission_denied" if role == "radiologist" else "not_found")


def test_likely_duplicates_are_shown_with_reasons_and_nothing_is_registered(api_for, patient):
    body = {"name": "Verma Asha", "birth_year": 1961, "identifiers": [{"value": "0017"}]}
    response = _post(api_for("operator"), body, f"{URL}matches/")
    (match,) = response.json()["matches"]
    assert (match["patient"]["id"], match["score"]) == (str(patient.pk), 1.0)
    assert match["reasons"] == ["Same MRN 0017"]
    assert Patient.objects.count() == 1


def test_patients_are_found_by_name_number_and_birth_year(api_for, clinic, patient):
    make.patient_make(clinic, "Bina Das", mrn="0200", birth_year=1990)
    client = api_for("operator")

    def names(**params):
        return [row["name"] for row in client.get(URL, params).json()["results"]]

    assert names() == ["Bina Das", "Asha Verma"]
    assert names(q="ver as") == names(q="0017") == names(birth_year=1961) == ["Asha Verma"]
    assert names(q="verma", birth_year=1990) == []
    assert names(clinic=str(clinic.pk), ordering="created_at") == ["Asha Verma", "Bina Das"]


def test_a_list_shows_nobody_of_another_clinic_whatever_is_asked(api_for, patient, foreign_patient):
    client = api_for("operator")
    for params in ({}, {"q": "Bela"}, {"q": "0042"}, {"birth_year": 1975}, {"clinic": str(foreign_patient.clinic_id)}):
        text = client.get(URL, params).content.decode()
        assert "Bela" not in text
        assert str(foreign_patient.pk) not in text


def test_a_doctor_sees_referred_patients_only(api_for, user_for, patient, clinic):
    make.patient_make(clinic, "Not Referred")
    make.study_make(patient, referring_doctor=user_for("doctor"))
    assert [row["name"] for row in api_for("doctor").get(URL).json()["results"]] == ["Asha Verma"]


@pytest.mark.parametrize("role", ["clinicadmin", "system"])
def test_administrators_see_no_demographics(role, api_for, patient):
    client = api_for(role)
    assert client.get(URL).json()["results"] == []
    assert_problem(client.get(f"{URL}{patient.pk}/"), "not_found")


def test_foreign_unknown_and_malformed_patients_get_the_same_answer(api_for, foreign_patient):
    client = api_for("operator")
    ids = [
        foreign_patient.pk,
        "00000000-0000-0000-0000-000000000000",
        "17",
        "x.y",
        "%00",
        "%F0%9F%99%82",
        "-1",
        "a" * 99,
    ]
    answers = []
    for given in ids:
        response = client.get(f"{URL}{given}/")
        body = assert_problem(response, "not_found")
        body.pop("request_id")
        headers = {key: value for key, value in response.headers.items() if key != "X-Request-ID"}
        answers.append((body, headers))
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("number", [1, 6])
def test_a_list_costs_the_same_number_of_queries_however_long_it_is(number, api_for, clinic, django_assert_num_queries):
    for _ in range(number):
        make.patient_make(clinic, mrn="x" + str(timezone.now().timestamp()))
    client = api_for("operator")
    # token, memberships; two limits; patients, numbers; for the audit: recent entries, new entries
    with django_assert_num_queries(6):
        assert len(client.get(URL).json()["results"]) == number


def test_reading_a_patient_is_recorded(api_for, user_for, patient):
    api_for("operator").get(f"{URL}{patient.pk}/")
    event = AuditEvent.objects.get()
    assert (event.verb, event.user, event.patient, event.role) == ("read", user_for("operator"), patient, "operator")
    assert event.request_id


def test_a_list_records_each_patient_in_it(api_for, patient, clinic):
    other = make.patient_make(clinic)
    api_for("operator").get(URL)
    assert set(AuditEvent.objects.values_list("verb", "patient", "role")) == {
        ("list", patient.pk, "operator"),
        ("list", other.pk, "operator"),
    }


@pytest.mark.parametrize("path", ["", "{pk}/"])
def test_nothing_is_shown_when_the_read_cannot_be_recorded(path, api_for, patient, audit_down):
    client = api_for("operator")
    url = URL + path.format(pk=patient.pk)
    response = client.get(url)
    assert_problem(response, "temporarily_unavailable")
    assert b"Asha" not in response.content
