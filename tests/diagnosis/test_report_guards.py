"""Signing, as the database guards it: once, and for good. Pages for it are still to come."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models.functions import Now

from diagnosis.models import Report
from patients.actor import SYSTEM, acting_as
from tests import factories

PEOPLE = 8


@pytest.mark.django_db(transaction=True)
def test_f26_of_many_who_sign_the_same_draft_at_once_one_does(patient, user_for):
    radiologist = user_for("radiologist")
    report = factories.report_make(factories.study_make(patient), radiologist, "draft")
    together, signed = threading.Barrier(PEOPLE), []

    @acting_as(SYSTEM)
    def sign() -> None:
        together.wait(20)
        drafts = Report.objects.filter(pk=report.pk, status="draft")
        signed.append(drafts.update(status="final", signed_by=radiologist, signed_at=Now()))
        connection.close()

    threads = [threading.Thread(target=sign) for _ in range(PEOPLE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(signed) == [0] * (PEOPLE - 1) + [1]


@pytest.mark.django_db
@pytest.mark.parametrize("change", [{"impression": "another"}, {"status": "draft"}, {"signed_at": None}], ids=str)
def test_f26_a_final_report_cannot_be_changed(patient, user_for, change: dict[str, Any]):
    report = factories.report_make(factories.study_make(patient), user_for("radiologist"), "final")
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Report.objects.filter(pk=report.pk).update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        report.delete()
