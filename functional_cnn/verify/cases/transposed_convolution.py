"""Transposed and separable convolution."""

import functional_cnn as fcnn
from functional_cnn.verify.cases._case import Add, normal


def conv_transpose(add: Add) -> None:
    def conv(label, x, kernel, *, bias=0, **rest):
        draws = normal(*x), normal(*kernel), *([normal(bias)] if bias else [])
        add(fcnn.conv_transpose, label, *draws, **rest)

    conv("3x3, stride 2, with bias", (2, 3, 4, 3), (3, 3, 2, 3), bias=2, stride=2, sharp=True)
    conv("2x2 tiles, output padding", (2, 3, 2, 3), (2, 2, 2, 3), stride=2, padding=1, output_padding=1)
    conv("2x2 tiles", (2, 3, 2, 2), (2, 2, 3, 2), stride=2, sharp=True)
    conv(
        "stride, padding, output padding and dilation by axis",
        (1, 4, 3, 2),
        (3, 2, 2, 2),
        stride=(2, 3),
        padding=((1, 2), (0, 1)),
        output_padding=(1, 2),
        dilation=(2, 1),
    )
    conv(
        "1D, output padding as large as the stride",
        (2, 5, 3),
        (4, 2, 3),
        bias=2,
        padding="VALID",
        output_padding=1,
        dilation=2,
    )
    conv("3D", (1, 2, 3, 2, 2), (2, 3, 2, 2, 2), padding=1, stride=(2, 1, 2))
    conv("stride larger than window, same", (1, 3, 4, 2), (2, 1, 3, 2), stride=(3, 2))
    conv("stride larger than window, valid", (1, 3, 4, 2), (2, 2, 3, 2), stride=3, padding="VALID")
    conv("2 groups", (2, 3, 3, 4), (3, 3, 3, 4), groups=2, bias=6, stride=2, padding=(1, 0))
    conv("depthwise", (1, 4, 3, 3), (3, 2, 1, 3), groups=3, stride=2, dilation=2)
    conv("1x1", (2, 3, 4, 3), (1, 1, 2, 3), padding="VALID", precision="highest")
    conv("1x1, stride 2", (1, 3, 4, 3), (1, 1, 2, 3), stride=2, output_padding=1, padding=0)
    conv("padding larger than window", (1, 5, 6, 2), (2, 2, 2, 2), padding=2)
    conv("few channels of many, stride 2", (2, 3, 4, 9), (3, 3, 2, 9), stride=2, padding=1)
    conv("empty batch", (0, 3, 3, 2), (4, 4, 3, 2), bias=3, stride=2)
    conv("no channels", (2, 3, 3, 0), (2, 2, 3, 0), bias=3)
    conv("more than 8192 elements", (1, 32, 33, 8), (2, 2, 2, 8), stride=2)
    conv(
        "more than 8192 elements and 2^21 multiply-adds", (4, 16, 17, 16), (4, 4, 8, 16), stride=2, padding=1
    )


def separable_conv(add: Add) -> None:
    def separable(label, x, depthwise, outputs, *, bias=False, **rest):
        pointwise = (*(1 for _ in x[1:-1]), depthwise[-1], outputs)
        draws = normal(*x), normal(*depthwise), normal(*pointwise), *([normal(outputs)] if bias else [])
        add(fcnn.separable_conv, label, *draws, **rest)

    separable("3x3 with bias", (2, 4, 3, 2), (3, 3, 1, 2), 3, bias=True, sharp=True)
    separable("two outputs a channel, stride 2", (2, 5, 6, 3), (3, 2, 1, 6), 2, stride=2, padding=1)
    separable(
        "stride, padding and dilation by axis",
        (1, 7, 6, 2),
        (3, 2, 1, 2),
        3,
        stride=(2, 1),
        padding=((1, 0), (0, 2)),
        dilation=(1, 2),
    )
    separable("one channel", (2, 4, 4, 1), (3, 3, 1, 2), 3, padding="VALID")
    separable("1D", (2, 7, 3), (3, 1, 3), 2, bias=True, dilation=2)
    separable("3D", (1, 3, 4, 3, 2), (2, 2, 2, 1, 2), 3, padding=(0, 1, 1))
    separable("empty batch", (0, 4, 4, 2), (3, 3, 1, 2), 3, bias=True)
    separable("more than 8192 elements", (2, 24, 24, 8), (3, 3, 1, 8), 2)


FAMILIES = (conv_transpose, separable_conv)
