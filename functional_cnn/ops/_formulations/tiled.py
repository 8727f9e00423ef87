"""Convolution whose windows lie side by side: every pixel belongs to one window, windows are rows of a matrix.

Forward pays of an odd number of channels, which YNNPACK reads slowly, in volumes, and as a transposed convolution's dx,
whose dkernel takes the same rows: of 21 shapes it took 0.8 times as long in the geometric mean, 3 to 96 channels of
8 x 224^2 pixels and windows of 4 x 4 0.7 ms and not 1.7. dkernel took 0.86 times as long as by a product that contracts
the windows as they lie, with the rest of their axes between those it contracts.

Axes are split and merged one at a time, which JAX does on a mesh of Explicit axes too.
"""

import itertools

import jax

from functional_cnn import _views, _window
from functional_cnn._window import Sizes
from functional_cnn.ops._formulations import parts
from functional_cnn.ops._formulations.plain import ConvSpec
from functional_cnn.ops._formulations.pointwise import as_matrix, dot, sum_of_pixels


def fits(spec: ConvSpec) -> bool:
    window = spec.window
    return spec.groups == 1 and window.size == window.stride and max(window.dilation) == 1


def fit_forward(spec: ConvSpec, kernel: jax.Array) -> bool:
    volume, odd = len(spec.window.size) == 3, kernel.shape[-2] % 2 == 1
    return (volume or odd or spec.transposed) and not parts.fits(spec, kernel)


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    windows = _windows(spec, x, spec.window.output_sizes(x.shape[1:-1]))
    return dot(spec, windows, as_matrix(kernel), (x.ndim - 1,), (0,))


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
    windows = _windows(spec, x, dy.shape[1:-1])
    return sum_of_pixels(spec, windows, dy, as_matrix(kernel)).reshape(kernel.shape)


def _windows(spec: ConvSpec, x: jax.Array, outputs: Sizes) -> jax.Array:
    """(N, *spatial, C) to (N, *outputs, window C): all that each window reads, one after the other."""
    rank = len(outputs)
    windows = _views.pad_spatial(x, _window.kernel_gradient_pads(spec.window, x.shape[1:-1], outputs))
    for axis, (o, s) in enumerate(zip(outputs, spec.window.stride, strict=True)):
        place = 1 + 2 * axis
        windows = windows.reshape(*windows.shape[:place], o, s, *windows.shape[place + 1 :])
    windows = windows.transpose(0, *range(1, 2 * rank, 2), *range(2, 2 * rank + 1, 2), 2 * rank + 1)
    while windows.ndim > rank + 2:
        *kept, a, b = windows.shape
        windows = windows.reshape(*kept, a * b)
    return windows
