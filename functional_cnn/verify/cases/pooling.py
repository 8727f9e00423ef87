"""Pooling."""

import functional_cnn as fcnn
from functional_cnn.verify.cases._case import Add, distinct, normal, tied


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
    pool("1D", distinct(2, 9, 3), 3, stride=2)
    pool("3D", distinct(1, 4, 5, 4, 2), 2, stride=(1, 2, 2))
    pool("5x5, one axis after the other", distinct(1, 7, 8, 2), 5, stride=2, padding=2, sharp=True)
    pool("dilated", distinct(1, 9, 8, 2), 3, stride=2, dilation=2, padding=2)
    pool("ceil mode", distinct(1, 8, 7, 2), 3, stride=2, padding=1, ceil_mode=True)
    pool("stride larger than window", distinct(1, 9, 9, 2), 2, stride=4)
    pool("1x1", distinct(1, 3, 4, 2), 1)
    pool("ties", tied(2, 7, 7, 3), 3, stride=2, padding=1, smooth=False, sharp=True)
    pool("ties, one axis after the other", tied(2, 8, 8, 3), 5, stride=1, padding=2, smooth=False)
    pool("ties in tiles", tied(2, 6, 6, 2), 2, smooth=False)
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
    pool("dilated", (1, 9, 8, 2), 3, stride=2, dilation=2, padding=2)
    pool("ceil mode", (1, 8, 7, 2), 3, stride=2, padding=1, ceil_mode=True)
    pool("ceil mode, padding not counted", (1, 8, 8, 2), 3, stride=2, ceil_mode=True, count_include_pad=False)
    pool("divisor given", (1, 6, 6, 2), 2, divisor_override=3)
    pool("stride larger than window", (1, 9, 9, 2), 2, stride=4)
    pool("empty batch", (0, 6, 6, 2), 2)
    pool("more than 8192 elements", (1, 34, 32, 8), 3, stride=2, padding=1)


def global_avg_pool(add: Add) -> None:
    add(fcnn.global_avg_pool, "2D", normal(2, 3, 4, 5), sharp=True)
    add(fcnn.global_avg_pool, "1D", normal(2, 5, 3))
    add(fcnn.global_avg_pool, "3D", normal(1, 2, 3, 2, 2))
    add(fcnn.global_avg_pool, "empty batch", normal(0, 3, 4, 5))
    add(fcnn.global_avg_pool, "more than 8192 elements", normal(1, 33, 32, 8))


FAMILIES = (max_pool, avg_pool, global_avg_pool)
