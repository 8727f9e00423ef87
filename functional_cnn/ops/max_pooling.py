"""Max pooling."""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_cnn import _checks, _window
from functional_cnn._numerics import widened
from functional_cnn._window import Sizes, Window
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
    geometry, _ = _window.resolve_pool("max_pool", x, window, stride, padding, dilation, ceil_mode)
    return apply("max_pool", MaxPoolSpec(geometry, x.shape[1:-1]), x)


# Max pooling, derived.    p output pixel, t tap, i[p] the tap of the first maximum
#   forward   y[n,p,c]  = max_t x[n, s p + d t - lo, c]
#   dx        dx[n,q,c] = sum_{p,t : s p + d t - lo = q} dy[n,p,c] [i[n,p,c] = t]
#             each dy goes to the input pixel that was its maximum; at a tie to the first one
# Residuals: i, an int8 where the window has at most 127 taps. JAX's own gradient keeps x and y.
# Formulation: a running maximum over the taps' strided views, one fused loop; backward each input pixel
# sums over the taps that read it. A large window is pooled one axis after the other, the last first,
# which finds the same first maximum with the sum instead of the product of the window's sizes in taps.
# Reference: the windows laid out along an axis of their own, then the first entry equal to the maximum.


def _reference(spec, x):
    windows = _laid_out(
        spec.window, jnp.pad(x, ((0, 0), *spec.window.padding, (0, 0)), constant_values=-jnp.inf)
    )
    real = _window.real_taps(spec.window, spec.inputs)[..., None]
    largest = jnp.max(windows, axis=-2, keepdims=True)
    is_largest = real & ((windows == largest) | (jnp.isnan(windows) & jnp.isnan(largest)))
    taps = np.arange(real.shape[-2])[:, None]
    first = taps == jnp.argmax(is_largest, axis=-2, keepdims=True)
    return jnp.sum(jnp.where(first, windows, 0), axis=-2)


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


def _fwd(spec, x):
    indices = []
    for stage, inputs in _window.stages(spec.window, spec.inputs):
        x, index = _first_maximum(stage, inputs, x)
        indices.append(index)
    return x, indices


def _first_maximum(stage: Window, inputs: Sizes, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The maximum of each window and the number of the tap that holds it first."""
    outputs = stage.output_sizes(inputs)
    padded = _window.pad_spatial(x, stage.padding, -jnp.inf)
    views = [_window.tap_view(padded, tap, stage, outputs) for tap in _window.taps(stage)]
    best = views[0]
    for view in views[1:]:
        better = ~(view <= best) & ~jnp.isnan(best)  # a larger value or the first NaN
        best = jnp.where(better, view, best)
    # The index is found by a second look, backward, rather than carried along: with few channels that is
    # three times faster, as its comparisons do not wait for each other.
    dtype = np.int8 if len(views) <= 127 else np.int32
    index = jnp.full(best.shape, dtype(len(views) - 1))
    for number, view in reversed(list(enumerate(views[:-1]))):
        index = jnp.where((view == best) | jnp.isnan(view), dtype(number), index)
    if any(itertools.chain(*stage.padding)):
        # Where all values are -inf the maximum is the first of them, not padding before it.
        first_real = _window.real_taps(stage, inputs).argmax(-1).astype(dtype)[..., None]
        index = jnp.where(best == -jnp.inf, first_real, index)
    return best, index


def _bwd(spec, indices, dy):
    (dx,) = widened(dy)
    stages = _window.stages(spec.window, spec.inputs)
    for (stage, inputs), index in reversed(list(zip(stages, indices, strict=True))):
        dx = _window.gather_gradient(stage, inputs, [index, dx], _share)
    return (dx.astype(dy.dtype),)


def _share(number, index, dy):
    return jnp.where(index == number, dy, 0)


define(Rule("max_pool", _reference, _fwd, _bwd))
