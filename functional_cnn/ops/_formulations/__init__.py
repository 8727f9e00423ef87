"""The ways to compute convolution's three linear maps, and which of them serves a shape.

``lax.conv_general_dilated`` serves every shape. On CPU there are faster ways, measured on two cores against
it with JAX 0.10.2, float32:

| kind | map | way | times faster |
| --- | --- | --- | --- |
| pointwise: 1x1, no padding | all | one matrix product over the pixels that the stride keeps | 1.1 to 17 |
| depthwise: one channel, 1 to 8 outputs a group | forward, dx | a sum of shifted views times taps | 14 to 95 |
| | dkernel | for a few taps at once, sums over stretches of at most 14 pixels | at least 4 to 150 |
| more taps than are written out | all | the same of one row of taps after the other, in a loop | 27 to 41 |
| grouped | forward, dx | a convolution for each group, small ones merged with zeros between | 2 to 7 |
| | dkernel | an ungrouped convolution for each group | 46 to 450 |
| more groups than ``_MOST_GROUPS`` | dkernel | for each tap, a matrix product batched over groups | 10 to 125 |
| tiled: windows side by side, stride = window | dx | one matrix product, a row of it for each window | 1.0 to 40 |
| | dkernel | the same, which contracts the rows | 1.5 to 5 |
| odd channels, volumes and as a transposed convolution's dx | forward | the same | 0.8 to 3.2 |
| 3D, also of each group | all | a 2D convolution of the slices under the window, as channels | 3 to 12 |
| image smaller than the window | forward, dx | a matrix product whose rows are what the windows meet | 1.8 to 160 |
| narrow: 8 small images and more | forward, dx | rows of pixels as the channels of a 1D convolution | 0.8 to 40 |
| few channels made, 1D and 2D | all | some neighbouring pixels of a row as channels | 0.6 to 9 |
| 3x3 from 64 channels and more to as many | forward, dx | Winograd's tiles of 4 x 4 pixels | 0.8 to 2.7 |
| few channels made of many | all, dkernel without a stride | a matrix product with all taps | 0.6 to 35 |
| few made by long sums, of a transposed convolution | dx | the sum of what parts of the window make | 0.7 to 3 |
| more padding than keeps the size, no stride | dkernel | x as the window, which reads dy as the image | 12 to 37 |
| strided, few channels in dy | dx | one of stride 1 whose channels are blocks of pixels | 0.6 to 25 |
| an odd number of channels from 3 on, of which 17 to 32 are made, 2D | all | one more channel, of zeros | 1.0 to 9 |
| any other, 2D | all | XLA's own convolution in place of YNNPACK's | 1.1 to 4 |
| | dkernel of fewer than 8 images | the same on strips of their rows as images | 1.1 to 4.7 on top of that |
| | dkernel of large images | x is turned apart from what makes it | 0.9 to 1.4 on top of that |

Every map returns the accumulator's dtype; the rule casts. Transposed convolution is made of the same maps: its forward
is conv's dx.
"""

import functools
from types import ModuleType
from typing import Any

import jax
from jax import lax

from functional_cnn._window import Sizes
from functional_cnn.ops._formulations import (
    depthwise,
    grouped,
    native,
    plain,
    pointwise,
    products,
    rowwise,
    tiled,
    volume,
)
from functional_cnn.ops._formulations.plain import ConvSpec


def conv_forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """y[n,p,o] = sum_{t,c} x[n, s p + d t - lo, c] k[t,c,o]"""
    few_made = products.fit_forward(spec, x, kernel)
    way = _way(spec, kernel, few_made)
    if way is tiled and few_made:
        way = products
    elif way is tiled and not tiled.fit_forward(spec, kernel):
        way = native
    return _on_cpu(way.forward, plain.forward, spec, x, kernel)


def conv_input_gradient(
    spec: ConvSpec, dy: jax.Array, kernel: jax.Array, inputs: Sizes, sharding: Any = None
) -> jax.Array:
    """dx[n,q,c] = sum_{t,o : s p + d t - lo = q} dy[n,p,o] k[t,c,o], q over the spatial sizes ``inputs``

    ``sharding`` is x's, where dx needs one: on a mesh of Explicit axes dy and kernel may not determine it.
    """
    way = _way(spec, kernel, products.fit_input_gradient(spec, kernel))
    standard = functools.partial(plain.input_gradient, inputs=inputs, sharding=sharding)
    fast = functools.partial(way.input_gradient, inputs=inputs)
    if way is native:
        fast = functools.partial(fast, sharding=sharding)
    return _on_cpu(fast, standard, spec, dy, kernel)


def conv_kernel_gradient(spec: ConvSpec, dy: jax.Array, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """dk[t,c,o] = sum_{n,p} x[n, s p + d t - lo, c] dy[n,p,o]; of the kernel only the shape counts"""
    way = _way(spec, kernel, products.fit_kernel_gradient(spec, kernel))
    return _on_cpu(way.kernel_gradient, plain.kernel_gradient, spec, dy, x, kernel)


def _way(spec: ConvSpec, kernel: jax.Array, few_made: bool) -> ModuleType:
    if pointwise.fits(spec):
        return pointwise
    if depthwise.fits(spec, kernel):
        return depthwise
    if rowwise.fits(spec, kernel):
        return rowwise
    if tiled.fits(spec):
        return tiled
    if spec.groups > 1:
        return grouped
    if few_made:
        return products
    if volume.fits(spec):
        return volume
    return native


def _on_cpu(fast, standard, spec, *arrays):
    if any(_splits_images(array) for array in arrays):
        return standard(spec, *arrays)
    return lax.platform_dependent(
        *arrays, cpu=functools.partial(fast, spec), default=functools.partial(standard, spec)
    )


def _splits_images(x: jax.Array) -> bool:
    """Whether a mesh of Explicit axes splits a spatial axis, which JAX then refuses to pad, cut or merge.

    What a mesh of Auto axes splits is not seen in a trace; XLA gathers it where a formulation needs that.
    """
    return any(axis is not None for axis in tuple(jax.typeof(x).sharding.spec)[1:-1])
