"""Convolution and the dense layer."""

import functional_cnn as fcnn
from functional_cnn.verify.cases._case import Add, normal


def conv(add: Add) -> None:
    def conv(label, x, kernel, *, bias=False, **rest):
        add(fcnn.conv, label, normal(*x), normal(*kernel), *([normal(kernel[-1])] if bias else []), **rest)

    conv("3x3 with bias", (2, 5, 6, 3), (3, 3, 3, 4), bias=True, sharp=True)
    conv("stride 2", (2, 7, 6, 3), (3, 3, 3, 4), stride=2, sharp=True)
    conv(
        "stride, padding and dilation by axis",
        (1, 7, 8, 2),
        (3, 2, 2, 3),
        stride=(2, 3),
        padding=((1, 2), (0, 3)),
        dilation=(2, 1),
    )
    conv("1D", (2, 9, 3), (4, 3, 2), bias=True, stride=2)
    conv("3D", (1, 4, 5, 3, 2), (2, 3, 2, 2, 3), padding=1)
    conv(
        "3D, stride, padding and dilation by axis",
        (2, 6, 5, 4, 2),
        (2, 2, 3, 2, 3),
        bias=True,
        stride=(2, 1, 2),
        padding=((2, 1), (0, 1), (1, 1)),
        dilation=(2, 1, 1),
    )
    conv("3D, stride larger than window", (1, 7, 4, 4, 2), (2, 2, 2, 2, 2), stride=3, padding="VALID")
    conv("3D, one deep", (1, 3, 5, 4, 2), (1, 3, 3, 2, 3))
    conv("3D, deeper than is stacked", (1, 10, 2, 2, 2), (9, 1, 1, 2, 2))
    conv("3D, empty batch", (0, 3, 4, 4, 2), (2, 3, 3, 2, 3))
    conv("2 groups", (2, 5, 5, 4), (3, 3, 2, 6), groups=2, sharp=True)
    conv("6 groups of 8 in and 4 out, stride 2", (1, 5, 4, 48), (3, 3, 8, 24), groups=6, stride=2)
    conv("3D, 2 groups", (1, 3, 4, 3, 4), (2, 3, 2, 2, 4), groups=2)
    conv("many groups of 2 in and 1 out", (1, 3, 3, 132), (2, 2, 2, 66), groups=66)
    conv("depthwise", (2, 6, 5, 4), (3, 3, 1, 4), groups=4, sharp=True)
    conv(
        "depthwise, stride 2, dilated", (2, 9, 9, 3), (3, 3, 1, 3), groups=3, stride=2, dilation=2, padding=2
    )
    conv("depthwise, rows of more than 14 outputs", (1, 3, 29, 2), (3, 3, 1, 2), groups=2)
    conv("depthwise, stride larger than window", (1, 7, 7, 2), (2, 2, 1, 2), groups=2, stride=3)
    conv("depthwise 1D, two outputs a channel", (2, 8, 3), (3, 1, 6), groups=3, padding=(2,))
    conv("depthwise, two outputs a channel, empty batch", (0, 4, 3, 2), (2, 2, 1, 4), groups=2)
    conv("depthwise, nine outputs a channel", (1, 4, 3, 2), (2, 2, 1, 18), groups=2)
    conv("depthwise, more taps than are unrolled", (1, 10, 9, 2), (9, 9, 1, 2), groups=2)
    conv(
        "depthwise, a row of taps at a time, stride 2, dilated, two outputs a channel",
        (2, 9, 12, 2),
        (5, 13, 1, 4),
        groups=2,
        stride=2,
        dilation=2,
        padding=((6, 4), (9, 13)),
    )
    conv("1x1", (2, 4, 5, 3), (1, 1, 3, 4), padding="VALID", bias=True, sharp=True)
    conv("1x1, stride 3", (2, 7, 8, 3), (1, 1, 3, 2), stride=3, padding="VALID")
    conv("1x1, padded", (1, 4, 4, 2), (1, 1, 2, 3), padding=2)
    conv("1x1, fewer channels made", (2, 4, 3, 5), (1, 1, 5, 2))
    conv(
        "few channels of many",
        (2, 4, 5, 10),
        (3, 2, 10, 2),
        padding=((2, 0), (0, 1)),
        dilation=(1, 2),
        bias=True,
    )
    conv("few channels of many, 3D", (1, 3, 2, 4, 8), (2, 2, 2, 8, 1))
    conv("few channels in, stride 2", (2, 5, 4, 1), (3, 2, 1, 6), stride=(2, 1), padding=1)
    conv("padding larger than window", (1, 3, 3, 2), (2, 2, 2, 2), padding=4)
    conv("stride larger than window", (1, 8, 7, 2), (2, 2, 2, 2), stride=5, padding="VALID")
    conv(
        "kernel larger than its images",
        (2, 5, 4, 16),
        (3, 2, 16, 16),
        stride=(2, 1),
        padding=((2, 1), (0, 3)),
        dilation=(1, 2),
    )
    conv(
        "images of fewer pixels than the window",
        (2, 2, 3, 3),
        (3, 4, 3, 2),
        padding=((1, 2), (2, 1)),
        bias=True,
    )
    conv("the same, 1D, stride and dilation", (2, 4, 3), (5, 3, 2), stride=2, padding=((4, 3),), dilation=2)
    conv(
        "narrow, more than 8192 elements and 2^20 multiply-adds",
        (16, 18, 16, 3),
        (5, 4, 3, 8),
        bias=True,
        padding=((1, 0), (4, 2)),
        dilation=(2, 3),
    )
    conv(
        "few channels, pixels of a row at once",
        (2, 24, 28, 3),
        (3, 3, 3, 8),
        bias=True,
        padding=((1, 0), (2, 1)),
    )
    conv(
        "stride and large window, few channels",
        (8, 12, 14, 2),
        (9, 7, 2, 16),
        stride=2,
        padding=((4, 4), (3, 3)),
    )
    conv(
        "stride, more than 8192 elements and 2^21 multiply-adds",
        (8, 33, 32, 8),
        (3, 4, 8, 16),
        stride=(2, 3),
        padding=((1, 2), (0, 3)),
        dilation=(2, 1),
    )
    conv("empty batch", (0, 5, 5, 2), (3, 3, 2, 3), bias=True)
    conv("no channels", (2, 4, 5, 0), (3, 3, 0, 2), bias=True)
    conv("no channels made", (2, 4, 5, 2), (3, 3, 2, 0))
    conv("more than 8192 elements and 2^25 multiply-adds", (4, 16, 16, 32), (3, 3, 32, 128))
    conv("the same, pixels of a row at once", (8, 32, 34, 24), (3, 3, 24, 18))
    conv("more than 8192 elements", (2, 24, 24, 8), (3, 3, 8, 2), padding="VALID", precision="highest")


def dense(add: Add) -> None:
    add(fcnn.dense, "with bias", normal(6, 4), normal(4, 3), normal(3), sharp=True)
    add(fcnn.dense, "without bias", normal(5, 4), normal(4, 3))
    add(fcnn.dense, "one vector", normal(4), normal(4, 3), normal(3), sharp=True)
    add(fcnn.dense, "leading axes", normal(2, 3, 2, 4), normal(4, 3), normal(3))
    add(fcnn.dense, "empty batch", normal(0, 4), normal(4, 3), normal(3))
    add(fcnn.dense, "more than 8192 elements", normal(128, 80), normal(80, 3))


FAMILIES = (conv, dense)
