"""Windows of two axes that every way to convolve is tried with, and arrays for them."""

import jax

from functional_cnn._window import Window

GEOMETRIES = {
    "padded": Window((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    "stride, padding and dilation by axis": Window((3, 2), (2, 3), ((1, 2), (0, 3)), (2, 1)),
    "cropped": Window((2, 2), (1, 2), ((-1, 0), (0, -2)), (1, 1)),
    "stride larger than window": Window((2, 2), (5, 4), ((0, 0), (0, 0)), (1, 1)),
    "padding larger than window": Window((2, 2), (1, 1), ((8, 5), (3, 0)), (1, 1)),
}


def arrays_for(window, inputs, *, images=2, channels=4, groups=1, made=6):
    """x, kernel and dy of a convolution with this window of images of the sizes ``inputs``."""
    shapes = (
        (images, *inputs, channels),
        (*window.size, channels // groups, made),
        (images, *window.output_sizes(inputs), made),
    )
    return (jax.random.normal(jax.random.key(number), shape) for number, shape in enumerate(shapes))
