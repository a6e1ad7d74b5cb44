"""Critical findings over the API: listed by state, acknowledged once."""

from __future__ import annotations

import pytest

from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def alert(patient, user_for):
    study = factories.study_make(patient)
    return factories.alert_make(factories.report_make(study, user_for("radiologist")), minutes=45)


def test_critical_findings_are_listed_and_acknowledged_once(api_for, alert):
    client = api_for("radiographer")
    (shown,) = client.get("/api/v1/alerts/?state=waiting").json()["results"]
    assert (shown["label"], shown["state"], shown["late"], shown["mailed_at"]) == ("pneumonia", "sent", True, None)
    address = f"/api/v1/alerts/{alert.pk}/acknowledge/"
    assert client.post(address, {"action_taken": ""}, format="json").json()["code"] == "action_missing"
    done = client.post(address, {"action_taken": "Told Dr Rao"}, format="json").json()
    assert (done["state"], done["action_taken"], done["late"]) == ("acknowledged", "Told Dr Rao", False)
    again = client.post(address, {"action_taken": "Told Dr Rao"}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "alert_acknowledged")
    assert client.get("/api/v1/alerts/?state=waiting").json()["results"] == []


def test_a_program_sees_the_findings_of_its_films_and_acknowledges_none(api_for, alert, clinic):
    sender = factories.client_make(clinic)
    type(alert.study).objects.filter(pk=alert.study_id).update(created_by=sender)
    client = api_for(sender)
    assert len(client.get("/api/v1/alerts/").json()["results"]) == 1
    refused = client.post(f"/api/v1/alerts/{alert.pk}/acknowledge/", {"action_taken": "x"}, format="json")
    assert refused.status_code == 403
