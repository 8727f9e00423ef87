"""Convolutions to few channels, and kernel's gradients whose image and window are exchanged."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_cnn as fcnn
from functional_cnn._window import Window
from functional_cnn.ops._formulations import native, plain, products
from functional_cnn.ops._formulations.plain import ConvSpec

pytestmark = pytest.mark.usefixtures("without_optimizations")


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
    def found(stride):
        rank = len(kernel) - 2
        window = Window(kernel[:-2], (stride,) * rank, ((1, 1),) * rank, (1,) * rank)
        spec, shape = ConvSpec(window, 1, None), jax.ShapeDtypeStruct(kernel, jnp.float32)
        return products.fit_forward(spec, shape), products.fit_input_gradient(spec, shape)

    assert found(1) == (forward, dx)
    assert found(2) == (False, dx)


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
        ((3, 3, 32, 1), jax.grad(lambda x, kernel: fcnn.conv(x, kernel, padding=1).sum(), argnums=1)),
    ],
    ids=["conv", "conv_transpose", "dkernel"],
)
def test_convolutions_to_few_channels_are_matrix_products(kernel, fun):
    shapes = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((2, 9, 9, 32), kernel))
    program = jax.jit(fun).lower(*shapes).as_text()
    assert "dot_general" in program
    assert "stablehlo.convolution" not in program
