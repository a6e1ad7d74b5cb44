"""Counts, clinic by clinic, how the active model's films and answers are distributed: at first, and of late.

Called by the sweeper, at most once an hour; two queries a clinic, the growing reference aside. May import: Django,
`diagnosis.models`, `patients`. Goes to: `diagnosis.models.drift`, read by the numbers page and the alerts.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection, transaction
from django.db.models import Max
from django.utils import timezone

from diagnosis.models import Distribution, ModelVersion
from patients.locks import lock_try

log = logging.getLogger("diagnosis.drift")

#: So many of the first films that a version answered at a clinic are its reference there.
REFERENCE_FILMS = 300
EVERY = timedelta(hours=1)
#: Where numbers are cut: at the deciles of the reference.
DECILES = [part / 10 for part in range(1, 10)]

#: Of every film that the version answered: when, and each quantity as a number or a word. Age is by the year of birth.
_VALUES = """
WITH films AS MATERIALIZED (
    SELECT p.id AS prediction, p.created_at AS at, p.created_at <= %(until)s AS is_reference,
           r.view, r.format, r.quality, extract(year FROM r.created_at)::int - t.birth_year AS age
      FROM diagnosis_prediction p JOIN diagnosis_radiograph r ON r.id = p.radiograph_id
      JOIN diagnosis_study s ON s.id = r.study_id JOIN patients_patient t ON t.id = s.patient_id
     WHERE r.clinic_id = %(clinic)s AND p.model_version_id = %(version)s AND NOT p.shadow
       AND (%(grows)s AND p.created_at <= %(until)s OR p.created_at > greatest(%(until)s, %(now)s - interval '30 days'))
), taken (quantity, at, is_reference, number, word) AS (
    SELECT name, at, is_reference, number, word FROM films CROSS JOIN LATERAL (VALUES
        ('view', NULL::float, view), ('format', NULL, format), ('quality', NULL, quality->>'verdict'),
        ('age', NULL, CASE WHEN age < 5 THEN 'under 5' WHEN age < 18 THEN '5 to 17' WHEN age < 40 THEN '18 to 39'
                           WHEN age < 65 THEN '40 to 64' ELSE '65 and over' END),
        ('score', (quality->>'score')::float, NULL)) AS each (name, number, word)
    UNION ALL
    SELECT 'finding:' || f.label, at, is_reference, f.calibrated, NULL
      FROM films JOIN diagnosis_finding f ON f.prediction_id = films.prediction
)
"""
_EDGES = f"""{_VALUES}
SELECT quantity, percentile_cont(%(deciles)s::float[]) WITHIN GROUP (ORDER BY number) FROM taken
 WHERE is_reference AND number IS NOT NULL GROUP BY quantity
"""  # noqa: S608
#: `known` are the edges of quantities that are numbers.
_COUNTS = f"""{_VALUES}, known (quantity, edges) AS (
    SELECT key, ARRAY(SELECT jsonb_array_elements_text(value)::float) FROM jsonb_each(%(edges)s::jsonb)
)
SELECT quantity, coalesce(word, width_bucket(number, edges)::text), count(*) FILTER (WHERE is_reference),
       count(*) FILTER (WHERE NOT is_reference AND at > %(now)s - interval '7 days'),
       count(*) FILTER (WHERE NOT is_reference)
  FROM taken LEFT JOIN known USING (quantity)
 WHERE word IS NOT NULL OR number IS NOT NULL AND edges IS NOT NULL GROUP BY 1, 2
"""  # noqa: S608
_CLINICS = """
SELECT c.id FROM patients_clinic c WHERE EXISTS (
    SELECT FROM diagnosis_radiograph r JOIN diagnosis_prediction p ON p.radiograph_id = r.id
     WHERE r.clinic_id = c.id AND p.model_version_id = %s AND NOT p.shadow) ORDER BY c.id
"""
_FIRST = """
SELECT count(*), max(at) FROM (
    SELECT p.created_at AS at FROM diagnosis_prediction p JOIN diagnosis_radiograph r ON r.id = p.radiograph_id
     WHERE r.clinic_id = %s AND p.model_version_id = %s AND NOT p.shadow ORDER BY p.created_at, p.id LIMIT %s) AS first
"""


#: When this process last tried, by its own clock, so that what goes wrong is not tried again with every sweep.
_tried: list[float] = []


def drift_keep_measured() -> None:
    """Measure where the last time, whoever did it, is an hour ago. What goes wrong is in the log and stops nobody."""
    if _tried and time.monotonic() - _tried[-1] < EVERY.total_seconds():
        return
    _tried[:] = [time.monotonic()]
    newest = Distribution.objects.aggregate(at=Max("measured_at"))["at"]
    if newest is not None and newest > timezone.now() - EVERY:
        return
    try:
        drift_measure()
    except DatabaseError as error:
        log.warning("no drift measured: %s", type(error).__name__)


def drift_measure() -> None:
    """Count for every clinic at which the active model answered a film; whoever comes second leaves it."""
    version = ModelVersion.objects.filter(status=ModelVersion.Status.ACTIVE).first()
    if version is None:
        return
    for (clinic,) in _rows(_CLINICS, [version.pk]):
        with transaction.atomic():
            if not lock_try("drift"):
                return
            _clinic_measure(clinic, version.pk)


def _clinic_measure(clinic: UUID, version: UUID) -> None:
    known = {each.quantity: each for each in Distribution.objects.filter(clinic=clinic, model_version=version)}
    whole_since = next((each.reference_until for each in known.values() if each.reference_until), None)
    now = timezone.now()
    ask = {"clinic": clinic, "version": version, "now": now, "until": whole_since, "grows": whole_since is None}
    edges = {each.quantity: each.edges for each in known.values() if each.edges}
    if whole_since is None:
        ((films, newest),) = _rows(_FIRST, [clinic, version, REFERENCE_FILMS])
        whole_since, ask["until"] = (newest if films == REFERENCE_FILMS else None), newest
        edges = {quantity: sorted(set(cuts)) for quantity, cuts in _rows(_EDGES, ask | {"deciles": DECILES})}
    found: dict[str, dict[str, tuple[int, int, int]]] = {}
    for quantity, place, *counts in _rows(_COUNTS, ask | {"edges": json.dumps(edges)}):
        found.setdefault(quantity, {})[place] = tuple(counts)
    for quantity in known.keys() | found.keys() if ask["grows"] else known.keys():
        row = known.get(quantity) or Distribution(clinic_id=clinic, model_version_id=version, quantity=quantity)
        if ask["grows"]:
            row.bins, row.edges, row.reference, row.reference_until = [], edges.get(quantity, []), [], whole_since
        _count(row, found.get(quantity, {}))
        row.measured_at = now
        alarms = any(shift.is_alarm for shift in row.shifts.values())
        row.alarm_since = (row.alarm_since or now) if alarms else None
        row.save()


def _count(row: Distribution, counts: Mapping[str, tuple[int, int, int]]) -> None:
    """Bins stay in their places; a word that was never met before comes last. A reference that is whole stays."""
    places = [str(place) for place in range(len(row.edges) + 1)] if row.edges else sorted(counts)
    row.bins = [*row.bins, *(place for place in places if place not in row.bins)]
    held = dict(zip(row.bins, row.reference, strict=False))
    found = [counts.get(place, (0, 0, 0)) for place in row.bins]
    row.reference = [held.get(place, first) for place, (first, _, _) in zip(row.bins, found, strict=True)]
    row.last_7, row.last_30 = [late for _, late, _ in found], [late for _, _, late in found]


def _rows(sql: str, values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
