"""Dropout: of single entries or channels, of whole examples (stochastic depth), and of blocks of pixels."""

import functools
import math
import operator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from functional_cnn import _checks, _pool_window, _views
from functional_cnn._numerics import accumulator, widened
from functional_cnn._window import Sizes, Window
from functional_cnn.rule import Rule, apply, define


class DropoutSpec(NamedTuple):
    rate: float
    broadcast_axes: tuple[int, ...]


class DropBlockSpec(NamedTuple):
    rate: float
    block: Sizes


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


def stochastic_depth(x: jax.Array, key: jax.Array, *, rate: float) -> jax.Array:
    """Sets whole examples to zero with probability ``rate`` and scales the rest by 1 / (1 - rate).

    y[n] = x[n] b[n] / (1 - rate), b[n] ~ Bernoulli(1 - rate): on a residual branch, the block is skipped.
    torchvision's ``mode="row"``.

    Args:
      x: (N, ...), floating, with at least one dimension.
      key: one PRNG key. Equal keys drop equal examples.
      rate: the probability of dropping, in [0, 1); a Python number.

    Returns:
      An array of x's shape and dtype.

    Raises:
      ValueError: rate is outside [0, 1), or x is a scalar.
      TypeError: x is not floating, key is not a key, or rate is not a number.

    Example:
      >>> import jax, jax.numpy as jnp, functional_cnn as fcnn
      >>> y = fcnn.stochastic_depth(jnp.ones((1000, 3)), jax.random.key(0), rate=0.5)
      >>> print(sorted({float(v) for v in y.sum(1)}), 0.9 < float(y.mean()) < 1.1)
      [0.0, 6.0] True

    Reference: G. Huang et al., "Deep networks with stochastic depth", arXiv:1603.09382, section 3.
    """
    function = "stochastic_depth"
    x = _checks.floating(function, "x", x)
    if x.ndim < 1:
        raise ValueError(f"{function}: x must have shape (N, ...), got a scalar")
    key = _checks.key(function, key)
    spec = DropoutSpec(_checks.fraction(function, "rate", rate), tuple(range(1, x.ndim)))
    return apply(function, spec, x, key)


# Dropout, derived. Stochastic depth is the dropout whose draw serves all axes but the first.
#   forward   y  = x m / (1 - rate),   m drawn from the key
#   dx        dx = dy m / (1 - rate)
# Residuals: m, a byte a value. To draw it again from the key takes some 20 times as long as the rest of dx.
# Reference: select, then scale.


def _mask(spec, shape, key):
    drawn = tuple(1 if axis in spec.broadcast_axes else n for axis, n in enumerate(shape))
    return jax.random.bernoulli(key, 1 - spec.rate, drawn)


def _reference(spec, x, key):
    (wide,) = widened(x)
    return (jnp.where(_mask(spec, x.shape, key), wide, 0) / (1 - spec.rate)).astype(x.dtype)


def _keep(spec, x, mask):
    if mask is None:
        return x
    (wide,) = widened(x)
    return jnp.where(mask, wide / (1 - spec.rate), 0).astype(x.dtype)


def _fwd(spec, x, key):
    mask = None if spec.rate == 0 else _mask(spec, x.shape, key)
    return _keep(spec, x, mask), mask


def _bwd(spec, mask, dy):
    return _keep(spec, dy, mask), None


define(Rule("dropout", _reference, _fwd, _bwd))
define(Rule("stochastic_depth", _reference, _fwd, _bwd))


def drop_block(x: jax.Array, key: jax.Array, *, rate: float, block_size: int | tuple[int, ...]) -> jax.Array:
    """Sets blocks of neighbouring pixels of a channel to zero and scales the rest up by the share that is left.

    y = x m |m| / sum(m), where m is zero in every block whose first pixel was drawn,
    with probability rate prod(H / (block (H - block + 1))) for each pixel at which a block fits.

    Args:
      x: (N, *spatial, C), floating; 1, 2 or 3 spatial dimensions.
      key: one PRNG key. Equal keys drop equal blocks.
      rate: the share of pixels to drop, in [0, 1), which overlapping blocks make a little smaller.
      block_size: the block's size, an int or one for each spatial axis; a block is at most the image.

    Returns:
      An array of x's shape and dtype. The scale is one number for all of x; in a ``shard_map``, for the shard.

    Raises:
      ValueError: rate is outside [0, 1), or block_size is less than 1.
      TypeError: x is not floating, key is not a key, or rate is not a number.

    Example:
      >>> import jax, jax.numpy as jnp, functional_cnn as fcnn
      >>> y = fcnn.drop_block(jnp.ones((1, 32, 32, 1)), jax.random.key(0), rate=0.3, block_size=3)
      >>> print(0.2 < float((y == 0).mean()) < 0.4, round(float(y.mean()), 3))
      True 1.0

    Reference: G. Ghiasi, T. Lin and Q. Le, "DropBlock: a regularization method for convolutional networks",
    arXiv:1810.12890, algorithm 1 and equation 1.
    """
    function = "drop_block"
    x = _checks.floating(function, "x", x)
    rank = _checks.spatial(function, x)
    key = _checks.key(function, key)
    sizes = _checks.per_axis(function, "block_size", block_size, rank)
    block = tuple(min(size, max(n, 1)) for size, n in zip(sizes, x.shape[1:-1], strict=True))
    return apply(function, DropBlockSpec(_checks.fraction(function, "rate", rate), block), x, key)


# DropBlock, derived.    m drawn from the key, s = |m| / sum m
#   forward   y  = x m s
#   dx        dx = dy m s
# Residuals: m, a byte a value, and s.
# Formulation: m is spread from the first pixels of blocks over the blocks as a pool sums, in shifted views.
# Reference: lax.reduce_window spreads it.


def _block_starts(spec, shape, key):
    """Whether a block starts at a pixel, for the pixels at which one fits."""
    batch, *inputs, channels = shape
    places = [n - b + 1 for n, b in zip(inputs, spec.block, strict=True)]
    probability = spec.rate * math.prod(inputs) / max(math.prod(spec.block) * math.prod(places), 1)
    return jax.random.bernoulli(key, probability, (batch, *places, channels))


def _scale(kept, dtype):
    total = jnp.sum(kept, dtype=dtype)
    return kept.size / jnp.where(total == 0, 1, total)


def _drop_block_reference(spec, x, key):
    starts = _block_starts(spec, x.shape, key)
    window, pads = (1, *spec.block, 1), ((0, 0), *((b - 1, b - 1) for b in spec.block), (0, 0))
    dropped = lax.reduce_window(starts.astype(np.int32), np.int32(0), lax.max, window, (1,) * x.ndim, pads)
    (wide,) = widened(x)
    return (jnp.where(dropped == 0, wide, 0) * _scale(dropped == 0, wide.dtype)).astype(x.dtype)


def _dropped(spec, shape, key):
    """Whether a pixel is in a block."""
    dropped, ones = _block_starts(spec, shape, key), (1,) * len(spec.block)
    block = Window(spec.block, ones, tuple((b - 1, b - 1) for b in spec.block), ones)
    for stage, _ in _pool_window.stages(block, dropped.shape[1:-1]):
        dropped = functools.reduce(operator.or_, _views.tap_views(dropped, stage))
    return dropped


def _scale_rest(x, dropped, scale):
    (wide,) = widened(x)
    return jnp.where(dropped, 0, wide * scale).astype(x.dtype)


def _drop_block_fwd(spec, x, key):
    if spec.rate == 0:
        return x, None
    dropped = _dropped(spec, x.shape, key)
    residuals = dropped, _scale(~dropped, accumulator(x.dtype))
    return _scale_rest(x, *residuals), residuals


def _drop_block_bwd(spec, residuals, dy):
    return dy if residuals is None else _scale_rest(dy, *residuals), None


define(Rule("drop_block", _drop_block_reference, _drop_block_fwd, _drop_block_bwd))
