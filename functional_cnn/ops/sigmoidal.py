"""The sigmoid and its kin: its logarithm, its integral, and other curves between two levels."""

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn import _checks
from functional_cnn.ops._elementwise import define_elementwise
from functional_cnn.rule import apply


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
# Reference: lax.logistic.

define_elementwise(
    "sigmoid",
    reference=lambda spec, x: lax.logistic(x),
    value=lambda spec, x: lax.logistic(x),
    slope=lambda spec, y: y * (1 - y),
    residual="y",
)


def log_sigmoid(x: jax.Array) -> jax.Array:
    """Logarithm of the sigmoid: -log(1 + exp(-x)), in nats.

    Args:
      x: any shape, floating.

    Returns:
      An array of x's shape and dtype, computed in float32 or better.

    Raises:
      TypeError: x is not floating.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.log_sigmoid(jnp.array([-1000.0, 1000.0])))
      [-1000.    -0.]

    Reference: C. Bishop, "Pattern Recognition and Machine Learning", section 4.2.
    """
    return apply("log_sigmoid", (), _checks.floating("log_sigmoid", "x", x))


# Log-sigmoid, derived.
#   forward   y  = -log(1 + exp(-x)) = -softplus(-x)
#   dx        dx = dy / (1 + exp(x))
# Residuals: the slope. From y it is 1 - exp(y), which loses its digits where y is near zero.
# Reference: -logaddexp(0, -x).


def _softplus(x):
    # log(1 + exp(x)) with an exponential that is at most 1. Its argument is selected, not -|x|, whose own
    # derivative at zero would be 0.
    return jnp.where(x > 0, x, 0) + jnp.log1p(jnp.exp(jnp.where(x > 0, -x, x)))


define_elementwise(
    "log_sigmoid",
    reference=lambda spec, x: -jnp.logaddexp(jnp.zeros_like(x), -x),
    value=lambda spec, x: -_softplus(-x),
    slope=lambda spec, x: lax.logistic(-x),
    residual="slope",
)


def softplus(x: jax.Array) -> jax.Array:
    """Softplus: log(1 + exp(x)), a smooth ReLU; PyTorch's with beta=1.

    Args:
      x: any shape, floating.

    Returns:
      An array of x's shape and dtype, computed in float32 or better.

    Raises:
      TypeError: x is not floating.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.softplus(jnp.array([-1000.0, 1000.0])))
      [   0. 1000.]

    Reference: C. Dugas et al., "Incorporating second-order functional knowledge for better option pricing",
    NIPS 2000.
    """
    return apply("softplus", (), _checks.floating("softplus", "x", x))


# Softplus, derived.
#   forward   y  = log(1 + exp(x))
#   dx        dx = dy / (1 + exp(-x))
# Residuals: the slope. From y it is 1 - exp(-y), which loses its digits where y is near zero.
# Reference: logaddexp(0, x).

define_elementwise(
    "softplus",
    reference=lambda spec, x: jnp.logaddexp(jnp.zeros_like(x), x),
    value=lambda spec, x: _softplus(x),
    slope=lambda spec, x: lax.logistic(x),
    residual="slope",
)


def softsign(x: jax.Array) -> jax.Array:
    """Softsign: x / (1 + |x|).

    Args:
      x: any shape, floating.

    Returns:
      An array of x's shape and dtype, computed in float32 or better.

    Raises:
      TypeError: x is not floating.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.softsign(jnp.array([-3.0, 0.0, 1.0])))
      [-0.75  0.    0.5 ]

    Reference: X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010, section 3.
    """
    return apply("softsign", (), _checks.floating("softsign", "x", x))


# Softsign, derived.
#   forward   y  = x / (1 + |x|)
#   dx        dx = dy / (1 + |x|)^2 = dy (1 - |y|)^2
# Residuals: x; 1 - |y| would lose its digits where |y| is near one.
# Reference: the two branches x / (1 + x) and x / (1 - x).

define_elementwise(
    "softsign",
    reference=lambda spec, x: jnp.where(
        x < 0, x / (1 - jnp.where(x < 0, x, 0)), x / (1 + jnp.where(x < 0, 0, x))
    ),
    value=lambda spec, x: x / (1 + jnp.abs(x)),
    slope=lambda spec, x: 1 / jnp.square(1 + jnp.abs(x)),
    residual="x",
)


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

define_elementwise(
    "tanh",
    reference=lambda spec, x: lax.tanh(x),
    value=lambda spec, x: jnp.tanh(x),
    slope=lambda spec, y: (1 - y) * (1 + y),
    residual="y",
)
