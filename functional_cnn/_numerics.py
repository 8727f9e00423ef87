"""The dtypes in which ops compute and the type that their cotangents must have."""

import jax
import jax.numpy as jnp


def accumulator(dtype: jnp.dtype) -> jnp.dtype:
    """The dtype for sums over values of ``dtype``: float32, or float64 for float64."""
    return jnp.dtype(jnp.float64 if jnp.finfo(dtype).bits > 32 else jnp.float32)


def widened(*arrays: jax.Array | None) -> tuple:
    """The arrays in their accumulators' dtype; None stays None."""
    return tuple(None if a is None else a.astype(accumulator(a.dtype)) for a in arrays)


def like_primal(cotangent: jax.Array, primal: jax.Array) -> jax.Array:
    """A cotangent in its primal's dtype and, on a mesh of Explicit axes, in its sharding."""
    cotangent = cotangent.astype(primal.dtype)
    sharding = jax.typeof(primal).sharding
    if jax.typeof(cotangent).sharding == sharding:
        return cotangent
    return jax.sharding.reshard(cotangent, sharding)


def sum_leading(x: jax.Array) -> jax.Array:
    """The sum over all axes but the last, in the accumulator's dtype."""
    return jnp.sum(x, axis=tuple(range(x.ndim - 1)), dtype=accumulator(x.dtype))
