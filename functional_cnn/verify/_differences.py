"""What a gradient must satisfy without any reference: differences of the function itself."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from functional_cnn.verify._problem import Arrays, Problem, inner, product_norm, random_like

# By dtype: the step of central differences, the relative error allowed, and the steps of the Taylor test.
# Central differences err by h^2 and by rounding / h; h = rounding^(1/3) balances the two.
_STEPS = {"float64": (6e-6, 1e-6, 1e-3), "float32": (3e-3, 5e-2, 3e-2)}
_DIRECTIONS = 3


def why_no_sums(problem: Problem, gradient: Arrays) -> str | None:
    """A reason why sums over a gradient's elements say nothing here."""
    if not all(np.isfinite(np.asarray(g, np.float64)).all() for g in gradient):
        return "the gradient is not finite"
    narrow = sorted({str(a.dtype) for a in problem.point} - set(_STEPS))
    return f"in {', '.join(narrow)} differences are rounding alone" if narrow else None


def _coarsest(problem: Problem) -> tuple[float, float, float]:
    return max(_STEPS[str(a.dtype)] for a in problem.point)


def _moved(problem: Problem, direction: Arrays, step: float) -> tuple[np.ndarray, ...]:
    # In NumPy, which needs no compilation for each shape; here and below.
    return tuple(
        np.asarray(np.asarray(x) + step * np.asarray(v), x.dtype)
        for x, v in zip(problem.point, direction, strict=True)
    )


def _direction(problem: Problem, rng: np.random.Generator) -> Arrays:
    """A random direction in which every array moves in proportion to its spread."""
    return random_like(problem.point, rng, [_spread(x) for x in problem.point])


def _spread(x: Any) -> float:
    values = np.asarray(x, np.float64)
    return float(values.std() or np.abs(values).max(initial=0.0) or 1.0) if values.size else 1.0


def _rounding(problem: Problem, dy: Arrays, v: Sequence[Any], values: Arrays, step: float) -> float:
    """What rounding may change in differences: of the values, and of the arguments where the slope is 1."""
    eps = max(float(jnp.finfo(x.dtype).eps) for x in problem.point)
    size = sum(
        float(np.abs(np.asarray(u, np.float64) * np.asarray(y)).sum())
        for u, y in zip(dy, values, strict=True)
    )
    return eps * (size + step * np.sqrt(inner(dy, dy) * inner(v, v)))


def require_central_differences(
    problem: Problem, value: Callable[..., Arrays], dy: Arrays, gradient: Arrays, rng: np.random.Generator
) -> None:
    """<dy, f(x + h v) - f(x - h v)> / 2 h = <gradient, v> for random v."""
    step, allowed, _ = _coarsest(problem)
    for _ in range(_DIRECTIONS):
        v = _direction(problem, rng)
        ahead, behind = _moved(problem, v, step), _moved(problem, v, -step)
        # Where the arguments are large the step is rounded; the slope is along what was really moved.
        pairs = zip(ahead, behind, strict=True)
        v = tuple((np.asarray(a, np.float64) - b) / (2 * step) for a, b in pairs)
        above, below = value(*ahead), value(*behind)
        measured = (inner(dy, above) - inner(dy, below)) / (2 * step)
        claimed = inner(gradient, v)
        size = product_norm(gradient, v)
        rounding = 10 * _rounding(problem, dy, v, above, step) / step
        truncation = step**2 * np.sqrt(inner(dy, dy) * inner(v, v))
        if not abs(measured - claimed) <= allowed * (abs(claimed) + size) + rounding + truncation:
            raise AssertionError(
                f"check_vjp: central differences give a slope of {measured:.9g} along a random direction, "
                f"the gradient says {claimed:.9g}"
            )


def require_taylor_order(
    problem: Problem, value: Callable[..., Arrays], dy: Arrays, gradient: Arrays, rng: np.random.Generator
) -> float:
    """The order p in |<dy, f(x + h v) - f(x)> - h <gradient, v>| = O(h^p).

    It is 2 for a right gradient and 1 for a wrong one. Returns infinity where the remainder is rounding
    alone, as for a linear function.
    """
    _, _, step = _coarsest(problem)
    v = _direction(problem, rng)
    start, slope = inner(dy, value(*problem.point)), inner(gradient, v)
    steps = [step, step / 2, step / 4]
    values = [value(*_moved(problem, v, h)) for h in steps]
    remainders = [abs(inner(dy, y) - start - h * slope) for y, h in zip(values, steps, strict=True)]
    if remainders[-1] <= 100 * _rounding(problem, dy, v, values[0], step):
        return np.inf
    order = float(np.log2(remainders[0] / remainders[-1]) / 2)
    if order < 1.5:
        raise AssertionError(
            f"check_vjp: the Taylor remainder shrinks with order {order:.2f} in the step, "
            "a right gradient shows 2"
        )
    return order
