"""The ways to compute convolution's three linear maps, and which of them serves a shape.

XLA's own convolution serves every shape. On CPU four kinds of convolution have a faster way, measured on
two cores against XLA's with JAX 0.10.2:

| kind | map | way | times faster |
| --- | --- | --- | --- |
| pointwise: 1x1, no padding | all | one matrix product over the pixels that the stride keeps | 1.1 to 17 |
| depthwise: one channel a group | forward, dx | a sum over taps of shifted views times the tap | 14 to 95 |
| | dkernel | one reduction that carries the sums of all taps | 4 to 150 |
| grouped | dkernel | an ungrouped convolution for each group | 46 to 450 |
| more groups than ``_MOST_GROUPS`` | dkernel | for each tap, a matrix product batched over groups | 10 to 125 |
| tiled: windows side by side, stride = window | dx | one matrix product, a row of it for each window | 1.0 to 40 |
| | dkernel | one matrix product that contracts windows | 1.3 to 4.5 |

Forward, tiled windows win nothing by a matrix product from 32 channels on. Every map returns the
accumulator's dtype; the rule casts. Transposed convolution is made of the same maps: its forward is conv's dx.
"""

import functools
import itertools
import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn import _window
from functional_cnn._numerics import accumulator, widened
from functional_cnn._window import Sizes, Window

# What is written out once for each tap or group must stay a program of reasonable size.
_MOST_TAPS = 64
_MOST_GROUPS = 64


class ConvSpec(NamedTuple):
    window: Window
    groups: int
    precision: Any


def conv_forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """y[n,p,o] = sum_{t,c} x[n, s p + d t - lo, c] k[t,c,o]"""
    if _is_pointwise(spec):
        return _on_cpu(_pointwise_forward, _xla_forward, spec, x, kernel)
    if _is_depthwise(spec, kernel):
        return _on_cpu(_depthwise_forward, _xla_forward, spec, x, kernel)
    return _xla_forward(spec, x, kernel)


def conv_input_gradient(
    spec: ConvSpec, dy: jax.Array, kernel: jax.Array, inputs: Sizes, sharding: Any = None
) -> jax.Array:
    """dx[n,q,c] = sum_{t,o : s p + d t - lo = q} dy[n,p,o] k[t,c,o], q over the spatial sizes ``inputs``

    ``sharding`` is x's, where dx needs one: on a mesh of Explicit axes dy and kernel may not determine it.
    """
    plain = functools.partial(_xla_input_gradient, inputs=inputs, sharding=sharding)
    if _is_pointwise(spec):
        fast = _pointwise_input_gradient
    elif _is_depthwise(spec, kernel):
        fast = _depthwise_input_gradient
    elif _is_tiled(spec):
        fast = _tiled_input_gradient
    else:
        return plain(spec, dy, kernel)
    return _on_cpu(functools.partial(fast, inputs=inputs), plain, spec, dy, kernel)


def conv_kernel_gradient(spec: ConvSpec, dy: jax.Array, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """dk[t,c,o] = sum_{n,p} x[n, s p + d t - lo, c] dy[n,p,o]; of the kernel only the shape counts"""
    if _is_pointwise(spec):
        return _on_cpu(_pointwise_kernel_gradient, _xla_kernel_gradient, spec, dy, x, kernel)
    if _is_depthwise(spec, kernel):
        return _on_cpu(_depthwise_kernel_gradient, _xla_kernel_gradient, spec, dy, x, kernel)
    if _is_tiled(spec):
        return _on_cpu(_tiled_kernel_gradient, _xla_kernel_gradient, spec, dy, x, kernel)
    if spec.groups > _MOST_GROUPS:
        return _on_cpu(_batched_kernel_gradient, _xla_kernel_gradient, spec, dy, x, kernel)
    if spec.groups > 1:
        return _on_cpu(_grouped_kernel_gradient, _xla_kernel_gradient, spec, dy, x, kernel)
    return _xla_kernel_gradient(spec, dy, x, kernel)


def _on_cpu(fast: Callable, plain: Callable, spec: ConvSpec, *arrays: jax.Array) -> jax.Array:
    return lax.platform_dependent(
        *arrays, cpu=functools.partial(fast, spec), default=functools.partial(plain, spec)
    )


def _is_pointwise(spec: ConvSpec) -> bool:
    single = math.prod(spec.window.size) == 1
    return spec.groups == 1 and single and max(itertools.chain(*spec.window.padding)) <= 0


def _is_depthwise(spec: ConvSpec, kernel: jax.Array) -> bool:
    few_taps = math.prod(spec.window.size) <= _MOST_TAPS
    return few_taps and 1 < spec.groups == kernel.shape[-1] and kernel.shape[-2] == 1


def _is_tiled(spec: ConvSpec) -> bool:
    window = spec.window
    return spec.groups == 1 and window.size == window.stride and max(window.dilation) == 1


# XLA's convolution. Its dimension numbers say which axis of an operand plays which part: dx contracts the
# kernel's O, dkernel contracts the batch.


def _layout(rank: int) -> str:
    return "DHW"[3 - rank :]


def _xla_forward(spec, x, kernel):
    spatial = _layout(len(spec.window.size))
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=spec.window.stride,
        padding=spec.window.padding,
        rhs_dilation=spec.window.dilation,
        dimension_numbers=(f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
        feature_group_count=spec.groups,
        precision=spec.precision,
        preferred_element_type=accumulator(x.dtype),
    )


def _xla_input_gradient(spec, dy, kernel, inputs, sharding):
    window, spatial = spec.window, _layout(len(spec.window.size))
    flipped = lax.rev(kernel, tuple(range(len(window.size))))
    return lax.conv_general_dilated(
        dy,
        _exchange_channels_by_group(flipped, spec.groups),
        window_strides=(1,) * len(window.size),
        padding=_window.input_gradient_pads(window, inputs, dy.shape[1:-1]),
        lhs_dilation=window.stride,
        rhs_dilation=window.dilation,
        dimension_numbers=(f"N{spatial}C", f"{spatial}OI", f"N{spatial}C"),
        feature_group_count=spec.groups,
        precision=spec.precision,
        preferred_element_type=accumulator(dy.dtype),
        out_sharding=sharding,
    )


def _exchange_channels_by_group(kernel: jax.Array, groups: int) -> jax.Array:
    """(*window, C/g, O) with O in groups to (*window, C, O/g), for a layout read as OI."""
    if groups == 1:
        return kernel
    *window, per_group, outputs = kernel.shape
    split = kernel.reshape(*window, per_group, groups, outputs // groups)
    return jnp.moveaxis(split, -2, -3).reshape(*window, groups * per_group, outputs // groups)


def _xla_kernel_gradient(spec, dy, x, kernel):
    window, spatial = spec.window, _layout(len(spec.window.size))
    if 0 in dy.shape:
        # XLA has no convolution with an empty window, which dy is here when the batch is empty.
        return jnp.zeros(kernel.shape, accumulator(dy.dtype))
    return lax.conv_general_dilated(
        x,
        dy,
        window_strides=window.dilation,
        padding=_window.kernel_gradient_pads(window, x.shape[1:-1], dy.shape[1:-1]),
        rhs_dilation=window.stride,
        dimension_numbers=(f"C{spatial}N", f"I{spatial}O", f"{spatial}NC"),
        batch_group_count=spec.groups,
        precision=spec.precision,
        preferred_element_type=accumulator(dy.dtype),
        out_sharding=jax.typeof(kernel).sharding,
    )


# Pointwise: every kept pixel's channels times a matrix.


def _kept_pixels(spec, x, outputs):
    return _window.tap_view(x, (0,) * len(outputs), spec.window, outputs)


def _dot(spec, a, b, contract_a, contract_b, like=None):
    return lax.dot_general(
        a,
        b,
        ((contract_a, contract_b), ((), ())),
        precision=spec.precision,
        preferred_element_type=accumulator(a.dtype),
        out_sharding=None if like is None else jax.typeof(like).sharding,
    )


def _pointwise_forward(spec, x, kernel):
    pixels = _kept_pixels(spec, x, spec.window.output_sizes(x.shape[1:-1]))
    return _dot(spec, pixels, _as_matrix(kernel), (x.ndim - 1,), (0,))


def _pointwise_input_gradient(spec, dy, kernel, inputs):
    dpixels = _dot(spec, dy, _as_matrix(kernel), (dy.ndim - 1,), (1,))
    return _window.gather_gradient(spec.window, inputs, [dpixels], lambda number, view: view)


def _pointwise_kernel_gradient(spec, dy, x, kernel):
    pixels = tuple(range(dy.ndim - 1))
    x = _kept_pixels(spec, x, dy.shape[1:-1])
    # XLA copies the first operand of a product over its leading axes, transposed: the smaller one.
    matrix = _as_matrix(kernel)
    if x.shape[-1] <= dy.shape[-1]:
        matrix = _dot(spec, x, dy, pixels, pixels, matrix)
    else:
        matrix = _dot(spec, dy, x, pixels, pixels, matrix.T).T
    return matrix.reshape(kernel.shape)


def _as_matrix(kernel: jax.Array) -> jax.Array:
    return kernel.reshape(kernel.shape[-2:])


# Depthwise: channels do not meet, so each tap is a scale of a shifted view.


def _depthwise_forward(spec, x, kernel):
    x, kernel = widened(x, kernel)
    views, taps = _window.tap_views(x, spec.window), _window.taps(spec.window)
    return functools.reduce(
        operator.add, (view * kernel[tap][0] for view, tap in zip(views, taps, strict=True))
    )


def _depthwise_input_gradient(spec, dy, kernel, inputs):
    dy, kernel = widened(dy, kernel)
    taps = _window.taps(spec.window)
    return _window.gather_gradient(
        spec.window, inputs, [dy], lambda number, view: view * kernel[taps[number]][0]
    )


def _depthwise_kernel_gradient(spec, dy, x, kernel):
    x, dy = widened(x, dy)
    products = [view * dy for view in _window.tap_views(x, spec.window)]
    # Only the first spatial axis is reduced for all taps at once: that reads x and dy in one sweep, the
    # inner loop along C, and leaves a sharded batch to the plain sum.
    zero = lax.full((), 0, dy.dtype)
    rows = lax.reduce(products, [zero] * len(products), _add_each, (1,))
    return jnp.stack([row.sum(tuple(range(row.ndim - 1))) for row in rows]).reshape(kernel.shape)


def _add_each(totals, terms):
    return [total + term for total, term in zip(totals, terms, strict=True)]


# Tiled: every pixel belongs to one window, so windows are rows of a matrix. Axes are split and merged one at
# a time, which JAX does on a mesh of Explicit axes too.


def _tiled_input_gradient(spec, dy, kernel, inputs):
    rank, outputs = len(inputs), dy.shape[1:-1]
    tiles = _dot(spec, dy, kernel, (dy.ndim - 1,), (kernel.ndim - 1,))  # (N, *outputs, *window, C)
    side_by_side = itertools.chain(*((1 + axis, 1 + rank + axis) for axis in range(rank)))
    dx = tiles.transpose(0, *side_by_side, 1 + 2 * rank)
    crop = []
    for axis, (n, o, s, (lo, _)) in enumerate(
        zip(inputs, outputs, spec.window.stride, spec.window.padding, strict=True), start=1
    ):
        dx = dx.reshape(*dx.shape[:axis], o * s, *dx.shape[axis + 2 :])
        crop.append((-lo, n + lo - o * s))
    return _window.pad_spatial(dx, tuple(crop))


def _tiled_kernel_gradient(spec, dy, x, kernel):
    rank, outputs = dy.ndim - 2, dy.shape[1:-1]
    tiles = _window.pad_spatial(x, _window.kernel_gradient_pads(spec.window, x.shape[1:-1], outputs))
    for axis, (o, s) in enumerate(zip(outputs, spec.window.stride, strict=True)):
        place = 1 + 2 * axis
        tiles = tiles.reshape(*tiles.shape[:place], o, s, *tiles.shape[place + 1 :])
    return _dot(spec, tiles, dy, (0, *range(1, 2 * rank, 2)), tuple(range(1 + rank)), kernel)


# Grouped: the groups share nothing, so their kernels' gradients are separate problems.


def _grouped_kernel_gradient(spec, dy, x, kernel):
    parts = (jnp.split(array, spec.groups, axis=-1) for array in (dy, x, kernel))
    one_group = spec._replace(groups=1)
    gradients = [_xla_kernel_gradient(one_group, *group) for group in zip(*parts, strict=True)]
    return jnp.concatenate(gradients, axis=-1)


def _batched_kernel_gradient(spec, dy, x, kernel):
    groups = spec.groups
    *_, per_group, outputs = kernel.shape
    dy_groups = dy.reshape(*dy.shape[:-1], groups, outputs // groups)
    pixels, group_axis = tuple(range(dy.ndim - 1)), (dy.ndim - 1,)
    replicated = jax.sharding.NamedSharding(jax.typeof(kernel).sharding.mesh, jax.P())
    products = []
    for view in _window.tap_views(x, spec.window):
        product = lax.dot_general(
            view.reshape(*view.shape[:-1], groups, per_group),
            dy_groups,
            ((pixels, pixels), (group_axis, group_axis)),
            precision=spec.precision,
            preferred_element_type=accumulator(dy.dtype),
            out_sharding=replicated,
        )
        products.append(jnp.moveaxis(product, 0, 1).reshape(per_group, outputs))
    return jnp.stack(products).reshape(kernel.shape)
