"""Pointwise convolution, a 1x1 window without padding: every kept pixel's channels times a matrix."""

import itertools
import math
from typing import Any

import jax
from jax import lax

from functional_cnn import _views
from functional_cnn._numerics import accumulator
from functional_cnn._window import Sizes
from functional_cnn.ops._formulations.plain import ConvSpec


def fits(spec: ConvSpec) -> bool:
    single = math.prod(spec.window.size) == 1
    return spec.groups == 1 and single and max(itertools.chain(*spec.window.padding)) <= 0


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    pixels = _kept_pixels(spec, x, spec.window.output_sizes(x.shape[1:-1]))
    return dot(spec, pixels, as_matrix(kernel), (x.ndim - 1,), (0,))


def input_gradient(spec: ConvSpec, dy: jax.Array, kernel: jax.Array, inputs: Sizes) -> jax.Array:
    dpixels = dot(spec, dy, as_matrix(kernel), (dy.ndim - 1,), (1,))
    return _views.gather_gradient(spec.window, inputs, [dpixels], lambda number, view: view)


def kernel_gradient(spec: ConvSpec, dy: jax.Array, x: jax.Array, kernel: jax.Array) -> jax.Array:
    matrix = as_matrix(kernel)
    return sum_of_pixels(spec, _kept_pixels(spec, x, dy.shape[1:-1]), dy, matrix).reshape(kernel.shape)


def sum_of_pixels(spec: ConvSpec, x: jax.Array, dy: jax.Array, like: jax.Array) -> jax.Array:
    """The matrix sum_{n,p} x[n,p,c] dy[n,p,o], with the sharding of ``like``.

    The product whose first operand has fewer channels is up to 2.6 times as fast: 96 and 16 channels of 25,088 pixels
    take 1.29 and 0.49 ms. Without the barrier XLA would turn the operands around again.
    """
    x, dy = _as_rows(x), _as_rows(dy)
    if x.shape[1] <= dy.shape[1]:
        return dot(spec, x, dy, (0,), (0,), like)
    return lax.optimization_barrier(dot(spec, dy, x, (0,), (0,), like.T)).T


def dot(spec: ConvSpec, a: jax.Array, b: jax.Array, contract_a: Sizes, contract_b: Sizes, like: Any = None):
    """The product over the contracted axes, in the accumulator's dtype and with the sharding of ``like``."""
    return lax.dot_general(
        a,
        b,
        ((contract_a, contract_b), ((), ())),
        precision=spec.precision,
        preferred_element_type=accumulator(a.dtype),
        out_sharding=None if like is None else jax.typeof(like).sharding,
    )


def _kept_pixels(spec: ConvSpec, x: jax.Array, outputs: Sizes) -> jax.Array:
    return _views.tap_view(x, (0,) * len(outputs), spec.window, outputs)


def as_matrix(kernel: jax.Array) -> jax.Array:
    """A row for each tap and input channel."""
    return kernel.reshape(math.prod(kernel.shape[:-1]), kernel.shape[-1])


def _as_rows(x: jax.Array) -> jax.Array:
    """The pixels of all examples as the rows of a matrix.

    A product of two matrices contracts their first axes as they lie; of more axes XLA copies one operand,
    transposed. Axes are merged one at a time, which JAX does on a mesh of Explicit axes too.
    """
    while x.ndim > 2:
        x = x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])
    return x
