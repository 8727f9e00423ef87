"""Convolution by the product of every pixel with every tap, each summed where it belongs: few channels made of many.

    z[n,p,(t,o)] = sum_c x[n,p,c] k[t,c,o]                           one matrix product
    y[n,p,o] = sum_t z[n, s p + d t - lo, (t,o)]                     forward
    dx[n,q,c] = sum_{t,p : s p + d t - lo = q} z[n,p,(t,c)]          z of dy and its kernel
    dk[t,c,o] = sum_{n,q} x[n,q,c] dy[n, q - d t + lo, o]            one matrix product, without a stride

z, and for dk what every tap gives of dy, is no larger than twice what comes in. XLA's own convolution and YNNPACK's
both take as long for one channel made as for many: 3x3, 256 to 1 on 8 x 56^2 pixels takes them 10 ms, and 2.3 by this;
256 to 8 take 25 and 14, and 6.7. Of 40 shapes within these bounds all were as fast or faster, but for 2 x 7^2 pixels
of 512 to 10 channels, which took 0.28 ms and not 0.25. dk of 256 to 8 on 8 x 28^2 takes 4.3 ms and not 7.7, of 64 to 3
on one image of 224^2 5.3 and not 60, of 64 to 2 on 4 x 16^3 2.1 and not 75.

With a stride forward keeps one of so many z, but YNNPACK is slower still: 3x3, stride 2, 512 to 3 on 4 x 112^2 pixels
takes it 30 ms, and 7.8 by this; 4x4x4, stride 2, 32 to 1 on 20 x 16^3 15 and 2.4. Of 80 random shapes within these
bounds it took 0.53 times as long in the middle, and more than 1.05 times at 3 small ones, 1.6 at worst.
"""

import functools
import math
import operator

import jax
import jax.numpy as jnp

from functional_cnn import _views, _window
from functional_cnn._window import Sizes
from functional_cnn.ops._formulations.plain import ConvSpec
from functional_cnn.ops._formulations.pointwise import dot, sum_of_pixels

# Taps are written out one by one, and a program must stay of reasonable size.
MOST_TAPS = 64
_FEW = 16  # channels made
_FEWER, _FEWEST = 8, 4  # with a stride, in planes and in volumes
_MANY_NUMBERS = 2**18  # of x, with a stride in planes


def fit_forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> bool:
    *_, channels, outputs = kernel.shape
    if max(spec.window.stride) == 1:
        return _pay(spec, channels, outputs)
    if len(spec.window.size) == 3:
        return outputs <= _FEWEST and _fit(spec, outputs, channels)
    enough = outputs <= _FEWER and x.size >= _MANY_NUMBERS
    return enough and _fit(spec, 2 * outputs * math.prod(spec.window.stride), channels)


def fit_kernel_gradient(spec: ConvSpec, kernel: jax.Array) -> bool:
    *_, channels, outputs = kernel.shape
    return max(spec.window.stride) == 1 and _pay(spec, channels, outputs)


def fit_input_gradient(spec: ConvSpec, kernel: jax.Array) -> bool:
    *_, channels, outputs = kernel.shape
    return _pay(spec, outputs, channels)


def _pay(spec: ConvSpec, channels: int, channels_made: int) -> bool:
    return _fit(spec, channels_made, 2 * channels if channels_made < _FEW else channels)


def _fit(spec: ConvSpec, numbers: int, most: int) -> bool:
    """Whether so many numbers of each tap are at most ``most``, and the taps not too many to write out."""
    number = math.prod(spec.window.size)
    return spec.groups == 1 and number <= MOST_TAPS and number * numbers <= most


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    window, outputs = spec.window, spec.window.output_sizes(x.shape[1:-1])
    of_taps = _of_taps(spec, dot(spec, x, kernel, (x.ndim - 1,), (kernel.ndim - 2,)))
    views = (
        _views.tap_view(_views.pad_spatial(of_tap, window.padding), tap, window, outputs)
        for of_tap, tap in zip(of_taps, _window.taps(window), strict=True)
    )
    return functools.reduce(operator.add, views)


def input_gradient(spec: ConvSpec, dy: jax.Array, kernel: jax.Array, inputs: Sizes) -> jax.Array:
    of_taps = _of_taps(spec, dot(spec, dy, kernel, (dy.ndim - 1,), (kernel.ndim - 1,)))
    return _views.gather_gradient(spec.window, inputs, of_taps, lambda number, *views: views[number])


def kernel_gradient(spec: ConvSpec, dy: jax.Array, x: jax.Array, kernel: jax.Array) -> jax.Array:
    pads = _window.input_gradient_pads(spec.window, x.shape[1:-1], dy.shape[1:-1])
    given = _views.tap_views(dy, spec.window._replace(padding=pads))  # by the taps from the last to the first
    *window, channels, outputs = kernel.shape
    matrix = jnp.moveaxis(kernel, -2, 0).reshape(channels, math.prod(window) * outputs)
    of_taps = sum_of_pixels(spec, x, jnp.concatenate(given[::-1], axis=-1), matrix)
    return jnp.moveaxis(of_taps.reshape(channels, *window, outputs), 0, -2)


def _of_taps(spec: ConvSpec, products: jax.Array) -> list[jax.Array]:
    """(N, *spatial, *window, C) to an array (N, *spatial, C) for each tap."""
    *pixels, channels = products.shape
    pixels = pixels[: len(pixels) - len(spec.window.size)]
    number = math.prod(spec.window.size)
    return jnp.split(products.reshape(*pixels, number * channels), number, axis=-1)
