"""Intake: what is kept, what is refused, and what happens the second time."""

from __future__ import annotations

import errno
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.apps import apps
from django.db import OperationalError, connection

from diagnosis import storage
from diagnosis.models import Job, Radiograph, Study, UploadKey
from diagnosis.services import intake
from diagnosis.services.intake import radiograph_add, study_create
from patients.errors import ApplicationError
from patients.models import AuditEvent
from tests import factories
from tests.synthetic import as_dicom, as_jpeg, as_png, bad_files, synthetic_film


@pytest.fixture
def send(user_for: Any, patient: Any, film: Any) -> Any:
    """Sends the film for the patient as the clinic's operator, unless told otherwise."""

    operator = user_for("operator")

    def study_send(**changes: Any) -> Any:
        return study_create(**({"user": operator, "patient": patient, "upload": film} | changes))

    return study_send


def refused(call: Any, **changes: Any) -> str:
    with pytest.raises(ApplicationError) as caught:
        call(**changes)
    return caught.value.code


def test_a_film_becomes_a_study_with_one_stored_original_and_one_job(send, film, model, hints):
    result = send(urgency="urgent", indication="cough\r\nfor a week", accession_number="A-1")
    job = Job.objects.get()
    assert result.created
    assert storage.original_read(film.sha256) == film.open().read()
    assert (job.radiograph, job.kind, job.state, job.priority) == (result.radiograph, "prepare", "queued", 1)
    assert job.model_version == model
    assert Study.objects.get().indication == "cough for a week"
    assert hints == ["prepare"]


def test_the_upload_is_recorded_with_user_patient_and_film(send, patient):
    result = send()
    event = AuditEvent.objects.get(verb="upload")
    assert (event.patient, event.object_id, event.outcome) == (patient, str(result.radiograph.pk), "ok")


def test_a_new_study_takes_its_place_in_the_worklist_in_one_step(send):
    study = send(urgency="urgent").radiograph.study
    reading = study.reading
    assert (reading.urgency, reading.answered, reading.stands_at < reading.received_at) == (1.0, False, True)
    history = apps.get_model("diagnosis", "ReadingHistory").objects.filter(pgh_obj=reading)
    assert list(history.values_list("pgh_label", flat=True)) == ["insert"]


def test_a_second_view_joins_the_study_at_its_urgency(send, user_for, upload_of):
    study = send(urgency="emergency").radiograph.study
    other = upload_of(as_jpeg(synthetic_film(2)), "film.jpg", "image/jpeg")
    result = radiograph_add(user=user_for("operator"), study=study, upload=other, view="AP")
    assert (result.radiograph.study, result.radiograph.view) == (study, "AP")
    assert set(Job.objects.values_list("priority", flat=True)) == {0}


def test_the_same_bytes_for_the_same_patient_add_nothing(send):
    first = send().radiograph
    again = send()
    assert (again.created, again.duplicate, again.radiograph) == (False, True, first)
    assert Radiograph.objects.count() == Job.objects.count() == Study.objects.count() == 1


def test_the_same_bytes_for_another_patient_of_the_clinic_are_refused_and_recorded(send, clinic):
    send()
    other = factories.patient_make(clinic, "Rohan Mehta")
    assert refused(send, patient=other) == "image_under_other_patient"
    event = AuditEvent.objects.get(outcome="image_under_other_patient")
    assert event.patient == other
    assert Study.objects.count() == 1


def test_the_same_bytes_at_another_clinic_are_new(send, user_for, other_clinic, foreign_patient):
    send()
    assert send(user=user_for("operator", other_clinic), patient=foreign_patient).created


def test_one_key_and_one_body_give_one_film(send):
    first = send(idempotency_key="k1")
    again = send(idempotency_key="k1")
    assert (again.replayed, again.created, again.radiograph) == (True, False, first.radiograph)
    assert UploadKey.objects.count() == 1


def test_one_key_and_another_body_are_refused(send, upload_of):
    send(idempotency_key="k1")
    assert refused(send, idempotency_key="k1", upload=upload_of(as_png(synthetic_film(5)))) == "idempotency_key_reused"
    assert refused(send, idempotency_key="k1", urgency="urgent") == "idempotency_key_reused"


def test_the_same_key_of_another_user_is_another_key(send, user_for, upload_of):
    send(idempotency_key="k1")
    other = upload_of(as_png(synthetic_film(5)))
    assert send(idempotency_key="k1", user=user_for("radiographer"), upload=other).created


def test_a_key_whose_first_request_still_runs_is_told_so(send, monkeypatch):
    monkeypatch.setattr(intake, "lock_try", lambda name: False)
    assert refused(send, idempotency_key="k1") == "idempotency_in_progress"


def test_a_declared_hash_that_differs_is_refused(send, film):
    assert refused(send, declared_sha256="0" * 64) == "checksum_mismatch"
    assert send(declared_sha256=film.sha256.upper()).created


def test_an_accession_number_belongs_to_one_study(send, upload_of):
    send(accession_number="A-1")
    other = upload_of(as_png(synthetic_film(5)))
    assert refused(send, upload=other, accession_number="A-1") == "accession_taken"


def test_an_accession_number_taken_in_a_race_is_refused_by_the_database(send, upload_of, monkeypatch):
    send(accession_number="A-1")
    monkeypatch.setattr(intake, "_refuse_conflicts", lambda study, facts: None)
    other = upload_of(as_png(synthetic_film(5)))
    assert refused(send, upload=other, accession_number="A-1") == "accession_taken"


def test_a_dicom_instance_with_other_content_is_refused(send, upload_of):
    uid = "1.2.826.0.1.3680043.8.498.1"
    one, other = (
        upload_of(as_dicom(synthetic_film(seed), patient_id="0017", SOPInstanceUID=uid), "a.dcm", "application/dicom")
        for seed in (1, 2)
    )
    assert send(upload=one).created
    assert refused(send, upload=other) == "dicom_instance_conflict"


@pytest.mark.parametrize(
    ("patient_id", "patient_name", "code"),
    [
        ("0017", "", None),
        ("17", "SOMEBODY^ELSE", None),
        ("0042", "", "patient_mismatch"),
        ("", "VERMA^ASHA", None),
        ("", "VERMA^ASHA^K", None),
        ("", "DOE^JOHN", "patient_mismatch"),
        ("", "Anonymized", None),
        ("", "", None),
    ],
)
def test_a_file_that_names_another_patient_is_refused(send, upload_of, patient_id, patient_name, code):
    data = as_dicom(synthetic_film(1), patient_id=patient_id, patient_name=patient_name)
    upload = upload_of(data, "film.dcm", "application/dicom")
    if code is None:
        assert send(upload=upload).created
    else:
        assert refused(send, upload=upload) == code
        assert not Study.objects.exists()


def test_a_refused_picture_leaves_an_event_and_no_job(send, upload_of):
    bad = bad_files()["html named png"]
    assert refused(send, upload=upload_of(bad.data, bad.filename, bad.content_type)) == bad.code
    assert AuditEvent.objects.get(verb="upload").outcome == bad.code
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"upload": None}, "file_missing"),
        ({"view": "lateral"}, "invalid_parameter"),
        ({"urgency": "now"}, "invalid_parameter"),
        ({"indication": "a\0b"}, "invalid_text"),
        ({"accession_number": "x" * 65}, "invalid_text"),
        ({"idempotency_key": "\u202e"}, "invalid_text"),
    ],
)
def test_other_bad_input_is_refused(send, changes, code):
    assert refused(send, **changes) == code


def test_only_a_referring_doctor_of_the_clinic_can_be_named(send, user_for, other_clinic):
    assert refused(send, referring_doctor=user_for("doctor", other_clinic)) == "invalid_parameter"
    assert send(referring_doctor=user_for("doctor")).radiograph.study.referring_doctor == user_for("doctor")


@pytest.mark.parametrize("role", ["doctor", "clinicadmin", "system"])
def test_roles_that_send_no_films_are_refused(send, user_for, role):
    assert refused(send, user=user_for(role)) == "permission_denied"


def test_a_full_disk_keeps_nothing(send, monkeypatch, media_root):
    def full(path: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(storage, "_sync", full)
    assert refused(send) == "storage_unavailable"
    assert not Study.objects.exists()
    assert not [path for path in media_root.rglob("*") if path.is_file()]


def test_a_database_that_is_away_is_said_so(send, monkeypatch):
    def away(film: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(intake, "_film_commit", away)
    assert refused(send) == "temporarily_unavailable"


def test_a_film_is_kept_though_no_worker_could_be_told(send, monkeypatch):
    monkeypatch.setattr(intake, "hint_publish", lambda kind, **options: False)
    result = send()
    assert result.created
    assert [warning["code"] for warning in result.warnings][-1] == "processing_delayed"


def test_a_small_film_is_taken_with_a_warning(send, upload_of):
    result = send(upload=upload_of(as_png(synthetic_film(1, size=(256, 256)))))
    assert [warning["code"] for warning in result.warnings] == ["low_resolution"]


# --- two requests at once


def at_once(*calls: Any) -> list[Any]:
    """Run the calls in threads that start together; what each returned or refused."""
    gate = threading.Barrier(len(calls))

    def run(call: Any) -> Any:
        gate.wait()
        try:
            return call()
        except ApplicationError as error:
            return error.code
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.mark.django_db(transaction=True)
def test_a_double_click_makes_one_study(send, upload_of):
    data = as_png(synthetic_film(7))
    results = at_once(*[partial(send, upload=upload_of(data)) for _ in range(4)])
    assert sorted(result.created for result in results) == [False, False, False, True]
    assert Study.objects.count() == Radiograph.objects.count() == Job.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_same_film_for_two_patients_at_once_is_filed_under_one(send, upload_of, clinic, patient):
    data, other = as_png(synthetic_film(7)), factories.patient_make(clinic)
    results = at_once(*[partial(send, upload=upload_of(data), patient=who) for who in (patient, other)])
    assert results.count("image_under_other_patient") == 1
    assert Study.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_one_key_used_twice_at_once_brings_one_film(send, upload_of):
    data = as_png(synthetic_film(7))
    results = at_once(*[partial(send, upload=upload_of(data), idempotency_key="k1") for _ in range(3)])
    assert [getattr(result, "created", False) for result in results].count(True) == 1
    assert {result for result in results if isinstance(result, str)} <= {"idempotency_in_progress"}
    assert Radiograph.objects.count() == UploadKey.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_one_accession_number_used_twice_at_once_makes_one_study(send, upload_of):
    uploads = [upload_of(as_png(synthetic_film(seed))) for seed in (7, 8)]
    results = at_once(*[partial(send, upload=upload, accession_number="A-1") for upload in uploads])
    assert results.count("accession_taken") == 1
    assert Study.objects.count() == 1
