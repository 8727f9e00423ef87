"""The dense (fully connected) layer."""

import jax
from jax import lax

from functional_cnn import _checks
from functional_cnn._numerics import accumulator, like_primal, sum_leading
from functional_cnn.rule import Rule, apply, define


def dense(x: jax.Array, kernel: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    """Multiplies the last axis with a matrix and adds a bias.

    y[..., o] = bias[o] + sum_i x[..., i] kernel[i, o]

    Args:
      x: (..., I), floating.
      kernel: (I, O), of x's dtype.
      bias: (O,), of x's dtype, or None.

    Returns:
      (..., O) of x's dtype. float16 and bfloat16 accumulate in float32.

    Raises:
      ValueError: a shape does not fit.
      TypeError: an argument is not floating or has another dtype than x.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.dense(jnp.array([1.0, 2.0]), jnp.eye(2), jnp.array([10.0, 20.0])))
      [11. 22.]

    Reference: D. Rumelhart, G. Hinton and R. Williams, "Learning representations by back-propagating
    errors", Nature 323 (1986).
    """
    x = _checks.floating("dense", "x", x)
    if x.ndim < 1:
        raise ValueError("dense: x must have shape (..., I), got a scalar")
    kernel = _checks.like("dense", "kernel", kernel, "x", x)
    if kernel.ndim != 2 or kernel.shape[0] != x.shape[-1]:
        raise ValueError(
            f"dense: kernel must have shape (I, O) with I = {x.shape[-1]}, the last axis of x, "
            f"got shape {kernel.shape}"
        )
    bias = _checks.vector("dense", "bias", bias, kernel.shape[1], "output feature", "x", x)
    return apply("dense", (), x, kernel, bias)


# Dense, derived.
#   forward   y[m,o]  = b[o] + sum_i x[m,i] k[i,o]        m runs over all leading axes
#   dx        dx[m,i] = sum_o dy[m,o] k[i,o]
#   dkernel   dk[i,o] = sum_m x[m,i] dy[m,o]
#   dbias     db[o]   = sum_m dy[m,o]
# Residuals: x and k, both alive anyway.
# Reference: the product as jnp writes it. The rule names its contractions, so that dkernel needs no reshape
# of a sharded batch.


def _reference(spec, x, kernel, bias):
    dtype = accumulator(x.dtype)
    y = x.astype(dtype) @ kernel.astype(dtype)
    return (y if bias is None else y + bias.astype(y.dtype)).astype(x.dtype)


def _fwd(spec, x, kernel, bias):
    y = _contract(x, kernel, (x.ndim - 1,), (0,))
    if bias is not None:
        y = y + bias.astype(y.dtype)
    return y.astype(x.dtype), (x, kernel, bias)


def _bwd(spec, residuals, dy):
    x, kernel, bias = residuals
    leading = tuple(range(x.ndim - 1))
    dx = _contract(dy, kernel, (dy.ndim - 1,), (1,), out_sharding=jax.typeof(x).sharding)
    dkernel = _contract(x, dy, leading, leading, out_sharding=jax.typeof(kernel).sharding)
    dbias = None if bias is None else like_primal(sum_leading(dy), bias)
    return like_primal(dx, x), like_primal(dkernel, kernel), dbias


def _contract(a, b, axes_a, axes_b, out_sharding=None):
    return lax.dot_general(
        a,
        b,
        ((axes_a, axes_b), ((), ())),
        preferred_element_type=accumulator(a.dtype),
        out_sharding=out_sharding,
    )


define(Rule("dense", _reference, _fwd, _bwd))
