"""What leaves the site of a film: a picture made anew, without anything its file carried, and never the file itself."""

from __future__ import annotations

import io
import re
import struct
import subprocess

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from diagnosis.models import Prediction, Radiograph
from diagnosis.services.prepare import films_prepare
from diagnosis.services.queue import jobs_claim
from tests import factories
from tests.access.table import API as API_TABLE
from tests.access.table import PAGES
from tests.bad_inputs.desk import API, PAGE
from tests.encodings import as_dicom, as_png
from tests.films import synthetic_film
from tests.synthetic import bad_files

pytestmark = pytest.mark.django_db
FILM = synthetic_film(31)
#: Words that only the file says; the chosen patient is another matter of the pages.
SECRETS = (b"DOE", b"JOHN", b"0042", b"Secret Street", b"<script", b"PK\3\4", b"alert(1)")
HEADERS = {
    "Content-Type": "image/png",
    "Content-Disposition": "inline",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def _full_jpeg() -> bytes:
    """With EXIF, a position, a comment, a colour profile and XMP."""
    exif = Image.Exif()
    exif[0x010E], exif[0x013B] = "PATIENT DOE^JOHN", "Secret Street 1"
    exif.get_ifd(0x8825)[1] = "N"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    stream = io.BytesIO()
    FILM.convert("RGB").save(
        stream, "JPEG", quality=95, exif=exif, icc_profile=profile, comment=b"DOE^JOHN", xmp=b"<x>DOE^JOHN 0042</x>"
    )
    return stream.getvalue()


def _full_png() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("PatientName", "DOE^JOHN")
    info.add_text("Address", "Secret Street 1", zip=True)
    info.add_itxt("Comment", "DOE^JOHN 0042")
    stream = io.BytesIO()
    FILM.save(stream, "PNG", pnginfo=info, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0", dpi=(300, 300))
    return stream.getvalue()


FILES = {
    "jpeg": (_full_jpeg(), "film.jpg", "image/jpeg"),
    "png": (_full_png(), "film.png", "image/png"),
    "dicom": (as_dicom(FILM, PatientAddress="Secret Street 1"), "film.dcm", "application/dicom"),
    **{
        name: bad_files()[name][:3]
        for name in ("jpeg with a zip tail", "png with an html tail", "gif with a script tail")
    },
}


@pytest.fixture
def john(clinic):
    return factories.patient_make(clinic, "John Doe", mrn="0042", birth_year=1970)


@pytest.fixture
def prepared(api_for, john):
    """Send a file as an operator and prepare it: its film."""

    def make(data: bytes, name: str = "film.png", kind: str = "image/png") -> Radiograph:
        body = {"patient": john.pk, "file": io.BytesIO(data)}
        body["file"].name, body["file"].content_type = name, kind
        sent = api_for("operator").post("/api/v1/studies/", body, format="multipart", headers={"Idempotency-Key": name})
        assert sent.status_code == 201, sent.content
        (job,) = jobs_claim(kind="prepare", limit=1, worker="test")
        films_prepare([job])
        return Radiograph.objects.get(pk=sent.json()["radiograph"])

    return make


def body_of(answer) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def chunks(png: bytes) -> list[bytes]:
    at, names = 8, []
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        names.append(png[at + 4 : at + 8])
        at += 12 + length
    assert at == len(png)
    return names


READING = "reading"


@pytest.mark.parametrize("way", [API, PAGE, READING])
@pytest.mark.parametrize("name", FILES)
def test_each_copy_carries_pixels_and_nothing_else(name, way, prepared, api_for, client_for):
    film = prepared(*FILES[name])
    if way == API:
        answer = api_for("radiologist").get(f"/api/v1/radiographs/{film.pk}/image/")
    else:
        answer = client_for("radiologist").get(f"/images/{film.pk}/{'reading/' if way == READING else ''}")
    png = body_of(answer)
    assert {header: answer.headers[header] for header in HEADERS} == HEADERS
    assert set(chunks(png)) == {b"IHDR", b"IDAT", b"IEND"}
    assert not [secret for secret in SECRETS if secret in png]
    picture = Image.open(io.BytesIO(png))
    mode = "I;16" if way == READING and name == "dicom" else "L"
    assert (picture.size, picture.mode, picture.info, len(picture.getexif())) == ((512, 512), mode, {}, 0)


def _addresses(film: Radiograph, prediction: Prediction) -> list[str]:
    """Every address of the access table that is read, at this film."""
    ids = {
        "patient_id": film.study.patient_id,
        "study_id": film.study_id,
        "radiograph_id": film.pk,
        "prediction_id": prediction.pk,
        "model_id": prediction.model_version_id,
        "label": "pneumonia",
        "figure": "roc",
    }
    of_list = {
        "patients": film.study.patient_id,
        "studies": film.study_id,
        "radiographs": film.pk,
        "jobs": film.jobs.first().pk,
        "predictions": prediction.pk,
        "model-versions": prediction.model_version_id,
    }
    paths = [line.split()[1] for line in (PAGES + API_TABLE).splitlines() if line.startswith("GET ")]
    found = []
    for path in paths:
        thing = path.split("/")[3] if path.startswith("/api/") else ""
        path = path.replace("<str:id>", str(of_list.get(thing, "")))
        found.append(re.sub(r"<\w+:(\w+)>", lambda match: str(ids.get(match.group(1), "1")), path))
    return found


def test_no_address_gives_the_file_that_was_sent(prepared, client_for, user_for):
    mark = b"MARK-OF-THE-ORIGINAL"
    original = as_png(FILM, text={"Comment": mark.decode()})
    film = prepared(original)
    pixels = original[len(original) // 2 :][:64]
    prediction = factories.prediction_make(film)
    key = f"{film.sha256[:2]}/{film.sha256}"
    guesses = [
        f"{start}{folder}/{key}"
        for start in ("/media/", "/protected/", "/static/", "/static/../", "/static/%2e%2e/media/", "/")
        for folder in ("originals", "media/originals")
    ]
    asked = [*_addresses(film, prediction), *guesses]
    assert len(asked) > 40
    for role in ("radiologist", "system"):
        client = client_for(role)
        for address in asked:
            content = body_of(client.get(address))
            assert mark not in content, (role, address)
            assert pixels not in content, (role, address)


def test_only_prepare_and_the_checks_of_the_store_read_originals():
    """The views and the API have no way to the bytes: nothing of theirs names the store of originals."""
    named = subprocess.run(
        ["grep", "-rlE", r"original_(read|key)|ORIGINALS|originals_stored", "diagnosis", "cxrsite", "patients"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    web = [name for name in named if re.search(r"/(views|api|templatetags)/|urls\.py|admin\.py", name)]
    assert web == []
