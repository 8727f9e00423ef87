"""Winograd's tiles: the same convolution, and which shapes they serve."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_cnn as fcnn
from functional_cnn._window import Window
from functional_cnn.ops._formulations import plain, winograd
from functional_cnn.ops._formulations.plain import ConvSpec

PADDED = Window((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
TILES = {
    "even": ((6, 8), ((1, 1), (1, 1))),
    "odd": ((7, 5), ((1, 1), (1, 1))),
    "unpadded": ((6, 7), ((0, 0), (0, 0))),
    "padding larger than window": ((4, 3), ((8, 5), (3, 0))),
    "cropped": ((9, 8), ((-1, 1), (0, -2))),
    "one pixel": ((1, 1), ((1, 1), (1, 1))),
}


@pytest.mark.parametrize("in_parts", [False, True])
@pytest.mark.parametrize(("inputs", "pads"), TILES.values(), ids=TILES)
def test_tiles_are_the_same_convolution(inputs, pads, in_parts, monkeypatch):
    monkeypatch.setattr(winograd, "_LEAST_AT_ONCE", 1 if in_parts else 2**20)
    spec = ConvSpec(Window((3, 3), (1, 1), pads, (1, 1)), 1, None)
    x = jax.random.normal(jax.random.key(0), (4, *inputs, 3))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 3, 5))
    dy = jax.random.normal(jax.random.key(2), (4, *spec.window.output_sizes(inputs), 5))
    for found, expected in (
        (winograd.forward(spec, x, kernel), plain.forward(spec, x, kernel)),
        (winograd.input_gradient(spec, dy, kernel, inputs), plain.input_gradient(spec, dy, kernel, inputs)),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_tiles_are_differentiated_and_mapped_over(monkeypatch):
    monkeypatch.setattr(winograd, "_LEAST_AT_ONCE", 1)
    spec = ConvSpec(PADDED, 1, None)
    x = jax.random.normal(jax.random.key(0), (3, 2, 5, 6, 3))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 3, 3, 4))

    def maps(forward):
        def loss(x, kernel):
            return (forward(spec, x, kernel) ** 3).sum()

        gradients = jax.grad(loss, (0, 1))
        return jax.vmap(gradients)(x, kernel), jax.jvp(gradients, (x[0], kernel[0]), (x[1], kernel[1]))

    for found, expected in zip(
        *map(jax.tree.leaves, (maps(winograd.forward), maps(plain.forward))), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-9)


@pytest.mark.parametrize(
    ("images", "channels", "of_tiles"),
    [
        ((32, 32, 32), (64, 64), True),
        ((32, 16, 16), (128, 128), True),
        ((32, 8, 8), (256, 256), True),
        ((4, 32, 32), (512, 256), False),
        ((8, 7, 7), (512, 512), False),
        ((32, 32, 32), (48, 48), False),
        ((8, 14, 14), (128, 128), False),
        ((64, 3, 3), (256, 256), False),
        ((4, 256, 256), (128, 128), True),
        ((0, 16, 16), (128, 128), False),
    ],
    ids=[
        "64 channels",
        "128 channels",
        "256 channels",
        "other channels made",
        "fewer tiles than channels",
        "few channels",
        "little work",
        "tiles that reach beyond",
        "large images",
        "no image",
    ],
)
def test_3x3_convolutions_of_many_channels_are_made_of_tiles(images, channels, of_tiles):
    x, kernel = (jax.ShapeDtypeStruct(s, jnp.float32) for s in ((*images, channels[0]), (3, 3, *channels)))
    for maps in (fcnn.conv, jax.grad(lambda x, kernel: fcnn.conv(x, kernel).sum())):
        assert ("stablehlo.convolution" not in jax.jit(maps).lower(x, kernel).as_text()) == of_tiles
    for other in (
        PADDED._replace(stride=(1, 2)),
        PADDED._replace(dilation=(2, 1)),
        PADDED._replace(size=(3, 2)),
    ):
        assert not winograd.fits(ConvSpec(other, 1, None), 32, (16, 16), kernel)
    assert not winograd.fits(ConvSpec(PADDED, 1, None), 32, (16, 16), kernel.update(dtype=jnp.float64))


@pytest.mark.parametrize(
    ("images", "outputs", "rows"),
    [
        (4, (64, 64), 8),
        (1, (512, 512), 4),
        (8, (28, 28), 14),
        (32, (8, 8), 4),
        (4, (33, 33), 17),
        (64, (7, 512), 1),
    ],
)
def test_rows_of_tiles_are_taken_in_parts(images, outputs, rows):
    kernel = jax.ShapeDtypeStruct((3, 3, 128, 128), jnp.float32)
    assert winograd._rows_at_once(images, outputs, kernel) == rows


def test_a_convolution_of_tiles_equals_its_reference_in_float32(small_integers):
    x, kernel, dy = small_integers((32, 16, 16, 128), (3, 3, 128, 128), (32, 16, 16, 128))

    def both(x, kernel, dy):
        y, pull = jax.vjp(fcnn.conv, x, kernel)
        return y, pull(dy)

    with fcnn.autodiff():
        expected = both(x, kernel, dy)
    jax.tree.map(np.testing.assert_array_equal, both(x, kernel, dy), expected)
