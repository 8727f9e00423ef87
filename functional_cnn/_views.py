"""What the taps of a window read of an image, and the adjoint: what of it each pixel gets back.

In the letters of ``_window``: tap t of output p reads input position s p + d t - lo.
"""

import functools
import operator
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn._window import Pads, Sizes, Window, taps


def pad_spatial(x: jax.Array, pads: Pads, value: float = 0.0) -> jax.Array:
    """``x`` (N, *spatial, C) with its spatial axes padded by a constant; a negative pad crops."""
    config = [(0, 0, 0), *((lo, hi, 0) for lo, hi in pads), (0, 0, 0)]
    return lax.pad(x, lax.full((), value, x.dtype), config)


def tap_view(padded: jax.Array, tap: Sizes, window: Window, outputs: Sizes) -> jax.Array:
    """What one tap reads, for all output pixels: padded[n, s p + d t, c]."""
    first = tuple(d * t for d, t in zip(window.dilation, tap, strict=True))
    last = tuple(start + (o - 1) * s + 1 for start, o, s in zip(first, outputs, window.stride, strict=True))
    batch, channels = padded.shape[0], padded.shape[-1]
    return lax.slice(padded, (0, *first, 0), (batch, *last, channels), (1, *window.stride, 1))


def tap_views(x: jax.Array, window: Window, value: float = 0.0) -> list[jax.Array]:
    """What every tap reads of ``x`` padded by a constant, in the taps' row-major order."""
    padded, outputs = pad_spatial(x, window.padding, value), window.output_sizes(x.shape[1:-1])
    return [tap_view(padded, tap, window, outputs) for tap in taps(window)]


def gather_gradient(
    window: Window, inputs: Sizes, arrays: Sequence[jax.Array], term: Callable[..., jax.Array]
) -> jax.Array:
    """The adjoint of padding and reading taps: for each input pixel, a sum over what read it.

    dx[n, q, c] = sum over t, p with s p + d t - lo = q of term(number of t, *arrays at p)

    ``arrays`` are of the output's shape (N, *output, C), and a term must be zero where they are. Input
    pixels with the same remainder r of q + lo by s are read by the same taps, those with d t = r modulo s:
    each such phase is a sum over shifted views of the arrays, padded once, and the phases interleave to dx.
    """
    outputs = arrays[0].shape[1:-1]
    front = tuple((extent - 1) // s for extent, s in zip(window.extent(), window.stride, strict=True))
    lengths = phase_sizes(window, inputs)
    pads = tuple((j, max(length - o, 0)) for j, length, o in zip(front, lengths, outputs, strict=True))
    padded = [pad_spatial(array, pads) for array in arrays]
    numbered = list(enumerate(taps(window)))

    def view(array: jax.Array, tap: Sizes) -> jax.Array:
        start = [
            j - d * t // s for j, t, s, d in zip(front, tap, window.stride, window.dilation, strict=True)
        ]
        stop = [first + length for first, length in zip(start, lengths, strict=True)]
        return lax.slice(array, (0, *start, 0), (array.shape[0], *stop, array.shape[-1]))

    def phase(remainders: Sizes) -> jax.Array:
        terms = [
            term(number, *(view(array, tap) for array in padded))
            for number, tap in numbered
            if _remainders(tap, window) == remainders
        ]
        if not terms:
            return lax.full_like(view(padded[-1], numbered[0][1]), 0)
        return functools.reduce(operator.add, terms)

    return from_phases(window, inputs, phase)


def phase_sizes(window: Window, inputs: Sizes) -> Sizes:
    """The spatial sizes of a phase, which starts with the padding before the image."""
    return tuple(
        -(-(lo + n) // s) for n, (lo, _), s in zip(inputs, window.padding, window.stride, strict=True)
    )


def from_phases(window: Window, inputs: Sizes, phase: Callable[[Sizes], jax.Array]) -> jax.Array:
    """The input-sized array whose pixels q with remainders r of q + lo by s are ``phase(r)``, interleaved."""

    def along_axes_from(remainders: Sizes) -> jax.Array:
        axis = len(remainders)
        if axis == len(inputs):
            return phase(remainders)
        parts = [along_axes_from((*remainders, r)) for r in range(window.stride[axis])]
        return _interleaved(parts, 1 + axis)

    crop = tuple(
        (-lo, n + lo - s * length)
        for n, (lo, _), s, length in zip(
            inputs, window.padding, window.stride, phase_sizes(window, inputs), strict=True
        )
    )
    return pad_spatial(along_axes_from(()), crop)


def _remainders(tap: Sizes, window: Window) -> Sizes:
    return tuple(d * t % s for t, s, d in zip(tap, window.stride, window.dilation, strict=True))


def _interleaved(parts: list[jax.Array], axis: int) -> jax.Array:
    """Element i of part r, along an axis, becomes element i len(parts) + r."""
    if len(parts) == 1:
        return parts[0]
    shape = list(parts[0].shape)
    shape[axis] *= len(parts)
    return jnp.stack(parts, axis + 1).reshape(shape)
