"""Forward and dx of 3x3 windows by Winograd's F(2x2, 3x3): 4 pixels that are made of 16 products and not of 36.

For two neighbours y of a row, the four pixels d that their windows meet, and three taps g,

    y0 = m0 + m2 + m3    m0 = (d0 - d2) g0    m2 = (d1 + d2) (g0 + g1 + g2) / 2
    y1 = m2 - m3 - m1    m1 = (d1 - d3) g2    m3 = (d2 - d1) (g0 - g1 + g2) / 2

and likewise along columns: a tile of 4 x 4 pixels gives 2 x 2, by 16 products for each pair of channels. Summed over
channels these are 16 matrix products, whose rows are tiles. Along rows m0 and m1 are made alike, and so are m2 and m3:
as two pairs they take two loops of few terms, and two batches of eight products. dx is such a convolution of dy with
the flipped kernel. dkernel could be made so too, in 0.6 to 1.4 times the direct one's time, and is not: it would be 16
sums for 9 taps, and devices that share the images would add them up by themselves, inside a branch.

Reference: A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks", arXiv:1509.09308, section 4.1.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from functional_cnn import _views, _window
from functional_cnn._apart import apart
from functional_cnn._window import Pads, Sizes
from functional_cnn.ops._formulations import plain
from functional_cnn.ops._formulations.plain import ConvSpec

# What m0 to m3 are made of: pixels d, taps g.
_OF_PIXELS = np.array([[1, 0, -1, 0], [0, 1, 0, -1], [0, 1, 1, 0], [0, -1, 1, 0]])
_OF_TAPS = np.array([[1, 0, 0], [0, 0, 1], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5]])

# All bounds were measured with random shapes on two cores with AVX-512. Of 91 with 128 channels and more, those within
# took 0.65 times as long in the middle, 0.37 at best and about 1 at worst; of 92 with 64 to 112, 0.8, 0.5 and 1.3. From
# 48 channels or less work nothing is won, and transforming taps costs too much with fewer tiles than channels.
_LEAST_CHANNELS = 64
_LEAST_WORK = 2**28  # multiply-adds
_MOST_WASTE = 0.6  # products over the multiply-adds of a direct convolution, 4 / 9 for images of even size
# Numbers that tiles and their products hold at once: fewer keep threads less busy, more leave a processor's caches.
_LEAST_AT_ONCE = 7 * 2**19


def fits(spec: ConvSpec, images: int, outputs: Sizes, kernel: jax.Array) -> bool:
    window = spec.window
    of_stride_1 = max(*window.stride, *window.dilation) == 1
    if window.size != (3, 3) or not of_stride_1 or spec.groups > 1 or kernel.dtype != jnp.float32:
        return False
    channels, made = kernel.shape[-2:]
    pixels, tiles = math.prod(outputs), math.prod(_tiles(outputs))
    # With other channels made, forward and dx share no compiled loop: U-Net's step, half of whose work is such
    # convolutions, would take 0.93 times as long, and up to 1.6 times as long to compile as Flax's, not 1.2 times.
    return (
        _LEAST_CHANNELS <= channels == made <= images * tiles
        and plain.multiply_adds(images, outputs, kernel) >= _LEAST_WORK
        and 16 * tiles <= _MOST_WASTE * 9 * pixels
    )


def forward(spec: ConvSpec, x: jax.Array, kernel: jax.Array) -> jax.Array:
    outputs = spec.window.output_sizes(x.shape[1:-1])
    return _convolved_apart(spec, spec.window.padding, outputs, False, x, kernel)


def input_gradient(spec: ConvSpec, dy: jax.Array, kernel: jax.Array, inputs: Sizes) -> jax.Array:
    pads = _window.input_gradient_pads(spec.window, inputs, dy.shape[1:-1])
    return _convolved_apart(spec, pads, inputs, True, dy, kernel)


def _convolved_apart(
    spec: ConvSpec, pads: Pads, outputs: Sizes, adjoint: bool, x: jax.Array, kernel: jax.Array
) -> jax.Array:
    """As ``_convolved``. XLA would else fuse what makes x into each loop over its tiles."""
    rows = _rows_at_once(x.shape[0], outputs, kernel)
    convolved = functools.partial(_convolved, spec, pads, outputs, rows, adjoint)
    return apart(convolved, x, kernel, never=lambda *args: jnp.zeros_like(jax.eval_shape(convolved, *args)))


# Jitted, so that equal layers of a network are traced once.
@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def _convolved(
    spec: ConvSpec, pads: Pads, outputs: Sizes, rows: int, adjoint: bool, x: jax.Array, kernel: jax.Array
) -> jax.Array:
    """The images of sizes ``outputs`` that the taps make of x, or for the adjoint the flipped taps, from O to C."""
    taps, contracted = _of_taps(kernel, flipped=adjoint), 2 if adjoint else 1
    all_rows, columns = _tiles(outputs)
    around = tuple(
        (lo, 2 * t + 2 - n - lo)
        for n, (lo, _), t in zip(x.shape[1:-1], pads, (all_rows, columns), strict=True)
    )

    made_of = functools.partial(_made_of, spec, contracted, taps)
    if rows == all_rows:
        y = made_of(_views.pad_spatial(x, around))
    else:
        y = _in_parts(made_of, x, rows, -(-all_rows // rows), around)
    return lax.slice(y, (0, 0, 0, 0), (x.shape[0], *outputs, y.shape[-1]))


def _made_of(spec: ConvSpec, contracted: int, taps: list[jax.Array], pixels: jax.Array) -> jax.Array:
    """The images, two pixels smaller, that taps make of pixels; an axis of what is made of the taps is contracted."""
    first, second = (
        lax.dot_general(a, b, (((4,), (contracted,)), ((0,), (0,))), precision=spec.precision)
        for a, b in zip(_of_pixels(pixels), taps, strict=True)
    )
    return _of_products(first, second)


def _rows_at_once(images: int, outputs: Sizes, kernel: jax.Array) -> int:
    """How many rows of tiles are taken at once, of all images, as devices may share these."""
    rows, columns = _tiles(outputs)
    numbers = 16 * images * rows * columns * sum(kernel.shape[-2:])
    return -(-rows // max(1, numbers // _LEAST_AT_ONCE))


def _in_parts(
    made_of: Callable[[jax.Array], jax.Array], x: jax.Array, rows: int, parts: int, around: Pads
) -> jax.Array:
    """What is made of the images, of so many rows of their tiles after the other."""
    (above, _), beside = around

    @jax.jit  # so that it is traced once, for its type and for the loop
    def some(number):
        # Rows beyond the image are zeros here, for which the image need not be padded as a whole. Their numbers start
        # from a constant: of jnp.arange XLA makes an argument of some loops and not of others, which compiles more.
        seen = 2 * rows * number + np.arange(-above, 2 * rows + 2 - above)
        part = x.at[:, seen].get(mode="fill", fill_value=0, wrap_negative_indices=False)
        # Padded here, which copies the part: XLA would fuse its cut with what is made of it, to a slow loop.
        return made_of(_views.pad_spatial(part, ((0, 0), beside)))

    def step(number, y):
        return lax.dynamic_update_slice_in_dim(y, some(number), 2 * rows * number, axis=1)

    nothing = jnp.zeros_like(jax.eval_shape(some, 0))
    return lax.fori_loop(0, parts, step, jnp.concatenate([nothing] * parts, axis=1))


def _of_products(first: jax.Array, second: jax.Array) -> jax.Array:
    """The images, of the products of each pair, (8, N, *tiles, channels)."""
    _, images, rows, columns, channels = first.shape
    # XLA compiles a loop over fewer axes sooner. Axes are split and merged one at a time, which JAX does on a mesh of
    # Explicit axes too.
    first, second = (part.reshape(8, images * rows, columns, channels) for part in (first, second))
    first, second = (part.reshape(4, 2, *part.shape[1:]) for part in (first, second))
    along_rows = _sums(first, second, 1)
    y = _sums(along_rows[:2], along_rows[2:], 0)  # a tile's column, its row, then the tiles
    y = y.transpose(2, 1, 3, 0, 4).reshape(images, rows, 2, columns, 2, channels)
    y = y.reshape(images, 2 * rows, columns, 2, channels)
    return y.reshape(images, 2 * rows, 2 * columns, channels)


def _tiles(outputs: Sizes) -> Sizes:
    return tuple(-(-size // 2) for size in outputs)


def _of_pixels(pixels: jax.Array) -> list[jax.Array]:
    """The factors of m that are made of pixels: two arrays (8, N, *tiles, C), m0 and m1 of rows in the first."""
    rows, columns = ((size - 2) // 2 for size in pixels.shape[1:-1])
    by_two = pixels.reshape(pixels.shape[0], rows + 1, 2, *pixels.shape[2:])
    upper, lower = (lax.slice_in_dim(by_two, i, i + rows, axis=1) for i in range(2))
    differences = lax.transpose(upper - lower, (2, 0, 1, 3, 4))
    same, other = (_twice(part, i, 2, 0) for i, part in enumerate((lower, upper)))
    pairs = differences, same + _signs(other, 0) * other
    return [_along_columns(pair, columns) for pair in pairs]


def _along_columns(pair: jax.Array, columns: int) -> jax.Array:
    """The factors of two rows' m that are made of pixels, of what is made of them along columns."""
    last = 2 * columns - 1
    terms = (lax.slice_in_dim(pair, a, a + last, stride=2, axis=3) for a in range(4))
    of_terms = (column.reshape(-1, *(1,) * pair.ndim) for column in _OF_PIXELS.T.astype(pair.dtype))
    products = (of_term * lax.broadcast(term, (4,)) for of_term, term in zip(of_terms, terms, strict=True))
    factors = functools.reduce(lax.add, products)
    return factors.reshape(8, *factors.shape[2:])


def _of_taps(kernel: jax.Array, flipped: bool) -> list[jax.Array]:
    """The factors of m that are made of taps: two arrays (8, C, O)."""
    along = _OF_TAPS[:, ::-1] if flipped else _OF_TAPS
    # Matrix products, which XLA does not compile as it does loops, and which take as long.
    return [
        lax.dot_general(
            np.einsum("ia,jb->jiab", pair, along).reshape(8, 3, 3).astype(kernel.dtype),
            kernel,
            (((1, 2), (0, 1)), ((), ())),
            precision=lax.Precision.HIGHEST,
        )
        for pair in (along[:2], along[2:])
    ]


def _sums(first: jax.Array, second: jax.Array, axis: int) -> jax.Array:
    """y along an axis, where the first array holds m0 and m1 and the second m2 and m3."""
    m2, m3 = (_twice(second, i, axis, axis) for i in range(2))
    return m2 + _signs(first, axis) * (m3 + first)


def _twice(pair: jax.Array, number: int, axis: int, along: int) -> jax.Array:
    """One entry of an axis, twice along another: for XLA fewer instructions than to add an axis of one entry."""
    one = lax.index_in_dim(pair, number, axis, keepdims=False)
    others = [i for i in range(pair.ndim) if i != along]
    return lax.broadcast_in_dim(one, (*one.shape[:along], 2, *one.shape[along:]), others)


def _signs(like: jax.Array, axis: int) -> np.ndarray:
    """1 and -1 along an axis."""
    return np.array([1, -1], like.dtype).reshape(*(2 if i == axis else 1 for i in range(like.ndim)))
