"""Narrow 2D convolution of small images, as one along the height whose channels are a row's pixels with theirs.

    y[n, i, (j, o)] = sum_{u, (w, c)} x[n, i + d u - lo, (w, c)] band[u, (w, c), (j, o)]
    band[u, (w, c), (j, o)] = k[u, v, c, o] where a tap v has w = j + d v - lo, else 0

with d and lo of the height in the first line, of the width in the second; dx is that of the convolution along the
height, with the same band. For each row u of the window the band is a Toeplitz matrix of width W by J, mostly zeros,
so that there is W / k times as much to multiply, J / k times for dx; but matrix products do it at the processor's full
speed. A 2D convolution that makes fewer channels than a vector has numbers, 16 of float32 with AVX-512, leaves the
rest of it idle, and its sums over a few channels are short. 5x5, 1 to 6 channels on 128 images of 28^2 pixels takes
5.3 ms, and 1.0 by this; dx of 6 to 16 channels on 14^2 pixels 3.9, and 1.6. Of 200 random shapes within wider bounds
than those below, forward and dx, this was faster at 197, 3.4 times in the middle and 0.75 at worst, and so in bfloat16.
Strides leave too few pixels to make, few images do not pay for making the band, dkernel is slower by it, and in float64
XLA's 1D convolution is a plain loop. On long rows ``columns.py`` is the faster one, as its windows hold fewer zeros.
The zeros are multiplied: a value that is not finite makes all pixels nan that are made of its row.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from functional_cnn._window import Sizes, Window
from functional_cnn.ops._formulations import canonical, columns, plain
from functional_cnn.ops._formulations.plain import ConvSpec

_MOST_MADE, _MOST_CHANNELS, _MOST_IN_A_ROW = 8, 16, 448
_FEWEST_IMAGES, _LEAST_WORK = 8, 2**20  # multiply-adds without the zeros
# The band may multiply so many times as much as a convolution by columns, which sums up few channels more slowly.
_FEW_CHANNELS, _AS_MANY_OF_FEW, _AS_MANY = 4, 3, 2


def fits(spec: ConvSpec, images: jax.Array, kernel: jax.Array, outputs: Sizes) -> bool:
    """Whether it pays for ``images``, x or dy, where y's pixels are ``outputs``."""
    plane = spec.groups == 1 and len(outputs) == 2 and max(spec.window.stride) == 1
    if not plane or kernel.dtype == jnp.float64 or 0 in images.shape or 0 in kernel.shape:
        return False
    batch, _, width, channels = images.shape
    made = math.prod(kernel.shape[-2:]) // channels
    narrow = made <= _MOST_MADE and channels <= _MOST_CHANNELS and width * channels <= _MOST_IN_A_ROW
    many = batch >= _FEWEST_IMAGES and plain.multiply_adds(batch, outputs, kernel) >= _LEAST_WORK
    if not (narrow and many):
        return False
    count = columns.pixels_at_once(spec, images, kernel, images.shape[1:-1])
    beside = columns.multiply_adds_of_a_row(spec.window, made, width, count)
    as_many = _AS_MANY_OF_FEW if channels <= _FEW_CHANNELS else _AS_MANY
    return width * width * made <= as_many * beside


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    band = _band(spec.window, kernel, x.shape[-2])
    return _pixels(plain.forward(_of_columns(spec), _rows(x), band, canonical.convolve), kernel.shape[-1])


def input_gradient(spec: ConvSpec, dy: jax.Array, kernel: jax.Array, inputs: Sizes) -> jax.Array:
    height, width = inputs
    band = _band(spec.window, kernel, width)
    dx = plain.input_gradient(_of_columns(spec), _rows(dy), band, (height,), convolve=canonical.convolve)
    return _pixels(dx, kernel.shape[-2])


def _of_columns(spec: ConvSpec) -> ConvSpec:
    return spec._replace(window=spec.window.of_axes(0, 1))


def _rows(images: jax.Array) -> jax.Array:
    return images.reshape(*images.shape[:-2], math.prod(images.shape[-2:]))


def _pixels(rows: jax.Array, channels: int) -> jax.Array:
    return rows.reshape(*rows.shape[:-1], rows.shape[-1] // channels, channels)


def _band(window: Window, kernel: jax.Array, width: int) -> jax.Array:
    taps = _taps_between(window.of_axes(1, 2), width)
    with_none = jnp.pad(kernel, ((0, 0), (0, 1), (0, 0), (0, 0)))
    band = with_none[:, taps].swapaxes(2, 3)  # (k, W, C, J, O)
    height, _, channels, outputs, made = band.shape
    return band.reshape(height, width * channels, outputs * made)


def _taps_between(window: Window, width: int) -> np.ndarray:
    """For every pixel of a row (of x, of y) the tap through which y's reads x's, and k where none does."""
    (taps,), _, ((lo, _),), (dilation,) = window
    (outputs,) = window.output_sizes((width,))
    tap, between = np.divmod(np.arange(width)[:, None] + lo - np.arange(outputs), dilation)
    return np.where((between == 0) & (tap >= 0) & (tap < taps), tap, taps)
