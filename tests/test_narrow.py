"""Convolutions of few channels: rows of pixels, columns and blocks of them as channels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from geometries import GEOMETRIES, arrays_for

import functional_cnn as fcnn
from functional_cnn._window import Window
from functional_cnn.ops._formulations import banded, blocks, columns, plain
from functional_cnn.ops._formulations.plain import ConvSpec


def _spec(size, stride=1, dilation=1, pads=None):
    pads = tuple((k // 2, k // 2) for k in size) if pads is None else pads
    return ConvSpec(Window(size, (stride,) * len(size), pads, (dilation,) * len(size)), 1, None)


BANDS = {name: window for name, window in GEOMETRIES.items() if max(window.stride) == 1} | {
    "dilation by axis": Window((2, 3), (1, 1), ((2, 0), (4, 1)), (3, 2)),
    "cropped by axis": Window((3, 2), (1, 1), ((1, -1), (-2, 0)), (1, 2)),
}


@pytest.mark.parametrize("window", BANDS.values(), ids=BANDS)
def test_bands_are_the_same_convolution(window):
    spec, inputs = ConvSpec(window, 1, None), (11, 9)
    x, kernel, dy = arrays_for(window, inputs)
    for found, expected in (
        (banded.forward(spec, x, kernel), plain.forward(spec, x, kernel)),
        (
            banded.input_gradient(spec, dy, kernel, inputs),
            plain.input_gradient(spec, dy, kernel, inputs),
        ),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("images", "kernel", "bands"),
    [
        ((128, 28, 28, 1), (5, 5, 1, 6), True),
        ((4, 56, 56, 1), (5, 5, 1, 6), False),
        ((8, 16, 16, 1), (5, 5, 1, 6), False),
        ((128, 28, 28, 1), (5, 5, 1, 9), False),
        ((128, 8, 8, 17), (5, 5, 17, 1), False),
        ((16, 29, 29, 16), (5, 5, 16, 1), False),
        ((16, 96, 96, 3), (3, 3, 3, 3), False),
        ((128, 28, 28, 8), (5, 5, 8, 4), False),
        ((128, 28, 28, 0), (5, 5, 0, 6), False),
    ],
    ids=[
        "LeNet",
        "few images",
        "little work",
        "many made",
        "many channels",
        "long row",
        "large band",
        "larger than by columns",
        "none",
    ],
)
def test_narrow_convolutions_of_many_small_images_are_banded(images, kernel, bands):
    spec = _spec(kernel[:2])
    x, kernel = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (images, kernel))
    assert banded.fits(spec, x, kernel, images[1:-1]) == bands
    assert not banded.fits(spec, x, kernel.update(dtype=jnp.float64), images[1:-1])
    strided = spec._replace(window=spec.window._replace(stride=(1, 2)))
    assert not banded.fits(strided, x, kernel, (images[1], images[2] // 2))


@pytest.mark.parametrize(
    ("images", "kernel", "fun"),
    [
        ((128, 28, 28, 1), (5, 5, 1, 6), fcnn.conv),
        ((128, 14, 14, 6), (5, 5, 6, 16), jax.grad(lambda x, kernel: fcnn.conv(x, kernel).sum())),
    ],
    ids=["forward", "dx"],
)
def test_banded_convolutions_have_one_axis(images, kernel, fun):
    shapes = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (images, kernel))
    assert "[b, 0, f]x[0, i, o]->[b, 0, f]" in jax.jit(fun).lower(*shapes).as_text()


STRETCHES = GEOMETRIES | {"sequence": Window((3,), (2,), ((1, 1),), (1,))}


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("window", STRETCHES.values(), ids=STRETCHES)
def test_stretches_of_a_row_make_the_same_convolution(window, count):
    spec, inputs = ConvSpec(window, 1, None), (11, 9)[: len(window.size)]
    x, kernel, dy = arrays_for(window, inputs)
    pairs = [
        (columns.forward(spec, x, kernel, count), plain.forward(spec, x, kernel)),
        (
            columns.kernel_gradient(spec, dy, x, kernel, count, plain.kernel_gradient),
            plain.kernel_gradient(spec, dy, x, kernel),
        ),
    ]
    if max(window.stride) == 1:
        pairs.append(
            (
                columns.input_gradient(spec, dy, kernel, inputs, count),
                plain.input_gradient(spec, dy, kernel, inputs),
            )
        )
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("images", "kernel", "options", "count"),
    [
        ((8, 112, 112, 3), (3, 3, 3, 8), {}, 4),
        ((8, 112, 112, 3), (3, 3, 3, 16), {}, 2),
        ((8, 112, 112, 3), (3, 3, 3, 17), {}, 1),
        ((8, 112, 112, 8), (3, 3, 8, 8), {}, 2),
        ((8, 112, 112, 16), (3, 3, 16, 16), {}, 1),
        ((8, 112, 112, 17), (3, 3, 17, 2), {}, 1),
        ((8, 112, 112, 1), (3, 3, 1, 1), {}, 8),
        ((8, 64, 3), (3, 3, 3), {}, 1),
        ((8, 4096, 3), (3, 3, 3), {}, 8),
        ((8, 112, 5, 3), (3, 3, 3, 4), {}, 2),
        ((8, 112, 112, 3), (3, 3, 3, 4), {"stride": 2}, 4),
        ((8, 112, 112, 3), (3, 3, 3, 8), {"stride": 3}, 1),
        ((8, 112, 112, 3), (3, 3, 3, 8), {"dilation": 2}, 1),
        ((8, 112, 112, 3), (3, 2, 3, 8), {}, 1),
        ((0, 112, 112, 3), (3, 3, 3, 8), {}, 1),
    ],
    ids=[
        "few",
        "a vector",
        "more than a vector",
        "some channels",
        "enough channels",
        "many channels",
        "one channel",
        "little work",
        "sequence",
        "short row",
        "stride",
        "large stride",
        "dilation",
        "narrow window",
        "no images",
    ],
)
def test_as_many_pixels_as_fill_a_vector_are_made_at_once(images, kernel, options, count):
    spec = _spec(kernel[:-2], **options)
    x, kernel = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (images, kernel))
    outputs = spec.window.output_sizes(images[1:-1])
    assert columns.pixels_at_once(spec, x, kernel, outputs) == count
    assert columns.pixels_at_once(spec, x, kernel.update(dtype=jnp.float64), outputs) == 1


@pytest.mark.parametrize(
    ("dy", "kernel", "options", "direct", "count"),
    [
        ((8, 56, 56, 8), (3, 3, 3), {}, True, 4),
        ((8, 56, 56, 8), (3, 3, 33), {}, True, 1),
        ((8, 56, 56, 5), (3, 3, 3), {}, True, 1),
        ((8, 56, 56, 16), (3, 3, 3), {}, True, 1),
        ((8, 28, 28, 16), (3, 3, 3), {}, True, 2),
        ((8, 56, 56, 1), (3, 3, 3), {}, True, 1),
        ((4, 56, 56, 16), (3, 3, 3), {}, True, 2),
        ((4, 56, 56, 16), (3, 3, 3), {"pads": ((0, 0), (0, 0))}, True, 1),
        ((8, 56, 56, 24), (3, 3, 24), {}, True, 4),
        ((8, 56, 56, 24), (3, 3, 24), {}, False, 1),
        ((8, 56, 56, 25), (3, 3, 24), {}, True, 1),
        ((8, 56, 56, 24), (3, 3, 23), {}, True, 1),
        ((8, 56, 56, 24), (5, 5, 8), {}, True, 4),
        ((8, 56, 56, 24), (3, 3, 24), {"stride": 2}, True, 1),
    ],
    ids=[
        "few made",
        "many channels",
        "no multiple of a half vector",
        "a vector",
        "short row",
        "one made",
        "few images",
        "few images, no padding",
        "some made of some",
        "not direct",
        "more made",
        "some made of few",
        "some made with many taps",
        "stride",
    ],
)
def test_pixels_at_once_of_kernel_gradients(dy, kernel, options, direct, count):
    spec = _spec(kernel[:2], **options)
    dy, kernel = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (dy, (*kernel, dy[-1])))
    assert columns.pixels_at_once_of_kernel_gradient(spec, dy, kernel, direct) == count


@pytest.mark.parametrize(
    ("x", "kernel", "options"),
    [
        ((8, 20, 22, 3), (3, 3, 3, 8), {}),
        ((9, 21, 19, 4), (5, 4, 4, 6), {"stride": 2, "padding": ((1, 2), (0, 3))}),
        ((8, 40, 42, 24), (3, 3, 24, 20), {}),
        ((2, 24, 24, 16), (3, 3, 4, 16), {"groups": 4}),
        ((2, 256, 4), (9, 4, 8), {}),
        ((2, 8, 20, 18, 2), (3, 3, 3, 2, 4), {}),
        # The input gradient of these is one over blocks and bands, of which the last windows reach beyond the image.
        ((16, 16, 16, 2), (9, 9, 2, 16), {"stride": 2}),
        ((64, 14, 14, 2), (5, 5, 2, 16), {"stride": 2}),
    ],
    ids=[
        "2D",
        "by axis",
        "some channels",
        "groups",
        "1D",
        "3D",
        "large window over blocks",
        "window over blocks",
    ],
)
def test_small_integers_are_convolved_exactly(x, kernel, options, small_integers):
    x, kernel = small_integers(x, kernel)

    def value_and_gradients(x, kernel):
        y, pullback = jax.vjp(lambda x, kernel: fcnn.conv(x, kernel, **options), x, kernel)
        return y, pullback(jnp.sign(y))

    with fcnn.autodiff():
        expected = jax.jit(value_and_gradients)(x, kernel)
    jax.tree.map(np.testing.assert_array_equal, jax.jit(value_and_gradients)(x, kernel), expected)


@pytest.mark.parametrize("window", GEOMETRIES.values(), ids=GEOMETRIES)
def test_convolutions_over_blocks_have_the_same_input_gradient(window):
    spec, inputs = ConvSpec(window, 1, None), (11, 9)
    _, kernel, dy = arrays_for(window, inputs)
    found = blocks.input_gradient(spec, dy, kernel, inputs, plain.input_gradient)
    np.testing.assert_allclose(found, plain.input_gradient(spec, dy, kernel, inputs), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("dy", "kernel", "stride", "pays"),
    [
        ((8, 112, 112, 32), (3, 3, 3, 32), (2, 2), True),
        ((8, 112, 112, 64), (7, 7, 3, 64), (2, 2), True),
        ((16, 256, 16), (9, 16, 16), (4,), True),
        ((8, 28, 28, 64), (3, 3, 32, 64), (2, 2), False),
        ((8, 28, 28, 128), (3, 3, 64, 128), (2, 2), False),
        ((4, 7, 7, 16), (3, 3, 16, 16), (2, 2), False),
        ((8, 56, 56, 32), (3, 3, 32, 32), (4, 2), False),
        ((8, 112, 112, 32), (3, 3, 3, 32), (1, 1), False),
        ((0, 56, 56, 32), (3, 3, 3, 32), (2, 2), False),
    ],
    ids=[
        "MobileNet's stem",
        "ResNet's stem",
        "1D",
        "64 channels, little work",
        "128 channels",
        "little work",
        "stride larger than window",
        "stride 1",
        "empty batch",
    ],
)
def test_strided_input_gradients_of_few_channels_are_made_over_blocks(dy, kernel, stride, pays):
    rank = len(stride)
    spec = ConvSpec(Window(kernel[:rank], stride, ((1, 1),) * rank, (1,) * rank), 1, None)
    dy, kernel = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (dy, kernel))
    assert blocks.fits(spec, dy, kernel) == pays
    assert not blocks.fits(spec, dy, kernel.update(dtype=jnp.float64))
