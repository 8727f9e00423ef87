"""Convolutions of few channels and to few, and kernel's gradients whose image and window are exchanged."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import functional_cnn as fcnn
from functional_cnn._window import Window
from functional_cnn.ops._formulations import even, native, plain, products
from functional_cnn.ops._formulations.plain import ConvSpec

LARGER = {
    "padding": Window((3, 3), (1, 1), ((2, 2), (2, 2)), (1, 1)),
    "by axis": Window((3, 2), (1, 1), ((6, 5), (3, 4)), (2, 1)),
    "cropped": Window((2, 3), (1, 1), ((-1, 3), (4, 4)), (1, 1)),
    "sequence": Window((3,), (1,), ((4, 2),), (1,)),
}


@pytest.mark.parametrize("window", LARGER.values(), ids=LARGER)
def test_a_result_of_more_pixels_than_the_image_is_read_by_it(window):
    spec, inputs = ConvSpec(window, 1, None), (5, 4)[: len(window.size)]
    outputs = window.output_sizes(inputs)
    x = jax.random.normal(jax.random.key(0), (2, *inputs, 4))
    dy = jax.random.normal(jax.random.key(1), (2, *outputs, 6))
    kernel = jnp.zeros((*window.size, 4, 6))
    gradient = jax.jit(functools.partial(native.kernel_gradient, spec))
    np.testing.assert_allclose(
        gradient(dy, x, kernel), plain.kernel_gradient(spec, dy, x, kernel), rtol=1e-12, atol=1e-12
    )
    read, reading = (
        f"tensor<{'x'.join(map(str, shape))}xf64>" for shape in ((6, *outputs, 2), (*inputs, 2, 4))
    )
    assert f"({read}, {reading})" in gradient.lower(dy, x, kernel).as_text()


def few_made(kernel, stride, pixels=100):
    """Whether forward, dkernel and dx are products with every tap."""
    rank = len(kernel) - 2
    window = Window(kernel[:-2], (stride,) * rank, ((1, 1),) * rank, (1,) * rank)
    spec, shape = ConvSpec(window, 1, None), jax.ShapeDtypeStruct(kernel, jnp.float32)
    x = jax.ShapeDtypeStruct((1, pixels, *(1,) * (rank - 1), kernel[-2]), jnp.float32)
    return (
        products.fit_forward(spec, x, shape),
        products.fit_kernel_gradient(spec, shape),
        products.fit_input_gradient(spec, shape),
    )


@pytest.mark.parametrize(
    ("kernel", "forward", "dx"),
    [
        ((3, 3, 5, 1), True, False),
        ((3, 3, 4, 1), False, False),
        ((3, 3, 144, 16), True, False),
        ((3, 3, 3, 16), False, True),
        ((9, 9, 512, 1), False, False),
        ((9, 32, 2), True, False),
        ((3, 3, 3, 14, 1), True, False),
    ],
)
def test_few_channels_made_of_many_are_products_with_every_tap(kernel, forward, dx):
    assert few_made(kernel, stride=1) == (forward, forward, dx)
    assert few_made(kernel, stride=2)[1:] == (False, dx)


@pytest.mark.parametrize(
    ("kernel", "stride", "pixels", "forward"),
    [
        ((3, 3, 72, 1), 2, 4096, True),
        ((3, 3, 71, 1), 2, 4096, False),
        ((3, 3, 128, 1), 2, 2047, False),
        ((3, 3, 128, 1), 3, 4096, False),
        ((2, 512, 8), 2, 4096, True),
        ((2, 512, 9), 2, 4096, False),
        ((3, 3, 3, 108, 4), 2, 1, True),
        ((3, 3, 3, 107, 4), 2, 1, False),
        ((2, 2, 2, 512, 5), 2, 1, False),
    ],
)
def test_with_a_stride_they_are_where_those_it_leaves_out_cost_little(kernel, stride, pixels, forward):
    assert few_made(kernel, stride, pixels)[0] == forward


@pytest.mark.parametrize("size", [(96, 16), (16, 96)], ids=str)
def test_a_pointwise_kernel_gradient_multiplies_by_the_fewer_channels_first(size):
    channels, _ = size
    shapes = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((2, 5, 5, channels), (1, 1, *size)))
    gradient = jax.jit(jax.grad(lambda x, kernel: (fcnn.conv(x, kernel) ** 2).sum(), argnums=1))
    assert "(tensor<50x16xf32>, tensor<50x96xf32>) -> tensor<16x96xf32>" in gradient.lower(*shapes).as_text()


@pytest.mark.parametrize(
    ("kernel", "fun"),
    [
        ((3, 3, 32, 1), functools.partial(fcnn.conv, padding=1)),
        ((3, 3, 1, 32), functools.partial(fcnn.conv_transpose, padding=1)),
        ((3, 3, 3, 32, 1), functools.partial(fcnn.conv, stride=2)),
        ((2, 2, 2, 32, 1), functools.partial(fcnn.conv, stride=2)),
        ((3, 3, 32, 1), jax.grad(lambda x, kernel: fcnn.conv(x, kernel, padding=1).sum(), argnums=1)),
    ],
    ids=["conv", "conv_transpose", "volume with a stride", "windows side by side", "dkernel"],
)
def test_convolutions_to_few_channels_are_matrix_products(kernel, fun):
    images = (2, *(9,) * (len(kernel) - 2), 32)
    shapes = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (images, kernel))
    program = jax.jit(fun).lower(*shapes).as_text()
    assert "dot_general" in program
    assert "stablehlo.convolution" not in program


@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"dilation": 2, "padding": (1, 3)}], ids=str)
@pytest.mark.parametrize("channels", [(3, 24), (24, 3), (18, 32)], ids=str)
def test_channels_of_zeros_change_no_number(channels, options, small_integers):
    convolution = functools.partial(fcnn.conv, **options)
    x, kernel = small_integers((5, 9, 8, channels[0]), (3, 3, *channels))
    dy = jnp.arange(np.prod(jax.eval_shape(convolution, x, kernel).shape), dtype=jnp.float32) % 5 - 2

    def maps():
        y, pull = jax.vjp(convolution, x, kernel)
        return y, *pull(dy.reshape(y.shape))

    with fcnn.autodiff():
        expected = maps()
    for found, wanted in zip(maps(), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_groups_get_no_zeros(small_integers):
    spec = ConvSpec(Window((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)), 3, None)
    x, kernel = small_integers((2, 6, 5, 9), (3, 3, 3, 24))
    expected = plain.forward(spec, x, kernel)
    np.testing.assert_array_equal(plain.forward(spec, x, kernel, even.convolve), expected)


@pytest.mark.parametrize(
    ("images", "kernel", "dtype", "read"),
    [
        ((2, 9, 9, 3), (3, 3, 3, 24), jnp.float32, 4),
        ((2, 9, 9, 15), (3, 3, 15, 17), jnp.float32, 16),
        ((2, 9, 9, 1), (3, 3, 1, 24), jnp.float32, 1),
        ((2, 9, 9, 6), (3, 3, 6, 24), jnp.float32, 6),
        ((2, 9, 9, 3), (3, 3, 3, 16), jnp.float32, 3),
        ((2, 9, 9, 3), (3, 3, 3, 33), jnp.float32, 3),
        ((2, 9, 9, 3), (3, 3, 3, 24), jnp.bfloat16, 4),
        ((2, 9, 9, 3), (3, 3, 3, 24), jnp.float64, 3),
        ((2, 9, 3), (3, 3, 24), jnp.float32, 3),
    ],
    ids=["three", "fifteen", "one", "even", "few made", "many made", "bfloat16", "float64", "sequence"],
)
def test_an_odd_number_of_channels_is_made_even_for_some(images, kernel, dtype, read):
    shapes = (jax.ShapeDtypeStruct(shape, dtype) for shape in (images, kernel))
    program = jax.jit(fcnn.conv).lower(*shapes).as_text()
    (line,) = re.findall("stablehlo.convolution.*", program)
    assert f"{read}x{kernel[-1]}x" in line, line


def test_images_that_a_mesh_splits_get_no_zeros(devices):
    mesh = jax.make_mesh((3,), ("data",), axis_types=(AxisType.Explicit,), devices=devices[:3])
    x = jax.random.normal(jax.random.key(0), (9, 6, 6, 2), jnp.float32)
    gradient = jax.jit(jax.grad(lambda kernel, x: (fcnn.conv(x, kernel) ** 2).sum()))
    kernel = jnp.ones((3, 3, 2, 24), jnp.float32)
    expected = gradient(kernel, x)
    with jax.set_mesh(mesh):
        x = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
        kernel = jax.device_put(kernel, NamedSharding(mesh, PartitionSpec()))
        np.testing.assert_allclose(gradient(kernel, x), expected, rtol=1e-5)
