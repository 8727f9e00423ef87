"""What the normalisations share: statistics that survive a large offset in float32, and the affine map."""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def centered_statistics(
    x: jax.Array, mean: Callable[[jax.Array], jax.Array]
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """x - mean(x), the mean, and the biased variance, which is the mean square of what is left.

    ``mean`` averages over what the statistics are taken. The second sweep is what an offset of 1e4 costs:
    E[x^2] - E[x]^2 would lose all digits there.
    """
    average = mean(x)
    centered = x - average
    return centered, average, mean(centered * centered)


def affine(h: jax.Array, scale: jax.Array | None, bias: jax.Array | None) -> jax.Array:
    y = h if scale is None else h * scale
    return y if bias is None else y + bias


def across(parameter: jax.Array | None, axes: tuple[int, ...], x: jax.Array) -> jax.Array | None:
    """A parameter that has some of x's axes, in a shape that broadcasts with x."""
    if parameter is None:
        return None
    return jnp.expand_dims(parameter, [a for a in range(x.ndim) if a not in axes])


def standardized_gradient(
    centered: jax.Array, r: jax.Array, g: jax.Array, mean: Callable[[jax.Array], jax.Array]
) -> jax.Array:
    """dx from g = dh, where h = centered r, centered = x - mean(x) and r = 1 / sqrt(var(x) + eps).

    r g, less what moves the mean, E[g], and the variance, h E[g h].
    """
    mean_gh = r * mean(g * centered)
    return r * (g - mean(g) - centered * (r * mean_gh))
