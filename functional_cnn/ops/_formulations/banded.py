"""Narrow convolution of small images: pixels of a row, with their channels, are the channels of one along the columns.

    y[n, i, (j, o)] = sum_{u, (w, c)} x[n, i + d u - lo, (w, c)] band[u, (w, c), (j, o)]
    band[u, (w, c), (j, o)] = k[u, v, c, o] where a tap v has w = j + d v - lo, else 0

The band is W / k times as much work, most of it with zeros, but matrix products do it at the processor's full speed.
A convolution that makes fewer channels than a vector has numbers, 16 with AVX-512, leaves the rest of it idle, and
sums over a few channels at a time are short: 5x5, 1 to 6 channels on 128 images of 28^2 pixels take 7.2 ms, and 1.5 by
this; dx of 6 to 16 channels on 14^2 4.0, and 2.9. Of 200 random shapes within the bounds below, forward and dx, this
is faster in 198, 3.5 times in the middle and 0.8 at worst. It is not with a stride, which leaves few pixels to make,
on few images, for which the band is dear to make, and for dkernel.
The zeros are multiplied: a value that is not finite reaches all pixels made of its row, as nan.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from functional_cnn._window import Sizes, Window
from functional_cnn.ops._formulations import canonical, plain
from functional_cnn.ops._formulations.plain import ConvSpec

_MOST_MADE, _MOST_CHANNELS, _MOST_IN_A_ROW = 8, 16, 448
_FEWEST_IMAGES, _LEAST_WORK = 8, 2**20  # multiply-adds without the zeros
# W / k, the work, in proportion to the speed that it makes up for: of a convolution that makes one channel of one.
_MOST_WORK, _SATURATED = 150, 8


def fits(spec: ConvSpec, images: jax.Array, kernel: jax.Array, width: int) -> bool:
    """Whether it pays for ``images``, which are x or dy, where x's rows have ``width`` pixels."""
    batch, *pixels, channels = images.shape
    if spec.groups > 1 or len(pixels) != 2 or max(spec.window.stride) > 1:
        return False
    made = math.prod(kernel.shape[-2:]) // channels
    narrow = made <= _MOST_MADE and channels <= _MOST_CHANNELS and width * channels <= _MOST_IN_A_ROW
    many = batch >= _FEWEST_IMAGES and batch * math.prod(pixels) * kernel.size >= _LEAST_WORK
    work = width / kernel.shape[1] * made * min(channels, _SATURATED)
    return narrow and many and work <= _MOST_WORK


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
    taps, channels, made = kernel.shape[1:]
    with_zeros = jnp.pad(kernel, ((0, 0), (0, 1), (0, 0), (0, 0)))
    met = _taps_between(window.of_axes(1, 2), width)
    band = with_zeros[:, np.where(met < 0, taps, met)]  # (k, W, J, C, O)
    return band.swapaxes(2, 3).reshape(len(kernel), width * channels, met.shape[1] * made)


def _taps_between(window: Window, width: int) -> np.ndarray:
    """For every pixel of a row (of x, of y) the tap through which y's reads x's, and -1 where none does."""
    (taps,), _, ((lo, _),), (dilation,) = window
    (outputs,) = window.output_sizes((width,))
    tap, between = np.divmod(np.arange(width)[:, None] + lo - np.arange(outputs), dilation)
    return np.where((between == 0) & (tap >= 0) & (tap < taps), tap, -1)
