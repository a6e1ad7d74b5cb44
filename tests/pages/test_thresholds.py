"""The page on which a clinic chooses its thresholds: what it shows of signed cases, and the steps taken there."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.utils import timezone

from diagnosis.models import OperatingPoint, Report, ThresholdChange
from tests import factories
from tests.pages.test_markup import Markup


def signed_cases_make(clinic: Any, reader: Any, model: Any, present: list[float], absent: list[float]) -> None:
    """So many studies with a signed report each, written in bulk; the numbers are those for pneumonia."""
    patient = factories.patient_make(clinic)
    for there, score in [(True, each) for each in present] + [(False, each) for each in absent]:
        study = factories.study_make(patient)
        film = factories.radiograph_make(study, state="ready")
        said = factories.prediction_make(film, model, calibrated={"pneumonia": score}).findings.get()
        report = factories.report_make(study, reader, "draft")
        positive = score >= 0.5
        verdict = ("accepted" if positive else "added") if there else ("rejected" if positive else "absent")
        reason = "no_correlate" if verdict == "rejected" else ""
        factories.decision_make(report, "pneumonia", verdict, finding=said, reason=reason)
    signature = {"signed_by": reader, "signed_at": timezone.now(), "registration_number": "1"}
    Report.objects.filter(status="draft", study__clinic=clinic).update(status="final", **signature)


@pytest.fixture
def model(db: None) -> Any:
    return factories.model_version_make()


@pytest.fixture
def many(clinic: Any, user_for: Any, model: Any) -> None:
    """Twenty with pneumonia, 0.50 to 0.88, twenty without, 0.10 to 0.48 and one false alarm at 0.90."""
    scores = [round(0.50 + 0.02 * number, 2) for number in range(20)]
    signed_cases_make(clinic, user_for("radiologist"), model, scores, [round(s - 0.4, 2) for s in scores] + [0.9])


def page_of(client: Any, model: Any, status: int = 200, **query: Any) -> str:
    answer = client.get(f"/models/{model.pk}/thresholds/", query)
    assert answer.status_code == status
    return re.sub(r"\s+", " ", answer.content.decode())


def test_with_enough_cases_the_curve_and_the_figures_of_each_threshold_are_shown(client_for, many, model):
    page = page_of(client_for("radiologist"), model)
    for text in ("20 signed cases with it, 21 without", "ROC curve of Pneumonia", "AUC", "Applies now"):
        assert text in page
    # 0.5 catches all 20 and spares 20 of 21; 0.95 is reached at the 19th highest score
    assert "1.00 (0.84–1.00)" in page
    assert "0.95 (0.77–0.99)" in page
    assert "52.0 %" in page
    assert "Readers saw the model's answer before they signed" in page.replace("&#x27;", "'")
    assert Markup(page).forbidden == []


def test_where_the_model_cannot_be_told_from_guessing_the_page_says_so(client_for, clinic, user_for, model):
    scores = [round(0.1 + 0.04 * number, 2) for number in range(20)]
    signed_cases_make(clinic, user_for("radiologist"), model, scores, scores)
    assert "cannot be told from guessing" in page_of(client_for("radiologist"), model)


def test_with_too_few_cases_the_cards_figures_are_shown_and_nothing_can_be_chosen(client_for, model):
    metrics = {"sensitivity.pneumonia": {"value": 0.71, "low": 0.66, "high": 0.76}}
    parts = {"pooled": {"films": 300, "figures": metrics}}
    type(model).objects.filter(pk=model.pk).update(card=model.card | {"metrics": {"test": {"parts": parts}}})
    page = page_of(client_for("radiologist"), model, label="pneumonia", sensitivity="90")
    assert "Too few cases: at least 20 with and 20 without" in page
    assert "0.71 (0.66–0.76)" in page
    assert "n = 300" in page
    for absent in ("<polyline", "Propose", "Choose"):
        assert absent not in page


def test_a_sensitivity_is_asked_for_and_its_threshold_proposed_then_approved(client_for, many, model, clinic):
    reader, admin = client_for("radiologist"), client_for("clinicadmin")
    page = page_of(admin, model, label="pneumonia", sensitivity="85")
    assert "for sensitivity 85 %" in page
    threshold = re.search(r'name="threshold" value="([\d.]+)"', page)[1]
    assert threshold == "0.56"  # the 17th highest of 20
    form = {"clinic": clinic.pk, "label": "pneumonia", "threshold": threshold, "reason": "Fewer alarms"}
    admin.post(f"/models/{model.pk}/thresholds/propose/", form)
    proposal = ThresholdChange.objects.get()
    assert (proposal.threshold, proposal.cases) == (0.56, 41)
    assert "Take it back" in page_of(admin, model)
    page = page_of(reader, model)
    assert "56.0 % is proposed in place of 50.0 %" in page
    decision = {"clinic": clinic.pk, "proposal": proposal.pk, "decision": "approve"}
    reader.post(f"/models/{model.pk}/thresholds/decide/", decision)
    assert OperatingPoint.objects.get(clinic=clinic).threshold == 0.56
    page = page_of(admin, model)
    assert "this clinic's own; the card's is 50.0 %" in page.replace("&#x27;", "'")
    assert "proposed by" in page
    form = {"clinic": clinic.pk, "label": "pneumonia", "reason": "Misses too much"}
    admin.post(f"/models/{model.pk}/thresholds/restore/", form)
    assert not OperatingPoint.objects.filter(clinic=clinic).exists()


def test_approving_asks_who_is_there(client_for, many, model, clinic):
    proposal = factories.threshold_proposal_make(model, clinic, "pneumonia", 0.6)
    decision = {"clinic": clinic.pk, "proposal": proposal.pk, "decision": "approve"}
    answer = client_for("radiologist", ago=3600).post(f"/models/{model.pk}/thresholds/decide/", decision)
    assert "/accounts/" in answer["Location"]
    assert not OperatingPoint.objects.filter(clinic=clinic).exists()


def test_a_refused_proposal_keeps_what_was_chosen_and_typed(client_for, many, model, clinic):
    factories.threshold_proposal_make(model, clinic, "effusion", 0.6)
    form = {"clinic": clinic.pk, "label": "pneumonia", "threshold": "nonsense", "sensitivity": "90", "reason": "Mine"}
    answer = client_for("radiologist").post(f"/models/{model.pk}/thresholds/propose/", form)
    page = answer.content.decode()
    assert answer.status_code >= 400
    assert 'role="alert"' in page
    assert 'value="Mine"' in page


def test_a_clinic_of_others_and_a_version_on_trial_do_not_exist(
    client_for, many, model, clinic, other_clinic, user_for
):
    reader = client_for("radiologist")
    page_of(reader, model, 404, clinic=other_clinic.pk)
    page_of(reader, model, 404, clinic="nonsense")
    page_of(client_for("radiologist", other_clinic), model, 404, clinic=clinic.pk)
    page_of(reader, factories.model_version_make("9.0.0", status="shadow"), 404)
    proposal = factories.threshold_proposal_make(model, other_clinic, "pneumonia", 0.6)
    decision = {"clinic": clinic.pk, "proposal": proposal.pk, "decision": "approve"}
    assert reader.post(f"/models/{model.pk}/thresholds/decide/", decision).status_code == 404


def test_who_reads_for_two_clinics_chooses_between_them(client_for, model, user_for, clinic, other_clinic):
    factories.membership_make(user_for("radiologist"), other_clinic, "radiologist")
    page = page_of(client_for("radiologist"), model, clinic=other_clinic.pk)
    assert f'<option value="{other_clinic.pk}" selected>' in page
    assert f"Thresholds at {other_clinic}" in page


def test_the_page_costs_the_same_whatever_it_shows(client_for, many, model, django_assert_max_num_queries):
    reader = client_for("radiologist")
    page_of(reader, model)
    with django_assert_max_num_queries(16):
        page_of(reader, model)


def test_where_films_are_read_first_the_page_says_so(client_for, many, model, clinic):
    type(clinic).objects.filter(pk=clinic.pk).update(read_first=True)
    page = page_of(client_for("radiologist"), model)
    assert "This clinic reads first" in page
