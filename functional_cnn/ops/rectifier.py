"""Rectifiers: x above zero, and below it nothing, a slope or an exponential."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn import _checks
from functional_cnn._numerics import like_primal, sum_leading, widened
from functional_cnn.ops._elementwise import define_elementwise
from functional_cnn.rule import Rule, apply, define


class LeakyReluSpec(NamedTuple):
    negative_slope: float


class AlphaSpec(NamedTuple):
    alpha: float


def relu(x: jax.Array) -> jax.Array:
    """Rectified linear unit: relu(x) = max(x, 0). NaN stays NaN.

    Args:
      x: any shape, floating.

    Returns:
      An array of x's shape and dtype.

    Raises:
      TypeError: x is not floating.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.relu(jnp.array([-1.0, 2.0])))
      [0. 2.]

    Reference: V. Nair and G. Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.
    """
    return apply("relu", (), _checks.floating("relu", "x", x))


# ReLU, derived.
#   forward   y  = max(x, 0)
#   dx        dx = 0 where x <= 0, dy elsewhere; at the kink relu'(0) = 0, as in PyTorch and jax.nn.relu, and where x is
#             NaN the gradient passes, as in PyTorch
# Residuals: [x <= 0], a byte a value. y would be alive anyway where the next layer keeps it, but it is four times
# as much to read, and in a compiled step XLA keeps the sources of a mask that it can make again, not y.
# Formulation: jax.nn.relu's maximum, on CPU 1.05 to 1.10 times as fast as a select. Unlike that of lax.max its gradient
# at a tie is 0 and not 1/2, which counts since fwd is differentiated as it stands where a second derivative is taken.
# Reference: a select.


def _relu_reference(spec, x):
    return jnp.where(x <= 0, 0, x)


def _relu_fwd(spec, x):
    return jax.nn.relu(x), x <= 0


def _relu_bwd(spec, cut_off, dy):
    return (lax.select(cut_off, lax.full_like(dy, 0), dy),)


define(Rule("relu", _relu_reference, _relu_fwd, _relu_bwd))


def leaky_relu(x: jax.Array, negative_slope: float = 0.01) -> jax.Array:
    """Leaky rectified linear unit: x where x > 0, negative_slope x elsewhere.

    Args:
      x: any shape, floating.
      negative_slope: the slope below zero, a Python number.

    Returns:
      An array of x's shape and dtype.

    Raises:
      ValueError: negative_slope is not finite.
      TypeError: x is not floating, or negative_slope is not a number.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.leaky_relu(jnp.array([-1.0, 2.0]), 0.5))
      [-0.5  2. ]

    Reference: A. Maas, A. Hannun and A. Ng, "Rectifier nonlinearities improve neural network acoustic
    models", ICML 2013.
    """
    x = _checks.floating("leaky_relu", "x", x)
    spec = LeakyReluSpec(_checks.number("leaky_relu", "negative_slope", negative_slope))
    return apply("leaky_relu", spec, x)


# Leaky ReLU, derived.    a = negative_slope
#   forward   y  = x [x > 0] + a x [x <= 0]
#   dx        dx = dy [x > 0] + a dy [x <= 0]; at the kink the slope is a, as in PyTorch and as relu'(0) = 0 for a = 0
# Residuals: [x > 0], a byte a value.
# Reference: a select between the two branches; the rule multiplies by the slope.


def _leaky_relu_reference(spec, x):
    return jnp.where(x > 0, x, spec.negative_slope * x)


def _leaky_relu_fwd(spec, x):
    positive = x > 0
    return x * jnp.where(positive, jnp.ones((), x.dtype), jnp.asarray(spec.negative_slope, x.dtype)), positive


def _leaky_relu_bwd(spec, positive, dy):
    return (jnp.where(positive, dy, spec.negative_slope * dy),)


define(Rule("leaky_relu", _leaky_relu_reference, _leaky_relu_fwd, _leaky_relu_bwd))


def prelu(x: jax.Array, slope: jax.Array) -> jax.Array:
    """Parametric rectified linear unit: x where x > 0, slope x elsewhere; the slope is learned.

    Args:
      x: (..., C), floating; any shape for a single slope.
      slope: (C,), one for each channel, or (1,) or () for all; of x's dtype.

    Returns:
      An array of x's shape and dtype.

    Raises:
      ValueError: slope has another shape.
      TypeError: an argument is not floating, or slope has another dtype than x.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.prelu(jnp.array([-1.0, 2.0]), jnp.array(0.25)))
      [-0.25  2.  ]

    Reference: K. He et al., "Delving deep into rectifiers", arXiv:1502.01852, section 2.1.
    """
    x = _checks.floating("prelu", "x", x)
    slope = _checks.like("prelu", "slope", slope, "x", x)
    if slope.shape not in ((), (1,), x.shape[-1:]):
        raise ValueError(
            f"prelu: slope must have shape (), (1,) or {x.shape[-1:]}, one for each channel, got shape {slope.shape}"
        )
    return apply("prelu", (), x, slope)


# PReLU, derived.    a = slope
#   forward   y  = x [x > 0] + a x [x <= 0]
#   dx        dx = dy [x > 0] + a dy [x <= 0]
#   dslope    da = sum dy x [x <= 0]               over all that share the slope, in float32 or better
# Residuals: x and a. y would not do: the sign of a, and with it y's, is only known at run time.
# Reference: max(x, 0) + a min(x, 0), as in the paper, with the maxima as selects.


def _is_per_channel(x, slope):
    return slope.ndim == 1 and slope.shape == x.shape[-1:]


def _prelu_reference(spec, x, slope):
    slope = slope if _is_per_channel(x, slope) else slope.reshape(())
    return jnp.where(x > 0, x, 0) + slope * jnp.where(x > 0, 0, x)


def _prelu_fwd(spec, x, slope):
    factor = slope if _is_per_channel(x, slope) else slope.reshape(())
    return jnp.where(x > 0, x, factor * x), (x, slope)


def _prelu_bwd(spec, residuals, dy):
    x, slope = residuals
    wide, wide_slope, dy = widened(x, slope, dy)
    shares = jnp.where(wide > 0, 0, wide * dy)
    if _is_per_channel(x, slope):
        dslope = sum_leading(shares)
    else:
        wide_slope = wide_slope.reshape(())
        dslope = jnp.sum(shares).reshape(slope.shape)
    return like_primal(jnp.where(wide > 0, dy, wide_slope * dy), x), like_primal(dslope, slope)


define(Rule("prelu", _prelu_reference, _prelu_fwd, _prelu_bwd))


def elu(x: jax.Array, alpha: float = 1.0) -> jax.Array:
    """Exponential linear unit: x where x > 0, alpha (exp(x) - 1) elsewhere.

    Args:
      x: any shape, floating.
      alpha: minus the limit below, a Python number.

    Returns:
      An array of x's shape and dtype, computed in float32 or better.

    Raises:
      ValueError: alpha is not finite.
      TypeError: x is not floating, or alpha is not a number.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.elu(jnp.array([-1000.0, 2.0]), 0.5))
      [-0.5  2. ]

    Reference: D. Clevert, T. Unterthiner and S. Hochreiter, "Fast and accurate deep network learning by
    exponential linear units", arXiv:1511.07289, section 3.
    """
    x = _checks.floating("elu", "x", x)
    return apply("elu", AlphaSpec(_checks.number("elu", "alpha", alpha)), x)


# ELU, derived.
#   forward   y  = x [x > 0] + alpha (exp(x) - 1) [x <= 0]
#   dx        dx = dy [x > 0] + dy alpha exp(x) [x <= 0]; at zero the slope is alpha, as in PyTorch and jax.nn
# Residuals: the slope. From y, alpha exp(x) = y + alpha, which loses its digits far below zero, and y's sign is x's
# only where alpha >= 0. JAX's own gradient keeps two arrays and a mask.
# Reference: jax.nn.elu.


def _below(x):
    """x where x <= 0. Above, where its exponential is not used, that must not overflow."""
    return jnp.where(x > 0, 0, x)


define_elementwise(
    "elu",
    reference=lambda spec, x: jax.nn.elu(x, spec.alpha),
    value=lambda spec, x: jnp.where(x > 0, x, spec.alpha * jnp.expm1(_below(x))),
    slope=lambda spec, x: jnp.where(x > 0, 1, spec.alpha * jnp.exp(_below(x))),
    residual="slope",
)


def celu(x: jax.Array, alpha: float = 1.0) -> jax.Array:
    """Continuously differentiable ELU: x where x > 0, alpha (exp(x / alpha) - 1) elsewhere.

    Args:
      x: any shape, floating.
      alpha: minus the limit below, a Python number other than 0.

    Returns:
      An array of x's shape and dtype, computed in float32 or better.

    Raises:
      ValueError: alpha is 0 or not finite.
      TypeError: x is not floating, or alpha is not a number.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.celu(jnp.array([-1000.0, 2.0]), 0.5))
      [-0.5  2. ]

    Reference: J. Barron, "Continuously differentiable exponential linear units", arXiv:1704.07483.
    """
    x = _checks.floating("celu", "x", x)
    spec = AlphaSpec(_checks.number("celu", "alpha", alpha))
    if spec.alpha == 0:
        raise ValueError("celu: alpha must not be 0")
    return apply("celu", spec, x)


# CELU, derived.
#   forward   y  = x [x > 0] + alpha (exp(x / alpha) - 1) [x <= 0]
#   dx        dx = dy [x > 0] + dy exp(x / alpha) [x <= 0]; the slope at zero is 1 from both sides
# Residuals: the slope, as for ELU.
# Reference: jax.nn.celu.

define_elementwise(
    "celu",
    reference=lambda spec, x: jax.nn.celu(x, spec.alpha),
    value=lambda spec, x: jnp.where(x > 0, x, spec.alpha * jnp.expm1(_below(x) / spec.alpha)),
    slope=lambda spec, x: jnp.exp(_below(x) / spec.alpha),
    residual="slope",
)


def selu(x: jax.Array) -> jax.Array:
    """Scaled exponential linear unit: 1.0507 x where x > 0, 1.0507 * 1.6733 (exp(x) - 1) elsewhere.

    Args:
      x: any shape, floating.

    Returns:
      An array of x's shape and dtype, computed in float32 or better.

    Raises:
      TypeError: x is not floating.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.selu(jnp.array([-1000.0, 1.0])))
      [-1.7580993  1.050701 ]

    Reference: G. Klambauer et al., "Self-normalizing neural networks", arXiv:1706.02515, equation 2.
    """
    return apply("selu", (), _checks.floating("selu", "x", x))


# SELU, derived.    the two constants keep mean 0 and variance 1, appendix A1
#   forward   y  = scale x [x > 0] + scale alpha (exp(x) - 1) [x <= 0]
#   dx        dx = dy scale [x > 0] + dy scale alpha exp(x) [x <= 0]; at zero the slope is scale alpha, as in PyTorch
# Residuals: the slope, as for ELU.
# Reference: jax.nn.selu.

_SCALE = 1.0507009873554804934193349852946
_ALPHA = 1.6732632423543772848170429916717

define_elementwise(
    "selu",
    reference=lambda spec, x: jax.nn.selu(x),
    value=lambda spec, x: _SCALE * jnp.where(x > 0, x, _ALPHA * jnp.expm1(_below(x))),
    slope=lambda spec, x: _SCALE * jnp.where(x > 0, 1, _ALPHA * jnp.exp(_below(x))),
    residual="slope",
)
