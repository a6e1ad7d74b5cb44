"""The training set: our own training reads it, and nothing in it tells who the patients are."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from diagnosis import storage
from diagnosis.models import Radiograph, Study
from diagnosis.services.intake import study_create
from diagnosis.services.prepare import prepare_next
from mlcore.decode import decode
from mlcore.preprocess import squash
from mlcore.training.dataset import read_films
from mlcore.training.tasks import THREE
from patients.models import AuditEvent
from tests import factories
from tests.synthetic import as_dicom, as_png, synthetic_film

pytestmark = pytest.mark.django_db
NAME, MRN, DAY, UID = "Zenobia Quartermain", "MRN-90817", "19990704", "1.2.826.0.1.3680043.8.498.77"
SAID = {"pneumonia": "added", "effusion": "absent"}


@pytest.fixture
def administrator(user_for):
    return user_for("clinicadmin")


@pytest.fixture
def film_of(upload_of, user_for, clinic):
    """`film_of(patient, seed, burned_in="NO", pneumonia="added", …)`: a prepared film of a study whose signed report
    decides so."""

    def make(patient, seed=1, burned_in="NO", *, signed=True, **said) -> Radiograph:
        number = next((each.value for each in patient.identifiers.all()), "")
        header = {"BurnedInAnnotation": burned_in} if burned_in else {}
        header |= {"StudyDate": DAY, "AcquisitionDate": DAY, "StudyInstanceUID": UID, "photometric": "MONOCHROME1"}
        data = as_dicom(
            synthetic_film(seed, (300, 320)), patient_id=number, patient_name=patient.name, bits=12, **header
        )
        film = study_create(
            user=user_for("operator"), patient=patient, upload=upload_of(data, "x.dcm", "application/dicom")
        ).radiograph
        while prepare_next(worker="test"):
            pass
        if signed:
            report_of(film.study, user_for("radiologist"), **(said or SAID))
        film.refresh_from_db()
        assert film.state == "ready"
        return film

    return make


def report_of(study: Study, radiologist, **said: str):
    factories.model_version_make(status="retired")  # nothing is to be asked about the next film
    report = factories.report_make(study, radiologist, "draft")
    finding = factories.predicted_film_make(factories.study_make(study.patient)).findings.get(label="pneumonia")
    for label, verdict in said.items():
        reason = {"reason": "artefact"} if verdict == "rejected" else {}
        reason |= {"reason": "not_decidable", "verdict": "rejected"} if verdict == "not_decidable" else {}
        decided = {"verdict": verdict, "finding": None if verdict == "added" else finding} | reason
        factories.decision_make(report, label, **decided)
    report.status, report.signed_by, report.signed_at = "final", radiologist, datetime.now(UTC)
    report.registration_number = "MCI-4711"
    report.save()
    return report


@pytest.fixture
def zenobia(clinic):
    """A patient who agreed, with everything about her that could leak."""
    patient = factories.patient_make(clinic, NAME, mrn=MRN, birth_date=datetime(1951, 3, 17).date(), sex="female")
    factories.consent_make(patient, "training", given_on="2025-11-23")
    return patient


def export(out: Path, *options: str, by) -> str:
    said = io.StringIO()
    call_command("export_training_set", str(out), "--clinic", "hill", "--by", by.username, *options, stdout=said)
    return said.getvalue()


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "manifest.csv").open() as file:
        return list(csv.DictReader(file))


def test_our_training_reads_the_folder(zenobia, film_of, administrator, tmp_path):
    film_of(zenobia, 1, pneumonia="added", effusion="absent")
    film_of(zenobia, 2, pneumonia="rejected", effusion="absent")
    out = tmp_path / "set"
    export(out, by=administrator)
    films = read_films(out)
    assert sorted((film.label, film.findings, film.source, film.sex) for film in films) == [
        ("normal", frozenset(), "hill", "F"),
        ("pneumonia", frozenset({"pneumonia"}), "hill", "F"),
    ]
    assert len({film.group for film in films}) == 1
    assert all(film.group_known for film in films)
    assert len(THREE.films(films)) == 2
    for film in films:
        assert hashlib.sha256(film.path.read_bytes()).hexdigest() == film.sha256


def test_the_pictures_are_those_that_the_network_sees(zenobia, film_of, administrator, tmp_path):
    film = film_of(zenobia)
    out = tmp_path / "set"
    export(out, by=administrator)
    (exported,) = read_films(out)
    seen = squash(decode(storage.original_read(film.sha256)).pixels, (224, 224))
    assert np.abs(squash(decode(exported.path.read_bytes()).pixels, (224, 224)) - seen).max() < 1 / 255


def test_no_byte_tells_who_or_when(zenobia, film_of, administrator, tmp_path):
    film = film_of(zenobia)
    film.refresh_from_db()
    assert film.study_instance_uid == UID
    out = tmp_path / "set"
    export(out, by=administrator)
    written = b"".join(
        str(path.relative_to(out)).encode() + path.read_bytes() for path in out.rglob("*") if path.is_file()
    )
    assert b"hill" in written
    secrets = [*NAME.split(), NAME.upper(), MRN, UID, DAY, "1999-07-04", "1951-03-17", "19510317", "2025-11-23"]
    secrets += [str(each) for each in (film.pk, film.study_id, zenobia.pk, film.sha256, film.sop_instance_uid)]
    secrets += [each.replace("-", "") for each in secrets if len(each) == 36]
    assert [each for each in secrets if each and each.encode().lower() in written.lower()] == []
    assert "age_band" in rows_of(out)[0]


def test_names_differ_in_each_export(zenobia, film_of, administrator, tmp_path):
    film_of(zenobia)
    for name in ("one", "two"):
        export(tmp_path / name, by=administrator)
    one, two = (rows_of(tmp_path / name)[0] for name in ("one", "two"))
    assert one["group_id"] != two["group_id"]
    assert one["file"] != two["file"]


def test_only_patients_who_agree_now_are_in_it(zenobia, film_of, administrator, clinic, tmp_path):
    silent = factories.patient_make(clinic, mrn="silent-1")
    left = factories.patient_make(clinic, mrn="left-1")
    factories.consent_make(left, "training", given_on="2025-01-01")
    factories.consent_make(left, "training", "deny", given_on="2026-01-01")
    for seed, patient in enumerate((zenobia, silent, left), 10):
        film_of(patient, seed)
    said = export(tmp_path / "set", by=administrator)
    assert said.startswith("1 films of 1 patients")
    assert len(rows_of(tmp_path / "set")) == 1


def test_labels_come_from_signed_reports_and_what_is_not_decided_stays_unknown(
    zenobia, film_of, administrator, tmp_path
):
    film_of(zenobia, 1, pneumonia="added")  # nobody decided on effusion
    film_of(zenobia, 2, pneumonia="absent")  # not enough for normal
    film_of(zenobia, 3, pneumonia="not_decidable", effusion="absent")
    film_of(zenobia, 4, signed=False)
    film_of(zenobia, 5, fracture="added", pneumonia="absent", effusion="absent")
    said = export(tmp_path / "set", by=administrator)
    labels = sorted((row["label"], row["labels"], row["absent"]) for row in rows_of(tmp_path / "set"))
    assert labels == [("other_finding", "fracture", "effusion|pneumonia"), ("undecided", "pneumonia", "")]
    assert "left out, nothing decided in the report: 2" in said
    assert "no signed report" in said
    assert [film.label for film in THREE.films(read_films(tmp_path / "set"))] == []


def test_a_film_that_came_after_the_signature_is_not_labelled_by_it(
    zenobia, film_of, administrator, tmp_path, user_for, upload_of
):
    film = film_of(zenobia)
    Radiograph.objects.filter(pk=film.pk).update(created_at=datetime.now(UTC) + timedelta(hours=1))
    assert "came after the report: 1" in export(tmp_path / "set", "--dry-run", by=administrator)


@pytest.mark.parametrize(
    ("burned_in", "options", "taken", "said"),
    [
        ("NO", (), 1, ""),
        ("YES", ("--burned-in-checked",), 0, "text in the picture (BurnedInAnnotation)"),
        ("", (), 0, "text in the picture not ruled out"),
        ("", ("--burned-in-checked",), 1, ""),
    ],
)
def test_films_with_names_in_the_picture_stay_here(
    zenobia, film_of, administrator, tmp_path, burned_in, options, taken, said
):
    film_of(zenobia, 1, burned_in)
    text = export(tmp_path / "set", "--dry-run", *options, by=administrator)
    assert text.startswith(f"{taken} films")
    assert said in text


def test_a_picture_says_nothing_of_burned_in_text_and_stays_here(zenobia, take_in, user_for, administrator, tmp_path):
    film = take_in(patient=zenobia, data=as_png(synthetic_film(8)))
    while prepare_next(worker="test"):
        pass
    report_of(film.study, user_for("radiologist"), **SAID)
    assert "text in the picture not ruled out: 1" in export(tmp_path / "set", "--dry-run", by=administrator)


def test_a_dry_run_writes_and_records_nothing(zenobia, film_of, administrator, tmp_path):
    film_of(zenobia)
    said = export(tmp_path / "set", "--dry-run", by=administrator)
    assert "pneumonia: present on 1, absent on 0" in said
    assert list(tmp_path.glob("*set*")) == []
    assert not AuditEvent.objects.filter(verb="export_training").exists()


def test_the_card_and_the_audit_say_who_took_what(zenobia, film_of, administrator, clinic, tmp_path):
    film_of(zenobia)
    export(tmp_path / "set", by=administrator)
    card = json.loads((tmp_path / "set" / "card.json").read_text())
    manifest = hashlib.sha256((tmp_path / "set" / "manifest.csv").read_bytes()).hexdigest()
    assert (card["made_by"], card["clinics"], card["films"]) == (administrator.username, ["hill"], 1)
    assert card["manifest_sha256"] == manifest
    assert card["consent"]["patients_by_how"] == {"written": 1}
    events = AuditEvent.objects.filter(verb="export_training", clinic=clinic, user=administrator).order_by("id")
    assert [(event.patient, event.changes["manifest"], event.purpose) for event in events] == [
        (None, ["", manifest], "HRESCH"),
        (zenobia, ["", manifest], "HRESCH"),
    ]


def test_nothing_appears_where_the_record_cannot_be_written(zenobia, film_of, administrator, tmp_path, monkeypatch):
    film_of(zenobia)
    monkeypatch.setattr("diagnosis.services.training_export._record", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(tmp_path / "set", by=administrator)
    assert list(tmp_path.glob("*set*")) == []


def test_who_withdraws_while_it_is_written_stops_it(zenobia, film_of, administrator, tmp_path, monkeypatch):
    film_of(zenobia)
    written = []

    def withdraw(*args):
        written.append(factories.consent_make(zenobia, "training", "deny"))
        return {}

    monkeypatch.setattr("diagnosis.services.training_export._card", withdraw)
    with pytest.raises(CommandError, match="consent_changed"):
        export(tmp_path / "set", by=administrator)
    assert written
    assert list(tmp_path.glob("*set*")) == []


@pytest.mark.parametrize("role", ["radiologist", "operator", "system"])
def test_only_the_clinics_administrator_answers_for_it(user_for, role, tmp_path, clinic):
    with pytest.raises(CommandError, match="permission_denied"):
        export(tmp_path / "set", by=user_for(role))


def test_another_clinics_films_are_not_in_it(zenobia, film_of, administrator, foreign_patient, tmp_path):
    film_of(zenobia)
    with pytest.raises(CommandError, match="permission_denied"):
        call_command("export_training_set", str(tmp_path / "x"), "--clinic", "lake", "--by", administrator.username)
    with pytest.raises(CommandError, match="no clinic"):
        call_command("export_training_set", str(tmp_path / "x"), "--clinic", "moon", "--by", administrator.username)
