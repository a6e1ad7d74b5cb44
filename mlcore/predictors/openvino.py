"""The OpenVINO engine on a processor: the card's network as `mlcore export` converted it, without TensorFlow.

May import: NumPy, `mlcore`; OpenVINO when a predictor is made, only in the process that predicts, never before a fork.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from mlcore.artefacts import Artefact
from mlcore.card import ModelCard
from mlcore.contracts import ImageArray, InfrastructureError, ModelIntegrityError, ModelOutput
from mlcore.predictors.base import check_batch

#: More cores than these are shared out: several films at a time, each on a few.
_CORES_OF_ONE_FILM = 2


class OpenVinoPredictor:
    """`graph` and `numbers` are the artefact's two files, their hashes already verified.

    Films are computed one by one, so that a film's numbers do not depend on those beside it; on a processor the same
    work in a batch is hardly faster. The precision is set: by itself OpenVINO takes bf16 wherever the processor has it.
    """

    def __init__(self, card: ModelCard, artefact: Artefact, graph: bytes, numbers: bytes) -> None:
        import openvino

        version = openvino.__version__.partition("-")[0]
        self.card = card
        self.engine = f"openvino-{version}-{artefact.precision}-cpu"
        config = {"INFERENCE_PRECISION_HINT": "bf16" if artefact.precision == "bf16" else "f32"}
        core = openvino.Core()
        try:
            model = core.read_model(model=graph, weights=numbers)
            lone = core.compile_model(model, "CPU", {**config, "PERFORMANCE_HINT": "LATENCY"})
            many = lone
            if (os.cpu_count() or 1) > _CORES_OF_ONE_FILM:
                many = core.compile_model(model, "CPU", {**config, "PERFORMANCE_HINT": "THROUGHPUT"})
        except RuntimeError as error:
            raise ModelIntegrityError("OpenVINO cannot use the files of this model") from error
        # Not OpenVINO's own queue: its threads call back into Python, and whoever drops it waits for them with Python's
        # lock in hand, now and then for ever.
        self._lone = [lone.create_infer_request()]
        self._many = [many.create_infer_request() for _ in range(many.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))]
        try:
            self.predict(np.zeros((1, *card.preprocessing.size, 1), np.float32))
        except (InfrastructureError, ValueError) as error:
            raise ModelIntegrityError("the converted network does not fit the card") from error

    def predict(self, batch: ImageArray) -> ModelOutput:
        """See `Predictor.predict`."""
        films = check_batch(batch, self.card)
        requests = self._lone if len(films) == 1 else self._many
        answers: list[tuple[ImageArray, ImageArray]] = []
        try:
            for place in range(len(films) + len(requests)):
                request = requests[place % len(requests)]
                if len(requests) <= place:  # it has a film already
                    request.wait()
                    answers.append((_copy(request, "probabilities"), _copy(request, "maps")))
                if place < len(films):
                    request.start_async({"film": films[place : place + 1]})
        except RuntimeError as error:  # the film has the right shape and holds numbers: it is the machine
            raise InfrastructureError("OpenVINO") from error
        probabilities = np.concatenate([answer[0] for answer in answers])
        if probabilities.shape != (len(films), len(self.card.label_keys)):
            raise ValueError(f"expected one probability per trained label, got {probabilities.shape}")
        return ModelOutput(probabilities, np.concatenate([answer[1] for answer in answers]))


def _copy(request: Any, name: str) -> ImageArray:
    values: ImageArray = request.get_tensor(name).data.copy()
    return values
