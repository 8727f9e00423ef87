"""Convolution's three maps by ``lax.conv_general_dilated``.

Its dimension numbers say which axis of an operand plays which part: dx contracts the kernel's O, dkernel
contracts the batch.

On CPU, XLA of JAX 0.10 and later hands a 2D convolution in float32 or float64 to YNNPACK, except where the
input is dilated. XLA's own is up to 4 times as fast, and ``spread`` asks for it: with the rows of the input,
the taps and the steps of the window all set ``spread`` times as far apart, the window meets the same pixels.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn import _window
from functional_cnn._numerics import accumulator
from functional_cnn._window import Pads, Sizes, Window


class ConvSpec(NamedTuple):
    window: Window
    groups: int
    precision: Any


class _Placement(NamedTuple):
    """Where a convolution's window meets its input, in the terms of lax."""

    window_strides: Sizes
    padding: Pads
    lhs_dilation: Sizes
    rhs_dilation: Sizes

    def spread(self, factor: int) -> "_Placement":
        def first(entries):
            return (factor * entries[0], *entries[1:])

        lo, hi = self.padding[0]
        pads = ((factor * lo, factor * hi), *self.padding[1:])
        return _Placement(
            first(self.window_strides), pads, first(self.lhs_dilation), first(self.rhs_dilation)
        )


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array, spread: int = 1) -> jax.Array:
    window, spatial = spec.window, _layout(spec)
    placement = _Placement(window.stride, window.padding, _ones(spec), window.dilation)
    return lax.conv_general_dilated(
        x,
        kernel,
        **placement.spread(spread)._asdict(),
        dimension_numbers=(f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
        feature_group_count=spec.groups,
        precision=spec.precision,
        preferred_element_type=accumulator(x.dtype),
    )


def input_gradient(
    spec: ConvSpec, dy: jax.Array, kernel: jax.Array, inputs: Sizes, sharding: Any = None, spread: int = 1
) -> jax.Array:
    window, spatial = spec.window, _layout(spec)
    flipped = lax.rev(kernel, tuple(range(len(window.size))))
    pads = _window.input_gradient_pads(window, inputs, dy.shape[1:-1])
    placement = _Placement(_ones(spec), pads, window.stride, window.dilation)
    return lax.conv_general_dilated(
        dy,
        _exchange_channels_by_group(flipped, spec.groups),
        **placement.spread(spread)._asdict(),
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
    spec: ConvSpec, dy: jax.Array, x: jax.Array, kernel: jax.Array, spread: int = 1
) -> jax.Array:
    window, spatial = spec.window, _layout(spec)
    if 0 in dy.shape:
        # XLA has no convolution with an empty window, which dy is here when the batch is empty.
        return jnp.zeros(kernel.shape, accumulator(dy.dtype))
    pads = _window.kernel_gradient_pads(window, x.shape[1:-1], dy.shape[1:-1])
    placement = _Placement(window.dilation, pads, _ones(spec), window.stride)
    return lax.conv_general_dilated(
        x,
        dy,
        **placement.spread(spread)._asdict(),
        dimension_numbers=(f"C{spatial}N", f"I{spatial}O", f"{spatial}NC"),
        batch_group_count=spec.groups,
        precision=spec.precision,
        preferred_element_type=accumulator(dy.dtype),
        out_sharding=jax.typeof(kernel).sharding,
    )


def _layout(spec: ConvSpec) -> str:
    return "DHW"[3 - len(spec.window.size) :]


def _ones(spec: ConvSpec) -> Sizes:
    return (1,) * len(spec.window.size)
