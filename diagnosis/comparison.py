"""A version on trial beside the one that speaks, on the very same films: how often they agree, and who is right.

Sums over many films, for those who decide on models; no film, no patient, and never few films: whoever reads a study
first could otherwise be told by a difference what the model says of it. Films of such studies count once a report is
signed. May import: Django, `diagnosis.models`, `.operating`, `mlcore.training.statistics` (NumPy), `patients.actor`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection

from diagnosis.card import label_titles
from diagnosis.models import ModelVersion
from diagnosis.operating import ENOUGH, Share
from mlcore.card import NORMAL
from mlcore.training.metrics import auroc
from mlcore.training.statistics import delong_paired, mcnemar_counts, paired_difference
from patients.actor import SYSTEM, acting_as

#: So many of the newest films that a version has read on trial are looked at …
LATEST = 5_000
#: … and of fewer that both have answered nothing is told.
FEWEST = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """Trial less active on the same films or cases, with its 95 % interval and exact or asymptotic p."""

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of the same cases by either version, and the difference (McNemar 1947; Agresti & Min 2005)."""

    trial: Share
    active: Share
    difference: Difference


@dataclass(frozen=True, slots=True)
class Signed:
    """Of signed cases: sensitivity and specificity of both, and the areas under their curves (DeLong et al. 1988).

    Each is None where fewer than `ENOUGH` cases carry it: with the finding, without it, or either.
    """

    positives: int
    negatives: int
    sensitivity: Rate | None
    specificity: Rate | None
    areas: tuple[float, float] | None
    area: Difference | None


@dataclass(frozen=True, slots=True)
class Label:
    """One finding: on how many films, how often the words agree, who calls it, how far the probabilities are apart."""

    key: str
    title: str
    films: int
    agreement: Share
    both: int
    only_trial: int
    only_active: int
    neither: int
    called: Difference
    apart: float
    signed: Signed


@dataclass(frozen=True, slots=True)
class Comparison:
    """`films` that both have answered, of at most `LATEST`; where they are fewer than `FEWEST` nothing else is told.

    `times` are the medians of milliseconds per film that trial and active took, None where none were stored.
    """

    films: int
    times: tuple[float | None, float | None] = (None, None)
    labels: Sequence[Label] = ()

    @property
    def is_few(self) -> bool:
        return self.films < FEWEST

    @property
    def decided(self) -> list[Label]:
        """The findings on which readers decide: all but "normal", the absence of the others."""
        return [label for label in self.labels if label.key != NORMAL]


@acting_as(SYSTEM)
def versions_compared(*, trial: ModelVersion, active: ModelVersion) -> Comparison:
    """What `trial` said on trial against what `active` said of the same films: three queries, however many films."""
    asked = {"trial": trial.pk, "active": active.pk, "latest": LATEST, "normal": NORMAL}
    with connection.cursor() as cursor:
        cursor.execute(_PAIRS + _FILMS, asked)
        films, *times = cursor.fetchone()
        if films < FEWEST:
            return Comparison(films)
        cursor.execute(_PAIRS + _LABELS, asked)
        counted = {row[0]: row[1:] for row in cursor.fetchall()}
        cursor.execute(_PAIRS + _CASES, asked)
        cases = _by_label(cursor.fetchall())
    titles = label_titles(trial.card)
    labels = [_label(key, title, *counted[key], cases.get(key, ())) for key, title in titles.items() if key in counted]
    return Comparison(films, (times[0], times[1]), labels)


#: The newest answers on trial, and those of them whose film the other has answered as well. Where films are read first,
#: only those whose reader has signed.
_PAIRS = """
WITH newest AS MATERIALIZED (
    SELECT id, radiograph_id, timings_ms FROM diagnosis_prediction WHERE model_version_id = %(trial)s AND shadow
     ORDER BY created_at DESC, id LIMIT %(latest)s
), pairs AS MATERIALIZED (
    SELECT t.id AS trial, a.id AS active, r.study_id, t.timings_ms AS trial_ms, a.timings_ms AS active_ms
      FROM newest t
      JOIN diagnosis_prediction a ON a.radiograph_id = t.radiograph_id AND a.model_version_id = %(active)s
           AND NOT a.shadow
      JOIN diagnosis_radiograph r ON r.id = t.radiograph_id
      JOIN diagnosis_study s ON s.id = r.study_id
      JOIN patients_clinic c ON c.id = s.clinic_id
     WHERE NOT c.read_first OR EXISTS (
           SELECT FROM diagnosis_report d WHERE d.study_id = s.id AND d.status IN ('final', 'amended'))
), findings AS (
    SELECT t.label, pairs.study_id, t.word AS trial_word, a.word AS active_word,
           t.calibrated AS trial, a.calibrated AS active, t.word <> 'absent' AS trial_calls,
           a.word <> 'absent' AS active_calls
      FROM pairs JOIN diagnosis_finding t ON t.prediction_id = pairs.trial
      JOIN diagnosis_finding a ON a.prediction_id = pairs.active AND a.label = t.label
)
"""
_FILMS = """
SELECT count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY (trial_ms->>'predict')::float),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY (active_ms->>'predict')::float) FROM pairs
"""
_LABELS = """
SELECT label, count(*), count(*) FILTER (WHERE trial_word = active_word),
       count(*) FILTER (WHERE trial_calls AND active_calls), count(*) FILTER (WHERE trial_calls AND NOT active_calls),
       count(*) FILTER (WHERE active_calls AND NOT trial_calls), avg(abs(trial - active))
  FROM findings GROUP BY label
"""
#: A case is a study with a signed report in force; of several films the loudest answer of each version counts. What
#: could not be decided on the film is left out.
_CASES = """
SELECT f.label, d.verdict IN ('accepted', 'added'), max(f.trial), max(f.active), bool_or(f.trial_calls),
       bool_or(f.active_calls)
  FROM findings f JOIN diagnosis_report r ON r.study_id = f.study_id AND r.status IN ('final', 'amended')
   AND NOT EXISTS (SELECT FROM diagnosis_report n WHERE n.supersedes_id = r.id AND n.status IN ('final', 'amended'))
  JOIN diagnosis_reportedfinding d ON d.report_id = r.id AND d.label = f.label AND d.reason <> 'not_decidable'
 WHERE f.label <> %(normal)s GROUP BY f.label, d.id
"""

_Case = tuple[bool, float, float, bool, bool]


def _by_label(rows: Iterable[Any]) -> dict[str, list[_Case]]:
    found = defaultdict(list)
    for label, *case in rows:
        found[label].append(tuple(case))
    return found


def _label(
    key: str,
    title: str,
    films: int,
    same: int,
    both: int,
    only_trial: int,
    only_active: int,
    apart: float,
    cases: Sequence[_Case],
) -> Label:
    return Label(
        key=key,
        title=title,
        films=films,
        agreement=Share(same, films),
        both=both,
        only_trial=only_trial,
        only_active=only_active,
        neither=films - both - only_trial - only_active,
        called=_difference(only_trial, only_active, films),
        apart=apart,
        signed=_signed(cases),
    )


def _signed(cases: Sequence[_Case]) -> Signed:
    present = np.array([case[0] for case in cases], dtype=bool)
    scores = np.array([case[1:3] for case in cases], dtype=np.float64).reshape(-1, 2)
    calls = np.array([case[3:] for case in cases], dtype=bool).reshape(-1, 2)
    positives, negatives = int(present.sum()), int((~present).sum())
    if min(positives, negatives) >= ENOUGH:
        found = delong_paired(present, scores[:, 0], scores[:, 1])
        areas = tuple(float(auroc(present, scores[:, column])) for column in (0, 1))
        area = Difference(**found)
    else:
        areas = area = None
    return Signed(
        positives=positives,
        negatives=negatives,
        sensitivity=_rate(calls[present]) if positives >= ENOUGH else None,
        specificity=_rate(~calls[~present]) if negatives >= ENOUGH else None,
        areas=areas,
        area=area,
    )


def _rate(right: Any) -> Rate:
    """Of cases (cases, 2): was the version on trial right, was the active one?"""
    trial, active = right[:, 0], right[:, 1]
    return Rate(
        Share(int(trial.sum()), len(right)),
        Share(int(active.sum()), len(right)),
        _difference(int((trial & ~active).sum()), int((active & ~trial).sum()), len(right)),
    )


def _difference(only_trial: int, only_active: int, pairs: int) -> Difference:
    return Difference(*paired_difference(only_trial, only_active, pairs), mcnemar_counts(only_trial, only_active))
