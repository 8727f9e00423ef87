"""Normalisation."""

from functools import partial

import torch

import functional_cnn as fcnn
from torch_parity._comparison import Comparison, Excluded, F, combinations, in_our_layout, normal

IMAGES = [(6, 6), (4, 5, 6), (2, 4, 5, 6), (2, 2, 4, 3, 6)]
# In float32 what is left of an offset of 100 has two digits less.
OFFSETS = [(0.0, 1.0), (100.0, 100.0)]


def _batch(x_shape, parameters, offset, coarser, eps):
    def theirs(x, weight=None, bias=None):
        options = {"running_mean": None, "running_var": None, "training": True, "eps": eps}
        y = in_our_layout("batch_norm")(x, weight=weight, bias=bias, **options)
        var, mean = torch.var_mean(x, tuple(range(x.ndim - 1)), correction=0)
        return y, mean, var

    arrays = (offset + normal(*x_shape), *(normal(6) for _ in range(parameters)))
    label = f"{x_shape}, {parameters} parameters, offset {offset}, eps {eps}"
    return Comparison("batch_norm", label, partial(fcnn.batch_norm, eps=eps), theirs, arrays, coarser)


BATCH = [
    _batch(shape, parameters, *offset, eps)
    for shape in IMAGES
    for parameters in (0, 1, 2)
    for offset in OFFSETS
    for eps in (1e-5, 1e-2)
]


def _inference(x_shape, parameters, eps):
    ours, mean, var = partial(fcnn.batch_norm_inference, eps=eps), normal(6), normal(6) ** 2 + 0.1

    def theirs(x, mean, var, scale=1, bias=0):  # PyTorch's own has no gradient for mean and var
        y = in_our_layout("batch_norm")(x, mean.detach(), var.detach(), eps=eps)
        written_out = (x - mean) / torch.sqrt(var + eps)
        torch.testing.assert_close(y, written_out)
        return written_out * scale + bias

    arrays = (normal(*x_shape), mean, var, *(normal(6) for _ in range(parameters)))
    return Comparison(
        "batch_norm_inference", f"{x_shape}, {parameters} parameters, eps {eps}", ours, theirs, arrays
    )


INFERENCE = [
    _inference(shape, parameters, eps) for shape in IMAGES for parameters in (0, 1, 2) for eps in (1e-5, 1e-2)
]


def _parameters(shape, parameters):
    return tuple(normal(*shape) for _ in range(parameters))


LAYER = [
    Comparison(
        "layer_norm",
        f"{shape}, last {last} axes, {parameters} parameters, offset {offset}, eps {eps}",
        partial(fcnn.layer_norm, axis=tuple(range(-last, 0)), eps=eps),
        partial(
            lambda x, *rest, size, eps: F.layer_norm(x, size, *rest, eps=eps), size=shape[-last:], eps=eps
        ),
        (offset + normal(*shape), *_parameters(shape[-last:], parameters)),
        coarser,
    )
    for shape in [(4, 6), (2, 5, 6), (2, 4, 3, 5)]
    for last in range(1, len(shape))
    for parameters in (0, 1, 2)
    for offset, coarser in OFFSETS
    for eps in (1e-5, 1e-2)
]


def _group(x, *rest, groups, eps):
    # A copy: of a channels-last view around 100 PyTorch's float32 result is wrong in the third digit.
    return F.group_norm(x.movedim(-1, 1).contiguous(), groups, *rest, eps=eps).movedim(1, -1)


GROUP = [
    Comparison(
        "group_norm",
        f"{shape}, {groups} groups, {parameters} parameters, offset {offset}",
        partial(fcnn.group_norm, groups=groups, eps=eps),
        partial(_group, groups=groups, eps=eps),
        (offset + normal(*shape), *_parameters((6,), parameters)),
        # Of two values a group, what is left of their mean has few digits.
        max(coarser, 10.0),
    )
    for shape in IMAGES
    for groups in (1, 2, 3) + ((6,) if len(shape) > 2 else ())
    for parameters in (0, 1, 2)
    for (offset, coarser), eps in zip(OFFSETS, (1e-5, 1e-2), strict=True)
]


def _instance(x, *rest, eps):
    scale, bias = (*rest, None, None)[:2]
    return F.instance_norm(x.movedim(-1, 1), weight=scale, bias=bias, eps=eps).movedim(1, -1)


INSTANCE = [
    Comparison(
        "instance_norm",
        f"{shape}, {parameters} parameters, offset {offset}, eps {eps}",
        partial(fcnn.instance_norm, eps=eps),
        partial(_instance, eps=eps),
        (offset + normal(*shape), *_parameters((6,), parameters)),
        coarser,
    )
    for shape in IMAGES[1:]
    for parameters in (0, 1, 2)
    for offset, coarser in OFFSETS
    for eps in (1e-5, 1e-2)
]
RMS = [
    Comparison(
        "rms_norm",
        f"{shape}, last {last} axes, {parameters} parameters, eps {eps}",
        partial(fcnn.rms_norm, axis=tuple(range(-last, 0)), eps=eps),
        partial(lambda x, *rest, size, eps: F.rms_norm(x, size, *rest, eps=eps), size=shape[-last:], eps=eps),
        (normal(*shape), *_parameters(shape[-last:], parameters)),
    )
    for shape in [(4, 6), (2, 5, 6), (2, 4, 3, 5)]
    for last in range(1, len(shape))
    for parameters in (0, 1)
    for eps in (1e-5, 1e-2)
]
RESPONSE = [
    Comparison(
        "local_response_norm",
        f"{rank}D {options}",
        partial(fcnn.local_response_norm, **options),
        partial(in_our_layout("local_response_norm"), **options),
        (normal(2, *(4, 3, 2)[:rank], 7),),
    )
    for rank in (1, 2, 3)
    for options in combinations(size=(1, 2, 3, 5, 8), alpha=(1e-4, 1.0), beta=(0.5, 0.75), k=(1.0, 2.0))
]

COMPARISONS = [*BATCH, *INFERENCE, *LAYER, *GROUP, *INSTANCE, *RMS, *RESPONSE]

EXCLUDED = [
    Excluded(
        "batch_norm", "running statistics, momentum", "the caller's; models and docs/coming-from.md have them"
    ),
    Excluded("batch_norm", "axis_name", "PyTorch's SyncBatchNorm needs several processes"),
    Excluded("layer_norm", "axes that are not the last ones", "PyTorch normalises the last axes alone"),
    Excluded("rms_norm", "axes that are not the last ones", "PyTorch normalises the last axes alone"),
    Excluded("rms_norm", "eps=None, the machine epsilon of the dtype", "ours has a number"),
    Excluded("instance_norm", "running statistics", "ours has none, nor has the paper"),
    Excluded("group_norm", "a group of one value in a batch of one", "PyTorch refuses it"),
    Excluded(
        "group_norm", "channels-last views in float32", "PyTorch loses digits; compared on a contiguous copy"
    ),
    Excluded("group_norm", "a bias without a scale", "PyTorch's gradient raises"),
]
