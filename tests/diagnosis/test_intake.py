"""Intake: what is kept, what is refused, and what happens the second time."""

from __future__ import annotations

from pathlib import Path

import pytest

from diagnosis import storage
from diagnosis.models import Job, Radiograph, Study
from diagnosis.services.intake import radiograph_add, study_create
from patients.models import AuditEvent


def test_first_film_makes_study_radiograph_and_job(user_for, patient, film):
    result = study_create(user=user_for("operator"), patient=patient, upload=film, urgency="urgent")
    assert result.created
    assert Path(storage.path_of(storage.original_key(film.sha256))).read_bytes() == film.open().read()
    job = Job.objects.get(radiograph=result.radiograph)
    assert (job.kind, job.state, job.priority) == ("prepare", "queued", 1)
