"""Batch normalisation, in training and in inference."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.ad_checkpoint import checkpoint_name

from functional_cnn import _checks
from functional_cnn._numerics import accumulator, like_primal, sum_leading, widened
from functional_cnn.ops._statistics import across, affine
from functional_cnn.rule import Rule, apply, define


class BatchNormSpec(NamedTuple):
    eps: float
    axis_name: str | tuple[str, ...] | None


class InferenceSpec(NamedTuple):
    eps: float


def batch_norm(
    x: jax.Array,
    scale: jax.Array | None = None,
    bias: jax.Array | None = None,
    *,
    eps: float = 1e-5,
    axis_name: str | tuple[str, ...] | None = None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Normalises each channel with the statistics of the batch.

    y = scale (x - mean) / sqrt(var + eps) + bias,
    mean = E[x] and var = E[(x - mean)^2] over examples and pixels: the biased variance.

    Args:
      x: (N, *spatial, C), floating; any number of spatial dimensions.
      scale: (C,), of x's dtype, or None for 1.
      bias: (C,), of x's dtype, or None for 0.
      eps: added to the variance, not negative.
      axis_name: the name or names of mapped axes (``shard_map``, ``vmap``, ``pmap``) over which the batch
        is spread; the statistics are then those of the whole batch. Under ``vmap`` take the gradient inside
        the mapped function: JAX leaves the name unbound in the backward pass of a gradient outside.

    Returns:
      ``(y, mean, var)``: y of x's shape and dtype; mean and var (C,) in float32, or float64 for float64.
      All three are differentiable.

    Raises:
      ValueError: a shape does not fit, or eps is negative.
      TypeError: an argument is not floating or has another dtype than x.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> y, mean, var = fcnn.batch_norm(jnp.array([[1.0], [3.0]]), eps=0.0)
      >>> print(y.ravel(), mean, var)
      [-1.  1.] [2.] [1.]

    Reference: S. Ioffe and C. Szegedy, "Batch normalization", arXiv:1502.03167, section 3.
    """
    function = "batch_norm"
    x, scale, bias = _checked(function, x, scale, bias)
    eps, axis_name = _checks.not_negative(function, "eps", eps), _checks.mapped_axis_name(function, axis_name)
    spec = BatchNormSpec(eps, axis_name)
    return apply(function, spec, x, scale, bias)


def _checked(function, x, scale, bias):
    x = _checks.images(function, x)
    channels = x.shape[-1]
    scale = _checks.vector(function, "scale", scale, channels, "channel", "x", x)
    bias = _checks.vector(function, "bias", bias, channels, "channel", "x", x)
    return x, scale, bias


# Batch normalisation, derived.    M values a channel, r = 1 / sqrt(var + eps), h = (x - mean) r
#   forward   y      = scale h + bias
#   dbias     db     = sum dy
#   dscale    dg     = sum dy h
#   of the statistics, which y sees and which are returned:
#             m      = dmean - scale r db                 dh/dmean = -r
#             v      = dvar  - scale r^2 dg / 2           dh/dvar  = -h r^2 / 2
#   dx        dx     = scale r dy + m / M + 2 v (x - mean) / M
#             since dmean/dx = 1 / M and dvar/dx = 2 (x - mean) / M; mean's share in var sums to zero
# Over named axes the statistics are means of the shards' means. The shares of y are averaged over the
# shards; what comes in for the returned statistics goes back through the transpose of pmean, which is not
# the same where shard_map knows them to be equal on all shards.
# Residuals: x, alive anyway as the convolution's output, and 2 C numbers for mean and var.
# Formulation: var's sum, dg's and the rest each spell x - mean in a way of their own. What a sum shares with anything
# XLA writes out as an image, and it would keep that one beside x from the forward to the backward pass.
# Reference: the mean, then the mean square of what is left, as in the paper.


def _per_channel(values: jax.Array | None, x: jax.Array) -> jax.Array | None:
    return across(values, (x.ndim - 1,), x)


def _mean_over_shards(spec, values):
    return values if spec.axis_name is None else lax.pmean(values, spec.axis_name)


def _reference(spec, x, scale, bias):
    wide, wide_scale, wide_bias = widened(x, scale, bias)
    mean = _mean(spec, wide)
    centered = wide - mean
    var = _mean(spec, jnp.square(centered))
    y = affine(centered / jnp.sqrt(var + spec.eps), wide_scale, wide_bias)
    return y.astype(x.dtype), mean, var


def _mean(spec, values):
    return _mean_over_shards(spec, jnp.mean(values, tuple(range(values.ndim - 1))))


def _total(spec, values):
    """The sum for each channel, a shard's on average."""
    # Kept: few numbers, but a sweep over the image to make again. The division is made again, so that the loops that
    # read a mean are the same in a second run as in the first, and XLA compiles them once.
    return checkpoint_name(_mean_over_shards(spec, sum_leading(values)), "batch_norm_statistics")


def _fwd(spec, x, scale, bias):
    wide, wide_scale, wide_bias = widened(x, scale, bias)
    total, count = _total(spec, wide), math.prod(x.shape[:-1])
    mean = total / count
    var = _total(spec, jnp.square(wide + _per_channel(total / -count, wide))) / count
    y = _normalized(spec, wide, mean, var, wide_scale, wide_bias)
    return (y.astype(x.dtype), mean, var), (x, scale, bias, mean, var)


def _normalized(spec, x, mean, var, scale, bias):
    slope = affine(lax.rsqrt(var + spec.eps), scale, None)
    return affine(x - _per_channel(mean, x), _per_channel(slope, x), _per_channel(bias, x))


def _bwd(spec, residuals, cotangents):
    x, scale, bias, mean, var = residuals
    dy, dmean, dvar = cotangents
    wide, wide_scale, dy = widened(x, scale, dy)
    r = lax.rsqrt(var + spec.eps)
    db, dg = sum_leading(dy), sum_leading(dy * (wide + _per_channel(-mean, wide)))
    dg = r * dg if x.size else dg  # in an empty batch r is NaN and the sum, of nothing, is 0
    slope = affine(r, wide_scale, None)
    m, v = _statistics_cotangents(spec, (-slope * db, -slope * r * dg / 2), (dmean, dvar))
    count = math.prod(x.shape[:-1]) or 1
    slope, shift, bend, mean = (_per_channel(a, wide) for a in (slope, m / count, 2 * v / count, mean))
    dx = slope * dy + shift + bend * (wide - mean)
    dscale = None if scale is None else like_primal(dg, scale)
    dbias = None if bias is None else like_primal(db, bias)
    return like_primal(dx, x), dscale, dbias


def _statistics_cotangents(spec, from_y, from_outputs):
    """What reaches one shard's mean and variance from all shards' y and from the returned statistics."""
    _, transpose = jax.vjp(lambda values: _mean_over_shards(spec, values), from_y)
    (back,) = transpose(from_outputs)
    return jax.tree.map(jnp.add, _mean_over_shards(spec, from_y), back)


define(Rule("batch_norm", _reference, _fwd, _bwd))


def batch_norm_inference(
    x: jax.Array,
    mean: jax.Array,
    var: jax.Array,
    scale: jax.Array | None = None,
    bias: jax.Array | None = None,
    *,
    eps: float = 1e-5,
) -> jax.Array:
    """Normalises each channel with given statistics, such as running averages.

    y = scale (x - mean) / sqrt(var + eps) + bias

    Args:
      x: (N, *spatial, C), floating; any number of spatial dimensions.
      mean: (C,), of x's dtype or in the accumulator's that ``batch_norm`` returns.
      var: (C,), likewise; not negative.
      scale: (C,), of x's dtype, or None for 1.
      bias: (C,), of x's dtype, or None for 0.
      eps: added to the variance, not negative.

    Returns:
      An array of x's shape and dtype.

    Raises:
      ValueError: a shape does not fit, or eps is negative.
      TypeError: an argument is not floating or has another dtype.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> x, mean, var = jnp.array([[1.0], [3.0]]), jnp.array([1.0]), jnp.array([4.0])
      >>> print(fcnn.batch_norm_inference(x, mean, var, eps=0.0).ravel())
      [0. 1.]

    Reference: S. Ioffe and C. Szegedy, "Batch normalization", arXiv:1502.03167, algorithm 2.
    """
    function = "batch_norm_inference"
    x, scale, bias = _checked(function, x, scale, bias)
    mean = _statistic(function, "mean", mean, x)
    var = _statistic(function, "var", var, x)
    spec = InferenceSpec(_checks.not_negative(function, "eps", eps))
    return apply(function, spec, x, mean, var, scale, bias)


def _statistic(function, name, value, x):
    value = _checks.floating(function, name, value)
    if value.dtype not in (x.dtype, accumulator(x.dtype)):
        raise TypeError(
            f"{function}: {name} has dtype {value.dtype}, but x has {x.dtype}; it may have that dtype or "
            f"{accumulator(x.dtype)}"
        )
    if value.shape != x.shape[-1:]:
        raise ValueError(
            f"{function}: {name} must have shape {x.shape[-1:]}, one for each channel, got shape {value.shape}"
        )
    return value


# Inference, derived.    r = 1 / sqrt(var + eps), h = (x - mean) r
#   forward   y     = scale h + bias
#   dx        dx    = scale r dy
#   dmean     dmean = -scale r sum dy
#   dvar      dvar  = -scale r^2 sum(dy h) / 2
#   dscale    dg    = sum dy h
#   dbias     db    = sum dy
# Residuals: the arguments, all alive anyway.
# Reference: division by the square root; the rule folds scale and r into one slope.


def _inference_reference(spec, x, mean, var, scale, bias):
    wide, mean, var, scale, bias = widened(x, mean, var, scale, bias)
    return affine((wide - mean) / jnp.sqrt(var + spec.eps), scale, bias).astype(x.dtype)


def _inference_fwd(spec, x, mean, var, scale, bias):
    wide, wide_mean, wide_var, wide_scale, wide_bias = widened(x, mean, var, scale, bias)
    y = _normalized(spec, wide, wide_mean, wide_var, wide_scale, wide_bias)
    return y.astype(x.dtype), (x, mean, var, scale, bias)


def _inference_bwd(spec, residuals, dy):
    x, mean, var, scale, bias = residuals
    wide, wide_mean, wide_var, wide_scale, dy = widened(x, mean, var, scale, dy)
    r = lax.rsqrt(wide_var + spec.eps)
    slope = affine(r, wide_scale, None)
    db, dg = sum_leading(dy), r * sum_leading(dy * (wide - _per_channel(wide_mean, wide)))
    return (
        like_primal(_per_channel(slope, wide) * dy, x),
        like_primal(-slope * db, mean),
        like_primal(-slope * r * dg / 2, var),
        None if scale is None else like_primal(dg, scale),
        None if bias is None else like_primal(db, bias),
    )


define(Rule("batch_norm_inference", _inference_reference, _inference_fwd, _inference_bwd))
