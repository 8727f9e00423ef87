"""The ops against Flax's layers, JAX's functions and Optax's losses: results and all gradients, in float64.

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


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(
    ("window", "stride", "dilation"),
    [((3, 3), 1, 1), ((4, 3), (2, 3), 1), ((2, 2), 2, 1), ((3, 2), (1, 2), (2, 1))],
)
def test_conv_transpose(padding, window, stride, dilation):
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    strides = (stride, stride) if isinstance(stride, int) else stride
    module = nn.ConvTranspose(
        5, window, strides=strides, padding=padding, kernel_dilation=dilation, transpose_kernel=True
    )
    arrays = map(normal, [(2, 5, 4, 3), (*window, 5, 3), (5,)])
    compare(partial(fcnn.conv_transpose, **options), layer(module), *arrays)


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


def norm(module):
    """A normalising module as a function of x, its scale and, where it has one, its bias."""
    return lambda x, *leaves: module.apply({"params": dict(zip(("scale", "bias"), leaves, strict=False))}, x)


@pytest.mark.parametrize("x_shape", [(4, 6), (2, 5, 6), (2, 4, 3, 6)])
def test_norms_of_each_example(x_shape):
    x, scale, bias = normal(x_shape), normal((6,)), normal((6,))
    eps = {"epsilon": 1e-3, "use_fast_variance": False}
    compare(partial(fcnn.layer_norm, eps=1e-3), norm(nn.LayerNorm(**eps)), x, scale, bias)
    compare(partial(fcnn.group_norm, groups=3, eps=1e-3), norm(nn.GroupNorm(3, **eps)), x, scale, bias)
    compare(partial(fcnn.rms_norm, eps=1e-3), norm(nn.RMSNorm(epsilon=1e-3)), x, scale)
    if len(x_shape) > 2:
        compare(partial(fcnn.instance_norm, eps=1e-3), norm(nn.InstanceNorm(**eps)), x, scale, bias)


SAME_NAMES = [
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "celu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "softplus",
    "sigmoid",
    "log_sigmoid",
    "tanh",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "glu",
    "softmax",
    "log_softmax",
]
ACTIVATIONS = {getattr(fcnn, name): getattr(jax.nn, name) for name in SAME_NAMES}
ACTIVATIONS[fcnn.softsign] = jax.nn.soft_sign


@pytest.mark.parametrize(("ours", "theirs"), ACTIVATIONS.items(), ids=lambda function: function.__name__)
def test_activations(ours, theirs):
    # Away from 0, where the slope of leaky_relu is PyTorch's.
    compare(ours, theirs, 3 * normal((4, 6)))


def test_prelu():
    module = nn.PReLU()
    theirs = lambda x, slope: module.apply({"params": {"negative_slope": slope}}, x)  # noqa: E731
    compare(fcnn.prelu, theirs, normal((4, 6)), normal(()))


@pytest.mark.parametrize(
    ("method", "antialias"),
    [
        ("nearest", False),
        *((method, flag) for method in ("linear", "lanczos3", "lanczos5") for flag in (False, True)),
    ],
)
@pytest.mark.parametrize("size", [(12, 10), (3, 7), (6, 5), (1, 11)], ids=str)
def test_resize(method, antialias, size):
    options = {"method": method, "antialias": antialias}
    theirs = lambda x: jax.image.resize(x, (2, *size, 3), **options)  # noqa: E731
    # jax.image computes its weights in float32.
    x = normal((2, 6, 5, 3))
    np.testing.assert_allclose(fcnn.resize(x, size, **options), theirs(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
@pytest.mark.parametrize("padding", [((0, 0), (0, 0)), ((1, 2), (0, 3)), ((13, 7), (4, 11))], ids=str)
def test_pad(mode, padding):
    x = normal((2, 5, 4, 3))
    theirs = partial(jnp.pad, pad_width=((0, 0), *padding, (0, 0)), mode=mode)
    compare(partial(fcnn.pad, padding=padding, mode=mode), theirs, x)


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
