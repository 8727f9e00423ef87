"""The rule of an activation that acts on each element alone, computed in float32 or better."""

from collections.abc import Callable
from typing import Any, Literal

import jax

from functional_cnn._numerics import like_primal, widened
from functional_cnn.rule import Rule, define

Map = Callable[[Any, jax.Array], jax.Array]


def define_elementwise(
    name: str, *, reference: Map, value: Map, slope: Map, residual: Literal["x", "y", "slope"]
) -> None:
    """Enters the rule y = value(spec, x), dx = dy slope, where the slope is that of x, or of y if y is the residual.

    A residual of "slope" is made beside y, where both share what costs most, and takes as much memory as x, which an
    activation's producer seldom keeps; one of "x" or "y" suits a slope that costs little. ``reference`` is y by another
    way. All three functions see arrays in the accumulator's dtype.
    """

    def referenced(spec, x):
        return reference(spec, *widened(x)).astype(x.dtype)

    def fwd(spec, x):
        (wide,) = widened(x)
        y = value(spec, wide).astype(x.dtype)
        if residual == "slope":
            return y, slope(spec, wide).astype(x.dtype)
        return y, x if residual == "x" else y

    def bwd(spec, kept, dy):
        wide, dy = widened(kept, dy)
        factor = wide if residual == "slope" else slope(spec, wide)
        return (like_primal(dy * factor, kept),)

    define(Rule(name, referenced, fwd, bwd))
