"""A signed report stays as it was signed, whoever comes next and whoever comes at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from diagnosis.models import Report, ReportedFinding
from diagnosis.services import reporting
from patients.actor import acting_as, person
from patients.errors import ApplicationError
from patients.models import AuditEvent
from tests import factories
from tests.diagnosis.report_steps import code_of, decide, save, sign, signed

pytestmark = pytest.mark.django_db


# --- after the signature


def test_f26_a_signed_report_is_edited_by_nobody(draft, radiologist, study):
    signed(draft, radiologist)
    for change in (
        lambda: save(draft, radiologist, impression="Other."),
        lambda: decide(draft, radiologist, "effusion", "added"),
        lambda: sign(draft, radiologist),
        lambda: reporting.draft_open(user=radiologist, study=study),
    ):
        assert code_of(change) == "report_signed"


@pytest.mark.parametrize(
    "change", [{"impression": "another"}, {"status": "draft"}, {"signed_at": None}, {"version": 99}], ids=str
)
def test_f26_a_final_report_cannot_be_changed_past_the_application(draft, radiologist, change):
    signed(draft, radiologist)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Report.objects.filter(pk=draft.pk).update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        draft.delete()


def test_f26_nor_can_the_decisions_in_it(draft, radiologist):
    other = factories.report_make(factories.study_make(draft.study.patient), radiologist, "draft")
    signed(draft, radiologist)
    decision = draft.decisions.filter(report=draft)
    moved = factories.decision_make(other, "mass")
    for change in (
        lambda: decision.update(reason=""),
        lambda: decision.update(report=other),
        lambda: ReportedFinding.objects.filter(pk=moved.pk).update(report=draft),
        lambda: decision.delete(),
        lambda: factories.decision_make(draft, "hernia"),
    ):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            change()


def test_an_amendment_supersedes_and_says_why(draft, radiologist):
    signed(draft, radiologist)
    amendment = reporting.report_amend(user=radiologist, report=draft, reason="Effusion was overlooked")
    assert (amendment.status, amendment.impression) == ("draft", "Pneumonia.")
    decide(amendment, radiologist, "effusion", "added")
    sign(amendment, radiologist)
    amendment.refresh_from_db()
    draft.refresh_from_db()
    assert (amendment.status, amendment.supersedes, amendment.amendment_reason) == (
        "amended",
        draft,
        "Effusion was overlooked",
    )
    assert draft.status == "final"
    assert dict(amendment.decisions.values_list("label", "verdict")) == {"pneumonia": "accepted", "effusion": "added"}
    assert dict(draft.decisions.values_list("label", "verdict")) == {"pneumonia": "accepted", "effusion": "absent"}


def test_only_the_signed_report_in_force_is_amended(draft, radiologist):
    amend = {"user": radiologist, "report": draft}
    assert code_of(lambda: reporting.report_amend(reason="x", **amend)) == "report_not_signed"
    signed(draft, radiologist)
    assert code_of(lambda: reporting.report_amend(reason=" ", **amend)) == "reason_missing"
    reporting.report_amend(reason="x", **amend)
    assert code_of(lambda: reporting.report_amend(reason="y", **amend)) == "report_amended"


def test_an_amendment_of_another_study_is_refused_by_the_database(draft, radiologist, patient):
    signed(draft, radiologist)
    other = factories.study_make(patient)
    with pytest.raises(IntegrityError, match="same study"), transaction.atomic():
        factories.report_make(other, radiologist, "draft", supersedes=draft, amendment_reason="x")


# --- at the same moment, on connections of their own

committed = pytest.mark.django_db(transaction=True)


def at_once(people: list[Any], act: Callable[[Any], Any]) -> list[str]:
    """What each person met who did the same at the same moment: `ok` or the code of the refusal."""
    together, outcomes = threading.Barrier(len(people)), []

    def run(user: Any) -> None:
        with acting_as(person(user)):
            try:
                together.wait(60)
                act(user)
                outcomes.append("ok")
            except ApplicationError as error:
                outcomes.append(error.code)
            except Exception as error:
                outcomes.append(repr(error))
            finally:
                connection.close()

    threads = [threading.Thread(target=run, args=[user]) for user in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


@pytest.fixture
def readers(clinic, radiologist):
    return [radiologist, *(factories.user_make("radiologist", clinic) for _ in range(5))]


@committed
def test_f26_of_many_who_sign_one_does(draft, readers):
    decide(draft, readers[0], "pneumonia", "accepted")
    save(draft, readers[0], impression="Pneumonia.")
    draft.refresh_from_db()
    version = draft.version
    met = at_once(readers, lambda user: reporting.report_sign(user=user, report=draft, version=version))
    assert met == ["ok"] + ["report_signed"] * 5
    assert AuditEvent.objects.filter(verb="sign").count() == 1


@committed
def test_of_many_who_save_one_does(draft, readers):
    met = at_once(
        readers,
        lambda user: reporting.draft_save(user=user, report=draft, version=0, impression=user.username),
    )
    assert met == ["ok"] + ["stale_page"] * 5


@committed
def test_many_who_open_a_draft_open_the_same(study, prediction, readers):
    assert at_once(readers, lambda user: reporting.draft_open(user=user, study=study)) == ["ok"] * 6
    assert Report.objects.count() == 1


@committed
def test_of_many_who_amend_one_does(draft, readers):
    signed(draft, readers[0])
    met = at_once(readers, lambda user: reporting.report_amend(user=user, report=draft, reason="x"))
    assert met == ["ok"] + ["report_amended"] * 5


@committed
def test_a_decision_past_the_application_waits_for_the_signature_and_fails(draft, radiologist):
    """Whoever writes a decision while another signs waits until it is clear whether the report is signed."""
    decide(draft, radiologist, "pneumonia", "accepted")
    save(draft, radiologist, impression="Pneumonia.")
    met: list[str] = []

    def write() -> None:
        with acting_as(person(radiologist)):
            try:
                factories.decision_make(draft, "hernia")
                met.append("ok")
            except IntegrityError as error:
                met.append(str(error).split("\n")[0])
            finally:
                connection.close()

    with transaction.atomic():
        sign(draft, radiologist)
        thread = threading.Thread(target=write)
        thread.start()
        thread.join(0.3)
        assert met == []
    thread.join(20)
    assert met == ["the findings of a signed report are append-only"]
