"""Losses."""

import functional_cnn as fcnn
from functional_cnn.verify.cases._case import Add, distribution, integers, normal, positive, values


def losses(add: Add) -> None:
    op = fcnn.softmax_cross_entropy
    add(op, "integer labels", normal(4, 5), integers(5, 4), sharp=True, batched=(0, 1))
    add(op, "integer labels, smoothed", normal(4, 5), integers(5, 4), label_smoothing=0.1)
    add(op, "distributions", normal(4, 5), distribution(4, 5), sharp=True, batched=(0, 1))
    add(op, "distributions, smoothed", normal(4, 5), distribution(4, 5), label_smoothing=0.3)
    add(op, "labels that do not sum to one", normal(4, 5), positive(4, 5))
    add(op, "a label for each pixel", normal(2, 3, 4, 5), integers(5, 2, 3, 4))
    add(op, "one example", normal(5), integers(5))
    add(op, "one class", normal(3, 1), integers(1, 3))
    add(op, "large logits", normal(4, 5, scale=100.0), integers(5, 4), smooth=False)
    add(op, "empty batch", normal(0, 5), integers(5, 0))
    add(op, "more than 8192 elements", normal(91, 91), integers(91, 91))
    op = fcnn.sigmoid_cross_entropy
    add(op, "probabilities", normal(4, 5), positive(4, 5), sharp=True, batched=(0, 1))
    add(op, "integer labels", normal(4, 5), integers(2, 4, 5))
    add(op, "large logits", values(-800.0, -30.0, 30.0, 800.0), values(0.0, 1.0, 0.25, 1.0), smooth=False)
    add(op, "logit zero", values(0.0, 0.0), values(0.0, 1.0), smooth=False)
    add(op, "empty", normal(0, 5), positive(0, 5))
    add(op, "more than 8192 elements", normal(91, 91), positive(91, 91))
    op = fcnn.squared_error
    add(op, "matrix", normal(4, 5), normal(4, 5), sharp=True, batched=(0, 1))
    add(op, "integer targets", normal(4, 5), integers(9, 4, 5))
    add(op, "equal", values(1.0, 2.0), values(1.0, 2.0))
    add(op, "empty", normal(0, 5), normal(0, 5))
    add(op, "more than 8192 elements", normal(91, 91), normal(91, 91))


FAMILIES = (losses,)
