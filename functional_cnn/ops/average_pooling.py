"""Average pooling over windows, and its generalisation, Lp pooling."""

import functools
import math
import operator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from functional_cnn import _checks, _pool_window, _views
from functional_cnn._numerics import widened
from functional_cnn._window import Pads, Sizes, Window
from functional_cnn.ops._axis_maps import apply_map, axis_map, pairs
from functional_cnn.rule import Rule, apply, define


class AvgPoolSpec(NamedTuple):
    window: Window
    inputs: Sizes
    explicit: Pads  # the padding that was asked for; ceil_mode may widen the window's
    count_include_pad: bool
    divisor_override: int | None


class LpPoolSpec(NamedTuple):
    mean: AvgPoolSpec
    p: float


def avg_pool(
    x: jax.Array,
    window: int | tuple[int, ...],
    *,
    stride: int | tuple[int, ...] | None = None,
    padding: Any = "VALID",
    dilation: int | tuple[int, ...] = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> jax.Array:
    """The mean of each window, per channel.

    y[n, p, c] = (1 / m_p) sum over taps t of x[n, s p + d t - lo, c], where m_p counts the window's taps.

    Args:
      x: (N, *spatial, C), floating; 1, 2 or 3 spatial dimensions.
      window: the window's size, an int or one for each spatial axis.
      stride: s; None means the window's size.
      padding: "VALID", "SAME", an int, or an int or a (lo, hi) pair for each spatial axis; at most half
        the dilated window.
      dilation: d, the distance of neighbouring taps.
      ceil_mode: also pool the windows that reach over the end, if they start before it. Taps beyond the
        padding never count.
      count_include_pad: whether m_p counts taps in the padding.
      divisor_override: m_p for all windows.

    Returns:
      (N, *output, C) of x's dtype. float16 and bfloat16 accumulate in float32.

    Raises:
      ValueError: a number does not fit, a window holds no pixel, or the output would be empty.
      TypeError: x is not floating, or an option has another type.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.avg_pool(jnp.array([3.0, 1.0, 2.0, 5.0]).reshape(1, 4, 1), 2).ravel())
      [2.  3.5]

    Reference: Y. LeCun et al., "Gradient-based learning applied to document recognition", Proc. IEEE 1998,
    section II.B.
    """
    function = "avg_pool"
    x = _checks.floating(function, "x", x)
    geometry, explicit = _pool_window.resolve(function, x, window, stride, padding, dilation, ceil_mode)
    if divisor_override is not None:
        divisor_override = _checks.integer(function, "divisor_override", divisor_override, minimum=1)
    count_include_pad = _checks.flag(function, "count_include_pad", count_include_pad)
    spec = AvgPoolSpec(geometry, x.shape[1:-1], explicit, count_include_pad, divisor_override)
    return apply(function, spec, x)


# Average pooling, derived.    m_p the number of taps that count at output pixel p
#   forward   y[n,p,c]  = (1 / m_p) sum_t x[n, s p + d t - lo, c]
#   dx        dx[n,q,c] = sum_{p,t : s p + d t - lo = q} dy[n,p,c] / m_p
# Residuals: none, the map is linear and static.
# Formulation: the sums run one axis after the other over strided views, and backward over the windows that
# hold a pixel, along an axis of many taps in a loop; m_p is known when the op is traced.
# Reference: lax.reduce_window of x, and of ones for the count.


def _avg_reference(spec, x):
    (wide,) = widened(x)
    if spec.divisor_override is not None:
        return (_window_sum(spec.window, wide) / spec.divisor_override).astype(x.dtype)
    counted = jnp.ones((1, *spec.inputs, 1), wide.dtype)
    beyond = spec.window.padding
    if spec.count_include_pad:
        counted = jnp.pad(counted, _all_axes(spec.explicit), constant_values=1)
        beyond = tuple(
            (lo - explicit_lo, hi - explicit_hi)
            for (lo, hi), (explicit_lo, explicit_hi) in zip(beyond, spec.explicit, strict=True)
        )
    count = _window_sum(spec.window._replace(padding=beyond), counted)
    return (_window_sum(spec.window, wide) / count).astype(x.dtype)


def _all_axes(pads: Pads) -> Pads:
    return ((0, 0), *pads, (0, 0))


def _window_sum(window, x):
    return lax.reduce_window(
        x,
        np.zeros((), x.dtype),
        lax.add,
        window_dimensions=(1, *window.size, 1),
        window_strides=(1, *window.stride, 1),
        padding=_all_axes(window.padding),
        window_dilation=(1, *window.dilation, 1),
    )


def _reciprocal_counts(spec: AvgPoolSpec, dtype) -> np.ndarray:
    """1 / m_p, static, (*output, 1), or a scalar where all are the same, which a loop need not look up."""
    if spec.divisor_override is not None:
        return np.asarray(1 / spec.divisor_override, dtype)
    counted, window = spec.inputs, spec.window
    if spec.count_include_pad:
        counted = tuple(n + lo + hi for n, (lo, hi) in zip(spec.inputs, spec.explicit, strict=True))
        rest = ((0, hi - asked) for (_, hi), (_, asked) in zip(window.padding, spec.explicit, strict=True))
        window = window._replace(padding=tuple(rest))
    counts = _pool_window.real_counts(window, counted)[..., None]
    same = (counts == counts.flat[0]).all()
    return (1 / (counts.flat[0] if same else counts)).astype(dtype)


def _avg_fwd(spec, x):
    (total,) = widened(x)
    for stage, inputs in _pool_window.stages(spec.window, spec.inputs):
        total = _stage_sum(stage, inputs, total)
    return (total * _reciprocal_counts(spec, total.dtype)).astype(x.dtype), None


def _avg_bwd(spec, _, dy):
    (dx,) = widened(dy)
    dx = dx * _reciprocal_counts(spec, dx.dtype)
    for stage, inputs in reversed(_pool_window.stages(spec.window, spec.inputs)):
        dx = _stage_adjoint(stage, inputs, dx)
    return (dx.astype(dy.dtype),)


def _stage_sum(stage: Window, inputs: Sizes, x: jax.Array) -> jax.Array:
    axis = _pool_window.long_axis(stage)
    if axis is None:
        return functools.reduce(operator.add, _views.tap_views(x, stage))
    outputs, read = pairs(_pool_window.positions(stage, inputs, axis))
    return apply_map(
        axis_map(outputs, read, np.ones(len(read)), stage.output_sizes(inputs)[axis]), x, 1 + axis
    )


def _stage_adjoint(stage: Window, inputs: Sizes, dy: jax.Array) -> jax.Array:
    axis = _pool_window.long_axis(stage)
    if axis is None:
        return _views.gather_gradient(stage, inputs, [dy], lambda number, view: view)
    outputs, read = pairs(_pool_window.positions(stage, inputs, axis))
    return apply_map(axis_map(read, outputs, np.ones(len(read)), inputs[axis]), dy, 1 + axis)


define(Rule("avg_pool", _avg_reference, _avg_fwd, _avg_bwd))


def lp_pool(
    x: jax.Array,
    window: int | tuple[int, ...],
    *,
    p: float,
    stride: int | tuple[int, ...] | None = None,
    padding: Any = "VALID",
    dilation: int | tuple[int, ...] = 1,
    ceil_mode: bool = False,
) -> jax.Array:
    """The p-norm of each window, per channel.

    y[n, o, c] = (sum over taps t of |x[n, s o + d t - lo, c]|^p)^(1 / p)

    Args:
      x: (N, *spatial, C), floating; 1, 2 or 3 spatial dimensions.
      window: the window's size, an int or one for each spatial axis.
      p: the norm, positive; 1 sums absolute values, 2 is the Euclidean norm. PyTorch's ``norm_type``, which
        has no absolute value and so agrees where x is not negative or p is even.
      stride: s; None means the window's size.
      padding: "VALID", "SAME", an int, or an int or a (lo, hi) pair for each spatial axis; at most half
        the dilated window. It adds nothing to a sum.
      dilation: d, the distance of neighbouring taps.
      ceil_mode: also pool the windows that reach over the end, if they start before it. As in PyTorch their
        sum is scaled up by the window's taps to those that do not lie beyond the padding.

    Returns:
      (N, *output, C) of x's dtype. float16 and bfloat16 accumulate in float32. Where a norm is zero its
      gradient is zero.

    Raises:
      ValueError: a number does not fit, a window holds no pixel, or the output would be empty.
      TypeError: x is not floating, or an option has another type.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.lp_pool(jnp.array([3.0, -4.0, 0.0, 5.0]).reshape(1, 4, 1), 2, p=2).ravel())
      [5. 5.]

    Reference: P. Sermanet, S. Chintala and Y. LeCun, "Convolutional neural networks applied to house numbers
    digit classification", arXiv:1204.3968, section 2.2.
    """
    function = "lp_pool"
    x = _checks.floating(function, "x", x)
    p = _checks.number(function, "p", p)
    if p <= 0:
        raise ValueError(f"{function}: p must be positive, got {p}")
    geometry, explicit = _pool_window.resolve(function, x, window, stride, padding, dilation, ceil_mode)
    mean = AvgPoolSpec(geometry, x.shape[1:-1], explicit, count_include_pad=True, divisor_override=None)
    return apply(function, LpPoolSpec(mean, p), x)


# Lp pooling, derived.    A average pooling, K the window's taps
#   forward   y  = (K A |x|^p)^(1/p)
#   dx        dx = sign(x) |x|^(p-1) A^T (K dy y^(1-p)),    nothing from windows where y = 0
#             since dy/d(y^p) = y^(1-p) / p and d|x|^p/dx = p sign(x) |x|^(p-1)
# Residuals: x and y.
# Reference: the same map of the reference of average pooling.


def _power(x: jax.Array, p: float) -> jax.Array:
    """|x|^p, with the slope 0 at zero."""
    nonzero = x != 0
    return jnp.where(nonzero, jnp.where(nonzero, jnp.abs(x), 1) ** p, 0)


def _lp_reference(spec, x):
    (wide,) = widened(x)
    total = _avg_reference(spec.mean, _power(wide, spec.p)) * math.prod(spec.mean.window.size)
    return _power(total, 1 / spec.p).astype(x.dtype)


def _lp_fwd(spec, x):
    (wide,) = widened(x)
    mean, _ = _avg_fwd(spec.mean, _power(wide, spec.p))
    y = _power(mean * math.prod(spec.mean.window.size), 1 / spec.p)
    return y.astype(x.dtype), (x, y)


def _lp_bwd(spec, residuals, dy):
    x, y = residuals
    wide, dy = widened(x, dy)
    share = dy * _power(y, 1 - spec.p) * math.prod(spec.mean.window.size)
    (dx,) = _avg_bwd(spec.mean, None, share)
    return ((jnp.sign(wide) * _power(wide, spec.p - 1) * dx).astype(x.dtype),)


define(Rule("lp_pool", _lp_reference, _lp_fwd, _lp_bwd))
