"""Convolution's three maps by ``lax.conv_general_dilated``.

Its dimension numbers say which axis of an operand plays which part: dx contracts the kernel's O, dkernel
contracts the batch.
``convolve`` takes its arguments and computes the same; ``canonical``, ``even`` and ``native`` have others for CPU.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn import _window
from functional_cnn._numerics import accumulator
from functional_cnn._window import Sizes, Window


class ConvSpec(NamedTuple):
    window: Window
    groups: int
    precision: Any
    transposed: bool = False  # whether the maps are those of a transposed convolution


Convolve = Callable[..., jax.Array]


def multiply_adds(batch: int, outputs: Sizes, kernel: jax.Array) -> int:
    """Those of each of the three maps, where y's pixels are ``outputs``."""
    return batch * math.prod(outputs) * kernel.size


def forward(
    spec: ConvSpec, x: jax.Array, kernel: jax.Array, convolve: Convolve = lax.conv_general_dilated
) -> jax.Array:
    window, spatial = spec.window, _layout(spec)
    return convolve(
        x,
        kernel,
        window_strides=window.stride,
        padding=window.padding,
        lhs_dilation=_ones(spec),
        rhs_dilation=window.dilation,
        dimension_numbers=(f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
        feature_group_count=spec.groups,
        precision=spec.precision,
        preferred_element_type=accumulator(x.dtype),
    )


def input_gradient(
    spec: ConvSpec,
    dy: jax.Array,
    kernel: jax.Array,
    inputs: Sizes,
    sharding: Any = None,
    convolve: Convolve = lax.conv_general_dilated,
) -> jax.Array:
    window, spatial = spec.window, _layout(spec)
    flipped = lax.rev(kernel, tuple(range(len(window.size))))
    return convolve(
        dy,
        _exchange_channels_by_group(flipped, spec.groups),
        window_strides=_ones(spec),
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


def kernel_gradient(
    spec: ConvSpec,
    dy: jax.Array,
    x: jax.Array,
    kernel: jax.Array,
    convolve: Convolve = lax.conv_general_dilated,
) -> jax.Array:
    window, spatial = spec.window, _layout(spec)
    if 0 in dy.shape:
        # XLA has no convolution with an empty window, which dy is here when the batch is empty.
        return jnp.zeros(kernel.shape, accumulator(dy.dtype))
    return convolve(
        x,
        dy,
        window_strides=window.dilation,
        padding=_window.kernel_gradient_pads(window, x.shape[1:-1], dy.shape[1:-1]),
        lhs_dilation=_ones(spec),
        rhs_dilation=window.stride,
        dimension_numbers=(f"C{spatial}N", f"I{spatial}O", f"{spatial}NC"),
        batch_group_count=spec.groups,
        precision=spec.precision,
        preferred_element_type=accumulator(dy.dtype),
        out_sharding=jax.typeof(kernel).sharding,
    )


def kernel_gradient_of_exchanged(
    spec: ConvSpec, dy: jax.Array, x: jax.Array, kernel: jax.Array, convolve: Convolve
) -> jax.Array:
    """dkernel without a stride and groups, with x as the window and dy as the image.

    dk[T-1-t,c,o] = sum_{n,q} dy[n, q + d t - (d (T-1) - lo), o] x[n,q,c], which is dkernel of x for dy and dy for x
    """
    pads = _window.input_gradient_pads(spec.window, x.shape[1:-1], dy.shape[1:-1])
    exchanged = spec._replace(window=spec.window._replace(padding=pads))
    backward = kernel_gradient(exchanged, x, dy, jnp.swapaxes(kernel, -1, -2), convolve)
    return lax.rev(jnp.swapaxes(backward, -1, -2), tuple(range(kernel.ndim - 2)))


def _layout(spec: ConvSpec) -> str:
    return "DHW"[3 - len(spec.window.size) :]


def _ones(spec: ConvSpec) -> Sizes:
    return (1,) * len(spec.window.size)
