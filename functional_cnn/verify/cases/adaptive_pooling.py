"""Adaptive pooling."""

import functional_cnn as fcnn
from functional_cnn.verify.cases._case import Add, distinct, normal, tied


def adaptive_avg_pool(add: Add) -> None:
    _pools(add, fcnn.adaptive_avg_pool, normal)


def adaptive_max_pool(add: Add) -> None:
    _pools(add, fcnn.adaptive_max_pool, distinct)
    op = fcnn.adaptive_max_pool
    add(op, "ties", tied(2, 11, 3, 1), output_size=2, smooth=False)
    add(op, "ties, more than 128 pixels along an axis", tied(1, 140, 3, 2), output_size=2, smooth=False)


def _pools(add: Add, op, draw) -> None:
    add(op, "overlapping windows", draw(2, 5, 4, 2), output_size=3, sharp=True)
    add(op, "size by axis", draw(1, 7, 6, 2), output_size=(3, 5))
    add(op, "an axis kept", draw(2, 5, 4, 2), output_size=(None, 3))
    add(op, "all axes kept", draw(1, 3, 4, 2), output_size=None)
    add(op, "windows side by side", draw(2, 6, 4, 2), output_size=2)
    add(op, "larger output", draw(1, 3, 2, 2), output_size=(5, 3))
    add(op, "one pixel", draw(1, 5, 3, 2), output_size=1)
    add(op, "more than 64 pixels in a window", draw(2, 70, 2, 1), output_size=1)
    add(op, "1D", draw(2, 9, 3), output_size=4)
    add(op, "3D", draw(1, 4, 3, 5, 2), output_size=(3, 2, 2))
    add(op, "empty batch", draw(0, 5, 4, 2), output_size=3)
    add(op, "more than 8192 elements", draw(1, 34, 31, 8), output_size=(3, 4))


FAMILIES = (adaptive_avg_pool, adaptive_max_pool)
