"""A case of the table: one call of a public op, with arguments that are drawn anew.

Each case is a call of a public op. ``sharp`` cases also run every transformation and second derivatives;
the rest vary options and geometry. A case at a kink, a tie or a jump is marked ``smooth=False``.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

Draw = Callable[[np.random.Generator], Any]
Add = Callable[..., None]


class Case(NamedTuple):
    """One call of an op: ``fun(*arguments)`` with arguments drawn anew from a seed."""

    op: str
    label: str
    fun: Callable[..., Any]
    draws: tuple[Draw, ...]
    options: dict[str, Any]
    sharp: bool
    smooth: bool
    batched: tuple[int, ...]  # the arguments whose first axis is the batch

    def arguments(self, dtype: Any, seed: int = 0) -> tuple[Any, ...]:
        """The case's arguments, floating ones in ``dtype``; the same values for every dtype, up to rounding."""
        rng = np.random.default_rng([seed, 1])  # another stream than that of the cotangents
        drawn = (draw(rng) for draw in self.draws)
        return tuple(a.astype(dtype) if a.dtype == np.float64 else a for a in drawn)


def normal(*shape: int, scale: float = 1.0, offset: float = 0.0) -> Draw:
    return lambda rng: np.asarray(offset + scale * rng.standard_normal(shape))


def positive(*shape: int) -> Draw:
    return lambda rng: 0.5 + rng.random(shape)


def away_from_zero(*shape: int) -> Draw:
    """Random signs and sizes of at least 0.1: no kink at zero is near."""
    return lambda rng: np.asarray(np.where(rng.random(shape) < 0.5, -1, 1) * (0.1 + rng.random(shape)))


def distinct(*shape: int) -> Draw:
    """A permutation of evenly spaced values between -1 and 1: no maximum is near another value."""
    return lambda rng: rng.permutation(np.linspace(-1, 1, int(np.prod(shape)))).reshape(shape)


def tied(*shape: int) -> Draw:
    """Values from {0, 1, 2}: most maxima are tied."""
    return lambda rng: rng.integers(0, 3, shape).astype(np.float64)


def values(*entries: float) -> Draw:
    return lambda rng: np.asarray(entries, np.float64)


def integers(high: int, *shape: int) -> Draw:
    return lambda rng: rng.integers(0, high, shape).astype(np.int32)


def places(high: int, *shape: int) -> Draw:
    """Different integers below ``high`` along the axes between the first and the last: pixels, named once."""

    def draw(rng):
        batch, channels, count = shape[0], shape[-1], int(np.prod(shape[1:-1]))
        chosen = rng.permuted(np.tile(np.arange(high), (batch, channels, 1)), axis=-1)[..., :count]
        return np.swapaxes(chosen, 1, 2).reshape(shape).astype(np.int32)

    return draw


def distribution(*shape: int) -> Draw:
    return lambda rng: rng.dirichlet(np.ones(shape[-1]), shape[:-1])


def key(seed: int) -> Draw:
    return lambda rng: jax.random.key(seed)


class Table:
    """Collects cases, op by op."""

    def __init__(self) -> None:
        self.cases: list[Case] = []

    def add(
        self,
        fun: Callable[..., Any],
        label: str,
        *draws: Draw,
        sharp: bool = False,
        smooth: bool = True,
        batched: tuple[int, ...] = (0,),
        **options: Any,
    ) -> None:
        @functools.wraps(fun)
        def call(*args):
            return fun(*args, **options)

        self.cases.append(Case(fun.__name__, label, call, draws, options, sharp, smooth, batched))
