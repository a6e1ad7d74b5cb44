"""The life of model versions: registered, put on trial beside the active one, made active, retired, gone back to.

Every step is recorded with who took it, in the version's history and in the audit. `by` is the person, or a name
(`command line: root`) for who acts on the computer itself and needs no right of the site. A version becomes active when
one system administrator asked for it and another approved the same files (`MODEL_APPROVALS`).
May import: Django, `diagnosis.models`, `.services`, Keras-free modules of `mlcore`, `patients`. A hint tells the
workers that another version speaks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

import diagnosis.errors  # noqa: F401  joins the codes of models to the table
from diagnosis.models import Job, ModelChange, ModelVersion, OperatingPoint
from diagnosis.services import model_files
from diagnosis.services.queue import hint_publish
from mlcore.card import ModelCard, card_from_json, load_card
from mlcore.contracts import ModelIntegrityError
from mlcore.registry import bundled_folder, verify_files
from patients import access
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.locks import lock_wait
from patients.models import User

#: Who registers and activates the model of a release: its files are pinned by the release itself.
INSTALLATION = "shipped with the program"

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
    verify_files(folder, card)
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
    """Ask for this version to read every new film from now on: weights and card are frozen in the request, and
    another system administrator approves (`model_approve`). Where one person is enough, it is active at once.

    Raises `permission_denied`, `model_not_usable` where its files are not what was registered, `approval_asked` where
    a request waits already, and `approval_unnamed` where nobody is named who asks.
    """
    if settings.MODEL_APPROVALS < 2:
        return _move(model, _Verb.ACTIVATE, _Status.ACTIVE, by)
    _require_person(by)
    with _alone():
        model = ModelVersion.objects.get(pk=model.pk)
        if model.status == _Status.ACTIVE:
            return model
        if request := model.request:
            raise ApplicationError("approval_asked", model=str(model), who=request.by)
        _require_usable(model)
        _record(model, _Verb.REQUEST, model.status, by, files=model_files.files_fingerprint(model))
    return model


def model_approve(*, model: ModelVersion, by: User) -> ModelVersion:
    """Let a version that somebody else asked for read every new film from now on; the one before retires, its
    predictions stay. Films that are queued already are read by the version they were queued for.

    Raises `permission_denied`, `approval_not_asked`, `approval_same_person`, and `approval_void` where weights or card
    are no longer those that were asked for: the request is closed then.
    """
    _require_person(by)
    with _alone():
        model, request = _requested(model)
        if request.user_id == by.pk:
            raise ApplicationError("approval_same_person", model=str(model))
        unchanged = _fingerprint(model) == request.files
        if unchanged:
            _take(model, _Verb.ACTIVATE, _Status.ACTIVE, by, request)
        else:
            _record(model, _Verb.VOID, model.status, by)
    if not unchanged:
        raise ApplicationError("approval_void", model=str(model), who=request.by)
    hint_publish(Job.Kind.INFER)
    return model


def model_decline(*, model: ModelVersion, by: User) -> ModelVersion:
    """Close the request for a version; who asked may take it back so. Raises `permission_denied`,
    `approval_not_asked`."""
    _require_person(by)
    with _alone():
        model, _ = _requested(model)
        _record(model, _Verb.DECLINE, model.status, by)
    return model


def model_shadow(*, model: ModelVersion, by: User | str) -> ModelVersion:
    """Let this version read every new film beside the active one, unseen. Raises as `model_activate`, and
    `model_active` where it is the active one."""
    return _move(model, _Verb.SHADOW, _Status.SHADOW, by)


def model_retire(*, model: ModelVersion, by: User | str) -> ModelVersion:
    """Take this version out of use. Without an active version films are checked and kept, and read once there is one.
    Raises `permission_denied`."""
    return _move(model, _Verb.RETIRE, _Status.RETIRED, by)


def model_rollback(*, by: User | str) -> ModelVersion:
    """Go back to the version that was active before: one person is enough, for its files were approved then.

    Raises `permission_denied`, `model_not_usable`, `no_model_before`, and `approval_needed` where these very files were
    neither approved by two people nor shipped with the program.
    """
    _require(by)
    with _alone():
        before = model_before()
        if before is None:
            raise ApplicationError("no_model_before")
        if not _is_approved(before):
            raise ApplicationError("approval_needed", model=str(before))
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


def _requested(model: ModelVersion) -> tuple[ModelVersion, ModelChange]:
    """The version as it is now, and the request that waits for a decision."""
    model = ModelVersion.objects.get(pk=model.pk)
    if model.request is None:
        raise ApplicationError("approval_not_asked", model=str(model))
    return model, model.request


def _is_approved(model: ModelVersion) -> bool:
    """Did two people agree on the very files that lie there now, or did they come with the program?"""
    if settings.MODEL_APPROVALS < 2 or model_files.is_bundled(model):
        return True
    agreed = {change.files for change in model.changes.filter(verb=_Verb.ACTIVATE)}
    return _fingerprint(model) in agreed


def _fingerprint(model: ModelVersion) -> tuple[str, str] | None:
    """None where files are gone: they are no files that anybody agreed on."""
    try:
        return model_files.files_fingerprint(model)
    except ModelIntegrityError:
        return None


def _take(model: ModelVersion, verb: str, after: str, by: User | str, request: ModelChange | None = None) -> None:
    """One step, inside the caller's transaction; `request` is what was approved."""
    before = model.status
    if after != _Status.RETIRED:
        _require_usable(model)
    if after == _Status.ACTIVE:
        for active in ModelVersion.objects.filter(task=model.task, status=_Status.ACTIVE):
            _take(active, _Verb.REPLACE, _Status.RETIRED, by)
        model.approved_by = _user(by)
    model.status = after
    model.save(update_fields=["status", "approved_by"])
    _record(model, verb, before, by, request=request)
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


def _require_person(by: User | str) -> None:
    _require(by)
    if not isinstance(by, User):
        raise ApplicationError("approval_unnamed")


def _record(
    model: ModelVersion,
    verb: str,
    before: str,
    by: User | str,
    *,
    audit_verb: str = "",
    files: tuple[str, str] = ("", ""),
    request: ModelChange | None = None,
) -> None:
    """Into the version's history and into the audit: who, what, and the files that were asked for or agreed on."""
    sha256, card_sha256 = request.files if request else files
    ModelChange.objects.create(
        model_version=model,
        verb=verb,
        after=model.status,
        by=_name(by),
        user=_user(by),
        sha256=sha256,
        card_sha256=card_sha256,
    )
    told = {"by": _name(by), "asked_by": request.by if request else "", "sha256": sha256, "card_sha256": card_sha256}
    changes = {"status": [before, model.status]} | {name: ["", text] for name, text in told.items() if text}
    audit_record(user=_user(by), verb=audit_verb or verb, target=model, changes=changes)


def _user(by: User | str) -> User | None:
    return by if isinstance(by, User) else None


def _name(by: User | str) -> str:
    return by.get_username() if isinstance(by, User) else by
