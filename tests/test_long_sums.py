"""Kernel gradients whose sums run over many images and pixels: what makes them, and how far they round."""

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
    rng = np.random.default_rng(0)
    x = rng.standard_normal((images, pixels, pixels, channels))
    dy = rng.standard_normal((images, stride * pixels, stride * pixels, 8))
    kernel = np.zeros((3, 3, 8, channels))

    def gradient(dtype):
        def transposed(kernel):
            return fcnn.conv_transpose(x.astype(dtype), kernel, stride=stride)

        return np.float64(jax.vjp(transposed, kernel.astype(dtype))[1](dy.astype(dtype))[0])

    exact = gradient(np.float64)
    ours = np.linalg.norm(gradient(np.float32) - exact)
    with fcnn.autodiff():
        assert ours <= 2 * np.linalg.norm(gradient(np.float32) - exact)
