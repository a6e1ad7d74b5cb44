"""One film from bytes to findings in one process: decode → quality → preprocess → predict → interpret.

May import: Keras-free modules of `mlcore`. The command line runs it whole; the workers call the same functions
stage by stage, so page, API and command line give the same numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from mlcore.contracts import (
    DecodedImage,
    FilmResult,
    FilmWarning,
    ImageRefusedError,
    ModelInput,
    ModelOutput,
    QualityReport,
)
from mlcore.decode import decode
from mlcore.interpret import interpret
from mlcore.predictors.base import Predictor
from mlcore.preprocess import PreprocessingSpec, model_input
from mlcore.quality import assess
from mlcore.timings import Timings


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is known of an accepted film before the model has seen it."""

    image: DecodedImage
    quality: QualityReport
    input: ModelInput


def prepare(data: bytes, spec: PreprocessingSpec, timings: Timings | None = None) -> Prepared:
    """Everything before the model. Raises ImageRefusedError for a film that must not reach it."""
    timings = timings or Timings()
    with timings.step("decode"):
        image = decode(data)
    with timings.step("quality"):
        quality = assess(image)
    if quality.verdict == "rejected":
        raise QualityRefusedError(quality)
    with timings.step("preprocess"):
        prepared = model_input(image, spec, hashlib.sha256(data).hexdigest())
    return Prepared(image, quality, prepared)


class QualityRefusedError(ImageRefusedError):
    """Refused by the quality gate: code and sentence of its first reason."""

    def __init__(self, report: QualityReport) -> None:
        self.report = report
        self._sentence = report.reasons[0].message
        super().__init__(report.reasons[0].code)

    @property
    def message(self) -> str:
        return self._sentence


class Pipeline:
    """A loaded predictor and the thresholds in force."""

    def __init__(self, predictor: Predictor, operating_points: Mapping[str, float] | None = None) -> None:
        self.predictor = predictor
        self.operating_points = operating_points

    def run(self, data: bytes, file: str) -> FilmResult:
        """The outcome of one film; a film that cannot be used is a result, not an error."""
        return self.run_with_maps(data, file)[0]

    def run_with_maps(self, data: bytes, file: str) -> tuple[FilmResult, DecodedImage | None, ModelOutput | None]:
        """As `run`, with the decoded film and the model's output when there is one."""
        timings = Timings()
        try:
            prepared = prepare(data, self.predictor.card.preprocessing, timings)
        except ImageRefusedError as refusal:
            return rejected(file, refusal.code, refusal.message, timings), None, None
        with timings.step("predict"):
            output = self.predictor.predict(prepared.input.array[None])
        with timings.step("interpret"):
            findings = interpret(output.probabilities[0], self.predictor.card, self.operating_points)
        warnings = prepared.image.facts.warnings + tuple(
            FilmWarning(reason.code, reason.message) for reason in prepared.quality.reasons
        )
        identity = self.predictor.card.identity
        result = FilmResult(
            file, "predicted", model=identity, findings=findings, warnings=warnings, timings_ms=timings.ms
        )
        return result, prepared.image, output


def rejected(file: str, code: str, message: str, timings: Timings | None = None) -> FilmResult:
    """The result of a film that was refused before the model."""
    return FilmResult(file, "rejected", code=code, message=message, timings_ms=timings.ms if timings else {})
