"""Compares what the clients were told with what the database and the disk hold, and counts every broken promise.

May import: `mlcore` (what the fake model must say of a film), `tests.faults`; no Django. `evidence_gather` reads,
`verdict` only counts, so that tests can show it films that are lost, doubled or swapped.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from mlcore.card import load_card
from mlcore.predictors.fake import FakePredictor
from tests.faults.clients import Entry
from tests.faults.plan import answer_name
from tests.faults.site import Site

MAX_ATTEMPTS = 3
TOLERANCE = 1e-6

#: What a run must not show: name in the report → what it means.
PROMISES = {
    "not_acknowledged": "uploads that never got an answer",
    "refused": "good films refused",
    "errors_500": "answers 500",
    "lost": "acknowledged uploads lost",
    "doubled": "films or results doubled",
    "wrong_patient": "results or films under a wrong patient",
    "healthy_dead": "healthy films dead",
    "poison_alive": "poison films not dead after 3 attempts",
    "damage_missed": "damaged films not found",
    "partial_files": "partial files in the store",
    "store_faults": "other faults that verify_store finds",
    "audit_broken": "audit chain broken",
}


@dataclass(frozen=True)
class Row:
    """A film as the database has it; `at` is when it was stored."""

    id: str
    patient: str
    sha256: str
    state: str
    at: float = 0.0


@dataclass(frozen=True)
class JobRow:
    radiograph: str
    kind: str
    state: str
    attempt: int
    error_code: str


@dataclass(frozen=True)
class Result:
    """A prediction: when it was written, by the database's clock, and the model's numbers by label."""

    radiograph: str
    at: float
    scores: dict[str, float]


@dataclass
class Evidence:
    """All that is known at the end. `stored` are the hashes under which files lie, `broken` those whose bytes have
    another hash, `reported` those of originals that `verify_store` calls damaged, `store_faults` what else it finds;
    `audit_proved` is the word of `verify_audit`."""

    films: list[Row]
    jobs: list[JobRow]
    results: list[Result]
    stored: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    reported: set[str] = field(default_factory=set)
    store_faults: list[str] = field(default_factory=list)
    audit_proved: bool = True


class Oracle:
    """What the fake model must say of a film."""

    def __init__(self, site: Site) -> None:
        card = load_card(site.folder / "models" / site.world["model"]["folder"])
        self._predictor = FakePredictor(card)
        self._labels, self._sha256 = card.label_keys, site.world["model"]["sha256"]

    def __call__(self, film_id: object) -> dict[str, float]:
        scores = self._predictor.film_probabilities(answer_name(film_id, self._sha256))
        return dict(zip(self._labels, map(float, scores), strict=True))


def evidence_gather(site: Site) -> Evidence:
    """Read everything. Raises one of `AWAY` when the database is."""
    films = site.rows(
        "SELECT r.id::text, s.patient_id::text, r.sha256, r.state, extract(epoch FROM r.created_at)::float"
        " FROM diagnosis_radiograph r JOIN diagnosis_study s ON s.id = r.study_id"
    )
    jobs = site.rows("SELECT radiograph_id::text, kind, state, attempt, error_code FROM diagnosis_job")
    scores = site.rows(
        "SELECT p.id::text, p.radiograph_id::text, extract(epoch FROM p.created_at)::float, f.label, f.probability"
        " FROM diagnosis_prediction p LEFT JOIN diagnosis_finding f ON f.prediction_id = p.id"
    )
    results: dict[str, Result] = {}
    for prediction, radiograph, at, label, probability in scores:
        result = results.setdefault(prediction, Result(radiograph, at, {}))
        if label is not None:
            result.scores[label] = probability
    evidence = Evidence([Row(*row) for row in films], [JobRow(*row) for row in jobs], list(results.values()))
    for path in (site.disk / "media" / "originals").glob("*/*"):
        evidence.stored.add(path.name)
        if hashlib.sha256(path.read_bytes()).hexdigest() != path.name:
            evidence.broken.add(path.name)
    _, said = site.manage("verify_store")
    faults = [
        line for line in said.splitlines() if re.match(r"[\w .-]+ of (radiograph|prediction|model version) ", line)
    ]
    reported = {row.id: row.sha256 for row in evidence.films if f"original of radiograph {row.id}:" in said}
    evidence.reported = set(reported.values())
    evidence.store_faults = [line for line in faults if not any(f"radiograph {row}:" in line for row in reported)]
    if site.design.named("sweeper"):  # who also seals the audit
        evidence.audit_proved = site.manage("verify_audit")[0] == 0
    return evidence


def verdict(ledger: Sequence[Entry], evidence: Evidence, damaged: Collection[str], oracle: Any) -> dict[str, Any]:
    """The counts of the report. `damaged` are the hashes of films of which the harness itself has flipped a byte."""
    return _Judge(ledger, evidence, damaged, oracle).verdict()


class _Judge:
    def __init__(self, ledger: Sequence[Entry], evidence: Evidence, damaged: Collection[str], oracle: Any) -> None:
        self.ledger, self.evidence, self.damaged, self.oracle = ledger, evidence, set(damaged), oracle
        self.rows: dict[str, list[Row]] = defaultdict(list)
        self.jobs: dict[str, list[JobRow]] = defaultdict(list)
        self.results: dict[str, list[Result]] = defaultdict(list)
        for row in evidence.films:
            self.rows[row.sha256].append(row)
        for job in evidence.jobs:
            self.jobs[job.radiograph].append(job)
        for result in evidence.results:
            self.results[result.radiograph].append(result)
        self.count: Counter[str] = Counter()
        self.delays: list[float] = []
        self.attempts: list[int] = []

    def verdict(self) -> dict[str, Any]:
        for entry in self.ledger:
            self.count["refused"] += bool(entry.refused)
            self.count["not_acknowledged"] += entry.acknowledged_at is None and not entry.refused
            if entry.acknowledged_at is not None:
                self._acknowledged(entry)
        self.count["partial_files"] = len(self.evidence.broken - self.damaged)
        self.count["store_faults"] = len(self.evidence.store_faults)
        self.count["audit_broken"] = int(not self.evidence.audit_proved)
        delays = sorted(self.delays)
        return {
            **{name: self.count[name] for name in PROMISES if name != "errors_500"},
            "uploads": len(self.ledger),
            "acknowledged": sum(entry.acknowledged_at is not None for entry in self.ledger),
            "predicted": len(delays),
            "poison": sum(bool(entry.film.poison) and entry.sha256 not in self.damaged for entry in self.ledger),
            "poison_dead": len(self.attempts),
            "poison_attempts": sorted(set(self.attempts)),
            "damaged": len(self.damaged),
            "damaged_found_by_worker": self.count["found_by_worker"],
            "damaged_found_by_check": self.count["found_by_check"],
            "most_attempts_of_healthy": self.count["most_attempts"],
            "replayed": sum(entry.replayed for entry in self.ledger),
            "delay_median": round(median(delays), 1) if delays else None,
            "delay_longest": round(delays[-1], 1) if delays else None,
        }

    def _acknowledged(self, entry: Entry) -> None:
        rows = self.rows[entry.sha256]
        if not rows or entry.sha256 not in self.evidence.stored:
            self.count["lost"] += 1
            return
        self.count["doubled"] += len(rows) - 1 + len(entry.films - {row.id for row in rows})
        for row in rows:
            self.count["wrong_patient"] += row.patient != entry.patient
            self._film(entry, row)

    def _film(self, entry: Entry, row: Row) -> None:
        jobs, results = self.jobs[row.id], self.results[row.id]
        self.count["doubled"] += max(len(results) - 1, 0)
        self.count["wrong_patient"] += sum(not self._is_of(entry, result) for result in results)
        failed = [job for job in jobs if job.state == "failed"]
        if row.sha256 in self.damaged:
            self._damage(entry, row, failed, results)
        elif entry.film.poison:
            self._poison(failed, results)
        elif failed or row.state == "rejected":
            self.count["healthy_dead"] += 1
        elif not results:
            self.count["lost"] += 1
        else:
            self.delays.append(results[0].at - row.at)
            self.count["most_attempts"] = max(self.count["most_attempts"], *(job.attempt for job in jobs))

    def _is_of(self, entry: Entry, result: Result) -> bool:
        """Are these the numbers of the film that was sent? A changed model would not say them either."""
        expected = self.oracle(entry.film.film_id)
        return result.scores.keys() == expected.keys() and all(
            abs(result.scores[label] - expected[label]) < TOLERANCE for label in expected
        )

    def _poison(self, failed: list[JobRow], results: list[Result]) -> None:
        dead = [job.attempt for job in failed if job.error_code]
        self.attempts += dead
        self.count["poison_alive"] += bool(results) or dead != [MAX_ATTEMPTS]

    def _damage(self, entry: Entry, row: Row, failed: list[JobRow], results: list[Result]) -> None:
        """The worker found it before it read the film, or had read the film in time and the check of the store did. A
        poison film that was read in time has no result to show: it killed whoever read it, to the last attempt."""
        by_worker = any(job.error_code == "image_integrity" for job in failed)
        by_check = row.sha256 in self.evidence.reported
        self.count["found_by_worker"] += by_worker
        self.count["found_by_check"] += by_check
        killed = bool(entry.film.poison) and any(job.attempt == MAX_ATTEMPTS and job.error_code for job in failed)
        self.count["damage_missed"] += not by_check or not (by_worker or results or killed)
