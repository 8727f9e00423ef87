"""On CPU, XLA's own 2D convolution in place of YNNPACK's.

XLA of JAX 0.10 and later hands a 2D convolution in float32 or float64 to YNNPACK unless its input is dilated.
In float32, from some 30 million multiply-adds on, its own is faster: 1.1 to 1.7 times forward and for dx, 1.4
to 4 times for dkernel. A ``spread`` of 2 asks for it. On fewer than 32 input channels the dilation slows the sums
themselves, with a stride dx has a dilated input already, and in float64 XLA's own takes 10 times as long.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from functional_cnn._window import Sizes
from functional_cnn.ops._formulations import plain
from functional_cnn.ops._formulations.plain import ConvSpec

_LARGE = 2**25
_MANY_CHANNELS = 32


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    outputs = spec.window.output_sizes(x.shape[1:-1])
    wide = kernel.shape[-2] >= _MANY_CHANNELS
    return plain.forward(spec, x, kernel, _spread(spec, wide, x.shape[0], outputs, kernel))


def input_gradient(
    spec: ConvSpec, dy: jax.Array, kernel: jax.Array, inputs: Sizes, sharding: Any = None
) -> jax.Array:
    wide = kernel.shape[-1] // spec.groups >= _MANY_CHANNELS
    undilated = max(spec.window.stride) == 1
    spread = _spread(spec, wide and undilated, dy.shape[0], dy.shape[1:-1], kernel)
    return plain.input_gradient(spec, dy, kernel, inputs, sharding, spread)


def kernel_gradient(spec: ConvSpec, dy: jax.Array, x: jax.Array, kernel: jax.Array) -> jax.Array:
    spread = _spread(spec, True, dy.shape[0], dy.shape[1:-1], kernel)
    return plain.kernel_gradient(spec, dy, x, kernel, spread)


def _spread(spec: ConvSpec, pays: bool, batch: int, outputs: Sizes, kernel: jax.Array) -> int:
    multiply_adds = batch * math.prod(outputs) * kernel.size
    plane, single = len(outputs) == 2, kernel.dtype == jnp.float32
    return 2 if pays and plane and single and multiply_adds >= _LARGE else 1
