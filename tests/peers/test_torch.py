"""The ops against PyTorch's: results and the gradients of every argument, in float64.

PyTorch's functions are written to take arrays in our layout, so that autograd turns the gradients back.
What PyTorch has no word for, such as "SAME" with a stride, is compared with Flax in the file beside this.
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
    """Results, and the vjps of random cotangents; integer arrays are arguments without a gradient."""
    tensors = [torch.tensor(a, requires_grad=np.issubdtype(a.dtype, np.floating)) for a in arrays]
    outputs = theirs(*tensors)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    cotangents = [normal(output.shape) for output in outputs]
    sources = [tensor for tensor in tensors if tensor.requires_grad]
    gradients = torch.autograd.grad(outputs, sources, [torch.tensor(c) for c in cotangents])

    @jax.jit
    def results_and_gradients(arrays, cotangents):
        result, vjp = jax.vjp(ours, *arrays)
        leaves, structure = jax.tree.flatten(result)
        return leaves, vjp(jax.tree.unflatten(structure, cotangents))

    results, found = results_and_gradients([jnp.asarray(a) for a in arrays], cotangents)
    found = [g for g, tensor in zip(found, tensors, strict=True) if tensor.requires_grad]
    for got, wanted in zip((*results, *found), (*outputs, *gradients), strict=True):
        # What cancels in a sum is of order one, so atol is what rounding leaves of it.
        np.testing.assert_allclose(got, wanted.detach().numpy(), rtol=1e-9, atol=1e-12)


def in_our_layout(name):
    """PyTorch's function of (N, C, *spatial) and (O, C // groups, *window) as one of our layouts."""

    def function(x, *parameters, **options):
        parameters = [p.movedim((-1, -2), (0, 1)) if p.ndim == x.ndim else p for p in parameters]
        return getattr(F, name.format(x.ndim - 2))(x.movedim(-1, 1), *parameters, **options).movedim(1, -1)

    return function


def normal(shape):
    return RNG.standard_normal(tuple(shape))


def for_options(**values):
    """Parametrises a test by every combination of the values."""
    found = [dict(zip(values, each, strict=True)) for each in itertools.product(*values.values())]
    return pytest.mark.parametrize("options", found, ids=str)


# Convolution and dense.


def compare_conv(shapes, options):
    compare(partial(fcnn.conv, **options), partial(in_our_layout("conv{}d"), **options), *map(normal, shapes))


@for_options(stride=(1, 2), padding=(0, 1), dilation=(1, 2), groups=(1, 4))
@pytest.mark.parametrize("rank", [1, 2])
def test_conv(rank, options):
    compare_conv([(2, *(9, 7)[:rank], 4), (*(3, 2)[:rank], 4 // options["groups"], 4), (4,)], options)


@pytest.mark.parametrize(
    ("x_shape", "kernel_shape", "options"),
    [
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
    ],
)
def test_conv_of_other_shapes(x_shape, kernel_shape, options):
    compare_conv([x_shape, kernel_shape], options)


@pytest.mark.parametrize("shapes", [[(5, 3)], [(5, 3), (3,)]], ids=["no bias", "bias"])
@pytest.mark.parametrize("x_shape", [(5,), (4, 5), (2, 3, 5)])
def test_dense(x_shape, shapes):
    arrays = map(normal, (x_shape, *shapes))
    compare(fcnn.dense, lambda x, kernel, *bias: F.linear(x, kernel.mT, *bias), *arrays)


# Pooling. Of the windows some are small enough for all taps at once, some are swept axis by axis.


def with_ties(rank):
    return np.round(normal((2, *(10, 9, 7)[:rank], 2)))


def compare_pool(name, x, window, options):
    theirs = partial(in_our_layout(name + "{}d"), kernel_size=window, **options)
    compare(partial(getattr(fcnn, name), window=window, **options), theirs, x)


FLAGS = False, True
RANKS_AND_WINDOWS = pytest.mark.parametrize(("rank", "window"), [(1, 2), (2, 3), (3, 3)])


@for_options(stride=(None, 2), padding=(0, 1), dilation=(1, 2), ceil_mode=FLAGS)
@RANKS_AND_WINDOWS
def test_max_pool(rank, window, options):
    compare_pool("max_pool", with_ties(rank), window, options)


@for_options(stride=(None, 2), padding=(0, 1), ceil_mode=FLAGS, count_include_pad=FLAGS)
@RANKS_AND_WINDOWS
def test_avg_pool(rank, window, options):
    compare_pool("avg_pool", with_ties(rank), window, options)


@pytest.mark.parametrize("rank", [2, 3])  # PyTorch's average over one dimension has no divisor
@for_options(divisor_override=(1, 5), ceil_mode=FLAGS)
def test_avg_pool_with_divisor(rank, options):
    compare_pool("avg_pool", with_ties(rank), 3, {"stride": 2, "padding": 1, **options})


@pytest.mark.parametrize(
    ("window", "options"),
    [
        ((2, 3), {"stride": (3, 1), "padding": (1, 0)}),
        ((5, 4), {"stride": (1, 2), "padding": (2, 1)}),
        ((5, 4), {"stride": (4, 5), "padding": (2, 2), "ceil_mode": True}),
        ((2, 2), {"stride": 4, "ceil_mode": True}),  # windows that leave pixels out
        ((3, 2), {"stride": 1, "dilation": (1, 3), "ceil_mode": True}),
    ],
)
def test_pools_of_unequal_windows(window, options):
    compare_pool("max_pool", with_ties(2), window, options)
    if "dilation" not in options:  # PyTorch's average has none
        compare_pool("avg_pool", with_ties(2), window, options)


@pytest.mark.parametrize("window", [2, 5])
def test_max_pool_of_extreme_values(window):
    # Where all is -inf the gradient goes to the first pixel, never to the padding before it.
    compare_pool("max_pool", np.full((1, 6, 7, 2), -np.inf), window, {"stride": 1, "padding": 1})
    # Of NaN only the result: the gradient goes to PyTorch's last NaN in a window, and to our first.
    x = with_ties(2)
    x[0, 2, 3, 0] = x[1, 5, 4, 1] = np.nan
    theirs = in_our_layout("max_pool2d")(torch.tensor(x), kernel_size=window, stride=1, padding=1)
    np.testing.assert_array_equal(fcnn.max_pool(jnp.asarray(x), window, stride=1, padding=1), theirs.numpy())


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_global_avg_pool(rank):
    theirs = partial(in_our_layout("adaptive_avg_pool{}d"), output_size=1)
    compare(fcnn.global_avg_pool, lambda x: theirs(x).flatten(1), with_ties(rank))


# Batch normalisation.

IMAGES = pytest.mark.parametrize("x_shape", [(6, 3), (4, 5, 3), (2, 4, 5, 3), (2, 2, 4, 3, 3)])
SCALE_AND_BIAS = pytest.mark.parametrize("shapes", [[], [(3,), (3,)]], ids=["bare", "scale and bias"])


@pytest.mark.parametrize("offset", [0.0, 100.0])
@SCALE_AND_BIAS
@IMAGES
def test_batch_norm(x_shape, shapes, offset):
    def theirs(x, weight=None, bias=None):
        options = {"running_mean": None, "running_var": None, "training": True, "eps": 1e-3}
        y = in_our_layout("batch_norm")(x, weight=weight, bias=bias, **options)
        var, mean = torch.var_mean(x, tuple(range(x.ndim - 1)), correction=0)
        return y, mean, var

    compare(partial(fcnn.batch_norm, eps=1e-3), theirs, offset + normal(x_shape), *map(normal, shapes))


@SCALE_AND_BIAS
@IMAGES
def test_batch_norm_inference(x_shape, shapes):
    x, mean, var, *parameters = normal(x_shape), normal((3,)), RNG.random(3), *map(normal, shapes)
    ours = partial(fcnn.batch_norm_inference, eps=1e-3)

    def theirs(x, *parameters):
        return in_our_layout("batch_norm")(x, torch.tensor(mean), torch.tensor(var), *parameters, eps=1e-3)

    def written_out(x, mean, var, scale=1, bias=0):  # PyTorch's own has no gradient for mean and var
        return (x - mean) / torch.sqrt(var + 1e-3) * scale + bias

    compare(lambda x, *parameters: ours(x, mean, var, *parameters), theirs, x, *parameters)
    compare(ours, written_out, x, mean, var, *parameters)


# Activations and losses, at the kink and far out too.

POINTS = np.concatenate([normal((20,)), [0.0, -0.0, 1e-300, -1e-300, 30.0, -30.0, 1e4, -1e4]])


@pytest.mark.parametrize(
    ("name", "options"),
    [("relu", {}), ("sigmoid", {}), ("tanh", {})]
    + [("leaky_relu", {"negative_slope": slope}) for slope in (0.01, 0, 1, 2.5, -0.3)],
)
def test_activation(name, options):
    compare(partial(getattr(fcnn, name), **options), partial(getattr(F, name), **options), POINTS)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [-1, 0, 1, (1, 2)])
@pytest.mark.parametrize("offset", [0.0, 1000.0])  # exp(1000) overflows
def test_softmax(name, axis, offset):
    def theirs(x):
        rows = x.flatten(1) if axis == (1, 2) else x
        return getattr(F, name)(rows, dim=1 if axis == (1, 2) else axis).reshape(x.shape)

    compare(partial(getattr(fcnn, name), axis=axis), theirs, offset + normal((3, 4, 5)))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(fcnn.sigmoid_cross_entropy, F.binary_cross_entropy_with_logits), (fcnn.squared_error, F.mse_loss)],
)
def test_elementwise_loss(ours, theirs):
    compare(ours, partial(theirs, reduction="none"), POINTS, RNG.random(POINTS.shape))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["integers", "distributions", "any weights"])
@pytest.mark.parametrize(("shape", "size"), [((6, 5), 1.0), ((2, 3, 5), 300.0), ((5,), 1.0)])
def test_softmax_cross_entropy(shape, kind, smoothing, size):
    def theirs(logits, labels):  # of rows, since PyTorch has the classes second
        labels = labels.reshape(-1, 5) if labels.is_floating_point() else labels.reshape(-1)
        options = {"reduction": "none", "label_smoothing": smoothing}
        return F.cross_entropy(logits.reshape(-1, 5), labels, **options).reshape(shape[:-1])

    labels = {
        "integers": np.asarray(RNG.integers(0, 5, shape[:-1])),
        "distributions": RNG.dirichlet(np.ones(5), shape[:-1]),
        "any weights": normal(shape),
    }
    ours = partial(fcnn.softmax_cross_entropy, label_smoothing=smoothing)
    compare(ours, theirs, size * normal(shape), labels[kind])


def test_softmax_cross_entropy_where_a_class_is_ruled_out():
    logits, theirs = normal((3, 4)), partial(F.cross_entropy, reduction="none")
    logits[:, 2] = -np.inf
    compare(fcnn.softmax_cross_entropy, theirs, logits, np.array([0, 1, 3]))
