"""The worklist's rows: who writes them when, where a study stands, and that two people never read one unknowingly."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.utils import timezone
from PIL import Image

from diagnosis.models import ModelVersion, Radiograph, Reading
from diagnosis.services import reading
from diagnosis.services.infer import infer_waiting
from diagnosis.services.intake import radiograph_add
from diagnosis.services.prepare import prepare_next
from diagnosis.services.recovery import sweep
from patients.actor import SYSTEM, acting_as
from patients.errors import ApplicationError
from patients.models import AuditEvent
from tests import factories
from tests.synthetic import as_png, synthetic_film

PEOPLE = 6


@pytest.fixture
def colleague(clinic):
    return factories.user_make("radiologist", clinic, first_name="Ines", last_name="Costa")


@pytest.fixture
def unread(patient):
    return factories.reading_make(factories.study_make(patient))


def refusal(code: str) -> Any:
    return pytest.raises(ApplicationError, check=lambda error: error.code == code)


# --- place


def test_film_that_arrives_is_on_the_list_before_anybody_looked_at_it(take_in, model):
    film = take_in()
    row = Reading.objects.get(study=film.study)
    assert (row.closed_at, row.answered, row.urgency) == (None, False, 0.5)
    assert row.received_at == film.created_at
    assert row.stands_at < film.created_at


def test_answer_moves_the_study_in_the_same_transaction_and_says_why(take_in, model):
    film = take_in()
    prepare_next(worker="test")
    infer_waiting(worker="test")
    row = Reading.objects.get(study=film.study)
    findings = film.predictions.get().findings.exclude(label="normal")
    over = sorted(finding.label for finding in findings if finding.calibrated >= finding.threshold)
    assert row.answered
    assert row.labels == over
    assert (row.finding is None) == (not over)


def test_film_that_cannot_be_used_keeps_the_study_in_the_upper_half(take_in, model):
    film = take_in(data=as_png(Image.new("L", (512, 512), 128)))
    prepare_next(worker="test")
    assert Radiograph.objects.get(pk=film.pk).state == "rejected"
    row = Reading.objects.get(study=film.study)
    assert (row.answered, row.urgency, row.closed_at) == (False, 0.5, None)


@pytest.mark.django_db
def test_second_film_without_answer_counts_beside_the_first(patient):
    study = factories.study_make(patient)
    factories.predicted_film_make(study, calibrated={"pneumonia": 0.1})
    assert factories.reading_make(study, placed=True).urgency == 0.0
    second = factories.radiograph_make(study)
    with transaction.atomic():
        reading.readings_place([second.pk])
    assert Reading.objects.get(study=study).urgency == 0.5


@pytest.mark.django_db
def test_studies_that_are_answered_together_each_move_once_and_keep_their_reader(patient, user_for):
    model, radiologist = factories.model_version_make(), user_for("radiologist")
    films, rows = [], []
    for number in (0.6, 0.7, 0.8):
        study = factories.study_make(patient)
        films.append(factories.predicted_film_make(study, model_version=model, calibrated={"pneumonia": number}))
        rows.append(factories.reading_make(study))
    reading.reading_claim(user=radiologist, study_id=rows[1].study_id)
    with transaction.atomic():
        reading.readings_place([film.radiograph_id for film in films])
    placed = [Reading.objects.get(pk=row.pk) for row in rows]
    assert [row.urgency for row in placed] == pytest.approx([0.6, 0.7, 0.8])
    assert [row.claimed_by for row in placed] == [None, radiologist, None]
    history = apps.get_model("diagnosis", "ReadingHistory").objects.order_by("pgh_id")
    labels = [[*history.filter(pgh_obj=row).values_list("pgh_label", flat=True)] for row in rows]
    assert labels == [["insert", "update"], ["insert", "update", "update"], ["insert", "update"]]


@pytest.mark.django_db
def test_retired_and_trial_versions_do_not_place_a_study(patient):
    study = factories.study_make(patient)
    film = factories.predicted_film_make(study, calibrated={"pneumonia": 0.6}).radiograph
    old = factories.model_version_make("0.9.0", status="retired")
    trial = factories.model_version_make(name="trial", status="shadow")
    factories.prediction_make(film, old, calibrated={"pneumonia": 0.99})
    factories.prediction_make(film, trial, calibrated={"pneumonia": 0.98}, shadow=True)
    assert factories.reading_make(study, placed=True).urgency == pytest.approx(0.6)


@pytest.mark.django_db
def test_where_films_are_read_first_the_answer_gives_neither_place_nor_reason(clinic, patient):
    clinic.read_first = True
    clinic.save()
    study = factories.study_make(patient)
    factories.predicted_film_make(study, calibrated={"pneumonia": 0.99})
    row = factories.reading_make(study, placed=True)
    assert row.answered
    assert (row.urgency, row.critical, row.finding, row.labels) == (0.0, False, None, [])
    assert row.stands_at == row.received_at


@pytest.mark.django_db
def test_where_reading_first_begins_studies_that_wait_already_fall_silent(clinic, patient):
    study = factories.study_make(patient)
    factories.predicted_film_make(study, calibrated={"pneumonia": 0.99})
    assert factories.reading_make(study, placed=True).finding
    clinic.read_first = True
    clinic.save()
    sweep()
    row = Reading.objects.get(study=study)
    assert (row.finding, row.labels, row.stands_at) == (None, [], row.received_at)


# --- another version speaks


def speak(version: ModelVersion) -> None:
    """From now on this version speaks, as after activating it or going back to it."""
    ModelVersion.objects.filter(status="active").update(status="retired")
    ModelVersion.objects.filter(pk=version.pk).update(status="active")


@pytest.fixture
def answered_by_two(patient) -> Callable[..., Reading]:
    """`answered_by_two(first, second)`: an open study whose film both versions have answered with these numbers for
    pneumonia, placed while the second spoke."""

    def make(first: float, second: float, **fields: Any) -> Reading:
        film = factories.radiograph_make(factories.study_make(patient), state="ready")
        for version, number in (("1.0.0", first), ("2.0.0", second)):
            status = "active" if version == "2.0.0" else "retired"
            model = factories.model_version_make(version, status=status)
            factories.prediction_make(film, model, calibrated={"pneumonia": number})
        return factories.reading_make(film.study, placed=True, **fields)

    return make


def first_version() -> ModelVersion:
    return ModelVersion.objects.get(version="1.0.0")


@pytest.mark.django_db
@pytest.mark.parametrize(("first", "second"), [(0.9, 0.6), (0.1, 0.9), (0.9, 0.1)])
def test_going_back_to_a_version_places_open_studies_by_its_answers(answered_by_two, first, second):
    row = answered_by_two(first, second)
    assert (row.urgency, row.placed_by.version) == (second if second >= 0.5 else 0, "2.0.0")
    speak(first_version())
    sweep()
    row.refresh_from_db()
    assert (row.urgency, row.placed_by.version) == (first if first >= 0.5 else 0, "1.0.0")
    assert (row.finding.prediction.model_version.version if row.finding else None) == (
        "1.0.0" if first >= 0.5 else None
    )


@pytest.mark.django_db
def test_studies_that_the_version_has_not_answered_stay_where_they_are(answered_by_two, patient):
    row = answered_by_two(0.9, 0.6)
    lone = factories.study_make(patient)
    factories.predicted_film_make(lone, model_version=ModelVersion.objects.get(version="2.0.0"))
    stays = factories.reading_make(lone, placed=True)
    closed = answered_by_two(0.9, 0.6, closed_at=timezone.now())
    before = {each.pk: each.changed_at for each in Reading.objects.exclude(pk=row.pk)}
    assert set(before) == {stays.pk, closed.pk}
    speak(first_version())
    sweep()
    assert {each.pk: each.changed_at for each in Reading.objects.exclude(pk=row.pk)} == before


@pytest.mark.django_db
def test_open_studies_are_placed_again_in_batches_and_each_once(answered_by_two):
    for _ in range(3):
        answered_by_two(0.9, 0.6)
    speak(first_version())
    for placed in (2, 3, 3):
        reading.readings_replace(at_most=2)
        assert Reading.objects.filter(placed_by=first_version()).count() == placed
    before = list(Reading.objects.order_by("pk").values_list("changed_at", flat=True))
    sweep()
    assert list(Reading.objects.order_by("pk").values_list("changed_at", flat=True)) == before


@pytest.mark.django_db
def test_a_study_that_is_placed_again_keeps_its_reader(answered_by_two, radiologist):
    row = factories.claim_make(answered_by_two(0.9, 0.6), radiologist)
    speak(first_version())
    sweep()
    row.refresh_from_db()
    assert (row.claimed_by, row.urgency) == (radiologist, 0.9)


@pytest.mark.django_db
def test_where_films_are_read_first_another_version_gives_nothing_away_either(answered_by_two, clinic):
    clinic.read_first = True
    clinic.save()
    row = answered_by_two(0.9, 0.6)
    speak(first_version())
    sweep()
    row.refresh_from_db()
    assert (row.urgency, row.finding, row.stands_at) == (0.0, None, row.received_at)


@pytest.mark.django_db
def test_head_start_is_measured_by_what_the_clinic_lately_waited(clinic, patient):
    clinic.max_wait_minutes = 600
    clinic.save()
    now = timezone.now()
    for hours in (1, 3):
        read = factories.study_make(patient)
        factories.reading_make(read, received_at=now - timedelta(hours=hours), closed_at=now)
    film = factories.radiograph_make(factories.study_make(patient, urgency="urgent"))
    urgent = factories.reading_make(film.study, placed=True)
    assert urgent.received_at - urgent.stands_at == timedelta(hours=2) * 0.75


# --- end


@pytest.mark.django_db
def test_signature_closes_the_study_and_ends_the_claim(unread, radiologist):
    factories.claim_make(unread, radiologist)
    draft = factories.report_make(unread.study, radiologist, "draft")
    assert Reading.objects.get().closed_at is None
    draft.status, draft.signed_by, draft.signed_at = "final", radiologist, timezone.now()
    draft.registration_number = "MCI-4711"
    draft.save()
    row = Reading.objects.get()
    assert row.closed_at is not None
    assert (row.claimed_by, row.claimed_until) == (None, None)


def test_film_that_joins_a_signed_study_is_unread(take_in, upload_of, model, user_for):
    study = take_in().study
    factories.report_make(study, factories.user_make("radiologist", study.clinic))
    assert Reading.objects.get().closed_at is not None
    upload = upload_of(as_png(synthetic_film(9)))
    again = radiograph_add(user=user_for("operator"), study=study, upload=upload).radiograph
    row = Reading.objects.get()
    assert (row.closed_at, row.received_at) == (None, again.created_at)


# --- claims


@pytest.mark.django_db
def test_claim_says_who_reads_since_when_and_is_recorded(unread, radiologist):
    row = reading.reading_claim(user=radiologist, study_id=unread.study_id)
    assert row.claimed_by == radiologist
    assert row.is_claimed
    assert row.claimed_until - row.claimed_at == reading.CLAIM_LASTS
    event = AuditEvent.objects.get(verb="claim")
    assert (event.patient, event.object_id) == (unread.study.patient, str(unread.study_id))


@pytest.mark.django_db
def test_second_person_is_told_who_reads_it(unread, radiologist, colleague):
    reading.reading_claim(user=colleague, study_id=unread.study_id)
    with refusal("reading_claimed") as caught:
        reading.reading_claim(user=radiologist, study_id=unread.study_id)
    assert "Ines Costa has been reading this study since" in str(caught.value)
    assert Reading.objects.get().claimed_by == colleague


@pytest.mark.django_db
def test_taking_over_names_from_whom_and_is_recorded(unread, radiologist, colleague):
    reading.reading_claim(user=colleague, study_id=unread.study_id)
    with refusal("reading_claimed"):
        reading.reading_claim(user=radiologist, study_id=unread.study_id, instead_of=radiologist.username)
    row = reading.reading_claim(user=radiologist, study_id=unread.study_id, instead_of=colleague.username)
    assert row.claimed_by == radiologist
    assert AuditEvent.objects.get(verb="take_over").changes == {"read by": ["Ines Costa", radiologist.username]}
    assert not reading.reading_renew(user=colleague, study_id=unread.study_id)


@pytest.mark.django_db
def test_claim_without_a_sign_of_life_runs_out(unread, radiologist, colleague):
    factories.claim_make(unread, colleague, minutes=-1)
    assert not reading.reading_renew(user=colleague, study_id=unread.study_id)
    assert reading.reading_claim(user=radiologist, study_id=unread.study_id).claimed_by == radiologist
    assert AuditEvent.objects.filter(verb="claim").count() == 1


@pytest.mark.django_db
def test_sign_of_life_holds_the_claim_without_another_record(unread, radiologist):
    factories.claim_make(unread, radiologist, minutes=1)
    assert reading.reading_renew(user=radiologist, study_id=unread.study_id)
    assert reading.reading_claim(user=radiologist, study_id=unread.study_id).is_claimed
    row = Reading.objects.get()
    assert row.claimed_until > timezone.now() + timedelta(minutes=9)
    assert row.claimed_at < timezone.now() - timedelta(minutes=8)
    assert not AuditEvent.objects.filter(verb="claim").exists()


@pytest.mark.django_db
def test_release_frees_ones_own_only(unread, radiologist, colleague):
    factories.claim_make(unread, colleague)
    assert reading.reading_release(user=radiologist, study_id=unread.study_id).claimed_by == colleague
    assert reading.reading_release(user=colleague, study_id=unread.study_id).claimed_by is None
    assert AuditEvent.objects.filter(verb="release").count() == 1


@pytest.mark.django_db
def test_what_is_read_cannot_be_claimed(unread, radiologist):
    factories.report_make(unread.study, radiologist)
    with refusal("reading_closed"):
        reading.reading_claim(user=radiologist, study_id=unread.study_id)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role", "code"), [("operator", "permission_denied"), ("doctor", "not_found"), ("system", "not_found")]
)
def test_only_who_reads_films_claims(unread, user_for, role, code):
    with refusal(code):
        reading.reading_claim(user=user_for(role), study_id=unread.study_id)
    assert Reading.objects.get().claimed_by is None


@pytest.mark.django_db
def test_studies_of_other_clinics_do_not_exist(foreign_patient, radiologist):
    study = factories.reading_make(factories.study_make(foreign_patient)).study
    with refusal("not_found"):
        reading.reading_claim(user=radiologist, study_id=study.pk)


@pytest.mark.django_db
def test_claim_that_cannot_be_recorded_is_none(unread, radiologist, audit_down):
    with refusal("temporarily_unavailable"):
        reading.reading_claim(user=radiologist, study_id=unread.study_id)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_claim_at_once_one_reads_and_the_others_are_told(clinic, patient):
    """Over connections of their own, all at the same moment."""
    study = factories.reading_make(factories.study_make(patient)).study
    people = [factories.user_make("radiologist", clinic) for _ in range(PEOPLE)]
    together, said = threading.Barrier(PEOPLE), []

    @acting_as(SYSTEM)
    def claim(person: Any) -> None:
        together.wait(60)
        try:
            said.append(reading.reading_claim(user=person, study_id=study.pk).claimed_by_id)
        except ApplicationError as error:
            said.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=claim, args=[person]) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said.count("reading_claimed") == PEOPLE - 1
    assert [each for each in said if each != "reading_claimed"] == [Reading.objects.get().claimed_by_id]
    assert AuditEvent.objects.filter(verb="claim").count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_who_take_over_from_the_same_person_one_does(clinic, patient, user_for):
    """Each saw the same reader. Who comes second would take it from somebody they never saw, and is told."""
    row = factories.claim_make(factories.reading_make(factories.study_make(patient)), user_for("radiologist"))
    people = [factories.user_make("radiologist", clinic) for _ in range(PEOPLE)]
    together, said = threading.Barrier(PEOPLE), []

    @acting_as(SYSTEM)
    def take_over(person: Any) -> None:
        together.wait(60)
        try:
            reading.reading_claim(user=person, study_id=row.study_id, instead_of=row.claimed_by.username)
            said.append("taken over")
        except ApplicationError as error:
            said.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=take_over, args=[person]) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["reading_claimed"] * (PEOPLE - 1) + ["taken over"]
