"""Dropout and its relatives."""

import functional_cnn as fcnn
from functional_cnn.verify.cases._case import Add, key, normal


def dropout(add: Add) -> None:
    add(fcnn.dropout, "half", normal(4, 5), key(0), rate=0.5, sharp=True)
    add(fcnn.dropout, "spatial", normal(2, 3, 4, 5), key(1), rate=0.3, broadcast_axes=(1, 2))
    add(fcnn.dropout, "rate 0", normal(4, 5), key(2), rate=0.0)
    add(fcnn.dropout, "empty batch", normal(0, 5), key(3), rate=0.2)
    add(fcnn.dropout, "more than 8192 elements", normal(91, 91), key(4), rate=0.9)


FAMILIES = (dropout,)
