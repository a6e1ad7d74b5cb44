"""How long the dashboard and the count of drift take at 100,000 studies. Takes minutes; asked for by name:

    python -m pytest tests/scale/numbers.py -s

Rows are those of `seeded.py`; every read study has a signed report with decisions, every film its entry in the audit.
What it printed stands in docs/numbers.md.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from diagnosis.services.drift import drift_measure
from tests import factories
from tests.conftest import owner_connected
from tests.scale.pages import MANY
from tests.scale.seeded import CLINICS, milliseconds, seed

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(3600)]

READ = """
SET session_replication_role = replica;
INSERT INTO diagnosis_report (id, study_id, status, version, findings_text, drafted_text, impression, author_id,
       preliminary_at, signed_by_id, signed_at, registration_number, amendment_reason, created_at)
SELECT gen_random_uuid(), study_id, 'final', 1, '', '', 'Read.', {reader},
       received_at + random() * interval '40 minutes', {reader}, closed_at + random() * interval '30 hours', 'MCI-1',
       '', closed_at
  FROM diagnosis_reading WHERE closed_at IS NOT NULL;
INSERT INTO diagnosis_reportedfinding (report_id, label, verdict, reason, finding_id, decided_by_id, decided_at)
SELECT report, label, verdict, CASE verdict WHEN 'rejected' THEN 'no_correlate' ELSE '' END, finding, {reader}, now()
  FROM (SELECT d.id AS report, f.label, f.id AS finding,
               CASE WHEN f.calibrated >= 0.5 AND random() < 0.8 THEN 'accepted' WHEN f.calibrated >= 0.5 THEN 'rejected'
                    WHEN random() < 0.1 THEN 'added' ELSE 'absent' END AS verdict
          FROM diagnosis_report d JOIN diagnosis_radiograph r ON r.study_id = d.study_id
          JOIN diagnosis_prediction p ON p.radiograph_id = r.id JOIN diagnosis_finding f ON f.prediction_id = p.id
       ) said;
INSERT INTO patients_auditevent (at, user_id, role, clinic_id, verb, object_type, object_id, patient_id, outcome,
       changes, request_id)
SELECT created_at, {reader}, 'operator', clinic_id, 'upload', 'radiograph', '', patient_id,
       CASE WHEN random() < 0.03 THEN 'patient_mismatch' ELSE 'ok' END, '{{}}', '' FROM diagnosis_study;
UPDATE diagnosis_radiograph SET quality = jsonb_build_object('verdict', 'ok', 'score', random());
"""


def test_the_dashboard_at_a_hundred_thousand_studies(db: None) -> None:
    clinics = [factories.clinic_make(code=f"scale-{number}") for number in range(CLINICS)]
    browsers: dict[str, Client] = {}
    for words, held in (("two clinics", clinics[:2]), ("all ten clinics", clinics)):
        person = factories.user_make("radiologist", held[0])
        for clinic in held[1:]:
            factories.membership_make(person, clinic, "radiologist")
        browsers[words] = Client()
        factories.sign_in(browsers[words], person)
    seed(1, MANY, factories.user_make("doctor", clinics[1]).pk)
    with owner_connected() as owner:
        owner.execute(f"BEGIN; {READ.format(reader=person.pk)} COMMIT")
        owner.execute("SET session_replication_role = origin")
        owner.execute("VACUUM (ANALYZE)")
    year = f"?date_from={clinics[0].today.replace(year=clinics[0].today.year - 1)}"
    print("\n| Page | Time | Queries |\n|---|---|---|")
    for who, browser in browsers.items():
        for words, query in (("30 days", ""), ("a year", year)):

            def ask(address: str = f"/numbers/{query}", browser: Any = browser) -> None:
                assert browser.get(address).status_code == 200

            taken = milliseconds(ask)
            with CaptureQueriesContext(connection) as queries:
                ask()
            print(f"| {who}, {words} | {taken:.0f} ms | {len(queries)} |")
            slow = sorted(queries.captured_queries, key=lambda each: -float(each["time"]))[:3]
            print("".join(f"    {each['time']} s {each['sql'][:120]!r}\n" for each in slow))
    print(f"| count of drift, ten clinics, first time | {milliseconds_once(drift_measure):.0f} ms | |")
    print(f"| count of drift, ten clinics, later | {milliseconds_once(drift_measure):.0f} ms | |")


def milliseconds_once(call: Any) -> float:
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1000
