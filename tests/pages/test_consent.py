"""Consent on the patient's page, on the pages of films and in the API."""

from __future__ import annotations

import pytest
from django.urls import reverse

from patients.models import Consent
from tests import factories
from tests.api.problems import assert_problem

pytestmark = pytest.mark.django_db
SENTENCE = "No model answer: the patient did not agree to AI assistance"
SHEET = {"given_on": "2026-01-05", "given_how": "written", "text_version": "2026-1"}


def page_of(client, patient) -> str:
    return client.get(reverse("patient_detail", args=[patient.pk])).content.decode()


def test_the_page_says_what_holds_before_anything_is_recorded(client_for, patient):
    page = page_of(client_for("operator"), patient)
    assert page.count("Not recorded") == 3
    assert page.count("Implied by the clinic’s rule") == 2
    assert "Not permitted until the patient agrees" in page


def test_an_operator_records_a_sheet_and_the_page_shows_it(client_for, patient):
    client = client_for("operator")
    address = reverse("consent_record", args=[patient.pk])
    answer = client.post(address, SHEET | {"ai_assistance": "permit", "training": "deny", "care": ""})
    assert answer.status_code == 302
    assert set(Consent.objects.values_list("purpose", "decision")) == {
        ("ai_assistance", "permit"),
        ("training", "deny"),
    }
    page = page_of(client, patient)
    assert "5 Jan 2026" in page
    assert "Every decision so far (2)" in page


def test_a_withdrawal_is_called_so(client_for, patient):
    factories.consent_make(patient, "training", given_on="2026-01-05")
    factories.consent_make(patient, "training", "deny", given_on="2026-02-05")
    assert "Withdrawn" in page_of(client_for("radiologist"), patient)


@pytest.mark.parametrize(
    "said", [{}, {"care": "permit", "given_on": "2100-01-01"}, {"care": "permit", "text_version": ""}]
)
def test_a_sheet_that_is_refused_comes_back_open(client_for, patient, said):
    answer = client_for("operator").post(reverse("consent_record", args=[patient.pk]), SHEET | said)
    assert answer.status_code == 400
    assert 'class="fold" open' in answer.content.decode()
    assert not Consent.objects.exists()


def test_who_may_not_record_is_offered_no_form(client_for, patient):
    assert "consent-form" in page_of(client_for("radiographer"), patient)
    assert "consent-form" not in page_of(client_for("radiologist"), patient)


@pytest.fixture
def unread_film(patient):
    """Of a patient who does not agree, ready to be read."""
    factories.consent_make(patient, "ai_assistance", "deny")
    study = factories.study_make(patient)
    factories.reading_make(study)
    factories.job_make(factories.radiograph_make(study, state="ready", display_key="derived/x"), "prepare", "succeeded")
    return study


@pytest.mark.parametrize("name", ["study_detail", "read"])
def test_the_pages_of_the_film_say_why_there_is_no_answer(client_for, unread_film, name):
    answer = client_for("radiologist").get(reverse(name, args=[unread_film.pk]))
    assert SENTENCE in answer.content.decode()


@pytest.mark.parametrize("name", ["worklist", "film_list"])
def test_the_lists_say_it_too(client_for, unread_film, name):
    assert "the patient did not agree to AI assistance" in client_for("radiologist").get(reverse(name)).content.decode()


def test_the_record_of_changes_names_each_decision(client_for, patient):
    factories.consent_make(patient, "training")
    page = client_for("clinicadmin").get(reverse("patient_history", args=[patient.pk])).content.decode()
    assert "Consent to training of models (agrees)" in page


# --- API


def test_the_api_reads_and_records(api_for, patient):
    address = f"/api/v1/patients/{patient.pk}/consents/"
    body = SHEET | {"purpose": "training", "decision": "permit"}
    assert api_for("operator").post(address, body, format="json").status_code == 201
    shown = api_for("radiologist").get(address).json()
    assert shown["permitted"] == {"care": True, "ai_assistance": True, "training": True}
    (decision,) = shown["decisions"]
    assert decision.items() >= (body | {"withdraws": False}).items()


def test_the_api_refuses_what_makes_no_sense(api_for, patient):
    address = f"/api/v1/patients/{patient.pk}/consents/"
    body = SHEET | {"purpose": "training", "decision": "permit"}
    assert_problem(api_for("operator").post(address, body | {"given_on": "2100-01-01"}, format="json"), "invalid_date")
    assert_problem(api_for("radiologist").post(address, body, format="json"), "permission_denied")


def test_the_api_says_that_no_model_may_read_a_film(api_for, unread_film):
    film = unread_film.radiographs.get()
    assert api_for("radiologist").get(f"/api/v1/radiographs/{film.pk}/").json()["ai_permitted"] is False
