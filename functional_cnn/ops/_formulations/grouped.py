"""Grouped convolution: the groups share nothing, so they are separate convolutions, written out one by one.

Forward and dx: a group of few channels leaves a processor idle, so neighbouring groups become one of up to 16
channels, with a kernel that is zero from a group to the others. Where neighbouring pixels are made at once
(``columns.py``) 8 are enough: of nine shapes with 4 and 8 channels a group they took 0.8 to 1.0 times as long; and so
for float64, 0.4 times, of which a vector holds 8. The zeros are multiplied: a value that is not finite reaches the
groups that its own was merged with, as nan.
"""

import functools
from collections.abc import Callable
from types import ModuleType

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn import _views
from functional_cnn._numerics import accumulator
from functional_cnn._window import Sizes
from functional_cnn.ops._formulations import canonical, native, plain, volume
from functional_cnn.ops._formulations.plain import ConvSpec

_WIDTH, _WIDTH_OF_PIXELS, _LEAST_PIXELS = 16, 8, 14  # channels, and pixels of a row
# Groups are written out one by one, and a program must stay of reasonable size.
_MOST_GROUPS = 64


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    outputs = spec.window.output_sizes(x.shape[1:-1])
    spec, kernel = _merged(spec, kernel, _width(spec, kernel, outputs))
    if spec.groups > _MOST_GROUPS:
        return plain.forward(spec, x, kernel)
    return _of_each_group(_way(spec).forward, spec, x, kernel)


def input_gradient(spec: ConvSpec, dy: jax.Array, kernel: jax.Array, inputs: Sizes) -> jax.Array:
    width = _width(spec, kernel, inputs) if max(spec.window.stride) == 1 else _WIDTH
    spec, kernel = _merged(spec, kernel, width)
    if spec.groups > _MOST_GROUPS:
        return plain.input_gradient(spec, dy, kernel, inputs, convolve=canonical.convolve)
    return _of_each_group(functools.partial(_way(spec).input_gradient, inputs=inputs), spec, dy, kernel)


def _way(spec: ConvSpec) -> ModuleType:
    """What serves each group."""
    return volume if volume.fits(spec._replace(groups=1)) else native


def _of_each_group(linear_map: Callable, spec: ConvSpec, *arrays: jax.Array) -> jax.Array:
    one_group = spec._replace(groups=1)
    groups = zip(*(jnp.split(array, spec.groups, axis=-1) for array in arrays), strict=True)
    return jnp.concatenate([linear_map(one_group, *group) for group in groups], axis=-1)


def _width(spec: ConvSpec, kernel: jax.Array, made: Sizes) -> int:
    """The channels to merge groups to, for images of the sizes ``made``."""
    of_pixels = len(made) > 1 and spec.window.size[-1] >= 3 and made[-1] >= _LEAST_PIXELS
    return _WIDTH_OF_PIXELS if of_pixels or kernel.dtype == jnp.float64 else _WIDTH


def _merged(spec: ConvSpec, kernel: jax.Array, width: int) -> tuple[ConvSpec, jax.Array]:
    """The same convolution in fewer groups: the kernels of some stand on the diagonal of one."""
    *window, inputs, channels = kernel.shape
    outputs = channels // spec.groups
    fitting = max(width // max(inputs, outputs, 1), 1)
    some = max(count for count in range(1, fitting + 1) if spec.groups % count == 0)
    groups = spec.groups // some
    kernels = kernel.reshape(*window, 1, inputs, groups, some, outputs)
    own = jnp.eye(some, dtype=bool).reshape(some, 1, 1, some, 1)
    blocks = jnp.where(own, kernels, jnp.zeros((), kernel.dtype))
    return spec._replace(groups=groups), blocks.reshape(*window, some * inputs, channels)


def kernel_gradient(spec: ConvSpec, dy: jax.Array, x: jax.Array, kernel: jax.Array) -> jax.Array:
    if spec.groups > _MOST_GROUPS:
        return _batched_kernel_gradient(spec, dy, x, kernel)
    return _of_each_group(_way(spec).kernel_gradient, spec, dy, x, kernel)


def _batched_kernel_gradient(spec: ConvSpec, dy: jax.Array, x: jax.Array, kernel: jax.Array) -> jax.Array:
    groups = spec.groups
    *_, per_group, outputs = kernel.shape
    dy_groups = dy.reshape(*dy.shape[:-1], groups, outputs // groups)
    pixels, group_axis = tuple(range(dy.ndim - 1)), (dy.ndim - 1,)
    replicated = jax.sharding.NamedSharding(jax.typeof(kernel).sharding.mesh, jax.P())
    products = []
    for view in _views.tap_views(x, spec.window):
        product = lax.dot_general(
            view.reshape(*view.shape[:-1], groups, per_group),
            dy_groups,
            ((pixels, pixels), (group_axis, group_axis)),
            precision=spec.precision,
            preferred_element_type=accumulator(dy.dtype),
            out_sharding=replicated,
        )
        products.append(jnp.moveaxis(product, 0, 1).reshape(per_group, outputs))
    return jnp.stack(products).reshape(kernel.shape)
