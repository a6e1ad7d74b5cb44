"""A clinic's own thresholds: chosen on its signed cases, approved by a second person, used from then on, given back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from diagnosis.models import Finding, ModelVersion, OperatingPoint, Report, ThresholdChange
from diagnosis.services.infer import infer_waiting
from diagnosis.services.models import model_activate, model_register
from diagnosis.services.thresholds import (
    threshold_approve,
    threshold_decline,
    threshold_propose,
    threshold_restore,
)
from diagnosis.thresholds import cases_read, states_read
from patients.actor import acting_as, person
from patients.errors import ApplicationError
from patients.models import AuditEvent, Clinic, User
from tests import factories
from tests.diagnosis.predictors import model_folder_make
from tests.diagnosis.report_steps import code_of

ABSENT, REJECTED, ACCEPTED, ADDED = "absent", "rejected", "accepted", "added"


@pytest.fixture
def signed(clinic: Clinic, user_for: Callable[..., User]) -> Callable[..., Any]:
    """`signed(score, verdict)`: a study whose film the model gives this number for pneumonia, and its signed report."""
    patient = factories.patient_make(clinic)

    def make(
        score: float, verdict: str = "", *, model: ModelVersion | None = None, films: int = 1, **fields: Any
    ) -> Any:
        study = factories.study_make(patient)
        said = [
            factories.prediction_make(
                factories.radiograph_make(study, state="ready"),
                model,
                calibrated={"pneumonia": score - 0.1 * number},
                shadow=fields.get("shadow", False),
            )
            for number in range(films)
        ]
        report = factories.report_make(study, user_for("radiologist"), "draft")
        if verdict:
            reason = fields.get("reason", "no_correlate" if verdict == REJECTED else "")
            factories.decision_make(
                report, "pneumonia", verdict, finding=said[0].findings.get(label="pneumonia"), reason=reason
            )
        return sign(report) if fields.get("sign", True) else report

    return make


def sign(report: Report, status: str = "final", **fields: Any) -> Report:
    signature = {"signed_by": report.author, "signed_at": timezone.now(), "registration_number": "1"}
    Report.objects.filter(pk=report.pk).update(status=status, **signature, **fields)
    report.refresh_from_db()
    return report


@pytest.fixture
def spoken(db: None) -> ModelVersion:
    return factories.model_version_make()


@pytest.fixture
def many(signed: Callable[..., Any], spoken: ModelVersion) -> None:
    """Twenty cases with pneumonia, from 0.50 to 0.88, and twenty without, from 0.10 to 0.48."""
    for number in range(20):
        signed(0.50 + 0.02 * number, ACCEPTED)
        signed(0.10 + 0.02 * number, ABSENT)


Propose = Callable[..., ThresholdChange]


@pytest.fixture
def propose(user_for: Callable[..., User], spoken: ModelVersion, clinic: Clinic) -> Propose:
    def make(threshold: float = 0.6, **fields: Any) -> ThresholdChange:
        fields = {"user": user_for("clinicadmin"), "model": spoken, "clinic": clinic, "label": "pneumonia"} | fields
        return threshold_propose(**{"threshold": threshold, "reason": "Too many alarms"} | fields)

    return make


def applies(model: ModelVersion, clinic: Clinic, label: str = "pneumonia") -> float:
    return next(state.applies for state in states_read(model=model, clinic=clinic) if state.label == label)


# --- cases


def pneumonia(model: ModelVersion, clinic: Clinic) -> list[tuple[bool, float]]:
    cases = cases_read(model=model, clinic=clinic).get("pneumonia")
    return sorted(zip(cases.present.tolist(), cases.scores.round(3).tolist(), strict=True)) if cases else []


def test_the_readers_yes_or_no_stands_against_the_models_number(signed, spoken, clinic):
    for score, verdict in ((0.9, ACCEPTED), (0.8, REJECTED), (0.3, ADDED), (0.2, ABSENT)):
        signed(score, verdict)
    assert pneumonia(spoken, clinic) == [(False, 0.2), (False, 0.8), (True, 0.3), (True, 0.9)]


def test_drafts_and_what_cannot_be_decided_are_no_cases(signed, spoken, clinic):
    signed(0.9, ACCEPTED, sign=False)
    signed(0.8, REJECTED, reason="not_decidable")
    signed(0.7)
    assert pneumonia(spoken, clinic) == []


def test_of_several_films_the_loudest_counts(signed, spoken, clinic):
    signed(0.9, ACCEPTED, films=3)
    assert pneumonia(spoken, clinic) == [(True, 0.9)]


def test_an_amendment_counts_once_it_is_signed_and_then_instead_of_what_it_amends(signed, spoken, clinic, user_for):
    first = signed(0.9, ACCEPTED)
    author = user_for("radiologist")
    second = factories.report_make(first.study, author, "draft", supersedes=first, amendment_reason="Old scar")
    said = Finding.objects.get(label="pneumonia")
    factories.decision_make(second, "pneumonia", REJECTED, finding=said, reason="old_change")
    assert pneumonia(spoken, clinic) == [(True, 0.9)]
    sign(second, "amended")
    assert pneumonia(spoken, clinic) == [(False, 0.9)]


def test_another_version_and_another_clinic_are_other_cases(signed, spoken, clinic, other_clinic):
    other = factories.model_version_make("2.0.0", status="retired")
    signed(0.9, ACCEPTED)
    signed(0.7, ACCEPTED, model=other)
    assert pneumonia(spoken, clinic) == [(True, 0.9)]
    assert pneumonia(other, clinic) == [(True, 0.7)]
    assert pneumonia(spoken, other_clinic) == []


def test_the_second_wall_hides_the_cases_of_another_clinic(signed, spoken, clinic, other_clinic, user_for):
    signed(0.9, ACCEPTED)
    with acting_as(person(user_for("radiologist", other_clinic))):
        assert pneumonia(spoken, clinic) == []
    with acting_as(person(user_for("clinicadmin"))):
        assert pneumonia(spoken, clinic) == [(True, 0.9)]


def test_an_answer_on_trial_counts_as_unseen(signed, clinic):
    trial = factories.model_version_make("2.0.0", status="shadow")
    signed(0.9, ACCEPTED, model=trial, shadow=True)
    cases = cases_read(model=trial, clinic=clinic)["pneumonia"]
    assert (cases.positives, cases.unseen) == (1, 1)


def test_reading_cases_and_thresholds_costs_four_queries(many, spoken, clinic, django_assert_num_queries):
    with django_assert_num_queries(4):
        cases_read(model=spoken, clinic=clinic)
        states_read(model=spoken, clinic=clinic)


# --- two people


def test_a_proposal_changes_nothing_until_a_second_person_approves(many, propose, spoken, clinic, user_for):
    proposal = propose(0.6)
    assert applies(spoken, clinic) == 0.5
    threshold_approve(user=user_for("radiologist"), proposal=proposal)
    assert applies(spoken, clinic) == 0.6


def test_nobody_approves_their_own_proposal(many, propose, spoken, clinic, user_for):
    proposal = propose(user=user_for("radiologist"))
    radiologist = user_for("radiologist")
    assert code_of(lambda: threshold_approve(user=radiologist, proposal=proposal)) == "threshold_same_person"
    assert applies(spoken, clinic) == 0.5


def test_the_database_refuses_an_approval_by_who_proposed(propose, many):
    proposal = propose()
    with pytest.raises(IntegrityError, match="threshold_two_people"), transaction.atomic():
        ThresholdChange.objects.create(
            model_version=proposal.model_version,
            clinic=proposal.clinic,
            label="pneumonia",
            verb="approve",
            threshold=0.6,
            before=0.5,
            reason="I say so",
            user=proposal.user,
            proposed_by=proposal.user,
        )


@pytest.mark.parametrize("role", ["operator", "radiographer", "doctor", "system"])
def test_others_propose_nothing(many, propose, user_for, role):
    with pytest.raises(ApplicationError) as refused:
        propose(user=user_for(role))
    assert refused.value.code == "permission_denied"


@pytest.mark.parametrize("role", ["clinicadmin", "operator", "system"])
def test_others_approve_nothing(many, propose, user_for, role):
    proposal = propose(user=user_for("radiologist"))
    with pytest.raises(ApplicationError) as refused:
        threshold_approve(user=user_for(role), proposal=proposal)
    assert refused.value.code == "permission_denied"


def test_a_radiologist_of_another_clinic_approves_nothing(many, propose, user_for, other_clinic):
    with pytest.raises(ApplicationError) as refused:
        threshold_approve(user=user_for("radiologist", other_clinic), proposal=propose())
    assert refused.value.code == "permission_denied"


def test_one_proposal_waits_at_a_time(many, propose):
    propose()
    assert code_of(lambda: propose(0.7)) == "threshold_asked"


def test_a_closed_proposal_is_not_decided_again(many, propose, spoken, clinic, user_for):
    proposal = propose()
    threshold_decline(user=user_for("radiologist"), proposal=proposal)
    for decide in (threshold_approve, threshold_decline):
        again = partial(decide, user=user_for("radiologist"), proposal=proposal)
        assert code_of(again) == "threshold_not_asked"
    assert applies(spoken, clinic) == 0.5


def test_who_proposed_may_take_it_back_and_a_colleague_without_the_right_may_not(many, propose, user_for, clinic):
    proposal = propose()
    with pytest.raises(ApplicationError) as refused:
        threshold_decline(user=factories.user_make("clinicadmin", clinic), proposal=proposal)
    assert refused.value.code == "permission_denied"
    assert threshold_decline(user=proposal.user, proposal=proposal).verb == "decline"


# --- what may be chosen


def test_with_too_few_cases_nothing_is_chosen(signed, spoken, propose):
    for number in range(20):
        signed(0.9, ACCEPTED)
        if number:
            signed(0.1, ABSENT)
    with pytest.raises(ApplicationError, match="20 signed cases with and 19 without") as refused:
        propose()
    assert refused.value.code == "threshold_too_few"
    assert not ThresholdChange.objects.exists()


@pytest.mark.parametrize("threshold", [-0.001, 1.001, float("nan"), float("inf")])
def test_a_threshold_outside_zero_and_one_is_refused(many, propose, threshold):
    with pytest.raises(ApplicationError) as refused:
        propose(threshold)
    assert refused.value.code == "invalid_parameter"


@pytest.mark.parametrize("label", ["normal", "fracture", ""])
def test_a_label_on_which_nobody_decides_has_no_threshold_to_choose(many, propose, label):
    with pytest.raises(ApplicationError) as refused:
        propose(label=label)
    assert refused.value.code == "invalid_parameter"


def test_a_reason_is_asked_for(many, propose):
    with pytest.raises(ApplicationError) as refused:
        propose(reason="  ")
    assert refused.value.code == "threshold_reason_missing"


# --- the record


def test_the_approval_says_everything(many, propose, user_for, spoken, clinic):
    change = threshold_approve(user=user_for("radiologist"), proposal=propose(0.6))
    assert (change.model_version, change.clinic, change.label, change.threshold) == (spoken, clinic, "pneumonia", 0.6)
    assert (change.before, change.reason, change.cases) == (0.5, "Too many alarms", 40)
    assert (change.proposed_by, change.user) == (user_for("clinicadmin"), user_for("radiologist"))
    events = AuditEvent.objects.filter(object_type="thresholdchange", clinic=clinic).order_by("id")
    assert [(event.verb, event.user) for event in events] == [("propose", change.proposed_by), ("approve", change.user)]
    assert events[1].changes["threshold"] == ["0.500", "0.600"]
    history = OperatingPoint.pgh_event_model.objects.filter(clinic=clinic)
    assert list(history.values_list("threshold", "pgh_label")) == [(0.6, "insert")]


def test_steps_are_never_rewritten(many, propose):
    propose()
    for change in (lambda rows: rows.update(threshold=0.1), lambda rows: rows.delete()):
        with pytest.raises(DatabaseError), transaction.atomic():
            change(ThresholdChange.objects.all())


def test_a_step_is_written_in_ones_own_name_and_clinic_only(many, propose, user_for, other_clinic, spoken):
    with acting_as(person(user_for("radiologist"))):
        for where, who in (
            (other_clinic, "radiologist"),
            (user_for("radiologist").memberships.get().clinic, "operator"),
        ):
            with pytest.raises(DatabaseError, match="row-level"), transaction.atomic():
                factories.threshold_proposal_make(spoken, where, "pneumonia", 0.4, user_for(who))
        with pytest.raises(DatabaseError, match="row-level"), transaction.atomic():
            OperatingPoint.objects.create(model_version=spoken, clinic=other_clinic, label="pneumonia", threshold=0.1)
        assert OperatingPoint.objects.filter(clinic=None).update(threshold=0.1) == 0


def test_without_its_audit_no_threshold_changes(many, propose, audit_down, spoken, clinic):
    with pytest.raises(ApplicationError) as refused:
        propose()
    assert refused.value.code == "temporarily_unavailable"
    assert not ThresholdChange.objects.exists()


# --- back again


def test_going_back_to_the_cards_threshold_takes_one_person(many, propose, spoken, clinic, user_for):
    threshold_approve(user=user_for("radiologist"), proposal=propose(0.6))
    change = threshold_restore(
        user=user_for("clinicadmin"), model=spoken, clinic=clinic, label="pneumonia", reason="Misses too much"
    )
    assert (change.before, change.threshold, applies(spoken, clinic)) == (0.6, 0.5, 0.5)
    again = {
        "user": user_for("clinicadmin"),
        "model": spoken,
        "clinic": clinic,
        "label": "pneumonia",
        "reason": "Again",
    }
    assert code_of(lambda: threshold_restore(**again)) == "threshold_not_own"


def test_going_back_closes_a_proposal_that_waits(many, propose, spoken, clinic, user_for):
    threshold_approve(user=user_for("radiologist"), proposal=propose(0.6))
    waits = propose(0.7)
    threshold_restore(user=user_for("radiologist"), model=spoken, clinic=clinic, label="pneumonia", reason="Misses")
    with pytest.raises(ApplicationError, match="closed"):
        threshold_approve(user=user_for("radiologist"), proposal=waits)


# --- films


def choose(model: ModelVersion, clinic: Clinic, threshold: float, user_for: Callable[..., User]) -> None:
    """The two steps past the count of cases."""
    proposal = factories.threshold_proposal_make(model, clinic, "pneumonia", threshold, user_for("clinicadmin"))
    threshold_approve(user=user_for("radiologist"), proposal=proposal)


def thresholds_of(radiograph: Any) -> dict[str, float]:
    findings = Finding.objects.filter(prediction__radiograph=radiograph)
    return dict(findings.values_list("label", "threshold"))


def test_a_chosen_threshold_applies_to_the_films_answered_from_then_on(model, prepared, clinic, user_for):
    before = prepared(1)
    infer_waiting(worker="test")
    choose(model, clinic, 0.77, user_for)
    after = prepared(2)
    infer_waiting(worker="test")
    assert thresholds_of(before.radiograph) == model.card["operating_points"]
    assert thresholds_of(after.radiograph) == model.card["operating_points"] | {"pneumonia": 0.77}
    finding = Finding.objects.get(prediction__radiograph=after.radiograph, label="pneumonia")
    assert (finding.word == "absent") == (finding.calibrated < 0.77)


def test_a_waiting_proposal_applies_to_no_film(model, prepared, clinic, user_for):
    factories.threshold_proposal_make(model, clinic, "pneumonia", 0.77)
    job = prepared()
    infer_waiting(worker="test")
    assert thresholds_of(job.radiograph) == model.card["operating_points"]


def test_a_threshold_of_another_clinic_applies_to_no_film_here(model, prepared, other_clinic, user_for):
    proposal = factories.threshold_proposal_make(model, other_clinic, "pneumonia", 0.77)
    threshold_approve(user=user_for("radiologist", other_clinic), proposal=proposal)
    job = prepared()
    infer_waiting(worker="test")
    assert thresholds_of(job.radiograph) == model.card["operating_points"]


def test_a_new_version_inherits_no_threshold(model, prepared, clinic, user_for, tmp_path: Path):
    choose(model, clinic, 0.77, user_for)
    folder = model_folder_make(tmp_path / "newer", b"newer weights", "2.0.0")
    newer = model_activate(model=model_register(folder=folder, by="tester"), by="tester")
    job = prepared()
    infer_waiting(worker="test")
    assert job.model_version == newer
    assert thresholds_of(job.radiograph) == newer.card["operating_points"]
    assert applies(newer, clinic) == newer.card["operating_points"]["pneumonia"]
    assert applies(model, clinic) == 0.77
