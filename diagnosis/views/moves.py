"""Studies under the wrong patient, or a part of another study: who asked to move which, and the decision of a second
person.

May import: Django, `diagnosis.models`, `.selectors`, `.services.moves`, `patients`.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from diagnosis import selectors
from diagnosis.models import Study, StudyMove
from diagnosis.services.moves import NUMBER_LIMIT, REASON_LIMIT, merge_ask, move_ask, move_decide
from patients import access
from patients.access import Action
from patients.audit import audit_list
from patients.errors import ApplicationError
from patients.models import User

CLOSED_AT_MOST = 50
MERGEABLE_AT_MOST = 20
_SAID = {"moved": "The study is under the other patient now.", "left": "The study stays where it was."}
_MERGED = "The films of both studies are in this one now."


@require_safe
def moves(request: HttpRequest) -> HttpResponse:
    """What waits for a decision, the oldest first; below it what was decided lately."""
    user = request.user
    if moves_waiting(user) is None:
        raise ApplicationError("permission_denied")
    rows = _read(user)
    waiting, closed = (
        list(rows.filter(outcome="")),
        list(rows.exclude(outcome="").order_by("-decided_at")[:CLOSED_AT_MOST]),
    )
    for move in (*waiting, *closed):
        _judge(user, move)
    shown = [move for move in (*waiting, *closed) if move.patients_visible]
    audit_list(user=user, patients={each for move in shown for each in (move.from_patient, move.to_patient)})
    several = len({move.clinic_id for move in (*waiting, *closed)}) > 1
    return render(request, "diagnosis/moves.html", {"waiting": waiting, "closed": closed, "several_clinics": several})


def moves_waiting(user: User) -> int | None:
    """How many wait for a decision at the user's clinics; None for who neither asks nor decides anywhere."""
    if not any(access.clinic_ids(user, each) for each in (Action.STUDY_MOVE_REQUEST, Action.STUDY_MOVE_APPROVE)):
        return None
    return StudyMove.objects.visible_to(user).filter(outcome="").count()


def move_context(user: User, study: Study, *, signed: bool) -> dict[str, Any]:
    """What a page about one study says of it: the `move` that waits, or may this person ask for one, and to which
    other studies of the patient could the films be put (`mergeable`)?"""
    move = _read(user).filter(study=study, outcome="").first()
    if move:
        _judge(user, move)
        if move.patients_visible:
            audit_list(user=user, patients={move.to_patient})
    asks = access.can_at(user, Action.STUDY_MOVE_REQUEST, study.clinic)
    may_ask = asks and not (move or signed or study.merged_into_id)
    limits = {"number_limit": NUMBER_LIMIT, "reason_limit": REASON_LIMIT}
    mergeable = _mergeable(user, study) if may_ask and study.patient_visible else []
    return {"move": move, "may_ask_move": may_ask, "move_limits": limits, "mergeable": mergeable}


def films_elsewhere(request: HttpRequest, study: Study, page: str) -> HttpResponse | None:
    """To the same page of the study that holds the films of a merged one, for who may follow that; else None."""
    if not (study.merged_into_id and Study.objects.visible_to(request.user).filter(pk=study.merged_into_id).exists()):
        return None
    messages.info(request, "The study you asked for is a part of this one.")
    return redirect(page, study.merged_into_id)


@require_POST
def ask(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """Somebody says whose films these are, by the patient's number, or of which study (`into`), and why."""
    study = selectors.study_read(user=request.user, study_id=study_id)
    asks, where = (merge_ask, "into") if request.POST.get("into") else (move_ask, "number")
    told = {name: request.POST.get(name, "") for name in (where, "reason")}
    try:
        asks(user=request.user, study=study, **told)
    except ApplicationError as error:
        _tell(request, error)
    else:
        messages.success(request, "It is asked. Somebody else at the clinic decides; until then nobody signs a report.")
    return redirect("study_detail", study.pk)


@require_POST
def decide(request: HttpRequest, move_id: UUID) -> HttpResponse:
    """A second person moves the study or leaves it; who asked may take it back (`outcome`)."""
    move = access.get_visible(StudyMove.objects.select_related("study"), request.user, pk=move_id)
    try:
        move = move_decide(user=request.user, move=move, outcome=request.POST.get("outcome", ""))
    except ApplicationError as error:
        _tell(request, error)
    else:
        is_merged = move.into_id and move.outcome == StudyMove.Outcome.MOVED
        if is_merged:
            messages.success(request, _MERGED)
            return redirect("study_detail", move.into_id)
        messages.success(request, _SAID[move.outcome])
    return redirect("study_detail", move.study_id)


def _tell(request: HttpRequest, error: ApplicationError) -> None:
    """A refusal that the person can do something about stands on the page they come back to."""
    if error.status not in (400, 409):
        raise error
    messages.error(request, error.detail)


def _read(user: User) -> Any:
    people = ("from_patient", "to_patient", "asked_by", "decided_by", "clinic", "into")
    return StudyMove.objects.visible_to(user).select_related(*people).prefetch_related("to_patient__identifiers")


def _mergeable(user: User, study: Study) -> list[Study]:
    """The patient's other studies that have films, the latest first."""
    others = Study.objects.visible_to(user).filter(patient=study.patient_id, clinic=study.clinic_id, merged_into=None)
    others = others.exclude(pk=study.pk).annotate(views=Count("radiographs"))
    return list(others.order_by("-created_at")[:MERGEABLE_AT_MOST])


def _judge(user: User, move: Any) -> None:
    """Give a move what the templates show: is it this person's own, may they decide, may they know the patients?"""
    move.is_own = move.asked_by_id == user.pk
    move.may_decide = not move.is_own and access.can_at(user, Action.STUDY_MOVE_APPROVE, move.clinic)
    move.patients_visible = access.can_at(user, Action.PATIENT_VIEW, move.clinic)
