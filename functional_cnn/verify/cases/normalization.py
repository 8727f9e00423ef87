"""Normalisation."""

import functional_cnn as fcnn
from functional_cnn.verify.cases._case import Add, normal, positive, values


def batch_norm(add: Add) -> None:
    op = fcnn.batch_norm
    add(op, "scale and bias", normal(4, 4, 3, 2), normal(2), normal(2), sharp=True)
    add(op, "plain", normal(4, 3, 3, 2))
    add(op, "scale alone", normal(3, 5, 2), normal(2), eps=1e-2)
    add(op, "no pixels", normal(8, 3), normal(3), normal(3))
    add(op, "3D", normal(2, 2, 3, 2, 2), normal(2), normal(2))
    add(op, "batch 1", normal(1, 4, 4, 2), normal(2), normal(2))
    add(op, "offset of 100", normal(3, 4, 3, 2, offset=100.0), normal(2), normal(2))
    add(op, "empty batch", normal(0, 4, 4, 2), normal(2), normal(2), smooth=False)
    add(op, "more than 8192 elements", normal(4, 16, 17, 8), normal(8), normal(8))


def batch_norm_inference(add: Add) -> None:
    op = fcnn.batch_norm_inference
    add(op, "scale and bias", normal(4, 4, 3, 2), normal(2), positive(2), normal(2), normal(2), sharp=True)
    add(op, "plain", normal(4, 3, 3, 2), normal(2), positive(2))
    add(op, "no pixels", normal(8, 3), normal(3), positive(3), normal(3), eps=1e-2)
    add(op, "empty batch", normal(0, 4, 4, 2), normal(2), positive(2), normal(2), normal(2))
    add(op, "more than 8192 elements", normal(4, 16, 17, 8), normal(8), positive(8), normal(8), normal(8))


def sample_norms(add: Add) -> None:
    op = fcnn.layer_norm
    add(op, "channels of each pixel", normal(2, 3, 4), normal(4), normal(4), sharp=True)
    add(op, "whole images", normal(2, 3, 2, 2), normal(3, 2, 2), normal(3, 2, 2), axis=(1, 2, 3))
    add(op, "first axis", normal(5, 3), normal(5), axis=0)
    add(op, "one vector", normal(5), eps=1e-2)
    add(op, "3D, outer axes, order as given", normal(2, 3, 2, 2, 2), normal(3, 2), axis=(-1, 1))
    op = fcnn.group_norm
    add(op, "2 groups", normal(2, 3, 2, 4), normal(4), normal(4), groups=2, sharp=True)
    add(op, "one group", normal(2, 3, 3), groups=1)
    add(op, "a group for each channel", normal(2, 3, 2, 4), normal(4), groups=4, eps=1e-2)
    add(op, "images without pixels", normal(2, 0, 2, 4), normal(4), normal(4), groups=2, smooth=False)
    add(op, "no pixels", normal(3, 6), normal(6), normal(6), groups=2)
    add(op, "3D", normal(2, 2, 3, 2, 4), normal(4), groups=2)
    op = fcnn.instance_norm
    add(op, "scale and bias", normal(2, 3, 2, 3), normal(3), normal(3), sharp=True)
    add(op, "1D, plain", normal(2, 7, 3))
    add(op, "3D, scale alone", normal(2, 2, 3, 2, 2), normal(2), eps=1e-2)
    for op, options in (
        (fcnn.layer_norm, {}),
        (fcnn.group_norm, {"groups": 2}),
        (fcnn.instance_norm, {}),
    ):
        add(op, "offset of 100", normal(2, 3, 5, 8, offset=100.0), normal(8), normal(8), **options)
        add(op, "batch 1", normal(1, 2, 4, 2), normal(2), normal(2), **options)
        add(op, "empty batch", normal(0, 3, 2, 4), normal(4), normal(4), **options)
        add(op, "more than 8192 elements", normal(4, 16, 17, 8), normal(8), normal(8), **options)


def rms_norm(add: Add) -> None:
    op = fcnn.rms_norm
    add(op, "channels of each pixel", normal(2, 3, 4), normal(4), sharp=True)
    add(op, "plain", normal(2, 3, 4))
    add(op, "two axes", normal(3, 2, 4), normal(3, 4), axis=(0, -1), eps=1e-2)
    add(op, "one vector", normal(5), axis=0)
    add(op, "one image, plain", normal(1, 3, 4))
    add(op, "zeros", values(0.0, 0.0), smooth=False)
    add(op, "empty batch", normal(0, 3, 4), normal(4))
    add(op, "more than 8192 elements", normal(4, 16, 17, 8), normal(8))


def local_response_norm(add: Add) -> None:
    op = fcnn.local_response_norm
    add(op, "5 channels", normal(2, 2, 7), size=5, alpha=0.5, sharp=True)
    add(op, "even size", normal(2, 3, 2, 6), size=4, alpha=2.0, beta=0.5, k=2.0)
    add(op, "more neighbours than channels", normal(2, 3), size=9, alpha=1.0)
    add(op, "one channel", normal(2, 3, 1), size=3, alpha=1.0, beta=-1.0)
    add(op, "itself alone", normal(7), size=1, alpha=1.0)
    add(op, "defaults", normal(2, 3, 2, 2, 4), size=2)
    add(op, "empty batch", normal(0, 3, 4), size=3)
    add(op, "more than 8192 elements", normal(4, 16, 17, 8), size=5)


FAMILIES = (batch_norm, batch_norm_inference, sample_norms, rms_norm, local_response_norm)
