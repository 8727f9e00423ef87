"""Depthwise convolution: channels do not meet, so each tap is a scale of a shifted view."""

import functools
import math
import operator

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn import _window
from functional_cnn._numerics import widened
from functional_cnn._window import Sizes
from functional_cnn.ops._formulations.plain import ConvSpec

# Taps are written out one by one, and a program must stay of reasonable size.
_MOST_TAPS = 64


def fits(spec: ConvSpec, kernel: jax.Array) -> bool:
    few_taps = math.prod(spec.window.size) <= _MOST_TAPS
    return few_taps and 1 < spec.groups == kernel.shape[-1] and kernel.shape[-2] == 1


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    x, kernel = widened(x, kernel)
    views, taps = _window.tap_views(x, spec.window), _window.taps(spec.window)
    return functools.reduce(
        operator.add, (view * kernel[tap][0] for view, tap in zip(views, taps, strict=True))
    )


def input_gradient(spec: ConvSpec, dy: jax.Array, kernel: jax.Array, inputs: Sizes) -> jax.Array:
    dy, kernel = widened(dy, kernel)
    taps = _window.taps(spec.window)
    return _window.gather_gradient(
        spec.window, inputs, [dy], lambda number, view: view * kernel[taps[number]][0]
    )


def kernel_gradient(spec: ConvSpec, dy: jax.Array, x: jax.Array, kernel: jax.Array) -> jax.Array:
    x, dy = widened(x, dy)
    products = [view * dy for view in _window.tap_views(x, spec.window)]
    # Only the first spatial axis is reduced for all taps at once: that reads x and dy in one sweep, the
    # inner loop along C, and leaves a sharded batch to the plain sum.
    zero = lax.full((), 0, dy.dtype)
    rows = lax.reduce(products, [zero] * len(products), _add_each, (1,))
    return jnp.stack([row.sum(tuple(range(row.ndim - 1))) for row in rows]).reshape(kernel.shape)


def _add_each(totals, terms):
    return [total + term for total, term in zip(totals, terms, strict=True)]
