"""The rule of an activation that acts on each element alone, computed in float32 or better."""

from collections.abc import Callable
from typing import Any, Literal

import jax

from functional_cnn._numerics import like_primal, widened
from functional_cnn.rule import Rule, define

Map = Callable[[Any, jax.Array], jax.Array]


def define_elementwise(
    name: str, *, reference: Map, value: Map, slope: Map, residual: Literal["x", "y"]
) -> None:
    """Enters the rule y = value(spec, x), dx = dy slope(spec, residual).

    The residual is x or y, whichever the slope is written in; ``reference`` is y by another way. All three
    see arrays in the accumulator's dtype.
    """

    def referenced(spec, x):
        return reference(spec, *widened(x)).astype(x.dtype)

    def fwd(spec, x):
        y = value(spec, *widened(x)).astype(x.dtype)
        return y, x if residual == "x" else y

    def bwd(spec, kept, dy):
        wide, dy = widened(kept, dy)
        return (like_primal(dy * slope(spec, wide), kept),)

    define(Rule(name, referenced, fwd, bwd))
