"""How long the lists take at 1,000 and at 100,000 studies, and by which index. Takes minutes; asked for by name:

    python -m pytest tests/scale/pages.py -s
    STUDIES=1000000 python -m pytest tests/scale/pages.py -s      # instead of 100,000

Rows are written in bulk, past the triggers, over ten clinics; the person who looks reads for two of them, a doctor was
referred the thirty oldest studies of one. Every second study is unread, one film in 500 cannot be used, one in 500
failed, and a finding of one in 200 is only possible. What it printed stands in docs/performance.md.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from diagnosis import worklist
from patients.actor import acting_as, person
from tests import factories
from tests.conftest import owner_connected

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(1800)]
FEW, MANY = 1_000, int(os.environ.get("STUDIES", "100000"))
CLINICS = 10
ROUNDS = 15
API = ("studies", "radiographs", "predictions", "reports", "jobs", "patients")

SEED = """
SET session_replication_role = replica;
CREATE TEMP TABLE seeded ON COMMIT DROP AS
SELECT n, gen_random_uuid() AS patient, gen_random_uuid() AS study, gen_random_uuid() AS film,
       gen_random_uuid() AS prediction, md5(n::text) || md5(n::text || 'x') AS sha256,
       (SELECT id FROM patients_clinic WHERE code = 'scale-' || n %% {clinics}) AS clinic,
       now() - ({total} - n) * interval '1 minute' AS at, random() AS p
  FROM generate_series({first}, {total}) n;
INSERT INTO patients_patient (id, clinic_id, name, search_name, birth_year, sex, phone, abha_number, created_at,
       updated_at)
SELECT patient, clinic, 'Person ' || n, 'person ' || n, 1930 + n %% 90, 'female', '', '', at, at FROM seeded;
INSERT INTO patients_patientidentifier (patient_id, clinic_id, system, value)
SELECT patient, clinic, 'MRN', 'S' || n FROM seeded;
INSERT INTO diagnosis_study (id, patient_id, clinic_id, accession_number, indication, urgency, source, created_at,
       referring_doctor_id)
SELECT study, patient, clinic, '', 'Cough', CASE WHEN n %% 50 = 0 THEN 'urgent' ELSE 'routine' END, 'web', at,
       CASE WHEN n <= 300 THEN {doctor} END
  FROM seeded;
INSERT INTO diagnosis_radiograph (id, study_id, clinic_id, view, sha256, size, format, width, height, sop_instance_uid,
       series_instance_uid, study_instance_uid, display_key, quality, warnings, state, code, message, created_at)
SELECT film, study, clinic, 'PA', sha256, 1, 'png', 512, 512, '', '', '', '', '{{}}', '[]',
       CASE WHEN n %% 500 = 0 THEN 'rejected' ELSE 'ready' END, CASE WHEN n %% 500 = 0 THEN 'image_blank' ELSE '' END,
       '', at
  FROM seeded;
INSERT INTO diagnosis_job (id, radiograph_id, kind, model_version_id, state, priority, shadow, attempt, retries, solo,
       worker, error_code, queued_at, finished_at, timings_ms, created_at)
SELECT gen_random_uuid(), film, kind, '{model}', CASE WHEN lost THEN 'failed' ELSE 'succeeded' END, 2, false, 1, 0,
       false, '', CASE WHEN lost THEN 'worker_lost' ELSE '' END, at, at, '{{}}', at
  FROM seeded, (VALUES ('prepare', false), ('infer', true)) AS kinds (kind, last),
       LATERAL (SELECT last AND n %% 500 = 1) AS outcome (lost);
INSERT INTO diagnosis_prediction (id, radiograph_id, image_sha256, model_version_id, shadow, engine, urgency, map_key,
       timings_ms, created_at)
SELECT prediction, film, sha256, '{model}', false, 'fake', p, '', '{{}}', at FROM seeded;
INSERT INTO diagnosis_finding (prediction_id, label, probability, calibrated, threshold, word)
SELECT prediction, label, p, p, 0.5,
       CASE WHEN n %% 200 = 0 THEN 'possible' WHEN p >= 0.5 THEN 'likely' ELSE 'absent' END
  FROM seeded, (VALUES ('pneumonia'), ('effusion')) AS labels (label);
INSERT INTO diagnosis_reading (id, study_id, clinic_id, received_at, emergency, stands_at, urgency, critical, answered,
       finding_id, labels, closed_at, changed_at)
SELECT gen_random_uuid(), study, clinic, at, false, at - p * interval '3 hours', p, p > 0.9, n %% 20 <> 0,
       CASE WHEN p >= 0.5 THEN (SELECT min(id) FROM diagnosis_finding f WHERE prediction_id = seeded.prediction) END,
       CASE WHEN p >= 0.5 THEN ARRAY['effusion', 'pneumonia'] ELSE ARRAY[]::text[] END,
       CASE WHEN n %% 4 >= 2 THEN at + interval '1 hour' END, at
  FROM seeded;
"""


def seed(first: int, total: int, doctor: int) -> None:
    model = factories.model_version_make()
    statements = SEED.format(first=first, total=total, clinics=CLINICS, model=model.pk, doctor=doctor)
    statements = statements.replace("%%", "%")
    with owner_connected() as owner:
        owner.execute(f"BEGIN; {statements} COMMIT")
        owner.execute("SET session_replication_role = origin")
        owner.execute("VACUUM (ANALYZE)")


def milliseconds(call: Callable[[], Any]) -> float:
    """The shortest of some rounds, after one that warms up: what else the machine does makes the others longer."""
    call()
    taken = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        call()
        taken.append((time.perf_counter() - begun) * 1000)
    return min(taken)


def test_lists_take_at_most_twice_as_long_at_a_hundred_thousand_studies(db: None) -> None:
    clinics = [factories.clinic_make(code=f"scale-{number}") for number in range(CLINICS)]
    reader = factories.user_make("radiologist", clinics[0])
    factories.membership_make(reader, clinics[1], "radiologist")
    browser = Client()
    factories.sign_in(browser, reader)
    patient = factories.patient_make(clinics[0], "Often Seen")
    for _ in range(30):
        factories.reading_make(factories.predicted_film_make(factories.study_make(patient)).radiograph.study)
    doctor = factories.user_make("doctor", clinics[1])
    referred_to = Client()
    factories.sign_in(referred_to, doctor)

    def asked(address: str, status: int = 200, who: Client = browser, **headers: str) -> Callable[[], Any]:
        def ask() -> None:
            assert who.get(address, **headers).status_code in (200, status)

        return ask

    def old(address: str) -> Callable[[], Any]:
        """From the middle of the list on: a study a minute."""
        when = (timezone.now() - timedelta(minutes=done // 2)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return asked(f"{address}?created_before={when}")

    def unchanged() -> Callable[[], Any]:
        seen = browser.get("/worklist/")["ETag"]
        return asked("/worklist/", 304, HTTP_HX_REQUEST="true", HTTP_IF_NONE_MATCH=seen)

    done = 0
    yesterday = (timezone.now() - timedelta(days=1)).date()
    #: What is needed to ask is found out before the clock runs.
    pages: dict[str, Callable[[], Callable[[], Any]]] = {
        "worklist": lambda: asked("/worklist/"),
        "worklist, one clinic": lambda: asked(f"/worklist/?clinic={clinics[0].pk}"),
        "worklist, a finding": lambda: asked("/worklist/?label=pneumonia"),
        "worklist, second page": lambda: asked(f"/worklist/?{browser.get('/worklist/').context['next_query']}"),
        "worklist renewed, nothing new": unchanged,
        "films": lambda: asked("/films/"),
        "films, second page": lambda: asked(f"/films/?{browser.get('/films/').context['older_query']}"),
        "films, one clinic": lambda: asked(f"/films/?clinic={clinics[1].pk}"),
        "films, failed": lambda: asked("/films/?progress=failed"),
        "films, waiting": lambda: asked("/films/?progress=waiting"),
        "films, unusable": lambda: asked("/films/?progress=rejected"),
        "films, a rare finding": lambda: asked("/films/?word=possible"),
        "films, of a day": lambda: asked(f"/films/?date_from={yesterday}&date_to={yesterday}"),
        "films, a referring doctor": lambda: asked("/films/", who=referred_to),
        "patients": lambda: asked("/patients/"),
        "patients, a referring doctor": lambda: asked("/patients/", who=referred_to),
        "patient of 30 studies": lambda: asked(f"/patients/{patient.pk}/"),
        "study": lambda: asked(f"/studies/{patient.studies.first().pk}/"),
        "send a film": lambda: asked("/"),
        **{f"{name} (API)": lambda name=name: asked(f"/api/v1/{name}/") for name in API},
        "studies (API), old": lambda: old("/api/v1/studies/"),
        "predictions (API), old": lambda: old("/api/v1/predictions/"),
        "jobs (API), failed": lambda: asked("/api/v1/jobs/?state=failed"),
        "studies (API), a referring doctor": lambda: asked("/api/v1/studies/", who=referred_to),
        "search: a rare name": lambda: asked("/api/v1/patients/?q=often"),
        "search: a common name": lambda: asked("/api/v1/patients/?q=pers"),
        "search: a number": lambda: asked("/api/v1/patients/?q=S1000"),
    }
    times: dict[str, list[float]] = {name: [] for name in pages}
    for total in (FEW, MANY):
        seed(done + 1, total, doctor.pk)
        done = total
        for name, page in pages.items():
            times[name].append(milliseconds(page()))
    print(f"\n| Page | {FEW:,} studies | {MANY:,} studies | ratio |\n|---|---|---|---|")
    for name, (few, many) in times.items():
        print(f"| {name} | {few:.0f} ms | {many:.0f} ms | {many / few:.2f} |")
    with acting_as(person(reader)):
        plan = worklist._part(reader, clinics[0], {}, None)[:31].explain(analyze=True)
    print(plan)
    assert "reading_order" in plan
    slow = {name: many / few for name, (few, many) in times.items() if many > 2 * few}
    assert not slow
