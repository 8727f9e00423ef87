"""Normalisation of each example by itself: layer, group and instance normalisation."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn import _checks
from functional_cnn._numerics import like_primal, widened
from functional_cnn.ops._statistics import across, affine, standardized_gradient, weighted_sum
from functional_cnn.rule import Rule, apply, define


class SampleNormSpec(NamedTuple):
    axes: tuple[int, ...]  # over which the statistics are taken
    groups: int | None  # of the channels, over which they are taken too; None where they are not
    features: tuple[int, ...]  # the axes that scale and bias have
    eps: float


def layer_norm(
    x: jax.Array,
    scale: jax.Array | None = None,
    bias: jax.Array | None = None,
    *,
    axis: int | tuple[int, ...] = -1,
    eps: float = 1e-5,
) -> jax.Array:
    """Normalises each example, or each pixel of it, over the given axes.

    y = scale (x - mean) / sqrt(var + eps) + bias,
    mean = E[x] and var = E[(x - mean)^2] over the axes: the biased variance.

    Args:
      x: floating, with at least one dimension.
      scale: of the shape that x has on the axes, in x's order, (C,) for the last one, and of x's dtype; or None
        for 1.
      bias: likewise; or None for 0.
      axis: the axis or axes over which the statistics are taken; -1 normalises the channels of each pixel,
        (1, 2, 3) the whole of each image. PyTorch's ``normalized_shape`` names the last axes by their sizes.
      eps: added to the variance, not negative.

    Returns:
      An array of x's shape and dtype; the statistics are computed in float32 or better.

    Raises:
      ValueError: a shape does not fit, an axis does not exist or is named twice, or eps is negative.
      TypeError: an argument is not floating or has another dtype than x.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.layer_norm(jnp.array([[1.0, 3.0], [10.0, 30.0]]), eps=0.0))
      [[-1.  1.]
       [-1.  1.]]

    Reference: J. Ba, J. Kiros and G. Hinton, "Layer normalization", arXiv:1607.06450, section 3.
    """
    function = "layer_norm"
    x = _checks.floating(function, "x", x)
    axes = _checks.some_axes(function, "axis", axis, x.ndim)
    scale, bias = _parameters(function, x, scale, bias, tuple(x.shape[a] for a in axes), "entry of the axes")
    spec = SampleNormSpec(axes, None, axes, _checks.not_negative(function, "eps", eps))
    return apply(function, spec, x, scale, bias)


def group_norm(
    x: jax.Array,
    scale: jax.Array | None = None,
    bias: jax.Array | None = None,
    *,
    groups: int,
    eps: float = 1e-5,
) -> jax.Array:
    """Normalises each group of channels of each example, over its pixels and channels.

    y = scale (x - mean) / sqrt(var + eps) + bias,
    mean = E[x] and var = E[(x - mean)^2] over the pixels and channels of a group: the biased variance.

    Args:
      x: (N, *spatial, C), floating; any number of spatial dimensions.
      scale: (C,), of x's dtype, or None for 1.
      bias: (C,), of x's dtype, or None for 0.
      groups: how many groups of neighbouring channels there are; divides C. PyTorch's ``num_groups``.
      eps: added to the variance, not negative.

    Returns:
      An array of x's shape and dtype; the statistics are computed in float32 or better.

    Raises:
      ValueError: a shape does not fit, groups does not divide C, or eps is negative.
      TypeError: an argument is not floating or has another dtype than x.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.group_norm(jnp.array([[1.0, 3.0, 10.0, 30.0]]), groups=2, eps=0.0))
      [[-1.  1. -1.  1.]]

    Reference: Y. Wu and K. He, "Group normalization", arXiv:1803.08494, section 3.1.
    """
    function = "group_norm"
    x = _checks.images(function, x)
    channels = x.shape[-1]
    groups = _checks.integer(function, "groups", groups, minimum=1)
    if channels % groups:
        raise ValueError(f"{function}: groups={groups} must divide the {channels} channels of x")
    scale, bias = _parameters(function, x, scale, bias, (channels,), "channel")
    pixels, eps = tuple(range(1, x.ndim - 1)), _checks.not_negative(function, "eps", eps)
    return apply(function, SampleNormSpec(pixels, groups, (x.ndim - 1,), eps), x, scale, bias)


def instance_norm(
    x: jax.Array,
    scale: jax.Array | None = None,
    bias: jax.Array | None = None,
    *,
    eps: float = 1e-5,
) -> jax.Array:
    """Normalises each channel of each example, over its pixels.

    y = scale (x - mean) / sqrt(var + eps) + bias,
    mean = E[x] and var = E[(x - mean)^2] over the pixels: the biased variance.

    Args:
      x: (N, *spatial, C), floating; at least one spatial dimension.
      scale: (C,), of x's dtype, or None for 1.
      bias: (C,), of x's dtype, or None for 0.
      eps: added to the variance, not negative.

    Returns:
      An array of x's shape and dtype; the statistics are computed in float32 or better.

    Raises:
      ValueError: a shape does not fit, or eps is negative.
      TypeError: an argument is not floating or has another dtype than x.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.instance_norm(jnp.array([[[1.0], [3.0]], [[10.0], [30.0]]]), eps=0.0).squeeze())
      [[-1.  1.]
       [-1.  1.]]

    Reference: D. Ulyanov, A. Vedaldi and V. Lempitsky, "Instance normalization", arXiv:1607.08022, section 2.
    """
    function = "instance_norm"
    x = _checks.images(function, x)
    if x.ndim < 3:
        raise ValueError(f"{function}: x must have at least one spatial dimension, got shape {x.shape}")
    scale, bias = _parameters(function, x, scale, bias, x.shape[-1:], "channel")
    pixels, eps = tuple(range(1, x.ndim - 1)), _checks.not_negative(function, "eps", eps)
    return apply(function, SampleNormSpec(pixels, None, (x.ndim - 1,), eps), x, scale, bias)


def _parameters(function, x, scale, bias, shape, what):
    return tuple(
        _checks.parameter(function, name, value, shape, what, "x", x)
        for name, value in (("scale", scale), ("bias", bias))
    )


# Layer, group and instance normalisation, derived.    E the mean over the axes, M values in it,
# r = 1 / sqrt(var + eps), h = (x - mean) r
#   forward   y  = scale h + bias
#   dbias     db = sum dy                      over all that share an entry
#   dscale    dg = sum dy h
#   dx        dx = r (g - E[g] - h E[g h]),    g = scale dy
#             since dh/dx = r ([same] - 1 / M - h h / M): the mean's and the variance's share in each value
# Residuals: x, alive anyway, and two numbers for each mean.
# Formulation: a group's mean is the mean of its channels' means over the pixels, so that only small arrays are split
# into groups and every sweep over x runs along all channels. Backward, the sums of dy and of dy (x - mean) over an
# image's pixels make db and dg as well as a group's means: 2 sweeps and not 4, and both passes 1.3 to 1.7 times faster.
# Of groups, var's sum, that of dy (x - mean) and the rest each spell x - mean in a way of their own, as in batch norm:
# what a sum shares XLA writes out as an image, and of 12 shapes the forward pass took 0.52 to 1 times as long without.
# Without groups it makes the whole forward pass in one sweep over each image, if all share one x - mean.
# Over the last axis alone, layer norm's default, both means are made by products with a vector on CPU. One array dy h
# serves a mean and dg; dg as the sum of r times dy (x - mean) would have r spread over an array of x's shape. A product
# for dg too, dy (x - mean) by r, rounds 20 to 50 times as much as a plain sum over all pixels.
# Reference: the channels split into groups, the mean, then the mean square of what is left, as in the papers.


def _reference(spec, x, scale, bias):
    wide, wide_scale, wide_bias = widened(x, scale, bias)
    seen, axes = wide, spec.axes
    if spec.groups is not None:
        seen = wide.reshape(*x.shape[:-1], spec.groups, x.shape[-1] // spec.groups)
        axes = (*axes, seen.ndim - 1)
    centered = seen - jnp.mean(seen, axes, keepdims=True)
    h = centered / jnp.sqrt(jnp.mean(jnp.square(centered), axes, keepdims=True) + spec.eps)
    y = affine(h.reshape(x.shape), across(wide_scale, spec.features, x), across(wide_bias, spec.features, x))
    return y.astype(x.dtype)


def _mean(spec, values, sign=1):
    """The mean, or minus it, which for XLA is not the mean's negative."""
    axes = (*spec.axes, values.ndim - 1) if spec.groups == 1 else spec.axes
    means = jnp.sum(values, axes, keepdims=True) / (sign * math.prod(values.shape[axis] for axis in axes))
    return means if spec.groups == 1 else _over_groups(spec, means)


def _over_groups(spec, means):
    if spec.groups is None:
        return means
    grouped = means.reshape(*means.shape[:-1], spec.groups, means.shape[-1] // spec.groups)
    return jnp.broadcast_to(jnp.mean(grouped, -1, keepdims=True), grouped.shape).reshape(means.shape)


def _has_groups(spec):
    return spec.groups not in (None, 1)


def _fwd(spec, x, scale, bias):
    wide, wide_scale, wide_bias = widened(x, scale, bias)
    mean = _mean(spec, wide)
    centered = wide - mean
    summed = wide + _mean(spec, wide, sign=-1) if _has_groups(spec) else centered
    r = lax.rsqrt(_mean(spec, jnp.square(summed)) + spec.eps)
    y = affine(centered * r, across(wide_scale, spec.features, x), across(wide_bias, spec.features, x))
    return y.astype(x.dtype), (x, scale, bias, mean, r)


def _bwd_by_channels(spec, residuals, dy):
    """Where scale and bias have an entry for each channel, and the mean is taken over pixels and perhaps a group."""
    x, scale, bias, mean, r = residuals
    wide, dy, wide_scale = widened(x, dy, scale)
    weights = 1.0 if wide_scale is None else wide_scale
    centered, images = wide - mean, tuple(range(x.ndim - 1))
    summed = wide + -mean if _has_groups(spec) else centered
    sum_dy, sum_dyc = (jnp.sum(values, spec.axes, keepdims=True) for values in (dy, dy * summed))
    count = math.prod(x.shape[axis] for axis in spec.axes)
    mean_g, mean_gc = (_over_groups(spec, weights * sums / count) for sums in (sum_dy, sum_dyc))
    dx = standardized_gradient(centered, r, dy * weights, mean_g, r * mean_gc)
    # Of images without pixels r is NaN and the sum, of nothing, 0.
    sum_dyh = r * sum_dyc if x.size else sum_dyc
    dscale = None if scale is None else like_primal(sum_dyh.sum(images), scale)
    dbias = None if bias is None else like_primal(sum_dy.sum(images), bias)
    return like_primal(dx, x), dscale, dbias


def _bwd_by_entries(spec, residuals, dy):
    """Where they have one for each value of a mean."""
    x, scale, bias, mean, r = residuals
    wide, dy, wide_scale = widened(x, dy, scale)
    centered = wide - mean
    dyh = dy * (centered * r)
    count = math.prod(x.shape[axis] for axis in spec.axes)
    mean_g = weighted_sum(dy, wide_scale, spec.axes) / count
    if scale is None:
        mean_gh = r * (weighted_sum(dy * centered, None, spec.axes) / count)
    else:
        mean_gh = weighted_sum(dyh, wide_scale, spec.axes) / count
    g = affine(dy, across(wide_scale, spec.axes, x), None)
    dx = standardized_gradient(centered, r, g, mean_g, mean_gh)
    shared = tuple(a for a in range(x.ndim) if a not in spec.axes)
    dscale = None if scale is None else like_primal(dyh.sum(shared), scale)
    dbias = None if bias is None else like_primal(dy.sum(shared), bias)
    return like_primal(dx, x), dscale, dbias


define(Rule("layer_norm", _reference, _fwd, _bwd_by_entries))
for _name in ("group_norm", "instance_norm"):
    define(Rule(_name, _reference, _fwd, _bwd_by_channels))
