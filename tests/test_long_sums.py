"""Long sums, over many images and pixels or many taps and channels: what makes them, and how far they round."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_cnn as fcnn


@pytest.mark.parametrize(
    ("images", "kernel", "stride", "own"),
    [
        ((128, 14, 14, 6), (5, 5, 6, 16), 1, True),
        ((32, 24, 24, 4), (3, 3, 4, 16), 1, True),
        ((16, 32, 32, 4), (3, 3, 4, 16), 1, False),
        ((17, 34, 34, 4), (3, 3, 4, 16), 1, True),
        ((20, 34, 34, 4), (3, 3, 4, 16), 1, False),
        ((17, 18, 18, 12), (3, 3, 12, 16), 1, False),
        ((64, 12, 12, 12), (3, 3, 12, 12), 1, False),
        ((32, 24, 24, 4), (3, 3, 4, 4), 1, False),
        ((32, 48, 48, 4), (3, 3, 4, 16), 2, False),
        ((2, 32, 32, 64), (3, 3, 64, 64), 1, True),
        ((8, 30, 30, 32), (3, 3, 32, 32), 1, False),
        ((8, 58, 58, 32), (3, 3, 32, 32), 1, True),
        ((8, 30, 30, 32), (3, 3, 32, 40), 1, True),
    ],
    ids=[
        "LeNet's second",
        "many images",
        "few images",
        "17 images",
        "20 images",
        "17 images, few terms",
        "few terms",
        "little work",
        "stride",
        "much work",
        "32 channels",
        "32 channels by long sums",
        "more than 32 channels",
    ],
)
def test_kernel_gradients_of_long_sums_are_made_by_xlas_own_convolution(images, kernel, stride, own):
    gradient = jax.jit(jax.grad(lambda k, x: fcnn.conv(x, k, stride=stride).sum()))
    program = gradient.lower(*(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (kernel, images)))
    (line,) = re.findall("stablehlo.convolution.*", program.as_text())
    assert ("lhs_dilate = [2, 1]" in line) == own


def test_a_kernel_gradient_of_long_sums_equals_its_reference_in_float32(small_integers):
    x, kernel, dy = small_integers((40, 18, 20, 4), (3, 3, 4, 24), (40, 16, 18, 24))

    def gradient():
        return jax.vjp(lambda kernel: fcnn.conv(x, kernel, padding=0), kernel)[1](dy)[0]

    with fcnn.autodiff():
        expected = gradient()
    np.testing.assert_array_equal(gradient(), expected)


@pytest.mark.parametrize(
    ("images", "pixels", "channels", "stride"),
    [(17, 48, 16, 1), (20, 56, 16, 2), (24, 48, 4, 1), (18, 64, 4, 2)],
    ids=["17 images", "stride", "few channels", "little work"],
)
def test_a_transposed_kernel_gradient_of_long_sums_rounds_little_more_than_autodiffs(
    images, pixels, channels, stride
):
    """YNNPACK would sum up over so many images with 4 to 7 times the error."""
    _, dkernel = error_over_autodiffs((images, pixels, pixels, channels), (3, 3, 8, channels), stride)
    assert dkernel <= 2


@pytest.mark.parametrize(
    ("images", "kernel", "stride"),
    [
        ((2, 7, 7, 4), (11, 11, 128, 4), 1),
        ((1, 8, 8, 3), (7, 7, 128, 3), 2),
        ((9, 7, 7, 8), (9, 9, 256, 8), 1),
        ((9, 10, 10, 1), (7, 7, 256, 1), 3),
        ((2, 4, 4, 4, 4), (4, 4, 4, 128, 4), 1),
        ((8, 16, 16, 1), (4, 4, 512, 1), 2),
    ],
    ids=["image smaller than window", "stride", "eight channels", "one channel", "volume", "products"],
)
def test_a_transposed_input_gradient_of_long_sums_rounds_little_more_than_autodiffs(images, kernel, stride):
    """Summed up one product after the other, they would have 3 to 5.4 times the error, but for the last."""
    dx, _ = error_over_autodiffs(images, kernel, stride)
    assert dx <= 3


def error_over_autodiffs(images, kernel, stride):
    """The errors of a transposed convolution's dx and dkernel in float32, as multiples of autodiff's."""
    rng = np.random.default_rng(0)
    rank = len(images) - 2
    outputs = (stride * size for size in images[1:-1])
    arrays = [rng.standard_normal(shape) for shape in (images, kernel, (images[0], *outputs, kernel[rank]))]

    def gradients(dtype):
        def both(x, kernel, dy):
            return jax.vjp(functools.partial(fcnn.conv_transpose, stride=stride), x, kernel)[1](dy)

        return [np.float64(array) for array in jax.jit(both)(*(array.astype(dtype) for array in arrays))]

    def errors():
        return [
            np.linalg.norm(array - true) for array, true in zip(gradients(np.float32), exact, strict=True)
        ]

    exact = gradients(np.float64)
    ours = errors()
    with fcnn.autodiff():
        return np.divide(ours, errors())
