"""`/worklist/`: the order with its reasons, strict parameters, stable pages, claims."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from patients.models import AuditEvent
from tests import factories
from tests.api.problems import assert_problem

pytestmark = pytest.mark.django_db
URL = "/api/v1/worklist/"


def unread(clinic, hours, **calibrated):
    at = timezone.now() - timedelta(hours=hours)
    study = factories.study_make(factories.patient_make(clinic), created_at=at)
    if calibrated:
        factories.predicted_film_make(study, calibrated=calibrated)
    return factories.reading_make(study, placed=bool(calibrated))


@pytest.fixture
def reader(api_for):
    return api_for("radiologist")


def test_entry_says_where_it_stands_and_why(reader, clinic):
    late, sick = unread(clinic, 30), unread(clinic, 1, pneumonia=0.9, effusion=0.1)
    entries = reader.get(URL).json()["results"]
    assert [entry["study"] for entry in entries] == [str(late.study_id), str(sick.study_id)]
    assert (entries[0]["over"], entries[0]["answered"], entries[0]["reason"]) == (True, False, None)
    assert (entries[1]["urgency"], entries[1]["labels"]) == (pytest.approx(0.9), ["pneumonia"])
    reason = entries[1]["reason"]
    assert (reason["label"], reason["calibrated"], reason["threshold"]) == ("pneumonia", 0.9, 0.5)
    assert reason["model"]["version"] == "1.0.0"
    assert AuditEvent.objects.filter(verb="list").count() == 2


def test_pages_follow_each_other(reader, clinic):
    rows = [unread(clinic, hours) for hours in (5, 4, 3, 2, 1)]
    address, seen = f"{URL}?page_size=2", []
    while address:
        page = reader.get(address).json()
        seen += [entry["study"] for entry in page["results"]]
        address = page["next"]
    assert seen == [str(row.study_id) for row in rows]


@pytest.mark.parametrize(
    "query",
    [
        "colour=red",
        "state=tired",
        "state=",
        "clinic=home",
        "age_from=-1",
        "age_to=131",
        "age_to=1.5",
        "date_from=2026-5-3",
        "date_to=2026-02-30",
        "cursor=nonsense",
        "cursor=w6k=",
        "page_size=0",
        "page_size=1000",
        "label=%00",
    ],
)
def test_parameters_are_strict(reader, query):
    assert_problem(reader.get(f"{URL}?{query}"), "invalid_parameter")


def test_foreign_clinic_as_a_filter_gives_nothing(reader, clinic, other_clinic):
    unread(clinic, 1)
    unread(other_clinic, 1)
    assert reader.get(URL, {"clinic": str(other_clinic.pk)}).json()["results"] == []


def test_claim_take_over_and_release(reader, api_for, clinic, user_for):
    row = unread(clinic, 1)
    colleague = factories.user_make("radiologist", clinic)
    claimed = api_for(colleague).post(f"{URL}{row.study_id}/claim/").json()
    assert claimed["claim"]["by"] == colleague.username
    assert_problem(reader.post(f"{URL}{row.study_id}/claim/"), "reading_claimed")
    taken = reader.post(f"{URL}{row.study_id}/claim/", {"instead_of": colleague.username}, format="json").json()
    assert taken["claim"]["by"] == user_for("radiologist").username
    assert reader.post(f"{URL}{row.study_id}/release/").json()["claim"] is None


def test_what_is_read_is_refused_and_unknown_is_unknown(reader, clinic, user_for):
    row = unread(clinic, 1)
    factories.report_make(row.study, user_for("radiologist"))
    assert_problem(reader.post(f"{URL}{row.study_id}/claim/"), "reading_closed")
    assert_problem(reader.post(f"{URL}nonsense/claim/"), "not_found")
    assert_problem(reader.post(f"{URL}{row.study_id}/claim/", {"who": "me"}, format="json"), "unknown_field")


@pytest.mark.parametrize("role", ["operator", "doctor", "clinicadmin", "system"])
def test_only_who_reads_films_has_a_worklist(api_for, role):
    assert_problem(api_for(role).get(URL), "permission_denied")
