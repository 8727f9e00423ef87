"""What the table of ``python -m functional_cnn.verify`` says of one op."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_cnn.rule import autodiff
from functional_cnn.verify._check import check_vjp
from functional_cnn.verify._comparison import as_double, difference, relative_error
from functional_cnn.verify._problem import (
    Arrays,
    Problem,
    floating_results,
    pose,
    random_like,
    rms,
    value_and_pullback,
)
from functional_cnn.verify.cases import CASES, Case


class Row(NamedTuple):
    """The proof of one op over its cases; ``failure`` is the first that failed, None if all passed."""

    op: str
    cases: int
    error: float
    float32_error: float
    autodiff_float32_error: float
    residual_bytes: int
    autodiff_residual_bytes: int
    failure: str | None


def by_autodiff(fun: Callable[..., Any]) -> Callable[..., Any]:
    """The function with every op as its reference, differentiated by JAX."""

    def referenced(*args):
        with autodiff():
            return fun(*args)

    return referenced


def prove_op(op: str) -> Row:
    """Proves one op at all its cases of the table, in float64."""
    jax.config.update("jax_enable_x64", True)
    return prove(op, [case for case in CASES if case.op == op])


def prove(op: str, cases: Iterable[Case]) -> Row:
    """Proves one op at all its cases. Needs ``jax_enable_x64``."""
    row = Row(op, 0, 0.0, 0.0, 0.0, 0, 0, None)
    for case in cases:
        try:
            report = check_vjp(
                case.fun,
                by_autodiff(case.fun),
                *case.arguments(np.float64),
                smooth=case.smooth,
                transformations=case.sharp,
            )
            ours, autodiffs = float32_errors(case)
        except Exception as error:
            return row._replace(failure=f"{op}, {case.label}: {error}")
        row = row._replace(
            cases=row.cases + 1,
            error=max(row.error, report.error),
            float32_error=max(row.float32_error, ours),
            autodiff_float32_error=max(row.autodiff_float32_error, autodiffs),
            residual_bytes=row.residual_bytes + report.residual_bytes,
            autodiff_residual_bytes=row.autodiff_residual_bytes + report.reference_residual_bytes,
        )
    if row.float32_error > 2 * row.autodiff_float32_error:
        failure = f"{op}: the float32 error of the rule is more than twice that of autodiff"
        return row._replace(failure=failure)
    return row


def float32_errors(case: Case) -> tuple[float, float]:
    """The largest relative error of a result or a cotangent in float32: the rule's and autodiff's."""
    errors_of = precision_errors(case, np.float32)
    return errors_of(case.fun), errors_of(by_autodiff(case.fun))


def precision_errors(case: Case, dtype: Any, seed: int = 0) -> Callable[[Callable[..., Any]], float]:
    """A function's largest relative error of a result or a cotangent at a case's arguments, rounded to a dtype.

    The error is the difference from autodiff in float64 at the same, rounded, arguments. Needs
    ``jax_enable_x64``.
    """
    narrow = case.arguments(dtype)
    wide = jax.tree.map(lambda a: a.astype(np.float64) if a.dtype == dtype else a, narrow)
    exact_problem, problem = (pose(case.fun, args, None) for args in (wide, narrow))
    results = jax.eval_shape(floating_results(problem.flat(case.fun)), *problem.point)
    dy = random_like(results, np.random.default_rng(seed))
    exact = _computed(exact_problem, by_autodiff(case.fun), tuple(u.astype(jnp.float64) for u in dy))

    def error_of(fun: Callable[..., Any]) -> float:
        scales = max(rms(x) for x in problem.point), max(rms(u) for u in dy)
        computed = zip(_computed(problem, fun, dy), exact, scales, strict=True)
        return max(_error(got, expected, scale) for got, expected, scale in computed)

    return error_of


def _computed(problem: Problem, fun: Callable[..., Any], dy: Arrays) -> tuple[Arrays, Arrays]:
    """The results, as they are computed under differentiation, and the cotangents."""
    return jax.jit(value_and_pullback(floating_results(problem.flat(fun))))(problem.point, dy)


def _error(got: Arrays, exact: Arrays, scale: float) -> float:
    pairs = zip(map(as_double, got), map(as_double, exact), strict=True)
    return max(relative_error(difference(a, b), b, scale) for a, b in pairs)
