"""The clinic administrator's page of what is kept and what may go."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.urls import reverse

from patients.models import AuditEvent
from tests import factories

pytestmark = pytest.mark.django_db


def page_of(client) -> str:
    answer = client.get(reverse("retention"))
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_a_clinic_without_a_rule_keeps_everything(client_for):
    page = page_of(client_for("clinicadmin"))
    assert "Kept for ever" in page
    assert "Care and AI assistance, while nothing is recorded" in page


def test_the_page_counts_what_may_go_and_what_is_kept_back_and_names_nobody(client_for, user_for, patient, clinic):
    factories.data_policy_make(clinic, keep_years=10, implied_consent="care")
    taken = datetime(2001, 5, 3, tzinfo=UTC)
    for signed in (True, False):
        study = factories.study_make(patient, acquired_at=taken)
        factories.radiograph_make(study, state="ready")
        if signed:
            factories.report_make(study, user_for("radiologist"))
    factories.legal_hold_make(factories.patient_make(clinic), user_for("clinicadmin"))
    page = page_of(client_for("clinicadmin"))
    assert "1 film, " in page
    assert "the oldest of 3 May 2001" in page
    assert "past their time: no signed report" in page
    assert "</span> patient</dd>" in page
    assert patient.name not in page
    assert AuditEvent.objects.filter(verb="read_retention", clinic=clinic).exists()


def test_another_clinics_films_do_not_count(client_for, user_for, foreign_patient, other_clinic):
    factories.data_policy_make(other_clinic, keep_years=1)
    assert other_clinic.name not in page_of(client_for("clinicadmin"))
