"""Few images as more: strips of their rows, for the kernel's gradient.

    dk[t, c, o] = sum_{n,p} x[n, s p + d t - lo, c] dy[n, p, o]

is a sum over images and pixels alike, so a strip of dy's rows, with the rows of x that its windows meet, may count as
an image. XLA's own convolution, for which the images are the innermost axis here, is fast with 8 of them and more: a
3x3 kernel, 64 channels on 128 x 128 pixels takes 23, 27 and 40 ms for 1, 2 and 4 images, and 5, 11 and 23 in strips.
Images are those of the trace: all of a batch that devices share, and one where examples are mapped over.
"""

import jax
import jax.numpy as jnp

from functional_cnn import _views
from functional_cnn._window import Window
from functional_cnn.ops._formulations.plain import ConvSpec

_FEW, _ENOUGH = 8, 16  # images
_MOST_COPIES = 3  # of a row of x, which the windows of neighbouring strips meet


def cut(spec: ConvSpec, dy: jax.Array, x: jax.Array) -> tuple[ConvSpec, jax.Array, jax.Array]:
    """The same sum over about ``_ENOUGH`` strips, where there are few images and their rows can be shared out."""
    images, rows, *others = dy.shape
    strips = _strips(spec.window, images, rows)
    if strips == 1:
        return spec, dy, x
    # Axes are split and merged one at a time, which JAX does on a mesh of Explicit axes too.
    dy = dy.reshape(images, strips, rows // strips, *others)
    dy = dy.reshape(images * strips, rows // strips, *others)
    x = jnp.stack(_rows_of_strips(spec.window, strips, rows // strips, x), axis=1)
    x = x.reshape(images * strips, *x.shape[2:])
    window = spec.window._replace(padding=((0, 0), *spec.window.padding[1:]))
    return spec._replace(window=window), dy, x


def _strips(window: Window, images: int, rows: int) -> int:
    if not 0 < images < _FEW:
        return 1
    most = -(-_ENOUGH // images)
    fitting = (count for count in range(1, most + 1) if rows % count == 0)
    return max(count for count in fitting if count == 1 or _copies(window, rows, count) <= _MOST_COPIES)


def _copies(window: Window, rows: int, strips: int) -> float:
    """How many times strips hold a row of x on average."""
    return strips * _rows_met(window, rows // strips) / (rows * window.stride[0])


def _rows_met(window: Window, outputs: int) -> int:
    return (outputs - 1) * window.stride[0] + window.extent()[0]


def _rows_of_strips(window: Window, strips: int, outputs: int, x: jax.Array) -> list[jax.Array]:
    """The rows of x that the windows of each strip of ``outputs`` rows meet, with zeros for those outside of x."""
    starts = [number * outputs * window.stride[0] - window.padding[0][0] for number in range(strips)]
    beyond = _rows_met(window, outputs) - x.shape[1]
    whole = ((0, 0),) * (x.ndim - 3)
    return [_views.pad_spatial(x, ((-start, start + beyond), *whole)) for start in starts]
