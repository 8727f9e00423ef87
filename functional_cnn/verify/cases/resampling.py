"""Resizing, moving pixels into channels, and padding."""

import functional_cnn as fcnn
from functional_cnn.verify.cases._case import Add, normal


def resize(add: Add) -> None:
    def to(label, shape, size, method="linear", **rest):
        add(fcnn.resize, label, normal(*shape), size=size, method=method, **rest)

    to("linear, twice as large", (2, 3, 2, 2), (6, 4), sharp=True)
    to("linear, both ways at once", (1, 5, 7, 2), (8, 3), "bilinear")
    to("linear, 3D", (1, 3, 4, 2, 2), (5, 3, 4), "trilinear")
    to("linear, aligned corners", (1, 3, 5, 2), (7, 4), "triangle", align_corners=True)
    to("aligned corners, one pixel", (1, 1, 5, 2), (4, 1), align_corners=True)
    to("linear, antialiased", (1, 9, 4, 2), (4, 7), antialias=True)
    to("cubic", (2, 5, 1, 2), (8, 2), "cubic", sharp=True)
    to("cubic, aligned corners", (1, 9, 4, 2), 6, "bicubic", align_corners=True)
    to("cubic, antialiased", (1, 3, 8, 3, 1), (5, 3, 2), "tricubic", antialias=True)
    to("lanczos3", (1, 7, 9, 1), (12, 4), "lanczos3")
    to("lanczos5, antialiased", (1, 13, 2), 5, "lanczos5", antialias=True)
    to("nearest", (2, 3, 7, 2), (6, 4), "nearest")
    to("nearest_floor", (1, 5, 3, 2), (7, 2), "nearest_floor")
    to("antialiased over more than 64 pixels", (1, 70, 2), 2, antialias=True)
    to("same size", (1, 3, 4, 2), (3, 4))
    to("empty batch", (0, 3, 4, 2), 5)
    to("more than 8192 elements", (1, 33, 32, 8), (20, 48))


def pixel_shuffle(add: Add) -> None:
    op = fcnn.pixel_shuffle
    add(op, "2D", normal(2, 3, 2, 8), factor=2, sharp=True)
    add(op, "factor by axis", normal(1, 3, 4, 12), factor=(3, 2))
    add(op, "1D", normal(2, 5, 6), factor=3)
    add(op, "3D", normal(1, 2, 3, 2, 24), factor=(2, 3, 2))
    add(op, "factor 1", normal(1, 3, 4, 2), factor=1)
    add(op, "empty batch", normal(0, 3, 4, 4), factor=2)
    add(op, "no channels", normal(1, 3, 4, 0), factor=2)
    add(op, "many channels", normal(1, 3, 2, 64), factor=2)
    add(op, "more than 8192 elements", normal(1, 17, 16, 32), factor=2)


def pixel_unshuffle(add: Add) -> None:
    op = fcnn.pixel_unshuffle
    add(op, "2D", normal(2, 6, 4, 2), factor=2, sharp=True)
    add(op, "factor by axis", normal(1, 9, 8, 2), factor=(3, 2))
    add(op, "1D", normal(2, 15, 2), factor=3)
    add(op, "3D", normal(1, 4, 6, 4, 2), factor=(2, 3, 2))
    add(op, "factor 1", normal(1, 3, 4, 2), factor=1)
    add(op, "empty batch", normal(0, 6, 8, 1), factor=2)
    add(op, "no channels", normal(1, 6, 4, 0), factor=2)
    add(op, "many channels", normal(1, 6, 4, 16), factor=2)
    add(op, "many channels, 1D", normal(2, 6, 20), factor=3)
    add(op, "many channels, 3D", normal(1, 4, 3, 2, 9), factor=(2, 3, 1))
    add(op, "more than 8192 elements", normal(1, 34, 32, 8), factor=2)


def pad(add: Add) -> None:
    def by(label, shape, padding, mode="constant", **rest):
        add(fcnn.pad, label, normal(*shape), padding=padding, mode=mode, **rest)

    by("constant", (2, 3, 4, 2), 1, sharp=True)
    by("constant other than zero, pads by axis", (1, 5, 4, 2), (2, 0), value=-1.5)
    by("constant, 3D", (1, 3, 2, 4, 2), ((1, 0), (0, 2), (0, 0)))
    by("reflect", (2, 4, 3, 2), ((2, 1), (0, 2)), "reflect", sharp=True)
    by("reflect, larger than the image", (1, 3, 4, 2), ((7, 2), (1, 9)), "reflect")
    by("reflect, 1D", (2, 6, 3), ((1, 3),), "reflect")
    by("edge", (1, 4, 3, 2), ((3, 1), (0, 5)), "edge")
    by("edge, 3D", (1, 3, 1, 4, 2), 2, "edge")
    by("wrap", (1, 4, 5, 2), ((1, 3), (2, 0)), "wrap")
    by("wrap, larger than the image", (1, 2, 3, 2), 7, "wrap")
    by("no pads", (1, 3, 4, 2), 0, "reflect")
    by("empty batch", (0, 4, 3, 2), 1, "edge")
    by("no pixels", (1, 0, 4, 2), 1)
    by("more than 8192 elements", (1, 33, 32, 8), 3, "reflect")


FAMILIES = (resize, pixel_shuffle, pixel_unshuffle, pad)
