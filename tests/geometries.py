"""Windows of two axes that every way to convolve is tried with."""

from functional_cnn._window import Window

GEOMETRIES = {
    "padded": Window((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    "stride, padding and dilation by axis": Window((3, 2), (2, 3), ((1, 2), (0, 3)), (2, 1)),
    "cropped": Window((2, 2), (1, 2), ((-1, 0), (0, -2)), (1, 1)),
    "stride larger than window": Window((2, 2), (5, 4), ((0, 0), (0, 0)), (1, 1)),
    "padding larger than window": Window((2, 2), (1, 1), ((8, 5), (3, 0)), (1, 1)),
}
