"""Initialisers, those of ``jax.nn.initializers``, and the parameter dicts that the ops take.

An initialiser is a function ``(key, shape, dtype) -> array``. For a kernel of shape (*window, C // groups, O)
the fan-in is the window times C // groups and the fan-out the window times O:

| function | distribution | variance | for |
| --- | --- | --- | --- |
| ``he_normal()``, ``he_uniform()`` | truncated normal, uniform | 2 / fan-in | ReLU; He et al., arXiv:1502.01852 |
| ``glorot_normal()``, ``glorot_uniform()`` | | 2 / (fan-in + fan-out) | tanh; Glorot and Bengio, AISTATS 2010 |
| ``lecun_normal()``, ``lecun_uniform()`` | | 1 / fan-in | linear, SELU; LeCun et al., "Efficient BackProp" |
| ``normal(stddev)``, ``uniform(scale)`` | normal, uniform in [0, scale) | as given | |
| ``zeros``, ``ones`` | constant | | biases and scales |
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.nn.initializers import (
    Initializer,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    normal,
    ones,
    uniform,
    zeros,
)

from functional_cnn import _checks
from functional_cnn._numerics import accumulator

__all__ = [
    "batch_norm",
    "conv",
    "conv_transpose",
    "dense",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "separable_conv",
    "spectral_norm",
    "uniform",
    "zeros",
]

Params = dict[str, jax.Array]


def conv(
    key: jax.Array,
    window: tuple[int, ...],
    in_channels: int,
    out_channels: int,
    *,
    groups: int = 1,
    bias: bool = True,
    kernel_init: Initializer = he_normal(),  # noqa: B008, a constant
    bias_init: Initializer = zeros,
    dtype: Any = jnp.float32,
) -> Params:
    """The parameters of ``functional_cnn.conv``.

    Args:
      key: one PRNG key.
      window: the kernel's size for each spatial axis.
      in_channels: C, a multiple of groups.
      out_channels: O, a multiple of groups.
      groups: as in ``conv``.
      bias: whether there is a bias.
      kernel_init: draws the kernel.
      bias_init: draws the bias.
      dtype: a floating dtype.

    Returns:
      ``{"kernel": (*window, C // groups, O), "bias": (O,)}``, without "bias" if there is none.

    Raises:
      ValueError: a number is less than 1, or groups does not divide the channels.
      TypeError: a number is not an int, or key is not a key.

    Example:
      >>> import jax, functional_cnn as fcnn
      >>> params = fcnn.init.conv(jax.random.key(0), (3, 3), 16, 32)
      >>> print({name: array.shape for name, array in params.items()})
      {'kernel': (3, 3, 16, 32), 'bias': (32,)}
    """
    shape = _kernel_shape("init.conv", window, in_channels, out_channels, groups)
    return _linear("init.conv", key, shape, bias, kernel_init, bias_init, dtype)


def conv_transpose(
    key: jax.Array,
    window: tuple[int, ...],
    in_channels: int,
    out_channels: int,
    *,
    groups: int = 1,
    bias: bool = True,
    kernel_init: Initializer = he_normal(),  # noqa: B008, a constant
    bias_init: Initializer = zeros,
    dtype: Any = jnp.float32,
) -> Params:
    """The parameters of ``functional_cnn.conv_transpose``.

    The kernel is drawn as that of a convolution from C to O channels, (*window, C // groups, O), so that the
    initialiser, which sees nothing but the shape, takes the window times C // groups as the fan-in; then
    C and O change places. With a stride s an output pixel meets only about one tap in s for each spatial
    axis; multiply the kernel by the root of prod(s) where that matters.

    Args:
      key: one PRNG key.
      window: the kernel's size for each spatial axis.
      in_channels: C, a multiple of groups.
      out_channels: O, a multiple of groups.
      groups: as in ``conv_transpose``.
      bias: whether there is a bias.
      kernel_init: draws the kernel.
      bias_init: draws the bias.
      dtype: a floating dtype.

    Returns:
      ``{"kernel": (*window, O // groups, C), "bias": (O,)}``, without "bias" if there is none.

    Raises:
      ValueError: a number is less than 1, or groups does not divide the channels.
      TypeError: a number is not an int, or key is not a key.

    Example:
      >>> import jax, functional_cnn as fcnn
      >>> params = fcnn.init.conv_transpose(jax.random.key(0), (2, 2), 16, 8)
      >>> print({name: array.shape for name, array in params.items()})
      {'kernel': (2, 2, 8, 16), 'bias': (8,)}
    """
    shape = _kernel_shape("init.conv_transpose", window, in_channels, out_channels, groups)
    params = _linear("init.conv_transpose", key, shape, bias, kernel_init, bias_init, dtype)
    by_group = params["kernel"].reshape(*shape[:-1], groups, out_channels // groups)
    exchanged = jnp.swapaxes(by_group, -1, -3).reshape(*shape[:-2], out_channels // groups, in_channels)
    return params | {"kernel": exchanged}


def separable_conv(
    key: jax.Array,
    window: tuple[int, ...],
    in_channels: int,
    out_channels: int,
    *,
    multiplier: int = 1,
    bias: bool = True,
    depthwise_init: Initializer = lecun_normal(),  # noqa: B008, a constant
    pointwise_init: Initializer = he_normal(),  # noqa: B008, a constant
    bias_init: Initializer = zeros,
    dtype: Any = jnp.float32,
) -> Params:
    """The parameters of ``functional_cnn.separable_conv``.

    By default the depthwise kernel keeps the variance, as no activation follows it, and the pointwise one
    makes up for a ReLU behind it.

    Args:
      key: one PRNG key.
      window: the depthwise kernel's size for each spatial axis.
      in_channels: C.
      out_channels: O.
      multiplier: m, the depthwise outputs of each channel.
      bias: whether there is a bias.
      depthwise_init: draws the depthwise kernel.
      pointwise_init: draws the pointwise kernel.
      bias_init: draws the bias.
      dtype: a floating dtype.

    Returns:
      ``{"depthwise_kernel": (*window, 1, C m), "pointwise_kernel": (1, ..., 1, C m, O), "bias": (O,)}``,
      without "bias" if there is none.

    Raises:
      ValueError: a number is less than 1.
      TypeError: a number is not an int, or key is not a key.

    Example:
      >>> import jax, functional_cnn as fcnn
      >>> params = fcnn.init.separable_conv(jax.random.key(0), (3, 3), 16, 32, bias=False)
      >>> print({name: array.shape for name, array in params.items()})
      {'depthwise_kernel': (3, 3, 1, 16), 'pointwise_kernel': (1, 1, 16, 32)}
    """
    function = "init.separable_conv"
    multiplier = _checks.integer(function, "multiplier", multiplier, minimum=1)
    shape = _kernel_shape(function, window, in_channels, out_channels, groups=1)
    between, rank = in_channels * multiplier, len(shape) - 2
    depthwise_key, pointwise_key = jax.random.split(_checks.key(function, key))
    depthwise_shape, pointwise_shape = (*shape[:-2], 1, between), (*(1,) * rank, between, out_channels)
    depthwise = _linear(function, depthwise_key, depthwise_shape, False, depthwise_init, bias_init, dtype)
    pointwise = _linear(function, pointwise_key, pointwise_shape, bias, pointwise_init, bias_init, dtype)
    return {"depthwise_kernel": depthwise["kernel"], "pointwise_kernel": pointwise.pop("kernel"), **pointwise}


def dense(
    key: jax.Array,
    in_features: int,
    out_features: int,
    *,
    bias: bool = True,
    kernel_init: Initializer = he_normal(),  # noqa: B008, a constant
    bias_init: Initializer = zeros,
    dtype: Any = jnp.float32,
) -> Params:
    """The parameters of ``functional_cnn.dense``.

    Args:
      key: one PRNG key.
      in_features: I.
      out_features: O.
      bias: whether there is a bias.
      kernel_init: draws the kernel.
      bias_init: draws the bias.
      dtype: a floating dtype.

    Returns:
      ``{"kernel": (I, O), "bias": (O,)}``, without "bias" if there is none.

    Raises:
      ValueError: a number is less than 1.
      TypeError: a number is not an int, or key is not a key.

    Example:
      >>> import jax, functional_cnn as fcnn
      >>> params = fcnn.init.dense(jax.random.key(0), 4, 3, bias=False)
      >>> print({name: array.shape for name, array in params.items()})
      {'kernel': (4, 3)}
    """
    function = "init.dense"
    shape = (
        _checks.integer(function, "in_features", in_features, minimum=1),
        _checks.integer(function, "out_features", out_features, minimum=1),
    )
    return _linear(function, key, shape, bias, kernel_init, bias_init, dtype)


def _kernel_shape(
    function: str, window: Any, in_channels: Any, out_channels: Any, groups: Any
) -> tuple[int, ...]:
    """The shape of conv's kernel, (*window, C // groups, O)."""
    if not isinstance(window, tuple | list) or len(window) not in (1, 2, 3):
        raise ValueError(f"{function}: window must have 1, 2 or 3 sizes, got {window!r}")
    window = _checks.per_axis(function, "window", window, len(window))
    in_channels = _checks.integer(function, "in_channels", in_channels, minimum=1)
    out_channels = _checks.integer(function, "out_channels", out_channels, minimum=1)
    groups = _checks.integer(function, "groups", groups, minimum=1)
    if in_channels % groups or out_channels % groups:
        raise ValueError(
            f"{function}: groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}"
        )
    return (*window, in_channels // groups, out_channels)


def _linear(function, key, shape, bias, kernel_init, bias_init, dtype) -> Params:
    kernel_key, bias_key = jax.random.split(_checks.key(function, key))
    _require_floating(function, dtype)
    params = {"kernel": kernel_init(kernel_key, shape, dtype)}
    if _checks.flag(function, "bias", bias):
        params["bias"] = bias_init(bias_key, shape[-1:], dtype)
    return params


def _require_floating(function: str, dtype: Any) -> None:
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"{function}: dtype must be floating, got {dtype!r}")


def batch_norm(channels: int, *, dtype: Any = jnp.float32) -> tuple[Params, Params]:
    """The parameters of batch normalisation and its running statistics.

    Args:
      channels: C.
      dtype: a floating dtype.

    Returns:
      ``({"scale": ones (C,), "bias": zeros (C,)}, {"mean": zeros (C,), "var": ones (C,)})``; the second is
      state, in float32 or better, which training moves and gradients leave alone.

    Raises:
      ValueError: channels is less than 1.
      TypeError: channels is not an int.

    Example:
      >>> import functional_cnn as fcnn
      >>> params, state = fcnn.init.batch_norm(3)
      >>> print(params["scale"], state["mean"])
      [1. 1. 1.] [0. 0. 0.]
    """
    shape = (_checks.integer("init.batch_norm", "channels", channels, minimum=1),)
    _require_floating("init.batch_norm", dtype)
    params = {"scale": jnp.ones(shape, dtype), "bias": jnp.zeros(shape, dtype)}
    # In half precision the small steps of a running average would be lost.
    wide = accumulator(dtype)
    return params, {"mean": jnp.zeros(shape, wide), "var": jnp.ones(shape, wide)}


def spectral_norm(key: jax.Array, out_channels: int, *, dtype: Any = jnp.float32) -> Params:
    """The state of ``functional_cnn.spectral_norm``: a random direction.

    Args:
      key: one PRNG key.
      out_channels: O, the last axis of the kernel.
      dtype: the kernel's dtype, floating.

    Returns:
      ``{"u": (O,)}``, of length 1, in float32 or better: state, which training moves and gradients leave
      alone.

    Raises:
      ValueError: out_channels is less than 1.
      TypeError: out_channels is not an int, key is not a key, or dtype is not floating.

    Example:
      >>> import jax, functional_cnn as fcnn
      >>> state = fcnn.init.spectral_norm(jax.random.key(0), 8)
      >>> print(f"{(state['u'] ** 2).sum():.4f}")
      1.0000
    """
    function = "init.spectral_norm"
    out_channels = _checks.integer(function, "out_channels", out_channels, minimum=1)
    _require_floating(function, dtype)
    u = jax.random.normal(_checks.key(function, key), (out_channels,), accumulator(dtype))
    return {"u": u / jnp.linalg.norm(u)}
