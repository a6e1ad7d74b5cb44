"""The fixtures themselves: every builder writes a row that the database accepts, every client is signed in."""

from __future__ import annotations

from diagnosis.models import Prediction
from tests import factories


def test_a_film_can_be_built_the_whole_way(user_for, patient):
    study = factories.study_make(patient)
    factories.predicted_film_make(study)
    factories.report_make(study, user_for("radiologist"))
    assert Prediction.objects.get().findings.count() == len(factories.LABELS)


def test_jobs_can_be_built_in_every_state(patient):
    study = factories.study_make(patient)
    for state in ("queued", "running", "succeeded", "failed", "cancelled"):
        for kind in ("prepare", "infer"):
            assert factories.job_make(factories.radiograph_make(study), kind, state).state == state


def test_clients_are_signed_in(client_for, api_for, user_for):
    assert client_for("operator").session["_auth_user_id"] == str(user_for("operator").pk)
    assert api_for("doctor")._credentials["HTTP_AUTHORIZATION"].startswith("Token ")
