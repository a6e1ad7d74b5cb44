"""The networks a model can be built on, and the one head that is put on each of them.

May import: the standard library; Keras only inside functions. `train` builds from here, `registry` rebuilds
the same architecture and loads weights into it: no stored layer is ever deserialised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import keras

Scaling = Literal["tf", "caffe", "torch", "own"]


@dataclass(frozen=True, slots=True)
class Backbone:
    """A network: the path of its constructor (called as those of `keras.applications`), native side in pixels,
    the scaling its ImageNet weights expect (`own`: grey 0 to 255, the network scales by itself), and the first layer
    worth fine-tuning on small data (empty: all of them). What it gives without its top is the feature map."""

    constructor: str
    side: int
    scaling: Scaling
    tune_from: str = ""


#: The ten networks of the paper's comparison, in its order.
TEN: dict[str, Backbone] = {
    "vgg16": Backbone("keras.applications.VGG16", 224, "caffe"),
    "vgg19": Backbone("keras.applications.VGG19", 224, "caffe"),
    "xception": Backbone("keras.applications.Xception", 299, "tf"),
    "inception_v3": Backbone("keras.applications.InceptionV3", 299, "tf"),
    "inception_resnet_v2": Backbone("keras.applications.InceptionResNetV2", 299, "tf"),
    "resnet50": Backbone("keras.applications.ResNet50", 224, "caffe"),
    "resnet50_v2": Backbone("keras.applications.ResNet50V2", 224, "tf"),
    "densenet121": Backbone("keras.applications.DenseNet121", 224, "torch"),
    "densenet169": Backbone("keras.applications.DenseNet169", 224, "torch"),
    "nasnet_mobile": Backbone("keras.applications.NASNetMobile", 224, "tf"),
}
#: And others: MobileNetV2 is small enough to ship and to train without a GPU. EfficientNet is its second version,
#: because Keras builds another graph for the first one's ImageNet weights than without them.
BACKBONES: dict[str, Backbone] = {
    **TEN,
    "resnet152": Backbone("keras.applications.ResNet152", 224, "caffe"),
    "densenet201": Backbone("keras.applications.DenseNet201", 224, "torch"),
    "nasnet_large": Backbone("keras.applications.NASNetLarge", 331, "tf"),
    "mobilenet_v2": Backbone("keras.applications.MobileNetV2", 224, "tf", "block_4_expand"),
    "efficientnet_v2_b0": Backbone("keras.applications.EfficientNetV2B0", 224, "own"),
    "efficientnet_v2_s": Backbone("keras.applications.EfficientNetV2S", 384, "own"),
    "alexnet": Backbone("mlcore.training.networks.alexnet", 227, "tf"),
    "resnet18": Backbone("mlcore.training.networks.resnet18", 224, "torch"),
    "squeezenet": Backbone("mlcore.training.networks.squeezenet", 227, "caffe"),
}


@dataclass(frozen=True, slots=True)
class Architecture:
    """All that is needed to build the served network. `members` copies of the backbone vote with their mean logit.

    `exclusive`: exactly one label per film (softmax); otherwise each label is asked for itself (sigmoid).
    """

    backbone: str
    size: tuple[int, int]
    labels: int
    members: int = 1
    exclusive: bool = True

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "size": list(self.size)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Architecture:
        return cls(**{**value, "size": tuple(value["size"])})


def build_member(
    architecture: Architecture, *, weights: str | None = None, dropout: float = 0.0, bias: bool = True
) -> keras.Model:
    """One trainable member: film (n, rows, columns, 1) in [0, 1] → maps (n, h, w, labels) whose mean is the logit.

    `weights` is None, "imagenet" or a path to weights of the backbone without its top. Without `bias` the head
    leaves out its bias, the last of the weights. The head computes in float32 whatever the dtype policy: its maps are
    what is shown and averaged.
    """
    import keras

    spec = BACKBONES[architecture.backbone]
    shape = (*architecture.size, 3)
    module, name = spec.constructor.rsplit(".", 1)
    backbone = getattr(import_module(module), name)(input_shape=shape, include_top=False, weights=weights)
    film = keras.Input((*architecture.size, 1), name="film")
    features = backbone(_scaled(film, spec.scaling))
    if dropout:
        features = keras.layers.SpatialDropout2D(dropout, name="dropout")(features)
    maps = keras.layers.Conv2D(architecture.labels, 1, use_bias=bias, name="head", dtype="float32")(features)
    return keras.Model(film, maps, name="member")


def build_served(architecture: Architecture) -> keras.Model:
    """The served network, without weights: film → [probabilities (n, labels), maps (n, h, w, labels)].

    The map of a label is the feature map weighted by that label's head; its mean over the film plus the label's
    bias is exactly the logit (class-activation map, Zhou et al. 2016, from the same forward pass). The bias stays
    out of the map: it is the same everywhere and would colour the empty background. From the map on everything is
    float32, whatever the dtype policy.
    """
    import keras

    film = keras.Input((*architecture.size, 1), name="film")
    members = []
    for number in range(architecture.members):
        member = build_member(architecture, bias=False)
        member.name = f"member_{number}"
        members.append(member(film))
    maps = members[0] if len(members) == 1 else keras.layers.Average(name="maps", dtype="float32")(members)
    evidence = keras.layers.GlobalAveragePooling2D(name="evidence", dtype="float32")(maps)
    bias = keras.layers.Dense(architecture.labels, kernel_initializer="identity", name="bias", dtype="float32")
    answer = "softmax" if architecture.exclusive else "sigmoid"
    probabilities = keras.layers.Activation(answer, name="probabilities", dtype="float32")(bias(evidence))
    return keras.Model(film, [probabilities, maps], name="served")


def copy_members(served: keras.Model, members: list[keras.Model]) -> None:
    """Put the weights of trained members into the served network, the mean of their biases behind the pooling."""
    biases = []
    for number, member in enumerate(members):
        *rest, bias = member.get_weights()
        served.get_layer(f"member_{number}").set_weights(rest)
        biases.append(bias)
    identity, _ = served.get_layer("bias").get_weights()
    served.get_layer("bias").set_weights([identity, sum(biases) / len(biases)])


def freeze_for_tuning(member: keras.Model, architecture: Architecture) -> None:
    """Leave only convolutions from `tune_from` on and the head trainable.

    Batch normalisation that is not trainable runs in inference mode, so the stored statistics stay as they are.
    """
    import keras

    spec = BACKBONES[architecture.backbone]
    backbone = next(layer for layer in member.layers if isinstance(layer, keras.Model))
    reached = not spec.tune_from
    for layer in backbone.layers:
        reached = reached or layer.name == spec.tune_from
        layer.trainable = reached and not isinstance(layer, keras.layers.BatchNormalization)


def _scaled(film: Any, scaling: Scaling) -> Any:
    """Grey [0, 1] → the three-channel range the ImageNet weights were trained with."""
    import keras

    if scaling in ("tf", "own"):
        colour = keras.layers.Concatenate(name="colour")([film, film, film])
        scale, offset = (2.0, -1.0) if scaling == "tf" else (255.0, 0.0)
        return keras.layers.Rescaling(scale, offset=offset, name="scaling")(colour)
    if scaling == "torch":
        mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    else:  # caffe: blue, green, red around their mean, in 0..255
        mean, deviation = (103.939 / 255, 116.779 / 255, 123.68 / 255), (1 / 255,) * 3
    channels = [
        keras.layers.Rescaling(1 / d, offset=-m / d, name=f"scaling_{i}")(film)
        for i, (m, d) in enumerate(zip(mean, deviation, strict=True))
    ]
    return keras.layers.Concatenate(name="colour")(channels)
