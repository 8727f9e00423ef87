"""A part of a program that XLA on CPU compiles by itself."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def apart(fun: Callable[..., Any], *args: Any, witness: jax.Array, like: Any = None) -> Any:
    """fun(*args), which on CPU stands in a branch of a condition that XLA cannot see through.

    So XLA makes the arguments before and the result as a whole. Outside a branch it may compute either anew in each
    loop that reads it, begin before all arguments are there, or merge what is equal to something that was made
    before; ``lax.optimization_barrier`` forbids that, but XLA:CPU takes barriers out before it fuses.

    Args:
      witness: a small floating array, of which the condition is made: it holds whatever the values are, but not for
        what XLA knows of them. Where it is the same on all devices, as parameters are, they need not agree on it.
      like: arrays of the result's types, where they are at hand; else fun is traced once more for them.
    """

    def never(*args):
        return jax.tree.map(jnp.zeros_like, fun(*args) if like is None else like)

    # Elsewhere barriers hold, and a constant condition is none.
    always = lax.platform_dependent(
        witness, cpu=_holds, default=lambda witness: jnp.full_like(_holds(witness), True)
    )
    return lax.cond(always, fun, never, *args)


def _holds(witness: jax.Array) -> jax.Array:
    """True: any number times zero is zero or NaN, and neither is above zero."""
    return ~(jnp.sum(witness) * 0 > 0)
