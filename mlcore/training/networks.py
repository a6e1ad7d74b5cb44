"""Three networks that Keras does not bring: AlexNet, ResNet18 and SqueezeNet 1.1, called as `keras.applications` are.

May import: Keras inside functions. `backbones` names them, so that they train and serve like the others. Each gives
its feature map; the dense layers of AlexNet's top are left out, as every network gets the same pooled head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def alexnet(input_shape: tuple[int, ...], include_top: bool = False, weights: str | None = None) -> keras.Model:
    """The five convolutions of Krizhevsky et al. (2012) on one device, without response normalisation."""
    import keras

    layers = keras.layers
    film = keras.Input(input_shape)
    features = layers.Conv2D(96, 11, strides=4, padding="same", activation="relu", name="conv1")(film)
    features = layers.MaxPooling2D(3, strides=2, name="pool1")(features)
    features = layers.Conv2D(256, 5, padding="same", activation="relu", name="conv2")(features)
    features = layers.MaxPooling2D(3, strides=2, name="pool2")(features)
    for number, filters in ((3, 384), (4, 384), (5, 256)):
        features = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv{number}")(features)
    return _loaded(keras.Model(film, features, name="alexnet"), include_top, weights)


def resnet18(input_shape: tuple[int, ...], include_top: bool = False, weights: str | None = None) -> keras.Model:
    """He et al. (2016), table 1: eight blocks of two 3 × 3 convolutions."""
    import keras

    layers = keras.layers
    film = keras.Input(input_shape)
    features = _normalised_convolution(film, 64, 7, 2, "stem")
    features = layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(layers.ReLU()(features))
    for stage, filters in enumerate((64, 128, 256, 512)):
        for block in range(2):
            stride, name = (2 if stage and not block else 1), f"stage{stage + 1}_block{block + 1}"
            inner = layers.ReLU()(_normalised_convolution(features, filters, 3, stride, f"{name}_a"))
            inner = _normalised_convolution(inner, filters, 3, 1, f"{name}_b")
            if stride > 1:
                features = _normalised_convolution(features, filters, 1, stride, f"{name}_shortcut")
            features = layers.ReLU()(layers.Add()([features, inner]))
    return _loaded(keras.Model(film, features, name="resnet18"), include_top, weights)


def squeezenet(input_shape: tuple[int, ...], include_top: bool = False, weights: str | None = None) -> keras.Model:
    """Version 1.1 of Iandola et al. (2016): eight fire modules, each a 1 × 1 squeeze and 1 × 1 and 3 × 3 expansions.

    A weights file holds the 25 convolutions in this order; inputs are blue, green, red around their ImageNet means.
    """
    import keras

    layers = keras.layers
    film = keras.Input(input_shape)
    features = layers.Conv2D(64, 3, strides=2, activation="relu", name="conv1")(film)
    features = layers.MaxPooling2D(3, strides=2, name="pool1")(features)
    for number, (squeeze, expand) in enumerate(((16, 64), (32, 128), (48, 192), (64, 256)), 1):
        for fire in (2 * number, 2 * number + 1):
            squeezed = layers.Conv2D(squeeze, 1, activation="relu", name=f"fire{fire}_squeeze1x1")(features)
            one = layers.Conv2D(expand, 1, activation="relu", name=f"fire{fire}_expand1x1")(squeezed)
            three = layers.Conv2D(expand, 3, padding="same", activation="relu", name=f"fire{fire}_expand3x3")(squeezed)
            features = layers.Concatenate(name=f"fire{fire}")([one, three])
        if number < 3:
            features = layers.MaxPooling2D(3, strides=2, name=f"pool{2 * number + 1}")(features)
    return _loaded(keras.Model(film, features, name="squeezenet"), include_top, weights)


def _normalised_convolution(features: Any, filters: int, side: int, stride: int, name: str) -> Any:
    import keras

    convolution = keras.layers.Conv2D(
        filters, side, strides=stride, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )
    return keras.layers.BatchNormalization(epsilon=1e-5, name=f"{name}_norm")(convolution(features))


def _loaded(model: keras.Model, include_top: bool, weights: str | None) -> keras.Model:
    """The network with the weights of a file, matched by the order of layers. Raises ValueError."""
    if include_top or weights == "imagenet":
        raise ValueError(f"{model.name} has no top and no ImageNet weights to fetch; give a file or none")
    if weights is not None:
        model.load_weights(weights)
    return model
