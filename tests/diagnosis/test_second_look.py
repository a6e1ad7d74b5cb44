"""Where a sure model and a signed report disagree, a second reader looks: which findings, once, and by whom."""

from __future__ import annotations

import pytest

from diagnosis.models import Discordance, Finding, OperatingPoint
from diagnosis.services import reporting
from diagnosis.services.second_look import second_look_record
from patients.models import AuditEvent
from tests import factories
from tests.diagnosis.report_steps import code_of, decide, save, sign, signed

pytestmark = pytest.mark.django_db


@pytest.fixture
def other(clinic):
    return factories.user_make("radiologist", clinic)


def kinds() -> dict[str, str]:
    return {row.finding.label: row.kind for row in Discordance.objects.select_related("finding")}


# --- the rule


def test_what_the_model_is_sure_of_and_the_reader_rejects_is_looked_at_again(draft, radiologist):
    signed(draft, radiologist, "rejected")
    row = Discordance.objects.get()
    assert (row.kind, row.finding.label, row.decision.reason) == ("model_only", "pneumonia", "artefact")
    assert row.finding.prediction.model_version.version == "1.0.0"


def test_what_both_agree_on_is_not(draft, radiologist):
    signed(draft, radiologist)
    assert kinds() == {}


def test_a_model_that_was_not_sure_is_no_disagreement(study, radiologist):
    film = factories.radiograph_make(study, state="ready")
    prediction = factories.prediction_make(film, calibrated={"normal": 0.1})
    numbers = {"probability": 0.7, "calibrated": 0.7, "threshold": 0.5, "word": "likely"}
    Finding.objects.create(prediction=prediction, label="pneumonia", **numbers)
    signed(reporting.draft_open(user=radiologist, study=study), radiologist, "rejected")
    assert kinds() == {}


@pytest.mark.parametrize(("calibrated", "found"), [(0.25, {"effusion": "reader_only"}), (0.3, {})])
def test_what_the_reader_adds_counts_where_the_model_was_sure_that_it_is_absent(study, radiologist, calibrated, found):
    factories.predicted_film_make(study, calibrated={"normal": 0.1, "pneumonia": 0.8, "effusion": calibrated})
    report = reporting.draft_open(user=radiologist, study=study)
    decide(report, radiologist, "effusion", "added")
    signed(report, radiologist)
    assert kinds() == found


def test_what_the_model_does_not_know_is_no_disagreement(draft, radiologist):
    decide(draft, radiologist, "pneumothorax", "added")
    signed(draft, radiologist)
    assert kinds() == {}


def test_thresholds_of_later_change_nothing(draft, radiologist, prediction):
    signed(draft, radiologist, "rejected")
    OperatingPoint.objects.update(threshold=0.99)
    row = Discordance.objects.get()
    assert (row.finding.threshold, row.finding.word) == (0.5, "present")


# --- amendments


def test_an_amendment_settles_what_it_agrees_on_and_doubles_nothing(draft, radiologist):
    signed(draft, radiologist, "rejected")
    kept = reporting.report_amend(user=radiologist, report=draft, reason="A typing error")
    save(kept, radiologist, impression="No pneumonia.")
    sign(kept, radiologist)
    assert Discordance.objects.get().looked_at is None
    settled = reporting.report_amend(user=radiologist, report=kept, reason="Pneumonia after all")
    decide(settled, radiologist, "pneumonia", "accepted")
    sign(settled, radiologist)
    row = Discordance.objects.get()
    assert (row.outcome, row.looked_by) == ("amend", radiologist)


# --- the second reader


def test_another_reader_than_the_signer_records_the_outcome_once(draft, radiologist, other, user_for):
    signed(draft, radiologist, "rejected")
    row = Discordance.objects.get()
    told = {"discordance_id": row.pk, "outcome": "stands", "model_was": "wrong", "note": "Skin fold"}
    assert code_of(lambda: second_look_record(user=radiologist, **told)) == "second_look_signer"
    assert code_of(lambda: second_look_record(user=user_for("radiographer"), **told)) == "not_found"
    assert code_of(lambda: second_look_record(user=other, **told | {"outcome": "maybe"})) == "invalid_parameter"
    second_look_record(user=other, **told)
    assert code_of(lambda: second_look_record(user=other, **told)) == "second_look_done"
    row.refresh_from_db()
    assert (row.outcome, row.model_was, row.note, row.looked_by) == ("stands", "wrong", "Skin fold", other)
    assert AuditEvent.objects.get(verb="second_look").user == other


def test_who_reads_alone_for_a_clinic_looks_again_and_that_is_said(draft, radiologist, clinic, client_for):
    signed(draft, radiologist, "rejected")
    row = Discordance.objects.get()
    left = factories.user_make("radiologist", clinic)
    told = {"discordance_id": row.pk, "outcome": "stands", "model_was": "wrong"}
    assert code_of(lambda: second_look_record(user=radiologist, **told)) == "second_look_signer"
    left.is_active = False
    left.save()
    client = client_for(radiologist)
    assert "nobody else reads for Hill Clinic" in client.get("/second-look/").content.decode()
    assert client.post(f"/second-look/{row.pk}/", {"outcome": "stands", "model_was": "wrong"}).status_code == 302
    page = client.get("/second-look/").content.decode()
    assert "1 by the one who had signed" in page
    assert ", who had signed" in page


# --- the page


def test_the_page_shows_model_numbers_reader_and_what_came_of_it(draft, radiologist, other, client_for):
    signed(draft, radiologist, "rejected")
    row = Discordance.objects.get()
    own = client_for("radiologist").get("/second-look/").content.decode()
    assert "You signed this report" in own
    assert 'name="outcome"' not in own
    client = client_for(other)
    page = client.get("/second-look/").content.decode()
    for text in ("test-model 1.0.0", "80 %", "threshold 50 %", "present", "artefact, device or overlap", "Asha Verma"):
        assert text in page, text
    assert client.post(f"/second-look/{row.pk}/", {"outcome": "", "model_was": "right"}).status_code == 302
    amend = client.post(f"/second-look/{row.pk}/", {"outcome": "amend", "model_was": "right"})
    assert amend["Location"] == f"/studies/{row.study_id}/report/?amend=1#amend"
    assert '<details class="fold" open>' in client.get(amend["Location"]).content.decode()
    closed = client.get("/second-look/?outcome=amend").content.decode()
    assert "1 led to an amendment; in 1 the model was right" in closed
    assert "The model was right." in closed
    assert "None fits these filters" in client.get("/second-look/?outcome=stands").content.decode()


def test_nobody_meets_a_study_here_that_is_not_signed(draft, radiologist, other, client_for, clinic):
    clinic.read_first = True
    clinic.save()
    assert "Nothing waits" in client_for(other).get("/second-look/").content.decode()
