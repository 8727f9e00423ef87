"""Maxima of what each output reads along one axis, in loops over what it reads."""

import jax
import jax.numpy as jnp
import numpy as np

from functional_cnn.ops._axis_maps import along, axis_map, fold, pairs, sum_over_taps, take

# XLA would fuse the search for the first maximum into the backward sweep, which then searches anew for every input
# pixel: 4 times slower at 32 to 56 pixels.
_MOST_COMPARISONS_AT_ONCE = 4


def first_maximum(x: jax.Array, positions: np.ndarray, axis: int) -> tuple[jax.Array, jax.Array]:
    """The maximum of what each output reads along an axis, and the position of the first one.

    Args:
      x: the array.
      positions: (taps, outputs), in a tap's order not falling. One that is read again is never the first maximum.
      axis: of x.
    """
    positions = positions.astype(np.int8 if x.shape[axis] <= 128 else np.int32)

    def larger(best, tap):
        view = take(x, tap[0], axis)
        better = ~(view <= best) & ~jnp.isnan(best)  # a larger value or the first NaN
        return jnp.where(better, view, best)

    def earlier(index, tap):
        view = take(x, tap[0], axis)
        return jnp.where((view == best) | jnp.isnan(view), along(tap[0], axis, x.ndim), index)

    best = fold(larger, take(x, positions[0], axis), (positions[1:],), at_once=_MOST_COMPARISONS_AT_ONCE)
    last = jnp.zeros_like(best, positions.dtype) + along(positions[-1], axis, x.ndim)
    # The index is found by a second look, backward, as in max pooling.
    return best, fold(earlier, last, (positions[-2::-1],), at_once=_MOST_COMPARISONS_AT_ONCE)


def sum_at_maxima(dy: jax.Array, index: jax.Array, positions: np.ndarray, axis: int, size: int) -> jax.Array:
    """The adjoint: for each of ``size`` positions along an axis the sum of dy over the outputs whose index is there."""
    outputs, inputs = pairs(positions)
    readers = axis_map(inputs, outputs, np.ones(len(outputs)), size)
    own = along(np.arange(size, dtype=index.dtype), axis, dy.ndim)

    def term(places, present):
        mine = (take(index, places, axis) == own) & along(present != 0, axis, dy.ndim)
        return jnp.where(mine, take(dy, places, axis), 0)

    return sum_over_taps(term, readers)
