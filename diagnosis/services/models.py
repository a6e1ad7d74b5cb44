"""The life of model versions: registered, put on trial beside the active one, made active, retired, gone back to.

Every step is recorded with who took it, in the version's history and in the audit. `by` is the person, or a name
(`command line: root`, `installation`) for who acts on the computer itself and needs no right of the site.
May import: Django, `diagnosis.models`, `.services`, Keras-free modules of `mlcore`, `patients`. A hint tells the
workers that another version speaks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import transaction
from django.db.models.functions import Now

import diagnosis.errors  # noqa: F401  joins the codes of models to the table
from diagnosis.models import Job, ModelChange, ModelVersion, OperatingPoint
from diagnosis.services import model_files
from diagnosis.services.locks import lock_wait
from diagnosis.services.queue import hint_publish
from mlcore.card import ModelCard, card_from_json, load_card
from mlcore.contracts import ModelIntegrityError
from mlcore.registry import bundled_folder, verify_weights
from patients import access
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.models import User

INSTALLATION = "installation"

_Status = ModelVersion.Status
_Verb = ModelChange.Verb


# --- making versions known


def model_register(*, folder: Path, by: User | str) -> ModelVersion:
    """The version of a model folder, registered on first sight with the card's thresholds as default operating points.

    The files are copied into the model store. A version that is known already takes over corrected texts, metrics and
    pictures, nothing else. Raises ModelIntegrityError when folder and card do not agree, or when name and version
    already stand for another recipe; `permission_denied`.
    """
    card = load_card(folder)
    verify_weights(folder, card.sha256)
    _require(by)
    with _alone():
        known = ModelVersion.objects.filter(name=card.name, version=card.version).first()
        if known is not None:
            return _update(known, folder, card, by)
        model = ModelVersion.objects.create(
            name=card.name,
            version=card.version,
            sha256=card.sha256,
            card=card.to_json(),
            folder=model_files.files_store(folder, card),
        )
        OperatingPoint.objects.bulk_create(
            OperatingPoint(
                model_version=model, label=label, threshold=point, chosen_for=card.operating_points_aim[:200]
            )
            for label, point in card.operating_points.items()
        )
        _record(model, _Verb.REGISTER, "", by, audit_verb="create")
    return model


def bundled_register() -> ModelVersion | None:
    """Register the model that ships with the program, if one does. A new one takes over from another bundled one, and
    where no version ever spoke; never from a model that somebody chose, or where somebody retired the last one."""
    if not (bundled_folder() / "card.json").exists():
        return None
    with _alone():
        before = set(ModelVersion.objects.values_list("pk", flat=True))
        model = model_register(folder=bundled_folder(), by=INSTALLATION)
        takes_over = model.pk not in before and _may_take_over(model)
        if takes_over:
            _take(model, _Verb.ACTIVATE, _Status.ACTIVE, INSTALLATION)
    if takes_over:
        hint_publish(Job.Kind.INFER)
    return model


def _may_take_over(model: ModelVersion) -> bool:
    active = ModelVersion.objects.filter(task=model.task, status=_Status.ACTIVE).first()
    if active is None:
        return not ModelChange.objects.filter(after=_Status.ACTIVE).exists()
    return model_files.is_bundled(active)


def _update(model: ModelVersion, folder: Path, card: ModelCard, by: User | str) -> ModelVersion:
    """Take over corrected texts, metrics and pictures of a version that is registered already."""
    if model.sha256 != card.sha256:
        raise ModelIntegrityError(f"{model} is already registered with other weights; give this one another version")
    if not model_files.same_numbers(card_from_json(model.card), card):
        raise ModelIntegrityError(f"{model} is already registered with another recipe; give this one another version")
    model.folder = model_files.files_store(folder, card)
    changed, model.card = model.card != card.to_json(), card.to_json()
    model.save(update_fields=["card", "folder"])
    if changed:
        audit_record(user=_user(by), verb="update", target=model)
    return model


# --- moves


def model_activate(*, model: ModelVersion, by: User | str) -> ModelVersion:
    """Let this version read every new film from now on; the one before retires, its predictions stay.

    Films that are queued already are read by the version they were queued for. Raises `permission_denied`, and
    `model_not_usable` where its files are not what was registered.
    """
    return _move(model, _Verb.ACTIVATE, _Status.ACTIVE, by)


def model_shadow(*, model: ModelVersion, by: User | str) -> ModelVersion:
    """Let this version read every new film beside the active one, unseen. Raises as `model_activate`, and
    `model_active` where it is the active one."""
    return _move(model, _Verb.SHADOW, _Status.SHADOW, by)


def model_retire(*, model: ModelVersion, by: User | str) -> ModelVersion:
    """Take this version out of use. Without an active version films are checked and kept, and read once there is one.
    Raises `permission_denied`."""
    return _move(model, _Verb.RETIRE, _Status.RETIRED, by)


def model_rollback(*, by: User | str) -> ModelVersion:
    """Go back to the version that was active before. Raises as `model_activate`, and `no_model_before`."""
    _require(by)
    with _alone():
        before = model_before()
        if before is None:
            raise ApplicationError("no_model_before")
        _take(before, _Verb.ROLLBACK, _Status.ACTIVE, by)
    hint_publish(Job.Kind.INFER)
    return before


def model_before() -> ModelVersion | None:
    """The version to which `model_rollback` would go back, read from the history: each activation lies upon the one
    before, going back and retiring take the topmost away."""
    pile: list[ModelVersion] = []
    active = None
    for change in ModelChange.objects.select_related("model_version").order_by("id"):
        model = change.model_version
        if change.verb == _Verb.ACTIVATE:
            active = model
            pile.append(model)
        elif change.verb == _Verb.ROLLBACK:
            active = model
            while pile and pile[-1] != model:
                pile.pop()
        elif change.verb == _Verb.RETIRE and model == active:
            active = None
            pile.pop()
    return next((model for model in reversed(pile) if model != active), None)


def _move(model: ModelVersion, verb: str, after: str, by: User | str) -> ModelVersion:
    _require(by)
    with _alone():
        model.refresh_from_db(fields=["status", "card", "folder"])
        if model.status == after:
            return model
        if after == _Status.SHADOW and model.status == _Status.ACTIVE:
            raise ApplicationError("model_active")
        _take(model, verb, after, by)
    hint_publish(Job.Kind.INFER)
    return model


def _take(model: ModelVersion, verb: str, after: str, by: User | str) -> None:
    """One step, inside the caller's transaction."""
    before = model.status
    if after != _Status.RETIRED:
        _require_usable(model)
    if after == _Status.ACTIVE:
        for active in ModelVersion.objects.filter(task=model.task, status=_Status.ACTIVE):
            _take(active, _Verb.REPLACE, _Status.RETIRED, by)
        model.approved_by = _user(by)
    model.status = after
    model.save(update_fields=["status", "approved_by"])
    _record(model, verb, before, by)
    if before == _Status.SHADOW:
        trial = Job.objects.filter(model_version=model, shadow=True, state=Job.State.QUEUED)
        trial.update(state=Job.State.CANCELLED, finished_at=Now())


@contextmanager
def _alone() -> Iterator[None]:
    """A transaction in which nobody else changes what is registered and what speaks."""
    with transaction.atomic():
        lock_wait("model register")
        yield


def _require(by: User | str) -> None:
    if not by or (isinstance(by, User) and not access.is_system_admin(by)):
        raise ApplicationError("permission_denied")


def _require_usable(model: ModelVersion) -> None:
    try:
        model_files.files_verify(model_files.model_folder(model), card_from_json(model.card))
    except ModelIntegrityError as error:
        raise ApplicationError("model_not_usable", model=str(model), reason=str(error)) from error


def _record(model: ModelVersion, verb: str, before: str, by: User | str, *, audit_verb: str = "") -> None:
    ModelChange.objects.create(model_version=model, verb=verb, after=model.status, by=_name(by))
    changes = _changes(before, model.status, by)
    audit_record(user=_user(by), verb=audit_verb or verb, target=model, changes=changes)


def _changes(before: str, after: str, by: User | str) -> dict[str, list[str]]:
    return {"status": [before, after], "by": ["", _name(by)]}


def _user(by: User | str) -> User | None:
    return by if isinstance(by, User) else None


def _name(by: User | str) -> str:
    return by.get_username() if isinstance(by, User) else by
