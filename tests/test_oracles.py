"""The references themselves, against definitions in NumPy loops that share nothing with lax."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

import functional_cnn as fcnn

RNG = np.random.default_rng(0)


def _windows(x, size, stride, pads, dilation, fill):
    """For each output pixel its position and the window of the padded image: {p: (*window, C) values}."""
    n, *inputs, c = x.shape
    padded = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)
    outputs = [
        (length + lo + hi - d * (k - 1) - 1) // s + 1
        for length, (lo, hi), k, s, d in zip(inputs, pads, size, stride, dilation, strict=True)
    ]
    found = np.empty((n, *outputs, *size, c))
    for p in itertools.product(*map(range, outputs)):
        for t in itertools.product(*map(range, size)):
            q = tuple(s * i + d * j for i, j, s, d in zip(p, t, stride, dilation, strict=True))
            found[(slice(None), *p, *t)] = padded[(slice(None), *q)]
    return found


CONVS = [
    ((2, 7, 4), (3, 4, 5), (2,), ((1, 2),), (1,), 1),
    ((2, 6, 5, 4), (3, 2, 2, 6), (2, 1), ((4, 0), (1, 3)), (1, 2), 2),
    ((1, 5, 5, 3), (2, 2, 1, 3), (3, 3), ((0, 0), (0, 0)), (1, 1), 3),
    ((1, 4, 5, 3, 2), (2, 3, 2, 2, 3), (1, 2, 1), ((1, 1), (0, 1), (2, 0)), (2, 1, 1), 1),
]


@pytest.mark.parametrize(("shape", "kernel_shape", "stride", "pads", "dilation", "groups"), CONVS)
def test_conv_is_its_definition(shape, kernel_shape, stride, pads, dilation, groups):
    x, kernel, bias = (RNG.standard_normal(s) for s in (shape, kernel_shape, kernel_shape[-1:]))
    windows = _windows(x, kernel_shape[:-2], stride, pads, dilation, 0.0)
    rank, per_group, outputs = len(stride), kernel_shape[-2], kernel_shape[-1] // groups
    expected = np.empty((*windows.shape[: rank + 1], kernel_shape[-1]))
    for group in range(groups):
        seen = windows[..., group * per_group : (group + 1) * per_group]
        written = slice(group * outputs, (group + 1) * outputs)
        axes = range(rank + 1, 2 * rank + 2), range(rank + 1)
        expected[..., written] = np.tensordot(seen, kernel[..., written], axes) + bias[written]
    options = {"stride": stride, "padding": pads, "dilation": dilation, "groups": groups}
    y = fcnn.conv(*map(jnp.asarray, (x, kernel, bias)), **options)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)


POOLS = [
    ((2, 9, 3), (3,), (2,), ((1, 1),), (1,)),
    ((1, 7, 8, 2), (3, 2), (2, 3), ((1, 0), (0, 1)), (1, 1)),
    ((1, 9, 9, 2), (3, 3), (2, 2), ((2, 2), (1, 2)), (2, 2)),
    ((1, 8, 7, 2), (5, 5), (1, 2), ((2, 2), (2, 2)), (1, 1)),
    ((1, 4, 5, 4, 2), (2, 2, 2), (1, 2, 2), ((0, 0), (1, 1), (0, 0)), (1, 1, 1)),
]


@pytest.mark.parametrize(("shape", "size", "stride", "pads", "dilation"), POOLS)
def test_pools_are_their_definitions(shape, size, stride, pads, dilation):
    x = RNG.standard_normal(shape)
    options = {"stride": stride, "padding": pads, "dilation": dilation}
    axes = tuple(range(len(size) + 1, 2 * len(size) + 1))
    largest = _windows(x, size, stride, pads, dilation, -np.inf).max(axes)
    np.testing.assert_array_equal(fcnn.max_pool(jnp.asarray(x), size, **options), largest)
    mean = _windows(x, size, stride, pads, dilation, 0.0).mean(axes)
    np.testing.assert_allclose(fcnn.avg_pool(jnp.asarray(x), size, **options), mean, rtol=1e-12)
    real = _windows(np.ones(shape), size, stride, pads, dilation, 0.0).mean(axes)
    without_pads = fcnn.avg_pool(jnp.asarray(x), size, count_include_pad=False, **options)
    np.testing.assert_allclose(without_pads, mean / real, rtol=1e-12)


def test_batch_norm_is_its_definition():
    x, scale, bias = RNG.standard_normal((4, 3, 5, 2)), RNG.standard_normal(2), RNG.standard_normal(2)
    y, mean, var = fcnn.batch_norm(*map(jnp.asarray, (x, scale, bias)), eps=1e-3)
    rows = x.reshape(-1, 2)
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(var, rows.var(0), rtol=1e-12)
    expected = (x - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-3) * scale + bias
    np.testing.assert_allclose(y, expected, rtol=1e-12)


def test_softmax_family_is_its_definition():
    z = RNG.standard_normal((3, 5))
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    labels, smoothed = np.array([0, 4, 2]), 0.8 * np.eye(5)[[0, 4, 2]] + 0.2 / 5
    np.testing.assert_allclose(fcnn.softmax(jnp.asarray(z)), p, rtol=1e-12)
    np.testing.assert_allclose(fcnn.log_softmax(jnp.asarray(z)), np.log(p), rtol=1e-12)
    loss = fcnn.softmax_cross_entropy(jnp.asarray(z), jnp.asarray(labels), label_smoothing=0.2)
    np.testing.assert_allclose(loss, -(smoothed * np.log(p)).sum(-1), rtol=1e-12)
    t = RNG.random((3, 5))
    sigma = 1 / (1 + np.exp(-z))
    expected = -(t * np.log(sigma) + (1 - t) * np.log(1 - sigma))
    np.testing.assert_allclose(
        fcnn.sigmoid_cross_entropy(jnp.asarray(z), jnp.asarray(t)), expected, rtol=1e-12
    )
