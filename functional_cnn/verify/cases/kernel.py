"""Reparametrisations of kernels."""

import functools

import functional_cnn as fcnn
from functional_cnn.verify.cases._case import Add, away_from_zero, normal, positive, values


def weight_standardization(add: Add) -> None:
    # Not normal draws: cotangents are drawn so from the same seed, and where dy is a multiple of the kernel
    # the gradient vanishes.
    add = functools.partial(add, fcnn.weight_standardization, batched=())
    add("2D kernel", positive(2, 3, 2, 3), sharp=True)
    add("1D kernel", positive(3, 2, 4), eps=1e-2)
    add("3D kernel", away_from_zero(2, 1, 3, 2, 2), eps=0.0)
    add("dense kernel", away_from_zero(5, 3))
    add("offset of 100", lambda rng: 100 + rng.random((3, 3, 2, 2)))
    add("one weight a channel", positive(1, 1, 1, 4))
    add("no input channels", positive(3, 3, 0, 2))
    add("more than 8192 elements", away_from_zero(3, 3, 32, 33))


def spectral_norm(add: Add) -> None:
    op = functools.partial(add, fcnn.spectral_norm, batched=())

    # The gradient holds u and v constant, so that differences of the result see it only where they are
    # singular vectors, and differences of the u returned never.
    @functools.wraps(fcnn.spectral_norm)
    def without_u(kernel, u, **options):
        y, _, sigma = fcnn.spectral_norm(kernel, u, **options)
        return y, sigma

    one_large_value = normal(2, 2, 3, 4, scale=0.01, offset=1.0)
    add(without_u, "converged", one_large_value, normal(4, offset=2.0), iterations=6, batched=())
    op("2D kernel", normal(2, 2, 2, 3), normal(3), smooth=False, sharp=True)
    op("no iteration", normal(2, 2, 2, 3), normal(3), iterations=0, smooth=False)
    op("1D kernel, 3 iterations", normal(3, 2, 4), normal(4), iterations=3, smooth=False)
    op("3D kernel", normal(2, 1, 2, 2, 3), normal(3), smooth=False)
    op("dense kernel, large eps", normal(5, 3), normal(3), eps=0.1, smooth=False)
    op("kernel of zeros", normal(3, 3, 2, 4, scale=0.0), normal(4), eps=1e-2, smooth=False)
    op("no input channels", normal(3, 0, 2), values(3.0, 4.0), smooth=False)
    op("more than 8192 elements", normal(3, 3, 32, 33), normal(33), smooth=False)


FAMILIES = (weight_standardization, spectral_norm)
