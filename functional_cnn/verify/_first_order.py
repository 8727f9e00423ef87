"""A function beside its reference: results, cotangents, and what every pullback satisfies."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from functional_cnn.verify._comparison import Tolerance, require_equal, require_same_type
from functional_cnn.verify._problem import (
    Arrays,
    Problem,
    inner,
    product_norm,
    pullback,
    random_like,
    rms,
    value_and_pullback,
)

Flat = Callable[..., Arrays]


def require_same_types(got: Sequence[Any], expected: Sequence[Any]) -> None:
    """Results of the same number, shapes and dtypes, which may be known without being computed."""
    if len(got) != len(expected):
        raise AssertionError(f"check_vjp: fun returns {len(got)} arrays, the reference {len(expected)}")
    for number, (ours, theirs) in enumerate(zip(got, expected, strict=True)):
        require_same_type(f"result {number}", ours, theirs)


def require_same_value(
    what: str, problem: Problem, got: Arrays, expected: Arrays, tolerance: Tolerance
) -> None:
    """Compares results one by one, given the size of the arguments."""
    scale = max(rms(x) for x in problem.point)
    for number, (ours, theirs) in enumerate(zip(got, expected, strict=True)):
        require_equal(f"{what} {number}", ours, theirs, tolerance, scale)


def everything_of(flat: Flat, floating: Flat) -> Callable[[Arrays, Arrays, Arrays], tuple[Arrays, ...]]:
    """(point, dy, v) -> f(x), vjp(dy) and J v of the reference, with J v from the transpose of its pullback.

    One function, since a compilation takes longer than what is computed here.
    """

    def everything(point, dy, v):
        _, transpose = jax.vjp(lambda u: pullback(floating)(point, u), dy)
        return flat(*point), pullback(floating)(point, dy), transpose(v)[0]

    return jax.jit(everything)


def require_same_cotangents(
    problem: Problem,
    fun: Flat,
    expected_results: Arrays,
    expected_cotangents: Sequence[Arrays],
    dys: Sequence[Arrays],
    tolerance: Tolerance,
) -> tuple[Arrays, float]:
    """Compares for each dy; returns the cotangents for the first and the largest relative error of all."""
    error, first = 0.0, None
    for dy, expected in zip(dys, expected_cotangents, strict=True):
        value, got = raised_as_failure("the backward pass", value_and_pullback(fun), problem.point, dy)
        require_same_value("under differentiation, result", problem, value, expected_results, tolerance)
        error = max(error, require_same(problem, "cotangent of {}", got, expected, tolerance, dy))
        first = first or got
    assert first is not None
    return first, error


def require_same(
    problem: Problem, what: str, got: Arrays, expected: Arrays, tolerance: Tolerance, dy: Arrays
) -> float:
    """Compares one array for each differentiated argument; ``what`` has a place for the argument's name."""
    scale = max(rms(u) for u in dy)
    return max(
        require_equal(what.format(name), ours, theirs, tolerance, scale)
        for name, ours, theirs in zip(problem.names, got, expected, strict=True)
    )


def raised_as_failure(what: str, function: Callable[..., Any], *args: Any) -> Any:
    """Calls a function; what it raises becomes an AssertionError that says where."""
    try:
        return function(*args)
    except Exception as error:
        raise AssertionError(f"check_vjp: {what} raises {type(error).__name__}: {error}") from error


def require_linear(
    problem: Problem,
    fun: Flat,
    gradient: Arrays,
    dy: Arrays,
    rng: np.random.Generator,
    tolerance: Tolerance,
) -> None:
    """vjp(2 dy - dz) = 2 vjp(dy) - vjp(dz)"""
    dz = random_like(dy, rng)
    pull = pullback(fun)
    combined = pull(problem.point, _combination(dy, dz))
    separate = _combination(gradient, pull(problem.point, dz))
    require_same(problem, "linearity in dy of the cotangent of {}", combined, separate, tolerance, dy)


def _combination(a: Arrays, b: Arrays) -> Arrays:
    """2 a - b, in NumPy, which needs no compilation for each shape."""
    pairs = zip(a, b, strict=True)
    return tuple(jnp.asarray(np.asarray(2 * np.asarray(x) - np.asarray(y), x.dtype)) for x, y in pairs)


def require_adjoint(problem: Problem, gradient: Arrays, dy: Arrays, v: Arrays, pushed_v: Arrays) -> None:
    """<dy, J v> = <vjp(dy), v>"""
    pushed, pulled = inner(dy, pushed_v), inner(gradient, v)
    eps = max(float(jnp.finfo(a.dtype).eps) for a in (*problem.point, *dy))
    rounding = eps * np.sqrt(inner(dy, dy) * inner(v, v))
    allowed = 1e3 * eps * (abs(pushed) + product_norm(gradient, v)) + rounding
    if np.isfinite(pushed) and not abs(pushed - pulled) <= allowed:
        raise AssertionError(
            f"check_vjp: <dy, J v> is {pushed:.9g} with the reference's Jacobian J, "
            f"but <vjp(dy), v> is {pulled:.9g}"
        )
