"""Many studies written in bulk, and every list that somebody asks for among them: for `pages`, `numbers` and `bench`.

Rows are written past the triggers over ten clinics; the person who looks reads for two of them, a doctor was referred
the thirty oldest studies of one. Every second study is unread, one film in 500 cannot be used, one in 500 failed, and a
finding of one in 200 is only possible; of the first thousand one in 20 each, so that a list of them has a full page
however many follow. Everybody is called Person, a number, and one of 400 family names.
May import: Django, `mlcore.card`, `mlcore.registry`, `tests.factories`, `tests.conftest`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from mlcore.card import CARD_FILE
from mlcore.registry import bundled_folder
from tests import factories
from tests.conftest import owner_connected

CLINICS = 10
ROUNDS = 15
API = ("studies", "radiographs", "predictions", "reports", "jobs", "patients")

SEED = """
SET session_replication_role = replica;
CREATE TEMP TABLE seeded ON COMMIT DROP AS
SELECT n, gen_random_uuid() AS patient, gen_random_uuid() AS study, gen_random_uuid() AS film,
       gen_random_uuid() AS prediction, md5(n::text) || md5(n::text || 'x') AS sha256,
       (SELECT id FROM patients_clinic WHERE code = 'scale-' || n %% {clinics}) AS clinic,
       chr(97 + abs(hashtext(n::text)) %% 20) || chr(97 + abs(hashtext('x' || n)) %% 20) AS family,
       now() - ({total} - n) * interval '1 minute' AS at, random() AS p,
       n %% CASE WHEN n <= 1000 THEN 20 ELSE 500 END = 0 AS unusable,
       n %% CASE WHEN n <= 1000 THEN 20 ELSE 500 END = 1 AS lost,
       n %% CASE WHEN n <= 1000 THEN 20 ELSE 200 END = CASE WHEN n <= 1000 THEN 10 ELSE 0 END AS rare
  FROM generate_series({first}, {total}) n;
INSERT INTO patients_patient (id, clinic_id, name, search_name, birth_year, sex, phone, abha_number, created_at,
       updated_at)
SELECT patient, clinic, 'Person ' || n || ' F' || family, 'person ' || n || ' f' || family, 1930 + n %% 90, 'female',
       '', '', at, at
  FROM seeded;
INSERT INTO patients_patientidentifier (patient_id, clinic_id, system, value)
SELECT patient, clinic, 'MRN', 'S' || n FROM seeded;
INSERT INTO diagnosis_study (id, patient_id, clinic_id, accession_number, indication, urgency, source, created_at,
       referring_doctor_id)
SELECT study, patient, clinic, '', 'Cough', CASE WHEN n %% 50 = 0 THEN 'urgent' ELSE 'routine' END, 'web', at,
       CASE WHEN n <= 300 THEN {doctor} END
  FROM seeded;
INSERT INTO diagnosis_radiograph (id, study_id, clinic_id, view, sha256, size, format, width, height, sop_instance_uid,
       series_instance_uid, study_instance_uid, display_key, quality, warnings, state, code, message, created_at,
       words, done, failed)
SELECT film, study, clinic, 'PA', sha256, 1, 'png', 512, 512, '', '', '', '', '{{}}', '[]',
       CASE WHEN unusable THEN 'rejected' ELSE 'ready' END, CASE WHEN unusable THEN 'image_blank' ELSE '' END,
       '', at,
       ARRAY[CASE WHEN rare THEN 'possible' WHEN p >= 0.5 THEN 'likely' ELSE 'absent' END], NOT lost, lost
  FROM seeded;
INSERT INTO diagnosis_job (id, radiograph_id, kind, model_version_id, state, priority, shadow, attempt, retries, solo,
       worker, error_code, queued_at, finished_at, timings_ms, created_at)
SELECT gen_random_uuid(), film, kind, '{model}', CASE WHEN lost AND last THEN 'failed' ELSE 'succeeded' END, 2, false,
       1, 0, false, '', CASE WHEN lost AND last THEN 'worker_lost' ELSE '' END, at, at, '{{}}', at
  FROM seeded, (VALUES ('prepare', false), ('infer', true)) AS kinds (kind, last);
INSERT INTO diagnosis_prediction (id, radiograph_id, image_sha256, model_version_id, shadow, engine, urgency, map_key,
       timings_ms, created_at)
SELECT prediction, film, sha256, '{model}', false, 'fake', p, '', '{{}}', at FROM seeded;
INSERT INTO diagnosis_finding (prediction_id, label, probability, calibrated, threshold, word)
SELECT prediction, label, p, p, 0.5,
       CASE WHEN rare THEN 'possible' WHEN p >= 0.5 THEN 'likely' ELSE 'absent' END
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


def milliseconds(call: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """The shortest of some rounds, after one that warms up: what else the machine does makes the others longer."""
    call()
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        call()
        taken.append((time.perf_counter() - begun) * 1000)
    return min(taken)


class World:
    """Ten clinics, who looks, and how far the studies go; `grow` writes more of them."""

    def __init__(self) -> None:
        # The card of the model that ships: it is long, and a list that read it for every row would be slow.
        factories.model_version_make(card=json.loads((bundled_folder() / CARD_FILE).read_text()))
        self.clinics = [factories.clinic_make(code=f"scale-{number}") for number in range(CLINICS)]
        self.reader = factories.user_make("radiologist", self.clinics[0])
        factories.membership_make(self.reader, self.clinics[1], "radiologist")
        self._browser = Client()
        factories.sign_in(self._browser, self.reader)
        self.patient = factories.patient_make(self.clinics[0], "Often Seen")
        for _ in range(30):
            study = factories.predicted_film_make(factories.study_make(self.patient)).radiograph.study
            factories.reading_make(study)
        self.doctor = factories.user_make("doctor", self.clinics[1])
        self._referred_to = Client()
        factories.sign_in(self._referred_to, self.doctor)
        self.studies = 0

    def grow(self, total: int) -> None:
        """To so many studies."""
        seed(self.studies + 1, total, self.doctor.pk)
        self.studies = total

    def pages(self) -> dict[str, Callable[[], Callable[[], Any]]]:
        """Every list by name. What is needed to ask is found out by the first call, before any clock runs."""
        asked, browser, clinics = self._asked, self._browser, self.clinics
        day = timezone.localdate(timezone.now() - timedelta(minutes=500))  # half of the newest thousand or more
        return {
            "worklist": lambda: asked("/worklist/"),
            "worklist, one clinic": lambda: asked(f"/worklist/?clinic={clinics[0].pk}"),
            "worklist, a finding": lambda: asked("/worklist/?label=pneumonia"),
            "worklist, second page": lambda: asked(f"/worklist/?{browser.get('/worklist/').context['next_query']}"),
            "worklist renewed, nothing new": self._unchanged,
            "films": lambda: asked("/films/"),
            "films, second page": lambda: asked(f"/films/?{browser.get('/films/').context['older_query']}"),
            "films, one clinic": lambda: asked(f"/films/?clinic={clinics[1].pk}"),
            "films, failed": lambda: asked("/films/?progress=failed"),
            "films, waiting": lambda: asked("/films/?progress=waiting"),
            "films, unusable": lambda: asked("/films/?progress=rejected"),
            "films, a rare finding": lambda: asked("/films/?word=possible"),
            "films, of a day": lambda: asked(f"/films/?date_from={day}&date_to={day}"),
            "films, a referring doctor": lambda: asked("/films/", who=self._referred_to),
            "patients": lambda: asked("/patients/"),
            "patients, a referring doctor": lambda: asked("/patients/", who=self._referred_to),
            "patient of 30 studies": lambda: asked(f"/patients/{self.patient.pk}/"),
            "study": lambda: asked(f"/studies/{self.patient.studies.first().pk}/"),
            "send a film": lambda: asked("/"),
            **{f"{name} (API)": lambda name=name: asked(f"/api/v1/{name}/") for name in API},
            "studies (API), old": lambda: self._old("/api/v1/studies/"),
            "predictions (API), old": lambda: self._old("/api/v1/predictions/"),
            "jobs (API), failed": lambda: asked("/api/v1/jobs/?state=failed"),
            "studies (API), a referring doctor": lambda: asked("/api/v1/studies/", who=self._referred_to),
            "search: a rare name": lambda: asked("/api/v1/patients/?q=often"),
            "search: a common name": lambda: asked("/api/v1/patients/?q=pers"),
            "search: a number": lambda: asked("/api/v1/patients/?q=S1000"),
        }

    def _asked(self, address: str, status: int = 200, who: Client | None = None, **headers: str) -> Callable[[], Any]:
        def ask() -> None:
            assert (who or self._browser).get(address, **headers).status_code in (200, status)

        return ask

    def _old(self, address: str) -> Callable[[], Any]:
        """From the middle of the list on: a study a minute."""
        when = (timezone.now() - timedelta(minutes=self.studies // 2)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return self._asked(f"{address}?created_before={when}")

    def _unchanged(self) -> Callable[[], Any]:
        seen = self._browser.get("/worklist/")["ETag"]
        return self._asked("/worklist/", 304, HTTP_HX_REQUEST="true", HTTP_IF_NONE_MATCH=seen)
