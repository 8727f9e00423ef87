"""The table of cases: at which shapes and options every op is proved, a page for each family."""

from functional_cnn.verify.cases import (
    activation,
    adaptive_pooling,
    convolution,
    dropout,
    kernel,
    loss,
    normalization,
    pooling,
    resampling,
    transposed_convolution,
)
from functional_cnn.verify.cases._case import Case, Table

__all__ = ["CASES", "OPS", "Case"]

_PAGES = (
    convolution,
    transposed_convolution,
    kernel,
    pooling,
    adaptive_pooling,
    resampling,
    normalization,
    activation,
    dropout,
    loss,
)


def _collected() -> tuple[Case, ...]:
    table = Table()
    for page in _PAGES:
        for family in page.FAMILIES:
            family(table.add)
    return tuple(table.cases)


CASES = _collected()

OPS = tuple(sorted({case.op for case in CASES}))
"""Every op, in alphabetical order: those with a rule of their own and those composed of them."""
