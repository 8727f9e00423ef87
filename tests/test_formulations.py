"""The ways to convolve that no case of the table reaches in float64."""

import jax
import numpy as np
import pytest

from functional_cnn._window import Window
from functional_cnn.ops._formulations import plain
from functional_cnn.ops._formulations.plain import ConvSpec

GEOMETRIES = {
    "padded": Window((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    "stride, padding and dilation by axis": Window((3, 2), (2, 3), ((1, 2), (0, 3)), (2, 1)),
    "cropped": Window((2, 2), (1, 2), ((-1, 0), (0, -2)), (1, 1)),
    "stride larger than window": Window((2, 2), (5, 4), ((0, 0), (0, 0)), (1, 1)),
}


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("window", GEOMETRIES.values(), ids=GEOMETRIES)
def test_rows_set_apart_meet_the_same_pixels(window, groups):
    spec, inputs = ConvSpec(window, groups, None), (11, 9)
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (2, *inputs, 4))
    kernel = jax.random.normal(keys[1], (*window.size, 4 // groups, 6))
    dy = jax.random.normal(keys[2], (2, *window.output_sizes(inputs), 6))

    def maps(spread):
        return (
            plain.forward(spec, x, kernel, spread),
            plain.input_gradient(spec, dy, kernel, inputs, spread=spread),
            plain.kernel_gradient(spec, dy, x, kernel, spread),
        )

    for apart, together in zip(maps(2), maps(1), strict=True):
        np.testing.assert_allclose(apart, together, rtol=1e-12, atol=1e-12)
