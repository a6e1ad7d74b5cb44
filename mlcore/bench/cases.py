"""What is measured, in which order: the most telling cases first, so that a run that is cut short still says most.

May import: the standard library. `runner` walks through the plan, `worker` measures one case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

#: Keras on a backend, by the backend's name, and PyTorch without Keras as its users run it.
ENGINES = ("jax", "torch", "tensorflow", "pytorch")
TITLES = {
    "jax": "Keras on JAX",
    "torch": "Keras on PyTorch",
    "tensorflow": "Keras on TensorFlow",
    "pytorch": "PyTorch (torchvision)",
}
#: What the modes are called in each engine: "plain" is without a compiler, "graphs" replays recorded GPU work.
MODES: Mapping[str, Mapping[str, str]] = {
    "jax": {"plain": "op by op", "compiled": "XLA"},
    "torch": {"plain": "eager", "compiled": "torch.compile"},
    "tensorflow": {"plain": "tf.function", "compiled": "XLA"},
    "pytorch": {"plain": "eager", "compiled": "torch.compile", "graphs": "torch.compile, CUDA graphs"},
}
#: Engine and mode as each is normally used, PyTorch with its compiler apart, because that costs a minute a case.
_USUAL = (("pytorch", "plain"), ("jax", "compiled"), ("tensorflow", "compiled"), ("torch", "plain"))
_COMPILED = (("pytorch", "compiled"),)
_OTHER = (("jax", "plain"), ("tensorflow", "plain"), ("pytorch", "graphs"), ("torch", "compiled"))
_FILLERS = (("jax", "compiled"), ("tensorflow", "compiled"))

_Ways = tuple[tuple[str, str], ...]
_ORDER: tuple[tuple[str, str, int, _Ways], ...] = (
    ("infer", "float64", 8, (("pytorch", "plain"),)),
    ("infer", "bfloat16", 32, _USUAL + _COMPILED),
    ("jpeg", "bfloat16", 32, _FILLERS),
    ("infer", "float32", 32, _USUAL),
    ("infer", "bfloat16", 1, _USUAL),
    ("infer", "bfloat16", 128, _USUAL),
    ("train", "bfloat16", 32, _USUAL + _COMPILED),
    ("png16", "bfloat16", 32, _FILLERS),
    ("infer", "tf32", 32, _USUAL),
    ("infer", "bfloat16", 128, _COMPILED),
    ("infer", "bfloat16", 1, _COMPILED),
    ("infer", "bfloat16", 256, _USUAL),
    ("train", "bfloat16", 128, _USUAL),
    ("infer", "bfloat16", 8, _USUAL),
    ("train", "tf32", 32, _USUAL),
    ("infer", "bfloat16", 32, _OTHER),
    ("infer", "bfloat16", 1, _OTHER),
    ("train", "float32", 32, _USUAL),
    ("infer", "float32", 1, _USUAL),
    ("infer", "float32", 128, _USUAL),
    ("train", "bfloat16", 128, _COMPILED),
    ("infer", "bfloat16", 256, _COMPILED),
    ("infer", "float32", 8, _USUAL),
    ("infer", "float32", 256, _USUAL),
    ("infer", "tf32", 128, _USUAL),
    ("train", "bfloat16", 32, _OTHER),
    ("jpeg", "bfloat16", 32, (("pytorch", "plain"),)),
)
_QUICK: tuple[tuple[str, str, int, _Ways], ...] = (
    ("infer", "float64", 2, (("pytorch", "plain"),)),
    ("infer", "float32", 2, _USUAL),
    ("infer", "bfloat16", 2, _USUAL),
    ("train", "bfloat16", 2, _USUAL),
    ("jpeg", "float32", 2, _FILLERS),
    ("png16", "float32", 2, _FILLERS),
    ("infer", "float32", 1, _OTHER),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement.

    `work`: "infer" (probabilities and map), "train" (one step of all layers), "jpeg" or "png16" (from film files to
    results), "matmul" (the ceiling: one large product of matrices). `precision`: "float32" exactly, "tf32", "bfloat16"
    (mixed), "float64" (the reference). `mode`: "plain", "compiled" or "graphs".
    """

    engine: str
    work: str
    precision: str
    batch: int
    mode: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def words(self) -> str:
        if self.work == "matmul":
            return f"{TITLES[self.engine]}: matrix product, {self.precision}"
        return (
            f"{TITLES[self.engine]}, {MODES[self.engine][self.mode]}: {self.work}, batch {self.batch}, {self.precision}"
        )


def plan(engines: Iterable[str], *, quick: bool = False) -> list[Case]:
    """All cases that `engines` can run, each once, in the order in which they are worth running."""
    there = [engine for engine in ENGINES if engine in set(engines)]
    cases = [*_ceilings(there, quick), *_crossed(there, _QUICK if quick else _ORDER)]
    return list(dict.fromkeys(cases))


def _ceilings(engines: list[str], quick: bool) -> Iterator[Case]:
    """Measured once, by the engine with the plainest call."""
    for engine in [name for name in ("pytorch", "torch", "jax", "tensorflow") if name in engines][:1]:
        for precision in ("float32",) if quick else ("float32", "tf32", "bfloat16"):
            yield Case(engine, "matmul", precision, 0, "plain")


def _crossed(engines: list[str], order: tuple[tuple[str, str, int, _Ways], ...]) -> Iterator[Case]:
    for work, precision, batch, ways in order:
        for engine, mode in ways:
            if engine in engines:
                yield Case(engine, work, precision, batch, mode)
