"""Max pooling over windows, with or without the places of the maxima."""

import functools
import itertools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from functional_cnn import _checks, _pool_window, _views
from functional_cnn._apart import apart
from functional_cnn._numerics import widened
from functional_cnn._window import Sizes, Window
from functional_cnn.ops._axis_maxima import first_maximum, sum_at_maxima
from functional_cnn.rule import Rule, apply, define


class MaxPoolSpec(NamedTuple):
    window: Window
    inputs: Sizes


def max_pool(
    x: jax.Array,
    window: int | tuple[int, ...],
    *,
    stride: int | tuple[int, ...] | None = None,
    padding: Any = "VALID",
    dilation: int | tuple[int, ...] = 1,
    ceil_mode: bool = False,
) -> jax.Array:
    """The maximum of each window, per channel.

    y[n, p, c] = max over taps t of x[n, s p + d t - lo, c], where padding is never the maximum.

    Args:
      x: (N, *spatial, C), floating; 1, 2 or 3 spatial dimensions.
      window: the window's size, an int or one for each spatial axis.
      stride: s; None means the window's size.
      padding: "VALID", "SAME", an int, or an int or a (lo, hi) pair for each spatial axis; at most half
        the dilated window.
      dilation: d, the distance of neighbouring taps.
      ceil_mode: also pool the windows that reach over the end, if they start before it.

    Returns:
      (N, *output, C) of x's dtype. NaN propagates. The gradient goes to the first maximum in the
      window's row-major order.

    Raises:
      ValueError: a number does not fit, a window holds no pixel, or the output would be empty.
      TypeError: x is not floating, or an option has another type.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.max_pool(jnp.array([3.0, 1.0, 2.0, 5.0]).reshape(1, 4, 1), 2).ravel())
      [3. 5.]

    Reference: K. Jarrett et al., "What is the best multi-stage architecture for object recognition?", ICCV 2009.
    """
    x = _checks.floating("max_pool", "x", x)
    geometry, _ = _pool_window.resolve("max_pool", x, window, stride, padding, dilation, ceil_mode)
    return apply("max_pool", MaxPoolSpec(geometry, x.shape[1:-1]), x)


def max_pool_with_indices(
    x: jax.Array,
    window: int | tuple[int, ...],
    *,
    stride: int | tuple[int, ...] | None = None,
    padding: Any = "VALID",
    dilation: int | tuple[int, ...] = 1,
    ceil_mode: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """The maximum of each window and where it is: what ``max_unpool`` takes. PyTorch's ``return_indices=True``.

    y[n, p, c] = x[n, q, c] at the pixel q of the first maximum of the window of p; indices[n, p, c] = q,
    counted in row-major order over the image without its padding.

    Args:
      x: (N, *spatial, C), floating; 1, 2 or 3 spatial dimensions.
      window: as in ``max_pool``, and so the other options.
      stride: s; None means the window's size.
      padding: "VALID", "SAME", an int, or an int or a (lo, hi) pair for each spatial axis.
      dilation: d, the distance of neighbouring taps.
      ceil_mode: also pool the windows that reach over the end, if they start before it.

    Returns:
      ``(y, indices)``, both (N, *output, C); y of x's dtype, indices int32.

    Raises:
      ValueError: a number does not fit, a window holds no pixel, or the output would be empty.
      TypeError: x is not floating, or an option has another type.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> y, indices = fcnn.max_pool_with_indices(jnp.array([3.0, 1.0, 2.0, 5.0]).reshape(1, 4, 1), 2)
      >>> print(y.ravel(), indices.ravel())
      [3. 5.] [0 3]

    Reference: M. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks",
    arXiv:1311.2901, section 2.1, where the indices are called switches.
    """
    function = "max_pool_with_indices"
    x = _checks.floating(function, "x", x)
    geometry, _ = _pool_window.resolve(function, x, window, stride, padding, dilation, ceil_mode)
    return apply(function, MaxPoolSpec(geometry, x.shape[1:-1]), x)


# Max pooling, derived.    p output pixel, t tap, i[p] the tap of the first maximum
#   forward   y[n,p,c]  = max_t x[n, s p + d t - lo, c]
#   dx        dx[n,q,c] = sum_{p,t : s p + d t - lo = q} dy[n,p,c] [i[n,p,c] = t]
#             each dy goes to the input pixel that was its maximum; at a tie to the first one
# Residuals: i, an int8 where the window has at most 127 taps. JAX's own gradient keeps x and y.
# Formulation: a running maximum over the taps' strided views, one fused loop; backward each input pixel
# sums over the taps that read it. A large window is pooled one axis after the other, the last first,
# which finds the same first maximum with the sum instead of the product of the window's sizes in taps; along an
# axis of many taps in a loop over them, which keeps the maximum's position.
# Indices are the pixels' numbers, carried along from tap to maximum; they have no gradient.
# Reference: the windows laid out along an axis of their own, then the first entry equal to the maximum.


def _reference(spec, x):
    windows, first = _windows_and_first(spec, x)
    return jnp.sum(jnp.where(first, windows, 0), axis=-2)


def _reference_with_indices(spec, x):
    windows, first = _windows_and_first(spec, x)
    numbers = np.arange(math.prod(spec.inputs), dtype=np.int32).reshape(1, *spec.inputs, 1)
    numbers = _laid_out(spec.window, jnp.pad(numbers, ((0, 0), *spec.window.padding, (0, 0))))
    indices = jnp.sum(jnp.where(first, numbers, 0), axis=-2, dtype=np.int32)
    return jnp.sum(jnp.where(first, windows, 0), axis=-2), indices


def _windows_and_first(spec, x):
    """The windows, (N, *output, taps, C), and whether a tap is the first maximum of its window."""
    windows = _laid_out(
        spec.window, jnp.pad(x, ((0, 0), *spec.window.padding, (0, 0)), constant_values=-jnp.inf)
    )
    real = _pool_window.real_taps(spec.window, spec.inputs)[..., None]
    largest = jnp.max(windows, axis=-2, keepdims=True)
    is_largest = real & ((windows == largest) | (jnp.isnan(windows) & jnp.isnan(largest)))
    taps = np.arange(real.shape[-2])[:, None]
    return windows, taps == jnp.argmax(is_largest, axis=-2, keepdims=True)


def _laid_out(window: Window, padded: Any) -> jax.Array:
    """The windows of a padded array (N, *spatial, C), as (N, *output, taps, C)."""
    outputs = window._replace(padding=((0, 0),) * len(window.size)).output_sizes(padded.shape[1:-1])
    views = []
    for tap in np.ndindex(window.size):
        slices = (
            slice(d * t, d * t + s * (o - 1) + 1, s)
            for t, d, s, o in zip(tap, window.dilation, window.stride, outputs, strict=True)
        )
        views.append(padded[(slice(None), *slices, slice(None))])
    return jnp.stack(views, axis=-2)


# Where XLA compiles both passes as one program, it makes the index anew in the loop of dx. Of 30 shapes, with relu in
# front and without, a forward pass compiled apart made both passes take 0.45 to 1 times as long where windows lie side
# by side and channels are fewer than a processor's vector has numbers; elsewhere 0.9 to 1.5 times.
_FEW_CHANNELS = 16


# Backward each remainder of a pixel's place by the stride is a loop of its own: windows of 14 to 56 pixels side by side
# took 0.1 to 0.4 times as long by positions, both passes, and 0.04 to 0.5 times to compile. With small strides the
# taps written out are up to 100 times as fast.
_long_axis = functools.partial(_pool_window.long_axis, most_stride=13)


def _fwd(spec, x):
    maxima = functools.partial(_first_maxima, spec)
    side_by_side = spec.window.stride == spec.window.size
    return apart(maxima, x) if side_by_side and x.shape[-1] < _FEW_CHANNELS else maxima(x)


def _first_maxima(spec: MaxPoolSpec, x: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
    """The maximum of each window, and for each stage the tap that holds it first, or a long one's position."""
    indices = []
    for stage, inputs in _pool_window.stages(spec.window, spec.inputs):
        axis = _long_axis(stage)
        if axis is None:
            best = _maximum(stage, inputs, x)
            index = _first_tap(stage, inputs, x, best)
        else:
            best, index = first_maximum(x, _pool_window.positions(stage, inputs, axis), 1 + axis)
        indices.append(index)
        x = best
    return x, indices


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _maximum(stage: Window, inputs: Sizes, x: jax.Array) -> jax.Array:
    return functools.reduce(lax.max, _views.tap_views(x, stage, -jnp.inf))


@_maximum.defjvp
def _maximum_jvp(stage, inputs, primals, tangents):
    # What second derivatives see: the first maximum's slope, where JAX's own rule of lax.max shares it among ties.
    (x,), (moved,) = primals, tangents
    best = _maximum(stage, inputs, x)
    return best, _chosen(stage, moved, _first_tap(stage, inputs, x, best))


def _first_tap(stage: Window, inputs: Sizes, x: jax.Array, best: jax.Array) -> jax.Array:
    """The number of the first tap that holds the window's maximum."""
    # Found by a second look rather than carried along: with few channels that is three times faster, as its
    # comparisons do not wait for each other.
    views = _views.tap_views(x, stage, -jnp.inf)
    dtype = np.int8 if len(views) <= 127 else np.int32
    index = jnp.full(best.shape, dtype(len(views) - 1))
    for number, view in reversed(list(enumerate(views[:-1]))):
        index = jnp.where((view == best) | jnp.isnan(view), dtype(number), index)
    if any(itertools.chain(*stage.padding)):
        # Where all values are -inf the maximum is the first of them, not padding before it.
        first_real = _pool_window.first_real_tap(stage, inputs).astype(dtype)[..., None]
        index = jnp.where(best == -jnp.inf, first_real, index)
    return index


def _chosen(stage: Window, values: jax.Array, tap: jax.Array) -> jax.Array:
    """What the chosen tap of each window reads."""
    chosen = jnp.zeros_like(tap, values.dtype)
    for number, view in enumerate(_views.tap_views(values, stage)):
        chosen = jnp.where(tap == number, view, chosen)
    return chosen


def _bwd(spec, indices, dy):
    (dx,) = widened(dy)
    stages = _pool_window.stages(spec.window, spec.inputs)
    for (stage, inputs), index in reversed(list(zip(stages, indices, strict=True))):
        axis = _long_axis(stage)
        if axis is None:
            dx = _views.gather_gradient(stage, inputs, [index, dx], _share)
        else:
            dx = sum_at_maxima(dx, index, _pool_window.positions(stage, inputs, axis), 1 + axis, inputs[axis])
    return (dx.astype(dy.dtype),)


def _share(number, index, dy):
    return jnp.where(index == number, dy, 0)


define(Rule("max_pool", _reference, _fwd, _bwd))


def _fwd_with_indices(spec, x):
    y, taps = _fwd(spec, x)
    numbers = jnp.arange(math.prod(spec.inputs), dtype=np.int32).reshape(1, *spec.inputs, 1)
    for (stage, _), tap in zip(_pool_window.stages(spec.window, spec.inputs), taps, strict=True):
        axis = _long_axis(stage)
        if axis is None:
            numbers = _chosen(stage, numbers, tap)
        else:
            numbers = jnp.take_along_axis(numbers, tap.astype(np.int32), 1 + axis)
    return (y, numbers), taps


def _bwd_with_indices(spec, taps, cotangents):
    return _bwd(spec, taps, cotangents[0])


define(Rule("max_pool_with_indices", _reference_with_indices, _fwd_with_indices, _bwd_with_indices))
