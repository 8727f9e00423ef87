"""Adaptive pooling: pools of a given output size."""

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from functional_cnn import _checks
from functional_cnn._numerics import widened
from functional_cnn._window import Sizes
from functional_cnn.ops._axis_maps import apply_map, axis_map, pairs
from functional_cnn.ops._axis_maxima import first_maximum, sum_at_maxima
from functional_cnn.rule import Rule, apply, define


class AdaptivePoolSpec(NamedTuple):
    inputs: Sizes
    outputs: Sizes


def adaptive_avg_pool(x: jax.Array, output_size: int | tuple[int | None, ...] | None) -> jax.Array:
    """The mean of windows that divide the image as evenly as whole pixels allow, per channel.

    y[n, i, c] = mean of x[n, q, c] over floor(i H / O) <= q < ceil((i + 1) H / O) along each axis.

    Args:
      x: (N, *spatial, C), floating; 1, 2 or 3 spatial dimensions with at least one pixel.
      output_size: O, an int for all spatial axes or one for each; None keeps an axis' size. It may be larger
        than H.

    Returns:
      (N, *output_size, C) of x's dtype. float16 and bfloat16 accumulate in float32.

    Raises:
      ValueError: a size does not fit, or x has no pixels.
      TypeError: x is not floating, or output_size is not an int.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.adaptive_avg_pool(jnp.array([3.0, 1.0, 2.0, 6.0, 5.0]).reshape(1, 5, 1), 2).ravel())
      [2.        4.3333335]

    This is ``torch.nn.functional.adaptive_avg_pool2d`` with channels last.

    Reference: K. He et al., "Spatial pyramid pooling in deep convolutional networks for visual recognition",
    arXiv:1406.4729, section 2.2.
    """
    x, spec = _checked("adaptive_avg_pool", x, output_size)
    return apply("adaptive_avg_pool", spec, x)


def adaptive_max_pool(x: jax.Array, output_size: int | tuple[int | None, ...] | None) -> jax.Array:
    """The maximum of windows that divide the image as evenly as whole pixels allow, per channel.

    y[n, i, c] = max of x[n, q, c] over floor(i H / O) <= q < ceil((i + 1) H / O) along each axis.

    Args:
      x: (N, *spatial, C), floating; 1, 2 or 3 spatial dimensions with at least one pixel.
      output_size: O, an int for all spatial axes or one for each; None keeps an axis' size. It may be larger
        than H.

    Returns:
      (N, *output_size, C) of x's dtype. NaN propagates. The gradient goes to the first maximum in the window's
      row-major order.

    Raises:
      ValueError: a size does not fit, or x has no pixels.
      TypeError: x is not floating, or output_size is not an int.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.adaptive_max_pool(jnp.array([3.0, 1.0, 2.0, 6.0, 5.0]).reshape(1, 5, 1), 2).ravel())
      [3. 6.]

    This is ``torch.nn.functional.adaptive_max_pool2d`` with channels last.

    Reference: K. He et al., "Spatial pyramid pooling in deep convolutional networks for visual recognition",
    arXiv:1406.4729, section 2.2.
    """
    x, spec = _checked("adaptive_max_pool", x, output_size)
    return apply("adaptive_max_pool", spec, x)


def _checked(function: str, x: jax.Array, output_size: Any) -> tuple[jax.Array, AdaptivePoolSpec]:
    x = _checks.floating(function, "x", x)
    rank, inputs = _checks.spatial(function, x), x.shape[1:-1]
    _checks.some_pixel(function, x)
    entries = output_size if isinstance(output_size, tuple | list) else (output_size,) * rank
    if len(entries) == rank:
        entries = tuple(n if entry is None else entry for n, entry in zip(inputs, entries, strict=True))
    outputs = _checks.per_axis(function, "output_size", entries, rank)
    return x, AdaptivePoolSpec(inputs, outputs)


def _bounds(n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the windows of m outputs begin and end among n inputs."""
    i = np.arange(m)
    return i * n // m, -(-(i + 1) * n // m)


def _changed_axes(spec: AdaptivePoolSpec) -> list[tuple[int, int, int]]:
    """The axes of x whose size changes, with their size before and after."""
    sizes = enumerate(zip(spec.inputs, spec.outputs, strict=True), 1)
    return [(axis, n, m) for axis, (n, m) in sizes if n != m]


def _positions(n: int, m: int) -> np.ndarray:
    """The inputs in the windows of m outputs, (taps, m); a shorter window reads its last pixel again."""
    begin, end = _bounds(n, m)
    return np.minimum(begin + np.arange((end - begin).max())[:, None], end - 1)


# Adaptive average pooling, derived.    along one axis: W_i the window of output i, |W_i| its size
#   forward   y[n,i,c]  = sum_{q in W_i} x[n,q,c] / |W_i|, for one axis after the other
#   dx        dx[n,q,c] = sum_{i : q in W_i} dy[n,i,c] / |W_i|, for the axes in reverse order
# Residuals: none, the map is linear and static.
# Reference: dense matrices of the weights 1 / |W_i|, from the borders of the windows in fractions of H / O.


def _avg_reference(spec, x):
    (y,) = widened(x)
    for axis, (n, m) in enumerate(zip(spec.inputs, spec.outputs, strict=True), 1):
        i, q = np.arange(m)[:, None], np.arange(n)
        inside = ((q + 1) * m > i * n) & (q * m < (i + 1) * n)  # pixel q overlaps [i H / O, (i + 1) H / O)
        weights = (inside / inside.sum(1, keepdims=True)).astype(y.dtype)
        product = lax.dot_general(y, weights, (((axis,), (1,)), ((), ())), precision=lax.Precision.HIGHEST)
        y = jnp.moveaxis(product, -1, axis)
    return y.astype(x.dtype)


def _shares(n: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pairs of an output and an input in its window, and 1 / |W_i|."""
    outputs, inputs = pairs(_positions(n, m))
    return outputs, inputs, 1 / np.bincount(outputs)[outputs]


def _avg_fwd(spec, x):
    (y,) = widened(x)
    for axis, n, m in _changed_axes(spec):
        outputs, inputs, shares = _shares(n, m)
        y = apply_map(axis_map(outputs, inputs, shares, m), y, axis)
    return y.astype(x.dtype), None


def _avg_bwd(spec, _, dy):
    (dx,) = widened(dy)
    for axis, n, m in reversed(_changed_axes(spec)):
        outputs, inputs, shares = _shares(n, m)
        dx = apply_map(axis_map(inputs, outputs, shares, n), dx, axis)
    return (dx.astype(dy.dtype),)


define(Rule("adaptive_avg_pool", _avg_reference, _avg_fwd, _avg_bwd))


# Adaptive max pooling, derived.    along one axis: W_i the window of output i, s[i] where its first maximum is
#   forward   y[n,i,c]  = max_{q in W_i} x[n,q,c], for one axis after the other, the last first
#   dx        dx[n,q,c] = sum_{i : q in W_i} dy[n,i,c] [s[n,i,c] = q], for the axes in the other order
#             each dy goes to the input pixel that was its maximum; at a tie to the first one
# Residuals: s, for each axis, an int8 where it has at most 128 pixels. The first maximum along the last axis,
# then along the one before, is the first in row-major order.
# Formulation: ``_axis_maxima``, in loops.
# Reference: every window cut out, then the first entry equal to the maximum.


def _max_reference(spec, x):
    cells = []
    for window in _cut_out(spec):
        pixels = x[(slice(None), *window)]
        flat = pixels.reshape(x.shape[0], math.prod(pixels.shape[1:-1]), x.shape[-1])
        first = jnp.argmax(flat, axis=1, keepdims=True) == np.arange(flat.shape[1])[:, None]
        cells.append(jnp.sum(jnp.where(first, flat, 0), axis=1))
    return jnp.stack(cells, axis=1).reshape(x.shape[0], *spec.outputs, x.shape[-1])


def _cut_out(spec: AdaptivePoolSpec) -> Iterator[tuple[slice, ...]]:
    axes = []
    for n, m in zip(spec.inputs, spec.outputs, strict=True):
        axes.append([slice(math.floor(i * n / m), math.ceil((i + 1) * n / m)) for i in range(m)])
    return itertools.product(*axes)


def _max_fwd(spec, x):
    indices = []
    for axis, n, m in reversed(_changed_axes(spec)):
        x, index = first_maximum(x, _positions(n, m), axis)
        indices.append(index)
    return x, indices


def _max_bwd(spec, indices, dy):
    (dx,) = widened(dy)
    for (axis, n, m), index in zip(_changed_axes(spec), reversed(indices), strict=True):
        dx = sum_at_maxima(dx, index, _positions(n, m), axis, n)
    return (dx.astype(dy.dtype),)


define(Rule("adaptive_max_pool", _max_reference, _max_fwd, _max_bwd))
