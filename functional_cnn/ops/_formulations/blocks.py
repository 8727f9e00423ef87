"""Input gradients of strided convolutions with few channels in dy: blocks of pixels as channels.

A block is what the window moves by, s pixels along each axis, so the windows move by one block. With q + lo = s i + r
a pixel q is the pixel r of the block i, and a tap with d t = s j + r reads it from p = i - j:

    dx[n, q, c] = sum_{j,o} dy[n, i - j, o] k'[j,(r,c),o]    k'[j,(r,c),o] = k[t,c,o] where d t = s j + r, else 0

This is the input gradient of a convolution of stride 1 whose channels are (r, c). As it stands, XLA spreads the pixels
of dy s apart, with zeros between, and makes such a convolution by itself, slowly where dy has few channels. 147 random
shapes in float32 within the bounds below took 0.04 to 1.5 times as long, 0.4 times in the geometric mean; 4 took 1.1
times as long or more, two of which, measured again, took less than before. Outside of the bounds it takes up to 3 times
as long, in float64, where XLA makes both by itself, twice.

The zeros of k' are multiplied: a value that is not finite makes whole blocks nan.
"""

import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn import _views, _window
from functional_cnn._window import Sizes
from functional_cnn.ops._formulations import plain
from functional_cnn.ops._formulations.plain import ConvSpec

# For so many channels in dy, from so many multiply-adds on.
_LEAST_WORK = {32: 2**21, 64: 2**27}


def fits(spec: ConvSpec, dy: jax.Array, kernel: jax.Array) -> bool:
    stride = spec.window.stride
    if max(stride) == 1 or kernel.dtype == jnp.float64:
        return False
    if any(extent < s for extent, s in zip(spec.window.extent(), stride, strict=True)):
        return False
    work = plain.multiply_adds(dy.shape[0], dy.shape[1:-1], kernel)
    return any(dy.shape[-1] <= most and work >= least for most, least in _LEAST_WORK.items())


def input_gradient(
    spec: ConvSpec, dy: jax.Array, kernel: jax.Array, inputs: Sizes, of_stride_1: Callable[..., jax.Array]
) -> jax.Array:
    """dx, by the input gradient of a convolution of stride 1."""
    window = spec.window
    sizes = tuple(-(-extent // s) for extent, s in zip(window.extent(), window.stride, strict=True))
    blocks = _views.phase_sizes(window, inputs)
    ones, outputs = (1,) * len(sizes), dy.shape[1:-1]
    pads = tuple((0, o - 1 + size - n) for o, size, n in zip(outputs, sizes, blocks, strict=True))
    over_blocks = spec._replace(window=_window.Window(sizes, ones, pads, ones))
    dx = of_stride_1(over_blocks, dy, _kernel_of_blocks(window, kernel, sizes), blocks)
    remainders = _remainders(window)
    of_remainders = dict(zip(remainders, jnp.split(dx, len(remainders), axis=-1), strict=True))
    return _views.from_phases(window, inputs, of_remainders.__getitem__)


def _kernel_of_blocks(window: _window.Window, kernel: jax.Array, sizes: Sizes) -> jax.Array:
    """k' of shape (*sizes, s^rank C, O)."""
    axes = list(zip(sizes, window.stride, window.extent(), window.dilation, strict=True))
    pads = [(0, size * s - extent, d - 1) for size, s, extent, d in axes]
    spread = lax.pad(kernel, jnp.zeros((), kernel.dtype), [*pads, (0, 0, 0), (0, 0, 0)])
    of_remainders = [
        spread[tuple(slice(r, None, s) for r, s in zip(remainders, window.stride, strict=True))]
        for remainders in _remainders(window)
    ]
    return jnp.concatenate(of_remainders, axis=-2)


def _remainders(window: _window.Window) -> list[Sizes]:
    """The pixels r of a block, in the order in which k' has them as channels."""
    return list(itertools.product(*map(range, window.stride)))
