"""A clinic's own thresholds: one person proposes, a radiologist who is somebody else approves; anybody of the two goes
back to the card's threshold alone.

A threshold belongs to one model version at one clinic and reaches films that are answered from then on; findings keep
the threshold that applied to them. Each step is a row that stays (`ThresholdChange`) and an event in the audit. Whether
the person has signed in a moment ago is asked by the view. May import: Django, `diagnosis.models`, `.thresholds`,
`.operating`, `patients`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction

import diagnosis.errors  # noqa: F401  joins the refusals to the table
from diagnosis.models import ModelVersion, OperatingPoint, ThresholdChange
from diagnosis.operating import ENOUGH, Cases
from diagnosis.thresholds import State, cases_read, states_read
from patients import access
from patients.access import Action
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.locks import lock_wait
from patients.models import Clinic, User
from patients.text import clean_text

REASON_LIMIT = 300
_Verb = ThresholdChange.Verb
_NOBODY_KNOWS = Cases.of([])


def threshold_propose(
    *, user: User, model: ModelVersion, clinic: Clinic, label: str, threshold: float, reason: str
) -> ThresholdChange:
    """Propose a threshold for one label at one clinic, with the number of signed cases it was chosen on.

    Raises `permission_denied`, `invalid_parameter` (label, threshold), `threshold_reason_missing`, `invalid_text`,
    `threshold_too_few`, and `threshold_asked` where a proposal waits already.
    """
    access.require_at(user, Action.THRESHOLD_PROPOSE, clinic)
    if not (math.isfinite(threshold) and 0 <= threshold <= 1):
        raise ApplicationError("invalid_parameter", field="threshold", allowed="a number from 0 to 1")
    reason = _reason(reason)
    with _alone():
        state = _state(model, clinic, label)
        if state.proposed:
            raise ApplicationError("threshold_asked", who=state.proposed.user.get_username(), label=state.title)
        cases = cases_read(model=model, clinic=clinic).get(label, _NOBODY_KNOWS)
        counted: dict[str, Any] = {"positives": cases.positives, "negatives": cases.negatives}
        if not cases.are_enough:
            raise ApplicationError("threshold_too_few", label=state.title, needed=ENOUGH, **counted)
        return _record(user, model, clinic, state, _Verb.PROPOSE, threshold, reason, **counted)


def threshold_approve(*, user: User, proposal: ThresholdChange) -> ThresholdChange:
    """Let the proposed threshold apply to the clinic's films that are answered from now on.

    Raises `permission_denied`, `threshold_not_asked`, and `threshold_same_person`.
    """
    access.require_at(user, Action.THRESHOLD_APPROVE, proposal.clinic)
    with _alone():
        state = _proposed(proposal)
        if proposal.user_id == user.pk:
            raise ApplicationError("threshold_same_person")
        model, clinic = proposal.model_version, proposal.clinic
        OperatingPoint.objects.update_or_create(
            model_version=model,
            clinic=clinic,
            label=proposal.label,
            defaults={"threshold": proposal.threshold, "chosen_for": proposal.reason[:200]},
        )
        return _decided(user, proposal, state, _Verb.APPROVE)


def threshold_decline(*, user: User, proposal: ThresholdChange) -> ThresholdChange:
    """Close a proposal; who made it may take it back so. Raises `permission_denied`, `threshold_not_asked`."""
    mine = proposal.user_id == user.pk
    access.require_at(user, Action.THRESHOLD_PROPOSE if mine else Action.THRESHOLD_APPROVE, proposal.clinic)
    with _alone():
        return _decided(user, proposal, _proposed(proposal), _Verb.DECLINE)


def threshold_restore(*, user: User, model: ModelVersion, clinic: Clinic, label: str, reason: str) -> ThresholdChange:
    """Go back to the card's threshold: one person is enough, for it is the one the model was measured at. A proposal
    that waits is closed by it.

    Raises `permission_denied`, `invalid_parameter`, `threshold_reason_missing`, `invalid_text`, `threshold_not_own`.
    """
    access.require_at(user, Action.THRESHOLD_PROPOSE, clinic)
    reason = _reason(reason)
    with _alone():
        state = _state(model, clinic, label)
        if not state.is_own:
            raise ApplicationError("threshold_not_own", label=state.title)
        OperatingPoint.objects.filter(model_version=model, clinic=clinic, label=label).delete()
        return _record(user, model, clinic, state, _Verb.RESTORE, state.card, reason)


@contextmanager
def _alone() -> Iterator[None]:
    """A transaction in which nobody else changes a threshold."""
    with transaction.atomic():
        lock_wait("clinic thresholds")
        yield


def _reason(text: str) -> str:
    text = clean_text(text, field="reason", limit=REASON_LIMIT)
    if not text:
        raise ApplicationError("threshold_reason_missing")
    return text


def _state(model: ModelVersion, clinic: Clinic, label: str) -> State:
    states = {state.label: state for state in states_read(model=model, clinic=clinic)}
    if label not in states:
        raise ApplicationError("invalid_parameter", field="label", allowed=", ".join(states))
    return states[label]


def _proposed(proposal: ThresholdChange) -> State:
    """The state that waits for a decision on exactly this proposal."""
    state = _state(proposal.model_version, proposal.clinic, proposal.label)
    if state.proposed != proposal:
        raise ApplicationError("threshold_not_asked")
    return state


def _decided(user: User, proposal: ThresholdChange, state: State, verb: str) -> ThresholdChange:
    return _record(
        user,
        proposal.model_version,
        proposal.clinic,
        state,
        verb,
        proposal.threshold,
        proposal.reason,
        positives=proposal.positives,
        negatives=proposal.negatives,
        proposed_by=proposal.user,
    )


def _record(
    user: User,
    model: ModelVersion,
    clinic: Clinic,
    state: State,
    verb: str,
    threshold: float,
    reason: str,
    **facts: object,
) -> ThresholdChange:
    """Into the steps of the threshold and into the audit."""
    change = ThresholdChange.objects.create(
        model_version=model,
        clinic=clinic,
        label=state.label,
        verb=verb,
        threshold=threshold,
        before=state.applies,
        reason=reason,
        user=user,
        **facts,
    )
    told = {"threshold": [f"{state.applies:.3f}", f"{threshold:.3f}"], "finding": ["", state.label]}
    told |= {"model": ["", str(model)]} | ({"cases": ["", str(change.cases)]} if change.cases else {})
    if change.proposed_by:
        told["proposed_by"] = ["", change.proposed_by.get_username()]
    audit_record(user=user, verb=verb, target=change, clinic=clinic, changes=told, reason=reason)
    return change
