"""Dropout."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from functional_cnn import _checks
from functional_cnn.rule import Rule, apply, define


class DropoutSpec(NamedTuple):
    rate: float
    broadcast_axes: tuple[int, ...]


def dropout(
    x: jax.Array, key: jax.Array, *, rate: float, broadcast_axes: int | tuple[int, ...] = ()
) -> jax.Array:
    """Sets entries to zero with probability ``rate`` and scales the rest by 1 / (1 - rate).

    y = x m / (1 - rate), m ~ Bernoulli(1 - rate), so that the expectation of y is x.

    Args:
      x: any shape, floating.
      key: one PRNG key. Equal keys drop equal entries.
      rate: the probability of dropping, in [0, 1); a Python number.
      broadcast_axes: axes along which one draw serves all entries; the spatial axes give spatial dropout,
        which drops whole channels.

    Returns:
      An array of x's shape and dtype.

    Raises:
      ValueError: rate is outside [0, 1), or an axis does not exist.
      TypeError: x is not floating, key is not a key, or rate is not a number.

    Example:
      >>> import jax, jax.numpy as jnp, functional_cnn as fcnn
      >>> y = fcnn.dropout(jnp.ones(1000), jax.random.key(0), rate=0.5)
      >>> print(sorted({float(v) for v in y}), 0.9 < float(y.mean()) < 1.1)
      [0.0, 2.0] True

    Reference: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting",
    JMLR 15 (2014), section 4; spatial dropout: J. Tompson et al., arXiv:1411.4280, section 3.2.
    """
    x = _checks.floating("dropout", "x", x)
    key = _checks.key("dropout", key)
    spec = DropoutSpec(
        _checks.fraction("dropout", "rate", rate),
        _checks.axes("dropout", "broadcast_axes", broadcast_axes, x.ndim),
    )
    return apply("dropout", spec, x, key)


# Dropout, derived.
#   forward   y  = x m / (1 - rate),   m drawn from the key
#   dx        dx = dy m / (1 - rate)
# Residuals: the key, from which the mask is drawn again. Nothing of x's size is kept, where JAX's own
# gradient keeps the mask.
# Reference: select, then scale.


def _mask(spec, shape, key):
    drawn = tuple(1 if axis in spec.broadcast_axes else n for axis, n in enumerate(shape))
    return jax.random.bernoulli(key, 1 - spec.rate, drawn)


def _reference(spec, x, key):
    return jnp.where(_mask(spec, x.shape, key), x, 0) / (1 - spec.rate)


def _keep(spec, x, key):
    if spec.rate == 0:
        return x
    return jnp.where(_mask(spec, x.shape, key), x / (1 - spec.rate), 0)


def _fwd(spec, x, key):
    return _keep(spec, x, key), key


def _bwd(spec, key, dy):
    return _keep(spec, dy, key), None


define(Rule("dropout", _reference, _fwd, _bwd))
