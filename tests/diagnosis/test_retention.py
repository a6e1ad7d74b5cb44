"""Films expire by the clinic's rule: what may go, what is kept back, and what stays when the picture is gone."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from diagnosis import storage
from diagnosis.models import FilmExpiry, Radiograph
from diagnosis.services import retention
from diagnosis.services.infer import infer_waiting
from diagnosis.services.intake import study_create
from diagnosis.services.retention import due_read, films_expire, legal_hold_record
from patients.errors import ApplicationError
from patients.models import AuditEvent, LegalHold
from tests import factories
from tests.api.problems import assert_problem
from tests.synthetic import as_png, synthetic_film

pytestmark = pytest.mark.django_db
LONG_AGO = datetime(2001, 5, 3, tzinfo=UTC)


@pytest.fixture
def rule(clinic):
    return factories.data_policy_make(clinic, keep_years=10)


def film_make(patient, radiologist, *, taken=LONG_AGO, signed=True, **fields) -> Radiograph:
    """A film of long ago in a signed study; its files are not there."""
    study = factories.study_make(patient, acquired_at=taken, created_at=taken)
    if signed:
        factories.report_make(study, radiologist)
    return factories.radiograph_make(study, state="ready", created_at=taken, **fields)


@pytest.fixture
def film(patient, user_for, rule) -> Radiograph:
    return film_make(patient, user_for("radiologist"))


@pytest.fixture
def read_film(model, prepared, user_for, rule):
    """A film that went the whole way and was signed, long ago."""
    radiograph = prepared(1).radiograph
    infer_waiting(worker="test")
    factories.report_make(radiograph.study, user_for("radiologist"))
    type(radiograph.study).objects.filter(pk=radiograph.study_id).update(acquired_at=LONG_AGO)
    return Radiograph.objects.get(pk=radiograph.pk)


def run(*options: str) -> str:
    said = io.StringIO()
    call_command("retention", *options, stdout=said)
    return said.getvalue()


# --- what may go


def test_without_a_rule_everything_is_kept(patient, user_for, clinic):
    film_make(patient, user_for("radiologist"))
    assert (due_read(clinic).rule, due_read(clinic).films) == ("kept for ever", [])


def test_a_film_is_due_on_the_day_its_years_are_over(clinic, film):
    assert due_read(clinic, today=date(2011, 5, 2)).films == []
    assert due_read(clinic, today=date(2011, 5, 3)).films == [film]


def test_a_childs_film_is_kept_until_the_years_after_coming_of_age(clinic, rule, user_for):
    child = factories.patient_make(clinic, birth_date=date(1999, 8, 20))
    film = film_make(child, user_for("radiologist"))
    assert due_read(clinic, today=date(2027, 8, 19)).films == []
    assert due_read(clinic, today=date(2027, 8, 20)).films == [film]


def test_of_a_child_known_by_the_year_nothing_goes_too_early(clinic, rule, user_for):
    film = film_make(factories.patient_make(clinic, birth_year=1999), user_for("radiologist"))
    assert due_read(clinic, today=date(2027, 12, 30)).films == []
    assert due_read(clinic, today=date(2027, 12, 31)).films == [film]


def test_what_is_unread_in_work_or_held_is_kept_back(clinic, patient, rule, user_for):
    radiologist = user_for("radiologist")
    film_make(patient, radiologist, signed=False)
    factories.job_make(film_make(patient, radiologist), "prepare", "queued")
    amended = film_make(patient, radiologist)
    signed = amended.study.reports.get()
    factories.report_make(amended.study, radiologist, "draft", supersedes=signed, amendment_reason="x")
    held = factories.patient_make(clinic)
    film_make(held, radiologist)
    legal_hold_record(user=user_for("clinicadmin"), patient=held, holds=True, reason="A claim is open")
    due = due_read(clinic)
    assert due.films == []
    assert due.kept_back == {
        "no signed report": 1,
        "work is open": 1,
        "a report is being written": 1,
        "legal hold": 1,
    }


def test_a_hold_that_is_released_holds_nothing_and_both_stay_on_record(clinic, film, user_for):
    administrator = user_for("clinicadmin")
    for holds in (True, False):
        legal_hold_record(user=administrator, patient=film.study.patient, holds=holds, reason="The claim")
    assert due_read(clinic).films == [film]
    assert LegalHold.objects.count() == 2
    events = AuditEvent.objects.filter(verb__in=["hold", "release_hold"]).order_by("id")
    assert [event.reason for event in events] == ["The claim", "The claim"]


def test_only_the_clinics_administrator_holds_films_back(film, user_for):
    with pytest.raises(CommandError, match="permission_denied"):
        call_command("legal_hold", str(film.study.patient_id), "--by", user_for("operator").username, "--reason", "x")
    call_command("legal_hold", str(film.study.patient_id), "--by", user_for("clinicadmin").username, "--reason", "x")
    assert LegalHold.objects.get().holds


# --- the command


def test_the_dry_run_says_how_much_and_which_and_removes_nothing(read_film, patient):
    before = storage.film_size(read_film.sha256)
    said = run()
    assert f"Due: 1 films, {before} bytes, the oldest of 2001-05-03" in said
    assert str(read_film.pk) in said
    assert patient.name not in said
    assert "Nothing was removed" in said
    assert storage.film_size(read_film.sha256) == before > 0


def test_applying_needs_a_yes(read_film):
    with pytest.raises(CommandError, match="--yes"):
        run("--apply")
    assert storage.film_size(read_film.sha256)


def test_the_picture_goes_and_everything_else_stays(read_film, client_for, api_for):
    assert "removed: 1 pictures" in run("--apply", "--yes")
    assert storage.film_size(read_film.sha256) == 0
    read_film.refresh_from_db()
    assert (read_film.display_key, read_film.reading_key) == ("", "")
    assert read_film.expiry.rule == "kept 10 years, of children 10 after the age of 18"
    assert read_film.expiry.size > 0
    assert read_film.predictions.count() == read_film.study.reports.count() == 1
    event = AuditEvent.objects.get(verb="expire")
    assert (event.patient, event.object_id) == (read_film.study.patient, str(read_film.pk))
    client = client_for("radiologist")
    page = client.get(reverse("study_detail", args=[read_film.study_id])).content.decode()
    assert "The picture is no longer kept" in page
    for name in ("radiograph_image", "reading_copy"):
        assert client.get(reverse(name, args=[read_film.pk])).status_code == 410
    prediction = read_film.predictions.get()
    assert client.get(reverse("prediction_map", args=[prediction.pk, "pneumonia"])).status_code == 410
    api = api_for("radiologist")
    assert_problem(api.get(f"/api/v1/radiographs/{read_film.pk}/image/"), "film_expired")
    shown = api.get(f"/api/v1/radiographs/{read_film.pk}/").json()
    assert shown["image"] is None
    assert shown["expired_at"]


def test_the_store_is_whole_without_it_and_left_over_files_are_found_and_removed(read_film):
    original = storage.path_of(storage.original_key(read_film.sha256))
    content = original.read_bytes()
    run("--apply", "--yes")
    said = io.StringIO()
    call_command("verify_store", stdout=said)
    assert "0 films" in said.getvalue()
    original.write_bytes(content)  # as after a restore
    with pytest.raises(CommandError):
        call_command("verify_store", stdout=said)
    assert f"expired radiograph {read_film.pk}" in said.getvalue()
    run("--apply", "--yes")
    assert not original.exists()


def test_bytes_that_another_clinic_has_too_stay_until_theirs_expire(
    read_film, user_for, other_clinic, foreign_patient, upload_of
):
    data = storage.original_read(read_film.sha256)
    other = study_create(
        user=user_for("operator", other_clinic), patient=foreign_patient, upload=upload_of(data)
    ).radiograph
    run("--apply", "--yes")
    assert Radiograph.objects.get(pk=read_film.pk).display_key == ""
    assert storage.original_read(other.sha256) == data


def test_what_is_held_between_list_and_removal_stays(read_film, clinic, user_for):
    due = due_read(clinic)
    legal_hold_record(user=user_for("clinicadmin"), patient=read_film.study.patient, holds=True, reason="Late")
    assert films_expire(due) == 0
    assert storage.film_size(read_film.sha256)


def test_nothing_goes_where_the_record_cannot_be_written(read_film, clinic, monkeypatch):
    monkeypatch.setattr(retention, "audit_record", lambda **event: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        films_expire(due_read(clinic))
    assert storage.film_size(read_film.sha256)
    assert not FilmExpiry.objects.exists()


def test_an_expired_film_that_is_sent_again_is_refused_in_words(read_film, take_in):
    run("--apply", "--yes")
    with pytest.raises(ApplicationError) as refusal:
        take_in(data=as_png(synthetic_film(1)))
    assert refusal.value.code == "film_expired"
    assert "10 years" in refusal.value.detail
