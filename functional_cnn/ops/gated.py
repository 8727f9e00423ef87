"""Activations that multiply with a gate between 0 and 1."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn import _checks
from functional_cnn._numerics import like_primal, widened
from functional_cnn.ops._elementwise import define_elementwise
from functional_cnn.rule import Rule, apply, define


class GeluSpec(NamedTuple):
    approximate: bool


class GluSpec(NamedTuple):
    axis: int


def silu(x: jax.Array) -> jax.Array:
    """Sigmoid-weighted linear unit, or swish: x sigmoid(x).

    Args:
      x: any shape, floating.

    Returns:
      An array of x's shape and dtype, computed in float32 or better.

    Raises:
      TypeError: x is not floating.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.silu(jnp.array([-1000.0, 0.0, 1000.0])))
      [  -0.    0. 1000.]

    Reference: S. Elfwing, E. Uchibe and K. Doya, "Sigmoid-weighted linear units for neural network function
    approximation in reinforcement learning", arXiv:1702.03118, section 2.
    """
    return apply("silu", (), _checks.floating("silu", "x", x))


# SiLU, derived.    s = sigmoid(x)
#   forward   y  = x s
#   dx        dx = dy (s + x s (1 - s)) = dy s (1 + x (1 - s))
# Residuals: the slope, made beside y of the same s. JAX's own gradient keeps three arrays.
# Reference: jax.nn.silu.

define_elementwise(
    "silu",
    reference=lambda spec, x: jax.nn.silu(x),
    value=lambda spec, x: x * lax.logistic(x),
    slope=lambda spec, x: lax.logistic(x) * (1 + x * (1 - lax.logistic(x))),
    residual="slope",
)


def mish(x: jax.Array) -> jax.Array:
    """Mish: x tanh(log(1 + exp(x))).

    Args:
      x: any shape, floating.

    Returns:
      An array of x's shape and dtype, computed in float32 or better.

    Raises:
      TypeError: x is not floating.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.mish(jnp.array([-1000.0, 0.0, 1000.0])))
      [  -0.    0. 1000.]

    Reference: D. Misra, "Mish: a self regularized non-monotonic activation function", arXiv:1908.08681.
    """
    return apply("mish", (), _checks.floating("mish", "x", x))


# Mish, derived.    t = tanh(log(1 + e^x)) = n / (n + 2), n = e^x (e^x + 2), since tanh(log u) = (u^2 - 1) / (u^2 + 1)
#   forward   y  = x t
#   dx        dx = dy (t + x t'),   t' = 4 e^x (1 + e^x) / (n + 2)^2
# For x > 0 numerator and denominator are divided by e^2x, so that nothing overflows: with e = exp(-|x|)
#   x <= 0    t = e (e + 2) / m,     t' = 4 e (1 + e) / m^2,     m = e^2 + 2 e + 2
#   x >  0    t = (1 + 2 e) / m,     t' = 4 e^2 (1 + e) / m^2,   m = 1 + 2 e + 2 e^2
# Residuals: the slope, as one exponential makes both t and t'. JAX's own gradient keeps five arrays.
# Reference: the definition through tanh and logaddexp.


def _gate_and_slope(x):
    """tanh(softplus(x)) and its derivative."""
    above = x > 0
    e = jnp.exp(jnp.where(above, -x, x))
    m = jnp.where(above, 1 + 2 * e * (1 + e), e * (e + 2) + 2)
    t = jnp.where(above, 1 + 2 * e, e * (e + 2)) / m
    return t, 4 * e * (1 + e) * jnp.where(above, e, 1) / jnp.square(m)


def _mish_slope(spec, x):
    t, dt = _gate_and_slope(x)
    return t + x * dt


define_elementwise(
    "mish",
    reference=lambda spec, x: x * jnp.tanh(jnp.logaddexp(jnp.zeros_like(x), x)),
    value=lambda spec, x: x * _gate_and_slope(x)[0],
    slope=_mish_slope,
    residual="slope",
)


def gelu(x: jax.Array, approximate: bool = True) -> jax.Array:
    """Gaussian error linear unit: x P(Z <= x) for a standard normal Z, x (1 + erf(x / sqrt(2))) / 2.

    Args:
      x: any shape, floating.
      approximate: True takes x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, PyTorch's
        ``approximate="tanh"``; False the error function, PyTorch's default.

    Returns:
      An array of x's shape and dtype, computed in float32 or better.

    Raises:
      TypeError: x is not floating, or approximate is not a bool.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.gelu(jnp.array([-1000.0, 0.0, 1000.0]), approximate=False))
      [  -0.    0. 1000.]

    Reference: D. Hendrycks and K. Gimpel, "Gaussian error linear units", arXiv:1606.08415, section 2.
    """
    x = _checks.floating("gelu", "x", x)
    return apply("gelu", GeluSpec(_checks.flag("gelu", "approximate", approximate)), x)


# GELU, derived.    P and p the normal distribution and its density; v = sqrt(2 / pi) (x + a x^3), a = 0.044715
#   exact     y  = x P(x),                dx = dy (P(x) + x p(x))
#   tanh      y  = x (1 + tanh(v)) / 2,   dx = dy (1 + t + x (1 - t^2) v') / 2,   t = tanh(v),
#                                         v' = sqrt(2 / pi) (1 + 3 a x^2)
# Residuals: the slope, made beside y of the same P(x) or t. JAX's own gradient keeps five arrays.
# Formulation: P(x) by erf, which takes half the time of erfc on CPU.
# Reference: jax.nn.gelu, which has P(x) through erfc.

_ROOT = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


def _gelu_gate_and_slope(spec, x):
    if spec.approximate:
        t = jnp.tanh(_ROOT * x * (1 + _CUBIC * x * x))
        return 0.5 + 0.5 * t, (0.5 * _ROOT) * (1 - t * t) * (1 + 3 * _CUBIC * x * x)
    return 0.5 + 0.5 * lax.erf(x * math.sqrt(0.5)), jnp.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _gelu_slope(spec, x):
    gate, slope = _gelu_gate_and_slope(spec, x)
    return gate + x * slope


define_elementwise(
    "gelu",
    reference=lambda spec, x: jax.nn.gelu(x, spec.approximate),
    value=lambda spec, x: x * _gelu_gate_and_slope(spec, x)[0],
    slope=_gelu_slope,
    residual="slope",
)


def glu(x: jax.Array, axis: int = -1) -> jax.Array:
    """Gated linear unit: a sigmoid(b), where a and b are the halves of x along an axis.

    Args:
      x: floating, with at least one dimension.
      axis: the axis that is halved; its length is even.

    Returns:
      An array of x's dtype and of its shape, with half the length along the axis.

    Raises:
      ValueError: the axis does not exist, or its length is odd.
      TypeError: x is not floating, or axis is not an int.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.glu(jnp.array([1.0, 2.0, 0.0, 1000.0])))
      [0.5 2. ]

    Reference: Y. Dauphin et al., "Language modeling with gated convolutional networks", arXiv:1612.08083,
    section 2.
    """
    x = _checks.floating("glu", "x", x)
    axis = _checks.axis("glu", "axis", axis, x.ndim)
    if x.shape[axis] % 2:
        raise ValueError(f"glu: x must have an even length along axis {axis}, got shape {x.shape}")
    return apply("glu", GluSpec(axis), x)


# GLU, derived.    s = sigmoid(b)
#   forward   y  = a s
#   da        da = dy s
#   db        db = dy a s (1 - s)
# Residuals: both slopes, s and a s (1 - s), which take as much memory as x and cost no second exponential.
# Reference: jax.nn.glu.


def _glu_reference(spec, x):
    (wide,) = widened(x)
    return jax.nn.glu(wide, axis=spec.axis).astype(x.dtype)


def _glu_fwd(spec, x):
    (wide,) = widened(x)
    a, b = jnp.split(wide, 2, axis=spec.axis)
    s = lax.logistic(b)
    y = a * s
    y, *slopes = (array.astype(x.dtype) for array in (y, s, y * (1 - s)))
    return y, slopes


def _glu_bwd(spec, slopes, dy):
    of_a, of_b, dy = widened(*slopes, dy)
    dx = lax.concatenate([dy * of_a, dy * of_b], spec.axis)
    return (like_primal(dx, slopes[0]),)


define(Rule("glu", _glu_reference, _glu_fwd, _glu_bwd))
