"""A study under the wrong patient: one person asks, a second one decides, and until then nobody signs."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from diagnosis.models import Report, StudyMove
from diagnosis.services import reporting
from diagnosis.services.moves import move_ask, move_decide
from patients.models import AuditEvent
from tests import factories
from tests.diagnosis.report_steps import code_of, save, sign, signed

pytestmark = pytest.mark.django_db


@pytest.fixture
def right(clinic):
    """Whose films these are."""
    return factories.patient_make(clinic, "Right Person", mrn="R-17")


@pytest.fixture
def radiographer(user_for):
    return user_for("radiographer")


@pytest.fixture
def move(study, right, radiographer):
    return move_ask(user=radiographer, study=study, number="r-17", reason="The names were swapped")


def test_one_asks_and_another_moves_the_study(study, move, right, radiologist):
    wrong = study.patient
    move_decide(user=radiologist, move=move, outcome="moved")
    study.refresh_from_db()
    move.refresh_from_db()
    assert study.patient == right
    assert (move.outcome, move.decided_by, move.from_patient, move.to_patient) == ("moved", radiologist, wrong, right)
    for verb in ("move_ask", "move_moved"):
        assert {event.patient for event in AuditEvent.objects.filter(verb=verb)} == {wrong, right}
    kept = [event.patient_id for event in study.pgh_event_model.objects.filter(pgh_obj=study).order_by("pgh_id")]
    assert kept[-2:] == [wrong.pk, right.pk]


def test_who_asked_takes_it_back_and_does_not_move(study, move, radiographer, right):
    assert code_of(lambda: move_decide(user=radiographer, move=move, outcome="moved")) == "move_same_person"
    move_decide(user=radiographer, move=move, outcome="left")
    study.refresh_from_db()
    assert study.patient != right
    assert code_of(lambda: move_decide(user=radiographer, move=move, outcome="left")) == "move_decided"


def test_who_both_asks_and_reads_still_needs_a_second_person(study, right, clinic, radiographer, radiologist):
    factories.membership_make(radiographer, clinic, "radiologist")
    move = move_ask(user=radiographer, study=study, number="R-17", reason="Swapped")
    assert code_of(lambda: move_decide(user=radiographer, move=move, outcome="moved")) == "move_same_person"
    with pytest.raises(IntegrityError), transaction.atomic():
        StudyMove.objects.filter(pk=move.pk).update(outcome="moved", decided_by=radiographer, decided_at=move.asked_at)


@pytest.mark.parametrize(
    ("number", "reason", "code"),
    [
        ("R-17", " ", "move_reason_missing"),
        ("R-1", "Swapped", "move_unknown_patient"),
        ("", "Swapped", "move_unknown_patient"),
        ("own", "Swapped", "move_same_patient"),
        ("far", "Swapped", "move_unknown_patient"),
        ("twice", "Swapped", "move_unknown_patient"),
        ("R-17", "Swapped\nagain", "invalid_text"),
    ],
)
def test_what_cannot_be_asked(study, right, clinic, other_clinic, radiographer, number, reason, code):
    factories.identifier_make(study.patient, "own")
    factories.patient_make(other_clinic, mrn="far")
    for system in ("MRN", "PACS"):
        factories.identifier_make(factories.patient_make(clinic), "twice", system)
    assert code_of(lambda: move_ask(user=radiographer, study=study, number=number, reason=reason)) == code


def test_a_second_question_waits_for_the_first(study, move, radiographer):
    told = {"user": radiographer, "study": study, "number": "R-17", "reason": "Again"}
    assert code_of(lambda: move_ask(**told)) == "move_asked"


def test_nobody_signs_until_it_is_decided(draft, study, right, radiographer, radiologist):
    move = move_ask(user=radiographer, study=study, number="R-17", reason="Swapped")
    report = save(draft, radiologist)
    assert code_of(lambda: sign(report, radiologist)) == "move_waits"
    told = {"user": radiologist, "report": report, "version": report.version}
    assert code_of(lambda: reporting.report_preliminary(**told)) == "move_waits"
    move_decide(user=radiographer, move=move, outcome="left")
    signed(draft, radiologist)
    assert Report.objects.get(pk=draft.pk).is_signed


def test_a_draft_that_was_open_when_the_study_moved_is_behind(draft, move, radiologist):
    version = save(draft, radiologist).version
    move_decide(user=radiologist, move=move, outcome="moved")
    told = {"user": radiologist, "report": draft, "version": version}
    assert code_of(lambda: reporting.report_sign(**told)) == "stale_page"


def test_a_signed_report_keeps_its_study(draft, study, right, radiographer, radiologist):
    signed(draft, radiologist)
    told = {"user": radiographer, "study": study, "number": "R-17", "reason": "Swapped"}
    assert code_of(lambda: move_ask(**told)) == "move_report_signed"


# --- the pages


def test_the_study_says_so_and_a_second_person_moves_it_there(client_for, study, right):
    address = f"/studies/{study.pk}/"
    asking = client_for("radiographer")
    assert "Wrong patient?" in asking.get(address).content.decode()
    assert "Wrong patient?" not in client_for("operator").get(address).content.decode()
    refused = asking.post(f"{address}move/", {"number": "nobody", "reason": "Swapped"}, follow=True).content.decode()
    assert "nobody is the number of no patient of this clinic" in refused
    page = asking.post(f"{address}move/", {"number": "R-17", "reason": "Swapped"}, follow=True).content.decode()
    for words in ("may be of another patient", "Right Person", "Take it back"):
        assert words in page
    assert "Move the study" not in page
    move = StudyMove.objects.get()
    reading = client_for("radiologist")
    assert "Wrong patient: 1 waiting" in reading.get("/follow-up/").content.decode()
    for place in (address, f"{address}read/", "/moves/"):
        assert "Move the study" in reading.get(place).content.decode(), place
    moved = reading.post(f"/moves/{move.pk}/decide/", {"outcome": "moved"}, follow=True).content.decode()
    assert "<h1>Right Person</h1>" in moved
    assert "moved" in reading.get("/moves/").content.decode()


def test_the_administrator_decides_without_being_told_who_the_patients_are(client_for, study, right, move):
    client = client_for("clinicadmin")
    page = client.get("/moves/").content.decode()
    assert "Move the study" in page
    assert right.name not in page
    assert study.patient.name not in page
    assert move.reason not in page
