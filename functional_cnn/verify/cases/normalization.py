"""Normalisation."""

import functional_cnn as fcnn
from functional_cnn.verify.cases._case import Add, normal, positive


def batch_norm(add: Add) -> None:
    op = fcnn.batch_norm
    add(op, "scale and bias", normal(4, 4, 3, 2), normal(2), normal(2), sharp=True)
    add(op, "plain", normal(4, 3, 3, 2))
    add(op, "scale alone", normal(3, 5, 2), normal(2), eps=1e-2)
    add(op, "no pixels", normal(8, 3), normal(3), normal(3))
    add(op, "3D", normal(2, 2, 3, 2, 2), normal(2), normal(2))
    add(op, "batch 1", normal(1, 4, 4, 2), normal(2), normal(2))
    add(op, "offset of 100", normal(3, 4, 3, 2, offset=100.0), normal(2), normal(2))
    add(op, "empty batch", normal(0, 4, 4, 2), normal(2), normal(2), smooth=False)
    add(op, "more than 8192 elements", normal(4, 16, 17, 8), normal(8), normal(8))


def batch_norm_inference(add: Add) -> None:
    op = fcnn.batch_norm_inference
    add(op, "scale and bias", normal(4, 4, 3, 2), normal(2), positive(2), normal(2), normal(2), sharp=True)
    add(op, "plain", normal(4, 3, 3, 2), normal(2), positive(2))
    add(op, "no pixels", normal(8, 3), normal(3), positive(3), normal(3), eps=1e-2)
    add(op, "empty batch", normal(0, 4, 4, 2), normal(2), positive(2), normal(2), normal(2))
    add(op, "more than 8192 elements", normal(4, 16, 17, 8), normal(8), positive(8), normal(8), normal(8))


FAMILIES = (batch_norm, batch_norm_inference)
