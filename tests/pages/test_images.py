"""Pixels leave the site only through a checked and recorded view."""

from __future__ import annotations

import io
from uuid import uuid4

import numpy as np
import pytest
from django.urls import reverse
from PIL import Image

from diagnosis import storage
from diagnosis.monitoring import alerts_read
from patients.models import AuditEvent
from tests import factories
from tests.synthetic import as_png, as_png16, synthetic_film

pytestmark = pytest.mark.django_db


@pytest.fixture
def predicted(patient):
    """A film with its display image and maps on disk."""
    film = factories.radiograph_make(factories.study_make(patient), state="ready")
    film.display_key = storage.display_write(film.sha256, as_png(synthetic_film(3, (600, 400))))
    film.reading_key = storage.reading_write(film.sha256, as_png16(synthetic_film(3, (600, 400))))
    film.save()
    maps = np.zeros((7, 7, 2), np.float32)
    maps[1, 5, 1] = 4.0
    return factories.prediction_make(
        film, map_key=storage.maps_write(film.sha256, uuid4(), ["normal", "pneumonia"], maps)
    )


def image_url(prediction) -> str:
    return reverse("radiograph_image", args=[prediction.radiograph_id])


def reading_url(prediction) -> str:
    return reverse("reading_copy", args=[prediction.radiograph_id])


def map_url(prediction, label: str = "pneumonia") -> str:
    return reverse("prediction_map", args=[prediction.pk, label])


def body(answer) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_film_is_sent_as_the_reencoded_png_with_guarding_headers(client_for, predicted):
    answer = client_for("radiologist").get(image_url(predicted))
    assert answer.status_code == 200
    assert Image.open(io.BytesIO(body(answer))).size == (600, 400)
    expected = {
        "Content-Type": "image/png",
        "Content-Disposition": "inline",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    assert {name: answer[name] for name in expected} == expected


def test_reading_copy_is_sent_with_every_value(client_for, predicted):
    answer = client_for("radiologist").get(reading_url(predicted))
    assert (np.asarray(Image.open(io.BytesIO(body(answer)))) == np.asarray(synthetic_film(3, (600, 400))) * 16.0).all()
    assert answer["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize("address", [image_url, reading_url, map_url])
def test_every_picture_says_whose_it_is(client_for, predicted, address):
    film, answer = predicted.radiograph, client_for("radiologist").get(address(predicted))
    said = [answer["X-Study-ID"], answer["X-Radiograph-ID"], answer["X-Image-SHA256"]]
    assert said == [str(film.study_id), str(film.pk), film.sha256]


def test_film_of_before_the_reading_copy_has_none(client_for, predicted):
    type(predicted.radiograph).objects.update(reading_key="")
    assert client_for("radiologist").get(reading_url(predicted)).status_code == 404


def test_map_is_a_transparent_layer_of_the_films_proportions(client_for, predicted):
    answer = client_for("radiologist").get(map_url(predicted))
    layer = Image.open(io.BytesIO(body(answer)))
    assert (answer["Content-Type"], layer.mode) == ("image/png", "RGBA")
    assert layer.width / layer.height == pytest.approx(1.5, abs=0.01)
    opacity = np.asarray(layer)[..., 3]
    assert opacity[: layer.height // 2, layer.width // 2 :].max() > 0
    assert opacity[layer.height // 2 :].max() == 0


@pytest.mark.parametrize("address", [image_url, reading_url, map_url])
def test_each_look_is_recorded(client_for, user_for, predicted, address):
    client_for("radiologist").get(address(predicted))
    event = AuditEvent.objects.get(verb="read")
    assert (event.user, event.patient) == (user_for("radiologist"), predicted.radiograph.study.patient)


@pytest.mark.parametrize("address", [image_url, reading_url, map_url])
def test_nothing_is_sent_when_the_look_cannot_be_recorded(client_for, predicted, address, audit_down):
    answer = client_for("radiologist").get(address(predicted))
    assert answer.status_code == 503
    assert b"PNG" not in body(answer)


def test_role_that_sees_no_pixels_is_refused(client_for, predicted):
    for role in ("operator", "radiographer", "clinicadmin"):
        assert client_for(role).get(image_url(predicted)).status_code == 403
        assert client_for(role).get(reading_url(predicted)).status_code == 403
    for who in (client_for("system"), client_for("doctor"), client_for("radiologist", None)):
        assert who.get(reverse("radiograph_image", args=[uuid4()])).status_code == 404
    assert client_for("system").get(image_url(predicted)).status_code == 404


def test_other_clinic_learns_nothing(client_for, predicted, other_clinic):
    stranger = client_for("radiologist", other_clinic)
    assert stranger.get(image_url(predicted)).status_code == 404
    assert stranger.get(map_url(predicted)).status_code == 404


def test_there_is_no_map_of_an_unknown_finding_and_no_film_before_it_is_prepared(client_for, predicted):
    client = client_for("radiologist")
    assert client.get(map_url(predicted, "nonsense")).status_code == 404
    early = factories.radiograph_make(predicted.radiograph.study)
    assert client.get(reverse("radiograph_image", args=[early.pk])).status_code == 404


def test_anonymous_is_asked_to_sign_in(anonymous, predicted):
    answer = anonymous.get(image_url(predicted))
    assert answer.status_code == 302
    assert answer.url.startswith(reverse("account_login"))


def flip(path, place: int) -> None:
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("part", range(8))
@pytest.mark.parametrize("address", [image_url, reading_url, map_url])
def test_f20_a_byte_that_flipped_on_the_disk_is_found_recorded_and_not_shown(client_for, predicted, address, part):
    film = predicted.radiograph
    key = {image_url: film.display_key, reading_url: film.reading_key, map_url: predicted.map_key}[address]
    path = storage.path_of(key)
    flip(path, part * path.stat().st_size // 8 + path.stat().st_size // 16)
    answer = client_for("radiologist").get(address(predicted))
    assert answer.status_code == 500
    assert b"damaged" in body(answer)
    assert AuditEvent.objects.get(verb="read").outcome == "image_integrity"
    assert "films_damaged" in [alert.code for alert in alerts_read()]
