"""Pooling, and back."""

from functools import partial

import numpy as np
import torch

import functional_cnn as fcnn
from torch_parity._comparison import Comparison, Excluded, combinations, in_our_layout, normal

SIZES = (10, 9, 7)
FLAGS = (False, True)


def with_ties(rank: int) -> np.ndarray:
    return np.round(normal(2, *SIZES[:rank], 2))


def _pool(op, name, x, window, options, **ours):
    """``ours`` holds options of ours that PyTorch has no name for, or the other way round."""
    theirs = partial(in_our_layout(name), kernel_size=window, **options)
    function = partial(getattr(fcnn, op), window=window, **{**options, **ours})
    return Comparison(op, f"{x.ndim - 2}D, window {window} {options}", function, theirs, (x,))


GEOMETRIES = [
    (rank, window, options)
    for rank in (1, 2, 3)
    for window in (2, 3)
    for options in combinations(stride=(None, 1, 2), padding=(0, 1), dilation=(1, 2), ceil_mode=FLAGS)
]
MAX = [
    _pool("max_pool", "max_pool{}d", with_ties(rank), window, options) for rank, window, options in GEOMETRIES
]


def _with_indices(rank, window, options):
    name = "max_pool{}d_with_indices"
    return _pool("max_pool_with_indices", name, with_ties(rank), window, options)


INDICES = [_with_indices(*geometry) for geometry in GEOMETRIES if geometry[1] == 3]


def _average(rank, window, options):
    return _pool("avg_pool", "avg_pool{}d", with_ties(rank), window, options)


AVERAGE = [
    _average(rank, window, options)
    for rank in (1, 2, 3)
    for window in (2, 3)
    for options in combinations(stride=(None, 1, 2), padding=(0, 1), ceil_mode=FLAGS, count_include_pad=FLAGS)
] + [
    _average(rank, 3, {"stride": 2, **options})
    for rank in (2, 3)  # PyTorch's average over one dimension has no divisor
    for options in combinations(divisor_override=(1, 5), ceil_mode=FLAGS, padding=(0, 1))
]

UNEQUAL = [
    _pool(op, f"{op}{{}}d", with_ties(2), window, options)
    for window, options in [
        ((2, 3), {"stride": (3, 1), "padding": (1, 0)}),
        ((5, 4), {"stride": (1, 2), "padding": (2, 1)}),
        ((5, 4), {"stride": (4, 5), "padding": (2, 2), "ceil_mode": True}),
        ((2, 2), {"stride": 4, "ceil_mode": True}),  # windows that leave pixels out
        ((10, 9), {}),  # the whole image
    ]
    for op in ("max_pool", "avg_pool")
]
# Where all is -inf the gradient goes to the first pixel, never to the padding before it.
EXTREME = [
    _pool("max_pool", "max_pool{}d", x, window, {"stride": 1, "padding": 1})._replace(
        label=f"{what}, window {window}"
    )
    for window in (2, 5)
    for what, x in [
        ("all -inf", np.full((1, 6, 7, 2), -np.inf)),
        ("all inf", np.full((1, 6, 7, 2), np.inf)),
        ("empty batch", np.zeros((0, 6, 7, 2))),
    ]
]

LP = [
    _pool("lp_pool", "lp_pool{}d", x, window, {"stride": stride, "ceil_mode": ceil_mode}, p=p)._replace(
        label=f"{rank}D, p={p}, window {window}, stride {stride}, ceil_mode {ceil_mode}",
        theirs=partial(
            in_our_layout("lp_pool{}d"),
            norm_type=float(p),
            kernel_size=window,
            stride=stride,
            ceil_mode=ceil_mode,
        ),
    )
    for rank in (1, 2, 3)
    for window in (2, 3)
    for p, x in (
        (1, np.abs(normal(2, *SIZES[:rank], 2))),
        (2, normal(2, *SIZES[:rank], 2)),
        (3, np.abs(normal(2, *SIZES[:rank], 2))),
        (4, normal(2, *SIZES[:rank], 2)),
        (1.5, np.abs(normal(2, *SIZES[:rank], 2))),
    )
    for stride in (None, 2)
    for ceil_mode in FLAGS
]

GLOBAL = [
    Comparison(
        f"global_{kind}_pool",
        f"{rank}D",
        getattr(fcnn, f"global_{kind}_pool"),
        lambda x, kind=kind: in_our_layout(f"adaptive_{kind}_pool{{}}d")(x, output_size=1).flatten(1),
        (with_ties(rank),),
    )
    for kind in ("avg", "max")
    for rank in (1, 2, 3)
]
ADAPTIVE = [
    Comparison(
        f"adaptive_{kind}_pool",
        f"{inputs} to {size}",
        partial(getattr(fcnn, f"adaptive_{kind}_pool"), output_size=size),
        partial(in_our_layout(f"adaptive_{kind}_pool{{}}d"), output_size=size),
        (np.round(normal(2, *inputs, 2)),),
    )
    for kind in ("avg", "max")
    for inputs, sizes in [
        ((10,), (1, 2, 3, 5, 7, 10, 13)),
        ((10, 7), (1, 2, 3, 5, 7, 12, (5, 7), (3, 9), (None, 3), (4, None))),
        ((6, 5, 4), (1, 2, 3, 5, 7, (6, 1, 3), (None, 2, None))),
    ]
    for size in sizes
]


def _unpooled(rank, window, stride):
    x = with_ties(rank)
    y, indices = in_our_layout("max_pool{}d_with_indices")(torch.tensor(x), kernel_size=window, stride=stride)
    size = SIZES[:rank]

    def theirs(y, indices):
        return in_our_layout("max_unpool{}d")(
            y, indices=indices.movedim(-1, 1), kernel_size=window, stride=stride, output_size=size
        )

    arrays = (normal(*y.shape), indices.numpy())
    ours = partial(fcnn.max_unpool, output_size=size)
    return Comparison("max_unpool", f"{rank}D, window {window}, stride {stride}", ours, theirs, arrays)


UNPOOL = [
    _unpooled(rank, window, stride)
    for rank in (1, 2, 3)
    for window, stride in ((2, None), (3, None), (2, 3), (1, 2))
]

COMPARISONS = sorted(
    [*MAX, *INDICES, *AVERAGE, *UNEQUAL, *EXTREME, *LP, *GLOBAL, *ADAPTIVE, *UNPOOL], key=lambda c: c.op
)

EXCLUDED = [
    Excluded("max_pool", "the gradient at NaN", "PyTorch sends it to a window's last NaN, ours to the first"),
    Excluded("avg_pool", "dilation", "PyTorch has none"),
    Excluded("avg_pool", "divisor_override in 1D", "PyTorch has none"),
    Excluded("lp_pool", "odd or broken p of negative values", "PyTorch takes x^p, ours |x|^p"),
    Excluded("lp_pool", "padding, dilation", "PyTorch has neither"),
    Excluded(
        "max_unpool", "pixels named twice", "PyTorch's gradient goes to all of them, ours to the one written"
    ),
    Excluded("max_pool", "SAME, unequal pads", "PyTorch has neither; compared with Flax"),
    Excluded("avg_pool", "SAME, unequal pads", "PyTorch has neither; compared with Flax"),
    Excluded(
        "max_pool_with_indices", "SAME, unequal pads", "PyTorch has neither; max_pool is compared with Flax"
    ),
    Excluded("adaptive_max_pool", "return_indices", "ours has none"),
    Excluded("fractional_max_pool2d", "all of it", "not in this library"),
]
