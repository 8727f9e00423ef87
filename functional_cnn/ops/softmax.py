"""Softmax and its logarithm."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn import _checks
from functional_cnn._numerics import like_primal, widened
from functional_cnn.ops._statistics import weighted_sum
from functional_cnn.rule import Rule, apply, define


class AxisSpec(NamedTuple):
    axis: tuple[int, ...]


def softmax(x: jax.Array, axis: int | tuple[int, ...] = -1) -> jax.Array:
    """Softmax: exp(x) / sum(exp(x)) over the given axes, a distribution.

    Args:
      x: floating, with at least one dimension.
      axis: the axis or axes that sum to one.

    Returns:
      An array of x's shape and dtype, computed in float32 or better.

    Raises:
      ValueError: an axis does not exist or is named twice, or there is none.
      TypeError: x is not floating, or axis is not an int.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.softmax(jnp.array([0.0, 0.0, 1000.0, 1000.0])))
      [0.  0.  0.5 0.5]

    Reference: J. Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.
    """
    x = _checks.floating("softmax", "x", x)
    return apply("softmax", AxisSpec(_checks.some_axes("softmax", "axis", axis, x.ndim)), x)


# Softmax, derived.
#   forward   y_k  = exp(x_k) / sum_j exp(x_j)
#   dx        dx_k = y_k (dy_k - sum_j dy_j y_j), since dy_j/dx_k = y_j ([j = k] - y_k)
# Residuals: y alone.
# Reference: exp(x - logsumexp(x)); the rule divides, which rounds less.


def _maximum(spec: AxisSpec, x: jax.Array) -> jax.Array:
    return lax.stop_gradient(jnp.max(x, axis=spec.axis, keepdims=True, initial=-jnp.inf))


def _exponentials(x: jax.Array, largest: jax.Array) -> jax.Array:
    """exp(x) over that of the maximum, which changes no softmax and keeps it in range.

    As in logsumexp a maximum that is not finite counts as 0. On CPU that select also keeps YNNPACK from making the
    exponentials, for which it takes longer than XLA's loops.
    """
    return jnp.exp(x - jnp.where(jnp.isfinite(largest), largest, 0))


def _softmax_reference(spec, x):
    (wide,) = widened(x)
    return jnp.exp(wide - jax.nn.logsumexp(wide, axis=spec.axis, keepdims=True)).astype(x.dtype)


def _softmax_fwd(spec, x):
    (wide,) = widened(x)
    exponentials = _exponentials(wide, _maximum(spec, wide))
    y = (exponentials / jnp.sum(exponentials, axis=spec.axis, keepdims=True)).astype(x.dtype)
    return y, y


def _softmax_bwd(spec, y, dy):
    if y.shape[:1] == (1,) and 0 not in spec.axis:
        # On CPU YNNPACK makes all of this and shares out the first axis among threads.
        (dx,) = _softmax_bwd(AxisSpec(tuple(axis - 1 for axis in spec.axis)), y[0], dy[0])
        return (dx[None],)
    wide, dy = widened(y, dy)
    dot = jnp.sum(dy * wide, axis=spec.axis, keepdims=True)
    return (like_primal(wide * (dy - dot), y),)


define(Rule("softmax", _softmax_reference, _softmax_fwd, _softmax_bwd))


def log_softmax(x: jax.Array, axis: int | tuple[int, ...] = -1) -> jax.Array:
    """Logarithm of softmax: x - log(sum(exp(x))) over the given axes, in nats.

    Args:
      x: floating, with at least one dimension.
      axis: the axis or axes over which probabilities sum to one.

    Returns:
      An array of x's shape and dtype, computed in float32 or better.

    Raises:
      ValueError: an axis does not exist or is named twice, or there is none.
      TypeError: x is not floating, or axis is not an int.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.log_softmax(jnp.array([0.0, 1000.0])))
      [-1000.     0.]

    Reference: C. Bishop, "Pattern Recognition and Machine Learning", section 4.3.4.
    """
    x = _checks.floating("log_softmax", "x", x)
    return apply("log_softmax", AxisSpec(_checks.some_axes("log_softmax", "axis", axis, x.ndim)), x)


# Log-softmax, derived.
#   forward   y_k  = x_k - log sum_j exp(x_j)
#   dx        dx_k = dy_k - e_k / s sum_j dy_j,    e = exp(x - max x), s = sum_k e_k
# Residuals: e and s. y alone would do, since e_k / s = exp(y_k), but to make the exponentials again costs more than
# all else, and a y of 16 bits, rounded where it is large, more digits than e.
# Formulation: over the last axis the sum of dy is a product with a vector on CPU, where YNNPACK, which would make all
# of dx with it, takes up to twice as long.
# Reference: x less jax.nn.logsumexp.


def _log_softmax_reference(spec, x):
    (wide,) = widened(x)
    return (wide - jax.nn.logsumexp(wide, axis=spec.axis, keepdims=True)).astype(x.dtype)


def _log_softmax_fwd(spec, x):
    (wide,) = widened(x)
    largest = _maximum(spec, wide)
    exponentials = _exponentials(wide, largest)
    total = jnp.sum(exponentials, axis=spec.axis, keepdims=True)
    y = (wide - largest - jnp.log(total)).astype(x.dtype)
    return y, (exponentials.astype(x.dtype), total)


def _log_softmax_bwd(spec, residuals, dy):
    exponentials, total = residuals
    wide, dy = widened(exponentials, dy)
    share = weighted_sum(dy, None, spec.axis) / total
    return (like_primal(dy - wide * share, exponentials),)


define(Rule("log_softmax", _log_softmax_reference, _log_softmax_fwd, _log_softmax_bwd))
