"""The ways to convolve that no case of the table reaches in float64."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from geometries import GEOMETRIES, arrays_for
from jax import lax

import functional_cnn as fcnn
from functional_cnn._window import Window
from functional_cnn.ops._formulations import (
    canonical,
    native,
    parts,
    plain,
    products,
    strips,
    tiled,
)
from functional_cnn.ops._formulations.plain import ConvSpec


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("window", GEOMETRIES.values(), ids=GEOMETRIES)
@pytest.mark.parametrize("convolve", [canonical.convolve, native.convolve], ids=["canonical", "native"])
def test_other_words_for_the_same_convolution(convolve, window, groups):
    spec, inputs = ConvSpec(window, groups, None), (11, 9)
    x, kernel, dy = arrays_for(window, inputs, groups=groups)

    def maps(convolve):
        return (
            plain.forward(spec, x, kernel, convolve),
            plain.input_gradient(spec, dy, kernel, inputs, convolve=convolve),
            plain.kernel_gradient(spec, dy, x, kernel, convolve),
        )

    for found, expected in zip(maps(convolve), maps(lax.conv_general_dilated), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


TILES = {
    "sequence": Window((4,), (4,), ((1, 2),), (1,)),
    "cropped by axis": Window((2, 3), (2, 3), ((-1, 0), (2, -2)), (1, 1)),
    "volume": Window((2, 1, 3), (2, 1, 3), ((0, 0), (1, 0), (0, 3)), (1, 1, 1)),
}


@pytest.mark.parametrize("window", TILES.values(), ids=TILES)
def test_windows_side_by_side_make_the_same_convolution(window):
    spec, inputs = ConvSpec(window, 1, None), (11, 9, 8)[: len(window.size)]
    x, kernel, dy = arrays_for(window, inputs, channels=5)
    assert tiled.fits(spec)
    for found, expected in (
        (tiled.forward(spec, x, kernel), plain.forward(spec, x, kernel)),
        (tiled.input_gradient(spec, dy, kernel, inputs), plain.input_gradient(spec, dy, kernel, inputs)),
        (tiled.kernel_gradient(spec, dy, x, kernel), plain.kernel_gradient(spec, dy, x, kernel)),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("images", "kernel", "fun", "rows"),
    [
        ((2, 16, 16, 3), (4, 4, 3, 8), functools.partial(fcnn.conv, stride=4), True),
        ((2, 16, 16, 4), (4, 4, 4, 8), functools.partial(fcnn.conv, stride=4), False),
        ((2, 4, 4, 4, 4), (2, 2, 2, 4, 8), functools.partial(fcnn.conv, stride=2), True),
        ((2, 4, 4, 8), (2, 2, 16, 8), functools.partial(fcnn.conv_transpose, stride=2), True),
        ((2, 4, 4, 8), (8, 8, 64, 8), functools.partial(fcnn.conv_transpose, stride=8), False),
    ],
    ids=["odd", "even", "volume", "transposed", "transposed by long sums"],
)
def test_windows_side_by_side_are_the_rows_of_a_product(images, kernel, fun, rows):
    if fun.func is fcnn.conv_transpose:
        fun = jax.grad(lambda x, kernel, fun=fun: (fun(x, kernel) ** 2).sum())
    shapes = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (images, kernel))
    assert ("stablehlo.convolution" not in jax.jit(fun).lower(*shapes).as_text()) == rows


@pytest.mark.parametrize("window", GEOMETRIES.values(), ids=GEOMETRIES)
def test_parts_of_a_window_sum_to_the_same_convolution(window):
    spec = ConvSpec(window, 1, None, transposed=True)
    x, kernel, _ = arrays_for(window, (11, 9), channels=2048, made=3)
    assert parts.fits(spec, kernel)
    assert not parts.fits(spec._replace(transposed=False), kernel)
    found = parts.forward(spec, x, kernel, plain.forward)
    np.testing.assert_allclose(found, plain.forward(spec, x, kernel), rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("window", GEOMETRIES.values(), ids=GEOMETRIES)
def test_products_with_every_tap_make_the_same_convolution(window):
    spec, inputs = ConvSpec(window, 1, None), (11, 9)
    x, kernel, dy = arrays_for(window, inputs)
    found = products.input_gradient(spec, dy, kernel, inputs)
    np.testing.assert_allclose(found, plain.input_gradient(spec, dy, kernel, inputs), rtol=1e-12, atol=1e-12)
    found = products.forward(spec, x, kernel)
    np.testing.assert_allclose(found, plain.forward(spec, x, kernel), rtol=1e-12, atol=1e-12)
    if max(window.stride) == 1:
        found = products.kernel_gradient(spec, dy, x, kernel)
        np.testing.assert_allclose(found, plain.kernel_gradient(spec, dy, x, kernel), rtol=1e-12, atol=1e-12)


def test_an_input_gradient_over_blocks_spreads_nothing():
    x, kernel = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((4, 32, 32, 8), (3, 3, 8, 32)))
    dx = jax.jit(jax.grad(lambda x, kernel: fcnn.conv(x, kernel, stride=2).sum()))
    assert re.findall(r"lhs_dilate = \[.*?\]", dx.lower(x, kernel).as_text()) == ["lhs_dilate = [1, 1]"]


def test_a_transposed_convolution_over_blocks_equals_its_reference_in_float32(small_integers):
    x, kernel = small_integers((4, 16, 17, 16), (4, 4, 8, 16))
    transposed = functools.partial(fcnn.conv_transpose, stride=2, padding=1)
    with fcnn.autodiff():
        expected = transposed(x, kernel)
    np.testing.assert_array_equal(transposed(x, kernel), expected)


@pytest.mark.parametrize("images", [1, 3, 8])
@pytest.mark.parametrize("window", GEOMETRIES.values(), ids=GEOMETRIES)
def test_strips_of_images_make_the_same_sum(window, images):
    spec, inputs = ConvSpec(window, 1, None), (18, 9)
    x, kernel, dy = arrays_for(window, inputs, images=images)
    of_strips = strips.cut(spec, dy, x)
    assert (of_strips[1].shape[0] > images) == (images < 8)
    found = plain.kernel_gradient(*of_strips, kernel)
    np.testing.assert_allclose(found, plain.kernel_gradient(spec, dy, x, kernel), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("rows", "dilation"), [(17, 1), (16, 12)], ids=["prime", "wide windows"])
def test_rows_that_cannot_be_shared_out_are_not(rows, dilation):
    spec = ConvSpec(Window((3, 3), (1, 1), ((dilation, dilation), (1, 1)), (dilation, 1)), 1, None)
    x, dy = jnp.zeros((1, rows, 4, 2)), jnp.zeros((1, rows, 4, 3))
    assert strips.cut(spec, dy, x)[1] is dy


def test_a_large_convolution_of_few_images_is_cut_into_strips():
    shapes = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((4, 16, 16, 32), (3, 3, 32, 128)))
    gradient = jax.jit(jax.grad(lambda x, kernel: fcnn.conv(x, kernel).sum(), argnums=1))
    program = gradient.lower(*shapes).as_text()
    assert re.search(r"stablehlo.convolution\(.*\(tensor<32x6x16x16xf32>, tensor<4x16x16x128xf32>\)", program)


@pytest.mark.parametrize(
    ("pixels", "channels", "terms", "shared"),
    [
        (128, 64, 9 * 64, True),
        (28, 128, 9 * 128, True),
        (56, 160, 9 * 64, True),
        (56, 64, 9 * 256, False),
        (112, 128, 9 * 16, False),
        (28, 128, 9 * 64, False),
    ],
)
def test_a_row_is_shared_where_two_threads_were_seen_to_work_on_it(pixels, channels, terms, shared):
    assert (native._tasks_of_a_row(pixels, channels, terms) > 1) == shared


CONVOLUTIONS = {
    "large": ((8, 16, 16, 64), (3, 3, 64, 64), {}),
    "small": ((2, 8, 8, 3), (3, 3, 3, 4), {}),
    "stride": ((2, 8, 8, 4), (3, 3, 4, 4), {"stride": 2}),
    "stride, over blocks": ((4, 32, 32, 16), (3, 3, 16, 16), {"stride": 2}),
    "kernel larger than the images": ((2, 2, 2, 32), (3, 3, 32, 32), {}),
    "grouped": ((2, 8, 8, 32), (3, 3, 8, 32), {"groups": 4}),
    "many groups": ((2, 8, 8, 1560), (3, 3, 12, 1560), {"groups": 130}),
    "1D": ((2, 8, 4), (3, 4, 4), {}),
    "3D": ((2, 4, 4, 4, 4), (3, 3, 3, 4, 4), {}),
    "3D, grouped": ((2, 4, 4, 4, 8), (3, 3, 3, 4, 32), {"groups": 2}),
    "more padding than keeps the size": ((2, 8, 8, 4), (3, 3, 4, 4), {"padding": 2}),
}


@pytest.mark.parametrize(("images", "kernel", "options"), CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_axes_are_in_the_order_that_is_fast_in_a_loop(images, kernel, options):
    def total(x, kernel):
        return fcnn.conv(x, kernel, **options).sum()

    shapes = jax.ShapeDtypeStruct(images, jnp.float32), jax.ShapeDtypeStruct(kernel, jnp.float32)
    program = jax.jit(jax.value_and_grad(total, argnums=(0, 1))).lower(*shapes).as_text()
    orders = re.findall(r"stablehlo.convolution.*dim_numbers = (\[.*?\]x\[.*?\]->\[.*?\])", program)
    spatial = ", ".join("012"[: len(images) - 2 if len(images) < 5 else 2])
    assert set(orders) == {f"[b, {spatial}, f]x[{spatial}, i, o]->[b, {spatial}, f]"}
