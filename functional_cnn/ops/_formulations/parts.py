"""Convolution of few channels made by long sums, in parts of the window, for a transposed convolution's dx.

    y = sum of the parts' y, each of some rows of taps

YNNPACK, and XLA's product of a matrix with few columns, sum one number's products one after the other, here thousands
of them, while JAX's gradient of a transposed convolution sums each tap's alone and then the taps'. So sums of more than
``_TERMS`` were 3 to 5.4 times as far off as that, and in parts they are 0.3 to 0.8 times as far off as whole.
"""

import functools
import itertools
import math
import operator
from collections.abc import Callable

import jax

from functional_cnn.ops._formulations.plain import ConvSpec

_TERMS = 3 * 2**10
_FEW_MADE = 8


def fits(spec: ConvSpec, kernel: jax.Array) -> bool:
    *_, made = kernel.shape
    return spec.transposed and made <= _FEW_MADE and len(_rows(spec, kernel)) > 1


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array, of_part: Callable[..., jax.Array]) -> jax.Array:
    size, dilation, (lo, hi) = spec.window.size[0], spec.window.dilation[0], spec.window.padding[0]
    made = []
    for start, end in _rows(spec, kernel):
        window = spec.window._replace(
            size=(end - start, *spec.window.size[1:]),
            padding=((lo - dilation * start, hi - dilation * (size - end)), *spec.window.padding[1:]),
        )
        made.append(of_part(spec._replace(window=window), x, kernel[start:end]))
    return functools.reduce(operator.add, made)


def _rows(spec: ConvSpec, kernel: jax.Array) -> list[tuple[int, int]]:
    """Where the rows of taps of each part start and end."""
    rows, terms = spec.window.size[0], math.prod(kernel.shape[:-1])
    number = min(rows, -(-terms // _TERMS))
    ends = [rows * part // number for part in range(number + 1)]
    return list(itertools.pairwise(ends))
