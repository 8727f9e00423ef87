"""``check_vjp``: everything that a backward pass must satisfy, for any function beside its reference."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from functional_cnn.verify._comparison import Tolerance
from functional_cnn.verify._differences import (
    require_central_differences,
    require_taylor_order,
    why_no_sums,
)
from functional_cnn.verify._first_order import (
    everything_of,
    require_adjoint,
    require_linear,
    require_same_cotangents,
    require_same_types,
    require_same_value,
)
from functional_cnn.verify._problem import Arrays, floating_results, is_floating, pose, random_like
from functional_cnn.verify._transformations import require_second_derivatives, require_transformable

CHECKS = (
    "value",
    "cotangents",
    "linearity",
    "adjoint",
    "central differences",
    "taylor",
    "jit",
    "vmap",
    "scan",
    "checkpoint",
    "second derivatives",
)


class Report(NamedTuple):
    """What ``check_vjp`` found.

    Attributes:
      passed: the checks that were made, names from ``CHECKS``.
      skipped: the checks that were left out, each with its reason.
      error: the largest difference of a cotangent from the reference's, relative to the largest element.
      taylor_order: the order of the Taylor remainder; infinity where the function is linear, None where
        it was not measured.
      residual_bytes: what the function keeps between its forward and its backward pass.
      reference_residual_bytes: the same for the reference, as JAX differentiates it.
    """

    passed: tuple[str, ...]
    skipped: dict[str, str]
    error: float
    taylor_order: float | None
    residual_bytes: int
    reference_residual_bytes: int


def check_vjp(
    fun: Callable[..., Any],
    reference: Callable[..., Any],
    *args: Any,
    argnums: int | Sequence[int] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    smooth: bool = True,
    transformations: bool = True,
    cotangents: int = 3,
    seed: int = 0,
) -> Report:
    """Proves the backward pass of a function, such as a ``jax.custom_vjp``, at a point.

    With f the function, dy random cotangents of its results and vjp(dy) = dy^T df/dx, it checks that f, as it
    is and under differentiation, and vjp(dy) equal the reference's elementwise, in shape and in dtype; that
    vjp is linear in dy; that <dy, J v> = <vjp(dy), v> for the reference's Jacobian J; that central
    differences along random directions give <vjp(dy), v>; that the remainder f(x + h v) - f(x) - h J v is of
    second order in h; that f and vjp are the same under ``jit``, ``vmap``, ``scan`` and ``checkpoint``; and
    that second derivatives, reverse over reverse and forward over reverse, equal the reference's.

    Args:
      fun: the function to prove. Arguments and results are arrays or pytrees of arrays.
      reference: a function of the same arguments that JAX differentiates by itself.
      *args: the point. Use float64 for a sharp proof; integers and keys are held.
      argnums: the arguments to differentiate; None for all that hold floating arrays.
      rtol: relative tolerance of an element; None means 1e-9 for float64, 2e-4 for float32, 1e-2 for
        float16 and 5e-2 for bfloat16.
      atol: absolute tolerance of an element; None derives it from rtol and the size of the array.
      smooth: False at a point where the function has a kink, a tie of maxima say, or jumps, or so close by
        that differences step over it (3e-2 of the arguments' spread in float32); they are then left out.
      transformations: False leaves out the checks from jit onwards, which take most of the time.
      cotangents: how many random cotangents to draw.
      seed: seeds the draws.

    Returns:
      A ``Report``.

    Raises:
      AssertionError: a check failed; the text names the cotangent by its argument, how many elements
        differ, the worst one and where it is.
      TypeError: fun or reference is not callable, or no argument is floating.
      ValueError: argnums names an argument that is not there, or cotangents is less than 1.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from functional_cnn.verify import check_vjp
      >>> @jax.custom_vjp
      ... def cube(x):
      ...     return x**3
      >>> cube.defvjp(lambda x: (x**3, x), lambda x, dy: (3 * x * dy,))  # 3 x^2 dy is right
      >>> check_vjp(cube, lambda x: x**3, jnp.array([1.0, 2.0]))
      Traceback (most recent call last):
      AssertionError: check_vjp: cotangent of argument 0 (x): 1 of 2 elements differ; ...

    Reference: A. Griewank and A. Walther, "Evaluating derivatives", SIAM 2008; the Taylor test: P. Farrell
    et al., "Automated derivation of the adjoint of high-level transient finite element programs",
    SIAM J. Sci. Comput. 35 (2013), section 5.
    """
    for name, function in (("fun", fun), ("reference", reference)):
        if not callable(function):
            raise TypeError(f"check_vjp: {name} must be callable, got {function!r}")
    if cotangents < 1:
        raise ValueError(f"check_vjp: cotangents must be at least 1, got {cotangents}")
    problem = pose(fun, args, argnums)
    tolerance = Tolerance(rtol, atol)
    all_results, all_expected = problem.flat(fun), problem.flat(reference)
    ours, theirs = floating_results(all_results), floating_results(all_expected)
    require_same_types(*(jax.eval_shape(f, *problem.point) for f in (all_results, all_expected)))
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(theirs, *problem.point)
    if not shapes:
        raise TypeError("check_vjp: fun must return at least one floating array to differentiate")
    dys = [random_like(shapes, rng) for _ in range(cotangents)]
    v = random_like(problem.point, rng)
    expected_of = everything_of(all_expected, theirs)
    expected = [expected_of(problem.point, dy, v) for dy in dys]
    results, _, pushed = expected[0]
    compiled = jax.jit(all_results)
    require_same_value("result", problem, compiled(*problem.point), results, tolerance)

    results = tuple(leaf for leaf in results if is_floating(leaf))
    cotangents_of_reference = [pulled for _, pulled, _ in expected]
    gradient, error = require_same_cotangents(problem, ours, results, cotangents_of_reference, dys, tolerance)
    skipped, order = {}, None
    reason = why_no_sums(problem, gradient)
    if reason is None:
        require_linear(problem, ours, gradient, dys[0], rng, tolerance)
        require_adjoint(problem, gradient, dys[0], v, pushed)
    else:
        skipped |= dict.fromkeys(("linearity", "adjoint"), reason)
    reason = reason if smooth else "the point is not smooth"
    if reason is None:
        value = floating_results(compiled)
        require_central_differences(problem, value, dys[0], gradient, rng)
        order = require_taylor_order(problem, value, dys[0], gradient, rng)
    else:
        skipped |= dict.fromkeys(("central differences", "taylor"), reason)
    if transformations:
        require_transformable(problem, ours, theirs, dys[0], tolerance)
        require_second_derivatives(problem, ours, theirs, dys[0], rng, tolerance)
    else:
        skipped |= dict.fromkeys(CHECKS[CHECKS.index("jit") :], "transformations=False")
    return Report(
        passed=tuple(check for check in CHECKS if check not in skipped),
        skipped=skipped,
        error=error,
        taylor_order=order,
        residual_bytes=residual_bytes(ours, problem.point),
        reference_residual_bytes=residual_bytes(theirs, problem.point),
    )


def residual_bytes(flat: Callable[..., Arrays], point: Arrays) -> int:
    """The bytes of the arrays that a function's pullback holds, its arguments among them."""

    def held(*point):
        return [leaf for leaf in jax.tree.leaves(jax.vjp(flat, *point)[1]) if isinstance(leaf, jax.Array)]

    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.eval_shape(held, *point))
