"""The kinds of rows that ``rows.py`` lists: each an op in the words of every library."""

import functools
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
      flax: takes the same; Flax, or the JAX library that has the op.
      torch: takes ``torch.nn.functional`` and tensors: the images as (N, C, *spatial), channels last in
        memory, kernels as PyTorch has them.
    """

    name: str
    family: str
    shapes: tuple[Shape, ...]
    ours: Callable[..., Any]
    flax: Callable[..., Any]
    torch: Callable[..., Any]


def conv(
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


def conv_transpose(layer: str, batch: int, size: int, inputs: int, outputs: int, window: int) -> Row:
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


def _pool(
    kind: str, layer: str, batch: int, size: int, channels: int, window: int, stride: int, pad: int
) -> Row:
    ours, flax = getattr(fcnn, f"{kind}_pool"), getattr(nn, f"{kind}_pool")
    return Row(
        f"{layer}: {kind} pool {window}^2 stride {stride}, {batch}x{size}^2x{channels}",
        f"{kind} pool",
        ((batch, size, size, channels),),
        lambda x: ours(x, window, stride=stride, padding=pad),
        lambda x: flax(x, (window, window), (stride, stride), ((pad, pad), (pad, pad))),
        lambda F, x: getattr(F, f"{kind}_pool2d")(x, window, stride, pad),
    )


max_pool = functools.partial(_pool, "max")
avg_pool = functools.partial(_pool, "avg")


def global_pool(kind: str, batch: int, size: int, channels: int) -> Row:
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


def _norm(name: str, batch: int, size: int, channels: int, ours, module: nn.Module, torch) -> Row:
    def flax(x, scale, bias):
        statistics = {"mean": jnp.zeros(channels), "var": jnp.ones(channels)}
        variables = {"params": {"scale": scale, "bias": bias}, "batch_stats": statistics}
        return module.apply(variables, x, mutable=["batch_stats"])[0]

    shapes = ((batch, size, size, channels), (channels,), (channels,))
    return Row(f"{name}, {batch}x{size}^2x{channels}", "norm", shapes, ours, flax, torch)


def batch_norm(batch: int, size: int, channels: int) -> Row:
    return _norm(
        "batch norm",
        batch,
        size,
        channels,
        lambda x, scale, bias: fcnn.batch_norm(x, scale, bias)[0],
        nn.BatchNorm(use_running_average=False),
        lambda F, x, scale, bias: F.batch_norm(x, None, None, scale, bias, training=True),
    )


def layer_norm(batch: int, size: int, channels: int) -> Row:
    return _norm(
        "layer norm",
        batch,
        size,
        channels,
        fcnn.layer_norm,
        nn.LayerNorm(epsilon=1e-5),
        lambda F, x, scale, bias: F.layer_norm(x.permute(0, 2, 3, 1), (channels,), scale, bias),
    )


def group_norm(batch: int, size: int, channels: int, groups: int) -> Row:
    return _norm(
        f"group norm {groups} groups",
        batch,
        size,
        channels,
        functools.partial(fcnn.group_norm, groups=groups),
        nn.GroupNorm(num_groups=groups, epsilon=1e-5),
        lambda F, x, scale, bias: F.group_norm(x, groups, scale, bias),
    )


def rms_norm(batch: int, size: int, channels: int) -> Row:
    module = nn.RMSNorm(epsilon=1e-5)
    return Row(
        f"RMS norm, {batch}x{size}^2x{channels}",
        "norm",
        ((batch, size, size, channels), (channels,)),
        fcnn.rms_norm,
        lambda x, scale: module.apply({"params": {"scale": scale}}, x),
        lambda F, x, scale: F.rms_norm(x.permute(0, 2, 3, 1), (channels,), scale, 1e-5),
    )


def activation(name: str, batch: int, size: int, channels: int) -> Row:
    return Row(
        f"{name}, {batch}x{size}^2x{channels}",
        "activation",
        ((batch, size, size, channels),),
        getattr(fcnn, name),
        getattr(jax.nn, name),
        lambda F, x: F.gelu(x, approximate="tanh") if name == "gelu" else getattr(F, name)(x),
    )


def log_softmax(batch: int, size: int, classes: int) -> Row:
    return Row(
        f"log-softmax, {batch}x{size}^2x{classes}",
        "activation",
        ((batch, size, size, classes),),
        fcnn.log_softmax,
        jax.nn.log_softmax,
        lambda F, x: F.log_softmax(x, 1),
    )


def dropout(batch: int, features: int) -> Row:
    key, module = jax.random.key(0), nn.Dropout(0.5, deterministic=False)
    return Row(
        f"dropout, {batch}x{features}",
        "dropout",
        ((batch, features),),
        lambda x: fcnn.dropout(x, key, rate=0.5),
        lambda x: module.apply({}, x, rngs={"dropout": key}),
        lambda F, x: F.dropout(x, 0.5),
    )


def squeeze_excite(batch: int, size: int, channels: int, squeezed: int) -> Row:
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


def bilinear(batch: int, size: int, channels: int) -> Row:
    return Row(
        f"U-Net: bilinear to twice the size, {batch}x{size}^2x{channels}",
        "resize",
        ((batch, size, size, channels),),
        lambda x: fcnn.resize(x, 2 * size),
        lambda x: jax.image.resize(x, (batch, 2 * size, 2 * size, channels), "linear"),
        lambda F, x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    )


def pixel_shuffle(layer: str, batch: int, size: int, channels: int) -> Row:
    split, made = (batch, size, size, channels // 4, 2, 2), (batch, 2 * size, 2 * size, channels // 4)
    return _shuffle("pixel_shuffle", layer, (batch, size, size, channels), split, (0, 1, 4, 2, 5, 3), made)


def pixel_unshuffle(layer: str, batch: int, size: int, channels: int) -> Row:
    half = size // 2
    split, made = (batch, half, 2, half, 2, channels), (batch, half, half, 4 * channels)
    return _shuffle("pixel_unshuffle", layer, (batch, size, size, channels), split, (0, 1, 3, 5, 2, 4), made)


def _shuffle(name: str, layer: str, shape: Shape, split: Shape, order: Shape, made: Shape) -> Row:
    batch, size, _, channels = shape
    ours = getattr(fcnn, name)
    return Row(
        f"{layer}: {name.replace('_', ' ')} by 2, {batch}x{size}^2x{channels}",
        "shuffle",
        (shape,),
        lambda x: ours(x, 2),
        lambda x: x.reshape(split).transpose(order).reshape(made),
        lambda F, x: getattr(F, name)(x, 2),
    )


def cross_entropy(batch: int, classes: int) -> Row:
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


def depthwise(layer: str, size: int, channels: int, window: int, **options) -> Row:
    return conv(layer, 8, size, channels, channels, window, groups=channels, **options)
