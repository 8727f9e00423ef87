"""Max unpooling."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_cnn import _checks
from functional_cnn._window import Sizes
from functional_cnn.rule import Rule, apply, define


class UnpoolSpec(NamedTuple):
    outputs: Sizes


def max_unpool(y: jax.Array, indices: jax.Array, output_size: int | tuple[int, ...]) -> jax.Array:
    """Puts pooled values back to the pixels they came from; all others are zero.

    x[n, q, c] = y[n, p, c] for the last p, in row-major order, with indices[n, p, c] = q.

    Args:
      y: (N, *spatial, C), floating; 1, 2 or 3 spatial dimensions.
      indices: of y's shape, integers; a pixel's row-major number in the output, as ``max_pool_with_indices``
        gives it. Overlapping windows may name a pixel more than once.
      output_size: the output's spatial sizes, an int or one for each axis: those of the image that was
        pooled. PyTorch's default, (size - 1) stride - 2 padding + window, is for the caller to say.

    Returns:
      (N, *output_size, C) of y's dtype. An index outside the output makes its channel of its example NaN, as
      no result is defined for it.

    Raises:
      ValueError: a shape does not fit.
      TypeError: y is not floating, or indices are not integers.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> y, indices = fcnn.max_pool_with_indices(jnp.array([3.0, 1.0, 2.0, 5.0]).reshape(1, 4, 1), 2)
      >>> print(fcnn.max_unpool(y, indices, 4).ravel())
      [3. 0. 0. 5.]

    Reference: M. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks",
    arXiv:1311.2901, section 2.1.
    """
    function = "max_unpool"
    y = _checks.floating(function, "y", y)
    rank = _checks.spatial(function, y, "y")
    indices = _checks.array(function, "indices", indices)
    if not jnp.issubdtype(indices.dtype, jnp.integer):
        raise TypeError(f"{function}: indices must be integers, got dtype {indices.dtype}")
    _checks.same_shape(function, "indices", indices, "y", y)
    if jnp.iinfo(indices.dtype).bits < 32:
        indices = indices.astype(jnp.int32)  # which holds the number of pixels, as int8 may not
    spec = UnpoolSpec(_checks.per_axis(function, "output_size", output_size, rank))
    return apply(function, spec, y, indices)


# Max unpooling, derived.    p pooled pixel, q output pixel, i the indices
#   forward   x[n,q,c]  = y[n, last[n,q,c], c],   last[n,q,c] the largest p with i[n,p,c] = q; 0 where there is none
#   dy        dy[n,p,c] = dx[n, i[n,p,c], c] [last[n, i[n,p,c], c] = p]
# Where windows overlap, PyTorch sends the cotangent of a pixel to every p that names it, though only one of
# them was written there; without overlap both are the same.
# Residuals: the indices, and for each of them whether it was the last, a byte.
# Formulation: the maximum of the numbers p that are scattered to q is the same in any order of writing, on
# any device, which the values written directly would not be.
# Reference: for each q all p are compared with it.


def _pixels_flat(a: jax.Array) -> jax.Array:
    return a.reshape(a.shape[0], math.prod(a.shape[1:-1]), a.shape[-1])


def _outside(spec, numbers):
    return ((numbers < 0) | (numbers >= math.prod(spec.outputs))).any(1, keepdims=True)


def _reference(spec, y, indices):
    values, numbers = _pixels_flat(y), _pixels_flat(indices)
    pixels = jnp.arange(math.prod(spec.outputs), dtype=numbers.dtype)[:, None, None]
    named = numbers[:, None] == pixels  # (N, output pixels, pooled pixels, C)
    later = jnp.cumsum(named[:, :, ::-1], axis=2, dtype=np.int32)[:, :, ::-1]
    x = jnp.sum(jnp.where(named & (later == 1), values[:, None], 0), axis=2)
    x = jnp.where(_outside(spec, numbers), jnp.nan, x)
    return x.reshape(y.shape[0], *spec.outputs, y.shape[-1])


def _last(spec, numbers):
    """The last pooled pixel that names an output pixel, from 1 on; 0 for none. (N, output pixels, C)."""
    channels = np.arange(numbers.shape[-1])
    order = np.arange(1, numbers.shape[1] + 1, dtype=np.int32)[:, None]

    def of_one(numbers):
        nothing = jnp.zeros((math.prod(spec.outputs), len(channels)), np.int32)
        return nothing.at[numbers, channels].max(order, mode="drop", wrap_negative_indices=False)

    return jax.vmap(of_one)(numbers)


def _fwd(spec, y, indices):
    values, numbers = _pixels_flat(y), _pixels_flat(indices)
    last, outside = _last(spec, numbers), _outside(spec, numbers)
    written = jnp.take_along_axis(values, last - 1, axis=1, mode="clip")
    x = jnp.where(outside, jnp.nan, jnp.where(last > 0, written, 0))
    order = np.arange(1, numbers.shape[1] + 1, dtype=np.int32)[:, None]
    is_last = (jnp.take_along_axis(last, numbers, axis=1, mode="clip") == order) & ~outside
    return x.reshape(y.shape[0], *spec.outputs, y.shape[-1]), (indices, is_last)


def _bwd(spec, residuals, dx):
    indices, is_last = residuals
    read = jnp.take_along_axis(_pixels_flat(dx), _pixels_flat(indices), axis=1, mode="clip")
    return jnp.where(is_last, read, 0).reshape(indices.shape), None


define(Rule("max_unpool", _reference, _fwd, _bwd))
