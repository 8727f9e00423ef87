"""The geometry of a sliding window, for convolution and pooling alike.

Per spatial axis, in the letters of the derivations: input size H, window k, stride s, dilation d, padding
(lo, hi) and output size O. Tap t of output p reads input position  s p + d t - lo.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import numpy as np

from functional_cnn import _checks

Sizes = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]


class Window(NamedTuple):
    """A window's static geometry, one entry for each spatial axis."""

    size: Sizes
    stride: Sizes
    padding: Pads
    dilation: Sizes

    def of_axes(self, start: int, stop: int) -> "Window":
        """The window along the axes from ``start`` to ``stop`` alone."""
        axes, (size, stride, padding, dilation) = slice(start, stop), self
        return Window(size[axes], stride[axes], padding[axes], dilation[axes])

    def extent(self) -> Sizes:
        """The positions from a window's first tap to its last: d (k - 1) + 1."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.size, self.dilation, strict=True))

    def output_sizes(self, inputs: Sizes) -> Sizes:
        return tuple(
            (n + lo + hi - extent) // s + 1
            for n, (lo, hi), extent, s in zip(inputs, self.padding, self.extent(), self.stride, strict=True)
        )

    def input_sizes(self, outputs: Sizes) -> Sizes:
        """The sizes of which the last window ends with the padding, and that have these outputs."""
        return tuple(
            (o - 1) * s + extent - lo - hi
            for o, (lo, hi), extent, s in zip(outputs, self.padding, self.extent(), self.stride, strict=True)
        )


def resolve(
    function: str, padding: Any, inputs: Sizes, size: Sizes, stride: Sizes, dilation: Sizes
) -> Window:
    """A window whose padding is resolved to (lo, hi) pairs for given input sizes."""
    unpadded = Window(size, stride, ((0, 0),) * len(size), dilation)
    return unpadded._replace(padding=_pads(function, padding, inputs, unpadded))


def resolve_transposed(
    function: str,
    padding: Any,
    inputs: Sizes,
    size: Sizes,
    stride: Sizes,
    dilation: Sizes,
    output_padding: Sizes,
) -> Window:
    """The window of the convolution whose adjoint has these input sizes.

    Its last pads are such that ``input_sizes(inputs)`` are the sizes of the adjoint's output: negative where
    that ends with pixels that no window reads.
    """
    unpadded = Window(size, stride, ((0, 0),) * len(size), dilation)
    for extra, s, d in zip(output_padding, stride, dilation, strict=True):
        if extra >= max(s, d):
            raise ValueError(
                f"{function}: output_padding must be smaller than the larger of stride {s} and dilation {d}, "
                f"got {extra}"
            )
    if isinstance(padding, str) and padding.upper() == "SAME":
        if any(output_padding):
            raise ValueError(
                f"{function}: output_padding must be 0 with padding 'SAME', which says the output's size, "
                f"got {output_padding}"
            )
        outputs = tuple(n * s for n, s in zip(inputs, stride, strict=True))
        fronts = (lo for lo, _ in _same_pads(outputs, unpadded))
        pads = [
            (lo, extent - s - lo) for lo, extent, s in zip(fronts, unpadded.extent(), stride, strict=True)
        ]
    else:
        given = _pads(function, padding, inputs, unpadded)
        pads = [(lo, hi - extra) for (lo, hi), extra in zip(given, output_padding, strict=True)]
    return unpadded._replace(padding=tuple(pads))


def with_ceil_mode(window: Window, inputs: Sizes) -> Window:
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


def require_output(function: str, window: Window, inputs: Sizes) -> None:
    if any(output < 1 for output in window.output_sizes(inputs)):
        raise ValueError(
            f"{function}: the window of size {window.size} and dilation {window.dilation} does not fit into "
            f"x of spatial shape {inputs} with padding {window.padding}: the output would be empty"
        )


def _pads(function: str, padding: Any, inputs: Sizes, window: Window) -> Pads:
    rank = len(inputs)
    if isinstance(padding, str):
        if padding.upper() == "VALID":
            return ((0, 0),) * rank
        if padding.upper() == "SAME":
            return _same_pads(inputs, window)
        raise ValueError(
            f"{function}: padding must be 'SAME', 'VALID', ints or (lo, hi) pairs, got {padding!r}"
        )
    if isinstance(padding, tuple | list):
        if len(padding) != rank:
            raise ValueError(
                f"{function}: padding must have one entry for each of the {rank} spatial axes, got {padding!r}"
            )
        return tuple(_pair(function, entry) for entry in padding)
    return (_pair(function, padding),) * rank


def _pair(function: str, entry: Any) -> tuple[int, int]:
    if isinstance(entry, tuple | list):
        if len(entry) != 2:
            raise ValueError(f"{function}: padding must have (lo, hi) pairs, got {entry!r}")
        lo, hi = (_checks.integer(function, "padding", side, 0) for side in entry)
        return lo, hi
    both = _checks.integer(function, "padding", entry, 0)
    return both, both


def _same_pads(inputs: Sizes, window: Window) -> Pads:
    """As lax: O = ceil(H / s), and an odd pad more goes to the end."""
    totals = (
        max((-(-n // s) - 1) * s + extent - n, 0)
        for n, s, extent in zip(inputs, window.stride, window.extent(), strict=True)
    )
    return tuple((total // 2, total - total // 2) for total in totals)


def resolve_pool(
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
    geometry = resolve(function, padding, inputs, size, stride, dilation)
    explicit = geometry.padding
    for pads, extent in zip(explicit, geometry.extent(), strict=True):
        if max(pads) > extent // 2:
            raise ValueError(
                f"{function}: padding must be at most half the window of {extent} positions, got {pads}"
            )
    if _checks.flag(function, "ceil_mode", ceil_mode):
        geometry = with_ceil_mode(geometry, inputs)
    require_output(function, geometry, inputs)
    if not _each_holds_a_pixel(geometry, inputs):
        raise ValueError(
            f"{function}: window {geometry.size} with dilation {geometry.dilation} and padding {geometry.padding} "
            f"holds no pixel of x, of spatial shape {inputs}, in some place"
        )
    return geometry, explicit


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
        stage = along(window, axis)
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


def along(window: Window, axis: int) -> Window:
    """The window along one axis; along the others a single tap that moves by one."""

    def keep(entries, rest):
        return tuple(entry if i == axis else rest for i, entry in enumerate(entries))

    size, stride, padding, dilation = window
    return Window(keep(size, 1), keep(stride, 1), keep(padding, (0, 0)), keep(dilation, 1))


def taps(window: Window) -> list[Sizes]:
    """The window's taps in row-major order."""
    return list(np.ndindex(window.size))


def input_gradient_pads(window: Window, inputs: Sizes, outputs: Sizes) -> Pads:
    """Pads that make the correlation of dy, dilated by s, with the flipped kernel as large as the input."""
    pads = []
    for n, o, s, extent, (lo, _) in zip(
        inputs, outputs, window.stride, window.extent(), window.padding, strict=True
    ):
        pads.append((extent - 1 - lo, n - ((o - 1) * s + 1) + lo))
    return tuple(pads)


def kernel_gradient_pads(window: Window, inputs: Sizes, outputs: Sizes) -> Pads:
    """Pads that make the correlation of x with dy, dilated by s and moved by d, as large as the kernel."""
    pads = []
    for n, o, s, extent, (lo, _) in zip(
        inputs, outputs, window.stride, window.extent(), window.padding, strict=True
    ):
        pads.append((lo, (o - 1) * s + extent - n - lo))
    return tuple(pads)
