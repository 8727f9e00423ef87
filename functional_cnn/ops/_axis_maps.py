"""Static sparse linear maps along one axis of an array, for resizing and adaptive pooling.

Output i along the axis reads a few inputs, its taps, at positions and with weights that are known when the
op is traced. A map is applied as a sum over the taps of one gather each, which XLA fuses into one loop.
Measured on CPU against strided slices for each phase of a rational scale, and against dense matrices: 2x
linear upsampling is up to 4 times faster than by slices and 6 times faster than by matrices, and averaging
224 pixels to 7 is 3 times faster than by matrices, whose zeros would spread NaN besides.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

# More taps than this run in a loop: written out, a few hundred take seconds to compile.
_MOST_TAPS_AT_ONCE = 64


class AxisMap(NamedTuple):
    """y[i] = sum over t of weights[t, i] x[positions[t, i]]; where a weight is 0 there is no tap."""

    positions: np.ndarray  # (taps, outputs), integers
    weights: np.ndarray  # (taps, outputs)


def pairs(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of an output and an input that it reads, once each, in order of both.

    Args:
      positions: (taps, outputs), in a tap's order not falling.
    """
    first = np.diff(positions, axis=0, prepend=positions[:1] - 1) > 0
    outputs, tap = np.nonzero(first.T)
    return outputs, positions[tap, outputs]


def axis_map(outputs: np.ndarray, inputs: np.ndarray, weights: np.ndarray, size: int) -> AxisMap:
    """The map onto ``size`` outputs in which outputs[k] reads inputs[k] times weights[k], for every k.

    With outputs and inputs exchanged it is the transpose. The taps of an output are in the order of k.
    """
    kept = np.flatnonzero(weights)
    kept = kept[np.argsort(outputs[kept], kind="stable")]
    outputs, inputs, weights = outputs[kept], inputs[kept], weights[kept]
    counts = np.bincount(outputs, minlength=size)
    tap = np.arange(len(outputs)) - np.repeat(np.cumsum(counts) - counts, counts)
    shape = (counts.max(), size)
    found = AxisMap(np.zeros(shape, np.int32), np.zeros(shape))
    found.positions[tap, outputs] = inputs
    found.weights[tap, outputs] = weights
    return found


def apply_map(taps: AxisMap, x: jax.Array, axis: int) -> jax.Array:
    """The map applied to ``x`` along an axis."""
    full = taps.weights.all()

    def term(positions, weights):
        weights = along(weights, axis, x.ndim)
        product = take(x, positions, axis) * weights
        # Where there is no tap, a NaN read in its place must not enter.
        return product if full else jnp.where(weights == 0, 0, product)

    return sum_over_taps(term, taps._replace(weights=taps.weights.astype(x.dtype)))


def sum_over_taps(term: Callable[[Any, Any], jax.Array], taps: AxisMap) -> jax.Array:
    """The sum over t of term(positions[t], weights[t])."""
    first = term(taps.positions[0], taps.weights[0])
    rest = taps.positions[1:], taps.weights[1:]
    return fold(lambda total, tap: total + term(*tap), first, rest)


def take(x: jax.Array, positions: Any, axis: int) -> jax.Array:
    """The entries of ``x`` at positions along an axis."""
    return jnp.take(x, positions, axis=axis, mode="clip")


def along(values: Any, axis: int, ndim: int) -> Any:
    """Values along an axis, in a shape that broadcasts with arrays of ``ndim`` dimensions."""
    return values.reshape([-1 if a == axis else 1 for a in range(ndim)])


def fold(
    step: Callable[[Any, Any], Any],
    carry: Any,
    taps: tuple[np.ndarray, ...],
    *,
    at_once: int = _MOST_TAPS_AT_ONCE,
) -> Any:
    """The carry after ``step(carry, tap)`` for every tap: the arrays' rows, taken together."""
    if len(taps[0]) > at_once:
        return lax.scan(lambda carry, tap: (step(carry, tap), None), carry, taps, unroll=4)[0]
    for tap in zip(*taps, strict=True):
        carry = step(carry, tap)
    return carry
