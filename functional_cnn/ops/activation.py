"""Activations, elementwise and over an axis."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn import _checks
from functional_cnn._numerics import like_primal, widened
from functional_cnn.rule import Rule, apply, define


class LeakyReluSpec(NamedTuple):
    negative_slope: float


class AxisSpec(NamedTuple):
    axis: tuple[int, ...]


def _narrow(value: jax.Array, x: jax.Array) -> jax.Array:
    return value.astype(x.dtype)


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
#   dx        dx = dy [x > 0] = dy [y > 0]; at the kink relu'(0) = 0, as in PyTorch and jax.nn.relu
# Residuals: y, which the next layer keeps anyway. x would be alive for this rule alone.
# Reference: jax.nn.relu. The rule selects rather than takes a maximum, whose own gradient at a tie is 1/2,
# since fwd is differentiated as it stands where a second derivative is taken.


def _relu_reference(spec, x):
    return jax.nn.relu(x)


def _relu_fwd(spec, x):
    y = jnp.where(x <= 0, 0, x)
    return y, y


def _relu_bwd(spec, y, dy):
    return (jnp.where(y > 0, dy, 0),)


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
# Residuals: y where its sign tells x's, which is for a >= 0; x otherwise.
# Reference: a select between the two branches; the rule multiplies by the slope.


def _leaky_relu_reference(spec, x):
    return jnp.where(x > 0, x, spec.negative_slope * x)


def _leaky_relu_fwd(spec, x):
    y = x * jnp.where(x > 0, jnp.ones((), x.dtype), jnp.asarray(spec.negative_slope, x.dtype))
    return y, y if spec.negative_slope >= 0 else x


def _leaky_relu_bwd(spec, same_sign, dy):
    return (jnp.where(same_sign > 0, dy, spec.negative_slope * dy),)


define(Rule("leaky_relu", _leaky_relu_reference, _leaky_relu_fwd, _leaky_relu_bwd))


def sigmoid(x: jax.Array) -> jax.Array:
    """Logistic sigmoid: 1 / (1 + exp(-x)), a probability.

    Args:
      x: any shape, floating.

    Returns:
      An array of x's shape and dtype, computed in float32 or better.

    Raises:
      TypeError: x is not floating.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.sigmoid(jnp.array([-1000.0, 0.0])))
      [0.  0.5]

    Reference: C. Bishop, "Pattern Recognition and Machine Learning", section 4.2.
    """
    return apply("sigmoid", (), _checks.floating("sigmoid", "x", x))


# Sigmoid, derived.
#   forward   y  = 1 / (1 + exp(-x))
#   dx        dx = dy y (1 - y)
# Residuals: y, which the next layer keeps anyway.
# Reference: (1 + tanh(x / 2)) / 2, the same function by another way.


def _sigmoid_reference(spec, x):
    (wide,) = widened(x)
    return _narrow((1 + jnp.tanh(wide / 2)) / 2, x)


def _sigmoid_fwd(spec, x):
    (wide,) = widened(x)
    y = _narrow(lax.logistic(wide), x)
    return y, y


def _sigmoid_bwd(spec, y, dy):
    wide, dy = widened(y, dy)
    return (like_primal(dy * (wide * (1 - wide)), y),)


define(Rule("sigmoid", _sigmoid_reference, _sigmoid_fwd, _sigmoid_bwd))


def tanh(x: jax.Array) -> jax.Array:
    """Hyperbolic tangent.

    Args:
      x: any shape, floating.

    Returns:
      An array of x's shape and dtype, computed in float32 or better.

    Raises:
      TypeError: x is not floating.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.tanh(jnp.array([0.0, 1000.0])))
      [0. 1.]

    Reference: Y. LeCun et al., "Efficient BackProp", section 4.4.
    """
    return apply("tanh", (), _checks.floating("tanh", "x", x))


# Tanh, derived.
#   forward   y  = tanh(x)
#   dx        dx = dy (1 - y^2) = dy (1 - y) (1 + y)
# Residuals: y, which the next layer keeps anyway.
# Reference: lax.tanh.


def _tanh_reference(spec, x):
    return _narrow(lax.tanh(*widened(x)), x)


def _tanh_fwd(spec, x):
    y = _narrow(jnp.tanh(*widened(x)), x)
    return y, y


def _tanh_bwd(spec, y, dy):
    wide, dy = widened(y, dy)
    return (like_primal(dy * ((1 - wide) * (1 + wide)), y),)


define(Rule("tanh", _tanh_reference, _tanh_fwd, _tanh_bwd))


def softmax(x: jax.Array, axis: int | tuple[int, ...] = -1) -> jax.Array:
    """Softmax: exp(x) / sum(exp(x)) over the given axes, a distribution.

    Args:
      x: floating, with at least one dimension.
      axis: the axis or axes that sum to one.

    Returns:
      An array of x's shape and dtype, computed in float32 or better.

    Raises:
      ValueError: an axis does not exist or is named twice.
      TypeError: x is not floating, or axis is not an int.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.softmax(jnp.array([0.0, 0.0, 1000.0, 1000.0])))
      [0.  0.  0.5 0.5]

    Reference: J. Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.
    """
    x = _checks.floating("softmax", "x", x)
    return apply("softmax", AxisSpec(_checks.axes("softmax", "axis", axis, x.ndim)), x)


# Softmax, derived.
#   forward   y_k  = exp(x_k) / sum_j exp(x_j)
#   dx        dx_k = y_k (dy_k - sum_j dy_j y_j), since dy_j/dx_k = y_j ([j = k] - y_k)
# Residuals: y alone.
# Reference: exp(x - logsumexp(x)); the rule divides, which rounds less.


def _shifted(spec: Any, x: jax.Array) -> jax.Array:
    """x less its maximum, which changes no softmax and keeps exp in range."""
    return x - lax.stop_gradient(jnp.max(x, axis=spec.axis, keepdims=True, initial=-jnp.inf))


def _softmax_reference(spec, x):
    (wide,) = widened(x)
    return _narrow(jnp.exp(wide - jax.nn.logsumexp(wide, axis=spec.axis, keepdims=True)), x)


def _softmax_fwd(spec, x):
    exponentials = jnp.exp(_shifted(spec, *widened(x)))
    y = _narrow(exponentials / jnp.sum(exponentials, axis=spec.axis, keepdims=True), x)
    return y, y


def _softmax_bwd(spec, y, dy):
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
      ValueError: an axis does not exist or is named twice.
      TypeError: x is not floating, or axis is not an int.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.log_softmax(jnp.array([0.0, 1000.0])))
      [-1000.     0.]

    Reference: C. Bishop, "Pattern Recognition and Machine Learning", section 4.3.4.
    """
    x = _checks.floating("log_softmax", "x", x)
    return apply("log_softmax", AxisSpec(_checks.axes("log_softmax", "axis", axis, x.ndim)), x)


# Log-softmax, derived.
#   forward   y_k  = x_k - log sum_j exp(x_j)
#   dx        dx_k = dy_k - exp(y_k) sum_j dy_j
# Residuals: y alone.
# Reference: x less jax.nn.logsumexp.


def _log_softmax_reference(spec, x):
    (wide,) = widened(x)
    return _narrow(wide - jax.nn.logsumexp(wide, axis=spec.axis, keepdims=True), x)


def _log_softmax_fwd(spec, x):
    shifted = _shifted(spec, *widened(x))
    total = jnp.sum(jnp.exp(shifted), axis=spec.axis, keepdims=True)
    y = _narrow(shifted - jnp.log(total), x)
    return y, y


def _log_softmax_bwd(spec, y, dy):
    wide, dy = widened(y, dy)
    total = jnp.sum(dy, axis=spec.axis, keepdims=True)
    return (like_primal(dy - jnp.exp(wide) * total, y),)


define(Rule("log_softmax", _log_softmax_reference, _log_softmax_fwd, _log_softmax_bwd))
