"""The windows of pools: checked arguments, which taps read the image, and the axes that are swept apart.

In the letters of ``_window``: tap t of output p reads input position s p + d t - lo.
"""

import functools
import math
from typing import Any

import jax
import numpy as np

from functional_cnn import _checks, _window
from functional_cnn._window import Pads, Sizes, Window


def resolve(
    function: str,
    x: jax.Array,
    window: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: Any,
) -> tuple[Window, Pads]:
    """The pool's geometry, its end padded to whole windows under ceil_mode, and the padding asked for."""
    rank, inputs = _checks.spatial(function, x), x.shape[1:-1]
    size = _checks.per_axis(function, "window", window, rank)
    stride = size if stride is None else _checks.per_axis(function, "stride", stride, rank)
    dilation = _checks.per_axis(function, "dilation", dilation, rank)
    geometry = _window.resolve(function, padding, inputs, size, stride, dilation)
    explicit = geometry.padding
    for pads, extent in zip(explicit, geometry.extent(), strict=True):
        if max(pads) > extent // 2:
            raise ValueError(
                f"{function}: padding must be at most half the window of {extent} positions, got {pads}"
            )
    if _checks.flag(function, "ceil_mode", ceil_mode):
        geometry = _with_ceil_mode(geometry, inputs)
    _window.require_output(function, geometry, inputs)
    if not _each_holds_a_pixel(geometry, inputs):
        raise ValueError(
            f"{function}: window {geometry.size} with dilation {geometry.dilation} and padding {geometry.padding} "
            f"holds no pixel of x, of spatial shape {inputs}, in some place"
        )
    return geometry, explicit


def _with_ceil_mode(window: Window, inputs: Sizes) -> Window:
    """The window with its end padded so that the output size is rounded up.

    As in PyTorch, a last window that would start behind the input and its front padding is left out.
    """
    pads = []
    for n, (lo, hi), extent, s in zip(inputs, window.padding, window.extent(), window.stride, strict=True):
        o = -(-(n + lo + hi - extent) // s) + 1
        if (o - 1) * s >= n + lo:
            o -= 1
        pads.append((lo, max(hi, (o - 1) * s + extent - n - lo)))
    return window._replace(padding=tuple(pads))


@functools.lru_cache(maxsize=1024)  # else a third of the time that an eager call of a small pool takes
def _each_holds_a_pixel(window: Window, inputs: Sizes) -> bool:
    return all(real.any(-1).all() for real in _real_by_axis(window, inputs))


def _read_by_axis(window: Window, inputs: Sizes) -> list[np.ndarray]:
    """For each axis the input positions that the taps of an output pixel read, in padding too: (output, taps)."""
    return [
        s * np.arange(o)[:, None] + d * np.arange(k) - lo
        for o, k, s, (lo, _), d in zip(window.output_sizes(inputs), *window, strict=True)
    ]


def _real_by_axis(window: Window, inputs: Sizes) -> list[np.ndarray]:
    """For each axis whether a tap of an output pixel reads the input and not padding: static, (output, taps)."""
    return [(read >= 0) & (read < n) for n, read in zip(inputs, _read_by_axis(window, inputs), strict=True)]


def real_taps(window: Window, inputs: Sizes) -> np.ndarray:
    """Whether a tap of an output pixel reads the input and not padding: static, (*output, taps)."""
    by_axis = _real_by_axis(window, inputs)
    real = functools.reduce(lambda found, axis: found[..., None, None] & axis, by_axis)
    rank = len(inputs)
    outputs_first = (*range(0, 2 * rank, 2), *range(1, 2 * rank, 2))
    return real.transpose(outputs_first).reshape(*window.output_sizes(inputs), -1)


def real_counts(window: Window, inputs: Sizes) -> np.ndarray:
    """How many taps of an output pixel read the input: ``real_taps`` summed, without its size."""
    return functools.reduce(np.multiply.outer, (real.sum(-1) for real in _real_by_axis(window, inputs)))


def first_real_tap(window: Window, inputs: Sizes) -> np.ndarray:
    """The number of the first tap of an output pixel that reads the input: static, (*output)."""
    firsts = (real.argmax(-1) for real in _real_by_axis(window, inputs))
    return np.ravel_multi_index(np.ix_(*firsts), window.size)


# A window of more taps than this is swept one axis after the other. Measured on CPU for max pooling: at 3x3
# all taps at once are up to twice as fast, at 5x5 one axis after the other is.
_MOST_TAPS_AT_ONCE = 16


def stages(window: Window, inputs: Sizes) -> list[tuple[Window, Sizes]]:
    """The windows that, swept one after the other, cover the given one; each with its input sizes.

    The last axis comes first, so that the first of equal values along each axis in turn is the first in
    the window's row-major order.
    """
    if math.prod(window.size) <= _MOST_TAPS_AT_ONCE:
        return [(window, inputs)]
    found = []
    for axis in reversed(range(len(inputs))):
        stage = _window.along(window, axis)
        found.append((stage, inputs))
        inputs = stage.output_sizes(inputs)
    return found


def long_axis(stage: Window, *, most_taps: int = 64, most_stride: float = math.inf) -> int | None:
    """The axis along which a stage has more taps or a larger stride than that; None where it has not or has two axes.

    More than 64 taps written out one by one take seconds to compile.
    """
    axes = [i for i, sizes in enumerate(zip(stage.size, stage.stride, strict=True)) if sizes != (1, 1)]
    if len(axes) != 1:
        return None
    (axis,) = axes
    return axis if stage.size[axis] > most_taps or stage.stride[axis] > most_stride else None


def positions(stage: Window, inputs: Sizes, axis: int) -> np.ndarray:
    """The input positions that the taps of each output pixel read along an axis: static, (taps, output).

    A tap in the padding reads again what the nearest tap in the image reads.
    """
    read, size = _read_by_axis(stage, inputs)[axis], inputs[axis]
    real = _real_by_axis(stage, inputs)[axis]
    first, last = np.where(real, read, size).min(-1), np.where(real, read, -1).max(-1)
    return np.clip(read.T, first, last)
