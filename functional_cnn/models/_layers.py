"""The layers that models are made of: each asks its place in the trees for its arrays and applies our op."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.nn.initializers import Initializer, he_normal, lecun_normal, ones, zeros

from functional_cnn import _checks
from functional_cnn.models._scope import Scope
from functional_cnn.ops import dropout as _dropout
from functional_cnn.ops.convolution import conv as _conv
from functional_cnn.ops.dense import dense as _dense
from functional_cnn.ops.global_pooling import global_avg_pool
from functional_cnn.ops.normalization import batch_norm, batch_norm_inference
from functional_cnn.ops.sample_normalization import group_norm, layer_norm
from functional_cnn.ops.transposed_convolution import conv_transpose as _conv_transpose

# The share of the old running statistics that a training step keeps, as in Flax; PyTorch says momentum=0.1.
MOMENTUM = 0.9


class Norm(NamedTuple):
    """A normalisation with what it does not learn.

    Attributes:
      kind: "batch", "group" or "layer"; "layer" is over the channels of each pixel.
      eps: added to the variance.
      groups: of "group": at most this many, lowered to a number that divides the channels.
      momentum: of "batch": the share of the old running statistics that a step keeps.
      axis_name: of "batch": a mapped axis over which the statistics are taken too.
    """

    kind: str = "batch"
    eps: float = 1e-5
    groups: int = 32
    momentum: float = MOMENTUM
    axis_name: str | tuple[str, ...] | None = None


_KINDS = ("batch", "group", "layer")


def resolve_norm(function: str, kind: Any, axis_name: Any, eps: Any = 1e-5) -> Norm:
    """The ``Norm`` that a model's options ``norm``, ``axis_name`` and ``eps`` mean."""
    _checks.choice(function, "norm", kind, _KINDS)
    axis_name = _checks.axis_name(function, axis_name)
    if axis_name is not None and kind != "batch":
        raise ValueError(f"{function}: axis_name goes with norm='batch', got norm={kind!r}")
    return Norm(kind, eps=_checks.not_negative(function, "eps", eps), axis_name=axis_name)


def norm(scope: Scope, name: str, x: jax.Array, how: Norm) -> jax.Array:
    place, channels = scope.child(name), x.shape[-1:]
    scale, bias = place.param("scale", ones, channels), place.param("bias", zeros, channels)
    if how.kind == "batch":
        y = _batch_norm(place, x, scale, bias, how)
    elif how.kind == "group":
        y = group_norm(x, scale, bias, groups=math.gcd(how.groups, *channels), eps=how.eps)
    else:
        y = layer_norm(x, scale, bias, eps=how.eps)
    place.report(f"{how.kind}_norm", y, 0)
    return y


def _batch_norm(place: Scope, x: jax.Array, scale: jax.Array, bias: jax.Array, how: Norm) -> jax.Array:
    mean, var = place.variable("mean", zeros, scale.shape), place.variable("var", ones, scale.shape)
    if not place.run.train:
        return batch_norm_inference(x, mean, var, scale, bias, eps=how.eps)
    y, *batch = batch_norm(x, scale, bias, eps=how.eps, axis_name=how.axis_name)
    for name, old, new in zip(("mean", "var"), (mean, var), batch, strict=True):
        moved = how.momentum * old + (1 - how.momentum) * lax.stop_gradient(new)
        place.moved[name] = moved.astype(old.dtype)
    return y


def conv(
    scope: Scope,
    name: str,
    x: jax.Array,
    features: int,
    window: int | tuple[int, ...],
    *,
    bias: bool = True,
    groups: int = 1,
    kernel_init: Initializer = he_normal(),  # noqa: B008, a constant
    **options: Any,
) -> jax.Array:
    place = scope.child(name)
    windows = (window,) * (x.ndim - 2) if isinstance(window, int) else window
    kernel = place.param("kernel", kernel_init, (*windows, x.shape[-1] // groups, features))
    shift = place.param("bias", zeros, (features,)) if bias else None
    y = _conv(x, kernel, shift, groups=groups, **options)
    place.report("conv", y, math.prod(y.shape[:-1]) * kernel.size)
    return y


def conv_transpose(
    scope: Scope, name: str, x: jax.Array, features: int, window: int, **options: Any
) -> jax.Array:
    """With a bias. The kernel is drawn for the fan-in of the pixels that meet one of the output."""
    place = scope.child(name)
    kernel = place.param(
        "kernel", _exchanged(he_normal()), (*(window,) * (x.ndim - 2), features, x.shape[-1])
    )
    y = _conv_transpose(x, kernel, place.param("bias", zeros, (features,)), **options)
    place.report("conv_transpose", y, math.prod(x.shape[:-1]) * kernel.size)
    return y


def _exchanged(make: Initializer) -> Initializer:
    """Draws (*window, O, C) as (*window, C, O), of which initialisers take the fan-in to be C and the window."""

    def exchanged(key, shape, dtype=jnp.float32, out_sharding=None):
        return make(key, (*shape[:-2], shape[-1], shape[-2]), dtype).swapaxes(-1, -2)

    return exchanged


def dense(
    scope: Scope,
    name: str,
    x: jax.Array,
    features: int,
    *,
    bias: bool = True,
    kernel_init: Initializer = lecun_normal(),  # noqa: B008, a constant
) -> jax.Array:
    place = scope.child(name)
    kernel = place.param("kernel", kernel_init, (x.shape[-1], features))
    y = _dense(x, kernel, place.param("bias", zeros, (features,)) if bias else None)
    place.report("dense", y, math.prod(x.shape[:-1]) * kernel.size)
    return y


def conv_norm(
    scope: Scope,
    name: str,
    x: jax.Array,
    features: int,
    window: int,
    how: Norm,
    activation: Callable[[jax.Array], jax.Array] | None = None,
    **options: Any,
) -> jax.Array:
    """A convolution without bias, which the normalisation behind it would cancel; padded by half the window."""
    place = scope.child(name)
    options = {"padding": (window - 1) // 2 * options.get("dilation", 1)} | options
    y = conv(place, "conv", x, features, window, bias=False, **options)
    y = norm(place, "norm", y, how)
    return y if activation is None else activation(y)


def squeeze_excite(
    scope: Scope,
    name: str,
    x: jax.Array,
    features: int,
    activation: Callable[[jax.Array], jax.Array],
    gate: Callable[[jax.Array], jax.Array],
) -> jax.Array:
    """x times a gate for each channel that a small network takes from the mean of all pixels, arXiv:1709.01507."""
    place = scope.child(name)
    squeezed = jnp.expand_dims(global_avg_pool(x), tuple(range(1, x.ndim - 1)))
    squeezed = activation(conv(place, "reduce", squeezed, features, 1))
    return x * gate(conv(place, "expand", squeezed, x.shape[-1], 1))


def dropout(scope: Scope, name: str, x: jax.Array, rate: float) -> jax.Array:
    return _drawn(_dropout.dropout, scope, name, x, rate)


def stochastic_depth(scope: Scope, name: str, x: jax.Array, rate: float) -> jax.Array:
    return _drawn(_dropout.stochastic_depth, scope, name, x, rate)


def _drawn(op: Callable, scope: Scope, name: str, x: jax.Array, rate: float) -> jax.Array:
    return op(x, scope.child(name).site_key(), rate=rate) if scope.run.train and rate else x
