"""The networks of the training benchmarks, each written once in layers that every library supplies.

A network is a function of ``layers`` and images that returns logits. Paddings are explicit and equal on both
sides, so that all libraries compute the same map. Dropout and stochastic depth are left out.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol


class Layers(Protocol):
    """What a library supplies. A layer with parameters has a name, the key of its parameters."""

    def conv(
        self,
        name: str,
        x,
        features: int,
        window: int,
        *,
        stride: int = 1,
        pad: int = 0,
        groups: int = 1,
        bias: bool = False,
    ) -> Any: ...
    def conv_transpose(self, name: str, x, features: int, window: int) -> Any: ...  # stride = window
    def batch_norm(self, name: str, x) -> Any: ...
    def dense(self, name: str, x, features: int) -> Any: ...
    def max_pool(self, x, window: int, *, stride: int, pad: int = 0) -> Any: ...
    def global_avg_pool(self, x) -> Any: ...
    def activation(self, name: str, x) -> Any: ...  # relu, relu6, silu or sigmoid
    def flatten(self, x) -> Any: ...  # (N, H, W, C) to (N, H W C), in this order
    def concatenate(self, xs) -> Any: ...  # along the channels
    def scale_channels(self, x, gate) -> Any: ...  # gate (N, C)
    def channels(self, x) -> int: ...
    def block(self, network, *xs) -> Any: ...  # network(layers, *xs), perhaps run again by the backward pass
    def keep(self, x) -> Any: ...  # x, which such a block does not make again


Network = Callable[[Layers, Any], Any]


def lenet(layers: Layers, x, *, classes: int):
    """LeNet-5 in its modern form, 61,706 parameters with 10 classes."""
    for number, (features, pad) in enumerate(((6, 2), (16, 0)), start=1):
        x = layers.activation("relu", layers.conv(f"conv{number}", x, features, 5, pad=pad, bias=True))
        x = layers.max_pool(x, 2, stride=2)
    x = layers.flatten(x)
    for number, features in enumerate((120, 84), start=1):
        x = layers.activation("relu", layers.dense(f"dense{number}", x, features))
    return layers.dense("head", x, classes)


def _conv(layers: Layers, name: str, x, features: int, window: int, *, stride: int = 1, groups: int = 1):
    pad = (window - 1) // 2
    return layers.conv(f"{name}_conv", x, features, window, stride=stride, pad=pad, groups=groups)


def _norm(layers: Layers, name: str, x, activation: str | None):
    x = layers.batch_norm(f"{name}_norm", x)
    return x if activation is None else layers.activation(activation, x)


def _conv_norm(
    layers: Layers,
    name: str,
    x,
    features: int,
    window: int,
    activation: str | None,
    *,
    stride: int = 1,
    groups: int = 1,
):
    x = layers.keep(_conv(layers, name, x, features, window, stride=stride, groups=groups))
    return _norm(layers, name, x, activation)


_RESNET_BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}


def resnet(layers: Layers, x, *, depth: int, classes: int, small_stem: bool):
    """arXiv:1512.03385, table 1; a bottleneck's stride is that of its 3x3, as in PyTorch's model.

    A stage is one block to be run again, so that what it adds up within is not kept.
    """
    if not small_stem:
        # In no block: to pool again takes longer than its memory is worth.
        x = _conv_norm(layers, "stem", x, 64, 7, "relu", stride=2)
        x = layers.max_pool(x, 3, stride=2, pad=1)
    for stage in (1, 2, 3, 4):
        stem = small_stem and stage == 1
        x = layers.block(functools.partial(_stage, depth=depth, stage=stage, stem=stem), x)
    return layers.dense("head", layers.global_avg_pool(x), classes)


def _stage(layers: Layers, x, *, depth: int, stage: int, stem: bool):
    """A stage of residual blocks, with the small stem before it if asked for."""
    if stem:
        x = _conv_norm(layers, "stem", x, 64, 3, "relu")
    width = 64 * 2 ** (stage - 1)
    for block in range(1, _RESNET_BLOCKS[depth][stage - 1] + 1):
        stride = 2 if block == 1 and stage > 1 else 1
        plan = _basic(width, stride) if depth < 50 else _bottleneck(width, stride)
        x = _residual(layers, x, name=f"stage{stage}_block{block}", plan=plan, stride=stride)
    return x


def plain_resnet(layers: Layers, x, *, channels: int, depth: int, classes: int):
    """``depth`` equal blocks of two 3x3 convolutions, so that cost grows with one number at a time."""
    x = _conv_norm(layers, "stem", x, channels, 3, "relu")
    for block in range(depth):
        network = functools.partial(_residual, name=f"block{block + 1}", plan=_basic(channels, 1), stride=1)
        x = layers.block(network, x)
    return layers.dense("head", layers.global_avg_pool(x), classes)


# The convolutions of a block: window, stride, output channels.


def _basic(width: int, stride: int):
    return (3, stride, width), (3, 1, width)


def _bottleneck(width: int, stride: int):
    return (1, 1, width), (3, stride, width), (1, 1, 4 * width)


def _residual(layers: Layers, x, *, name: str, plan, stride: int):
    features = plan[-1][-1]
    y = x
    for number, (window, step, width) in enumerate(plan, start=1):
        last = number == len(plan)
        y = _conv_norm(layers, f"{name}_{number}", y, width, window, None if last else "relu", stride=step)
    if stride != 1 or layers.channels(x) != features:
        x = _conv_norm(layers, f"{name}_shortcut", x, features, 1, None, stride=stride)
    return layers.activation("relu", x + y)


# Expansion, output channels, blocks, first stride, and the depthwise window.
_MOBILENET_V2 = (
    (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 32, 3, 2, 3), (6, 64, 4, 2, 3),
    (6, 96, 3, 1, 3), (6, 160, 3, 2, 3), (6, 320, 1, 1, 3),
)  # fmt: skip
_EFFICIENTNET_B0 = (
    (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3),
)  # fmt: skip


def mobilenet_v2(layers: Layers, x, *, classes: int):
    """arXiv:1801.04381, table 2."""
    return _inverted_residuals(layers, x, _MOBILENET_V2, "relu6", False, classes)


def efficientnet_b0(layers: Layers, x, *, classes: int):
    """arXiv:1905.11946, table 1, with squeeze-and-excitation to a quarter of the block's input channels."""
    return _inverted_residuals(layers, x, _EFFICIENTNET_B0, "silu", True, classes)


def _inverted_residuals(layers: Layers, x, plan, activation: str, squeeze: bool, classes: int):
    x = _conv_norm(layers, "stem", x, 32, 3, activation, stride=2)
    numbers = itertools.count(1)
    for stage, (expansion, features, count, first_stride, window) in enumerate(plan):
        for block in range(count):
            stride = first_stride if block == 0 else 1
            name = f"block{next(numbers)}"
            network = functools.partial(
                _inverted_residual,
                name=name,
                expansion=expansion,
                features=features,
                stride=stride,
                window=window,
                activation=activation,
                squeeze=squeeze,
            )
            # Later stages hold little, on small images, and a block that is run again costs as much compile time there.
            x = layers.block(network, x) if stage < 3 else network(layers, x)
    x = _conv_norm(layers, "last", x, 1280, 1, activation)
    return layers.dense("head", layers.global_avg_pool(x), classes)


def _inverted_residual(
    layers: Layers,
    x,
    *,
    name: str,
    expansion: int,
    features: int,
    stride: int,
    window: int,
    activation: str,
    squeeze: bool,
):
    before = layers.channels(x)
    width = expansion * before
    y = x if expansion == 1 else _conv_norm(layers, f"{name}_expand", x, width, 1, activation)
    y = _conv_norm(layers, f"{name}_depthwise", y, width, window, activation, stride=stride, groups=width)
    if squeeze:
        gate = layers.dense(f"{name}_reduce", layers.global_avg_pool(y), before // 4)
        gate = layers.dense(f"{name}_excite", layers.activation("silu", gate), width)
        y = layers.scale_channels(y, layers.activation("sigmoid", gate))
    y = _conv_norm(layers, f"{name}_project", y, features, 1, None)
    return x + y if stride == 1 and before == features else y


def unet(layers: Layers, x, *, classes: int, width: int = 64, levels: int = 4):
    """arXiv:1505.04597, figure 1, with padded convolutions and batch normalisation.

    A block to be run again goes from one convolution's result to the next one's, which are kept between blocks;
    what it makes again is the normalisation and what else is before its convolution, of transposed ones the last.
    """
    second = functools.partial(_second_conv, layers)
    x = second("down0", _conv(layers, "down0_1", x, width, 3), width)
    skips = []
    for level in range(levels):
        features = width * 2 ** (level + 1)
        skip, x = layers.block(functools.partial(_down, level=level, features=features), x)
        skips.append(skip)
        x = second(f"down{level + 1}", x, features)
    below = f"down{levels}"
    for level in reversed(range(levels)):
        features = width * 2**level
        x = layers.block(functools.partial(_up, below=below, level=level, features=features), x, skips[level])
        below = f"up{level}"
        x = second(below, x, features)
    return layers.block(functools.partial(_labels, below=below, classes=classes), x)


def _second_conv(layers: Layers, name: str, x, features: int):
    def network(layers: Layers, x):
        return _conv(layers, f"{name}_2", _norm(layers, f"{name}_1", x, "relu"), features, 3)

    return layers.block(network, x)


def _down(layers: Layers, x, *, level: int, features: int):
    """The activations of a level, and the first convolution of the one below it."""
    skip = _norm(layers, f"down{level}_2", x, "relu")
    return skip, _conv(layers, f"down{level + 1}_1", layers.max_pool(skip, 2, stride=2), features, 3)


def _up(layers: Layers, x, skip, *, below: str, level: int, features: int):
    x = _norm(layers, f"{below}_2", x, "relu")
    x = layers.conv_transpose(f"up{level}", x, features, 2)
    if level > 0:
        x = layers.keep(x)  # On the largest images to make it again takes less than its memory is worth.
    return _conv(layers, f"up{level}_1", layers.concatenate((skip, x)), features, 3)


def _labels(layers: Layers, x, *, below: str, classes: int):
    return layers.conv("head", _norm(layers, f"{below}_2", x, "relu"), classes, 1, bias=True)


class Setting(NamedTuple):
    """A network with the batch that it is timed on."""

    network: Network
    batch: int
    size: int
    channels: int
    classes: int
    options: dict[str, Any]
    per_pixel: bool = False  # labels, one for each pixel


SETTINGS = {
    "lenet": Setting(lenet, 128, 28, 1, 10, {}),
    "resnet18-32": Setting(resnet, 32, 32, 3, 10, {"depth": 18, "small_stem": True}),
    "resnet50-32": Setting(resnet, 32, 32, 3, 10, {"depth": 50, "small_stem": True}),
    "resnet18-224": Setting(resnet, 8, 224, 3, 1000, {"depth": 18, "small_stem": False}),
    "resnet50-224": Setting(resnet, 8, 224, 3, 1000, {"depth": 50, "small_stem": False}),
    "mobilenetv2": Setting(mobilenet_v2, 8, 224, 3, 1000, {}),
    "efficientnet-b0": Setting(efficientnet_b0, 8, 224, 3, 1000, {}),
    "unet": Setting(unet, 4, 128, 3, 2, {}, per_pixel=True),
}
