"""The forms of a network besides the network itself in float32, named by the card: OpenVINO files for a processor, and
mixed precision on a GPU.

May import: the standard library and `mlcore.contracts`. `card` holds them, `registry` chooses among them and proves
their bytes, `mlcore.training.export` writes and measures them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from mlcore.contracts import ModelIntegrityError

#: OpenVINO's on a processor, fastest first where it has the instructions.
ProcessorPrecision = Literal["int8", "bf16", "fp32"]
PRECISIONS: tuple[ProcessorPrecision, ...] = get_args(ProcessorPrecision)
#: Keras's policy on a GPU: weights stay float32, layers before the head compute in bfloat16. Not float16: its largest
#: number is 65504, which a network trained in float32 may pass.
MIXED: Literal["mixed_bfloat16"] = "mixed_bfloat16"
Precision = Literal[ProcessorPrecision, "mixed_bfloat16"]
FOLDER = "openvino"
WEIGHTS_FILE = "served.weights.h5"
_NAME = re.compile(r"[a-z0-9]{1,20}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
#: Without one of these a precision gains nothing (int8) or is quietly computed in another one (bf16).
_INSTRUCTIONS: Mapping[str, frozenset[str]] = {
    "int8": frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"}),
    "bf16": frozenset({"avx512_bf16", "amx_bf16", "bf16"}),
}


@dataclass(frozen=True, slots=True)
class Artefact:
    """One precision in which the network is computed: from the files `openvino/NAME.xml` and `.bin`, or, where it is
    mixed precision, from the weights themselves.

    `sha256` are those of the files. `passes`: does it lose so little against the Keras network on the validation
    films that it may answer for it? `measured` holds the figures behind that, and the engine they are of.
    """

    precision: Precision
    name: str
    sha256: tuple[str, ...]
    passes: bool
    measured: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def files(self) -> tuple[str, ...]:
        """Paths inside the model folder: the graph and its numbers, or the weights."""
        if self.precision == MIXED:
            return (WEIGHTS_FILE,)
        return f"{FOLDER}/{self.name}.xml", f"{FOLDER}/{self.name}.bin"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "sha256": list(self.sha256)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Artefact:
        """Raises ValueError, KeyError or TypeError on anything else than `to_json` gives."""
        one = cls(
            precision=value["precision"],
            name=str(value["name"]),
            sha256=tuple(value["sha256"]),
            passes=value["passes"],
            measured=dict(value["measured"]),
        )
        if (
            one.precision not in (*PRECISIONS, MIXED)
            or not _NAME.fullmatch(one.name)
            or len(one.sha256) != len(one.files)
            or not all(_SHA256.fullmatch(each) for each in one.sha256)
            or not isinstance(one.passes, bool)
        ):
            raise ValueError(f"no form of the network: {one.precision!r}, {one.name!r}")
        return one


def artefact_read(folder: Path, artefact: Artefact) -> tuple[bytes, ...]:
    """The contents of the form's files, the very bytes whose hashes were checked. Raises ModelIntegrityError."""
    read = []
    for file, sha256 in zip(artefact.files, artefact.sha256, strict=True):
        try:
            content = (folder / file).read_bytes()
        except OSError as error:
            raise ModelIntegrityError(f"{file} cannot be read") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ModelIntegrityError(f"{file} does not have the sha256 of the card")
        read.append(content)
    return tuple(read)


def artefact_choose(artefacts: Sequence[Artefact], flags: Iterable[str] | None = None) -> Artefact | None:
    """The fastest form that passes its gate and for which this processor has instructions; None where there is none.

    `flags` are the processor's, as the kernel names them. The choice follows from the machine alone, not from how busy
    it is, so that a film is computed in the same precision tomorrow.
    """
    has = frozenset(processor_flags() if flags is None else flags)
    for precision in PRECISIONS:
        wanted = _INSTRUCTIONS.get(precision)
        for artefact in artefacts:
            if artefact.precision == precision and artefact.passes and (wanted is None or wanted & has):
                return artefact
    return None


@cache
def processor_flags() -> frozenset[str]:
    """What this processor can, as Linux names it; nothing where that is not told."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return frozenset()
    line = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return frozenset(line.group(1).split()) if line else frozenset()


def can_compute(precision: ProcessorPrecision) -> bool:
    """Is this precision really computed here? OpenVINO computes bf16 as fp32 where the processor has none."""
    return precision != "bf16" or bool(_INSTRUCTIONS["bf16"] & processor_flags())
