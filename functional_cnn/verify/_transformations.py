"""A pullback under JAX's transformations, and its own derivatives."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from functional_cnn.verify._comparison import Tolerance
from functional_cnn.verify._first_order import Flat, raised_as_failure, require_same, require_same_value
from functional_cnn.verify._problem import Arrays, Problem, pullback, random_like, value_and_pullback


def require_transformable(
    problem: Problem, fun: Flat, reference: Flat, dy: Arrays, tolerance: Tolerance
) -> None:
    """Results and cotangents under jit, vmap, scan and checkpoint, at the point and at its mirror image."""
    points, dys = _with_mirror_image(problem.point), _with_mirror_image(dy)
    pull = value_and_pullback(fun)

    def scanned(points, dys):
        return lax.scan(lambda carry, one: (carry, pull(*one)), None, (points, dys))[1]

    def checkpointed(points, dys):
        return _first(value_and_pullback(jax.checkpoint(fun))(_at(points, 0), _at(dys, 0)))

    transformed: dict[str, Callable] = {
        "jit": lambda points, dys: _first(pull(_at(points, 0), _at(dys, 0))),
        "vmap": jax.vmap(pull),
        "scan": scanned,
        "checkpoint": checkpointed,
    }

    @jax.jit
    def all_at_once(points, dys):  # one compilation for all
        return {
            name: raised_as_failure(f"the backward pass under {name}", function, points, dys)
            for name, function in transformed.items()
        }

    @jax.jit
    def expected(points, dys):
        each = [value_and_pullback(reference)(_at(points, i), _at(dys, i)) for i in range(2)]
        return jax.tree.map(lambda *pair: jnp.stack(pair), *each)

    expected_values, expected_cotangents = expected(points, dys)
    for name, (values, cotangents) in all_at_once(points, dys).items():
        for i in range(len(cotangents[0])):
            what = f"under {name}, result"
            require_same_value(what, problem, _at(values, i), _at(expected_values, i), tolerance)
            what = f"under {name}, cotangent of {{}}"
            require_same(problem, what, _at(cotangents, i), _at(expected_cotangents, i), tolerance, dy)


def _with_mirror_image(arrays: Arrays) -> Arrays:
    return tuple(jnp.asarray(np.stack([a, np.flip(a)])) for a in map(np.asarray, arrays))


def _at(arrays: Arrays, index: int) -> Arrays:
    return tuple(a[index] for a in arrays)


def _first(trees):
    return jax.tree.map(lambda a: a[None], trees)


def require_second_derivatives(
    problem: Problem,
    fun: Flat,
    reference: Flat,
    dy: Arrays,
    rng: np.random.Generator,
    tolerance: Tolerance,
) -> None:
    """The gradient of <v, vjp(dy)> in the point and in dy, and the derivative of vjp(dy) along v.

    <dy, f> has a symmetric Hessian H, so that the gradient in the point and the derivative are both H v.
    """
    v = random_like(problem.point, rng)

    def along(flat):
        def slope(point, dy):
            return sum(jnp.vdot(g, w) for g, w in zip(pullback(flat)(point, dy), v, strict=True))

        return slope

    reverse = jax.jit(jax.grad(along(fun), argnums=(0, 1)))
    expected, expected_dy = jax.jit(jax.grad(along(reference), argnums=(0, 1)))(problem.point, dy)
    got, got_dy = raised_as_failure("reverse over reverse", reverse, problem.point, dy)
    require_same(problem, "second derivative (reverse over reverse) of {}", got, expected, tolerance, dy)
    results = problem._replace(names=tuple(f"result {i}" for i in range(len(dy))))
    require_same(results, "second derivative in the cotangent of {}", got_dy, expected_dy, tolerance, dy)

    @jax.jit
    def forward(point, dy):
        return jax.jvp(lambda *point: pullback(fun)(point, dy), point, v)[1]

    got = raised_as_failure("forward over reverse", forward, problem.point, dy)
    require_same(problem, "second derivative (forward over reverse) of {}", got, expected, tolerance, dy)
