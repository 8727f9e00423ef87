"""Activations, at ordinary points, at their kinks and far out."""

from functools import partial

import numpy as np
import torch

import functional_cnn as fcnn
from torch_parity._comparison import Comparison, Excluded, F, combinations, normal

KINKS = np.array([0.0, -0.0, 1e-300, -1e-300, 1.0, -1.0, 3.0, -3.0, 6.0])
FAR = np.array([30.0, -30.0, 80.0, -80.0, 1e4, -1e4])
POINTS = {
    "ordinary": 3 * normal(2, 3, 4),
    "kinks": KINKS,
    "far out": FAR,
    "empty": normal(0, 3),
    "scalar": normal(),
}
# PyTorch's name and options for ours.
PAIRS = [
    ("relu", "relu", {}, {}),
    ("relu6", "relu6", {}, {}),
    ("selu", "selu", {}, {}),
    ("silu", "silu", {}, {}),
    ("mish", "mish", {}, {}),
    ("softplus", "softplus", {}, {"threshold": 1e3}),
    ("softsign", "softsign", {}, {}),
    ("sigmoid", "sigmoid", {}, {}),
    ("log_sigmoid", "logsigmoid", {}, {}),
    ("tanh", "tanh", {}, {}),
    ("hard_silu", "hardswish", {}, {}),
    ("gelu", "gelu", {"approximate": True}, {"approximate": "tanh"}),
    ("gelu", "gelu", {"approximate": False}, {"approximate": "none"}),
    *(
        ("leaky_relu", "leaky_relu", options, options)
        for options in combinations(negative_slope=(0.01, 0, 1, 2.5, -0.3))
    ),
    *(("elu", "elu", options, options) for options in combinations(alpha=(1.0, 0.3, 2.5, 0.0))),
    *(
        ("hard_tanh", "hardtanh", options, options)
        for options in ({}, {"min_val": -3.0, "max_val": 3.0}, {"min_val": 0.0, "max_val": 6.0})
    ),
]
ELEMENTWISE = [
    Comparison(
        op,
        f"{label} {options}",
        partial(getattr(fcnn, op), **options),
        partial(getattr(F, name), **theirs),
        (x,),
    )
    for op, name, options, theirs in PAIRS
    for label, x in POINTS.items()
]
# PyTorch's hardsigmoid, written out: its own backward has 1/6 rounded to float32, in float64 too.
HARD_SIGMOID = [
    Comparison("hard_sigmoid", label, fcnn.hard_sigmoid, lambda x: F.relu6(x + 3) / 6, (x,))
    for label, x in POINTS.items()
]


def _celu(x, alpha):
    return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0) / alpha))


# PyTorch's celu, written out: its own rounds 1 / alpha to float32, in float64 too.
CELU = [
    Comparison(
        "celu", f"{label}, alpha {alpha}", partial(fcnn.celu, alpha=alpha), partial(_celu, alpha=alpha), (x,)
    )
    for alpha in (1.0, 0.3, 2.5, -0.7)
    for label, x in POINTS.items()
]


def _prelu(x, slope):
    return F.prelu(x.movedim(-1, 1), slope).movedim(1, -1)


PRELU = [
    Comparison("prelu", f"{x.shape}, {len(slope)} slopes", fcnn.prelu, _prelu, (x, slope))
    for x in (normal(4, 3), normal(2, 5, 3), normal(2, 4, 5, 3), normal(0, 4, 3), np.zeros((1, 2, 3)))
    for slope in (normal(1), normal(3))
]
GLU = [
    Comparison(
        "glu",
        f"{shape}, axis {axis}",
        partial(fcnn.glu, axis=axis),
        partial(F.glu, dim=axis),
        (3 * normal(*shape),),
    )
    for shape, axes in [((6,), (0, -1)), ((4, 6), (0, 1)), ((2, 4, 8), (-3, -2, -1)), ((0, 2), (1,))]
    for axis in axes
]


def _rows(name, axis):
    def function(x):
        if isinstance(axis, int):
            return getattr(F, name)(x, dim=axis)
        return getattr(F, name)(x.flatten(1), dim=1).reshape(x.shape)

    return function


SOFTMAX = [
    Comparison(
        op,
        f"{shape}, axis {axis}, offset {offset}",
        partial(getattr(fcnn, op), axis=axis),
        _rows(op, axis),
        (offset + normal(*shape),),
        1 + offset / 10,
    )
    for op in ("softmax", "log_softmax")
    for shape, axes in [
        ((5,), (0,)),
        ((4, 5), (0, -1)),
        ((3, 4, 5), (-1, 0, 1, (1, 2))),
        ((0, 4), (1,)),
        ((4, 1), (1,)),
    ]
    for axis in axes
    for offset in (0.0, 1000.0)  # exp(1000) overflows
]

COMPARISONS = sorted([*ELEMENTWISE, *HARD_SIGMOID, *CELU, *PRELU, *GLU, *SOFTMAX], key=lambda c: c.op)

EXCLUDED = [
    *(
        Excluded(op, "the gradient at NaN", "PyTorch passes the cotangent, ours is 0 as in jax.nn.relu")
        for op in ("relu", "relu6", "hard_tanh")
    ),
    *(
        Excluded(op, "the gradient at NaN", "PyTorch passes the cotangent, ours is NaN")
        for op in ("elu", "hard_silu")
    ),
    Excluded(
        "hard_sigmoid", "PyTorch's own backward", "it rounds 1/6 to float32 in float64; compared written out"
    ),
    Excluded("celu", "PyTorch's own", "it rounds 1 / alpha to float32 in float64; compared written out"),
    Excluded("softplus", "beta, threshold", "ours has beta=1 and no switch to x, which PyTorch makes at 20"),
    Excluded("softmax", "dtype", "cast x instead"),
    Excluded("hard_tanh", "equal levels", "ours refuses them"),
    *(
        Excluded(name, "all of it", "not in this library: jax.nn or a line of jnp")
        for name in (
            "threshold",
            "rrelu",
            "hardshrink",
            "softshrink",
            "tanhshrink",
            "softmin",
            "gumbel_softmax",
        )
    ),
]
