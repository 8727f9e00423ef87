"""What the normalisations share: statistics that survive a large offset in float32, and the affine map."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def mean_and_variance(x: jax.Array, mean: Callable[[Any], Any]) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The mean, as a first value and the rest, and the biased variance.

    ``mean`` averages an array, or each of a pair of arrays, over what the statistics are taken; a pair in
    one sweep. First m0 = mean(x), then E[d] and E[d^2] of d = x - m0. E[d] mends the rounding of m0, a long
    float32 sum; var = E[d^2] - E[d]^2 is safe as E[d] is of the size of that rounding. The mean's two parts
    stay apart: x - m0 - E[d] is right to the last bits of x - mean, where their sum, rounded at an offset of
    1e4, would not be.
    """
    first = lax.stop_gradient(mean(x))
    d = x - first
    rest, square = mean((d, d * d))
    var = square - rest * rest
    return first, rest, jnp.where(var < 0, 0, var)


def affine(h: jax.Array, scale: jax.Array | None, bias: jax.Array | None) -> jax.Array:
    y = h if scale is None else h * scale
    return y if bias is None else y + bias


def across(parameter: jax.Array | None, axes: tuple[int, ...], x: jax.Array) -> jax.Array | None:
    """A parameter that has some of x's axes, in a shape that broadcasts with x."""
    if parameter is None:
        return None
    return jnp.expand_dims(parameter, [a for a in range(x.ndim) if a not in axes])


def standardized_gradient(h: jax.Array, r: jax.Array, g: jax.Array, mean: Callable[[Any], Any]) -> jax.Array:
    """dx from g = dh, where h = (x - mean(x)) r and r = 1 / sqrt(var(x) + eps).

    r g, less what moves the mean, E[g], and the variance, h E[g h].
    """
    mean_g, mean_gh = mean((g, g * h))
    return r * (g - mean_g - h * mean_gh)
