"""The chain over the audit finds what was changed past every trigger, and never makes a writer wait."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from patients import sealing
from patients.audit import audit_record
from patients.models import AuditEvent, AuditSeal
from patients.sealing import audit_head, audit_keep_sealed, audit_seal
from tests.factories import user_make

pytestmark = pytest.mark.usefixtures("database_owner")

#: For each column of the audit, one byte or one reference that a database superuser could change.
TAMPERED = {
    "id": "id + 1000000",
    "at": "at + interval '1 microsecond'",
    "user_id": "NULL",
    "role": "'radiologisT'",
    "clinic_id": "NULL",
    "verb": "'reac'",
    "object_type": "'patienu'",
    "object_id": "overlay(object_id placing CASE left(object_id, 1) WHEN 'a' THEN 'b' ELSE 'a' END from 1)",
    "patient_id": "NULL",
    "outcome": "'oj'",
    "changes": """'{"phone": ["1.10", "2"]}'""",
    "ip_address": "'10.0.0.8'",
    "request_id": "'2'",
    "session": "'b'",
    "purpose": "'ETREAT'",
    "reason": "' '",
}


@pytest.fixture
def record(user_for, patient, clinic) -> Callable[[], AuditEvent]:
    """Another event that fills every column."""

    def one() -> AuditEvent:
        return AuditEvent.objects.create(
            user=user_for("radiologist"),
            role="radiologist",
            clinic=clinic,
            verb="read",
            object_type="patient",
            object_id=str(patient.pk),
            patient=patient,
            changes={"phone": ["1.1", "2"]},
            ip_address="10.0.0.7",
            request_id="1",
            session="a",
            purpose="TREAT",
        )

    return one


@pytest.fixture
def sealed(record) -> list[AuditEvent]:
    events = [record() for _ in range(5)]
    audit_seal()
    return events


def tamper(statement: str, *params: object) -> None:
    """As a database superuser with every trigger and foreign key switched off."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL session_replication_role = replica")
        cursor.execute(statement, params)
        assert cursor.rowcount
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def verify(*arguments: str) -> tuple[bool, str]:
    """What `manage.py verify_audit` prints, and whether it found nothing."""
    out = io.StringIO()
    try:
        call_command("verify_audit", *arguments, stdout=out)
    except CommandError:
        return False, out.getvalue()
    return True, out.getvalue()


# --- what is found


def test_an_untouched_audit_is_confirmed_with_its_count_and_head(sealed):
    sound, told = verify()
    assert sound
    assert f"5 events sealed, head {audit_head()}" in told


def test_an_empty_audit_is_sound(db):
    assert verify() == (True, f"0 events sealed, head {sealing.GENESIS}@0\nNothing was changed.\n")


def test_every_column_is_sealed():
    assert set(TAMPERED) == {field.attname for field in AuditEvent._meta.concrete_fields}


@pytest.mark.parametrize("column", TAMPERED)
def test_one_byte_changed_as_database_superuser_is_found(sealed, column):
    tamper(f"UPDATE patients_auditevent SET {column} = {TAMPERED[column]} WHERE id = %s", sealed[2].pk)
    sound, told = verify()
    assert not sound
    assert f"Event {sealed[2].pk} {'is missing' if column == 'id' else 'was changed'}." in told


def test_a_change_to_the_newest_event_is_found(sealed):
    tamper("UPDATE patients_auditevent SET verb = 'list' WHERE id = %s", sealed[-1].pk)
    sound, told = verify()
    assert (sound, f"Event {sealed[-1].pk}, or its seal 5, was changed." in told) == (False, True)


def test_a_deleted_event_is_found(sealed):
    tamper("DELETE FROM patients_auditevent WHERE id = %s", sealed[1].pk)
    sound, told = verify()
    assert (sound, f"Event {sealed[1].pk} is missing." in told) == (False, True)


def test_an_emptied_audit_is_found(sealed):
    tamper("DELETE FROM patients_auditevent")
    assert not verify()[0]


def test_a_changed_seal_is_told_from_a_changed_event(sealed):
    tamper("UPDATE patients_auditseal SET sha256 = repeat('0', 64) WHERE position = 3")
    sound, told = verify()
    assert (sound, "Seal 3 was changed." in told, "Event" in told) == (False, True, False)


def test_a_missing_seal_is_found(sealed):
    tamper("DELETE FROM patients_auditseal WHERE position = 2")
    sound, told = verify()
    assert (sound, "Seals 2 to 2 are missing." in told) == (False, True)
    assert not verify("--seal")[0]


def test_seals_in_another_order_are_found(sealed):
    tamper("UPDATE patients_auditseal SET position = CASE position WHEN 2 THEN -3 ELSE -2 END WHERE position IN (2, 3)")
    tamper("UPDATE patients_auditseal SET position = -position WHERE position < 0")
    assert not verify()[0]


def test_a_seal_out_of_the_chain_does_not_hide_its_event(sealed, record):
    AuditSeal.objects.create(position=-1, event=record(), sha256="0" * 64)
    assert not verify()[0]


# --- what only a head noted elsewhere finds


def rewrite_the_end(first: AuditEvent) -> None:
    """A superuser who knows this code: changes an event and computes every later seal anew."""
    tamper("DELETE FROM patients_auditseal WHERE event_id >= %s", first.pk)
    tamper("UPDATE patients_auditevent SET verb = 'list' WHERE id = %s", first.pk)
    audit_seal()


def test_a_rewritten_end_does_not_fit_the_head_that_was_noted(sealed):
    noted = str(audit_head())
    rewrite_the_end(sealed[3])
    assert verify()[0]
    sound, told = verify("--head", noted)
    assert (sound, "the chain was written anew" in told) == (False, True)


def test_a_cut_off_end_does_not_reach_the_head_that_was_noted(sealed):
    noted = str(audit_head())
    tamper("DELETE FROM patients_auditseal WHERE position > 3")
    tamper("DELETE FROM patients_auditevent WHERE id > %s", sealed[2].pk)
    assert verify()[0]
    sound, told = verify("--head", noted)
    assert (sound, "its end was cut off" in told) == (False, True)


def test_a_head_noted_earlier_is_found_in_a_longer_chain(sealed, record):
    noted = str(audit_head())
    record()
    audit_seal()
    assert verify("--head", noted)[0]


@pytest.mark.parametrize("head", ["5", "abc@5", "f" * 64 + "@", "f" * 64 + "@x"])
def test_a_head_that_is_none_is_refused(db, head):
    with pytest.raises(CommandError, match="a head looks like"):
        call_command("verify_audit", "--head", head)


# --- sealing


def test_sealing_again_changes_nothing(sealed):
    before = list(AuditSeal.objects.values())
    assert audit_seal() == audit_seal(everything=True) == 0
    assert list(AuditSeal.objects.values()) == before


def test_sealing_goes_on_in_bounded_batches(record, monkeypatch):
    monkeypatch.setattr(sealing, "BATCH", 2)
    monkeypatch.setattr(sealing, "BATCHES_AT_ONCE", 2)
    for _ in range(7):
        record()
    assert [audit_seal(), audit_seal(), audit_seal()] == [4, 3, 0]
    assert verify()[0]


def test_an_event_that_commits_late_is_sealed_after_the_others(record, monkeypatch):
    late = record()
    tamper("UPDATE patients_auditevent SET id = 10 WHERE id = %s", late.pk)  # as if not committed yet
    first = record()
    tamper("UPDATE patients_auditevent SET id = 20 WHERE id = %s", first.pk)
    hidden = sealing._unsealed
    monkeypatch.setattr(sealing, "_unsealed", lambda look_back: hidden(look_back).exclude(pk=10))
    audit_seal()
    monkeypatch.undo()
    audit_seal()
    assert list(AuditSeal.objects.values_list("event", flat=True)) == [20, 10]


def test_what_is_older_than_the_look_back_is_found_once_an_hour(record, monkeypatch, caplog):
    monkeypatch.setattr(sealing, "LOOK_BACK", 2)
    monkeypatch.setattr(sealing, "_head_noted_at", float("-inf"))
    events = [record() for _ in range(6)]
    AuditSeal.objects.create(position=1, event=events[5], sha256=sealing.link(sealing.GENESIS, _row(events[5])))
    assert audit_seal() == 1
    with caplog.at_level(logging.INFO, "patients.sealing"):
        audit_keep_sealed()
        audit_keep_sealed()
    assert AuditSeal.objects.count() == 6
    assert [record.getMessage() for record in caplog.records] == [f"audit head {audit_head()}"]
    assert verify()[0]


def _row(event: AuditEvent) -> dict[str, object]:
    return sealing._rows(AuditEvent.objects.filter(pk=event.pk))[0]


def test_events_that_nobody_seals_are_a_fault_after_a_minute(sealed, record):
    waiting = record()
    assert verify()[0]
    tamper("UPDATE patients_auditevent SET at = %s WHERE id = %s", timezone.now() - timedelta(seconds=61), waiting.pk)
    sound, told = verify()
    assert (sound, "1 events wait for their seal" in told) == (False, True)
    assert verify("--seal")[0]


@pytest.mark.django_db(transaction=True)
def test_writers_and_sealers_at_once_leave_one_sound_chain():
    user = user_make()

    def work(step: Callable[[], object], times: int) -> None:
        try:
            for _ in range(times):
                step()
        finally:
            connection.close()

    writers = [threading.Thread(target=work, args=(lambda: audit_record(user=user, verb="read"), 40)) for _ in range(4)]
    sealers = [threading.Thread(target=work, args=(audit_seal, 30)) for _ in range(2)]
    for thread in (*writers, *sealers):
        thread.start()
    for thread in (*writers, *sealers):
        thread.join()
    audit_seal()
    assert AuditSeal.objects.count() == AuditEvent.objects.count() == 160
    assert verify()[0]


@pytest.mark.django_db(transaction=True)
def test_a_writer_who_is_paused_in_a_transaction_stops_nobody(record):
    sealed: list[int] = []

    def seal_beside() -> None:
        sealed.append(audit_seal())
        connection.close()

    with transaction.atomic():
        record()
        beside = threading.Thread(target=seal_beside)
        beside.start()
        beside.join(timeout=60)
        assert sealed == [0]
    assert audit_seal() == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE patients_auditseal SET sha256 = ''",
        "DELETE FROM patients_auditseal",
        "TRUNCATE patients_auditseal",
        "TRUNCATE patients_auditevent CASCADE",
    ],
)
def test_seals_cannot_be_rewritten(sealed, statement):
    connection.check_constraints()
    with pytest.raises(IntegrityError, match="append-only"), connection.cursor() as cursor:
        cursor.execute(statement)
