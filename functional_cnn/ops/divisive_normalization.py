"""Normalisation by a magnitude, without a mean: over axes (RMS) and over neighbouring channels (local response)."""

import functools
import math
import operator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from functional_cnn import _checks
from functional_cnn._numerics import like_primal, widened
from functional_cnn.ops._statistics import across, affine, weighted_sum
from functional_cnn.rule import Rule, apply, define


class RmsNormSpec(NamedTuple):
    axes: tuple[int, ...]
    eps: float


class ResponseNormSpec(NamedTuple):
    size: int
    alpha: float
    beta: float
    k: float


def rms_norm(
    x: jax.Array, scale: jax.Array | None = None, *, axis: int | tuple[int, ...] = -1, eps: float = 1e-5
) -> jax.Array:
    """Divides by the root mean square over the given axes.

    y = scale x / sqrt(E[x^2] + eps)

    Args:
      x: floating, with at least one dimension.
      scale: of the shape that x has on the axes, in x's order, (C,) for the last one, and of x's dtype; or None
        for 1.
      axis: the axis or axes over which the mean is taken. PyTorch's ``normalized_shape`` names the last axes
        by their sizes.
      eps: added to the mean square, not negative. PyTorch's default is its dtype's machine epsilon.

    Returns:
      An array of x's shape and dtype; the mean is computed in float32 or better.

    Raises:
      ValueError: a shape does not fit, an axis does not exist or is named twice, or eps is negative.
      TypeError: an argument is not floating or has another dtype than x.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.rms_norm(jnp.array([1.0, -1.0, 3.0, 5.0]), eps=0.0).round(4))
      [ 0.3333 -0.3333  1.      1.6667]

    Reference: B. Zhang and R. Sennrich, "Root mean square layer normalization", arXiv:1910.07467, section 3.
    """
    function = "rms_norm"
    x = _checks.floating(function, "x", x)
    axes = _checks.some_axes(function, "axis", axis, x.ndim)
    shape = tuple(x.shape[a] for a in axes)
    scale = _checks.parameter(function, "scale", scale, shape, "entry of the axes", "x", x)
    return apply(function, RmsNormSpec(axes, _checks.not_negative(function, "eps", eps)), x, scale)


# RMS normalisation, derived.    E the mean over the axes, M values in it, r = 1 / sqrt(E[x^2] + eps), h = x r
#   forward   y  = scale h
#   dscale    dg = sum dy h                    over all that share an entry
#   dx        dx = r (g - h E[g h]),           g = scale dy; since dr/dx = -r^3 x / M
# Residuals: x, alive anyway, and one number for each mean.
# Formulation: over the last axis alone the mean is made by a product with a vector on CPU, as layer norm's are, but
# without a scale, where the sum is level, and faster over few channels. One array dy h serves the mean and dg.
# Reference: division by the square root of the mean square.


def _rms_reference(spec, x, scale):
    wide, wide_scale = widened(x, scale)
    y = wide / jnp.sqrt(jnp.mean(jnp.square(wide), spec.axes, keepdims=True) + spec.eps)
    return affine(y, across(wide_scale, spec.axes, x), None).astype(x.dtype)


def _rms_fwd(spec, x, scale):
    wide, wide_scale = widened(x, scale)
    r = lax.rsqrt(jnp.mean(wide * wide, spec.axes, keepdims=True) + spec.eps)
    y = affine(wide * r, across(wide_scale, spec.axes, x), None)
    return y.astype(x.dtype), (x, scale, r)


def _rms_bwd(spec, residuals, dy):
    x, scale, r = residuals
    wide, wide_scale, dy = widened(x, scale, dy)
    dyh = dy * (wide * r)
    if scale is None and x.shape[0] > 1:
        mean_gh = r * jnp.mean(dy * wide, spec.axes, keepdims=True)
    else:
        mean_gh = weighted_sum(dyh, wide_scale, spec.axes) / math.prod(x.shape[axis] for axis in spec.axes)
    dx = r * (affine(dy, across(wide_scale, spec.axes, x), None) - wide * (r * mean_gh))
    shared = tuple(a for a in range(x.ndim) if a not in spec.axes)
    dscale = None if scale is None else like_primal(dyh.sum(shared), scale)
    return like_primal(dx, x), dscale


define(Rule("rms_norm", _rms_reference, _rms_fwd, _rms_bwd))


def local_response_norm(
    x: jax.Array, *, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> jax.Array:
    """Divides each value by a power of the sum of squares of its neighbouring channels.

    y[..., c] = x[..., c] / u[..., c]^beta,
    u[..., c] = k + (alpha / size) sum of x[..., i]^2 over i from c - size // 2 to c + (size - 1) // 2.

    Args:
      x: (..., C), floating, with at least one dimension.
      size: how many channels a sum takes; those beyond the first and last count as zero.
      alpha: divided by size, as in PyTorch.
      beta: the exponent.
      k: the least that u can be.

    Returns:
      An array of x's shape and dtype, computed in float32 or better.

    Raises:
      ValueError: size is less than 1, alpha is negative, k is not positive, or a number is not finite.
      TypeError: x is not floating, or a number is none.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.local_response_norm(jnp.array([1.0, 3.0]), size=2, alpha=2.0, beta=1.0, k=1.0))
      [0.5        0.27272728]

    Reference: A. Krizhevsky, I. Sutskever and G. Hinton, "ImageNet classification with deep convolutional
    neural networks", NIPS 2012, section 3.3.
    """
    function = "local_response_norm"
    x = _checks.floating(function, "x", x)
    if x.ndim < 1:
        raise ValueError(f"{function}: x must have shape (..., C), got a scalar")
    spec = ResponseNormSpec(
        _checks.integer(function, "size", size, minimum=1),
        _checks.not_negative(function, "alpha", alpha),
        _checks.number(function, "beta", beta),
        _checks.number(function, "k", k),
    )
    if spec.k <= 0:
        raise ValueError(f"{function}: k must be positive, got {spec.k}")
    return apply(function, spec, x)


# Local response normalisation, derived.    u as above, a = alpha / size
#   forward   y_c  = x_c u_c^-beta
#   dx        dx_c = dy_c u_c^-beta - 2 a beta x_c sum_{i : c in the window of i} dy_i x_i u_i^(-beta - 1)
# Residuals: x and u^-beta. u is made again, from sums of a few neighbours; its power costs more than all else.
# Formulation: a sum over shifted views. i has c in its window where c - i runs from -(size // 2) to
# (size - 1) // 2: the mirrored window.
# Reference: lax.reduce_window over the channels.


def _response_reference(spec, x):
    (wide,) = widened(x)
    window, strides = (*(1,) * (x.ndim - 1), spec.size), (1,) * x.ndim
    pads = (*((0, 0),) * (x.ndim - 1), (spec.size // 2, (spec.size - 1) // 2))
    total = lax.reduce_window(jnp.square(wide), np.zeros((), wide.dtype), lax.add, window, strides, pads)
    return (wide / jnp.power(spec.k + spec.alpha / spec.size * total, spec.beta)).astype(x.dtype)


def _neighbours(values: jax.Array, before: int, after: int) -> jax.Array:
    """For each channel the sum over those from ``before`` in front of it to ``after`` behind it."""
    channels = values.shape[-1]
    before, after = (min(reach, max(channels - 1, 0)) for reach in (before, after))
    padded = lax.pad(
        values, np.zeros((), values.dtype), [(0, 0, 0)] * (values.ndim - 1) + [(before, after, 0)]
    )
    views = (
        lax.slice_in_dim(padded, i, i + channels, axis=values.ndim - 1) for i in range(before + after + 1)
    )
    return functools.reduce(operator.add, views)


def _response_magnitude(spec, x):
    squares = _neighbours(x * x, spec.size // 2, (spec.size - 1) // 2)
    return spec.k + spec.alpha / spec.size * squares


def _response_fwd(spec, x):
    (wide,) = widened(x)
    power = _response_magnitude(spec, wide) ** -spec.beta
    return (wide * power).astype(x.dtype), (x, power.astype(x.dtype))


def _response_bwd(spec, residuals, dy):
    x, power = residuals
    wide, power, dy = widened(x, power, dy)
    g = dy * power
    shared = _neighbours(g * wide / _response_magnitude(spec, wide), (spec.size - 1) // 2, spec.size // 2)
    return (like_primal(g - (2 * spec.beta * spec.alpha / spec.size) * wide * shared, x),)


define(Rule("local_response_norm", _response_reference, _response_fwd, _response_bwd))
