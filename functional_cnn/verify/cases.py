"""The table of cases: at which shapes and options every rule is proved.

Each case is a call of a public op. ``sharp`` cases also run every transformation and second derivatives;
the rest vary options and geometry. A case at a kink, a tie or a jump is marked ``smooth=False``.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

import functional_cnn as fcnn

Draw = Callable[[np.random.Generator], Any]


class Case(NamedTuple):
    """One call of an op: ``fun(*arguments)`` with arguments drawn anew from a seed."""

    op: str
    label: str
    fun: Callable[..., Any]
    draws: tuple[Draw, ...]
    sharp: bool
    smooth: bool

    def arguments(self, dtype: Any, seed: int = 0) -> tuple[Any, ...]:
        """The case's arguments, floating ones in ``dtype``; the same values for every dtype, up to rounding."""
        rng = np.random.default_rng(seed)
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


def distribution(*shape: int) -> Draw:
    return lambda rng: rng.dirichlet(np.ones(shape[-1]), shape[:-1])


def key(seed: int) -> Draw:
    return lambda rng: jax.random.key(seed)


class _Table:
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
        **options: Any,
    ) -> None:
        @functools.wraps(fun)
        def call(*args):
            return fun(*args, **options)

        self.cases.append(Case(fun.__name__, label, call, draws, sharp, smooth))


def _conv(add: Callable[..., None]) -> None:
    def conv(label, x, kernel, *, bias=False, **rest):
        add(fcnn.conv, label, normal(*x), normal(*kernel), *([normal(kernel[-1])] if bias else []), **rest)

    conv("3x3 with bias", (2, 5, 6, 3), (3, 3, 3, 4), bias=True, sharp=True)
    conv("stride 2", (2, 7, 6, 3), (3, 3, 3, 4), stride=2, sharp=True)
    conv(
        "stride, padding and dilation by axis",
        (1, 7, 8, 2),
        (3, 2, 2, 3),
        stride=(2, 3),
        padding=((1, 2), (0, 3)),
        dilation=(2, 1),
    )
    conv("1D", (2, 9, 3), (4, 3, 2), bias=True, stride=2)
    conv("3D", (1, 4, 5, 3, 2), (2, 3, 2, 2, 3), padding=1)
    conv("2 groups", (2, 5, 5, 4), (3, 3, 2, 6), groups=2, sharp=True)
    conv("many groups of 2 in and 1 out", (1, 3, 3, 132), (2, 2, 2, 66), groups=66)
    conv("depthwise", (2, 6, 5, 4), (3, 3, 1, 4), groups=4, sharp=True)
    conv(
        "depthwise, stride 2, dilated", (2, 9, 9, 3), (3, 3, 1, 3), groups=3, stride=2, dilation=2, padding=2
    )
    conv("depthwise, stride larger than window", (1, 7, 7, 2), (2, 2, 1, 2), groups=2, stride=3)
    conv("depthwise 1D, two outputs a channel", (2, 8, 3), (3, 1, 6), groups=3)
    conv("depthwise, more taps than are unrolled", (1, 10, 9, 2), (9, 9, 1, 2), groups=2)
    conv("1x1", (2, 4, 5, 3), (1, 1, 3, 4), padding="VALID", bias=True, sharp=True)
    conv("1x1, stride 3", (2, 7, 8, 3), (1, 1, 3, 2), stride=3, padding="VALID")
    conv("1x1, padded", (1, 4, 4, 2), (1, 1, 2, 3), padding=2)
    conv("padding larger than window", (1, 3, 3, 2), (2, 2, 2, 2), padding=4)
    conv("stride larger than window", (1, 8, 7, 2), (2, 2, 2, 2), stride=5, padding="VALID")
    conv("empty batch", (0, 5, 5, 2), (3, 3, 2, 3), bias=True)
    conv("more than 8192 elements", (2, 24, 24, 8), (3, 3, 8, 2), padding="VALID", precision="highest")


def _dense(add: Callable[..., None]) -> None:
    add(fcnn.dense, "with bias", normal(5, 4), normal(4, 3), normal(3), sharp=True)
    add(fcnn.dense, "without bias", normal(5, 4), normal(4, 3))
    add(fcnn.dense, "one vector", normal(4), normal(4, 3), normal(3), sharp=True)
    add(fcnn.dense, "leading axes", normal(2, 3, 2, 4), normal(4, 3), normal(3))
    add(fcnn.dense, "empty batch", normal(0, 4), normal(4, 3), normal(3))
    add(fcnn.dense, "more than 8192 elements", normal(128, 80), normal(80, 3))


def _max_pool(add: Callable[..., None]) -> None:
    def pool(label, draw, window, **rest):
        add(fcnn.max_pool, label, draw, window=window, **rest)

    pool("2x2", distinct(2, 6, 4, 3), 2, sharp=True)
    pool("3x3, stride 2, padded", distinct(2, 7, 8, 2), 3, stride=2, padding=1, sharp=True)
    pool(
        "window, stride and padding by axis",
        distinct(1, 8, 9, 2),
        (3, 2),
        stride=(1, 3),
        padding=((1, 0), (0, 1)),
    )
    pool("same, rest left over", distinct(1, 8, 7, 2), 3, padding="SAME")
    pool("1D", distinct(2, 9, 3), 3, stride=2)
    pool("3D", distinct(1, 4, 5, 4, 2), 2, stride=(1, 2, 2))
    pool("5x5, one axis after the other", distinct(1, 7, 8, 2), 5, stride=2, padding=2, sharp=True)
    pool("dilated", distinct(1, 9, 8, 2), 3, stride=2, dilation=2, padding=2)
    pool("ceil mode", distinct(1, 8, 7, 2), 3, stride=2, padding=1, ceil_mode=True)
    pool("stride larger than window", distinct(1, 9, 9, 2), 2, stride=4)
    pool("1x1", distinct(1, 3, 4, 2), 1)
    pool("ties", tied(2, 7, 7, 3), 3, stride=2, padding=1, smooth=False, sharp=True)
    pool("ties, one axis after the other", tied(2, 8, 8, 3), 5, stride=1, padding=2, smooth=False)
    pool("ties in tiles", tied(2, 6, 6, 2), 2, smooth=False)
    pool("empty batch", distinct(0, 6, 6, 2), 2)
    pool("more than 8192 elements", distinct(1, 34, 32, 8), 3, stride=2, padding=1)


def _avg_pool(add: Callable[..., None]) -> None:
    def pool(label, shape, window, **rest):
        add(fcnn.avg_pool, label, normal(*shape), window=window, **rest)

    pool("2x2", (2, 6, 4, 3), 2, sharp=True)
    pool("3x3, stride 2, padded", (2, 7, 8, 2), 3, stride=2, padding=1, sharp=True)
    pool("padding not counted", (2, 7, 8, 2), 3, stride=2, padding=1, count_include_pad=False)
    pool("window, stride and padding by axis", (1, 8, 9, 2), (3, 2), stride=(1, 3), padding=((1, 0), (0, 1)))
    pool("same", (1, 8, 7, 2), 3, padding="SAME", stride=2)
    pool("1D", (2, 9, 3), 3, stride=2)
    pool("3D", (1, 4, 5, 4, 2), 2, stride=(1, 2, 2))
    pool("5x5, one axis after the other", (1, 7, 8, 2), 5, stride=2, padding=2, sharp=True)
    pool("dilated", (1, 9, 8, 2), 3, stride=2, dilation=2, padding=2)
    pool("ceil mode", (1, 8, 7, 2), 3, stride=2, padding=1, ceil_mode=True)
    pool("ceil mode, padding not counted", (1, 8, 8, 2), 3, stride=2, ceil_mode=True, count_include_pad=False)
    pool("divisor given", (1, 6, 6, 2), 2, divisor_override=3)
    pool("stride larger than window", (1, 9, 9, 2), 2, stride=4)
    pool("empty batch", (0, 6, 6, 2), 2)
    pool("more than 8192 elements", (1, 34, 32, 8), 3, stride=2, padding=1)


def _global_avg_pool(add: Callable[..., None]) -> None:
    add(fcnn.global_avg_pool, "2D", normal(2, 3, 4, 5), sharp=True)
    add(fcnn.global_avg_pool, "1D", normal(2, 5, 3))
    add(fcnn.global_avg_pool, "3D", normal(1, 2, 3, 2, 2))
    add(fcnn.global_avg_pool, "empty batch", normal(0, 3, 4, 5))
    add(fcnn.global_avg_pool, "more than 8192 elements", normal(1, 33, 32, 8))


def _batch_norm(add: Callable[..., None]) -> None:
    op = fcnn.batch_norm
    add(op, "scale and bias", normal(3, 4, 3, 2), normal(2), normal(2), sharp=True)
    add(op, "plain", normal(4, 3, 3, 2))
    add(op, "scale alone", normal(3, 5, 2), normal(2), eps=1e-2)
    add(op, "no pixels", normal(8, 3), normal(3), normal(3))
    add(op, "3D", normal(2, 2, 3, 2, 2), normal(2), normal(2))
    add(op, "batch 1", normal(1, 4, 4, 2), normal(2), normal(2))
    add(op, "offset of 100", normal(3, 4, 3, 2, offset=100.0), normal(2), normal(2))
    add(op, "empty batch", normal(0, 4, 4, 2), normal(2), normal(2), smooth=False)
    add(op, "more than 8192 elements", normal(4, 16, 17, 8), normal(8), normal(8))


def _batch_norm_inference(add: Callable[..., None]) -> None:
    op = fcnn.batch_norm_inference
    add(op, "scale and bias", normal(3, 4, 3, 2), normal(2), positive(2), normal(2), normal(2), sharp=True)
    add(op, "plain", normal(4, 3, 3, 2), normal(2), positive(2))
    add(op, "no pixels", normal(8, 3), normal(3), positive(3), normal(3), eps=1e-2)
    add(op, "empty batch", normal(0, 4, 4, 2), normal(2), positive(2), normal(2), normal(2))
    add(op, "more than 8192 elements", normal(4, 16, 17, 8), normal(8), positive(8), normal(8), normal(8))


def _activations(add: Callable[..., None]) -> None:
    for op in (fcnn.relu, fcnn.leaky_relu):
        add(op, "away from the kink", away_from_zero(4, 5), sharp=True)
        add(op, "at the kink", values(-1.0, -0.0, 0.0, 2.0), smooth=False, sharp=True)
        add(op, "scalar", away_from_zero())
        add(op, "empty", normal(0, 3))
        add(op, "more than 8192 elements", away_from_zero(91, 91))
    add(fcnn.leaky_relu, "zero slope", away_from_zero(4, 5), negative_slope=0.0)
    add(fcnn.leaky_relu, "negative slope", away_from_zero(4, 5), negative_slope=-0.3, sharp=True)
    add(fcnn.leaky_relu, "slope above 1", away_from_zero(4, 5), negative_slope=1.5)
    for op in (fcnn.sigmoid, fcnn.tanh):
        add(op, "matrix", normal(4, 5), sharp=True)
        add(op, "saturated", values(-30.0, -5.0, 0.0, 5.0, 30.0), smooth=False)
        add(op, "scalar", normal())
        add(op, "empty", normal(0, 3))
        add(op, "more than 8192 elements", normal(91, 91))
    for op in (fcnn.softmax, fcnn.log_softmax):
        add(op, "last axis", normal(4, 5), sharp=True)
        add(op, "first axis", normal(4, 5), axis=0)
        add(op, "two axes", normal(2, 3, 4), axis=(0, 2))
        add(op, "large values", normal(3, 4, scale=100.0), smooth=False)
        add(op, "empty batch", normal(0, 5))
        add(op, "more than 8192 elements", normal(91, 91))


def _dropout(add: Callable[..., None]) -> None:
    add(fcnn.dropout, "half", normal(4, 5), key(0), rate=0.5, sharp=True)
    add(fcnn.dropout, "spatial", normal(2, 3, 4, 5), key(1), rate=0.3, broadcast_axes=(1, 2))
    add(fcnn.dropout, "rate 0", normal(4, 5), key(2), rate=0.0)
    add(fcnn.dropout, "empty batch", normal(0, 5), key(3), rate=0.2)
    add(fcnn.dropout, "more than 8192 elements", normal(91, 91), key(4), rate=0.9)


def _losses(add: Callable[..., None]) -> None:
    op = fcnn.softmax_cross_entropy
    add(op, "integer labels", normal(4, 5), integers(5, 4), sharp=True)
    add(op, "integer labels, smoothed", normal(4, 5), integers(5, 4), label_smoothing=0.1)
    add(op, "distributions", normal(4, 5), distribution(4, 5), sharp=True)
    add(op, "distributions, smoothed", normal(4, 5), distribution(4, 5), label_smoothing=0.3)
    add(op, "labels that do not sum to one", normal(4, 5), positive(4, 5))
    add(op, "a label for each pixel", normal(2, 3, 4, 5), integers(5, 2, 3, 4))
    add(op, "one example", normal(5), integers(5))
    add(op, "one class", normal(3, 1), integers(1, 3))
    add(op, "large logits", normal(4, 5, scale=100.0), integers(5, 4), smooth=False)
    add(op, "empty batch", normal(0, 5), integers(5, 0))
    add(op, "more than 8192 elements", normal(91, 91), integers(91, 91))
    op = fcnn.sigmoid_cross_entropy
    add(op, "probabilities", normal(4, 5), positive(4, 5), sharp=True)
    add(op, "integer labels", normal(4, 5), integers(2, 4, 5))
    add(op, "large logits", values(-800.0, -30.0, 30.0, 800.0), values(0.0, 1.0, 0.25, 1.0), smooth=False)
    add(op, "logit zero", values(0.0, 0.0), values(0.0, 1.0), smooth=False)
    add(op, "empty", normal(0, 5), positive(0, 5))
    add(op, "more than 8192 elements", normal(91, 91), positive(91, 91))
    op = fcnn.squared_error
    add(op, "matrix", normal(4, 5), normal(4, 5), sharp=True)
    add(op, "integer targets", normal(4, 5), integers(9, 4, 5))
    add(op, "equal", values(1.0, 2.0), values(1.0, 2.0))
    add(op, "empty", normal(0, 5), normal(0, 5))
    add(op, "more than 8192 elements", normal(91, 91), normal(91, 91))


def _table() -> tuple[Case, ...]:
    table = _Table()
    for family in (
        _conv,
        _dense,
        _max_pool,
        _avg_pool,
        _global_avg_pool,
        _batch_norm,
        _batch_norm_inference,
        _activations,
        _dropout,
        _losses,
    ):
        family(table.add)
    return tuple(table.cases)


CASES = _table()
