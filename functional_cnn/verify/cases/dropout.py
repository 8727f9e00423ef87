"""Dropout and its relatives."""

import functional_cnn as fcnn
from functional_cnn.verify.cases._case import Add, key, normal


def dropout(add: Add) -> None:
    add(fcnn.dropout, "half", normal(4, 5), key(0), rate=0.5, sharp=True)
    add(fcnn.dropout, "spatial", normal(2, 3, 4, 5), key(1), rate=0.3, broadcast_axes=(1, 2))
    add(fcnn.dropout, "rate 0", normal(4, 5), key(2), rate=0.0)
    add(fcnn.dropout, "empty batch", normal(0, 5), key(3), rate=0.2, broadcast_axes=1)
    add(fcnn.dropout, "more than 8192 elements", normal(91, 91), key(4), rate=0.9)


def stochastic_depth(add: Add) -> None:
    op = fcnn.stochastic_depth
    add(op, "half", normal(4, 2, 3), key(0), rate=0.5, sharp=True)
    add(op, "one value an example", normal(6), key(1), rate=0.3)
    add(op, "rate 0", normal(4, 5), key(2), rate=0.0)
    add(op, "empty batch", normal(0, 5), key(3), rate=0.2)
    add(op, "more than 8192 elements", normal(91, 91), key(4), rate=0.9)


def drop_block(add: Add) -> None:
    op = fcnn.drop_block
    add(op, "2x2", normal(2, 5, 4, 2), key(0), rate=0.3, block_size=2, sharp=True)
    add(op, "sizes by axis", normal(2, 5, 4, 2), key(1), rate=0.3, block_size=(3, 1))
    add(op, "1D", normal(2, 9, 2), key(2), rate=0.5, block_size=3)
    add(op, "3D", normal(1, 4, 5, 3, 2), key(3), rate=0.3, block_size=2)
    add(op, "larger than the image", normal(4, 2, 3, 2), key(4), rate=0.5, block_size=7)
    add(op, "rate 0", normal(1, 4, 4, 2), key(5), rate=0.0, block_size=2)
    add(op, "nothing left", normal(1, 2, 2, 1), key(0), rate=0.99, block_size=2)
    add(op, "empty batch", normal(0, 4, 4, 2), key(6), rate=0.2, block_size=2)
    add(op, "more than 8192 elements", normal(1, 32, 33, 8), key(7), rate=0.2, block_size=5)


FAMILIES = (dropout, stochastic_depth, drop_block)
