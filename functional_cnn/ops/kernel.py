"""Reparametrisations of a layer's kernel: what the optimiser moves is not what the layer multiplies with."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn import _checks
from functional_cnn._numerics import accumulator, like_primal, widened
from functional_cnn.ops._statistics import standardized_gradient
from functional_cnn.rule import Rule, apply, define


class WeightStandardizationSpec(NamedTuple):
    eps: float


class SpectralNormSpec(NamedTuple):
    iterations: int
    eps: float


def weight_standardization(kernel: jax.Array, *, eps: float = 1e-5) -> jax.Array:
    """Gives each output channel's weights mean 0 and variance 1.

    y[t, o] = (kernel[t, o] - mean[o]) / sqrt(var[o] + eps), where t runs over the window and the input
    channels that o sees, and var is the biased variance.

    Args:
      kernel: (..., O), floating: of ``conv`` (*window, C // groups, O) or of ``dense`` (I, O).
      eps: added to the variance, not negative.

    Returns:
      An array of kernel's shape and dtype. float16 and bfloat16 compute in float32.

    Raises:
      ValueError: kernel has fewer than 2 axes, or eps is negative.
      TypeError: kernel is not floating, or eps is not a number.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> y = fcnn.weight_standardization(jnp.array([[1.0, 10.0], [3.0, 30.0]]))
      >>> print(y.round(3))
      [[-1. -1.]
       [ 1.  1.]]

    The outputs of a layer then grow with its fan-in n, so a normalisation follows it. Without one, multiply
    the kernel by a learned gain of each channel by 1 / sqrt(n): scaled weight standardisation (A. Brock et
    al., arXiv:2101.08692). timm's ``StdConv2d`` has eps=1e-6, and BiT's 1e-10.

    Reference: S. Qiao et al., "Micro-batch training with batch-channel normalization and weight
    standardization", arXiv:1903.10520, section 3.
    """
    kernel = _checked_kernel("weight_standardization", kernel)
    spec = WeightStandardizationSpec(_checks.not_negative("weight_standardization", "eps", eps))
    return apply("weight_standardization", spec, kernel)


def _checked_kernel(function: str, kernel: jax.Array) -> jax.Array:
    kernel = _checks.floating(function, "kernel", kernel)
    if kernel.ndim < 2:
        raise ValueError(
            f"{function}: kernel must have shape (..., O) with at least 2 axes, got shape {kernel.shape}"
        )
    return kernel


# Weight standardisation, derived.    k the kernel; E the mean over t; r = 1 / sqrt(var + eps), h = (k - mean) r
#   forward   y[t,o]  = h[t,o]
#   dkernel   dk[t,o] = r[o] (dy[t,o] - E[dy][o] - h[t,o] E[dy h][o])
#             r dy, less what moves mean (E[dy]) and var (E[dy h])
# Residuals: k, alive anyway, and mean and r, two numbers for each channel.
# Reference: jnp.mean and jnp.var as in the paper.


def _leading(array: jax.Array) -> tuple[int, ...]:
    return tuple(range(array.ndim - 1))


def _mean(array: jax.Array) -> jax.Array:
    return jnp.mean(array, _leading(array))


def _standardization_reference(spec, kernel):
    (wide,) = widened(kernel)
    mean, var = jnp.mean(wide, _leading(wide)), jnp.var(wide, _leading(wide))
    return ((wide - mean) / jnp.sqrt(var + spec.eps)).astype(kernel.dtype)


def _standardization_fwd(spec, kernel):
    (wide,) = widened(kernel)
    mean = _mean(wide)
    centered = wide - mean
    r = lax.rsqrt(_mean(jnp.square(centered)) + spec.eps)
    return (centered * r).astype(kernel.dtype), (kernel, mean, r)


def _standardization_bwd(spec, residuals, dy):
    kernel, mean, r = residuals
    wide, dy = widened(kernel, dy)
    centered = wide - mean
    dkernel = standardized_gradient(centered, r, dy, _mean(dy), r * _mean(dy * centered))
    return (like_primal(dkernel, kernel),)


define(Rule("weight_standardization", _standardization_reference, _standardization_fwd, _standardization_bwd))


def spectral_norm(
    kernel: jax.Array, u: jax.Array, *, iterations: int = 1, eps: float = 1e-12
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Divides a kernel by its largest singular value, as power iteration estimates it.

    With W the kernel as a matrix (prod(...), O) and n(a) = a / (|a| + eps), each iteration moves u to
    n(W^T n(W u)); then v = n(W u), sigma = v^T W u and y = kernel / (sigma + eps). In gradients u and v are
    constants, as in the paper, eq. 12, and in PyTorch: at the singular vectors sigma is stationary in them.

    Args:
      kernel: (..., O), floating: of ``conv`` (*window, C // groups, O) or of ``dense`` (I, O).
      u: (O,), of kernel's dtype or in the accumulator's that this returns; of any length but 0. The caller
        carries it from step to step as state and starts from ``init.spectral_norm``.
      iterations: the number of iterations, at least 0. With 0, for evaluation, u keeps its direction, so
        that a trained u and its kernel give what they gave in training.
      eps: added to norms and to sigma, so that a kernel of zeros stays zero; not negative.

    Returns:
      ``(y, u, sigma)``: y of kernel's shape and dtype; u, of length 1, and the scalar sigma in float32, or
      float64 for float64. y and sigma are differentiable in kernel. The u given has the cotangent zero, and
      the u returned hands back none.

    Raises:
      ValueError: kernel has fewer than 2 axes, u has another shape, or a number is negative.
      TypeError: an argument is not floating or has another dtype, or iterations is not an int.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> y, u, sigma = fcnn.spectral_norm(jnp.diag(jnp.array([4.0, 1.0])), jnp.ones(2), iterations=9)
      >>> print(y, sigma)
      [[1.   0.  ]
       [0.   0.25]] 4.0

    PyTorch's ``spectral_norm`` is this, but keeps v beside u; in Flax's ``nn.SpectralNorm`` and in the paper
    v is the one before the last step of u. A kernel of ``conv_transpose`` has its output channels before the
    last axis: exchange the last two axes before and after.

    Reference: T. Miyato et al., "Spectral normalization for generative adversarial networks",
    arXiv:1802.05957, section 2.1 and algorithm 1.
    """
    function = "spectral_norm"
    kernel = _checked_kernel(function, kernel)
    u = _checks.floating(function, "u", u)
    if u.dtype not in (kernel.dtype, accumulator(kernel.dtype)):
        raise TypeError(
            f"{function}: u has dtype {u.dtype}, but kernel has {kernel.dtype}; it may have that dtype or "
            f"{accumulator(kernel.dtype)}"
        )
    if u.shape != kernel.shape[-1:]:
        raise ValueError(
            f"{function}: u must have shape {kernel.shape[-1:]}, one for each output channel, got shape {u.shape}"
        )
    spec = SpectralNormSpec(
        _checks.integer(function, "iterations", iterations, minimum=0),
        _checks.not_negative(function, "eps", eps),
    )
    return apply(function, spec, kernel, u)


# Spectral normalisation, derived.    k the kernel, t all its axes but the last; u and v constants
#   forward   sigma   = sum_{t,o} v[t] k[t,o] u[o],    y[t,o] = k[t,o] / s,    s = sigma + eps
#   dkernel   dk[t,o] = dy[t,o] / s + (dsigma - sum(dy k) / s^2) v[t] u[o]
#             in the brackets what sigma gets: its own cotangent, and y's through s
#   du        0
# Residuals: k and the given u, alive anyway, and u, v and sigma, of the size of a row and a column of k.
# Formulation: products and sums over k as it stands, which a kernel split over a mesh allows.
# Reference: k as a matrix, u and v under stop_gradient.


def _spectral_reference(spec, kernel, u):
    wide, u = widened(kernel, u)
    matrix = wide.reshape(-1, wide.shape[-1])
    u = lax.stop_gradient(u / (jnp.linalg.norm(u) + spec.eps))
    constant = lax.stop_gradient(matrix)
    for _ in range(spec.iterations):
        u = _normalized_product(constant.T, _normalized_product(constant, u, spec.eps), spec.eps)
    v = _normalized_product(constant, u, spec.eps)
    sigma = v @ (matrix @ u)
    return (wide / (sigma + spec.eps)).astype(kernel.dtype), u, sigma


def _normalized_product(matrix, vector, eps):
    product = matrix @ vector
    return product / (jnp.linalg.norm(product) + eps)


def _spectral_fwd(spec, kernel, start):
    wide, u = widened(kernel, start)
    u, v = _singular_vectors(spec, lax.stop_gradient(wide), lax.stop_gradient(u))
    sigma = jnp.sum(v * jnp.sum(wide * u, -1))
    return ((wide / (sigma + spec.eps)).astype(kernel.dtype), u, sigma), (kernel, start, u, v, sigma)


def _singular_vectors(spec, kernel, u):
    """u (O,), and v of the shape of all axes but the last."""
    u = _normalized(u, spec.eps)
    for _ in range(spec.iterations):
        v = _normalized(jnp.sum(kernel * u, -1), spec.eps)
        u = _normalized(jnp.sum(kernel * v[..., None], _leading(kernel)), spec.eps)
    return u, _normalized(jnp.sum(kernel * u, -1), spec.eps)


def _normalized(vector, eps):
    return vector / (jnp.sqrt(jnp.sum(vector * vector)) + eps)


def _spectral_bwd(spec, residuals, cotangents):
    kernel, start, u, v, sigma = residuals
    dy, _, dsigma = cotangents
    wide, dy = widened(kernel, dy)
    s = sigma + spec.eps
    dsigma = dsigma - jnp.sum(dy * wide) / (s * s)
    dkernel = dy / s + dsigma * v[..., None] * u
    return like_primal(dkernel, kernel), like_primal(jnp.zeros_like(start), start)


define(Rule("spectral_norm", _spectral_reference, _spectral_fwd, _spectral_bwd))
