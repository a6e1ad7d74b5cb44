"""Model versions: register a folder, choose which one speaks.

May import: Django, `diagnosis.models`, Keras-free modules of `mlcore`, `patients`. Workers find the files by
`model_folder` and refuse any whose hash differs from the row; a hint tells them that there is a new one.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from django.conf import settings
from django.db import transaction

from diagnosis.models import Job, ModelVersion, OperatingPoint
from diagnosis.services.locks import lock_wait
from diagnosis.services.queue import hint_publish
from mlcore.card import ModelCard, card_from_json, load_card
from mlcore.contracts import ModelIntegrityError
from mlcore.registry import bundled_folder, verify_weights
from patients import access
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.models import User

_BUNDLED = "bundled/"


def model_folder(model: ModelVersion) -> Path:
    """Where the files of a model version lie."""
    if model.folder.startswith(_BUNDLED):
        return bundled_folder().parent / model.folder.removeprefix(_BUNDLED)
    return Path(settings.MODEL_ROOT) / model.folder


def model_register(*, folder: Path, activate: bool = True, user: User | None = None) -> ModelVersion:
    """The row of a model folder, made on first sight with the card's thresholds as default operating points.

    A folder outside the model store is copied into it; the bundled one stays where it is. The bundled model takes
    over from another bundled one only, never from a model that somebody chose. Raises ModelIntegrityError when
    folder and card do not agree, or when name and version already belong to other weights.
    """
    card = load_card(folder)
    verify_weights(folder, card.sha256)
    with transaction.atomic():
        lock_wait("model register")
        known = ModelVersion.objects.filter(sha256=card.sha256).first()
        if known is not None:
            return _card_update(known, card)
        if ModelVersion.objects.filter(name=card.name, version=card.version).exists():
            raise ModelIntegrityError(f"{card.name} {card.version} is already registered with other weights")
        model = ModelVersion.objects.create(
            name=card.name,
            version=card.version,
            sha256=card.sha256,
            card=card.to_json(),
            folder=_stored(folder, card),
            approved_by=user,
        )
        OperatingPoint.objects.bulk_create(
            OperatingPoint(
                model_version=model, label=label, threshold=point, chosen_for=card.operating_points_aim[:200]
            )
            for label, point in card.operating_points.items()
        )
        audit_record(user=user, verb="create", target=model)
        if activate and _may_take_over(model):
            _activate(model, user)
    hint_publish(Job.Kind.INFER)
    return model


def model_activate(*, model: ModelVersion, user: User) -> ModelVersion:
    """Let this version speak from now on; the one before retires. Raises `permission_denied`.

    Earlier predictions stay. Films that no model has seen are queued by the sweeper.
    """
    if not access.is_system_admin(user):
        raise ApplicationError("permission_denied")
    with transaction.atomic():
        lock_wait("model register")
        _activate(model, user)
    hint_publish(Job.Kind.INFER)
    return model


def same_numbers(one: ModelCard, other: ModelCard) -> bool:
    """Do two cards of the same weights make the same numbers of a film? Texts and metrics may differ."""
    return (one.labels, one.preprocessing, one.calibration) == (other.labels, other.preprocessing, other.calibration)


def _card_update(model: ModelVersion, card: ModelCard) -> ModelVersion:
    """Take over corrected texts and metrics of a version that is registered already."""
    if not same_numbers(card_from_json(model.card), card):
        raise ModelIntegrityError(f"{model} is already registered with another recipe")
    if model.card != card.to_json():
        model.card = card.to_json()
        model.save(update_fields=["card"])
        audit_record(user=None, verb="update", target=model)
    return model


def _activate(model: ModelVersion, user: User | None) -> None:
    active = ModelVersion.objects.filter(task=model.task, status=ModelVersion.Status.ACTIVE)
    active.exclude(pk=model.pk).update(status=ModelVersion.Status.RETIRED)
    model.status = ModelVersion.Status.ACTIVE
    model.save(update_fields=["status"])
    audit_record(user=user, verb="activate", target=model)


def _may_take_over(model: ModelVersion) -> bool:
    if not model.folder.startswith(_BUNDLED):
        return True
    active = ModelVersion.objects.filter(task=model.task, status=ModelVersion.Status.ACTIVE)
    return not active.exclude(folder__startswith=_BUNDLED).exists()


def _stored(folder: Path, card: ModelCard) -> str:
    """The folder's name in the model store."""
    bundled = bundled_folder().parent
    if folder.resolve().is_relative_to(bundled.resolve()):
        return _BUNDLED + folder.resolve().relative_to(bundled.resolve()).as_posix()
    store = Path(settings.MODEL_ROOT).resolve()
    if folder.resolve().is_relative_to(store):
        return folder.resolve().relative_to(store).as_posix()
    name = card.sha256[:16]
    shutil.copytree(folder, store / name, dirs_exist_ok=True)
    return name
