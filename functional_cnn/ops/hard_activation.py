"""Activations cut off at two levels, in straight lines between them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn import _checks
from functional_cnn._numerics import like_primal, widened
from functional_cnn.ops._elementwise import define_elementwise
from functional_cnn.rule import Rule, apply, define


class LimitsSpec(NamedTuple):
    low: float
    high: float


def relu6(x: jax.Array) -> jax.Array:
    """Rectified linear unit with a ceiling: min(max(x, 0), 6). NaN stays NaN.

    Args:
      x: any shape, floating.

    Returns:
      An array of x's shape and dtype.

    Raises:
      TypeError: x is not floating.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.relu6(jnp.array([-1.0, 2.0, 7.0])))
      [0. 2. 6.]

    Reference: A. Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010.
    """
    return apply("relu6", LimitsSpec(0.0, 6.0), _checks.floating("relu6", "x", x))


def hard_tanh(x: jax.Array, min_val: float = -1.0, max_val: float = 1.0) -> jax.Array:
    """Piecewise linear tanh: min(max(x, min_val), max_val). NaN stays NaN.

    Args:
      x: any shape, floating.
      min_val: the level below, a Python number.
      max_val: the level above, larger than min_val.

    Returns:
      An array of x's shape and dtype.

    Raises:
      ValueError: max_val is not larger than min_val, or one of them is not finite.
      TypeError: x is not floating, or a level is not a number.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.hard_tanh(jnp.array([-2.0, 0.5, 2.0])))
      [-1.   0.5  1. ]

    Reference: R. Collobert, "Large scale machine learning", thesis, 2004, section 2.
    """
    x = _checks.floating("hard_tanh", "x", x)
    low = _checks.number("hard_tanh", "min_val", min_val)
    high = _checks.number("hard_tanh", "max_val", max_val)
    if low >= high:
        raise ValueError(f"hard_tanh: max_val must be larger than min_val={low}, got {high}")
    return apply("hard_tanh", LimitsSpec(low, high), x)


# ReLU6 and hard tanh, derived.    low and high as given
#   forward   y  = min(max(x, low), high)
#   dx        dx = dy [low < x < high]; at both kinks the slope is 0, as in PyTorch and as relu'(0) = 0
# Residuals: [low < x < high], a byte a value; as with relu, y would be four times as much to read.
# Reference: lax.clamp. The rule selects x itself.


def _limited_reference(spec, x):
    return _clamped(spec.low, x, spec.high)


def _clamped(low, x, high):
    return lax.clamp(jnp.asarray(low, x.dtype), x, jnp.asarray(high, x.dtype))


def _limited_fwd(spec, x):
    y = jnp.where(x <= spec.low, spec.low, jnp.where(x >= spec.high, spec.high, x))
    return y, (x > spec.low) & (x < spec.high)


def _limited_bwd(spec, between, dy):
    return (jnp.where(between, dy, 0),)


define(Rule("relu6", _limited_reference, _limited_fwd, _limited_bwd))
define(Rule("hard_tanh", _limited_reference, _limited_fwd, _limited_bwd))


def hard_sigmoid(x: jax.Array) -> jax.Array:
    """Piecewise linear sigmoid: relu6(x + 3) / 6.

    Args:
      x: any shape, floating.

    Returns:
      An array of x's shape and dtype, computed in float32 or better.

    Raises:
      TypeError: x is not floating.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.hard_sigmoid(jnp.array([-4.0, 0.0, 1.5, 4.0])))
      [0.   0.5  0.75 1.  ]

    Reference: A. Howard et al., "Searching for MobileNetV3", arXiv:1905.02244, section 5.2.
    """
    return apply("hard_sigmoid", (), _checks.floating("hard_sigmoid", "x", x))


# Hard sigmoid, derived.
#   forward   y  = min(max(x + 3, 0), 6) / 6
#   dx        dx = dy [-3 < x < 3] / 6; at both kinks the slope is 0, as in PyTorch
# Residuals: [-3 < x < 3], a byte an element. y would not do: rounded to 0 or 1, it hides a slope of 1/6.
# Reference: a select between the three lines.


def _hard_sigmoid_reference(spec, x):
    (wide,) = widened(x)
    line = jnp.where(wide <= -3, 0, jnp.where(wide >= 3, 1, wide / 6 + 0.5))
    return line.astype(x.dtype)


def _hard_sigmoid_fwd(spec, x):
    (wide,) = widened(x)
    y = (jnp.where(wide <= -3, 0, jnp.where(wide >= 3, 6, wide + 3)) * (1 / 6)).astype(x.dtype)
    return y, (x > -3) & (x < 3)


def _hard_sigmoid_bwd(spec, inside, dy):
    (wide,) = widened(dy)
    return (like_primal(jnp.where(inside, wide * (1 / 6), 0), dy),)


define(Rule("hard_sigmoid", _hard_sigmoid_reference, _hard_sigmoid_fwd, _hard_sigmoid_bwd))


def hard_silu(x: jax.Array) -> jax.Array:
    """Piecewise quadratic SiLU, or hard swish: x relu6(x + 3) / 6.

    Args:
      x: any shape, floating.

    Returns:
      An array of x's shape and dtype, computed in float32 or better.

    Raises:
      TypeError: x is not floating.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.hard_silu(jnp.array([-4.0, 0.0, 3.0, 4.0])))
      [-0.  0.  3.  4.]

    Reference: A. Howard et al., "Searching for MobileNetV3", arXiv:1905.02244, section 5.2.
    """
    return apply("hard_silu", (), _checks.floating("hard_silu", "x", x))


# Hard SiLU, derived.
#   forward   y  = x min(max(x + 3, 0), 6) / 6
#   dx        dx = dy (x / 3 + 1/2) [-3 < x < 3] + dy [x >= 3]; at the kinks 0 and 1, as in PyTorch
# Residuals: x.
# Formulation: max(x, -3), so that no -inf meets the 0. At 24 channels selects take 3 times as long, elsewhere as long.
# Reference: a select between zero, the parabola and the line.

define_elementwise(
    "hard_silu",
    reference=lambda spec, x: jnp.where(x <= -3, 0, jnp.where(x >= 3, x, x * x / 6 + x / 2)),
    value=lambda spec, x: jnp.maximum(x, -3) * _clamped(0, x + 3, 6) * (1 / 6),
    slope=lambda spec, x: jnp.where(x <= -3, 0, jnp.where(x >= 3, 1, x / 3 + 0.5)),
    residual="x",
)
