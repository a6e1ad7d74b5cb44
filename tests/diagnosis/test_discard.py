"""A draft begun by mistake goes, and what was in it stays in the history; a signed report never goes."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from diagnosis.models import FirstImpression, Report, ReportedFinding
from diagnosis.services import reporting
from patients.actor import acting_as, person
from patients.models import AuditEvent
from tests import factories
from tests.diagnosis.report_steps import code_of, decide, save, signed

pytestmark = pytest.mark.django_db


def discard(report, user):
    report.refresh_from_db()
    return reporting.draft_discard(user=user, report=report, version=report.version)


def history(table: str) -> list[tuple[str, str]]:
    column = "verdict" if "finding" in table else "impression"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pgh_label, {column} FROM {table} ORDER BY pgh_id")
        return cursor.fetchall()


def test_a_draft_goes_with_its_decisions_and_the_history_keeps_both(draft, radiologist):
    decide(draft, radiologist, "pneumonia", "accepted")
    save(draft, radiologist, impression="Begun by mistake.")
    key = str(draft.pk)
    with acting_as(person(radiologist)):
        discard(draft, radiologist)
    assert not Report.objects.exists()
    assert not ReportedFinding.objects.exists()
    assert history("diagnosis_reporthistory")[-1] == ("delete", "Begun by mistake.")
    assert history("diagnosis_reportedfindinghistory")[-1] == ("delete", "accepted")
    event = AuditEvent.objects.get(verb="discard")
    assert (event.object_id, event.user) == (key, radiologist)


def test_a_discarded_amendment_leaves_the_signed_report_and_room_for_another(draft, radiologist):
    signed(draft, radiologist)
    amendment = reporting.report_amend(user=radiologist, report=draft, reason="By mistake")
    discard(amendment, radiologist)
    draft.refresh_from_db()
    assert draft.status == "final"
    assert reporting.report_amend(user=radiologist, report=draft, reason="Really").supersedes == draft


def test_a_signed_report_is_never_discarded(draft, radiologist):
    signed(draft, radiologist)
    assert code_of(lambda: discard(draft, radiologist)) == "report_signed"
    with pytest.raises(DatabaseError), transaction.atomic(), acting_as(person(radiologist)):
        Report.objects.filter(pk=draft.pk).delete()


def test_a_page_that_is_behind_discards_nothing(draft, radiologist):
    save(draft, radiologist, impression="Newer.")
    late = {"user": radiologist, "report": draft, "version": 0}
    assert code_of(lambda: reporting.draft_discard(**late)) == "stale_page"
    assert Report.objects.filter(pk=draft.pk).exists()


def test_a_colleague_of_another_clinic_finds_nothing_to_discard(draft, other_clinic):
    stranger = factories.user_make("radiologist", other_clinic)
    assert code_of(lambda: discard(draft, stranger)) == "not_found"


def test_the_first_impression_stays(study, draft, radiologist):
    reporting.first_impression_save(user=radiologist, study=study, text="Looks normal.")
    discard(draft, radiologist)
    assert FirstImpression.objects.get().text == "Looks normal."
    assert reporting.draft_open(user=radiologist, study=study).pk != draft.pk
