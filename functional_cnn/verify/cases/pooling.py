"""Pooling."""

import numpy as np

import functional_cnn as fcnn
from functional_cnn.verify.cases._case import Add, away_from_zero, distinct, integers, normal, places, tied


def max_pool(add: Add) -> None:
    def pool(label, draw, window, **rest):
        add(fcnn.max_pool, label, draw, window=window, **rest)

    pool("2x2", distinct(2, 6, 4, 3), 2, sharp=True)
    pool("3x3, stride 2, padded", distinct(2, 7, 8, 2), 3, stride=2, padding=1, sharp=True)
    pool(
        "window, stride and padding by axis",
        distinct(1, 8, 9, 2),
        (3, 2),
        stride=(1, 3),
        padding=((1, 0), (0, 1)),
    )
    pool("same, rest left over", distinct(1, 8, 7, 2), 3, padding="SAME")
    pool("1D", distinct(2, 9, 3), 3, stride=2, dilation=2)
    pool("3D", distinct(1, 4, 5, 4, 2), 2, stride=(1, 2, 2))
    pool("5x5, one axis after the other", distinct(1, 7, 8, 2), 5, stride=2, padding=2, sharp=True)
    pool("dilated", distinct(1, 9, 8, 2), 3, stride=2, dilation=(2, 1), padding=(2, 1))
    pool("ceil mode", distinct(1, 8, 7, 2), 3, stride=2, padding=1, ceil_mode=True)
    pool("stride larger than window", distinct(1, 9, 9, 2), 2, stride=4)
    pool("1x1", distinct(1, 3, 4, 2), 1)
    pool("ties", tied(2, 7, 7, 3), 3, stride=2, padding=1, smooth=False, sharp=True)
    pool("ties, one axis after the other", tied(2, 8, 8, 3), 5, stride=1, padding=2, smooth=False)
    pool("ties in tiles", tied(2, 6, 6, 2), 2, smooth=False)
    pool("a long window", distinct(2, 90, 2), 20, stride=14, padding=9, sharp=True)
    pool(
        "long windows along both axes",
        distinct(1, 37, 40, 2),
        (17, 18),
        stride=(20, 14),
        dilation=2,
        padding=16,
    )
    pool("ties in a long window", tied(2, 90, 2), 20, stride=14, padding=9, smooth=False)
    pool("empty batch", distinct(0, 6, 6, 2), 2)
    pool("more than 8192 elements", distinct(1, 34, 32, 8), 3, stride=2, padding=1)


def avg_pool(add: Add) -> None:
    def pool(label, shape, window, **rest):
        add(fcnn.avg_pool, label, normal(*shape), window=window, **rest)

    pool("2x2", (2, 6, 4, 3), 2, sharp=True)
    pool("3x3, stride 2, padded", (2, 7, 8, 2), 3, stride=2, padding=1, sharp=True)
    pool("padding not counted", (2, 7, 8, 2), 3, stride=2, padding=1, count_include_pad=False)
    pool("window, stride and padding by axis", (1, 8, 9, 2), (3, 2), stride=(1, 3), padding=((1, 0), (0, 1)))
    pool("same", (1, 8, 7, 2), 3, padding="SAME", stride=2)
    pool("1D", (2, 9, 3), 3, stride=2)
    pool("3D", (1, 4, 5, 4, 2), 2, stride=(1, 2, 2))
    pool("5x5, one axis after the other", (1, 7, 8, 2), 5, stride=2, padding=2, sharp=True)
    pool("dilated", (1, 9, 8, 2), 3, stride=2, dilation=(2, 1), padding=(2, 1))
    pool("ceil mode", (1, 8, 7, 2), 3, stride=2, padding=1, ceil_mode=True)
    pool("ceil mode, padding not counted", (1, 8, 8, 2), 3, stride=2, ceil_mode=True, count_include_pad=False)
    pool("divisor given", (1, 6, 6, 2), 2, divisor_override=3)
    pool("a long window", (1, 99, 2), 70, stride=9, padding=30, count_include_pad=False, sharp=True)
    pool("long windows along both axes", (1, 80, 75, 1), (66, 65), stride=(20, 4), padding=16)
    pool("stride larger than window", (1, 9, 9, 2), 2, stride=4)
    pool("empty batch", (0, 6, 6, 2), 2)
    pool("more than 8192 elements", (1, 34, 32, 8), 3, stride=2, padding=1)


def max_pool_with_indices(add: Add) -> None:
    def pool(label, draw, window, **rest):
        add(fcnn.max_pool_with_indices, label, draw, window=window, **rest)

    pool("3x3, stride 2, padded", distinct(2, 5, 4, 2), 3, stride=2, padding=1, sharp=True)
    pool(
        "window, stride and padding by axis",
        distinct(1, 8, 9, 2),
        (3, 2),
        stride=(1, 3),
        padding=((1, 0), (0, 1)),
    )
    pool("same", distinct(1, 8, 7, 2), 3, padding="SAME")
    pool("valid", distinct(1, 8, 7, 2), 3, padding="VALID")
    pool("1D", distinct(2, 9, 3), 3, stride=2, padding=(1,))
    pool("3D, dilated", distinct(1, 4, 5, 4, 2), 2, stride=(1, 2, 2), dilation=(1, 2, 1))
    pool("5x5, one axis after the other", distinct(1, 7, 8, 2), 5, stride=2, padding=2)
    pool("long windows along both axes", distinct(1, 37, 40, 2), (17, 18), stride=(20, 14), padding=8)
    pool("dilated, ceil mode", distinct(1, 9, 8, 2), 3, stride=2, dilation=2, padding=2, ceil_mode=True)
    pool("ties, one axis after the other", tied(2, 8, 8, 3), 5, stride=1, padding=2, smooth=False)
    pool("ties", tied(2, 7, 7, 3), 3, stride=2, padding=1, smooth=False)
    pool("empty batch", distinct(0, 6, 6, 2), 2)
    pool("more than 8192 elements", distinct(1, 34, 32, 8), 3, stride=2, padding=1)


def max_unpool(add: Add) -> None:
    def unpool(label, shape, output_size, indices=None, **rest):
        pixels = (
            int(np.prod(output_size)) if isinstance(output_size, tuple) else output_size ** (len(shape) - 2)
        )
        indices = places(pixels, *shape) if indices is None else indices
        add(fcnn.max_unpool, label, normal(*shape), indices, output_size=output_size, **rest)

    unpool("2D", (2, 2, 3, 2), (4, 6), sharp=True, batched=(0, 1))
    unpool("one size for all axes", (2, 2, 2, 3), 5)
    unpool("1D", (2, 4, 3), 9)
    unpool("3D", (1, 2, 1, 2, 2), (3, 2, 4))
    unpool("pixels named twice", (2, 3, 3, 2), 3, indices=integers(9, 2, 3, 3, 2))
    unpool("batch 1, one pixel", (1, 1, 1, 2), 1)
    unpool("empty batch", (0, 2, 2, 3), 4)
    unpool("more than 8192 elements", (1, 30, 31, 9), 31)


def lp_pool(add: Add) -> None:
    def pool(label, draw, window, **rest):
        add(fcnn.lp_pool, label, draw, window=window, **rest)

    pool("Euclidean", away_from_zero(2, 5, 4, 2), 2, p=2, sharp=True)
    pool("sum of absolute values", away_from_zero(2, 5, 4, 2), 3, p=1, stride=2, padding=1)
    pool("cubes", away_from_zero(2, 5, 4, 2), 3, p=3, stride=1, padding=(1, 0))
    pool("p below 1", away_from_zero(1, 4, 4, 2), 2, p=0.5, stride=1)
    pool("1D, ceil mode", away_from_zero(2, 8, 3), 3, p=2, stride=2, ceil_mode=True)
    pool(
        "3D",
        away_from_zero(1, 4, 3, 4, 2),
        (2, 1, 3),
        p=1.5,
        stride=(1, 2, 1),
        padding=((1, 0), (0, 0), (1, 1)),
    )
    pool("same", away_from_zero(1, 7, 6, 2), 3, p=2, padding="SAME")
    pool("dilated", away_from_zero(1, 9, 8, 2), 3, p=2, stride=2, dilation=2, padding="VALID")
    pool("dilated by axis", away_from_zero(1, 5, 5, 1), 2, p=4, dilation=(2, 1), padding=0)
    pool(
        "zeros",
        lambda rng: np.array([0.0, 0.0, 0.0, 0.0, 1.0, -1.0, 0.0, 2.0]).reshape(1, 8, 1),
        2,
        p=2,
        smooth=False,
    )
    pool("empty batch", away_from_zero(0, 6, 6, 2), 2, p=2)
    pool("more than 8192 elements", away_from_zero(1, 34, 32, 8), 3, p=2, stride=2, padding=1)


def global_pools(add: Add) -> None:
    for op, draw in ((fcnn.global_avg_pool, normal), (fcnn.global_max_pool, distinct)):
        add(op, "2D", draw(2, 3, 4, 5), sharp=True)
        add(op, "1D", draw(2, 5, 3))
        add(op, "3D", draw(1, 2, 3, 2, 2))
        add(op, "empty batch", draw(0, 3, 4, 5))
        add(op, "more than 8192 elements", draw(1, 33, 32, 8))
    add(fcnn.global_max_pool, "ties", tied(2, 4, 4, 3), smooth=False)


FAMILIES = (max_pool, avg_pool, max_pool_with_indices, max_unpool, lp_pool, global_pools)
