"""Bad calls raise ValueError for shapes and values, TypeError for dtypes, and name function and argument."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bad_calls import BAD

import functional_cnn as fcnn
from functional_cnn import data, training
from functional_cnn.verify.cases import OPS

KEY = jax.random.key(0)
MODEL = fcnn.models.lenet(image_size=8, paddings=("SAME", "SAME"))
TREES, IMAGES = MODEL.init(KEY), jnp.zeros((2, 8, 8, 1))
DATA = data.Dataset(np.zeros((4, 8, 8, 1), np.float32), np.zeros(4, np.int32))


@pytest.mark.parametrize(("name", "args", "options", "error", "text"), BAD)
@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
def test_bad_call_names_function_and_argument(name, args, options, error, text, jit):
    def call():
        return getattr(fcnn, name)(*args, **options)

    with pytest.raises(error) as raised:
        jax.jit(call)() if jit else call()
    assert str(raised.value).startswith(f"{name}: ")
    assert text in str(raised.value)


BAD_ELSEWHERE = [
    (lambda: fcnn.init.conv(KEY, (3, 3), 0, 4), ValueError, "init.conv: in_channels must be at least 1"),
    (lambda: fcnn.init.conv(KEY, (3, 3), 4, 6, groups=4), ValueError, "init.conv: groups=4 must divide"),
    (lambda: fcnn.init.conv(0, (3, 3), 4, 6), TypeError, "init.conv: key must be a key"),
    (
        lambda: fcnn.init.conv_transpose(KEY, (3, 3), 4, 0),
        ValueError,
        "init.conv_transpose: out_channels must be at least 1",
    ),
    (
        lambda: fcnn.init.separable_conv(KEY, (3, 3), 4, 2, multiplier=0),
        ValueError,
        "init.separable_conv: multiplier must be at least 1",
    ),
    (
        lambda: fcnn.init.spectral_norm(0, 4),
        TypeError,
        "init.spectral_norm: key must be a key",
    ),
    (lambda: fcnn.init.dense(KEY, 3, 2.0), TypeError, "init.dense: out_features must be an int"),
    (lambda: fcnn.init.batch_norm(0), ValueError, "init.batch_norm: channels must be at least 1"),
    (
        lambda: fcnn.models.resnet(depth=20),
        ValueError,
        "resnet: depth must be one of 18, 34, 50, 101, 152, got 20",
    ),
    (lambda: fcnn.models.resnet(depth=[18]), TypeError, "resnet: depth must be an int, got list"),
    (lambda: fcnn.models.resnet().init(0), TypeError, "resnet.init: key must be a key"),
    (lambda: fcnn.models.lenet().init(0), TypeError, "lenet.init: key must be a key"),
    (lambda: fcnn.init.conv(KEY, (), 3, 4), ValueError, "init.conv: window must have 1, 2 or 3 sizes"),
    (lambda: fcnn.init.dense(KEY, 3, 4, dtype=int), TypeError, "init.dense: dtype must be floating"),
    (lambda: fcnn.init.batch_norm(3, dtype=int), TypeError, "init.batch_norm: dtype must be floating"),
    (lambda: data.shifted(DATA.images[0], 1, None), ValueError, "shifted: images must have shape"),
    (lambda: fcnn.models.resnet(stem="tiny"), ValueError, "resnet: stem must be one of imagenet, small"),
    (lambda: fcnn.models.lenet(num_classes=0), ValueError, "lenet: num_classes must be at least 1"),
    (lambda: fcnn.models.lenet(dropout=1), ValueError, "lenet: dropout must be in [0, 1)"),
    (lambda: fcnn.models.lenet(widths=(6, 16, 3)), ValueError, "lenet: widths must be a pair, one for each"),
    (
        lambda: fcnn.models.lenet(hidden=84),
        ValueError,
        "lenet: hidden must be a pair, one for each layer, got 84",
    ),
    (lambda: fcnn.models.lenet(paddings="SAME"), ValueError, "lenet: paddings must be a pair"),
    (
        lambda: fcnn.models.vgg(axis_name="data"),
        ValueError,
        "vgg: axis_name goes with norm='batch', got norm=None",
    ),
    (lambda: fcnn.models.resnet(axis_name=3), TypeError, "resnet: axis_name must be a str or a tuple of str"),
    (
        lambda: fcnn.models.create("resnext50_32x4d", width=8),
        ValueError,
        "resnet: width must be at least 16 with base_width=4, got 8",
    ),
    (
        lambda: MODEL.apply(*TREES, IMAGES[..., :0]),
        ValueError,
        "lenet.apply: images must have shape (N, H, W, C)",
    ),
    (lambda: MODEL.apply(*TREES, IMAGES[0]), ValueError, "with C = 1, got shape (8, 8, 1)"),
    (
        lambda: MODEL.apply(*TREES, IMAGES[:, 2:]),
        ValueError,
        "lenet: images must be of the sizes (8, 8), got (6, 8)",
    ),
    (
        lambda: MODEL.apply(*TREES, IMAGES, train="False"),
        TypeError,
        "lenet.apply: train must be True or False",
    ),
    (
        lambda: MODEL.apply(*TREES, IMAGES, key=0),
        TypeError,
        "lenet.apply: key must be a key from jax.random.key",
    ),
    (
        lambda: jax.jit(MODEL.apply)(*TREES, IMAGES, train=True),
        TypeError,
        "lenet.apply: train must be True or False, got an array of dtype bool",
    ),
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
    assert len(BAD) >= 200
    assert {name for name, *_ in BAD} == set(OPS)


def test_dropout_in_training_needs_a_key():
    model = fcnn.models.lenet(image_size=8, paddings=("SAME", "SAME"), dropout=0.5)
    params, state = model.init(KEY)
    with pytest.raises(TypeError, match="lenet: key must be given in training, as 'dropout1' draws from it"):
        model.apply(params, state, jnp.ones((1, 8, 8, 1), jnp.float32), train=True)
