"""The list of films: live states, filters, pages, and only what the role may see."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from diagnosis.views import films
from patients.models import AuditEvent
from tests import factories

pytestmark = pytest.mark.django_db
URL = "/films/"


def film_of(patient, **fields):
    film = factories.radiograph_make(factories.study_make(patient, **fields.pop("study", {})), **fields)
    factories.job_make(film)
    return film


def page_of(client, **filters) -> str:
    answer = client.get(URL, filters)
    assert answer.status_code == 200
    return answer.content.decode()


def test_empty_clinic_says_so(client_for):
    assert "No films yet" in page_of(client_for("operator"))


def test_waiting_films_show_state_place_and_that_nobody_works(client_for, patient):
    film_of(patient, study={"urgency": "urgent"})
    page = page_of(client_for("operator"))
    for text in ("Waiting", "place 1", "Urgent", "No worker is running.", "To be checked: 1 waiting, the oldest for"):
        assert text in page
    assert 'hx-trigger="every 3s"' in page


def test_renewal_gives_only_the_list(client_for, patient):
    film_of(patient)
    fragment = client_for("operator").get(URL, HTTP_HX_REQUEST="true").content.decode()
    assert patient.name in fragment
    assert "<html" not in fragment


def test_names_on_the_list_are_recorded_once_when_it_is_opened(client_for, patient):
    film_of(patient)
    client = client_for("operator")
    client.get(URL)
    client.get(URL, HTTP_HX_REQUEST="true")
    assert AuditEvent.objects.filter(verb="list", patient=patient).count() == 1


def test_foreign_films_are_not_listed(client_for, patient, foreign_patient):
    film_of(foreign_patient)
    assert foreign_patient.name not in page_of(client_for("operator"))


def test_clinic_administrator_sees_states_without_names(client_for, patient):
    film = film_of(patient)
    page = page_of(client_for("clinicadmin"))
    assert patient.name not in page
    assert f"Study {str(film.study_id)[:8]}" in page


@pytest.mark.parametrize(
    ("filters", "listed"),
    [
        ({"progress": "waiting"}, {"Waiting Person"}),
        ({"progress": "done"}, {"Read Person"}),
        ({"word": "present"}, {"Read Person"}),
        ({"word": "likely"}, set()),
        ({"mine": "on"}, {"Waiting Person"}),
        ({"date_from": "2999-01-01"}, set()),
        ({"date_to": "2999-01-01"}, {"Waiting Person", "Read Person"}),
    ],
)
def test_filters_narrow_the_list(client_for, user_for, clinic, filters, listed):
    waiting, read = (factories.patient_make(clinic, name) for name in ("Waiting Person", "Read Person"))
    film_of(waiting, study={"created_by": user_for("radiologist")})
    factories.predicted_film_make(factories.study_make(read))
    page = page_of(client_for("radiologist"), **filters)
    assert {name for name in ("Waiting Person", "Read Person") if name in page} == listed


def test_impossible_filter_is_named_and_lists_everything(client_for, patient):
    film_of(patient)
    page = page_of(client_for("operator"), date_from="yesterday")
    assert "Enter a valid date." in page
    assert patient.name in page


def test_pages_follow_each_other_without_gap_or_repeat(client_for, clinic, monkeypatch):
    monkeypatch.setattr(films, "PAGE_SIZE", 2)
    now = timezone.now()
    for number in range(5):
        film_of(factories.patient_make(clinic, f"Person {number}"), created_at=now - timedelta(hours=number))
    client = client_for("operator")
    address, seen = URL, []
    while address:
        answer = client.get(address)
        seen += [film.study.patient.name for film in answer.context["films"]]
        older = answer.context["older_query"]
        address = f"{URL}?{older}" if older else ""
    assert seen == [f"Person {number}" for number in range(5)]


@pytest.mark.parametrize("before", ["nonsense", "00000000-0000-4000-8000-000000000000"])
def test_unknown_page_is_not_found(client_for, before):
    assert client_for("operator").get(URL, {"before": before}).status_code == 404


def test_queries_do_not_grow_with_the_films(client_for, clinic, count_queries):
    client = client_for("radiologist")

    def add():
        study = factories.study_make(factories.patient_make(clinic))
        factories.predicted_film_make(study)
        factories.job_make(factories.radiograph_make(study))

    add()
    few = count_queries(lambda: client.get(URL))
    for _ in range(4):
        add()
    assert count_queries(lambda: client.get(URL)) == few


def test_link_leads_to_the_study(client_for, patient):
    film = film_of(patient)
    assert f"{reverse('study_detail', args=[film.study_id])}#film-{film.pk}" in page_of(client_for("operator"))


@pytest.mark.parametrize("role", ["operator", "radiographer", "clinicadmin", "radiologist"])
def test_clinic_is_told_who_read_its_film_and_when(client_for, clinic, patient, role):
    reader = factories.user_make("radiologist", clinic, first_name="Ines", last_name="Costa")
    study = factories.predicted_film_make(factories.study_make(patient)).radiograph.study
    client = client_for(role)
    assert "Not yet read" in page_of(client)
    assert "Not yet signed by a radiologist" in client.get(f"/studies/{study.pk}/").content.decode()
    factories.report_make(study, reader, "draft")
    assert "Not yet read" in page_of(client)
    study.reports.all().update(
        status="final", signed_by=reader, signed_at=timezone.now(), registration_number="MCI-4711"
    )
    assert "Read by Ines Costa" in page_of(client)
    assert "Signed by Ines Costa" in client.get(f"/studies/{study.pk}/").content.decode()
