"""Activations."""

import functional_cnn as fcnn
from functional_cnn.verify.cases._case import Add, away_from_zero, normal, values


def activations(add: Add) -> None:
    for op in (fcnn.relu, fcnn.leaky_relu):
        add(op, "away from the kink", away_from_zero(4, 5), sharp=True)
        add(op, "at the kink", values(-1.0, -0.0, 0.0, 2.0), smooth=False, sharp=True)
        add(op, "scalar", away_from_zero())
        add(op, "empty", normal(0, 3))
        add(op, "more than 8192 elements", away_from_zero(91, 91))
    add(fcnn.leaky_relu, "zero slope", away_from_zero(4, 5), negative_slope=0.0)
    add(fcnn.leaky_relu, "negative slope", away_from_zero(4, 5), negative_slope=-0.3, sharp=True)
    add(fcnn.leaky_relu, "slope above 1", away_from_zero(4, 5), negative_slope=1.5)
    for op in (fcnn.sigmoid, fcnn.tanh):
        add(op, "matrix", normal(4, 5), sharp=True)
        add(op, "saturated", values(-30.0, -5.0, 0.0, 5.0, 30.0), smooth=False)
        add(op, "scalar", normal())
        add(op, "empty", normal(0, 3))
        add(op, "more than 8192 elements", normal(91, 91))
    for op in (fcnn.softmax, fcnn.log_softmax):
        add(op, "last axis", normal(4, 5), sharp=True)
        add(op, "first axis", normal(4, 5), axis=0)
        add(op, "two axes", normal(2, 3, 4), axis=(0, 2))
        add(op, "large values", normal(3, 4, scale=100.0), smooth=False)
        add(op, "empty batch", normal(0, 5))
        add(op, "more than 8192 elements", normal(91, 91))


FAMILIES = (activations,)
