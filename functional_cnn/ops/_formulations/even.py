"""Convolution with an even number of channels, one of them zeros where the number is odd, for YNNPACK.

An odd number from 3 on takes YNNPACK up to 9 times as long as the next even one where it makes 17 to 32: a 3x3 window,
3 to 24 channels on 8 x 112^2 pixels, 20 ms, and 2.7 with a channel of zeros; 3 to 32 with a stride of 2 on 8 x 224^2,
with which MobileNets begin, 8.4 and 4.5. For dkernel the images are what channels are here. 70 random shapes within
the bounds took 0.11 to 1.03 times as long, 0.66 in the middle; beyond them zeros cost up to 1.5 times.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn.ops._formulations import canonical

_FEWEST = 3  # channels
_FEWEST_MADE, _MOST_MADE = 17, 32


def convolve(
    lhs: jax.Array, rhs: jax.Array, *, dimension_numbers: tuple[str, str, str], **options: Any
) -> jax.Array:
    """``canonical.convolve``, with one more channel of zeros where that pays."""
    of_lhs, of_rhs, _ = dimension_numbers
    axis, of_kernel, made = of_lhs.index("C"), of_rhs.index("I"), rhs.shape[of_rhs.index("O")]
    ungrouped = lhs.shape[axis] == rhs.shape[of_kernel]
    pays = _taken(lhs, options["lhs_dilation"]) and _FEWEST_MADE <= made <= _MOST_MADE
    if ungrouped and pays and _odd(lhs, axis) and _odd(rhs, of_kernel):
        lhs, rhs = _with_zeros(lhs, axis), _with_zeros(rhs, of_kernel)
    return canonical.convolve(lhs, rhs, dimension_numbers=dimension_numbers, **options)


def _taken(lhs: jax.Array, dilation: tuple[int, ...]) -> bool:
    """Whether YNNPACK takes the convolution, of those for which it matters."""
    return lhs.ndim == 4 and lhs.dtype != jnp.float64 and max(dilation) == 1


def _odd(x: jax.Array, axis: int) -> bool:
    """Whether the number along an axis is odd; not where a mesh of Explicit axes splits it, which JAX does not pad."""
    size, split = x.shape[axis], tuple(jax.typeof(x).sharding.spec)[axis]
    return size >= _FEWEST and size % 2 == 1 and split is None


def _with_zeros(x: jax.Array, axis: int) -> jax.Array:
    config = [(0, int(other == axis), 0) for other in range(x.ndim)]
    return lax.pad(x, jnp.zeros((), x.dtype), config)
