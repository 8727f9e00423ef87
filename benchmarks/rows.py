"""What ``python -m benchmarks.ops`` measures: layers of networks that people use, one row each."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

import functional_cnn as fcnn

Shape = tuple[int, ...]


class Row(NamedTuple):
    """One map in each library's words.

    Attributes:
      name: the layer and its shape.
      family: rows of which one geometric mean is taken.
      shapes: of the arguments: channels-last images, then kernels and vectors as ours takes them.
      ours: takes JAX arrays.
      flax: takes the same, or None where Flax has no such op.
      torch: takes ``torch.nn.functional`` and tensors: the images as (N, C, *spatial), channels last in
        memory, kernels as PyTorch has them.
    """

    name: str
    family: str
    shapes: tuple[Shape, ...]
    ours: Callable[..., Any]
    flax: Callable[..., Any] | None
    torch: Callable[..., Any]


def _conv(
    layer: str,
    batch: int,
    size: Any,
    inputs: int,
    outputs: int,
    window: Any,
    *,
    stride=1,
    dilation=1,
    groups=1,
) -> Row:
    sizes = size if isinstance(size, tuple) else (size, size)
    windows = window if isinstance(window, tuple) else (window,) * len(sizes)
    # A window as large as its stride stands side by side; others see the image's border half.
    pads = tuple(0 if k == stride else dilation * (k - 1) // 2 for k in windows)
    kernel = (*windows, inputs // groups, outputs)
    module = nn.Conv(
        outputs,
        windows,
        strides=stride,
        padding=[(pad, pad) for pad in pads],
        kernel_dilation=dilation,
        feature_group_count=groups,
        use_bias=False,
    )
    family = "depthwise" if groups == inputs else "grouped" if groups > 1 else "conv"
    name = f"{layer}: {family if groups > 1 else 'conv'} {_by(windows)} {inputs}->{outputs}"
    options = [
        f" {word} {value}" for word, value in (("stride", stride), ("dilation", dilation)) if value > 1
    ]
    groups_text = f" {groups} groups" if family == "grouped" else ""
    return Row(
        f"{name}{''.join(options)}{groups_text}, {batch}x{_by(sizes)}",
        family,
        ((batch, *sizes, inputs), kernel),
        lambda x, k: fcnn.conv(x, k, stride=stride, padding=pads, dilation=dilation, groups=groups),
        lambda x, k: module.apply({"params": {"kernel": k}}, x),
        lambda F, x, k: getattr(F, f"conv{len(sizes)}d")(
            x, k, stride=stride, padding=pads, dilation=dilation, groups=groups
        ),
    )


def _by(sizes: Shape) -> str:
    return (
        f"{sizes[0]}^{len(sizes)}" if len(set(sizes)) == 1 and len(sizes) > 1 else "x".join(map(str, sizes))
    )


def _conv_transpose(layer: str, batch: int, size: int, inputs: int, outputs: int, window: int) -> Row:
    pad = (window - 2) // 2
    module = nn.ConvTranspose(
        outputs, (window, window), strides=(2, 2), padding="SAME", use_bias=False, transpose_kernel=True
    )
    return Row(
        f"{layer}: transposed {window}^2 {inputs}->{outputs} stride 2, {batch}x{size}^2",
        "transposed",
        ((batch, size, size, inputs), (window, window, outputs, inputs)),
        lambda x, k: fcnn.conv_transpose(x, k, stride=2, padding=pad),
        lambda x, k: module.apply({"params": {"kernel": k}}, x),
        lambda F, x, k: F.conv_transpose2d(x, k, stride=2, padding=pad),
    )


def _max_pool(layer: str, batch: int, size: int, channels: int, window: int, stride: int, pad: int) -> Row:
    return Row(
        f"{layer}: max pool {window}^2 stride {stride}, {batch}x{size}^2x{channels}",
        "max pool",
        ((batch, size, size, channels),),
        lambda x: fcnn.max_pool(x, window, stride=stride, padding=pad),
        lambda x: nn.max_pool(x, (window, window), (stride, stride), ((pad, pad), (pad, pad))),
        lambda F, x: F.max_pool2d(x, window, stride, pad),
    )


def _avg_pool(layer: str, batch: int, size: int, channels: int, window: int, stride: int, pad: int) -> Row:
    return Row(
        f"{layer}: avg pool {window}^2 stride {stride}, {batch}x{size}^2x{channels}",
        "average pool",
        ((batch, size, size, channels),),
        lambda x: fcnn.avg_pool(x, window, stride=stride, padding=pad),
        lambda x: nn.avg_pool(x, (window, window), (stride, stride), ((pad, pad), (pad, pad))),
        lambda F, x: F.avg_pool2d(x, window, stride, pad),
    )


def _global(kind: str, batch: int, size: int, channels: int) -> Row:
    ours = {"avg": fcnn.global_avg_pool, "max": fcnn.global_max_pool}[kind]
    plain = {"avg": jnp.mean, "max": jnp.max}[kind]
    return Row(
        f"head: global {kind} pool, {batch}x{size}^2x{channels}",
        "global pool",
        ((batch, size, size, channels),),
        ours,
        lambda x: plain(x, (1, 2)),
        lambda F, x: getattr(F, f"adaptive_{kind}_pool2d")(x, 1),
    )


def _batch_norm(batch: int, size: int, channels: int) -> Row:
    module = nn.BatchNorm(use_running_average=False)

    def flax(x, scale, bias):
        statistics = {"mean": jnp.zeros(channels), "var": jnp.ones(channels)}
        variables = {"params": {"scale": scale, "bias": bias}, "batch_stats": statistics}
        return module.apply(variables, x, mutable=["batch_stats"])[0]

    return Row(
        f"batch norm, {batch}x{size}^2x{channels}",
        "norm",
        ((batch, size, size, channels), (channels,), (channels,)),
        lambda x, scale, bias: fcnn.batch_norm(x, scale, bias)[0],
        flax,
        lambda F, x, scale, bias: F.batch_norm(x, None, None, scale, bias, training=True),
    )


def _layer_norm(batch: int, size: int, channels: int) -> Row:
    module = nn.LayerNorm(epsilon=1e-5)
    return Row(
        f"layer norm, {batch}x{size}^2x{channels}",
        "norm",
        ((batch, size, size, channels), (channels,), (channels,)),
        fcnn.layer_norm,
        lambda x, scale, bias: module.apply({"params": {"scale": scale, "bias": bias}}, x),
        lambda F, x, scale, bias: F.layer_norm(x.permute(0, 2, 3, 1), (channels,), scale, bias),
    )


def _group_norm(batch: int, size: int, channels: int, groups: int) -> Row:
    module = nn.GroupNorm(num_groups=groups, epsilon=1e-5)
    return Row(
        f"group norm {groups} groups, {batch}x{size}^2x{channels}",
        "norm",
        ((batch, size, size, channels), (channels,), (channels,)),
        lambda x, scale, bias: fcnn.group_norm(x, scale, bias, groups=groups),
        lambda x, scale, bias: module.apply({"params": {"scale": scale, "bias": bias}}, x),
        lambda F, x, scale, bias: F.group_norm(x, groups, scale, bias),
    )


def _activation(name: str, batch: int, size: int, channels: int) -> Row:
    return Row(
        f"{name}, {batch}x{size}^2x{channels}",
        "activation",
        ((batch, size, size, channels),),
        getattr(fcnn, name),
        getattr(jax.nn, name),
        lambda F, x: F.gelu(x, approximate="tanh") if name == "gelu" else getattr(F, name)(x),
    )


def _squeeze_excite(batch: int, size: int, channels: int, squeezed: int) -> Row:
    def ours(x, reduce, expand):
        gate = fcnn.dense(fcnn.silu(fcnn.dense(fcnn.global_avg_pool(x), reduce)), expand)
        return x * fcnn.sigmoid(gate)[:, None, None]

    def flax(x, reduce, expand):
        gate = nn.silu(x.mean((1, 2)) @ reduce) @ expand
        return x * nn.sigmoid(gate)[:, None, None]

    def torch(F, x, reduce, expand):
        gate = F.silu(x.mean((2, 3)) @ reduce) @ expand
        return x * F.sigmoid(gate)[..., None, None]

    shapes = ((batch, size, size, channels), (channels, squeezed), (squeezed, channels))
    return Row(
        f"EfficientNet: squeeze-excite {channels}->{squeezed}, {batch}x{size}^2",
        "block",
        shapes,
        ours,
        flax,
        torch,
    )


def _bilinear(batch: int, size: int, channels: int) -> Row:
    return Row(
        f"U-Net: bilinear to twice the size, {batch}x{size}^2x{channels}",
        "resize",
        ((batch, size, size, channels),),
        lambda x: fcnn.resize(x, 2 * size),
        lambda x: jax.image.resize(x, (batch, 2 * size, 2 * size, channels), "linear"),
        lambda F, x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    )


def _cross_entropy(batch: int, classes: int) -> Row:
    labels = np.arange(batch) * 7 % classes

    def torch(F, logits):
        from torch import from_numpy

        return F.cross_entropy(logits, from_numpy(labels), reduction="none")

    return Row(
        f"cross-entropy, {batch}x{classes}",
        "loss",
        ((batch, classes),),
        lambda logits: fcnn.softmax_cross_entropy(logits, jnp.asarray(labels, jnp.int32)),
        lambda logits: optax.softmax_cross_entropy_with_integer_labels(
            logits, jnp.asarray(labels, jnp.int32)
        ),
        torch,
    )


def _depthwise(layer: str, size: int, channels: int, window: int, **options) -> Row:
    return _conv(layer, 8, size, channels, channels, window, groups=channels, **options)


ROWS = (
    _conv("ResNet-18", 32, 32, 64, 64, 3),
    _conv("ResNet-18", 32, 32, 64, 128, 3, stride=2),
    _conv("ResNet-18", 32, 4, 512, 512, 3),
    _conv("pointwise", 32, 32, 64, 256, 1),
    _conv("LeNet", 128, 28, 1, 6, 5),
    _conv("ResNet-50", 8, 224, 3, 64, 7, stride=2),
    _conv("ResNet-50", 8, 56, 64, 64, 1),
    _conv("ResNet-50", 8, 56, 64, 64, 3),
    _conv("ResNet-50", 8, 56, 64, 256, 1),
    _conv("ResNet-50", 8, 56, 256, 64, 1),
    _conv("ResNet-50", 8, 56, 128, 128, 3, stride=2),
    _conv("ResNet-50", 8, 56, 256, 512, 1, stride=2),
    _conv("ResNet-50", 8, 28, 128, 128, 3),
    _conv("ResNet-50", 8, 14, 256, 256, 3),
    _conv("ResNet-50", 8, 14, 256, 1024, 1),
    _conv("ResNet-50", 8, 14, 1024, 256, 1),
    _conv("ResNet-50", 8, 7, 512, 512, 3),
    _conv("ResNet-50", 8, 7, 2048, 512, 1),
    _conv("MobileNetV2", 8, 224, 3, 32, 3, stride=2),
    _depthwise("MobileNetV2", 112, 32, 3),
    _conv("MobileNetV2", 8, 112, 16, 96, 1),
    _depthwise("MobileNetV2", 112, 96, 3, stride=2),
    _conv("MobileNetV2", 8, 56, 144, 24, 1),
    _depthwise("MobileNetV2", 56, 144, 3),
    _depthwise("MobileNetV2", 56, 64, 3, stride=2),
    _depthwise("MobileNetV2", 28, 192, 3),
    _depthwise("MobileNetV2", 14, 384, 3),
    _conv("MobileNetV2", 8, 14, 64, 384, 1),
    _depthwise("MobileNetV2", 7, 960, 3),
    _conv("MobileNetV2", 8, 7, 320, 1280, 1),
    _depthwise("EfficientNet", 56, 144, 5, stride=2),
    _depthwise("EfficientNet", 28, 240, 5),
    _depthwise("EfficientNet", 14, 672, 5),
    _depthwise("EfficientNet", 7, 1152, 5),
    _squeeze_excite(8, 28, 240, 10),
    _conv("ResNeXt-50", 8, 56, 128, 128, 3, groups=32),
    _conv("ResNeXt-50", 8, 56, 256, 256, 3, stride=2, groups=32),
    _conv("ResNeXt-50", 8, 28, 128, 128, 3, groups=32),
    _conv("ResNeXt-50", 8, 28, 256, 256, 3, groups=32),
    _conv("ResNeXt-50", 8, 14, 512, 512, 3, groups=32),
    _conv("ResNeXt-50", 8, 7, 1024, 1024, 3, groups=32),
    _conv("four groups", 8, 14, 128, 128, 3, groups=4),
    _conv("ConvNeXt", 8, 224, 3, 96, 4, stride=4),
    _conv("ConvNeXt", 8, 56, 96, 192, 2, stride=2),
    _depthwise("ConvNeXt", 56, 96, 7),
    _depthwise("ConvNeXt", 28, 192, 7),
    _depthwise("ConvNeXt", 14, 384, 7),
    _depthwise("ConvNeXt", 7, 768, 7),
    _conv("U-Net", 4, 128, 64, 64, 3),
    _conv("U-Net", 4, 64, 256, 128, 3),
    _conv_transpose("U-Net", 4, 64, 128, 64, 2),
    _conv_transpose("U-Net", 4, 16, 512, 256, 2),
    _conv_transpose("DCGAN", 32, 8, 256, 128, 4),
    _bilinear(4, 64, 64),
    _conv("DeepLab", 8, 28, 256, 256, 3, dilation=2),
    _conv("sequence", 16, (1024,), 64, 64, 9),
    _conv("volume", 2, (16, 32, 32), 32, 32, 3),
    _max_pool("ResNet-50", 8, 112, 64, 3, 2, 1),
    _max_pool("VGG", 32, 32, 64, 2, 2, 0),
    _max_pool("LeNet", 128, 28, 6, 2, 2, 0),
    _max_pool("Inception", 8, 28, 192, 3, 1, 1),
    _max_pool("SPP", 8, 20, 256, 5, 1, 2),
    _avg_pool("stem", 8, 112, 64, 3, 2, 1),
    _avg_pool("DenseNet", 8, 56, 128, 2, 2, 0),
    _avg_pool("Inception", 8, 28, 192, 3, 1, 1),
    _global("avg", 8, 7, 2048),
    _global("avg", 8, 56, 144),
    _global("max", 8, 7, 2048),
    _batch_norm(8, 112, 64),
    _batch_norm(32, 32, 64),
    _batch_norm(32, 8, 512),
    _layer_norm(8, 56, 96),
    _layer_norm(8, 7, 768),
    _group_norm(8, 56, 64, 32),
    _activation("relu", 8, 56, 256),
    _activation("gelu", 8, 56, 384),
    _activation("silu", 8, 56, 144),
    _cross_entropy(256, 1000),
)
