"""A part of a program that XLA on CPU compiles by itself."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def apart(fun: Callable[..., Any], *args: Any, never: Callable[..., Any] | None = None) -> Any:
    """fun(*args), which on CPU stands in a branch of a condition that XLA cannot see through.

    So XLA makes the arguments before and the result as a whole. Outside a branch it may compute either anew in each
    loop that reads it, begin before all arguments are there, or merge what is equal to something that was made
    before; ``lax.optimization_barrier`` forbids that, but XLA:CPU takes barriers out before it fuses.

    Args:
      never: what stands in the other branch, a function of args with results of fun's types. Else fun is traced once
        more for its types, and arguments that have them stand there, as zeros would be compiled. Where fun's result
        is a loop's, XLA then copies it, since it could be an argument.
    """
    if never is None:
        never = functools.partial(_of_types, jax.eval_shape(fun, *args))
    return lax.cond(lax.platform_dependent(cpu=_unknown_true, default=_true), fun, never, *args)


# XLA:CPU takes the barrier out too, but by then it has simplified its conditions for the last time. Elsewhere barriers
# hold, and a condition would be asked.
def _unknown_true() -> jax.Array:
    return lax.optimization_barrier(_true())


def _true() -> jax.Array:
    return jnp.full((), True)


def _of_types(types: Any, *args: Any) -> Any:
    """Arrays of these types: arguments where they have them, else zeros."""
    at_hand = {jax.typeof(arg): arg for arg in jax.tree.leaves(args)}

    def of_type(wanted):
        found = at_hand.get(jax.typeof(wanted))
        return jnp.zeros_like(wanted) if found is None else found

    return jax.tree.map(of_type, types)
