"""The judge sees what it is there to see: each promise, broken on purpose, is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.clients import Entry
from tests.faults.judge import PROMISES, Evidence, JobRow, Result, Row, verdict
from tests.faults.plan import plan_make


def oracle(film_id: object) -> dict[str, float]:
    return {"normal": (hash(str(film_id)) % 1000) / 1000}


def world() -> tuple[list[Entry], Evidence]:
    """Four films without fault: sent, acknowledged, read. The fifth is poison, the sixth was damaged."""
    films = plan_make(5, 60, 300).films
    healthy, poison = [film for film in films if not film.poison][:5], next(film for film in films if film.poison)
    ledger, evidence = [], Evidence([], [], [])
    for film in [*healthy, poison]:
        name = str(film.number)
        ledger.append(
            Entry(film, f"patient {name}", sha256=f"sha {name}", acknowledged_at=100.0, films={f"film {name}"})
        )
        evidence.films.append(Row(f"film {name}", f"patient {name}", f"sha {name}", "ready", 100.0))
        evidence.stored.add(f"sha {name}")
    for entry in ledger[:4]:
        [film] = entry.films
        evidence.jobs += [JobRow(film, kind, "succeeded", 1, "") for kind in ("prepare", "infer")]
        evidence.results.append(Result(film, 103.0, oracle(entry.film.film_id)))
    evidence.jobs.append(JobRow(*ledger[5].films, "prepare", "failed", 3, "worker_lost"))
    evidence.jobs.append(JobRow(*ledger[4].films, "prepare", "failed", 1, "image_integrity"))
    evidence.broken.add(ledger[4].sha256)
    evidence.reported.add(ledger[4].sha256)
    return ledger, evidence


def judged(ledger: list[Entry], evidence: Evidence) -> dict[str, Any]:
    return verdict(ledger, evidence, {ledger[4].sha256}, oracle)


def test_films_that_all_came_through_break_no_promise():
    found = judged(*world())
    assert {name: found[name] for name in PROMISES if name in found} == dict.fromkeys(set(PROMISES) - {"errors_500"}, 0)
    assert (found["predicted"], found["poison_dead"], found["damaged_found_by_worker"]) == (4, 1, 1)
    assert found["delay_longest"] == 3.0


@pytest.mark.parametrize(("attempt", "missed"), [(3, 0), (2, 1)])
def test_damage_after_a_poison_film_was_read_is_found_by_the_check_of_the_store(attempt, missed):
    ledger, evidence = world()
    poison = ledger[5]
    evidence.jobs[-2] = JobRow(*poison.films, "prepare", "failed", attempt, "worker_lost")
    evidence.reported.add(poison.sha256)
    found = verdict(ledger, evidence, {ledger[4].sha256, poison.sha256}, oracle)
    assert found["damage_missed"] == missed


def test_a_poison_film_that_was_damaged_first_counts_as_damaged():
    ledger, evidence = world()
    poison = ledger[5]
    evidence.jobs[-2] = JobRow(*poison.films, "prepare", "failed", 1, "image_integrity")
    evidence.reported.add(poison.sha256)
    found = verdict(ledger, evidence, {ledger[4].sha256, poison.sha256}, oracle)
    assert (found["poison"], found["poison_alive"], found["damaged"], found["damage_missed"]) == (0, 0, 2, 0)


def no_row(ledger: list[Entry], evidence: Evidence) -> None:
    evidence.films.pop(0)


def no_file(ledger: list[Entry], evidence: Evidence) -> None:
    evidence.stored.remove(ledger[0].sha256)


def no_result(ledger: list[Entry], evidence: Evidence) -> None:
    evidence.results.pop(0)


def two_rows(ledger: list[Entry], evidence: Evidence) -> None:
    evidence.films.append(replace(evidence.films[0], id="another"))
    evidence.results.append(Result("another", 103.0, oracle(ledger[0].film.film_id)))
    evidence.jobs.append(JobRow("another", "prepare", "succeeded", 1, ""))


def two_results(ledger: list[Entry], evidence: Evidence) -> None:
    evidence.results.append(evidence.results[0])


def two_answers(ledger: list[Entry], evidence: Evidence) -> None:
    ledger[0].films.add("a film that is not there")


def other_patient(ledger: list[Entry], evidence: Evidence) -> None:
    evidence.films[0] = replace(evidence.films[0], patient="patient of somebody else")


def swapped_results(ledger: list[Entry], evidence: Evidence) -> None:
    one, two = evidence.results[:2]
    evidence.results[:2] = [replace(one, scores=two.scores), replace(two, scores=one.scores)]


def changed_model(ledger: list[Entry], evidence: Evidence) -> None:
    evidence.results[0] = replace(evidence.results[0], scores={"normal": 0.12345})


def healthy_film_dead(ledger: list[Entry], evidence: Evidence) -> None:
    evidence.jobs.append(JobRow(*ledger[0].films, "infer", "failed", 3, "worker_lost"))


def healthy_film_rejected(ledger: list[Entry], evidence: Evidence) -> None:
    evidence.films[0] = replace(evidence.films[0], state="rejected")


def poison_still_trying(ledger: list[Entry], evidence: Evidence) -> None:
    evidence.jobs = [job for job in evidence.jobs if job.error_code != "worker_lost"]


def poison_given_up_early(ledger: list[Entry], evidence: Evidence) -> None:
    poison = next(job for job in evidence.jobs if job.error_code == "worker_lost")
    evidence.jobs[evidence.jobs.index(poison)] = replace(poison, attempt=2)


def damage_unnoticed(ledger: list[Entry], evidence: Evidence) -> None:
    evidence.reported.clear()


def partial_file(ledger: list[Entry], evidence: Evidence) -> None:
    evidence.broken.add(ledger[0].sha256)


def store_fault(ledger: list[Entry], evidence: Evidence) -> None:
    evidence.store_faults.append("map of prediction 1: missing or damaged")


def audit_changed(ledger: list[Entry], evidence: Evidence) -> None:
    evidence.audit_proved = False


def never_answered(ledger: list[Entry], evidence: Evidence) -> None:
    ledger[0].acknowledged_at = None


def refused(ledger: list[Entry], evidence: Evidence) -> None:
    ledger[0].acknowledged_at, ledger[0].refused = None, ["415 type_mismatch"]


@pytest.mark.parametrize(
    ("harm", "promise", "count"),
    [
        (no_row, "lost", 1),
        (no_file, "lost", 1),
        (no_result, "lost", 1),
        (two_rows, "doubled", 1),
        (two_results, "doubled", 1),
        (two_answers, "doubled", 1),
        (other_patient, "wrong_patient", 1),
        (swapped_results, "wrong_patient", 2),
        (changed_model, "wrong_patient", 1),
        (healthy_film_dead, "healthy_dead", 1),
        (healthy_film_rejected, "healthy_dead", 1),
        (poison_still_trying, "poison_alive", 1),
        (poison_given_up_early, "poison_alive", 1),
        (damage_unnoticed, "damage_missed", 1),
        (partial_file, "partial_files", 1),
        (store_fault, "store_faults", 1),
        (audit_changed, "audit_broken", 1),
        (never_answered, "not_acknowledged", 1),
        (refused, "refused", 1),
    ],
)
def test_a_broken_promise_is_counted(harm: Callable[..., None], promise: str, count: int):
    ledger, evidence = world()
    harm(ledger, evidence)
    found = judged(ledger, evidence)
    broken = {name: found[name] for name in PROMISES if found.get(name)}
    assert broken == {promise: count}
