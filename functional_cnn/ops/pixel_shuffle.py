"""Moving pixels into channels and back."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from functional_cnn import _checks
from functional_cnn._window import Sizes
from functional_cnn.rule import Rule, apply, define


class ShuffleSpec(NamedTuple):
    factor: Sizes


def pixel_shuffle(x: jax.Array, factor: int | tuple[int, ...]) -> jax.Array:
    """Spreads groups of channels over blocks of pixels: sub-pixel upsampling.

    y[n, q r + t, c] = x[n, q, c R + t], with t the offset in a block of r pixels along each axis, numbered in
    row-major order among R = prod(r) where it names a channel.

    Args:
      x: (N, *spatial, C R), floating; 1, 2 or 3 spatial dimensions.
      factor: r, an int for all spatial axes or one for each.

    Returns:
      (N, *(spatial r), C) of x's dtype.

    Raises:
      ValueError: a factor does not fit, or R does not divide x's channels.
      TypeError: x is not floating, or factor is not an int.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.pixel_shuffle(jnp.array([[[1.0, 2.0], [3.0, 4.0]]]), 2).ravel())
      [1. 2. 3. 4.]

    This is ``torch.nn.functional.pixel_shuffle`` with channels last.

    Reference: W. Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel
    convolutional neural network", arXiv:1609.05158, section 3.2.
    """
    x, spec = _checked("pixel_shuffle", x, factor)
    if x.shape[-1] % math.prod(spec.factor):
        raise ValueError(
            f"pixel_shuffle: x must have a multiple of {math.prod(spec.factor)} channels, one for each pixel of "
            f"a block of {spec.factor}, got {x.shape[-1]}"
        )
    return apply("pixel_shuffle", spec, x)


def pixel_unshuffle(x: jax.Array, factor: int | tuple[int, ...]) -> jax.Array:
    """Gathers blocks of pixels into channels, the inverse of ``pixel_shuffle``: space to depth.

    y[n, q, c R + t] = x[n, q r + t, c], with t the offset in a block of r pixels along each axis, numbered in
    row-major order among R = prod(r) where it names a channel.

    Args:
      x: (N, *spatial, C), floating; 1, 2 or 3 spatial dimensions.
      factor: r, an int for all spatial axes or one for each.

    Returns:
      (N, *(spatial / r), C R) of x's dtype.

    Raises:
      ValueError: a factor does not divide its axis of x.
      TypeError: x is not floating, or factor is not an int.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.pixel_unshuffle(jnp.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1), 2))
      [[[1. 2.]
        [3. 4.]]]

    This is ``torch.nn.functional.pixel_unshuffle`` with channels last.

    Reference: W. Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel
    convolutional neural network", arXiv:1609.05158, section 3.2, of which it is the inverse.
    """
    x, spec = _checked("pixel_unshuffle", x, factor)
    if any(n % r for n, r in zip(x.shape[1:-1], spec.factor, strict=True)):
        raise ValueError(
            f"pixel_unshuffle: factor {spec.factor} must divide x's spatial shape, got {x.shape[1:-1]}"
        )
    return apply("pixel_unshuffle", spec, x)


def _checked(function: str, x: jax.Array, factor: int | tuple[int, ...]) -> tuple[jax.Array, ShuffleSpec]:
    x = _checks.floating(function, "x", x)
    rank = _checks.spatial(function, x)
    return x, ShuffleSpec(_checks.per_axis(function, "factor", factor, rank))


# Pixel shuffle, derived.    block q, offset t in a block of r, R = prod(r)
#   shuffle     y[n, q r + t, c] = x[n, q, c R + t],   dx[n, q, c R + t] = dy[n, q r + t, c]
#   unshuffle   y[n, q, c R + t] = x[n, q r + t, c],   dx[n, q r + t, c] = dy[n, q, c R + t]
# Both are permutations, so the adjoint is the inverse: each op's backward is the other's forward.
# Residuals: none.
# Formulation: a transposition of all axes at once. To gather many channels so takes XLA:CPU 1.1 to 3.7 times as long as
# to exchange channels and offsets of each row of a block, and to stack the rows; that of few 0.4 to 1 times.
# Reference: one image for each offset, its pixels spread by lax.pad or taken by a strided slice.


_FEW_CHANNELS = 48  # made by pixel_unshuffle

# Axes are split and merged one at a time, since a reshape of several leaves a mesh of Explicit axes in doubt.


def _shuffle(factor: Sizes, x: jax.Array) -> jax.Array:
    rank = len(factor)
    x = _split(x, 1 + rank, (x.shape[-1] // math.prod(factor), *factor))
    pairs = (axis for i in range(rank) for axis in (1 + i, 2 + rank + i))
    x = x.transpose(0, *pairs, 1 + rank)  # (N, block, offset, ..., C)
    for axis in range(1, 1 + rank):
        x = lax.collapse(x, axis, axis + 2)
    return x


def _unshuffle(factor: Sizes, x: jax.Array) -> jax.Array:
    rank = len(factor)
    for axis in reversed(range(rank)):
        x = _split(x, 1 + axis, (x.shape[1 + axis] // factor[axis], factor[axis]))
    if x.shape[-1] * math.prod(factor) <= _FEW_CHANNELS:
        return _at_once(x)
    return lax.platform_dependent(x, cpu=_by_rows, default=_at_once)


def _at_once(blocks: jax.Array) -> jax.Array:
    """(N, block, offset, ..., C) to (N, block, ..., C R)"""
    last = blocks.ndim - 1
    every, offsets = range(1, last, 2), range(2, last, 2)
    return lax.collapse(blocks.transpose(0, *every, last, *offsets), 1 + len(every))


def _by_rows(blocks: jax.Array) -> jax.Array:
    """The same, of which each row of a block is an array by itself that exchanges its offsets and the channels."""
    outer = blocks.shape[2:-3:2]
    rows = []
    for offset in np.ndindex(outer):
        row = blocks[(slice(None), *(index for t in offset for index in (slice(None), t)))]
        rows.append(jnp.swapaxes(row, -1, -2))
    return lax.collapse(jnp.stack(rows, -2), 2 + len(outer))


def _split(x: jax.Array, axis: int, sizes: Sizes) -> jax.Array:
    return x.reshape(*x.shape[:axis], *sizes, *x.shape[axis + 1 :])


def _shuffle_reference(spec, x):
    count = math.prod(spec.factor)
    zero = np.zeros((), x.dtype)
    spread = []
    for number, offset in enumerate(np.ndindex(spec.factor)):
        config = [(t, r - 1 - t, r - 1) for t, r in zip(offset, spec.factor, strict=True)]
        spread.append(lax.pad(x[..., number::count], zero, [(0, 0, 0), *config, (0, 0, 0)]))
    return sum(spread[1:], spread[0])


def _unshuffle_reference(spec, x):
    images = []
    for offset in np.ndindex(spec.factor):
        every = (slice(t, None, r) for t, r in zip(offset, spec.factor, strict=True))
        images.append(x[(slice(None), *every)])
    return lax.collapse(jnp.stack(images, axis=-1), x.ndim - 1)


def _shuffle_fwd(spec, x):
    return _shuffle(spec.factor, x), None


def _shuffle_bwd(spec, _, dy):
    return (_unshuffle(spec.factor, dy),)


def _unshuffle_fwd(spec, x):
    return _unshuffle(spec.factor, x), None


def _unshuffle_bwd(spec, _, dy):
    return (_shuffle(spec.factor, dy),)


define(Rule("pixel_shuffle", _shuffle_reference, _shuffle_fwd, _shuffle_bwd))
define(Rule("pixel_unshuffle", _unshuffle_reference, _unshuffle_fwd, _unshuffle_bwd))
