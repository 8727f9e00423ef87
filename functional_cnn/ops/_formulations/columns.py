"""Convolutions that make few channels, with some neighbouring pixels of a row as the channels of one.

    y[n, i, J b + j, o] = sum_{u,w,c} x[n, s i + d u - lo, s J b + w - lo, c] wide[u, w, c, (j, o)]
    wide[u, w, c, (j, o)] = k[u, v, c, o] where w = s j + v, else 0
    dk[u, v, c, o] = sum_j dwide[u, s j + v, c, (j, o)]

for J pixels at once, with s, d and lo of each axis and d = 1 along the row. The window is s (J - 1) columns wider and
moves by J strides. dx without a stride is the same of dy with the flipped kernel.

A convolution that makes fewer channels than a vector has numbers, 16 of float32 with AVX-512, leaves the rest of it
idle, and one that takes few in sums them up in short pieces, row by row of its window. Here some pixels fill the
vector, and the columns that they share are read once: 3x3, 3 to 8 channels on 8 x 112^2 pixels takes 0.65 ms and not
1.9. Beside what makes them else, random shapes within the bounds took 0.50 times as long forward (116 shapes, 1.25 at
worst) and for dx (107, 1.1), dkernel 0.63 times (142, 1.6). With more columns, stride or dilation most of what is
multiplied would be zeros; in float64 some shapes take 3 times as long. For dkernel of 8 images and more few channels
must be made, or 16 on short rows; fewer images, whose sums are in short pieces, gain up to 16 where there is padding,
and are fast without. Where 17 to 24 channels are made of at least 24, or with 25 taps and more, without a stride, and
XLA's own convolution makes dkernel, four pixels at once took 0.79 times as long (87 shapes, 1.3 at worst).
The zeros are multiplied: a value that is not finite makes all pixels nan that are made with its own.
"""

import functools
import math
import operator
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn import _views, _window
from functional_cnn._window import Sizes, Window
from functional_cnn.ops._formulations import even, plain
from functional_cnn.ops._formulations.plain import ConvSpec

_VECTOR = 16  # numbers
_LEAST_WORK = 2**17  # multiply-adds
# The most channels of all pixels at once, where at most so many come in.
_MOST_MADE = {6: 32, 12: 24, 16: 16}
_MOST_AT_ONCE, _MOST_STRIDE, _WIDEST = 8, 2, 3.4  # pixels, pixels, columns for each of the window
# For dkernel.
_MOST_CHANNELS, _MOST_MADE_OF_KERNEL = 32, 32
_FEW_IMAGES, _FEW_MADE, _SHORT_ROW = 8, 8, 28
# Of more than a vector.
_SOME_AT_ONCE, _SOME_MADE, _SOME_CHANNELS, _MANY_TAPS = 4, 24, 24, 25


def pixels_at_once(spec: ConvSpec, images: jax.Array, kernel: jax.Array, outputs: Sizes) -> int:
    """How many pixels of a row to make together of ``images``, x or dy; 1 where that does not pay."""
    if not _fits(spec, images, kernel, outputs):
        return 1
    channels = images.shape[-1]
    made = math.prod(kernel.shape[-2:]) // channels
    most = max((most for some, most in _MOST_MADE.items() if channels <= some), default=0)
    return _fitting(spec.window, most, made, outputs[-1])


def pixels_at_once_of_kernel_gradient(spec: ConvSpec, dy: jax.Array, kernel: jax.Array, direct: bool) -> int:
    """How many pixels of a row of dy to read together; ``direct`` where XLA's own convolution has dy as its window."""
    images, *outputs, made = dy.shape
    if not _fits(spec, dy, kernel, tuple(outputs)) or kernel.shape[-2] > _MOST_CHANNELS or made == 1:
        return 1
    if direct and max(spec.window.stride) == 1 and _VECTOR < made <= _SOME_MADE:
        *taps, channels, _ = kernel.shape
        enough = channels >= _SOME_CHANNELS or math.prod(taps) >= _MANY_TAPS
        return _fitting(spec.window, _SOME_AT_ONCE * made, made, outputs[-1]) if enough else 1
    count = _fitting(spec.window, _MOST_MADE_OF_KERNEL, made, outputs[-1])
    if images < _FEW_IMAGES:
        return count if any(map(any, spec.window.padding)) else 1
    few = made <= _FEW_MADE and count * made % 8 == 0
    return count if few or (made == _VECTOR and outputs[-1] <= _SHORT_ROW) else 1


def _fits(spec: ConvSpec, images: jax.Array, kernel: jax.Array, outputs: Sizes) -> bool:
    if spec.groups > 1 or kernel.dtype == jnp.float64 or 0 in images.shape or 0 in kernel.shape:
        return False
    if any(tuple(jax.typeof(kernel).sharding.spec)):  # JAX splits no axis that a mesh of Explicit axes does
        return False
    return plain.multiply_adds(images.shape[0], outputs, kernel) >= _LEAST_WORK


def _fitting(window: Window, most: int, made: int, row: int) -> int:
    """A power of two, so that as many numbers are made as vectors hold."""
    size, stride = window.size[-1], window.stride[-1]
    if size < 3 or stride > _MOST_STRIDE or window.dilation[-1] > 1:
        return 1
    widest = min(row, _WIDEST * size)
    count = 1
    while 2 * count * made <= most and count < _MOST_AT_ONCE and _width(window, 2 * count) <= widest:
        count *= 2
    return count


def multiply_adds_of_a_row(window: Window, made: int, row: int, count: int) -> float:
    """Those for each row of taps and channel that comes in, with what a vector leaves idle."""
    return row / count * _width(window, count) * _VECTOR * -(-count * made // _VECTOR)


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array, count: int) -> jax.Array:
    outputs = spec.window.output_sizes(x.shape[1:-1])
    wide = spec._replace(window=_wide(spec.window, outputs, count))
    y = plain.forward(wide, x, _wide_kernel(spec.window, kernel, count), even.convolve)
    # Axes are split and merged one at a time, which JAX does on a mesh of Explicit axes too.
    y = y.reshape(*y.shape[:-1], count, kernel.shape[-1])
    y = y.reshape(*y.shape[:-3], y.shape[-3] * count, y.shape[-1])
    return lax.slice_in_dim(y, 0, outputs[-1], axis=-2)


def input_gradient(spec: ConvSpec, dy: jax.Array, kernel: jax.Array, inputs: Sizes, count: int) -> jax.Array:
    """dx, without a stride."""
    window = spec.window
    pads = _window.input_gradient_pads(window, inputs, dy.shape[1:-1])
    flipped = jnp.swapaxes(lax.rev(kernel, tuple(range(len(pads)))), -1, -2)
    return forward(spec._replace(window=window._replace(padding=pads)), dy, flipped, count)


def kernel_gradient(
    spec: ConvSpec,
    dy: jax.Array,
    x: jax.Array,
    kernel: jax.Array,
    count: int,
    of_wide: Callable[..., jax.Array],
) -> jax.Array:
    """dkernel, by that of the wide kernel."""
    window, outputs, made = spec.window, dy.shape[1:-1], dy.shape[-1]
    beyond = [(0, 0)] * (len(outputs) - 1) + [(0, -outputs[-1] % count)]
    dy = _views.pad_spatial(dy, tuple(beyond))
    dy = dy.reshape(*dy.shape[:-2], dy.shape[-2] // count, count, made)
    dy = dy.reshape(*dy.shape[:-2], count * made)
    wide = spec._replace(window=_wide(window, outputs, count))
    dwide = of_wide(wide, dy, x, _wide_kernel(window, kernel, count))
    parts = []
    for number, part in enumerate(jnp.split(dwide, count, axis=-1)):
        first = window.stride[-1] * number
        parts.append(lax.slice_in_dim(part, first, first + window.size[-1], axis=-3))
    return functools.reduce(operator.add, parts)


def _wide(window: Window, outputs: Sizes, count: int) -> Window:
    """The window that makes ``count`` pixels; the last ones of a row may lie beyond it."""
    *sizes, _ = window.size
    *strides, stride = window.stride
    *pads, (lo, hi) = window.padding
    beyond = -outputs[-1] % count
    return Window(
        (*sizes, _width(window, count)),
        (*strides, stride * count),
        (*pads, (lo, hi + stride * beyond)),
        window.dilation,
    )


def _width(window: Window, count: int) -> int:
    return window.size[-1] + window.stride[-1] * (count - 1)


def _wide_kernel(window: Window, kernel: jax.Array, count: int) -> jax.Array:
    none, stride = ((0, 0, 0),), window.stride[-1]
    before = none * (kernel.ndim - 3)
    places = [(stride * number, stride * (count - 1 - number), 0) for number in range(count)]
    zero = jnp.zeros((), kernel.dtype)
    return jnp.concatenate([lax.pad(kernel, zero, (*before, place, *none * 2)) for place in places], axis=-1)
