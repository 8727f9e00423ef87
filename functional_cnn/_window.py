"""The geometry of a sliding window, for convolution and pooling alike.

Per spatial axis, in the letters of the derivations: input size H, window k, stride s, dilation d, padding
(lo, hi) and output size O. Tap t of output p reads input position  s p + d t - lo.
"""

from typing import Any, NamedTuple

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
