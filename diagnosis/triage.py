"""In which order films are read: how much a study presses, and where that places it. Pure functions and their tables.

The list is in order of arrival, with two exceptions. A study that was sent as an emergency comes first. Any other that
presses has a head start: it stands as if it had come earlier, by at most `HEAD_START` of the time that studies have
lately waited at the clinic. So a study's place never has to be computed again as time passes, everything moves up, and
nothing but an emergency overtakes a study that waits longer than the head start: nothing starves. docs/worklist.md has
the figures of the simulation that chose these numbers. May import: the standard library, `diagnosis.models`,
`mlcore.card`, `mlcore.findings`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from diagnosis.models import Finding, ModelVersion, Prediction, ReportedFinding, Study
from mlcore.card import NORMAL
from mlcore.findings import severity_of

#: A label whose card does not weigh it.
UNWEIGHED = 0.5
#: A film without an answer (waiting, failed, rejected, no model): as pressing as half of the worst, never the last.
NO_ANSWER = 0.5
#: What a person asked for counts in full. Emergencies stand before all others, whatever this says.
REQUESTED: dict[str, float] = {Study.Urgency.EMERGENCY: 1.0, Study.Urgency.URGENT: 1.0, Study.Urgency.ROUTINE: 0.0}
#: From here on a study is called critical.
CRITICAL = 0.5
#: The longest head start, as a share of the mean wait of the studies lately read at the clinic …
HEAD_START = 0.75
#: … that is, of this many; no more than the clinic's maximum wait is ever taken for it.
LATELY = 200


@dataclass(frozen=True, slots=True)
class Urgency:
    """How much a study presses, 0 to 1, and why: what was requested, the finding that weighs most (`found`, with its
    row), the labels at or above their thresholds, whether every film has an answer."""

    value: float
    emergency: bool = False
    critical: bool = False
    finding: Finding | None = None
    labels: tuple[str, ...] = ()
    answered: bool = True


def weight(*, severity: float, calibrated: float, threshold: float) -> float:
    """How much one finding presses: severity × calibrated probability; nothing below the threshold, where the finding
    counts as absent. The severity of a label stands in its model's card, from `mlcore/findings.py`."""
    return severity * calibrated if calibrated >= threshold else 0.0


def urgency_combine(requested: str, found: float, *, answered: bool) -> tuple[float, bool]:
    """(urgency, critical?) of a study: the most pressing of what was requested, what was found and what was not judged.
    No answer moves a study up, but is no finding."""
    asked = REQUESTED[requested]
    value = max(asked, found, 0.0 if answered else NO_ANSWER)
    return value, max(asked, found) >= CRITICAL


def urgency_of(requested: str, predictions: Iterable[Prediction], *, answered: bool) -> Urgency:
    """Of a study whose films' shown predictions these are, each with `model_version` and `findings`."""
    weighed = [each for prediction in predictions for each in _weighed(prediction)]
    found, leading = max(weighed, key=lambda each: each[0], default=(0.0, None))
    value, critical = urgency_combine(requested, found, answered=answered)
    labels = {finding.label for _, finding in weighed if finding.calibrated >= finding.threshold}
    return Urgency(
        value=value,
        emergency=requested == Study.Urgency.EMERGENCY,
        critical=critical,
        finding=leading if found > 0 else None,
        labels=tuple(sorted(labels)),
        answered=answered,
    )


def severity_said(decision: ReportedFinding) -> float:
    """How much what a reader says weighs, who is certain of it: as the card of the model that knows the label weighs
    it, else as the table does."""
    severities = _severities(decision.finding.prediction.model_version) if decision.finding else {}
    return severities.get(decision.label, severity_of(decision.label, UNWEIGHED))


def _weighed(prediction: Prediction) -> Iterator[tuple[float, Finding]]:
    severity = _severities(prediction.model_version)
    for finding in prediction.findings.all():
        if finding.label == NORMAL:
            continue
        weighs = severity.get(finding.label, UNWEIGHED)
        yield weight(severity=weighs, calibrated=finding.calibrated, threshold=finding.threshold), finding


@lru_cache(maxsize=8)
def _severities(model: ModelVersion) -> dict[str, float]:
    """Read once in a process: a version's labels stay what they are, and its card is long."""
    return {spec["key"]: float(spec.get("severity", UNWEIGHED)) for spec in model.card["labels"]}


def head_start_at_most(waits: timedelta | None, max_wait: timedelta) -> timedelta:
    """The head start of the most urgent, given the mean of the latest `waits`, or None where nothing was read yet."""
    typical = max_wait if waits is None else min(waits, max_wait)
    return HEAD_START * max(typical, timedelta(0))


def stands_at(received_at: datetime, urgency: float, most: timedelta) -> datetime:
    """The moment by which the list is sorted: arrival less the head start."""
    return received_at - urgency * most


def foremost(predictions: Iterable[Prediction]) -> Prediction | None:
    """Of one film's results, newest first, the one that is shown: the active model's; retired ones are looked up."""
    found = list(predictions)
    active = (each for each in found if each.model_version.status == ModelVersion.Status.ACTIVE)
    return next(active, found[0] if found else None)
