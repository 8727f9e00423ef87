"""Convolution whose windows lie side by side: every pixel belongs to one window, windows are rows of a matrix.

Axes are split and merged one at a time, which JAX does on a mesh of Explicit axes too.
"""

import itertools

import jax

from functional_cnn import _views, _window
from functional_cnn._window import Sizes
from functional_cnn.ops._formulations.plain import ConvSpec
from functional_cnn.ops._formulations.pointwise import dot


def fits(spec: ConvSpec) -> bool:
    window = spec.window
    return spec.groups == 1 and window.size == window.stride and max(window.dilation) == 1


def input_gradient(spec: ConvSpec, dy: jax.Array, kernel: jax.Array, inputs: Sizes) -> jax.Array:
    rank, outputs = len(inputs), dy.shape[1:-1]
    tiles = dot(spec, dy, kernel, (dy.ndim - 1,), (kernel.ndim - 1,))  # (N, *outputs, *window, C)
    side_by_side = itertools.chain(*((1 + axis, 1 + rank + axis) for axis in range(rank)))
    dx = tiles.transpose(0, *side_by_side, 1 + 2 * rank)
    crop = []
    for axis, (n, o, s, (lo, _)) in enumerate(
        zip(inputs, outputs, spec.window.stride, spec.window.padding, strict=True), start=1
    ):
        dx = dx.reshape(*dx.shape[:axis], o * s, *dx.shape[axis + 2 :])
        crop.append((-lo, n + lo - o * s))
    return _views.pad_spatial(dx, tuple(crop))


def kernel_gradient(spec: ConvSpec, dy: jax.Array, x: jax.Array, kernel: jax.Array) -> jax.Array:
    rank, outputs = dy.ndim - 2, dy.shape[1:-1]
    tiles = _views.pad_spatial(x, _window.kernel_gradient_pads(spec.window, x.shape[1:-1], outputs))
    for axis, (o, s) in enumerate(zip(outputs, spec.window.stride, strict=True)):
        place = 1 + 2 * axis
        tiles = tiles.reshape(*tiles.shape[:place], o, s, *tiles.shape[place + 1 :])
    return dot(spec, tiles, dy, (0, *range(1, 2 * rank, 2)), tuple(range(1 + rank)), kernel)
