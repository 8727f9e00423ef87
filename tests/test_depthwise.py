"""Depthwise convolution: windows too large to be written out, and several outputs of a channel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_cnn as fcnn
from functional_cnn._window import Window
from functional_cnn.ops import _formulations
from functional_cnn.ops._formulations import depthwise, grouped, plain, rowwise
from functional_cnn.ops._formulations.plain import ConvSpec


@pytest.mark.parametrize(
    ("window", "channels", "made", "way"),
    [
        ((8, 8), 4, 4, depthwise),
        ((9, 9), 4, 4, rowwise),
        ((31, 31), 4, 32, rowwise),
        ((3, 64), 4, 4, rowwise),
        ((3, 65), 4, 4, grouped),
        ((65,), 4, 4, grouped),
        ((5, 7, 9), 4, 4, rowwise),
        ((3, 3), 4, 32, depthwise),
        ((3, 3), 4, 36, grouped),
        ((9, 9), 4, 36, grouped),
    ],
    ids=[
        "written out",
        "by rows",
        "by rows, eight outputs a channel",
        "longest row",
        "longer row",
        "one axis",
        "3D",
        "eight outputs a channel",
        "nine outputs a channel",
        "by rows, nine outputs a channel",
    ],
)
def test_which_way_serves_a_window(window, channels, made, way):
    rank = len(window)
    spec = ConvSpec(Window(window, (1,) * rank, ((0, 0),) * rank, (1,) * rank), channels, None)
    assert _formulations._way(spec, jnp.zeros((*window, 1, made)), few_made=False) is way


WINDOWS = {
    "padded": Window((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    "stride, padding and dilation by axis": Window((4, 2), (2, 3), ((1, 2), (0, 3)), (2, 1)),
    "cropped": Window((2, 2), (1, 2), ((-1, 0), (0, -2)), (1, 1)),
    "rows that no window meets": Window((2, 2), (5, 4), ((0, -1), (0, 0)), (1, 1)),
    "padding larger than window": Window((2, 2), (1, 1), ((8, 5), (3, 0)), (1, 1)),
    "one row": Window((1, 3), (2, 1), ((0, 0), (1, 1)), (1, 1)),
    "3D": Window((3, 2, 2), (2, 1, 1), ((1, 1), (0, 1), (1, 0)), (1, 2, 1)),
}


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("way", [depthwise, rowwise], ids=["written out", "by rows"])
def test_the_three_maps(way, window, copies):
    spec, inputs = ConvSpec(window, 4, None), (11, 9, 5)[: len(window.size)]
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (2, *inputs, 4))
    kernel = jax.random.normal(keys[1], (*window.size, 1, 4 * copies))
    dy = jax.random.normal(keys[2], (2, *window.output_sizes(inputs), 4 * copies))
    for found, expected in (
        (way.forward(spec, x, kernel), plain.forward(spec, x, kernel)),
        (way.input_gradient(spec, dy, kernel, inputs), plain.input_gradient(spec, dy, kernel, inputs)),
        (way.kernel_gradient(spec, dy, x, kernel), plain.kernel_gradient(spec, dy, x, kernel)),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_a_large_window_makes_a_small_program():
    """As many instructions for 63 rows of taps as for 9."""

    def instructions(rows):
        x, kernel = jnp.zeros((1, 64, 64, 2)), jnp.zeros((rows, 9, 1, 2))
        gradient = jax.grad(lambda kernel, x: (fcnn.conv(x, kernel, groups=2) ** 2).sum(), (0, 1))
        return jax.jit(gradient).lower(kernel, x).as_text().count("\n")

    assert instructions(63) == instructions(9)
