"""Convolution in 1, 2 and 3 spatial dimensions."""

from typing import Any

import jax
from jax import lax

from functional_cnn import _checks, _window
from functional_cnn._numerics import accumulator, like_primal, sum_leading
from functional_cnn.ops import _formulations
from functional_cnn.ops._formulations import ConvSpec
from functional_cnn.rule import Rule, apply, define


def conv(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: Any = "SAME",
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    precision: Any = None,
) -> jax.Array:
    """Convolves images with a kernel (as deep learning says it: correlates them).

    y[n, p, o] = bias[o] + sum over taps t and channels c of x[n, s p + d t - lo, c] kernel[t, c, o],
    where pixels outside the image are zero and, with groups, o sees the channels of its own group.

    Args:
      x: (N, *spatial, C), floating; 1, 2 or 3 spatial dimensions.
      kernel: (*window, C // groups, O), of x's dtype.
      bias: (O,), of x's dtype, or None.
      stride: s, an int or one for each spatial axis.
      padding: "SAME" (output ceil(H / s), an odd pad more goes to the end), "VALID" (none), an int for
        both sides, or an int or a (lo, hi) pair for each spatial axis.
      dilation: d, the distance of neighbouring taps.
      groups: splits the channels of x and of the output into groups that see only each other;
        ``groups=C`` is depthwise convolution.
      precision: as in ``lax.conv_general_dilated``.

    Returns:
      (N, *output, O) of x's dtype, output = (H + lo + hi - d (k - 1) - 1) // s + 1. float16 and bfloat16
      accumulate in float32. On CPU a value that is not finite may make nan of whole rows, other groups and
      blocks of s pixels, or 2, along each axis that its windows meet, in gradients too.

    Raises:
      ValueError: a shape, a pad or a number does not fit, or the output would be empty.
      TypeError: an argument is not floating or has another dtype than x.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> x = jnp.arange(4.0).reshape(1, 4, 1)
      >>> kernel = jnp.array([1.0, -1.0]).reshape(2, 1, 1)
      >>> print(fcnn.conv(x, kernel, padding="VALID").ravel())
      [-1. -1. -1.]

    Reference: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning",
    arXiv:1603.07285, sections 2 and 4.
    """
    x = _checks.floating("conv", "x", x)
    rank = _checks.spatial("conv", x)
    kernel = _checks.like("conv", "kernel", kernel, "x", x)
    groups = _checks.integer("conv", "groups", groups, minimum=1)
    _require_kernel(x, kernel, rank, groups)
    bias = _checks.vector("conv", "bias", bias, kernel.shape[-1], "output channel", "x", x)
    window = _window.resolve(
        "conv",
        padding,
        x.shape[1:-1],
        kernel.shape[:-2],
        _checks.per_axis("conv", "stride", stride, rank),
        _checks.per_axis("conv", "dilation", dilation, rank),
    )
    _window.require_output("conv", window, x.shape[1:-1])
    spec = ConvSpec(window, groups, _checks.precision("conv", precision))
    return apply("conv", spec, x, kernel, bias)


def _require_kernel(x: jax.Array, kernel: jax.Array, rank: int, groups: int) -> None:
    if kernel.ndim != rank + 2:
        raise ValueError(
            f"conv: kernel must have shape (*window, C // groups, O) with {rank} window axes as x has "
            f"spatial ones, got shape {kernel.shape} for x of shape {x.shape}"
        )
    if 0 in kernel.shape[:-2]:
        raise ValueError(f"conv: kernel must have a window of at least 1, got shape {kernel.shape}")
    channels, per_group, outputs = x.shape[-1], *kernel.shape[-2:]
    if channels % groups or outputs % groups:
        raise ValueError(
            f"conv: groups={groups} must divide the {channels} channels of x and the {outputs} output "
            "channels of kernel"
        )
    if per_group != channels // groups:
        raise ValueError(
            f"conv: kernel takes {per_group} input channels per group, but x has {channels} channels in "
            f"{groups} groups ({channels} // {groups} = {channels // groups})"
        )


# Convolution, derived.    n example, p output pixel, q input pixel, t tap, c and o channels; s, d, lo as above
#   forward   y[n,p,o]  = b[o] + sum_{t,c} x[n, s p + d t - lo, c] k[t,c,o]
#   dx        dx[n,q,c] = sum_{t,o : s p + d t - lo = q} dy[n,p,o] k[t,c,o]
#             a correlation of dy, dilated by s, with k flipped in space and with c and o exchanged
#   dkernel   dk[t,c,o] = sum_{n,p} x[n, s p + d t - lo, c] dy[n,p,o]
#             a correlation of x with dy that contracts examples and pixels; s and d change places
#   dbias     db[o]     = sum_{n,p} dy[n,p,o]
# Groups: o reads, and sends back to, only the channels of its own group.
# Residuals: x and k. Both are alive anyway, as the layer's input and parameter; nothing of y's size is kept.
# Reference: Dumoulin & Visin, arXiv:1603.07285, section 4; the maps stand in _formulations/.


def _reference(spec, x, kernel, bias):
    window = spec.window
    spatial = "DHW"[3 - len(window.size) :]
    y = lax.conv_general_dilated(
        x,
        kernel,
        window_strides=window.stride,
        padding=window.padding,
        rhs_dilation=window.dilation,
        dimension_numbers=(f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
        feature_group_count=spec.groups,
        precision=spec.precision,
        preferred_element_type=accumulator(x.dtype),
    )
    return (y if bias is None else y + bias.astype(y.dtype)).astype(x.dtype)


def _fwd(spec, x, kernel, bias):
    y = _formulations.conv_forward(spec, x, kernel)
    if bias is not None:
        y = y + bias.astype(y.dtype)
    return y.astype(x.dtype), (x, kernel, bias)


def _bwd(spec, residuals, dy):
    x, kernel, bias = residuals
    dx = _formulations.conv_input_gradient(spec, dy, kernel, x.shape[1:-1], jax.typeof(x).sharding)
    dkernel = _formulations.conv_kernel_gradient(spec, dy, x, kernel)
    dbias = None if bias is None else like_primal(sum_leading(dy), bias)
    return like_primal(dx, x), like_primal(dkernel, kernel), dbias


define(Rule("conv", _reference, _fwd, _bwd))
