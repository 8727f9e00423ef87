"""The ops against PyTorch's: results and the gradients of every argument, in float64.

PyTorch's functions are written to take arrays in our layout, so that autograd turns the gradients back.
Options that PyTorch has no word for, such as "SAME" with a stride, are compared with Flax next door.
"""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_cnn as fcnn

torch = pytest.importorskip("torch")

torch.set_num_threads(1)
jax.config.update("jax_enable_x64", True)  # so that this file also runs without tests/conftest.py

F = torch.nn.functional
RNG = np.random.default_rng(0)


def compare(ours, theirs, *arrays):
    """Results, and the vjps of a random cotangent; integer arrays are arguments without a gradient."""
    tensors = [torch.tensor(a, requires_grad=np.issubdtype(a.dtype, np.floating)) for a in arrays]
    expected = theirs(*tensors)
    outputs = expected if isinstance(expected, tuple) else (expected,)
    cotangents = [normal(output.shape) for output in outputs]
    sources = [tensor for tensor in tensors if tensor.requires_grad]
    gradients = torch.autograd.grad(outputs, sources, [torch.tensor(c) for c in cotangents])

    @jax.jit
    def result_and_gradients(arrays, cotangents):
        result, vjp = jax.vjp(ours, *arrays)
        return jax.tree.leaves(result), vjp(jax.tree.unflatten(jax.tree.structure(result), cotangents))

    results, found = result_and_gradients([jnp.asarray(a) for a in arrays], cotangents)
    found = [g for g, tensor in zip(found, tensors, strict=True) if tensor.requires_grad]
    for got, wanted in zip((*results, *found), (*outputs, *gradients), strict=True):
        # All numbers are of order one; atol is what cancellation in short float64 sums may leave.
        np.testing.assert_allclose(got, wanted.detach().numpy(), rtol=1e-9, atol=1e-12)


def in_their_layout(function):
    """``function`` of (N, C, *spatial) and (O, C // groups, *window), as one of our layouts."""

    def ours_in_ours_out(x, kernel=None, bias=None, **options):
        parameters = () if kernel is None else (kernel.movedim((-1, -2), (0, 1)), bias)
        return function(x.movedim(-1, 1), *parameters, **options).movedim(1, -1)

    return ours_in_ours_out


def normal(shape):
    return RNG.standard_normal(tuple(shape))


def options_of(**choices):
    """Every combination of the choices, as dictionaries, with ids that read as they do."""
    combinations = (
        dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())
    )
    return [
        pytest.param(found, id=",".join(f"{name}={value}" for name, value in found.items()))
        for found in combinations
    ]


# Convolution.

CONV = [None, F.conv1d, F.conv2d, F.conv3d]


def compare_conv(x_shape, kernel_shape, bias, **options):
    def theirs(x, kernel, bias=None):
        return in_their_layout(CONV[len(x_shape) - 2])(x, kernel, bias, **options)

    parameters = [normal(x_shape), normal(kernel_shape), normal(kernel_shape[-1:])]
    compare(lambda *arrays: fcnn.conv(*arrays, **options), theirs, *parameters[: 3 if bias else 2])


@pytest.mark.parametrize(
    "options", options_of(stride=(1, 2), padding=(0, 2), dilation=(1, 2), groups=(1, 2, 4), bias=(True,))
)
@pytest.mark.parametrize("rank", [1, 2])
def test_conv(rank, options):
    compare_conv((2, *(9, 7)[:rank], 4), (*(3, 2)[:rank], 4 // options["groups"], 4), **options)


@pytest.mark.parametrize(
    ("x_shape", "kernel_shape", "options"),
    [
        ((1, 6, 5, 7, 4), (2, 3, 2, 2, 6), {"stride": (1, 2, 3), "padding": (1, 0, 2), "groups": 2}),
        ((1, 6, 5, 7, 2), (2, 2, 3, 2, 3), {"stride": 2, "padding": 1, "dilation": (1, 2, 1)}),
        ((1, 6, 5, 7, 2), (3, 2, 1, 1, 2), {"padding": 1, "groups": 2}),
        ((2, 9, 7, 4), (3, 1, 4, 5), {"stride": (3, 1), "padding": (1, 0), "dilation": (1, 2)}),
        ((2, 9, 7, 4), (1, 1, 4, 5), {"padding": 0}),  # pointwise
        ((2, 9, 7, 4), (1, 1, 4, 5), {"stride": (2, 3), "padding": 0}),
        ((2, 9, 7, 3), (3, 3, 1, 6), {"padding": 1, "groups": 3}),  # two outputs a channel
        ((2, 5, 6, 66), (3, 2, 1, 132), {"stride": 2, "padding": 1, "groups": 66}),
        ((2, 9, 7, 4), (3, 3, 4, 5), {"padding": "same", "dilation": 2}),
        ((2, 9, 7, 4), (2, 4, 4, 5), {"padding": "valid", "stride": 2}),
        ((2, 9, 7, 4), (9, 7, 4, 5), {"padding": 0}),  # one pixel is left
    ],
)
def test_conv_of_other_shapes(x_shape, kernel_shape, options):
    compare_conv(x_shape, kernel_shape, bias=False, **options)


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("x_shape", [(5,), (4, 5), (2, 3, 5)])
def test_dense(x_shape, with_bias):
    arrays = [normal(x_shape), normal((5, 3)), normal((3,))]
    theirs = lambda x, kernel, bias=None: F.linear(x, kernel.mT, bias)  # noqa: E731
    compare(fcnn.dense, theirs, *arrays[: 3 if with_bias else 2])


# Pooling. A window of three in three dimensions is swept axis by axis, one of two at once.

MAX_POOL = [None, F.max_pool1d, F.max_pool2d, F.max_pool3d]
AVG_POOL = [None, F.avg_pool1d, F.avg_pool2d, F.avg_pool3d]


def compare_pool(ours, theirs, x, window, **options):
    named = dict(options, padding=options.get("padding", "VALID"))
    compare(
        lambda x: ours(x, window, **named),
        lambda x: in_their_layout(theirs[x.ndim - 2])(x, kernel_size=window, **options),
        x,
    )


def image_with_ties(rank):
    return np.round(normal((2, *(10, 9, 7)[:rank], 2)))


@pytest.mark.parametrize(
    "options", options_of(stride=(None, 2), padding=(0, 1), dilation=(1, 2), ceil_mode=(False, True))
)
@pytest.mark.parametrize(("rank", "window"), [(1, 2), (2, 3), (3, 3)])
def test_max_pool(rank, window, options):
    compare_pool(fcnn.max_pool, MAX_POOL, image_with_ties(rank), window, **options)


@pytest.mark.parametrize(
    ("window", "options"),
    [
        ((2, 3), {"stride": (3, 1), "padding": (1, 0)}),
        ((3, 2), {"stride": 1, "dilation": (1, 3), "ceil_mode": True}),
        ((5, 4), {"stride": (1, 2), "padding": (2, 1)}),
        ((5, 4), {"stride": (4, 5), "padding": (2, 2), "ceil_mode": True}),
        ((2, 2), {"stride": 4, "ceil_mode": True}),  # windows that leave pixels out
    ],
)
def test_pools_of_unequal_windows(window, options):
    compare_pool(fcnn.max_pool, MAX_POOL, image_with_ties(2), window, **options)
    if "dilation" not in options:  # PyTorch's average has none
        compare_pool(fcnn.avg_pool, AVG_POOL, image_with_ties(2), window, **options)


@pytest.mark.parametrize("window", [2, 5])
def test_max_pool_where_all_is_minus_infinity(window):
    # The gradient goes to the first pixel, never to the padding before it.
    compare_pool(fcnn.max_pool, MAX_POOL, np.full((1, 6, 7, 2), -np.inf), window, stride=1, padding=1)


@pytest.mark.parametrize("window", [2, 5])
def test_max_pool_propagates_nan(window):
    # The result alone: at several NaN in a window the gradient is PyTorch's to the last, ours to the first.
    x = image_with_ties(2)
    x[0, 2, 3, 0] = x[1, 5, 4, 1] = np.nan
    theirs = in_their_layout(F.max_pool2d)(torch.tensor(x), kernel_size=window, stride=1, padding=1)
    ours = fcnn.max_pool(jnp.asarray(x), window, stride=1, padding=1)
    np.testing.assert_array_equal(ours, theirs.numpy())


@pytest.mark.parametrize(
    "options",
    options_of(stride=(None, 2), padding=(0, 1), ceil_mode=(False, True), count_include_pad=(True, False)),
)
@pytest.mark.parametrize(("rank", "window"), [(1, 2), (2, 3), (3, 3)])
def test_avg_pool(rank, window, options):
    compare_pool(fcnn.avg_pool, AVG_POOL, image_with_ties(rank), window, **options)


@pytest.mark.parametrize("rank", [2, 3])  # PyTorch's average over one dimension has no divisor
@pytest.mark.parametrize("options", options_of(divisor_override=(1, 5), ceil_mode=(False, True)))
def test_avg_pool_with_divisor(rank, options):
    compare_pool(fcnn.avg_pool, AVG_POOL, image_with_ties(rank), 3, stride=2, padding=1, **options)


@pytest.mark.parametrize(
    ("rank", "theirs"),
    [(1, F.adaptive_avg_pool1d), (2, F.adaptive_avg_pool2d), (3, F.adaptive_avg_pool3d)],
)
def test_global_avg_pool(rank, theirs):
    compare(
        fcnn.global_avg_pool,
        lambda x: in_their_layout(theirs)(x, output_size=1).flatten(1),
        image_with_ties(rank),
    )


# Normalisation.

IMAGES = [(6, 3), (4, 5, 3), (2, 4, 5, 3), (2, 2, 4, 3, 3)]


@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize("parameters", [0, 2])
@pytest.mark.parametrize("shape", IMAGES)
def test_batch_norm(shape, parameters, offset):
    def theirs(x, scale=None, bias=None):
        y = F.batch_norm(x.movedim(-1, 1), None, None, scale, bias, training=True, eps=1e-3).movedim(1, -1)
        var, mean = torch.var_mean(x, tuple(range(x.ndim - 1)), correction=0)
        return y, mean, var

    arrays = [offset + normal(shape), *(normal((3,)) for _ in range(parameters))]
    compare(lambda *arrays: fcnn.batch_norm(*arrays, eps=1e-3), theirs, *arrays)


@pytest.mark.parametrize("shape", IMAGES)
def test_batch_norm_statistics_are_what_torch_keeps(shape):
    x, running_mean, running_var = normal(shape), torch.zeros(3).double(), torch.zeros(3).double()
    F.batch_norm(torch.tensor(x).movedim(-1, 1), running_mean, running_var, training=True, momentum=1.0)
    _, mean, var = fcnn.batch_norm(jnp.asarray(x))
    count = x[..., 0].size
    np.testing.assert_allclose(mean, running_mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        var * count / (count - 1), running_var, rtol=1e-9
    )  # they keep the unbiased one


@pytest.mark.parametrize("parameters", [0, 2])
@pytest.mark.parametrize("shape", IMAGES)
def test_batch_norm_inference(shape, parameters):
    mean, var = normal((3,)), normal((3,)) ** 2

    def batch_norm(x, *parameters):
        given = torch.tensor(mean), torch.tensor(var)
        return F.batch_norm(x.movedim(-1, 1), *given, *parameters, eps=1e-3).movedim(1, -1)

    def written_out(x, mean, var, scale=1, bias=0):  # F.batch_norm has no gradient for mean and var
        return (x - mean) / torch.sqrt(var + 1e-3) * scale + bias

    x, *given = normal(shape), *(normal((3,)) for _ in range(parameters))
    compare(
        lambda x, *given: fcnn.batch_norm_inference(x, mean, var, *given, eps=1e-3), batch_norm, x, *given
    )
    compare(lambda *arrays: fcnn.batch_norm_inference(*arrays, eps=1e-3), written_out, x, mean, var, *given)


# Activations, at the kink and far out too.

POINTS = np.concatenate([RNG.standard_normal(20), [0.0, -0.0, 1e-300, -1e-300, 30.0, -30.0, 1e4, -1e4]])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (fcnn.relu, F.relu),
        (fcnn.sigmoid, F.sigmoid),
        (fcnn.tanh, F.tanh),
        *(
            (partial(f, negative_slope=a) for f in (fcnn.leaky_relu, F.leaky_relu))
            for a in (0.01, 0, 1, 2, -0.3)
        ),
    ],
)
def test_elementwise(ours, theirs):
    compare(ours, theirs, POINTS)


@pytest.mark.parametrize(("ours", "theirs"), [(fcnn.softmax, F.softmax), (fcnn.log_softmax, F.log_softmax)])
@pytest.mark.parametrize("axis", [-1, 0, 1, (1, 2)])
@pytest.mark.parametrize("size", [1.0, 300.0])
def test_softmax(ours, theirs, axis, size):
    def of_one_axis(x):
        if isinstance(axis, int):
            return theirs(x, dim=axis)
        return theirs(x.flatten(*axis), dim=axis[0]).unflatten(axis[0], x.shape[axis[0] : axis[1] + 1])

    compare(lambda x: ours(x, axis), of_one_axis, size * normal((3, 4, 5)))


# Losses.


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["integers", "distributions", "any weights"])
@pytest.mark.parametrize("shape", [(6, 5), (2, 3, 5), (5,)])
@pytest.mark.parametrize("size", [1.0, 300.0])
def test_softmax_cross_entropy(shape, kind, smoothing, size):
    def theirs(logits, labels):
        rows = logits.reshape(-1, shape[-1])
        labels = labels.reshape(-1, shape[-1]) if labels.is_floating_point() else labels.reshape(-1)
        loss = F.cross_entropy(rows, labels, reduction="none", label_smoothing=smoothing)
        return loss.reshape(shape[:-1])

    labels = {
        "integers": RNG.integers(0, shape[-1], shape[:-1]),
        "distributions": RNG.dirichlet(np.ones(shape[-1]), shape[:-1]),
        "any weights": normal(shape),
    }[kind]
    ours = partial(fcnn.softmax_cross_entropy, label_smoothing=smoothing)
    compare(ours, theirs, size * normal(shape), np.asarray(labels))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (fcnn.sigmoid_cross_entropy, F.binary_cross_entropy_with_logits),
        (fcnn.squared_error, F.mse_loss),
    ],
)
def test_elementwise_losses(ours, theirs):
    compare(ours, partial(theirs, reduction="none"), POINTS, RNG.random(POINTS.shape))
