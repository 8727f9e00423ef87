"""What the normalisations share: the affine map, gradients of what is standardised, sums with weights.

Each takes its variance as the mean square of x - mean, in a second sweep: E[x^2] - E[x]^2 would lose all of float32's
digits at an offset of 1e4.
"""

import jax
import jax.numpy as jnp
from jax import lax


def affine(h: jax.Array, scale: jax.Array | None, bias: jax.Array | None) -> jax.Array:
    y = h if scale is None else h * scale
    return y if bias is None else y + bias


def across(parameter: jax.Array | None, axes: tuple[int, ...], x: jax.Array) -> jax.Array | None:
    """A parameter that has these axes of x, in x's shape.

    One instruction for XLA, where jnp's own broadcasting takes four.
    """
    if parameter is None:
        return None
    return lax.broadcast_in_dim(parameter, x.shape, axes, out_sharding=jax.typeof(x).sharding)


def standardized_gradient(
    centered: jax.Array, r: jax.Array, g: jax.Array, mean_g: jax.Array, mean_gh: jax.Array
) -> jax.Array:
    """dx from g = dh, where h = centered r, centered = x - mean(x) and r = 1 / sqrt(var(x) + eps).

    r g, less what moves the mean, E[g], and the variance, h E[g h]. h is spelt in another way than the forward
    pass spells it, as XLA would keep what both share.
    """
    return r * (g - mean_g - centered * (r * mean_gh))


def weighted_sum(values: jax.Array, weights: jax.Array | None, axes: tuple[int, ...]) -> jax.Array:
    """The sum of values times weights over the axes, which stay with one entry.

    The weights have these axes, and None is 1. Over the last axis alone it is a product with a vector on CPU, which
    takes half as long as a sum that XLA does not vectorise, and a fifth of a single image, as YNNPACK shares out a
    sum's first axis among threads. A mesh of Explicit axes, on which a product would need an output sharding, keeps
    the sum.
    """

    def by_sum(values, weights):
        return jnp.sum(values * across(weights, axes, values), axes, keepdims=True)

    def by_product(values, weights):
        contracted = ((values.ndim - 1,), (0,))
        sums = lax.dot_general(values, weights, (contracted, ((), ())), precision=lax.Precision.HIGHEST)
        return sums[..., None]

    if weights is None:
        weights = jnp.ones([values.shape[axis] for axis in axes], values.dtype)
    if axes != (values.ndim - 1,) or any(jax.typeof(values).sharding.spec):
        return by_sum(values, weights)
    return lax.platform_dependent(values, weights, cpu=by_product, default=by_sum)
