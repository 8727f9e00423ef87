"""Depthwise convolution with a large window: one row of its taps after the other, in a loop.

A row of taps is a depthwise convolution of its own, of the rows of x that it meets. With all taps written out at once
13 x 13 of them, on 384 channels and 8 x 14 x 14 pixels, take 49 ms forward and not 4.

Such windows: X. Ding et al., "Scaling up your kernels to 31x31", arXiv:2203.06717.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn import _views
from functional_cnn._apart import apart
from functional_cnn._numerics import widened
from functional_cnn._window import Sizes, Window
from functional_cnn.ops._formulations import depthwise
from functional_cnn.ops._formulations.plain import ConvSpec


def fits(spec: ConvSpec, kernel: jax.Array) -> bool:
    row = spec.window.size[1:]
    return (
        bool(row) and math.prod(row) <= depthwise.MOST_TAPS and depthwise.keeps_channels_apart(spec, kernel)
    )


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    rows, of_row = _rows_met(spec.window, x), _of_row(spec)

    def made(number, taps):
        return depthwise.forward(of_row, rows(number), taps[None])

    def step(y, row):
        return y + made(*row), None

    numbers = jnp.arange(len(kernel))
    nothing = jnp.zeros_like(jax.eval_shape(made, numbers[0], kernel[0]))
    return lax.scan(step, nothing, (numbers, kernel))[0]


def input_gradient(spec: ConvSpec, dy: jax.Array, kernel: jax.Array, inputs: Sizes) -> jax.Array:
    """Each row of taps gives to the rows of the padded x that it met."""
    window = spec.window
    between, others = (0, 0, window.stride[0] - 1), ((0, 0, 0),) * (dy.ndim - 2)
    map_of_row = functools.partial(depthwise.input_gradient, _of_row(spec), inputs=(dy.shape[1], *inputs[1:]))

    def made(taps):
        rows = apart(map_of_row, dy, taps[None])
        return lax.pad(rows, lax.full((), 0, rows.dtype), ((0, 0, 0), between, *others))

    def step(padded, row):
        number, taps = row
        rows, first = made(taps), window.dilation[0] * number
        rows += lax.dynamic_slice_in_dim(padded, first, rows.shape[1], axis=1)
        return lax.dynamic_update_slice_in_dim(padded, rows, first, axis=1), None

    lo, hi = window.padding[0]
    nothing = jnp.zeros_like(jax.eval_shape(made, kernel[0]))
    nothing = _with_rows(nothing, 0, lo + inputs[0] + hi - nothing.shape[1])
    padded, _ = lax.scan(step, nothing, (jnp.arange(len(kernel)), kernel))
    return _with_rows(padded, -lo, -hi)


def kernel_gradient(spec: ConvSpec, dy: jax.Array, x: jax.Array, kernel: jax.Array) -> jax.Array:
    dy, x = widened(dy, x)
    rows, of_row = _rows_met(spec.window, x), _of_row(spec)

    def sums(number):
        return depthwise.sums_of_examples(of_row.window, dy, rows(number))

    # As for smaller windows, sums over examples stay outside.
    return jnp.sum(lax.map(sums, jnp.arange(len(kernel))), axis=2).reshape(kernel.shape)


def _of_row(spec: ConvSpec) -> ConvSpec:
    """The convolution of one row of taps, with the rows of x that it meets."""
    size, stride, padding, dilation = spec.window
    row = Window((1, *size[1:]), (1, *stride[1:]), ((0, 0), *padding[1:]), (1, *dilation[1:]))
    return spec._replace(window=row)


def _rows_met(window: Window, x: jax.Array) -> Callable[[jax.Array], jax.Array]:
    """A function of a row's number, to the rows of x that this row of taps meets, one for each row of outputs."""
    padded, stride = _with_rows(x, *window.padding[0]), window.stride[0]
    met = (window.output_sizes(x.shape[1:-1])[0] - 1) * stride + 1

    def rows(number):
        cut = lax.dynamic_slice_in_dim(padded, window.dilation[0] * number, met, axis=1)
        return lax.slice_in_dim(cut, 0, met, stride, axis=1)

    return rows


def _with_rows(x: jax.Array, above: int, below: int) -> jax.Array:
    return _views.pad_spatial(x, ((above, below), *((0, 0),) * (x.ndim - 3)))
