"""What a paper reports, under which protocol, and when a figure of ours may be set against it.

May import: the standard library. The recipes state their paper with it; `common` sets our figures beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Protocol:
    """What must agree before two figures may be compared. None: not known, which never agrees.

    `sources`: the data sets whose films were tested; `films`: how many; `split`: who parted them, and by what;
    `labels`: what the system had to tell apart.
    """

    sources: tuple[str, ...] | None
    labels: tuple[str, ...] | None
    split: str | None
    films: int | None


@dataclass(frozen=True, slots=True)
class Claim:
    """One figure of a paper. `metric` and `part` are the names of our evaluation ("accuracy", "pooled").

    `verified`: the figure was read in the paper itself; otherwise it comes from an abstract or another text and is
    printed as unverified.
    """

    system: str
    task: str
    metric: str
    value: float
    protocol: Protocol
    verified: bool = False
    part: str = "pooled"


@dataclass(frozen=True, slots=True)
class Paper:
    """A publication: how to cite it, the films and the method it describes, its figures."""

    citation: str
    year: int | None
    data: str
    method: str
    claims: tuple[Claim, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def obstacles(claim: Claim, ours: Protocol, system: str) -> list[str]:
    """Why `claim` may not be compared with a figure of `system` under the protocol `ours`; empty when it may."""
    found = [] if claim.verified else ["the paper's figure is unverified"]
    if system != claim.system:
        found.append(f"system: {claim.system} in the paper, another here")
    theirs, here = asdict(claim.protocol), asdict(ours)
    for name, title in (
        ("sources", "films"),
        ("labels", "labels"),
        ("split", "split"),
        ("films", "number of films tested"),
    ):
        if theirs[name] is None or theirs[name] != here[name]:
            found.append(f"{title}: {_said(theirs[name])} in the paper, {_said(here[name])} here")
    return found


def comparison(claim: Claim, figure: Mapping[str, float], ours: Protocol, system: str) -> dict[str, Any]:
    """A paper's figure beside that of our `system` ({value, low, high, n}), whether they may be compared, and the
    sentence that says so. Higher or lower is said only under the same protocol, and only when the paper's figure is
    outside our interval.
    """
    reasons = obstacles(claim, ours, system)
    return {
        "system": system,
        "paper_system": claim.system,
        "task": claim.task,
        "metric": claim.metric,
        "part": claim.part,
        "paper": claim.value,
        "verified": claim.verified,
        "here": dict(figure),
        "protocol": {"paper": asdict(claim.protocol), "here": asdict(ours)},
        "comparable": not reasons,
        "obstacles": reasons,
        "sentence": f"Not comparable: {'; '.join(reasons)}." if reasons else _verdict(claim.value, figure),
    }


def _verdict(value: float, figure: Mapping[str, float]) -> str:
    if value < figure["low"]:
        return "Same protocol: ours is higher, and its 95 % interval leaves out the paper's figure."
    if value > figure["high"]:
        return "Same protocol: ours is lower, and its 95 % interval leaves out the paper's figure."
    return "Same protocol: the 95 % interval of ours holds the paper's figure, so no difference is shown."


def _said(value: Any) -> str:
    if value is None:
        return "not stated"
    return ", ".join(value) if isinstance(value, tuple) else str(value)
