"""The table of cases: at which shapes and options every op is proved, a page for each family."""

from functional_cnn.verify.cases import activation, convolution, dropout, loss, normalization, pooling
from functional_cnn.verify.cases._case import Case, Table

__all__ = ["CASES", "Case"]


def _collected() -> tuple[Case, ...]:
    table = Table()
    for page in (convolution, pooling, normalization, activation, dropout, loss):
        for family in page.FAMILIES:
            family(table.add)
    return tuple(table.cases)


CASES = _collected()
