"""3D convolution as a 2D one of images that carry the slices which the window's depth covers as channels.

stacked[n p, (t, c)] = x[n, s p + d t - lo, c]    p, t along the depth; the images of all depths are one batch
"""

import jax
import jax.numpy as jnp

from functional_cnn import _views, _window
from functional_cnn._window import Sizes
from functional_cnn.ops._formulations import native
from functional_cnn.ops._formulations.plain import ConvSpec

# The slices are copied for each tap.
_MOST_DEPTH = 8


def fits(spec: ConvSpec) -> bool:
    size = spec.window.size
    return spec.groups == 1 and len(size) == 3 and size[0] <= _MOST_DEPTH


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    depth = spec.window.output_sizes(x.shape[1:-1])[0]
    return _volumes(native.forward(_flat(spec), _stacked(spec, x), _flat_kernel(kernel)), depth)


def input_gradient(spec: ConvSpec, dy: jax.Array, kernel: jax.Array, inputs: Sizes) -> jax.Array:
    dstacked = native.input_gradient(_flat(spec), _images(dy), _flat_kernel(kernel), inputs[1:])
    of_taps = jnp.split(_volumes(dstacked, dy.shape[1]), spec.window.size[0], axis=-1)
    along_depth = _window.along(spec.window, 0)
    return _views.gather_gradient(along_depth, inputs, of_taps, lambda number, *views: views[number])


def kernel_gradient(spec: ConvSpec, dy: jax.Array, x: jax.Array, kernel: jax.Array) -> jax.Array:
    depth, *plane, channels, outputs = kernel.shape
    flat = native.kernel_gradient(_flat(spec), _images(dy), _stacked(spec, x), _flat_kernel(kernel))
    return jnp.moveaxis(flat.reshape(*plane, depth, channels, outputs), 2, 0)


def _flat(spec: ConvSpec) -> ConvSpec:
    return spec._replace(window=spec.window.of_axes(1, 3))


def _flat_kernel(kernel: jax.Array) -> jax.Array:
    depth, *plane, channels, outputs = kernel.shape
    return jnp.moveaxis(kernel, 0, 2).reshape(*plane, depth * channels, outputs)


def _stacked(spec: ConvSpec, x: jax.Array) -> jax.Array:
    return _images(jnp.concatenate(_views.tap_views(x, _window.along(spec.window, 0)), axis=-1))


def _images(volumes: jax.Array) -> jax.Array:
    batch, depth, *rest = volumes.shape
    return volumes.reshape(batch * depth, *rest)


def _volumes(images: jax.Array, depth: int) -> jax.Array:
    return images.reshape(images.shape[0] // depth, depth, *images.shape[1:])
