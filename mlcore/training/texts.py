"""What a model card says in words; and the words of the default model, which are true of its films only.

May import: `mlcore.card`, `findings`, `tasks`. `bundle` puts them into the card.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlcore.card import LabelSpec
from mlcore.findings import label_specs
from mlcore.training.tasks import THREE, Task


@dataclass(frozen=True, slots=True)
class Texts:
    """`labels` in the order of the network's outputs; `task` is one sentence; the rest as in `ModelCard`."""

    task: str
    labels: tuple[LabelSpec, ...]
    intended_use: str
    limitations: tuple[str, ...]
    credits: tuple[str, ...]


INTENDED_USE = (
    "Decision support on frontal chest films: an order for reading and a second look for trained staff. "
    "Not a medical device, not a diagnosis, not for use without a reader."
)

DEFAULT_MODEL = Texts(
    task="One of: normal, pneumonia, pleural effusion, on a frontal chest film",
    labels=label_specs(THREE.labels),
    intended_use=INTENDED_USE,
    limitations=(
        "Weak on pneumonia in adults: see the figures within NIH ChestX-ray14, which are the ones that matter for "
        "adults.",
        "Effusion was learned from adults only; no child with an effusion was among the films.",
        "In the training films the disease can be guessed from the source: most pneumonia is one children's hospital, "
        "every effusion is NIH. The pooled figures therefore flatter; compare them with the source-only baseline.",
        "The patients behind nearly all effusion films are unknown, so validation and test may share some of them "
        "with training and the effusion figures are slightly optimistic.",
        "NIH labels were mined from report text and are noisy; a film labelled normal may hold an unlabelled finding.",
        "Films with several findings, or with other findings, were not used: the model must choose among three labels "
        "and has no word for anything else.",
        "Probabilities were calibrated so that both sources count the same; where disease is rarer or more common "
        "they are too high or too low.",
        "Small films (256 pixels) were used; lateral, rotated and paediatric films other than ages 1 to 5 were not.",
    ),
    credits=(
        "NIH ChestX-ray14: Wang et al., CVPR 2017; provided by the NIH Clinical Center (NIHCC).",
        "Kermany, Zhang, Goldbaum: Labeled Optical Coherence Tomography and Chest X-Ray Images, "
        "Mendeley Data rscbjbr9sj v2, CC BY 4.0.",
        "Starting weights: MobileNetV2 trained on ImageNet, Apache-2.0.",
    ),
)


def plain_texts(task: Task) -> Texts:
    """Words for a model of `task` trained on films that we know nothing about."""
    return Texts(
        task=task.title,
        labels=label_specs(task.labels),
        intended_use=INTENDED_USE,
        limitations=("Nobody has written down yet what this model must not be used for: do so before it is served.",),
        credits=(),
    )
