"""Depthwise convolution: channels do not meet, so each tap is a scale of a shifted view.

Where a channel has several outputs, x is taken with each channel as often.
"""

import functools
import math
import operator

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn import _views, _window
from functional_cnn._apart import apart
from functional_cnn._numerics import widened
from functional_cnn._window import Sizes, Window
from functional_cnn.ops._formulations.plain import ConvSpec

# Taps are written out one by one, and a program must stay of reasonable size.
MOST_TAPS = 64
# Outputs of a channel. With 2 to 8 of them groups take 0.85 to 33 times as long, with 32 and more 0.5 to 2.5.
_MOST_COPIES = 8


def fits(spec: ConvSpec, kernel: jax.Array) -> bool:
    return math.prod(spec.window.size) <= MOST_TAPS and keeps_channels_apart(spec, kernel)


def keeps_channels_apart(spec: ConvSpec, kernel: jax.Array) -> bool:
    """Whether an output is made of one channel, and few of each."""
    return spec.groups > 1 and kernel.shape[-2] == 1 and kernel.shape[-1] <= _MOST_COPIES * spec.groups


# Forward and dkernel are compiled apart. XLA would else compute the sum over taps anew in each loop that reads it, as
# the normalisation behind it has three of, and what makes dy, that normalisation's gradient, in each sum of dkernel.
# A step of ConvNeXt, with 49 taps, would take 2.3 times as long, EfficientNet's 1.3, MobileNetV2's 1.1.


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    return apart(functools.partial(_sum_over_taps, spec.window), *widened(x, kernel))


def _sum_over_taps(window: Window, x: jax.Array, kernel: jax.Array) -> jax.Array:
    views, taps = _views.tap_views(_with_channels(x, kernel.shape[-1]), window), _window.taps(window)
    return functools.reduce(
        operator.add, (view * kernel[tap][0] for view, tap in zip(views, taps, strict=True))
    )


def input_gradient(spec: ConvSpec, dy: jax.Array, kernel: jax.Array, inputs: Sizes) -> jax.Array:
    dy, kernel = widened(dy, kernel)
    taps = _window.taps(spec.window)
    copies = _views.gather_gradient(
        spec.window, inputs, [dy], lambda number, view: view * kernel[taps[number]][0]
    )
    return _summed_over_copies(copies, spec.groups)


def _with_channels(x: jax.Array, count: int) -> jax.Array:
    """x with each channel as often as makes ``count`` of them."""
    times = count // x.shape[-1]
    return x if times == 1 else jnp.repeat(x, times, axis=-1)


def _summed_over_copies(copies: jax.Array, channels: int) -> jax.Array:
    """The adjoint: the sum of neighbouring channels, of which ``channels`` remain."""
    times = copies.shape[-1] // channels
    if times == 1:
        return copies
    return jnp.sum(copies.reshape(*copies.shape[:-1], channels, times), axis=-1)


def kernel_gradient(spec: ConvSpec, dy: jax.Array, x: jax.Array, kernel: jax.Array) -> jax.Array:
    # Sums over examples stay outside: they may be those of several devices, which XLA joins with other gradients',
    # up to 256; so all taps are one array.
    return jnp.sum(sums_of_examples(spec.window, *widened(dy, x)), axis=1).reshape(kernel.shape)


def sums_of_examples(window: Window, dy: jax.Array, x: jax.Array) -> jax.Array:
    """For each tap the sums of x dy over an example's pixels, (taps, N, C)."""

    def sums(dy, x):
        parts = _sums_of_stretches(window, dy, _with_channels(x, dy.shape[-1]))
        return jnp.stack([jnp.sum(part, axis=tuple(range(1, part.ndim - 1))) for part in parts])

    return apart(sums, dy, x)


# XLA vectorises a reduction along C only where the loop over what it sums is short enough to be unrolled. So rows
# are cut into stretches, and the sums of a few taps are carried at once: more would unroll too far again, fewer
# would read x and dy more often. Measured from 7x7 to 112x112 pixels, 3x3 to 7x7 taps: all taps over whole rows
# take 2 to 12 times as long, 7 to 10 taps or shorter stretches 1.1 to 2 times.
_TAPS_AT_ONCE = 5
_LONGEST_STRETCH = 14


def _sums_of_stretches(window: Window, dy: jax.Array, x: jax.Array) -> list[jax.Array]:
    """For each tap the sums of x dy over stretches of neighbouring pixels, (N, ..., stretches, C)."""
    count = math.ceil(dy.shape[-2] / _LONGEST_STRETCH)
    extra = -dy.shape[-2] % count  # pixels of zeros, which make all stretches equally long
    none = ((0, 0),) * (len(window.size) - 1)
    dy = _views.pad_spatial(dy, (*none, (0, extra)))
    lo, hi = window.padding[-1]
    window = window._replace(padding=(*window.padding[:-1], (lo, hi + extra * window.stride[-1])))

    def cut(view):
        return view.reshape(*view.shape[:-2], count, view.shape[-2] // count, view.shape[-1])

    products = [cut(view) * cut(dy) for view in _views.tap_views(x, window)]
    sums = []
    for start in range(0, len(products), _TAPS_AT_ONCE):
        some = products[start : start + _TAPS_AT_ONCE]
        zeros = [lax.full((), 0, dy.dtype)] * len(some)
        sums += lax.reduce(some, zeros, _add_each, (dy.ndim - 1,))
    return sums


def _add_each(totals, terms):
    return [total + term for total, term in zip(totals, terms, strict=True)]
