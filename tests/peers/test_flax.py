"""The ops against Flax's layers and Optax's losses: results and the gradients of every argument, in float64.

Flax shares our layouts and leaf names, so each comparison sets one function beside the other. What only
lax's paddings can say, "SAME" with a stride and unequal sides, is compared here and not with PyTorch.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import functional_cnn as fcnn

nn = pytest.importorskip("flax.linen")

jax.config.update("jax_enable_x64", True)  # so that this file also runs without tests/conftest.py

RNG = np.random.default_rng(0)


def normal(shape):
    return jnp.asarray(RNG.standard_normal(shape))


def compare(ours, theirs, *arrays):
    """Results, and the vjps of random cotangents, of floating arguments."""
    # Flax mixes dtypes, which the tests of our ops forbid.
    theirs = jax.numpy_dtype_promotion("standard")(theirs)
    cotangents = jax.tree.map(lambda output: normal(output.shape), jax.eval_shape(theirs, *arrays))

    @jax.jit
    def results_and_gradients(arrays, cotangents):
        pairs = (jax.vjp(function, *arrays) for function in (ours, theirs))
        return [(result, vjp(cotangents)) for result, vjp in pairs]

    got, wanted = results_and_gradients(arrays, cotangents)
    # What cancels in a sum is of order one, so atol is what rounding leaves of it.
    close = partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12)
    jax.tree.map(close, got, wanted)


def layer(module):
    """A module as a function of x, the kernel and, where it has one, the bias."""
    return lambda x, *leaves: module.apply({"params": dict(zip(("kernel", "bias"), leaves, strict=False))}, x)


@pytest.mark.parametrize("padding", ["SAME", "VALID", ((2, 0), (1, 3))], ids=str)
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), ((2, 3), 1), ((1, 2), (2, 1))], ids=str)
@pytest.mark.parametrize("groups", [1, 4])
def test_conv(padding, stride, dilation, groups):
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    module = nn.Conv(
        4, (3, 2), strides=stride, padding=padding, kernel_dilation=dilation, feature_group_count=groups
    )
    arrays = map(normal, [(2, 9, 7, 4), (3, 2, 4 // groups, 4), (4,)])
    compare(partial(fcnn.conv, **options), layer(module), *arrays)


@pytest.mark.parametrize(("inputs", "window"), [((9,), (4,)), ((9, 7), (1, 1)), ((5, 6, 4), (2, 3, 2))])
def test_conv_of_other_ranks(inputs, window):
    module = nn.Conv(4, window, strides=2, use_bias=False)
    compare(partial(fcnn.conv, stride=2), layer(module), normal((2, *inputs, 3)), normal((*window, 3, 4)))


@pytest.mark.parametrize("with_bias", [False, True])
def test_dense(with_bias):
    arrays = [normal((2, 3, 5)), normal((5, 4)), normal((4,))][: 2 + with_bias]
    compare(fcnn.dense, layer(nn.Dense(4, use_bias=with_bias)), *arrays)


@pytest.mark.parametrize("padding", ["SAME", "VALID", ((1, 0), (0, 1))], ids=str)
@pytest.mark.parametrize(("window", "stride"), [((2, 3), (1, 1)), ((5, 4), (3, 2))], ids=str)
@pytest.mark.parametrize(
    ("name", "options"),
    [("max_pool", {}), ("avg_pool", {"count_include_pad": True}), ("avg_pool", {"count_include_pad": False})],
)
def test_pools(name, options, window, stride, padding):
    theirs = partial(getattr(nn, name), window_shape=window, strides=stride, padding=padding, **options)
    ours = partial(getattr(fcnn, name), window=window, stride=stride, padding=padding, **options)
    compare(ours, theirs, jnp.round(normal((2, 9, 8, 3))))  # rounded, so that maxima tie


@pytest.mark.parametrize("name", ["max_pool", "avg_pool"])
@pytest.mark.parametrize("inputs", [(9,), (5, 7, 6)])
def test_pools_of_other_ranks(name, inputs):
    theirs = partial(getattr(nn, name), window_shape=(3,) * len(inputs), strides=(2,) * len(inputs))
    compare(partial(getattr(fcnn, name), window=3, stride=2), theirs, normal((2, *inputs, 3)))


BATCH_NORM = pytest.mark.parametrize("shapes", [[], [(3,), (3,)]], ids=["bare", "scale and bias"])


def flax_batch_norm(x, mean, var, *parameters, training):
    """y and the statistics that are kept: with momentum 0 those of the batch."""
    affine = bool(parameters)
    module = nn.BatchNorm(not training, momentum=0.0, epsilon=1e-3, use_scale=affine, use_bias=affine)
    params = dict(zip(("scale", "bias"), parameters, strict=False))
    y, kept = module.apply(
        {"params": params, "batch_stats": {"mean": mean, "var": var}}, x, mutable=["batch_stats"]
    )
    return y, kept["batch_stats"]["mean"], kept["batch_stats"]["var"]


@BATCH_NORM
@pytest.mark.parametrize("x_shape", [(6, 3), (2, 4, 5, 3)])
def test_batch_norm(x_shape, shapes):
    def theirs(x, *parameters):
        unused = jnp.zeros(3)
        return flax_batch_norm(x, unused, unused, *parameters, training=True)

    compare(partial(fcnn.batch_norm, eps=1e-3), theirs, *map(normal, (x_shape, *shapes)))


@BATCH_NORM
def test_batch_norm_inference(shapes):
    def theirs(*arrays):
        return flax_batch_norm(*arrays, training=False)[0]

    arrays = normal((2, 4, 5, 3)), normal((3,)), normal((3,)) ** 2, *map(normal, shapes)
    compare(partial(fcnn.batch_norm_inference, eps=1e-3), theirs, *arrays)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "sigmoid", "tanh", "softmax", "log_softmax"])
def test_activations(name):
    # Away from 0, where the slope of leaky_relu is PyTorch's.
    compare(getattr(fcnn, name), getattr(nn, name), 3 * normal((4, 6)))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_softmax_cross_entropy(smoothing):
    ours = partial(fcnn.softmax_cross_entropy, label_smoothing=smoothing)
    logits, classes = normal((2, 3, 5)), jnp.asarray(RNG.integers(0, 5, (2, 3)))
    labels = jnp.asarray(RNG.dirichlet(np.ones(5), (2, 3)))

    def theirs(logits, labels):
        return optax.softmax_cross_entropy(logits, optax.smooth_labels(labels, smoothing))

    compare(ours, theirs, logits, labels)
    compare(lambda z: ours(z, classes), lambda z: theirs(z, jax.nn.one_hot(classes, 5)), logits)
    if not smoothing:
        integers = optax.softmax_cross_entropy_with_integer_labels
        compare(lambda z: ours(z, classes), lambda z: integers(z, classes), logits)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (fcnn.sigmoid_cross_entropy, optax.sigmoid_binary_cross_entropy),
        (fcnn.squared_error, optax.squared_error),
    ],
)
def test_elementwise_losses(ours, theirs):
    compare(ours, theirs, 10 * normal((4, 6)), jnp.asarray(RNG.random((4, 6))))
