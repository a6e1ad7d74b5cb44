"""Sending films over HTTP with real bytes: what is accepted, fields, repeats, faults. Bad files: `tests/bad_inputs`."""

from __future__ import annotations

import hashlib
import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from diagnosis.models import Job, Radiograph, Study
from diagnosis.services.models import bundled_register
from patients.models import AuditEvent
from tests import factories as make
from tests.api.problems import assert_problem
from tests.synthetic import (
    as_dicom,
    as_gif,
    as_jpeg,
    as_png,
    synthetic_film,
)

pytestmark = pytest.mark.django_db

URL = "/api/v1/studies/"
FILM = synthetic_film(11)
PNG = as_png(FILM)
BOUNDARY = "film-boundary"


@pytest.fixture
def client(api_for):
    return api_for("operator")


@pytest.fixture
def dicom_patient(clinic):
    """The patient whom the DICOM test files name."""
    return make.patient_make(clinic, "John Doe", mrn="0042", birth_year=1970)


def send(client, patient, data=PNG, *, name="film.png", kind="image/png", key=None, url=URL, **fields):
    body = {"file": SimpleUploadedFile(name, data, kind), **fields}
    if patient is not None:
        body["patient"] = getattr(patient, "pk", patient)
    headers = {"Idempotency-Key": key or str(uuid.uuid4())}
    return client.post(url, body, format="multipart", headers=headers)


def part(name, value, filename=""):
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
    head += f'; filename="{filename}"\r\nContent-Type: image/png' if filename else ""
    return head.encode() + b"\r\n\r\n" + (value if isinstance(value, bytes) else value.encode()) + b"\r\n"


def send_raw(client, body, **extra):
    return client.generic(
        "POST",
        URL,
        body,
        content_type=f"multipart/form-data; boundary={BOUNDARY}",
        headers={"Idempotency-Key": "k", **extra.pop("headers", {})},
        **extra,
    )


def nothing_is_kept(media_root):
    films = [each for each in media_root.rglob("*") if each.is_file()]
    rows = Study.objects.count(), Radiograph.objects.count(), Job.objects.count()
    return films == [] and rows == (0, 0, 0)


# --- accepted


def test_an_upload_is_answered_with_the_study_as_it_is_read_afterwards(client, patient):
    sent = send(client, patient, indication="cough").json()
    read = client.get(sent["url"]).json()
    for job in (*sent["radiographs"][0]["jobs"], *read["radiographs"][0]["jobs"]):
        job.pop("place")
    assert {name: sent[name] for name in read} == read


def test_a_film_is_stored_and_its_jobs_are_queued(client, patient, media_root):
    response = send(client, patient, view="PA", indication="cough,\nfever", urgency="urgent", accession_number="A-1")
    assert response.status_code == 201, response.content
    body = response.json()
    (film,) = body["radiographs"]
    assert film["state"] == "received"
    assert [(job["kind"], job["state"], job["place"]) for job in film["jobs"]] == [("prepare", "queued", 1)]
    assert film["sha256"] == hashlib.sha256(PNG).hexdigest()
    assert (body["radiograph"], film["view"]) == (film["id"], "PA")
    assert (body["patient"], body["indication"], body["urgency"]) == (str(patient.pk), "cough, fever", "urgent")
    assert (body["accession_number"], body["source"], body["code"]) == ("A-1", "api", "")
    assert response.headers["Location"] == f"{URL}{body['id']}/"
    stored = media_root / "originals" / film["sha256"][:2] / film["sha256"]
    assert stored.read_bytes() == PNG
    shown = client.get(film["url"]).json()
    assert (shown["study"], shown["state"], shown["predictions"]) == (body["id"], "received", [])


@pytest.mark.parametrize(
    ("name", "kind", "data"),
    [
        ("film.png", "image/png", PNG),
        ("FILM.PNG", "application/octet-stream", PNG),
        ("film.jpg", "image/jpeg", as_jpeg(FILM)),
        ("film.jpeg", "image/jpeg", as_jpeg(FILM)),
        ("film.gif", "image/gif", as_gif(FILM)),
        ("film.dcm", "application/dicom", as_dicom(FILM)),
        ("रोगी.png", "image/png", PNG),
        ("../../etc/film.png", "image/png", PNG),
    ],
)
def test_every_accepted_kind_of_film_is_accepted(name, kind, data, client, dicom_patient):
    assert send(client, dicom_patient, data, name=name, kind=kind).status_code == 201


def test_a_study_gets_another_view(client, patient):
    study = send(client, patient).json()
    url = f"{URL}{study['id']}/radiographs/"
    response = send(client, None, as_png(synthetic_film(12)), url=url, view="AP")
    assert response.status_code == 201
    assert [film["view"] for film in response.json()["radiographs"]] == ["unknown", "AP"]
    assert response.json()["radiograph"] == response.json()["radiographs"][1]["id"]
    assert Study.objects.count() == 1


def test_a_study_names_its_referring_doctor(client, user_for, patient):
    doctor = user_for("doctor")
    assert send(client, patient, referring_doctor=doctor.username).json()["referring_doctor"] == doctor.username
    other = send(client, patient, as_png(synthetic_film(13)), referring_doctor="nobody")
    assert "referring_doctor" in assert_problem(other, "invalid_input")["errors"]


# --- refused on the post


def test_a_file_over_the_limit(client, patient, settings, media_root):
    settings.MAX_UPLOAD_BYTES = 100_000
    assert len(PNG) > 100_000
    assert_problem(send(client, patient), "file_too_large", 413)
    assert nothing_is_kept(media_root)


def test_a_body_that_only_says_it_is_multipart(client):
    assert_problem(send_raw(client, b"\x89PNG" * 100), "length_mismatch", 400)


def test_bytes_that_differ_from_the_declared_hash(client, patient, media_root):
    assert_problem(send(client, patient, sha256="0" * 64), "checksum_mismatch", 422)
    assert nothing_is_kept(media_root)
    assert send(client, patient, sha256=hashlib.sha256(PNG).hexdigest().upper()).status_code == 201


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("indication", "a\0b", "invalid_text"),
        ("indication", "a" * 1_000_000, "invalid_text"),
        ("indication", "\u202eevil", "invalid_text"),
        ("accession_number", "A\r\nX: 1", "invalid_text"),
        ("accession_number", "a" * 65, "invalid_text"),
        ("indicaton", "typing error", "unknown_field"),
        ("id", "1", "unknown_field"),
    ],
)
def test_bad_text_and_unknown_fields(field, value, code, client, patient, media_root):
    detail = assert_problem(send(client, patient, **{field: value}), code, 400)["detail"]
    assert detail.startswith(field)
    assert nothing_is_kept(media_root)


@pytest.mark.parametrize(("field", "value"), [("view", "lateral"), ("urgency", "soon"), ("sha256", "abc")])
def test_values_that_are_not_listed(field, value, client, patient):
    assert field in assert_problem(send(client, patient, **{field: value}), "invalid_input", 400)["errors"]


def test_an_accession_number_in_use(client, patient):
    send(client, patient, accession_number="A-1")
    response = send(client, patient, as_png(synthetic_film(12)), accession_number="A-1")
    assert_problem(response, "accession_taken", 409)


# --- whose film

UNKNOWN = "5c2d8a9e-0000-4000-8000-000000000000"


@pytest.mark.parametrize("given", ["foreign", UNKNOWN, "17", "", "a\0b"])
def test_a_foreign_unknown_or_malformed_patient(given, client, foreign_patient, media_root):
    patient = str(foreign_patient.pk) if given == "foreign" else given
    assert_problem(send(client, patient), "not_found", 404)
    assert nothing_is_kept(media_root)


@pytest.mark.parametrize("given", ["foreign", UNKNOWN, "17"])
def test_a_foreign_unknown_or_malformed_study(given, client, foreign_patient):
    study = make.study_make(foreign_patient).pk if given == "foreign" else given
    assert_problem(send(client, None, url=f"{URL}{study}/radiographs/"), "not_found", 404)


@pytest.mark.parametrize("role", ["doctor", "clinicadmin", "system"])
def test_who_may_not_send_films_is_told_so(role, api_for, patient):
    assert_problem(send(api_for(role), patient), "permission_denied", 403)


def test_a_clinic_administrator_adds_no_film_to_a_study(api_for, patient):
    url = f"{URL}{make.study_make(patient).pk}/radiographs/"
    assert_problem(send(api_for("clinicadmin"), None, url=url), "permission_denied", 403)


def test_nobody_sends_films_without_a_token(anonymous, patient):
    response = anonymous.post(URL, {"patient": str(patient.pk), "file": SimpleUploadedFile("film.png", PNG)})
    assert_problem(response, "not_authenticated", 401)


def test_the_same_bytes_under_another_patient_of_the_clinic(client, clinic, patient):
    send(client, patient)
    response = send(client, make.patient_make(clinic, "Other Person"))
    body = assert_problem(response, "image_under_other_patient", 409)
    assert "Asha" not in str(body)
    assert "0017" not in str(body)
    assert Radiograph.objects.count() == 1
    assert AuditEvent.objects.filter(outcome="image_under_other_patient").exists()


def test_the_same_bytes_at_another_clinic_are_new_and_reveal_nothing(api_for, client, patient, other_clinic):
    send(client, patient)
    response = send(api_for("operator", other_clinic), make.patient_make(other_clinic, "Bela"))
    assert response.status_code == 201
    assert (response.json()["code"], response.json()["warnings"]) == ("", [])


def test_a_dicom_instance_with_other_content(client, dicom_patient):
    uid = "1.2.826.0.1.3680043.10.1"
    first = as_dicom(FILM, SOPInstanceUID=uid)
    second = as_dicom(synthetic_film(12), SOPInstanceUID=uid)
    assert send(client, dicom_patient, first, name="a.dcm", kind="application/dicom").status_code == 201
    response = send(client, dicom_patient, second, name="b.dcm", kind="application/dicom")
    assert_problem(response, "dicom_instance_conflict", 409)


# --- repeats


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": ""}, {"Idempotency-Key": "   "}])
def test_no_key(headers, client, patient):
    body = {"file": SimpleUploadedFile("film.png", PNG), "patient": patient.pk}
    assert_problem(client.post(URL, body, format="multipart", headers=headers), "idempotency_key_required", 400)


@pytest.mark.parametrize("key", ["k" * 256, "a\tb"])
def test_an_impossible_key(key, client, patient):
    assert_problem(send(client, patient, key=key), "invalid_text", 400)


def test_the_same_key_with_the_same_content_gives_the_same_study(client, patient):
    first = send(client, patient, key="one")
    again = send(client, patient, key="one")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["Idempotent-Replay"] == "true"
    assert again.json()["id"] == first.json()["id"]
    assert again.json()["code"] == ""
    assert Radiograph.objects.count() == Job.objects.count() == 1


@pytest.mark.parametrize("change", ["film", "field", "patient"])
def test_the_same_key_with_other_content(change, client, clinic, patient):
    send(client, patient, key="one")
    other = make.patient_make(clinic, "Other Person") if change == "patient" else patient
    data = as_png(synthetic_film(12)) if change == "film" else PNG
    fields = {"urgency": "urgent"} if change == "field" else {}
    assert_problem(send(client, other, data, key="one", **fields), "idempotency_key_reused", 422)


def test_the_same_key_while_the_first_upload_still_runs(client, patient, monkeypatch):
    monkeypatch.setattr("diagnosis.services.intake.lock_try", lambda name: False)
    response = send(client, patient, key="one")
    assert_problem(response, "idempotency_in_progress", 409)
    assert response.headers["Retry-After"] == "2"


def test_the_same_key_of_another_user_is_another_key(api_for, client, patient):
    send(client, patient, key="one")
    response = send(api_for("radiographer"), patient, as_png(synthetic_film(12)), key="one")
    assert response.status_code == 201


def test_the_same_bytes_for_the_same_patient(client, patient):
    first = send(client, patient)
    again = send(client, patient)
    assert again.status_code == 200
    assert (again.json()["id"], again.json()["code"]) == (first.json()["id"], "duplicate_of")
    assert again.json()["message"].startswith("Already sent on ")
    assert "Idempotent-Replay" not in again.headers
    assert Radiograph.objects.count() == Job.objects.count() == 1


# --- faults of ours


def test_a_full_disk_saves_nothing_and_says_so(client, patient, media_root, settings, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    response = send(client, patient)
    assert_problem(response, "storage_unavailable", 503)
    assert response.headers["Retry-After"] == "30"
    assert (Study.objects.count(), Job.objects.count()) == (0, 0)
    monkeypatch.undo()
    assert send(client, patient).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_without_redis_a_film_is_saved_and_said_to_be_late(client, patient, monkeypatch):
    monkeypatch.setattr("diagnosis.services.intake.hint_publish", lambda *args, **kwargs: False)
    response = send(client, patient)
    assert response.status_code == 201
    assert [warning["code"] for warning in response.json()["warnings"]] == ["processing_delayed"]
    assert Job.objects.get().state == "queued"


def test_a_good_film_becomes_ready_and_waits_for_the_model(client, patient, prepare_all):
    bundled_register()
    url = send(client, patient).json()["radiographs"][0]["url"]
    prepare_all()
    shown = client.get(url).json()
    assert shown["state"] == "ready"
    assert [(job["kind"], job["state"]) for job in shown["jobs"]] == [("prepare", "succeeded"), ("infer", "queued")]
