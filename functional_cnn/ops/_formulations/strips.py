"""Few images as more: strips of their rows, for the kernel's gradient.

    dk[t, c, o] = sum_{n,p} x[n, s p + d t - lo, c] dy[n, p, o]

is a sum over images and pixels alike, so a strip of dy's rows, with the rows of x that its windows meet, may count as
an image. XLA's own convolution, for which the images are the innermost axis here, is fast with 8 of them and more: a
3x3 kernel, 64 channels on 128 x 128 pixels takes 23, 27 and 40 ms for 1, 2 and 4 images, and 5, 11 and 23 in strips.
"""

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn.ops._formulations.plain import ConvSpec

_FEW, _ENOUGH = 8, 16  # images


def cut(spec: ConvSpec, dy: jax.Array, x: jax.Array) -> tuple[ConvSpec, jax.Array, jax.Array]:
    """The same sum over about ``_ENOUGH`` strips, where there are few images and their rows can be shared out."""
    images, rows, *others = dy.shape
    strips = _strips(images, rows)
    if strips == 1:
        return spec, dy, x
    window = spec.window
    # Axes are split and merged one at a time, which JAX does on a mesh of Explicit axes too.
    dy = dy.reshape(images, strips, rows // strips, *others)
    dy = dy.reshape(images * strips, rows // strips, *others)
    step = rows // strips * window.stride[0]
    met = step - window.stride[0] + window.extent()[0]
    starts = [number * step - window.padding[0][0] for number in range(strips)]
    x = jnp.stack([_rows(x, start, start + met) for start in starts], axis=1)
    x = x.reshape(images * strips, *x.shape[2:])
    return spec._replace(window=window._replace(padding=((0, 0), *window.padding[1:]))), dy, x


def _strips(images: int, rows: int) -> int:
    if not 0 < images < _FEW:
        return 1
    most = -(-_ENOUGH // images)
    return max(count for count in range(1, most + 1) if rows % count == 0)


def _rows(x: jax.Array, start: int, stop: int) -> jax.Array:
    """x[:, start:stop], with zeros where that is outside of x."""
    pads = [(0, 0, 0)] * x.ndim
    pads[1] = (-start, stop - x.shape[1], 0)
    return lax.pad(x, jnp.zeros((), x.dtype), pads)
