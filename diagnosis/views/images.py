"""Pixels: the film as prepare re-encoded it, and the model's map over it. The only way an image leaves the site.

Checks the right and the file, then records, then sends; if the record cannot be written nothing is sent. Every answer
says whose it is (`X-Study-ID`, `X-Radiograph-ID`, `X-Image-SHA256` of the original), so that a viewer can refuse to
paint another film than the one it asked for.
May import: Django, `diagnosis.models`, `diagnosis.storage`, `mlcore.display`, `mlcore.explain`, `patients`; no keras.
"""

from __future__ import annotations

import logging
from uuid import UUID

import numpy as np
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from django_sendfile import sendfile
from PIL import Image

from diagnosis import storage
from diagnosis.models import Prediction, Radiograph
from diagnosis.services.retention import expired_refuse
from mlcore.contracts import DecodedImage, HeaderFacts
from mlcore.display import overlay_png
from mlcore.explain import finding_map
from patients import access
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.models import User

log = logging.getLogger("diagnosis.images")

HEADERS = {
    "Cache-Control": "private, no-store",
    "Content-Disposition": "inline",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


@require_safe
def radiograph_image(request: HttpRequest, radiograph_id: UUID) -> HttpResponse:
    """The display PNG of a film. `not_found` while it is not prepared."""
    film = _film(request.user, radiograph_id)
    return _picture(request, film, film.display_key)


@require_safe
def reading_copy(request: HttpRequest, radiograph_id: UUID) -> HttpResponse:
    """The film's own values as a grey PNG of 8 or 16 bits. `not_found` where it was prepared without one."""
    film = _film(request.user, radiograph_id)
    return _picture(request, film, film.reading_key)


@require_safe
def prediction_map(request: HttpRequest, prediction_id: UUID, label: str) -> HttpResponse:
    """The heat layer of one finding as a transparent PNG of the film's proportions."""
    predictions = Prediction.objects.visible_to(request.user).select_related("model_version")
    prediction = predictions.filter(pk=prediction_id).first()
    if prediction is None or not prediction.map_key:
        raise ApplicationError("not_found")
    film = _film(request.user, prediction.radiograph_id)
    _require_whole(request.user, film, prediction, prediction.map_key)
    _record(request.user, film, prediction)
    labels, maps = storage.maps_read(prediction.map_key)
    if label not in labels:
        raise ApplicationError("not_found")
    exclusive = prediction.model_version.card.get("architecture", {}).get("exclusive", True)
    layer = overlay_png(_outline(film), finding_map(maps, labels.index(label), exclusive=exclusive))
    response = _guarded(HttpResponse(layer, content_type="image/png"), film)
    response["X-Prediction-ID"], response["X-Finding"] = str(prediction.pk), label
    return response


def _picture(request: HttpRequest, film: Radiograph, key: str) -> HttpResponse:
    if not key:
        raise ApplicationError("not_found")
    _require_whole(request.user, film, film, key)
    _record(request.user, film, film)
    return _guarded(sendfile(request, storage.path_of(key), mimetype="image/png"), film)


def _film(user: User, radiograph_id: UUID) -> Radiograph:
    """The film, when its pixels may be seen: out of scope is 404, in scope but forbidden 403, no longer kept 410."""
    films = Radiograph.objects.select_related("clinic", "study__patient")
    film = access.get_visible(films, user, pk=radiograph_id)
    if not Radiograph.objects.image_visible_to(user).filter(pk=film.pk).exists():
        raise ApplicationError("permission_denied")
    expired_refuse(film)
    return film


def _outline(film: Radiograph) -> DecodedImage:
    """The proportions of the displayed film, without its pixels."""
    with Image.open(storage.path_of(film.display_key), formats=("PNG",)) as shown:
        width, height = shown.size
    return DecodedImage(np.broadcast_to(np.float32(0), (height, width)), HeaderFacts("png", width, height))


def _require_whole(user: User, film: Radiograph, target: Radiograph | Prediction, key: str) -> None:
    """What rotted on the disk is not shown: it is recorded, which raises the alarm, and refused."""
    try:
        storage.derived_verify(key)
    except ApplicationError as error:
        if error.code == "image_integrity":
            log.critical("a stored picture of radiograph %s is damaged", film.pk)
            _record(user, film, target, outcome=error.code)
        raise


def _record(user: User, film: Radiograph, target: Radiograph | Prediction, *, outcome: str = "ok") -> None:
    audit_record(user=user, verb="read", target=target, clinic=film.clinic, patient=film.study.patient, outcome=outcome)


def _guarded(response: HttpResponse, film: Radiograph) -> HttpResponse:
    whose = {"X-Study-ID": film.study_id, "X-Radiograph-ID": film.pk, "X-Image-SHA256": film.sha256}
    for name, value in (HEADERS | whose).items():
        response[name] = str(value)
    response._csp_exempt = True
    return response
