"""Resizing, padding, and pixels to channels and back."""

from functools import partial

import functional_cnn as fcnn
from torch_parity._comparison import Comparison, Excluded, in_our_layout, normal

SIZES = (6, 5, 4)
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def _torch_mode(method, rank):
    return {
        "nearest": "nearest-exact",
        "nearest_floor": "nearest",
        "linear": LINEAR[rank],
        "cubic": "bicubic",
        "lanczos3": "lanczos",
    }[method]


def _resize(rank, size, method, **options):
    """Up, down, both and the same: sizes by axis, or one for all."""
    theirs = {"mode": _torch_mode(method, rank), **options}
    target = (size,) * rank if isinstance(size, int) else size
    return Comparison(
        "resize",
        f"{SIZES[:rank]} to {size}, {method} {options}",
        partial(fcnn.resize, size=size, method=method, **options),
        partial(in_our_layout("interpolate"), size=target, **theirs),
        (normal(2, *SIZES[:rank], 3),),
    )


TARGETS = {
    1: (1, 3, 5, 6, 7, 12, 17),
    2: (1, 3, 6, 12, (12, 10), (3, 11), (9, 2), (6, 5), (13, 17)),
    3: (1, 3, 8, (12, 10, 8), (3, 9, 4), (6, 5, 4), (2, 3, 7)),
}
RESIZE = [
    *(
        _resize(rank, size, method)
        for rank, sizes in TARGETS.items()
        for size in sizes
        for method in ("nearest", "nearest_floor")
    ),
    *(
        _resize(rank, size, "linear", align_corners=corners)
        for rank, sizes in TARGETS.items()
        for size in sizes
        for corners in (False, True)
    ),
    *(_resize(2, size, "cubic", align_corners=corners) for size in TARGETS[2] for corners in (False, True)),
    *(
        _resize(2, size, method, antialias=True)
        for size in TARGETS[2]
        for method in ("linear", "cubic", "lanczos3")
    ),
]

MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def _pad(rank, pads, mode, **value):
    flat = [side for pair in reversed(pads) for side in pair]  # PyTorch names the last axis first
    return Comparison(
        "pad",
        f"{rank}D, {pads}, {mode} {value}",
        partial(fcnn.pad, padding=pads, mode=mode, **value),
        partial(in_our_layout("pad"), pad=flat, mode=MODES[mode], **value),
        (normal(2, *SIZES[:rank], 3),),
    )


PADS = {
    1: [((0, 0),), ((2, 0),), ((1, 3),), ((5, 5),)],
    2: [((0, 0), (0, 0)), ((1, 2), (0, 3)), ((4, 0), (2, 2)), ((5, 5), (4, 4))],
    3: [((1, 0), (0, 2), (1, 1)), ((2, 2), (3, 0), (0, 3)), ((0, 0), (4, 4), (0, 0))],
}
PAD = [
    *(_pad(rank, pads, mode) for rank, each in PADS.items() for pads in each for mode in MODES),
    *(
        _pad(rank, pads, "constant", value=value)
        for rank, each in PADS.items()
        for pads in each
        for value in (1.5, -2.0)
    ),
]
SHUFFLE = [
    Comparison(
        op,
        f"{shape}, factor {factor}",
        partial(getattr(fcnn, op), factor=factor),
        partial(in_our_layout(op), **{name: factor}),
        (normal(*shape),),
    )
    for op, name, shapes in [
        ("pixel_shuffle", "upscale_factor", [(2, 3, 4, 36), (1, 1, 2, 72)]),
        ("pixel_unshuffle", "downscale_factor", [(2, 6, 12, 2), (1, 18, 6, 1)]),
    ]
    for shape in shapes
    for factor in (1, 2, 3, 6)
    if op == "pixel_shuffle" or not any(n % factor for n in shape[1:3])
]

COMPARISONS = [*RESIZE, *PAD, *SHUFFLE]

EXCLUDED = [
    Excluded("resize", "scale_factor, recompute_scale_factor", "ours takes the size"),
    Excluded("resize", "area", "fcnn.adaptive_avg_pool, compared by itself"),
    Excluded("resize", "cubic in 1D and 3D", "PyTorch has it in 2D alone"),
    Excluded("resize", "antialias in 1D and 3D", "PyTorch has it in 2D alone"),
    Excluded(
        "resize", "lanczos5, lanczos3 without antialias", "PyTorch has neither; compared with jax.image"
    ),
    Excluded(
        "resize", "nearest in float32 at any size", "at some sizes PyTorch rounds to a neighbouring pixel"
    ),
    Excluded("pad", "negative pads", "ours refuses them: slice instead"),
    Excluded("pad", "reflect and wrap by more than the image", "PyTorch refuses it; compared with jnp.pad"),
    Excluded("pixel_shuffle", "an empty batch", "PyTorch's gradient raises"),
    Excluded("pixel_unshuffle", "an empty batch", "PyTorch's gradient raises"),
    Excluded("pixel_shuffle", "1D and 3D", "PyTorch has it in 2D alone"),
    Excluded("pixel_unshuffle", "1D and 3D", "PyTorch has it in 2D alone"),
]
