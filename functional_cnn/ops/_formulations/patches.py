"""Convolution of images with fewer pixels than the window has taps: what a window meets as a row, times a matrix.

patches[n, p, (t, c)] = x[n, s p + d t - lo, c]    y = patches k    dx as ``products`` makes it

XLA on CPU exchanges the operands of such a convolution, image for kernel, and has no fast way for the result: a 3x3
kernel on 2x2 pixels of 512 channels, 8 images, takes 48 ms forward and 50 for dx, and 1.3 and 1.2 by this.
"""

import math

import jax
import jax.numpy as jnp

from functional_cnn import _views
from functional_cnn._window import Sizes
from functional_cnn.ops._formulations.plain import ConvSpec
from functional_cnn.ops._formulations.pointwise import as_matrix, dot
from functional_cnn.ops._formulations.products import MOST_TAPS


def fits(spec: ConvSpec, pixels: Sizes) -> bool:
    """Whether it pays on images of these sizes: x's forward, dy's for dx."""
    return spec.groups == 1 and math.prod(pixels) < math.prod(spec.window.size) <= MOST_TAPS


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    patches = jnp.concatenate(_views.tap_views(x, spec.window), axis=-1)
    return dot(spec, patches, as_matrix(kernel), (x.ndim - 1,), (0,))
