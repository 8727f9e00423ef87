"""Bad calls raise ValueError for shapes and values, TypeError for dtypes, and name function and argument."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_cnn as fcnn
from functional_cnn import data, training

X = jnp.ones((2, 6, 6, 4))
K = jnp.ones((3, 3, 4, 8))
V = jnp.ones(4)
KEY = jax.random.key(0)
INTS = jnp.ones((2, 6, 6, 4), jnp.int32)
HALF = X.astype(jnp.float16)
LOGITS = jnp.ones((3, 5))
MODEL = fcnn.models.lenet(image_size=8, paddings=("SAME", "SAME"))
DATA = data.Dataset(np.zeros((4, 8, 8, 1), np.float32), np.zeros(4, np.int32))


def f(name):
    return getattr(fcnn, name)


# function, positional arguments, options, error, what the text must hold
BAD = [
    ("conv", (INTS, K), {}, TypeError, "x must be a floating array, got dtype int32"),
    ("conv", (X > 0, K), {}, TypeError, "x must be a floating array, got dtype bool"),
    ("conv", (X.astype(jnp.complex64), K), {}, TypeError, "x must be a floating array, got dtype complex64"),
    ("conv", ([[1.0]], K), {}, TypeError, "x must be an array, got list"),
    ("conv", (None, K), {}, TypeError, "x must be an array, got NoneType"),
    ("conv", (X[0, 0], K), {}, ValueError, "x must have shape (N, *spatial, C)"),
    ("conv", (jnp.ones((1, 2, 2, 2, 2, 2)), K), {}, ValueError, "x must have shape (N, *spatial, C)"),
    ("conv", (X, K.astype(jnp.float16)), {}, TypeError, "kernel has dtype float16, but x has float64"),
    ("conv", (HALF, K), {}, TypeError, "kernel has dtype float64, but x has float16"),
    ("conv", (X, K[0]), {}, ValueError, "kernel must have shape (*window, C // groups, O)"),
    ("conv", (X, K[:, :, :3]), {}, ValueError, "kernel takes 3 input channels per group, but x has 4"),
    ("conv", (X, K), {"groups": 2}, ValueError, "x has 4 channels in 2 groups (4 // 2 = 2)"),
    ("conv", (X, K), {"groups": 3}, ValueError, "groups=3 must divide"),
    ("conv", (X, K), {"groups": 0}, ValueError, "groups must be at least 1, got 0"),
    ("conv", (X, K[:0]), {}, ValueError, "kernel must have a window of at least 1"),
    ("conv", (X, K, V), {}, ValueError, "bias must have shape (8,), one for each output channel"),
    ("conv", (X, K, jnp.ones(8, jnp.int32)), {}, TypeError, "bias must be a floating array"),
    ("conv", (X, K), {"stride": 0}, ValueError, "stride must be at least 1, got 0"),
    ("conv", (X, K), {"stride": 1.5}, TypeError, "stride must be an int, got float 1.5"),
    ("conv", (X, K), {"stride": (1, 2, 3)}, ValueError, "stride must be an int or 2 ints"),
    ("conv", (X, K), {"stride": jnp.array(2)}, TypeError, "stride must be an int, got an array"),
    ("conv", (X, K), {"stride": True}, TypeError, "stride must be an int, got bool True"),
    ("conv", (X, K), {"dilation": 0}, ValueError, "dilation must be at least 1"),
    ("conv", (X, K), {"padding": "FULL"}, ValueError, "padding must be 'SAME', 'VALID', ints or"),
    ("conv", (X, K), {"padding": -1}, ValueError, "padding must be at least 0, got -1"),
    ("conv", (X, K), {"padding": (1, 2, 3)}, ValueError, "padding must have one entry for each of the 2"),
    ("conv", (X, K), {"padding": ((1, 2), (1, 2, 3))}, ValueError, "padding must have (lo, hi) pairs"),
    ("conv", (X, K), {"padding": 0.5}, TypeError, "padding must be an int, got float 0.5"),
    ("conv", (X, K), {"padding": "VALID", "dilation": 3}, ValueError, "does not fit into x"),
    ("conv", (X, K), {"precision": "most"}, ValueError, "precision must be one of"),
    ("conv", (X, K), {"precision": 3}, TypeError, "precision must be None, a lax.Precision"),
    ("dense", (INTS, jnp.ones((4, 2))), {}, TypeError, "x must be a floating array"),
    ("dense", (jnp.array(1.0), jnp.ones((4, 2))), {}, ValueError, "x must have shape (..., I)"),
    ("dense", (X, jnp.ones((3, 2))), {}, ValueError, "kernel must have shape (I, O) with I = 4"),
    ("dense", (X, V), {}, ValueError, "kernel must have shape (I, O)"),
    ("dense", (X, jnp.ones((4, 2), jnp.bfloat16)), {}, TypeError, "kernel has dtype bfloat16"),
    ("dense", (X, jnp.ones((4, 2)), V), {}, ValueError, "bias must have shape (2,)"),
    ("max_pool", (INTS, 2), {}, TypeError, "x must be a floating array"),
    ("max_pool", (V, 2), {}, ValueError, "x must have shape (N, *spatial, C)"),
    ("max_pool", (X, 0), {}, ValueError, "window must be at least 1"),
    ("max_pool", (X, (2, 2, 2)), {}, ValueError, "window must be an int or 2 ints"),
    ("max_pool", (X, "2"), {}, TypeError, "window must be an int, got str '2'"),
    ("max_pool", (X, 7), {}, ValueError, "does not fit into x of spatial shape (6, 6)"),
    ("max_pool", (X, 2), {"padding": 2}, ValueError, "padding must be at most half the window"),
    ("max_pool", (X, 2), {"stride": -1}, ValueError, "stride must be at least 1"),
    ("max_pool", (X, 2), {"ceil_mode": 1}, TypeError, "ceil_mode must be True or False, got int 1"),
    ("avg_pool", (INTS, 2), {}, TypeError, "x must be a floating array"),
    ("avg_pool", (X, 2), {"padding": ((2, 0), (0, 0))}, ValueError, "padding must be at most half"),
    ("avg_pool", (X, 2), {"count_include_pad": "no"}, TypeError, "count_include_pad must be True or False"),
    ("avg_pool", (X, 2), {"divisor_override": 0}, ValueError, "divisor_override must be at least 1"),
    ("avg_pool", (X, 2), {"dilation": (1, 0)}, ValueError, "dilation must be at least 1"),
    (
        "avg_pool",
        (X[:, :1, :1], 2),
        {"stride": 1, "dilation": 3, "padding": 2, "count_include_pad": False},
        ValueError,
        "holds no pixel of x",
    ),
    ("max_pool", (X[:, :1, :1], 2), {"stride": 1, "dilation": 3, "padding": 2}, ValueError, "holds no pixel"),
    ("conv", (X, K), {"precision": ("high", 3)}, TypeError, "precision must be None, a lax.Precision"),
    ("relu", (np.array(["a"]),), {}, TypeError, "x must be an array, got an array of dtype <U1"),
    ("relu", (10**30,), {}, TypeError, "x must be an array, got int 1000"),
    ("leaky_relu", (X,), {"negative_slope": 10**400}, ValueError, "negative_slope must be finite"),
    ("dropout", (X, jnp.zeros(5, jnp.uint32)), {"rate": 0.5}, TypeError, "key must be a key"),
    ("global_avg_pool", (V,), {}, ValueError, "x must have shape (N, *spatial, C)"),
    ("global_avg_pool", (X[:, :0],), {}, ValueError, "x must have at least one pixel"),
    ("batch_norm", (INTS,), {}, TypeError, "x must be a floating array"),
    ("batch_norm", (V,), {}, ValueError, "x must have shape (N, *spatial, C)"),
    ("batch_norm", (X, jnp.ones(3)), {}, ValueError, "scale must have shape (4,), one for each channel"),
    ("batch_norm", (X, V, jnp.ones((4, 1))), {}, ValueError, "bias must have shape (4,)"),
    ("batch_norm", (HALF, V), {}, TypeError, "scale has dtype float64, but x has float16"),
    ("batch_norm", (X,), {"eps": -1e-5}, ValueError, "eps must not be negative"),
    ("batch_norm", (X,), {"eps": jnp.array(1e-5)}, TypeError, "eps must be a Python number"),
    ("batch_norm", (X,), {"axis_name": 3}, TypeError, "axis_name must be a str"),
    ("batch_norm_inference", (X, V, jnp.ones(3)), {}, ValueError, "var must have shape (4,)"),
    ("batch_norm_inference", (X, HALF[0, 0, 0], V), {}, TypeError, "mean has dtype float16"),
    ("batch_norm_inference", (X, V, V, V, V), {"eps": float("nan")}, ValueError, "eps must be finite"),
    ("relu", (INTS,), {}, TypeError, "x must be a floating array"),
    ("leaky_relu", (X,), {"negative_slope": "steep"}, TypeError, "negative_slope must be a Python number"),
    ("leaky_relu", (X,), {"negative_slope": float("inf")}, ValueError, "negative_slope must be finite"),
    ("sigmoid", (3,), {}, TypeError, "x must be a floating array"),
    ("tanh", ("x",), {}, TypeError, "x must be an array, got str"),
    ("softmax", (X,), {"axis": 4}, ValueError, "axis is 4, but the array has 4 dimensions"),
    ("softmax", (X,), {"axis": (1, -3)}, ValueError, "axis names an axis twice"),
    ("softmax", (INTS,), {}, TypeError, "x must be a floating array"),
    ("log_softmax", (X,), {"axis": 1.0}, TypeError, "axis must be an int"),
    ("log_softmax", (X,), {"axis": -5}, ValueError, "axis must be at least -4"),
    ("dropout", (X, KEY), {"rate": 1.0}, ValueError, "rate must be in [0, 1), got 1.0"),
    ("dropout", (X, KEY), {"rate": -0.1}, ValueError, "rate must be in [0, 1)"),
    ("dropout", (X, KEY), {"rate": jnp.array(0.5)}, TypeError, "rate must be a Python number"),
    ("dropout", (X, None), {"rate": 0.5}, TypeError, "key must be a key from jax.random.key"),
    ("dropout", (X, 42), {"rate": 0.5}, TypeError, "key must be a key from jax.random.key"),
    ("dropout", (X, jax.random.split(KEY)), {"rate": 0.5}, ValueError, "key must be one key"),
    ("dropout", (X, KEY), {"rate": 0.5, "broadcast_axes": 4}, ValueError, "broadcast_axes is 4"),
    ("dropout", (INTS, KEY), {"rate": 0.5}, TypeError, "x must be a floating array"),
    ("softmax_cross_entropy", (LOGITS, jnp.zeros(4, int)), {}, ValueError, "labels must have shape (3,)"),
    ("softmax_cross_entropy", (LOGITS, LOGITS[:2]), {}, ValueError, "must have shape (3, 5)"),
    (
        "softmax_cross_entropy",
        (LOGITS, LOGITS.astype(jnp.float32)),
        {},
        TypeError,
        "labels has dtype float32",
    ),
    ("softmax_cross_entropy", (LOGITS, LOGITS > 0), {}, TypeError, "labels must be a floating array, got"),
    ("softmax_cross_entropy", (jnp.zeros(3, int), V), {}, TypeError, "logits must be a floating array"),
    ("softmax_cross_entropy", (LOGITS[:, :0], V), {}, ValueError, "logits must have shape (..., K)"),
    (
        "softmax_cross_entropy",
        (LOGITS, LOGITS),
        {"label_smoothing": 1.1},
        ValueError,
        "label_smoothing must be in [0, 1]",
    ),
    ("sigmoid_cross_entropy", (LOGITS, LOGITS[0]), {}, ValueError, "labels has shape (5,), but logits has"),
    ("sigmoid_cross_entropy", (LOGITS, LOGITS.astype(complex)), {}, TypeError, "labels must be real"),
    ("sigmoid_cross_entropy", (INTS, X), {}, TypeError, "logits must be a floating array"),
    ("squared_error", (X, V), {}, ValueError, "targets has shape (4,), but predictions has shape"),
    ("squared_error", (X, HALF), {}, TypeError, "targets has dtype float16, but predictions has float64"),
    ("squared_error", (INTS, X), {}, TypeError, "predictions must be a floating array"),
]


@pytest.mark.parametrize(("name", "args", "options", "error", "text"), BAD)
@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
def test_bad_call_names_function_and_argument(name, args, options, error, text, jit):
    def call():
        return f(name)(*args, **options)

    with pytest.raises(error) as raised:
        jax.jit(call)() if jit else call()
    assert str(raised.value).startswith(f"{name}: ")
    assert text in str(raised.value)


BAD_ELSEWHERE = [
    (lambda: fcnn.init.conv(KEY, (3, 3), 0, 4), ValueError, "init.conv: in_channels must be at least 1"),
    (lambda: fcnn.init.conv(KEY, (3, 3), 4, 6, groups=4), ValueError, "init.conv: groups=4 must divide"),
    (lambda: fcnn.init.conv(0, (3, 3), 4, 6), TypeError, "init.conv: key must be a key"),
    (lambda: fcnn.init.dense(KEY, 3, 2.0), TypeError, "init.dense: out_features must be an int"),
    (lambda: fcnn.init.batch_norm(0), ValueError, "init.batch_norm: channels must be at least 1"),
    (lambda: fcnn.models.resnet(depth=20), ValueError, "resnet: depth must be one of 18, 34, got 20"),
    (lambda: fcnn.models.resnet(depth=[18]), TypeError, "resnet: depth must be an int, got list"),
    (lambda: fcnn.models.resnet().init(0), TypeError, "resnet.init: key must be a key"),
    (lambda: fcnn.models.lenet().init(0), TypeError, "lenet.init: key must be a key"),
    (lambda: fcnn.models.lenet(paddings="SAME"), ValueError, "lenet: paddings must be two paddings"),
    (lambda: fcnn.init.conv(KEY, (), 3, 4), ValueError, "init.conv: window must have 1, 2 or 3 sizes"),
    (lambda: fcnn.init.dense(KEY, 3, 4, dtype=int), TypeError, "init.dense: dtype must be floating"),
    (lambda: fcnn.init.batch_norm(3, dtype=int), TypeError, "init.batch_norm: dtype must be floating"),
    (lambda: data.shifted(DATA.images[0], 1, None), ValueError, "shifted: images must have shape"),
    (lambda: fcnn.models.resnet(stem="tiny"), ValueError, "resnet: stem must be one of imagenet, small"),
    (lambda: fcnn.models.lenet(num_classes=0), ValueError, "lenet: num_classes must be at least 1"),
    (lambda: fcnn.models.lenet(dropout=1), ValueError, "lenet: dropout must be in [0, 1)"),
    (lambda: fcnn.models.lenet(widths=(6, 16, 3)), ValueError, "lenet: widths must be an int or 2 ints"),
    (lambda: training.make_train_step(MODEL, None, label_smoothing=2), ValueError, "label_smoothing must be"),
    (lambda: data.batches(DATA, 0), ValueError, "batches: batch_size must be at least 1"),
    (
        lambda: data.batches(DATA, 5, np.random.default_rng(0)),
        ValueError,
        "batches: batch_size is 5, but the dataset has 4 examples",
    ),
    (lambda: data.shifted(DATA.images, -1, None), ValueError, "shifted: pixels must be at least 0"),
    (lambda: training.fit(None, None, None, epochs=0), ValueError, "fit: epochs must be at least 1, got 0"),
    (
        lambda: training.fit(None, None, lambda rng: [], epochs=1, progress=False),
        ValueError,
        "fit: batches must yield at least one batch, got none in epoch 1",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), BAD_ELSEWHERE)
def test_bad_call_beyond_the_ops(call, error, text):
    with pytest.raises(error) as raised:
        call()
    assert text in str(raised.value)


def test_the_table_is_long_enough_and_covers_every_op():
    assert len(BAD) >= 40
    assert {name for name, *_ in BAD} == set(fcnn.RULES)


def test_dropout_in_training_needs_a_key():
    model = fcnn.models.lenet(image_size=8, paddings=("SAME", "SAME"), dropout=0.5)
    params, state = model.init(KEY)
    with pytest.raises(TypeError, match="lenet: key must be given in training with dropout"):
        model.apply(params, state, jnp.ones((1, 8, 8, 1), jnp.float32), train=True)
