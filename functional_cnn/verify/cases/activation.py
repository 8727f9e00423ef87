"""Activations."""

import functional_cnn as fcnn
from functional_cnn.verify.cases._case import Add, away_from_zero, normal, values


def smooth(add: Add) -> None:
    for op in (
        fcnn.sigmoid,
        fcnn.log_sigmoid,
        fcnn.tanh,
        fcnn.softplus,
        fcnn.softsign,
        fcnn.silu,
        fcnn.mish,
        fcnn.gelu,
    ):
        add(op, "matrix", normal(4, 5, scale=2.0), sharp=True)
        add(op, "zero", values(-0.0, 0.0), smooth=False)
        add(op, "saturated", values(-800.0, -30.0, -5.0, 5.0, 30.0, 800.0), smooth=False)
        add(op, "scalar", normal())
        add(op, "empty", normal(0, 3))
        add(op, "more than 8192 elements", normal(91, 91))
    add(fcnn.gelu, "error function", normal(4, 5), approximate=False, sharp=True)
    add(
        fcnn.gelu,
        "error function, saturated",
        values(-30.0, -5.0, 5.0, 30.0),
        approximate=False,
        smooth=False,
    )
    add(fcnn.gelu, "tanh", normal(4, 5), approximate=True)


def with_a_kink_at_zero(add: Add) -> None:
    for op in (fcnn.relu, fcnn.leaky_relu, fcnn.elu, fcnn.celu, fcnn.selu, fcnn.relu6):
        add(op, "away from the kink", away_from_zero(4, 5), sharp=True)
        add(op, "at the kink", values(-1.0, -0.0, 0.0, 2.0), smooth=False)
        add(op, "large", values(-800.0, -30.0, 30.0, 800.0), smooth=False)
        add(op, "scalar", away_from_zero())
        add(op, "empty", normal(0, 3))
        add(op, "more than 8192 elements", away_from_zero(91, 91))
    add(fcnn.leaky_relu, "zero slope", away_from_zero(4, 5), negative_slope=0.0)
    add(fcnn.leaky_relu, "negative slope", away_from_zero(4, 5), negative_slope=-0.3, sharp=True)
    add(fcnn.leaky_relu, "slope above 1", away_from_zero(4, 5), negative_slope=1.5)
    for op in (fcnn.elu, fcnn.celu):
        add(op, "alpha", away_from_zero(4, 5), alpha=0.3)
        add(op, "negative alpha", away_from_zero(4, 5), alpha=-0.7)
    add(fcnn.elu, "alpha at the kink", values(-1.0, -0.0, 0.0, 2.0), alpha=0.3, smooth=False)
    add(fcnn.elu, "zero alpha", away_from_zero(4, 5), alpha=0.0)


def prelu(add: Add) -> None:
    op = fcnn.prelu
    add(op, "one slope for each channel", away_from_zero(4, 3, 5), normal(5), sharp=True)
    add(op, "one slope", away_from_zero(4, 3), normal())
    add(op, "one slope in a vector", away_from_zero(4, 3, 2, 2), normal(1))
    add(op, "one channel", away_from_zero(4, 1), normal(1))
    add(op, "scalar", away_from_zero(), normal())
    add(op, "scalar, one slope in a vector", away_from_zero(), normal(1))
    add(op, "at the kink", values(-1.0, -0.0, 0.0, 2.0), values(0.25), smooth=False)
    add(op, "empty", normal(0, 3), normal(3))
    add(op, "more than 8192 elements", away_from_zero(91, 91), normal(91))


def cut_off(add: Add) -> None:
    for op in (fcnn.relu6, fcnn.hard_tanh, fcnn.hard_sigmoid, fcnn.hard_silu):
        kinks = {fcnn.relu6: (0.0, 6.0), fcnn.hard_tanh: (-1.0, 1.0)}.get(op, (-3.0, 3.0))
        add(
            op, "inside and outside", values(-9.0, -3.5, -2.5, -0.5, 0.5, 0.7, 2.5, 3.5, 7.0, 9.0), sharp=True
        )
        add(op, "at the kinks", values(*kinks), smooth=False)
    for op in (fcnn.hard_tanh, fcnn.hard_sigmoid, fcnn.hard_silu):
        add(op, "scalar", values(0.4))
        add(op, "empty", normal(0, 3))
        add(op, "more than 8192 elements", normal(91, 91, scale=0.2))
    add(fcnn.hard_tanh, "levels", values(-1.0, 0.1, 0.5, 3.5), min_val=0.0, max_val=2.5)


def over_an_axis(add: Add) -> None:
    for op in (fcnn.softmax, fcnn.log_softmax):
        add(op, "last axis", normal(4, 5), sharp=True)
        add(op, "first axis", normal(4, 5), axis=0)
        add(op, "two axes", normal(2, 3, 4), axis=(0, 2))
        add(op, "one image", normal(1, 2, 3, 4))
        add(op, "large values", normal(3, 4, scale=100.0), smooth=False)
        add(op, "empty batch", normal(0, 5))
        add(op, "more than 8192 elements", normal(91, 91))
    add(fcnn.glu, "last axis", normal(4, 3, 6), sharp=True)
    add(fcnn.glu, "second axis", normal(2, 4, 3), axis=1)
    add(fcnn.glu, "negative axis", normal(6, 2, 3), axis=-3)
    add(fcnn.glu, "saturated", values(3.0, -2.0, -800.0, 800.0), smooth=False)
    add(fcnn.glu, "empty batch", normal(0, 4))
    add(fcnn.glu, "more than 8192 elements", normal(91, 92))


FAMILIES = (smooth, with_a_kink_at_zero, prelu, cut_off, over_an_axis)
