"""Resizing by interpolation."""

import functools
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from functional_cnn import _checks
from functional_cnn._numerics import widened
from functional_cnn._window import Sizes
from functional_cnn.ops._axis_maps import apply_map, axis_map
from functional_cnn.rule import Rule, apply, define


class ResizeSpec(NamedTuple):
    inputs: Sizes
    outputs: Sizes
    method: str
    align_corners: bool
    antialias: bool


Method = Literal[
    "nearest", "nearest_floor", "linear", "bilinear", "trilinear", "triangle", "cubic", "bicubic", "tricubic",
    "lanczos3", "lanczos5",
]  # fmt: skip
_METHODS = {
    "nearest": "nearest",
    "nearest_floor": "nearest_floor",
    "linear": "linear",
    "bilinear": "linear",
    "trilinear": "linear",
    "triangle": "linear",
    "cubic": "cubic",
    "bicubic": "cubic",
    "tricubic": "cubic",
    "lanczos3": "lanczos3",
    "lanczos5": "lanczos5",
}


def resize(
    x: jax.Array,
    size: int | tuple[int, ...],
    *,
    method: Method = "linear",
    align_corners: bool = False,
    antialias: bool = False,
) -> jax.Array:
    """Resizes the spatial axes by interpolation, one axis after the other.

    y[n, i, c] = sum over pixels j of w[i, j] x[n, j, c], along each axis from H to O pixels, where w[i, j]
    falls with the distance of pixel j from the source of output i, (i + 1/2) H / O - 1/2.

    Args:
      x: (N, *spatial, C), floating; 1, 2 or 3 spatial dimensions with at least one pixel.
      size: O, an int for all spatial axes or one for each.
      method: "linear" (also "bilinear", "trilinear", "triangle"), "cubic" (also "bicubic", "tricubic"),
        "lanczos3", "lanczos5", "nearest" or "nearest_floor". "nearest" takes the pixel in which the source
        lies and "nearest_floor" pixel floor(i H / O); both copy values exactly.
      align_corners: whether the sources go from the first pixel's centre to the last's, i (H - 1) / (O - 1).
        Not for the nearest methods, nor with antialias.
      antialias: whether an axis that shrinks is averaged by a kernel that is as many times wider. Not for
        the nearest methods.

    Returns:
      (N, *size, C) of x's dtype. float16 and bfloat16 accumulate in float32. NaN reaches only the outputs
      that read it.

    Raises:
      ValueError: a size or the method does not fit, x has no pixels, or two options do not go together.
      TypeError: x is not floating, or an option has another type.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.resize(jnp.array([0.0, 4.0]).reshape(1, 2, 1), 4).ravel())
      [0. 1. 3. 4.]

    Results are those of ``torch.nn.functional.interpolate``, whose "nearest-exact" is our "nearest" and whose
    "nearest" is our "nearest_floor", and those of ``jax.image.resize`` except for "cubic" without antialias,
    which is Keys' kernel with a = -0.75 and a repeated edge, as in PyTorch. jax.image has antialias by default.

    Reference: R. Keys, "Cubic convolution interpolation for digital image processing", IEEE Trans. ASSP 29
    (1981); C. Duchon, "Lanczos filtering in one and two dimensions", J. Appl. Meteorology 18 (1979).
    """
    x = _checks.floating("resize", "x", x)
    rank, inputs = _checks.spatial("resize", x), x.shape[1:-1]
    _checks.some_pixel("resize", x)
    outputs = _checks.per_axis("resize", "size", size, rank)
    method = _checks.choice("resize", "method", method, _METHODS)
    align_corners = _checks.flag("resize", "align_corners", align_corners)
    antialias = _checks.flag("resize", "antialias", antialias)
    if align_corners and antialias:
        raise ValueError("resize: antialias must be False with align_corners, got True")
    if _METHODS[method].startswith("nearest"):
        for name, option in (("align_corners", align_corners), ("antialias", antialias)):
            if option:
                raise ValueError(f"resize: {name} must be False with method {method!r}, got True")
    return apply("resize", ResizeSpec(inputs, outputs, _METHODS[method], align_corners, antialias), x)


# Resizing, derived.    along one axis: H inputs j, O outputs i; k the method's kernel of radius r
#   source    u[i]      = (i + 1/2) H / O - 1/2, or i (H - 1) / (O - 1) with align_corners (0 where O = 1)
#   weights   w[i,j]    = k((u[i] - j) / b), b = max(H / O, 1) with antialias, else 1; made to sum to 1 over j.
#                         Cubic without antialias reads pixel min(max(j, 0), H - 1) for every integer j instead.
#   forward   y[n,i,c]  = sum_j w[i,j] x[n,j,c], for one axis after the other
#   dx        dx[n,j,c] = sum_i w[i,j] dy[n,i,c], for the axes in reverse order
# Residuals: none, the map is linear and static.
# Formulation: both directions as lists of taps. Sources are fractions of integers, so a pixel at a distance
# where the kernel is zero gets no tap and an output on a pixel reads that pixel alone. PyTorch computes them in
# floating point, and so its nearest methods can take the neighbour where a source lies on a border of pixels.
# antialias with align_corners is refused: PyTorch's sources there are (i + 1/2) (H - 1) / (O - 1) - 1/2, which
# align no corner.
# Reference: dense matrices of weights, from distances in floating point.


def _cubic(x: np.ndarray, a: float) -> np.ndarray:
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def _lanczos(x: np.ndarray, radius: int) -> np.ndarray:
    # np.sinc is 1e-17 where it should be 0.
    windowed = np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0)
    return np.where(x == np.rint(x), x == 0, windowed)


def _kernel(spec: ResizeSpec) -> tuple[int, Callable[[np.ndarray], np.ndarray]]:
    """The radius of the method's kernel and the kernel, a function of distances."""
    if spec.method == "linear":
        return 1, lambda x: np.maximum(1 - x, 0)
    if spec.method == "cubic":
        return 2, functools.partial(_cubic, a=-0.5 if spec.antialias else -0.75)
    radius = int(spec.method.removeprefix("lanczos"))
    return radius, functools.partial(_lanczos, radius=radius)


def _repeats_edge(spec: ResizeSpec) -> bool:
    return spec.method == "cubic" and not spec.antialias


def _weight_matrix(spec, n, m):
    """w[i, j], dense, for the reference."""
    i, j = np.arange(m)[:, None], np.arange(n)
    if spec.method == "nearest":  # the source lies in [j, j + 1), where pixel j is
        return (2 * m * j <= (2 * i + 1) * n) & ((2 * i + 1) * n < 2 * m * (j + 1))
    if spec.method == "nearest_floor":
        return (m * j <= i * n) & (i * n < m * (j + 1))
    source = i * ((n - 1) / max(m - 1, 1)) if spec.align_corners else (i + 0.5) * n / m - 0.5
    radius, kernel = _kernel(spec)
    width = max(n / m, 1) if spec.antialias else 1
    if _repeats_edge(spec):
        beyond = np.arange(-radius, n + radius)
        return kernel(np.abs(source - beyond)) @ (np.clip(beyond, 0, n - 1)[:, None] == j)
    weights = kernel(np.abs(source - j) / width)
    return weights / weights.sum(1, keepdims=True)


def _resize_reference(spec, x):
    (y,) = widened(x)
    for axis, (n, m) in enumerate(zip(spec.inputs, spec.outputs, strict=True), 1):
        weights = _weight_matrix(spec, n, m).astype(y.dtype)
        product = lax.dot_general(y, weights, (((axis,), (1,)), ((), ())), precision=lax.Precision.HIGHEST)
        y = jnp.moveaxis(product, -1, axis)
    return y.astype(x.dtype)


@functools.lru_cache(maxsize=1024)
def _taps(spec: ResizeSpec, axis: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All i, j and w[i, j] that are not zero, along a spatial axis."""
    n, m = spec.inputs[axis], spec.outputs[axis]
    i = np.arange(m)
    if spec.method == "nearest":
        return i, (2 * i + 1) * n // (2 * m), np.ones(m)
    if spec.method == "nearest_floor":
        return i, i * n // m, np.ones(m)
    # The source is numerator / denominator, and the kernel's argument a distance by reach / denominator.
    if spec.align_corners:
        numerator, denominator = i * (n - 1), max(m - 1, 1)
    else:
        numerator, denominator = (2 * i + 1) * n - m, 2 * m
    reach = 2 * max(n, m) if spec.antialias else denominator
    radius, kernel = _kernel(spec)
    first = (numerator - radius * reach) // denominator + 1
    j = first[:, None] + np.arange(-(-2 * radius * reach // denominator))
    weights = kernel(np.abs(numerator[:, None] - denominator * j) / reach)
    if not _repeats_edge(spec):
        weights = np.where((j >= 0) & (j < n), weights, 0)
        weights = weights / weights.sum(1, keepdims=True)
    # Taps that fell on the same pixel of the edge become one.
    pairs, place = np.unique(i[:, None] * n + np.clip(j, 0, n - 1), return_inverse=True)
    return pairs // n, pairs % n, np.bincount(place.ravel(), weights.ravel())


def _changed_axes(spec: ResizeSpec) -> list[int]:
    return [axis for axis, n in enumerate(spec.inputs) if n != spec.outputs[axis]]


def _resize_fwd(spec, x):
    (y,) = widened(x)
    for axis in _changed_axes(spec):
        outputs, inputs, weights = _taps(spec, axis)
        y = apply_map(axis_map(outputs, inputs, weights, spec.outputs[axis]), y, 1 + axis)
    return y.astype(x.dtype), None


def _resize_bwd(spec, _, dy):
    (dx,) = widened(dy)
    for axis in reversed(_changed_axes(spec)):
        outputs, inputs, weights = _taps(spec, axis)
        dx = apply_map(axis_map(inputs, outputs, weights, spec.inputs[axis]), dx, 1 + axis)
    return (dx.astype(dy.dtype),)


define(Rule("resize", _resize_reference, _resize_fwd, _resize_bwd))
