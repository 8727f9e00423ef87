"""Pooling over all pixels."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_cnn import _checks
from functional_cnn._numerics import accumulator, widened
from functional_cnn._window import Sizes
from functional_cnn.rule import Rule, apply, define


class GlobalPoolSpec(NamedTuple):
    inputs: Sizes


def _pooled(function: str, x: jax.Array) -> jax.Array:
    x = _checks.floating(function, "x", x)
    _checks.spatial(function, x)
    _checks.some_pixel(function, x)
    return apply(function, GlobalPoolSpec(x.shape[1:-1]), x)


def global_avg_pool(x: jax.Array) -> jax.Array:
    """The mean over all pixels, per channel: y[n, c] = (1 / M) sum over pixels q of x[n, q, c].

    Args:
      x: (N, *spatial, C), floating; 1, 2 or 3 spatial dimensions with at least one pixel.

    Returns:
      (N, C) of x's dtype. float16 and bfloat16 accumulate in float32.

    Raises:
      ValueError: x has another rank, or no pixels.
      TypeError: x is not floating.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.global_avg_pool(jnp.array([3.0, 1.0, 2.0]).reshape(1, 3, 1)))
      [[2.]]

    Reference: M. Lin, Q. Chen and S. Yan, "Network in network", arXiv:1312.4400, section 3.2.
    """
    return _pooled("global_avg_pool", x)


# Global average pooling, derived.    M pixels
#   forward   y[n,c]    = (1 / M) sum_q x[n,q,c]
#   dx        dx[n,q,c] = dy[n,c] / M
# Residuals: none.
# Reference: jnp.mean over the spatial axes.


def _spatial_axes(spec: GlobalPoolSpec) -> Sizes:
    return tuple(range(1, 1 + len(spec.inputs)))


def _avg_reference(spec, x):
    return jnp.mean(*widened(x), axis=_spatial_axes(spec)).astype(x.dtype)


def _avg_fwd(spec, x):
    total = jnp.sum(x, axis=_spatial_axes(spec), dtype=accumulator(x.dtype))
    return (total / math.prod(spec.inputs)).astype(x.dtype), None


def _avg_bwd(spec, _, dy):
    (share,) = widened(dy)
    share = (share / math.prod(spec.inputs)).astype(dy.dtype)
    shape = (dy.shape[0], *spec.inputs, dy.shape[-1])
    return (jnp.broadcast_to(jnp.expand_dims(share, _spatial_axes(spec)), shape),)


define(Rule("global_avg_pool", _avg_reference, _avg_fwd, _avg_bwd))


def global_max_pool(x: jax.Array) -> jax.Array:
    """The maximum over all pixels, per channel: y[n, c] = max over pixels q of x[n, q, c].

    Args:
      x: (N, *spatial, C), floating; 1, 2 or 3 spatial dimensions.

    Returns:
      (N, C) of x's dtype. NaN propagates. The gradient goes to the first maximum in row-major order.

    Raises:
      ValueError: x has another number of dimensions, or no pixel.
      TypeError: x is not floating.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.global_max_pool(jnp.array([[3.0, 1.0], [2.0, 5.0]]).reshape(1, 2, 2, 1)))
      [[5.]]

    Reference: M. Oquab et al., "Is object localization for free?", CVPR 2015, section 3.
    """
    return _pooled("global_max_pool", x)


# Global max pooling, derived.    i the number of the first maximum
#   forward   y[n,c]    = max_q x[n,q,c]
#   dx        dx[n,q,c] = dy[n,c] [q = i[n,c]]
# Residuals: i, one number per example and channel.
# Reference: the entry at the arg max, taken by a gather.


def _rows(spec, x):
    return x.reshape(x.shape[0], math.prod(spec.inputs), x.shape[-1])


def _max_reference(spec, x):
    rows = _rows(spec, x)
    return jnp.take_along_axis(rows, jnp.argmax(rows, axis=1, keepdims=True), axis=1)[:, 0]


def _is_first(pixels, first):
    """Whether a pixel is the first maximum, (N, pixels, C)."""
    return jnp.arange(pixels, dtype=first.dtype)[:, None] == first[:, None]


def _first_of(rows, largest):
    """The number of the first maximum, (N, C)."""
    pixels = rows.shape[1]
    numbers = jnp.arange(pixels, dtype=np.int32)[:, None]
    is_largest = (rows == largest[:, None]) | jnp.isnan(rows)
    # The least number of a maximum: on CPU two plain reductions take half the time of an arg max.
    return jnp.min(jnp.where(is_largest, numbers, pixels), axis=1, initial=pixels)


@jax.custom_jvp
def _largest(rows):
    return jnp.max(rows, axis=1)


@_largest.defjvp
def _largest_jvp(primals, tangents):
    # What second derivatives see: the first maximum's slope, as JAX's own rule shares it among ties.
    (rows,), (moved,) = primals, tangents
    largest = _largest(rows)
    is_first = _is_first(rows.shape[1], _first_of(rows, largest))
    return largest, jnp.sum(jnp.where(is_first, moved, 0), axis=1)


def _max_fwd(spec, x):
    rows = _rows(spec, x)
    largest = _largest(rows)
    return largest, _first_of(rows, largest)


def _max_bwd(spec, first, dy):
    pixels = math.prod(spec.inputs)
    dx = jnp.where(_is_first(pixels, first), dy[:, None], 0)
    return (dx.reshape(dy.shape[0], *spec.inputs, dy.shape[-1]),)


define(Rule("global_max_pool", _max_reference, _max_fwd, _max_bwd))
