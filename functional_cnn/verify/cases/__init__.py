"""The table of cases: at which shapes and options every op is proved, a page for each family."""

from functional_cnn.verify.cases import (
    activation,
    adaptive_pooling,
    convolution,
    dropout,
    loss,
    normalization,
    pooling,
    resampling,
)
from functional_cnn.verify.cases._case import Case, Table

__all__ = ["CASES", "Case"]


def _collected() -> tuple[Case, ...]:
    table = Table()
    for page in (
        convolution,
        pooling,
        adaptive_pooling,
        resampling,
        normalization,
        activation,
        dropout,
        loss,
    ):
        for family in page.FAMILIES:
            family(table.add)
    return tuple(table.cases)


CASES = _collected()
