"""On CPU, XLA's own 2D convolution in place of YNNPACK's, but for what has a formulation of its own beside this one.

XLA of JAX 0.10 and later hands a 2D convolution in float32 or float64 to YNNPACK unless its input is dilated. So the
rows of the input, the taps and the steps of the window are all set twice as far apart: the window meets the same
pixels, and XLA's own convolution runs. In float32, from some 30 million multiply-adds on, its own is faster: 1.1 to
1.9 times forward and for dx, 1.2 to 4 times for dkernel. YNNPACK makes dkernel without a stride slower the more images
and pixels are summed up: 5x5, 6 to 16 channels on 128 images of 14 x 14 pixels takes 3.2 ms, and 1.3 by XLA's own. So
there a quarter of the multiply-adds is enough: of 36 random shapes below, XLA's own took 0.57 times as long in the
middle, and 1.24 at worst. Forward and for dx YNNPACK stays where the image made is larger than a core's cache and its
rows are shared out among threads (XLA's own takes up to 1.8 times as long), where at most 16 channels are made (up to
2.4 times), and where few come in, for which the dilation slows the sums themselves. For dkernel of 8 to 31 images it
stays where at most 16 channels are made (1.2 to 1.5 times), or 32 of at most 32 by short sums (1.1 to 1.6 times; its
long sums round more), but not for long sums over more than 16 images whose number 4 does not divide: of 80 random ones
XLA's own took 0.26 to 0.91 times as long, with a half to a ninth of the error. For a transposed convolution it makes
all sums of 2^15 terms and more over more than 16 images, in 0.6 to 1.3 times the time: YNNPACK's error is up to 8 times
that of the matrix products by which JAX makes them there. With a stride XLA's own is level or faster forward at every
size, by up to 1.9 times; for dx the input is dilated already. In float64 XLA's own takes 10 times as long. All this was
measured on two cores with AVX-512.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn import _window
from functional_cnn._apart import apart
from functional_cnn._window import Pads, Sizes
from functional_cnn.ops._formulations import (
    banded,
    blocks,
    canonical,
    columns,
    even,
    parts,
    patches,
    plain,
    products,
    strips,
    winograd,
)
from functional_cnn.ops._formulations.plain import Convolve, ConvSpec

_LARGE = 2**25  # multiply-adds
_MANY_IMAGES, _MANY_TERMS, _LARGE_OF_MANY = 32, 10_000, 2**23  # for dkernel; the terms of one of its numbers
_TERMS_THAT_ROUND = 2**15  # for a transposed convolution's dkernel
_SOME_IMAGES, _MORE_IMAGES, _IMAGES_AT_ONCE = 8, 16, 4  # for dkernel
_SLOW_TO_TURN = 2**20  # numbers of x, for dkernel
_IN_CACHE = 2**18  # numbers of one image that the map makes
_MANY_CHANNELS = 32  # for a stride, and for dkernel of some images
_SOME_CHANNELS, _FEW_MADE, _MANY_PAIRS = 8, 16, 512  # channels taken in, channels made, and of both
_CHANNELS_AT_ONCE = 64  # of YNNPACK's matrix product with AVX-512


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    if parts.fits(spec, kernel):
        return parts.forward(spec, x, kernel, forward)
    if patches.fits(spec, x.shape[1:-1]):
        return patches.forward(spec, x, kernel)
    outputs = spec.window.output_sizes(x.shape[1:-1])
    if banded.fits(spec, x, kernel, outputs):
        return banded.forward(spec, x, kernel)
    count = columns.pixels_at_once(spec, x, kernel, outputs)
    if count > 1:
        return columns.forward(spec, x, kernel, count)
    if winograd.fits(spec, x.shape[0], outputs, kernel):
        return winograd.forward(spec, x, kernel)
    pays = _pays(spec, x.shape[-1], outputs, kernel.shape[-1])
    return plain.forward(spec, x, kernel, _convolve_of(pays, x.shape[0], outputs, kernel))


def input_gradient(
    spec: ConvSpec, dy: jax.Array, kernel: jax.Array, inputs: Sizes, sharding: Any = None
) -> jax.Array:
    if patches.fits(spec, dy.shape[1:-1]):
        return products.input_gradient(spec, dy, kernel, inputs)
    if banded.fits(spec, dy, kernel, dy.shape[1:-1]):
        return banded.input_gradient(spec, dy, kernel, inputs)
    count = columns.pixels_at_once(spec, dy, kernel, inputs)
    if count > 1 and max(spec.window.stride) == 1:
        return columns.input_gradient(spec, dy, kernel, inputs, count)
    if winograd.fits(spec, dy.shape[0], inputs, kernel):
        return winograd.input_gradient(spec, dy, kernel, inputs)
    if blocks.fits(spec, dy, kernel):
        of_stride_1 = functools.partial(input_gradient, sharding=sharding)
        return blocks.input_gradient(spec, dy, kernel, inputs, of_stride_1)
    pays = max(spec.window.stride) == 1 and _pays(spec, dy.shape[-1], inputs, kernel.shape[-2])
    chosen = _convolve_of(pays, dy.shape[0], dy.shape[1:-1], kernel)
    if dy.size + dy.shape[0] * math.prod(inputs) * kernel.shape[-2] < kernel.size:
        return _input_gradient_of_flipped_images(spec, dy, kernel, inputs, sharding, chosen)
    return plain.input_gradient(spec, dy, kernel, inputs, sharding, chosen)


def _input_gradient_of_flipped_images(
    spec: ConvSpec, dy: jax.Array, kernel: jax.Array, inputs: Sizes, sharding: Any, chosen: Convolve
) -> jax.Array:
    """dx, for which the images are flipped and not the kernel, whose two flips XLA takes for none.

    XLA transposes a kernel 3 to 5 times faster alone than together with its flip.
    """
    axes = tuple(range(1, dy.ndim - 1))
    pads = _window.kernel_gradient_pads(spec.window, inputs, dy.shape[1:-1])
    mirrored = spec.window._replace(padding=tuple((hi, lo) for lo, hi in pads))
    flipped = lax.rev(kernel, tuple(range(len(axes))))
    dx = plain.input_gradient(
        spec._replace(window=mirrored), lax.rev(dy, axes), flipped, inputs, sharding, chosen
    )
    return lax.rev(dx, axes)


def _pays(spec: ConvSpec, channels: int, made: Sizes, channels_made: int) -> bool:
    """Whether XLA's own convolution makes images of these sizes and channels faster than YNNPACK's."""
    if max(spec.window.stride) > 1:
        return channels >= _MANY_CHANNELS
    if channels < _SOME_CHANNELS or channels_made <= _FEW_MADE or channels * channels_made < _MANY_PAIRS:
        return False
    if math.prod(made) * channels_made <= _IN_CACHE:
        return True
    return _tasks_of_a_row(made[-1], channels_made, channels * math.prod(spec.window.size)) == 1


def _tasks_of_a_row(pixels: int, channels: int, terms: int) -> int:
    """Into how many tasks YNNPACK cuts a row of an image that is made, each number from ``terms`` products.

    It makes one row after the other and lets threads work on the tasks of one, so a row that is a single task is
    made by one thread. This follows choose_split_factors in its subgraph/dot.cc, without a limit that only windows of
    few taps meet; the processor time that was measured agreed at 23 of 24 sizes, of 14 to 128 pixels and 32 to 256
    channels.
    """
    some_pixels, some_channels = min(pixels, 16), min(channels, _CHANNELS_AT_ONCE)
    least = min(pixels, 64) * some_channels
    while some_pixels * some_channels < least or (some_pixels + some_channels) * min(terms, 1024) < 2**16:
        if some_channels < channels and (some_pixels >= pixels or some_pixels >= 4 * some_channels):
            some_channels *= 2
        elif some_pixels < pixels:
            some_pixels *= 2
        else:
            break
    return -(-pixels // some_pixels) * -(-channels // some_channels)


def kernel_gradient(spec: ConvSpec, dy: jax.Array, x: jax.Array, kernel: jax.Array) -> jax.Array:
    chosen = _kernel_gradient_convolve(spec, dy, kernel)
    direct = chosen is convolve and not _made_exceeds_read(spec, dy, x)
    count = columns.pixels_at_once_of_kernel_gradient(spec, dy, kernel, direct)
    if count == 1:
        return _kernel_gradient_by(chosen, spec, dy, x, kernel)
    # What XLA's own convolution makes faster it makes so with more channels too, for which the sums are shorter.
    of_wide = functools.partial(_kernel_gradient_by, convolve) if chosen is convolve else kernel_gradient
    return columns.kernel_gradient(spec, dy, x, kernel, count, of_wide)


def _kernel_gradient_by(
    chosen: Convolve, spec: ConvSpec, dy: jax.Array, x: jax.Array, kernel: jax.Array
) -> jax.Array:
    if _made_exceeds_read(spec, dy, x):
        chosen = chosen if dy.shape[0] >= _SOME_IMAGES else even.convolve
        return plain.kernel_gradient_of_exchanged(spec, dy, x, kernel, chosen)
    if chosen is convolve:
        spec, dy, x = strips.cut(spec, dy, x)
    if x.ndim == 4 and x.size >= _SLOW_TO_TURN:
        x = _turned_apart(x)
    return plain.kernel_gradient(spec, dy, x, kernel, chosen)


def _turned_apart(x: jax.Array) -> jax.Array:
    """x, laid out with the images as its last axis, as the kernel's gradient reads it.

    XLA would make what x is made of, such as a norm and its activation, in the loop that turns it, and read all of that
    far apart: 64 channels on 4 images of 128 x 128 pixels, in strips, take 12 ms so, and 3 where the turn is a program
    of its own. Of 52 random shapes with a relu in front dkernel took 0.72 to 1.1 times as long, 0.94 in the geometric
    mean; a step of ResNet-18 takes 0.98 and one of U-Net 0.93 times as long. A branch for less saves little and
    takes as long to compile: from 2^19 numbers on U-Net's step took 1.53 times as long as Flax's, and not 1.39.
    """
    images, rows, columns, channels = x.shape

    def turned(x):
        # With the pixels as one axis, as XLA would take a mere turn for another layout and copy x twice.
        return jnp.swapaxes(x, 0, -1).reshape(channels, rows * columns, images)

    return jnp.swapaxes(apart(turned, x).reshape(channels, rows, columns, images), 0, -1)


def _kernel_gradient_convolve(spec: ConvSpec, dy: jax.Array, kernel: jax.Array) -> Convolve:
    images, pixels = dy.shape[0], dy.shape[1:-1]
    terms = images * math.prod(pixels)
    if spec.transposed and images > _MORE_IMAGES and terms >= _TERMS_THAT_ROUND:
        return _convolve_of(True, images, pixels, kernel, large=0)
    long_sums = terms >= _MANY_TERMS
    uneven = images > _MORE_IMAGES and images % _IMAGES_AT_ONCE > 0
    slow = long_sums and (images >= _MANY_IMAGES or uneven)
    large = _LARGE_OF_MANY if slow and max(spec.window.stride) == 1 else _LARGE
    pays = slow or not _SOME_IMAGES <= images < _MANY_IMAGES or not _few(kernel, long_sums)
    return _convolve_of(pays, images, pixels, kernel, large)


def _few(kernel: jax.Array, long_sums: bool) -> bool:
    """Whether dkernel has so few channels that YNNPACK makes it faster of some images."""
    *_, channels, made = kernel.shape
    return made <= _FEW_MADE or (not long_sums and made == _MANY_CHANNELS >= channels)


def _made_exceeds_read(spec: ConvSpec, dy: jax.Array, x: jax.Array) -> bool:
    """Whether dy, which is dkernel's window, has more pixels than x, its image.

    XLA exchanges such operands by itself, but reads the image backward, for which it has plain loops only: 3x3, 32
    channels, 8 images of 28^2 pixels with padding 2 take it 32 ms, and 1.6 where they are exchanged here.
    """
    without_stride = max(spec.window.stride) == 1
    return without_stride and dy.size > 0 and math.prod(dy.shape[1:-1]) > math.prod(x.shape[1:-1])


def _convolve_of(pays: bool, batch: int, outputs: Sizes, kernel: jax.Array, large: int = _LARGE) -> Convolve:
    plane, single = len(outputs) == 2, kernel.dtype == jnp.float32
    worth_it = plain.multiply_adds(batch, outputs, kernel) >= large
    return convolve if pays and plane and single and worth_it else even.convolve


def convolve(lhs: jax.Array, rhs: jax.Array, *, padding: Pads, **options: Any) -> jax.Array:
    """``canonical.convolve`` with the rows of all that it is about twice as far apart."""
    (lo, hi), *rest = padding
    for name in ("window_strides", "lhs_dilation", "rhs_dilation"):
        first, *others = options[name]
        options[name] = (2 * first, *others)
    return canonical.convolve(lhs, rhs, padding=((2 * lo, 2 * hi), *rest), **options)
