"""Padding."""

from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from functional_cnn import _checks, _views, _window
from functional_cnn._numerics import widened
from functional_cnn._window import Pads, Sizes
from functional_cnn.ops._axis_maps import apply_map, axis_map, take
from functional_cnn.rule import Rule, apply, define


class PadSpec(NamedTuple):
    inputs: Sizes
    padding: Pads
    mode: str
    value: float


Mode = Literal["constant", "reflect", "edge", "wrap"]
_MODES = get_args(Mode)


def pad(x: jax.Array, padding: Any, *, mode: Mode = "constant", value: float = 0) -> jax.Array:
    """Pads the spatial axes with a constant or with pixels of the image.

    y[n, i, c] = x[n, s[i], c], where s[i] = i - lo inside the image and, outside, the pixel that the mode puts
    there, or value.

    Args:
      x: (N, *spatial, C), floating; 1, 2 or 3 spatial dimensions.
      padding: an int, or an int or a (lo, hi) pair for each spatial axis; never negative. It may be larger
        than the image, which is then reflected or repeated as often as needed.
      mode: "constant"; "reflect", the mirror image without the edge itself; "edge", the nearest pixel; or
        "wrap", the image repeated.
      value: the constant, a Python number; it may be infinite.

    Returns:
      (N, *padded, C) of x's dtype.

    Raises:
      ValueError: a pad or the mode does not fit, value is given to a mode that has none, or there is no
        pixel to pad with.
      TypeError: x is not floating, or an option has another type.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.pad(jnp.array([1.0, 2.0, 3.0]).reshape(1, 3, 1), ((1, 2),), mode="reflect").ravel())
      [2. 1. 2. 3. 2. 1.]

    The modes are those of ``jnp.pad``. ``torch.nn.functional.pad`` calls "edge" "replicate" and "wrap"
    "circular", and takes the last axis' pads first.

    Reference: C. Harris et al., "Array programming with NumPy", Nature 585 (2020), whose ``numpy.pad`` this is.
    """
    x = _checks.floating("pad", "x", x)
    rank, inputs = _checks.spatial("pad", x), x.shape[1:-1]
    if isinstance(padding, str):
        raise ValueError(f"pad: padding must be ints or (lo, hi) pairs, got {padding!r}")
    ones = (1,) * rank
    padding = _window.resolve("pad", padding, inputs, ones, ones, ones).padding
    mode = _checks.choice("pad", "mode", mode, _MODES)
    if isinstance(value, float | np.floating) and np.isinf(value):
        value = float(value)
    else:
        value = _checks.number("pad", "value", value)
    if mode != "constant":
        if value != 0:
            raise ValueError(f"pad: value must be 0 with mode {mode!r}, got {value}")
        if any(n == 0 and max(pads) > 0 for n, pads in zip(inputs, padding, strict=True)):
            raise ValueError(f"pad: x must have a pixel along each axis that is padded, got shape {x.shape}")
    return apply("pad", PadSpec(inputs, padding, mode, value), x)


# Padding, derived.    s[i] the pixel that padded position i copies
#   forward   y[n,i,c]  = x[n, s[i], c], or value outside the image
#   dx        dx[n,q,c] = sum_{i : s[i] = q} dy[n,i,c], for the axes in reverse order; of a constant pad a slice
# Residuals: none, the map is linear and static (affine where value is not 0).
# Formulation: lists of taps, which fuse into one loop. Measured on CPU against cutting dy into its runs of
# pixels, turned round and added, that is 2 to 20 times faster at the pads of convolutions; only an edge
# repeated more than about 16 times sums faster on its own.
# Reference: jnp.pad.


def _reference(spec, x):
    options = {"constant_values": spec.value} if spec.mode == "constant" else {}

    def padded(image):
        return jnp.pad(image, (*spec.padding, (0, 0)), mode=spec.mode, **options)

    return jax.vmap(padded)(x)  # jnp.pad slices every axis, which a sharded batch cannot bear


def _sources(spec: PadSpec) -> list[tuple[int, np.ndarray]]:
    """For each spatial axis that is padded, its position in x and s."""
    return [
        (1 + axis, np.pad(np.arange(spec.inputs[axis]), pads, mode=spec.mode))  # pyright: ignore
        for axis, pads in enumerate(spec.padding)
        if max(pads) > 0
    ]


def _fwd(spec, x):
    if spec.mode == "constant":
        return _views.pad_spatial(x, spec.padding, spec.value), None
    for axis, source in _sources(spec):
        x = take(x, source, axis)
    return x, None


def _bwd(spec, _, dy):
    if spec.mode == "constant":
        inside = [slice(lo, lo + n) for n, (lo, _) in zip(spec.inputs, spec.padding, strict=True)]
        return (dy[(slice(None), *inside)],)
    (dx,) = widened(dy)
    for axis, source in reversed(_sources(spec)):
        copies = axis_map(source, np.arange(len(source)), np.ones(len(source)), spec.inputs[axis - 1])
        dx = apply_map(copies, dx, axis)
    return (dx.astype(dy.dtype),)


define(Rule("pad", _reference, _fwd, _bwd))
