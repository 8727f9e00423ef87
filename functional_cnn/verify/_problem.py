"""A function and its arguments as maps between flat tuples of floating arrays, with names for error texts."""

import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Arrays = tuple[jax.Array, ...]


class Problem(NamedTuple):
    """The arguments of a function of which some leaves are differentiated.

    ``point`` holds these leaves, ``names`` what error texts call them. ``flat(fun)`` is ``fun`` as a function
    of them alone, which returns the leaves of its result as a tuple.
    """

    point: Arrays
    names: tuple[str, ...]
    flat: Callable[[Callable[..., Any]], Callable[..., Arrays]]


def pose(fun: Callable[..., Any], args: Sequence[Any], argnums: int | Sequence[int] | None) -> Problem:
    """Splits arguments into what is differentiated and what is held."""
    chosen = _checked_argnums(args, argnums)
    parameters = _parameter_names(fun, len(args))
    leaves, tree = jax.tree.flatten(tuple(args))
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(tuple(args))[0]]
    moving, names = [], []
    for position, (path, leaf) in enumerate(zip(paths, leaves, strict=True)):
        if path[0].idx in chosen and is_floating(leaf):
            moving.append(position)
            names.append(f"argument {path[0].idx}{parameters[path[0].idx]}{jax.tree_util.keystr(path[1:])}")
    if not moving:
        raise TypeError("check_vjp: args must hold at least one floating array to differentiate")

    def flat(fun: Callable[..., Any]) -> Callable[..., Arrays]:
        def flattened(*point: jax.Array) -> Arrays:
            filled = list(leaves)
            for position, leaf in zip(moving, point, strict=True):
                filled[position] = leaf
            return tuple(jax.tree.leaves(fun(*jax.tree.unflatten(tree, filled))))

        return flattened

    return Problem(tuple(jnp.asarray(leaves[position]) for position in moving), tuple(names), flat)


def floating_results(flat: Callable[..., Arrays]) -> Callable[..., Arrays]:
    return lambda *point: tuple(leaf for leaf in flat(*point) if is_floating(leaf))


def value_and_pullback(flat: Callable[..., Arrays]) -> Callable[[Arrays, Arrays], tuple[Arrays, Arrays]]:
    """(point, dy) -> f(x) as it is computed under differentiation, and dy^T df/dx, at the point."""

    def both(point, dy):
        value, pull = jax.vjp(flat, *point)
        return value, pull(dy)

    return both


def pullback(flat: Callable[..., Arrays]) -> Callable[[Arrays, Arrays], Arrays]:
    """(point, dy) -> dy^T df/dx at the point."""
    return lambda point, dy: value_and_pullback(flat)(point, dy)[1]


def is_floating(leaf: Any) -> bool:
    if isinstance(leaf, float):
        return True
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)


def _checked_argnums(args: Sequence[Any], argnums: int | Sequence[int] | None) -> set[int]:
    if argnums is None:
        return set(range(len(args)))
    try:
        argnums = [operator.index(number) for number in np.atleast_1d(np.asarray(argnums, object))]
    except TypeError:
        raise TypeError(f"check_vjp: argnums must be ints, got {argnums!r}") from None
    for number in argnums:
        if not -len(args) <= number < len(args):
            raise ValueError(
                f"check_vjp: argnums names argument {number}, but there are {len(args)} arguments"
            )
    return {number % len(args) for number in argnums}


def _parameter_names(fun: Callable[..., Any], count: int) -> list[str]:
    """`` (kernel)`` for each positional argument whose name is known."""
    try:
        parameters = inspect.signature(fun).parameters.values()
    except (TypeError, ValueError):
        parameters = ()
    names = [f" ({p.name})" for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [*names, *[""] * count][:count]


def random_like(
    arrays: Sequence[Any], rng: np.random.Generator, scales: Sequence[float] | None = None
) -> Arrays:
    """Normal random arrays of the given shapes and dtypes."""
    scales = scales or [1.0] * len(arrays)
    return tuple(
        jnp.asarray(np.asarray(scale * rng.standard_normal(a.shape), a.dtype))
        for a, scale in zip(arrays, scales, strict=True)
    )


def inner(a: Sequence[Any], b: Sequence[Any]) -> float:
    """The sum over all elements of a b, in float64."""
    return float(
        sum(np.vdot(np.asarray(x, np.float64), np.asarray(y, np.float64)) for x, y in zip(a, b, strict=True))
    )


def product_norm(a: Sequence[Any], b: Sequence[Any]) -> float:
    """The norm of a b: the size that <a, b> has when its terms have random signs."""
    products = [np.asarray(x, np.float64) * np.asarray(y, np.float64) for x, y in zip(a, b, strict=True)]
    return float(np.sqrt(inner(products, products)))


def rms(array: Any) -> float:
    """The root mean square of the finite elements, 0 where there are none."""
    sizes = np.abs(np.asarray(array)).astype(np.float64)
    sizes = sizes[np.isfinite(sizes)]
    return float(np.sqrt(np.mean(sizes**2))) if sizes.size else 0.0
