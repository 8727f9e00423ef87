"""Convolutions, the dense layer, and the normalisations of a kernel."""

from functools import partial

import jax.numpy as jnp
import torch

import functional_cnn as fcnn
from torch_parity._comparison import Comparison, Excluded, F, combinations, in_our_layout, normal

SIZES = (7, 6, 5)
WINDOW = (3, 2, 2)


def _of(op, name, label, shapes, options):
    ours, theirs = partial(getattr(fcnn, op), **options), partial(in_our_layout(name), **options)
    return Comparison(op, f"{label} {options}", ours, theirs, tuple(normal(*shape) for shape in shapes))


def _conv(rank, options, bias):
    groups = options["groups"]
    shapes = [(2, *SIZES[:rank], 4), (*WINDOW[:rank], 4 // groups, 4), *([(4,)] if bias else [])]
    return _of("conv", "conv{}d", f"{rank}D, {'bias' if bias else 'no bias'},", shapes, options)


CONVS = [
    _conv(rank, options, bias)
    for rank, paddings, groups in ((1, (0, 1, 2), (1, 2, 4)), (2, (0, 1, 2), (1, 2, 4)), (3, (0, 1), (1, 4)))
    for options in combinations(stride=(1, 2), padding=paddings, dilation=(1, 2), groups=groups)
    for bias in ((False, True) if rank < 3 else (True,))
]
OTHER_CONVS = [
    _of("conv", "conv{}d", f"{x} {kernel}", [x, kernel], options)
    for x, kernel, options in [
        ((1, 6, 5, 7, 4), (2, 3, 2, 2, 6), {"stride": (1, 2, 3), "padding": (1, 0, 2), "groups": 2}),
        ((1, 6, 5, 7, 2), (2, 2, 3, 2, 3), {"stride": 2, "padding": 1, "dilation": (1, 2, 1)}),
        ((1, 6, 5, 7, 2), (3, 2, 1, 1, 2), {"padding": 1, "groups": 2}),
        ((2, 9, 7, 4), (3, 1, 4, 5), {"stride": (3, 1), "padding": (1, 0), "dilation": (1, 2)}),
        ((2, 9, 7, 4), (3, 2, 2, 6), {"padding": (3, 1), "dilation": 2, "groups": 2}),
        ((2, 9, 7, 4), (1, 1, 4, 5), {"padding": 0}),  # pointwise
        ((2, 9, 7, 4), (1, 1, 4, 5), {"stride": (2, 3), "padding": 0}),
        ((2, 9, 7, 3), (3, 3, 1, 6), {"padding": 1, "groups": 3}),  # two outputs a channel
        ((2, 5, 6, 66), (3, 2, 1, 132), {"stride": 2, "padding": 1, "groups": 66}),
        ((2, 9, 7, 4), (3, 3, 4, 5), {"padding": "same", "dilation": 2}),
        ((2, 9, 7, 4), (2, 4, 4, 5), {"padding": "valid", "stride": 2}),
        ((2, 9, 7, 4), (9, 7, 4, 5), {"padding": 0}),  # one pixel is left
        ((2, 9, 7, 4), (2, 1, 4, 5), {"padding": 0, "stride": (4, 3)}),  # windows that leave pixels out
        ((2, 3, 4, 4), (2, 1, 4, 5), {"padding": (3, 2), "stride": 2}),  # windows in the padding alone
        ((0, 5, 5, 2), (3, 3, 2, 3), {"padding": 1}),
        ((1, 1, 1, 1), (1, 1, 1, 1), {"padding": 0}),
    ]
]


def _transposed(rank, options):
    groups = options["groups"]
    shapes = [(2, *(4, 3, 3)[:rank], 4), (*WINDOW[:rank], 4 // groups, 4), (4,)]
    return _of("conv_transpose", "conv_transpose{}d", f"{rank}D", shapes, options)


TRANSPOSED = [
    _transposed(rank, options)
    for rank, strides, groups in ((1, (1, 2, 3), (1, 2, 4)), (2, (1, 2, 3), (1, 2, 4)), (3, (1, 2), (1, 4)))
    for options in combinations(
        stride=strides, padding=(0, 1), output_padding=(0, 1), dilation=(1, 2), groups=groups
    )
    if options["output_padding"] < max(options["stride"], options["dilation"])
] + [
    _of("conv_transpose", "conv_transpose{}d", f"{x} {kernel}", [x, kernel], options)
    for x, kernel, options in [
        ((2, 4, 5, 3), (2, 2, 4, 3), {"stride": 2, "padding": 0}),  # U-Net's
        ((2, 4, 5, 3), (4, 4, 2, 3), {"stride": 2, "padding": 1}),
        ((2, 4, 5, 3), (1, 1, 2, 3), {"padding": 0}),
        ((2, 4, 5, 3), (1, 1, 2, 3), {"stride": (2, 3), "padding": 0, "output_padding": (1, 2)}),
        ((2, 3, 4, 2), (2, 3, 2, 2), {"stride": (4, 1), "padding": (1, 0), "output_padding": (3, 0)}),
        (
            (2, 3, 4, 2),
            (3, 3, 2, 2),
            {"stride": 1, "padding": 2, "dilation": (2, 3), "output_padding": (1, 2)},
        ),
        ((2, 3, 3, 6), (3, 3, 1, 6), {"stride": 2, "padding": 1, "output_padding": 1, "groups": 6}),
        ((1, 2, 3, 66), (2, 2, 1, 66), {"stride": 2, "padding": 0, "groups": 66}),
        ((0, 3, 3, 2), (3, 3, 2, 2), {"stride": 2, "padding": 1}),
    ]
]

DENSE = [
    Comparison(
        "dense",
        f"{x}, {len(rest)} parameters",
        fcnn.dense,
        lambda x, kernel, *bias: F.linear(x, kernel.mT, *bias),
        (normal(*x), *(normal(*shape) for shape in rest)),
    )
    for x in [(5,), (4, 5), (2, 3, 5), (0, 5)]
    for rest in [[(5, 3)], [(5, 3), (3,)]]
]


def _separable(x, depthwise, pointwise, bias, **options):
    conv = in_our_layout("conv{}d")
    return conv(conv(x, depthwise, groups=x.shape[-1], **options), pointwise, bias)


SEPARABLE = [
    Comparison(
        "separable_conv",
        f"{rank}D, {multiplier} outputs a channel {options}",
        partial(fcnn.separable_conv, **options),
        partial(_separable, **options),
        (
            normal(2, *SIZES[:rank], 3),
            normal(*WINDOW[:rank], 1, 3 * multiplier),
            normal(*(1,) * rank, 3 * multiplier, 4),
            normal(4),
        ),
    )
    for rank in (1, 2, 3)
    for multiplier in (1, 2)
    for options in combinations(stride=(1, 2), padding=(0, 1), dilation=(1, 2))
]


def _standardized(kernel, eps):
    return F.batch_norm(kernel.reshape(-1, kernel.shape[-1]), None, None, training=True, eps=eps).reshape(
        kernel.shape
    )


KERNELS = [
    Comparison(
        "weight_standardization",
        f"{shape}, eps={eps}",
        partial(fcnn.weight_standardization, eps=eps),
        partial(_standardized, eps=eps),
        (normal(*shape),),
    )
    for shape in [(3, 3, 4, 5), (3, 2, 5), (2, 2, 2, 3, 4), (6, 5)]
    for eps in (1e-5, 1e-2)
]


def _spectral(shape, iterations):
    """PyTorch's parametrisation from a given u. Its matrix is (O, rest), so that it calls our u and v v and u."""
    kernel, start = normal(*shape), normal(shape[-1])

    def theirs(kernel):
        matrix = kernel.reshape(-1, kernel.shape[-1]).mT
        norm = torch.nn.utils.parametrizations._SpectralNorm(matrix.detach(), max(iterations, 1))
        norm._u = F.normalize(torch.tensor(start, dtype=kernel.dtype), dim=0)
        norm._v = F.normalize(matrix.detach().mT @ norm._u, dim=0)
        return norm.train(iterations > 0)(matrix).mT.reshape(kernel.shape)

    def ours(kernel):
        return fcnn.spectral_norm(kernel, jnp.asarray(start, kernel.dtype), iterations=iterations)[0]

    return Comparison("spectral_norm", f"{shape}, {iterations} iterations", ours, theirs, (kernel,))


SPECTRAL = [
    _spectral(shape, iterations) for shape in [(3, 3, 4, 5), (3, 2, 5), (6, 5)] for iterations in (0, 1, 3)
]

COMPARISONS = [*CONVS, *OTHER_CONVS, *TRANSPOSED, *DENSE, *SEPARABLE, *KERNELS, *SPECTRAL]

EXCLUDED = [
    Excluded(
        "conv", "padding_mode other than zeros", "a pad before the convolution: fcnn.pad, compared by itself"
    ),
    Excluded("conv", "SAME with a stride, unequal pads", "PyTorch has neither; compared with Flax"),
    Excluded("conv", "precision", "a hint to the compiler that CPU ignores"),
    Excluded("conv_transpose", "SAME and VALID, unequal pads", "PyTorch has neither; compared with Flax"),
    Excluded("conv_transpose", "precision", "a hint to the compiler that CPU ignores"),
]
