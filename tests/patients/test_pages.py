"""The patient pages: search, registration with its look at likely duplicates, corrections, and their audit."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from patients.models import AuditEvent, Patient
from tests import factories

LIST, NEW = "/patients/", "/patients/new/"
PERSON = {"name": "Asha Verma", "birth_year": "1961", "sex": "female"}
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def operator(client_for):
    return client_for("operator")


@pytest.fixture
def person(clinic):
    return PERSON | {"clinic": str(clinic.pk)}


def edit(patient) -> str:
    return f"/patients/{patient.pk}/edit/"


def identifiers(patient) -> str:
    return f"/patients/{patient.pk}/identifiers/"


def test_the_list_shows_the_patients_of_the_clinic_with_their_numbers(operator, patient, foreign_patient):
    page = operator.get(LIST).content.decode()
    assert "Asha Verma" in page
    assert "MRN 0017" in page
    assert foreign_patient.name not in page


def test_a_search_works_without_javascript(operator, patient, clinic):
    factories.patient_make(clinic, "Rohan Mehta")
    page = operator.post(LIST, {"query": "rohan"}).content.decode()
    assert "Rohan Mehta" in page
    assert "Asha Verma" not in page
    assert "<html" in page


def test_a_live_search_answers_with_the_rows_alone(operator, patient):
    page = operator.post(LIST, {"query": "0017"}, **HTMX).content.decode()
    assert "Asha Verma" in page
    assert "<html" not in page


def test_a_search_for_nobody_offers_to_register(operator, patient):
    page = operator.post(LIST, {"query": "nobody"}).content.decode()
    assert "No patient fits" in page
    assert NEW in page


@pytest.mark.parametrize("bad", [{"query": "a\x00b"}, {"birth_year": "x"}, {"clinic": "nonsense"}])
def test_a_search_that_cannot_be_read_says_so(operator, patient, bad):
    response = operator.post(LIST, bad)
    assert response.status_code == 400
    assert "Asha Verma" not in response.content.decode()


def test_a_foreign_clinic_is_no_choice(operator, other_clinic, foreign_patient):
    response = operator.post(LIST, {"clinic": str(other_clinic.pk)})
    assert response.status_code == 400
    assert foreign_patient.name not in response.content.decode()


def test_names_never_stand_in_the_address_of_a_search(operator, patient):
    page = operator.get(LIST).content.decode()
    form = re.search(r"<form[^>]*role=\"search\"[^>]*>", page)[0]
    assert 'method="post"' in form
    assert "hx-get" not in form


def test_pages_follow_each_other_without_gap_or_overlap(operator, clinic):
    for number in range(60):
        factories.patient_make(clinic, f"Person {number:02}")
    first = operator.get(LIST).content.decode()
    after = re.search(r'name="after" value="([^"]+)"', first)[1]
    second = operator.post(LIST, {"after": after}).content.decode()
    seen = re.findall(r"Person \d\d", first) + re.findall(r"Person \d\d", second)
    assert sorted(seen) == [f"Person {number:02}" for number in range(60)]


def test_a_foreign_patient_marks_no_place_in_the_list(operator, patient, foreign_patient):
    assert operator.post(LIST, {"after": str(foreign_patient.pk)}).status_code == 404


def test_the_list_costs_the_same_for_many_patients(operator, clinic, django_assert_max_num_queries):
    for number in range(30):
        factories.patient_make(clinic, f"Person {number}", mrn=f"M{number}")
    operator.get(LIST)  # a session's first request also writes the session
    with django_assert_max_num_queries(16):
        operator.get(LIST)


def test_each_patient_shown_in_a_list_is_recorded(operator, user_for, patient, foreign_patient):
    operator.get(LIST)
    event = AuditEvent.objects.get()
    assert (event.verb, event.patient, event.user) == ("list", patient, user_for("operator"))


@pytest.mark.parametrize("role", ["doctor", "clinicadmin", "system"])
def test_who_may_see_nobody_sees_an_empty_list_in_words(client_for, patient, role):
    page = client_for(role).get(LIST).content.decode()
    assert "No patients to show" in page
    assert patient.name not in page


def test_registering_leads_to_the_patient(operator, person, clinic):
    response = operator.post(NEW, person | {"system": "MRN", "value": "0017"})
    patient = Patient.objects.get()
    assert response.url == reverse("patient_detail", args=[patient.pk])
    assert (patient.clinic, str(patient.identifiers.get())) == (clinic, "MRN 0017")


def test_registering_from_another_page_leads_back_there(operator, person):
    response = operator.post(NEW, person | {"next": "/"})
    assert response.url == f"/?patient={Patient.objects.get().pk}"


@pytest.mark.parametrize(
    "onward", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_registering_never_leads_to_another_site(operator, person, onward):
    assert operator.post(NEW, person | {"next": onward}).url == reverse(
        "patient_detail", args=[Patient.objects.get().pk]
    )


def test_likely_duplicates_are_shown_before_anything_is_stored(operator, person, patient):
    page = operator.post(NEW, person).content.decode()
    assert "Is this one of these patients?" in page
    assert "MRN 0017" in page
    assert Patient.objects.count() == 1
    assert AuditEvent.objects.get().patient == patient


def test_once_they_were_seen_the_patient_is_registered(operator, person, patient):
    assert operator.post(NEW, person | {"seen": str(patient.pk)}).status_code == 302
    assert Patient.objects.count() == 2


def test_a_new_likely_duplicate_is_shown_again(operator, person, patient, clinic):
    factories.patient_make(clinic, "Verma Asha", birth_year=1961)
    assert operator.post(NEW, person | {"seen": str(patient.pk)}).status_code == 200
    assert Patient.objects.count() == 2


def test_a_person_of_several_clinics_chooses(client_for, user_for, other_clinic, person):
    factories.membership_make(user_for("operator"), other_clinic, "operator")
    client = client_for("operator")
    assert other_clinic.name in client.get(NEW).content.decode()
    client.post(NEW, person | {"clinic": str(other_clinic.pk)})
    assert Patient.objects.get().clinic == other_clinic


def test_nobody_registers_at_a_clinic_where_they_only_read(client_for, user_for, other_clinic, person):
    factories.membership_make(user_for("operator"), other_clinic, "radiologist")
    response = client_for("operator").post(NEW, person | {"clinic": str(other_clinic.pk)})
    assert response.status_code == 400
    assert not Patient.objects.exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": ""}, "This field is required."),
        ({"name": "Asha\x00"}, "Name: contains characters that cannot be stored"),
        ({"name": "\u202eAsha"}, "Name: contains characters that cannot be stored"),
        ({"birth_year": ""}, "Give the birth date or the birth year."),
        ({"birth_year": "2999"}, "give a date that is not in the future"),
        ({"birth_date": "2999-01-01"}, "give a date that is not in the future"),
        ({"birth_date": "31.31.2000"}, "Enter a valid date."),
        ({"abha_number": "123"}, "fourteen digits"),
        ({"sex": "x"}, "Select a valid choice."),
    ],
)
def test_what_cannot_be_stored_is_said_beside_the_field(operator, person, change, sentence):
    response = operator.post(NEW, person | change)
    assert response.status_code == 400
    assert sentence in response.content.decode()
    assert not Patient.objects.exists()


def test_a_taken_number_is_said(operator, person, clinic):
    factories.patient_make(clinic, "Quite Different", mrn="0017", birth_year=1990)
    seen = str(Patient.objects.get().pk)
    response = operator.post(NEW, person | {"value": "0017", "seen": seen})
    assert response.status_code == 400
    assert "MRN 0017 already belongs to another patient." in response.content.decode()


@pytest.mark.parametrize("role", ["radiologist", "doctor", "clinicadmin", "system"])
def test_others_may_not_register(client_for, person, role):
    client = client_for(role)
    assert (client.get(NEW).status_code, client.post(NEW, person).status_code) == (403, 403)
    assert not Patient.objects.exists()


def test_a_correction_is_saved_and_recorded(operator, patient):
    assert operator.post(edit(patient), PERSON | {"name": "Asha Sharma"}).status_code == 302
    patient.refresh_from_db()
    assert patient.name == "Asha Sharma"
    assert AuditEvent.objects.get(verb="update").changes == {"name": ["Asha Verma", "Asha Sharma"]}


def test_opening_a_record_is_recorded(operator, patient):
    operator.get(edit(patient))
    event = AuditEvent.objects.get()
    assert (event.verb, event.patient) == ("read", patient)


def test_a_number_comes_and_goes(operator, patient):
    operator.post(identifiers(patient), {"system": "DICOM", "value": "9RG1"})
    added = patient.identifiers.get(system="DICOM")
    operator.post(f"{identifiers(patient)}{added.pk}/remove/")
    assert [str(each) for each in patient.identifiers.all()] == ["MRN 0017"]


def test_a_number_of_another_patient_is_refused_on_the_page(operator, patient, clinic):
    factories.patient_make(clinic, mrn="0099")
    response = operator.post(identifiers(patient), {"system": "MRN", "value": "0099"})
    assert response.status_code == 400
    assert "already belongs to another patient" in response.content.decode()


def test_removing_takes_a_post(operator, patient):
    number = patient.identifiers.get()
    assert operator.get(f"{identifiers(patient)}{number.pk}/remove/").status_code == 405


def test_a_post_without_the_token_of_its_page_is_refused(user_for, patient):
    from django.test import Client

    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(user_for("operator"), backend="allauth.account.auth_backends.AuthenticationBackend")
    response = client.post(edit(patient), PERSON)
    assert response.status_code == 403
    assert "The page is too old. Reload it." in response.content.decode()


@pytest.mark.parametrize("path", ["{list}", "{edit}"])
def test_a_read_that_cannot_be_recorded_shows_nothing(operator, patient, audit_down, path):
    response = operator.get(path.format(list=LIST, edit=edit(patient)))
    assert response.status_code == 503
    assert "Asha" not in response.content.decode()


def test_duplicates_that_cannot_be_recorded_are_not_shown(operator, person, patient, audit_down):
    response = operator.post(NEW, person)
    assert response.status_code == 503
    assert "MRN 0017" not in response.content.decode()


@pytest.mark.parametrize("path", ["{list}", "{new}", "{edit}"])
def test_pages_are_not_kept_by_browsers(operator, patient, path):
    response = operator.get(path.format(list=LIST, new=NEW, edit=edit(patient)))
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("path", ["{list}", "{new}", "{edit}"])
def test_pages_hold_no_inline_script_or_style(operator, patient, path):
    page = operator.get(path.format(list=LIST, new=NEW, edit=edit(patient))).content.decode()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)


def test_a_name_cannot_become_markup(operator, clinic):
    factories.patient_make(clinic, "<script>alert(1)</script>")
    assert "<script>alert(1)" not in operator.get(LIST).content.decode()


def test_a_live_search_records_each_patient_once_in_five_minutes(operator, clinic, patient):
    for query in ("a", "as", "ash"):
        operator.post(LIST, {"query": query}, **HTMX)
    factories.patient_make(clinic, "Ashok Mehta")
    operator.post(LIST, {"query": "ash"}, **HTMX)
    assert AuditEvent.objects.filter(verb="list").count() == 2


def test_a_live_search_is_recorded_again_after_five_minutes(operator, patient, time_machine_at):
    operator.post(LIST, {"query": "asha"}, **HTMX)
    time_machine_at(timezone.now() + timedelta(minutes=6))
    operator.post(LIST, {"query": "asha"}, **HTMX)
    assert AuditEvent.objects.filter(verb="list").count() == 2
