"""One examination that was sent as two studies: one person asks, a second one makes them one."""

from __future__ import annotations

import threading
import uuid

import pytest
from django.db import IntegrityError, connection, transaction

from diagnosis.models import Job, Radiograph, Reading, Report, Study, StudyMove
from diagnosis.services import reporting
from diagnosis.services.infer import infer_waiting
from diagnosis.services.intake import radiograph_add
from diagnosis.services.moves import merge_ask, move_ask, move_decide
from patients.errors import ApplicationError
from patients.models import AuditEvent
from tests import factories
from tests.diagnosis.report_steps import code_of, save, signed
from tests.synthetic import as_png, synthetic_film

pytestmark = pytest.mark.django_db


@pytest.fixture
def radiographer(user_for):
    return user_for("radiographer")


@pytest.fixture
def lateral(patient, study, prediction):
    """The second view, sent as a study of its own."""
    other = factories.study_make(patient, urgency="urgent", indication="Cough for three weeks")
    factories.reading_make(study)
    factories.reading_make(other)
    factories.predicted_film_make(other)
    return other


@pytest.fixture
def ask(radiographer):
    def make(study: Study, into: object, reason: str = "Two views of one visit") -> StudyMove:
        return merge_ask(user=radiographer, study=study, into=getattr(into, "pk", into), reason=reason)

    return make


def films_of(study: Study) -> set[uuid.UUID]:
    return set(Radiograph.objects.filter(study=study).values_list("pk", flat=True))


# --- what comes of it


def test_one_asks_and_another_makes_them_one(study, lateral, ask, radiologist, radiographer):
    both = films_of(study) | films_of(lateral)
    move = ask(lateral, study)
    assert films_of(lateral)
    move_decide(user=radiologist, move=move, outcome="moved")
    study.refresh_from_db()
    lateral.refresh_from_db()
    assert (films_of(study), films_of(lateral)) == (both, set())
    assert (lateral.merged_into, lateral.patient) == (study, study.patient)
    assert (study.urgency, study.indication) == ("urgent", "Cough for three weeks")
    for verb, who in (("merge_ask", radiographer), ("merge_moved", radiologist)):
        events = AuditEvent.objects.filter(verb=verb, user=who, patient=study.patient)
        assert {event.object_id for event in events} == {str(study.pk), str(lateral.pk)}


def test_what_the_other_study_says_stays(study, lateral, ask, radiologist, patient):
    study.indication, study.urgency = "Fever", "emergency"
    study.save()
    move_decide(user=radiologist, move=ask(lateral, study), outcome="moved")
    study.refresh_from_db()
    assert (study.urgency, study.indication) == ("emergency", "Fever")


def test_history_keeps_where_each_film_was(study, lateral, ask, radiologist):
    film = lateral.radiographs.get()
    move_decide(user=radiologist, move=ask(lateral, study), outcome="moved")
    kept = film.pgh_event_model.objects.filter(pgh_obj=film).order_by("pgh_id").values_list("study", flat=True)
    assert list(kept)[-2:] == [lateral.pk, study.pk]


def test_who_asked_takes_it_back_and_cannot_do_it_alone(study, lateral, ask, radiographer):
    move = ask(lateral, study)
    assert code_of(lambda: move_decide(user=radiographer, move=move, outcome="moved")) == "move_same_person"
    with pytest.raises(IntegrityError), transaction.atomic():
        StudyMove.objects.filter(pk=move.pk).update(outcome="moved", decided_by=radiographer, decided_at=move.asked_at)
    move_decide(user=radiographer, move=move, outcome="left")
    assert films_of(lateral)
    assert Study.objects.get(pk=lateral.pk).merged_into is None


def test_one_study_is_left_on_the_worklist_where_all_its_films_place_it(patient, ask, radiologist):
    quiet, grave = factories.study_make(patient), factories.study_make(patient)
    factories.predicted_film_make(quiet, calibrated={"pneumonia": 0.1})
    factories.predicted_film_make(grave, calibrated={"pneumonia": 0.9})
    stays, goes = factories.reading_make(quiet, placed=True), factories.reading_make(grave, placed=True)
    factories.claim_make(goes, radiologist)
    move_decide(user=radiologist, move=ask(grave, quiet), outcome="moved")
    assert list(Reading.objects.open()) == [stays]
    stays.refresh_from_db()
    assert stays.urgency == pytest.approx(0.9)


def test_a_study_that_was_signed_without_the_film_is_open_again(draft, study, lateral, ask, radiologist):
    signed(draft, radiologist)
    move_decide(user=radiologist, move=ask(lateral, study), outcome="moved")
    assert Reading.objects.get(study=study).closed_at is None
    assert Report.objects.get(study=study).is_signed


def test_a_draft_of_the_other_study_is_behind(draft, lateral, study, ask, radiologist):
    version = save(draft, radiologist).version
    move_decide(user=radiologist, move=ask(lateral, study), outcome="moved")
    told = {"user": radiologist, "report": draft, "version": version}
    assert code_of(lambda: reporting.report_sign(**told)) == "stale_page"


def test_its_mean_wait_is_not_that_of_a_study_that_was_read(study, lateral, ask, radiologist, patient):
    move_decide(user=radiologist, move=ask(lateral, study), outcome="moved")
    Reading.objects.filter(study=lateral).update(received_at="2020-01-01T00:00Z")
    film = factories.radiograph_make(factories.study_make(patient, urgency="urgent"))
    urgent = factories.reading_make(film.study, placed=True)
    assert urgent.received_at - urgent.stands_at < factories.timedelta(days=1)


# --- what cannot be


def test_what_cannot_be_asked(study, lateral, ask, patient, clinic, foreign_patient):
    twin = factories.study_make(factories.patient_make(clinic))
    assert code_of(lambda: ask(lateral, lateral)) == "merge_same_study"
    assert code_of(lambda: ask(lateral, twin)) == "merge_other_patient"
    for unknown in (factories.study_make(foreign_patient), uuid.uuid4(), "no id"):
        assert code_of(lambda unknown=unknown: ask(lateral, unknown)) == "not_found"
    assert code_of(lambda: ask(lateral, study, " ")) == "merge_reason_missing"
    ask(lateral, study)
    assert code_of(lambda: ask(lateral, study)) == "move_asked"
    assert code_of(lambda: ask(study, lateral)) == "move_waits"


def test_a_study_of_which_a_report_was_begun_keeps_its_films(draft, study, lateral, ask, radiologist):
    assert code_of(lambda: ask(study, lateral)) == "merge_report_begun"
    move = ask(lateral, study)
    reporting.draft_open(user=radiologist, study=lateral)
    assert code_of(lambda: move_decide(user=radiologist, move=move, outcome="moved")) == "merge_report_begun"


def test_pictures_that_are_to_go_are_decided_first(study, lateral, ask):
    factories.removal_make(lateral)
    assert code_of(lambda: ask(lateral, study)) == "removal_asked"


def test_a_study_moved_to_another_patient_meanwhile_takes_no_films(
    study, lateral, ask, clinic, radiographer, radiologist
):
    move = ask(lateral, study)
    factories.patient_make(clinic, mrn="R-17")
    away = move_ask(user=radiographer, study=study, number="R-17", reason="Swapped")
    move_decide(user=radiologist, move=away, outcome="moved")
    assert code_of(lambda: move_decide(user=radiologist, move=move, outcome="moved")) == "merge_other_patient"


def test_nobody_who_follows_a_study_loses_its_films(study, lateral, ask, user_for, clinic):
    doctor = user_for("doctor")
    lateral.referring_doctor, study.referring_doctor = doctor, factories.user_make("doctor", clinic)
    lateral.save()
    study.save()
    assert code_of(lambda: ask(lateral, study)) == "merge_hides"
    lateral.referring_doctor, lateral.created_by = None, factories.client_make(clinic)
    lateral.save()
    assert code_of(lambda: ask(lateral, study)) == "merge_hides"


def test_the_doctor_of_a_study_follows_the_other_one_too(study, lateral, ask, user_for, radiologist):
    doctor = user_for("doctor")
    lateral.referring_doctor = doctor
    lateral.save()
    move_decide(user=radiologist, move=ask(lateral, study), outcome="moved")
    assert study in Study.objects.visible_to(doctor)


def test_a_merged_study_takes_nothing_more(study, lateral, ask, upload_of, user_for, radiologist, radiographer):
    move_decide(user=radiologist, move=ask(lateral, study), outcome="moved")
    lateral.refresh_from_db()
    late = upload_of(as_png(synthetic_film(7)))
    told = {"user": user_for("operator"), "study": lateral, "upload": late}
    with pytest.raises(ApplicationError, match="The films of this study are of study"):
        radiograph_add(**told)
    assert code_of(lambda: reporting.draft_open(user=radiologist, study=lateral)) == "study_merged"
    assert code_of(lambda: ask(lateral, study)) == "study_merged"
    third = factories.study_make(study.patient)
    assert code_of(lambda: ask(third, lateral)) == "study_merged"
    factories.patient_make(study.clinic, mrn="R-17")
    told = {"user": radiographer, "study": lateral, "number": "R-17", "reason": "Swapped"}
    assert code_of(lambda: move_ask(**told)) == "study_merged"


# --- work on the way


def test_an_answer_that_comes_later_places_the_other_study(model, prepared, patient, ask, radiologist):
    first, second = prepared(1), prepared(2)
    quiet, late = first.radiograph.study, second.radiograph.study
    move_decide(user=radiologist, move=ask(late, quiet), outcome="moved")
    while infer_waiting(worker="test"):
        pass
    assert set(Job.objects.filter(kind="infer").values_list("state", flat=True)) == {"succeeded"}
    row = Reading.objects.get(study=quiet)
    assert row.answered
    assert Reading.objects.get(study=late).closed_at is not None


@pytest.mark.django_db(transaction=True)
def test_a_film_that_is_being_added_comes_along(study, lateral, ask, radiologist):
    move = ask(lateral, study)
    met: list[object] = []

    def decide() -> None:
        try:
            met.append(move_decide(user=radiologist, move=move, outcome="moved").outcome)
        finally:
            connection.close()

    thread = threading.Thread(target=decide)
    with transaction.atomic():
        Study.objects.select_for_update(no_key=True).get(pk=lateral.pk)  # as the intake holds it
        thread.start()
        thread.join(0.3)
        assert met == []
        film = factories.radiograph_make(lateral)
    thread.join(20)
    assert met == ["moved"]
    assert Radiograph.objects.get(pk=film.pk).study == study


# --- pages and API


def test_the_study_offers_the_other_ones_and_a_second_person_makes_them_one(client_for, study, lateral, patient):
    address = f"/studies/{lateral.pk}/"
    asking = client_for("radiographer")
    page = asking.get(address).content.decode()
    assert "Part of another study?" in page
    assert f'<option value="{study.pk}">' in page
    assert "Part of another study?" not in client_for("operator").get(address).content.decode()
    refused = asking.post(f"{address}move/", {"into": str(lateral.pk), "reason": "One visit"}, follow=True)
    assert "Choose another study than this one." in refused.content.decode()
    page = asking.post(f"{address}move/", {"into": str(study.pk), "reason": "One visit"}, follow=True).content.decode()
    assert "may be a part of another study" in page
    assert "Make them one study" not in page
    reading = client_for("radiologist")
    for place in (address, f"{address}read/", "/moves/"):
        assert "Make them one study" in reading.get(place).content.decode(), place
    move = StudyMove.objects.get()
    done = reading.post(f"/moves/{move.pk}/decide/", {"outcome": "moved"}, follow=True)
    assert done.redirect_chain[-1][0] == f"/studies/{study.pk}/"
    assert "The films of both studies are in this one now." in done.content.decode()
    assert f"study {str(study.pk)[:8]}" in reading.get("/moves/").content.decode()


def test_addresses_of_a_merged_study_lead_to_its_films(client_for, study, lateral, ask, radiologist, patient):
    move_decide(user=radiologist, move=ask(lateral, study), outcome="moved")
    client = client_for("radiologist")
    for page in ("", "read/"):
        answer = client.get(f"/studies/{lateral.pk}/{page}")
        assert (answer.status_code, answer["Location"]) == (302, f"/studies/{study.pk}/{page}")
    refused = client.get(f"/studies/{lateral.pk}/view/")
    assert refused.status_code == 409
    assert f"The films of this study are of study {study.pk} now." in refused.content.decode()
    renewed = client.get(f"/studies/{lateral.pk}/status/", headers={"HX-Request": "true"})
    assert (renewed.status_code, renewed["HX-Refresh"]) == (204, "true")
    page = client.get(f"/patients/{patient.pk}/").content.decode()
    assert f"/studies/{study.pk}/" in page
    assert f"/studies/{lateral.pk}/" not in page


def test_who_does_not_follow_the_other_study_is_told_so(client_for, study, lateral, ask, radiologist, user_for):
    doctor = user_for("doctor")
    lateral.referring_doctor = doctor
    lateral.save()
    move_decide(user=radiologist, move=ask(lateral, study), outcome="moved")
    Study.objects.filter(pk=study.pk).update(referring_doctor=None, created_at="2020-01-01T00:00Z")
    Study.objects.filter(pk=lateral.pk).update(created_at="2019-01-01T00:00Z")
    page = client_for(doctor).get(f"/studies/{lateral.pk}/")
    assert page.status_code == 200
    assert "a part of another study, which you do not follow" in page.content.decode()


def test_the_api_says_where_the_films_are(api_for, study, lateral, ask, radiologist):
    move_decide(user=radiologist, move=ask(lateral, study), outcome="moved")
    api = api_for("radiologist")
    found = api.get(f"/api/v1/studies/{lateral.pk}/").json()
    assert (found["merged_into"], found["radiographs"]) == (str(study.pk), [])
    whole = api.get(f"/api/v1/studies/{study.pk}/").json()
    assert whole["merged_into"] is None
    assert len(whole["radiographs"]) == 2
