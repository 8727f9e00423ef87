"""Models: shapes, parameter counts, state, and ten losses of a real run with rules and with autodiff."""

import functools
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import functional_cnn as fcnn

# torchvision's DeepLabv3 has an auxiliary head, which ours has not: a 3x3 convolution from 1024 to 256 channels, its
# norm and the classifier of 21 classes, at 65 x 65 pixels.
AUXILIARY_KERNELS = 9 * 1024 * 256 + 256 * 21
AUXILIARY = AUXILIARY_KERNELS + 2 * 256 + 21

# Parameters, and multiply-adds in thousands of millions for an image of the size: "num_params" and "_ops" in the meta
# data of torchvision's weights, whose documentation calls the latter GFLOPS; LeNet-5: Zhang et al., "Dive into deep
# learning", section 7.6; ResNet-9: the sum over the layers of D. Page's network; wide ResNets: table 4 of
# arXiv:1605.07146, in millions.
PUBLISHED = {
    "lenet": (61_706, 28, None),
    "resnet18": (11_689_512, 224, 1.814),
    "resnet34": (21_797_672, 224, 3.664),
    "resnet50": (25_557_032, 224, 4.089),
    "resnet101": (44_549_160, 224, 7.801),
    "resnet152": (60_192_808, 224, 11.514),
    "resnext50_32x4d": (25_028_904, 224, 4.230),
    "resnext101_32x8d": (88_791_336, 224, 16.414),
    "wide_resnet50_2": (68_883_240, 224, 11.398),
    "wide_resnet101_2": (126_886_696, 224, 22.753),
    "wide_resnet28_10": (36.5e6, 32, None),
    "wide_resnet16_8": (11.0e6, 32, None),
    "wide_resnet40_2": (2.2e6, 32, None),
    "resnet9": (6_573_120, 32, None),
    "vgg11": (132_863_336, 224, 7.609),
    "vgg13": (133_047_848, 224, 11.308),
    "vgg16": (138_357_544, 224, 15.470),
    "vgg19": (143_667_240, 224, 19.632),
    "vgg11_bn": (132_868_840, 224, 7.609),
    "vgg13_bn": (133_053_736, 224, 11.308),
    "vgg16_bn": (138_365_992, 224, 15.470),
    "vgg19_bn": (143_678_248, 224, 19.632),
    "densenet121": (7_978_856, 224, 2.834),
    "densenet161": (28_681_000, 224, 7.728),
    "densenet169": (14_149_480, 224, 3.360),
    "densenet201": (20_013_928, 224, 4.291),
    "mobilenet_v2": (3_504_872, 224, 0.301),
    "mobilenet_v3_large": (5_483_032, 224, 0.217),
    "mobilenet_v3_small": (2_542_856, 224, 0.057),
    "efficientnet_b0": (5_288_548, 224, 0.386),
    "efficientnet_b1": (7_794_184, 240, 0.687),
    "efficientnet_b2": (9_109_994, 288, 1.088),
    "efficientnet_b3": (12_233_232, 300, 1.827),
    "efficientnet_b4": (19_341_616, 380, 4.394),
    "efficientnet_b5": (30_389_784, 456, 10.266),
    "efficientnet_b6": (43_040_704, 528, 19.068),
    "efficientnet_b7": (66_347_960, 600, 37.746),
    "convnext_tiny": (28_589_128, 224, 4.456),
    "convnext_small": (50_223_688, 224, 8.684),
    "convnext_base": (88_591_464, 224, 15.355),
    "convnext_large": (197_767_336, 224, 34.361),
    "deeplab_v3_resnet50": (42_004_074 - AUXILIARY, 520, 178.722 - 65 * 65 * AUXILIARY_KERNELS / 1e9),
    "deeplab_v3_resnet101": (60_996_202 - AUXILIARY, 520, 258.743 - 65 * 65 * AUXILIARY_KERNELS / 1e9),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_are_the_published_ones(name):
    parameters, size, giga = PUBLISHED[name]
    channels = 1 if name == "lenet" else 3
    found = fcnn.models.summary(fcnn.models.create(name), (1, size, size, channels))
    if isinstance(parameters, float):
        assert round(found.parameters / 1e6, 1) == parameters / 1e6
    else:
        assert found.parameters == parameters == sum(layer.parameters for layer in found.layers.values())
    if giga is not None:
        assert round(found.multiply_adds / 1e9, 3) == round(giga, 3)


def test_every_name_has_its_published_size():
    assert set(fcnn.models.names()) == PUBLISHED.keys() | {"unet"}  # published without normalisation


MODELS = {
    "lenet": (fcnn.models.lenet(), (2, 28, 28, 1), 10),
    "lenet with batch norm and dropout": (
        fcnn.models.lenet(batch_norm=True, dropout=0.3, image_size=(20, 16), in_channels=3, num_classes=7),
        (2, 20, 16, 3),
        7,
    ),
    "resnet18, small stem": (fcnn.models.resnet(width=4, stem="small", num_classes=7), (2, 16, 16, 3), 7),
    "resnet34, imagenet stem": (fcnn.models.resnet(depth=34, width=2, num_classes=7), (2, 32, 32, 3), 7),
}


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("model", "shape", "classes"),
    [pytest.param(*run, id=name, marks=SLOW if "34" in name else ()) for name, run in MODELS.items()],
)
def test_apply(model, shape, classes):
    params, state = model.init(jax.random.key(0))
    chex.assert_trees_all_equal_dtypes(params, jax.tree.map(lambda p: p.astype(jnp.float32), params))
    images = jax.random.normal(jax.random.key(1), shape, jnp.float32)
    logits, after = jax.eval_shape(model.apply, params, state, images)
    assert logits.shape == (shape[0], classes)
    chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
    train = jax.jit(functools.partial(model.apply, train=True))
    _, moved = train(params, state, images, key=jax.random.key(2))
    chex.assert_trees_all_equal_shapes_and_dtypes(moved, state)
    for old, new in zip(jax.tree.leaves(state), jax.tree.leaves(moved), strict=True):
        assert (old != new).any()


def losses(model, images, labels, steps=10):
    params, state = model.init(jax.random.key(0), dtype=jnp.float64)
    optimizer = optax.sgd(1e-3)  # small: a step that crosses a kink of relu enlarges what rounding differs by

    @jax.jit
    def train_step(params, state, opt_state):
        def loss_fn(params):
            logits, new_state = model.apply(params, state, images, train=True, key=jax.random.key(3))
            return fcnn.softmax_cross_entropy(logits, labels).mean(), new_state

        (loss, new_state), grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), new_state, opt_state, loss

    opt_state, found = optimizer.init(params), []
    for _ in range(steps):
        params, state, opt_state, loss = train_step(params, state, opt_state)
        found.append(float(loss))
    return found


# Every family with batch norm and with its draws. Narrow, since compiling them takes most of the time; with images
# large enough that statistics are not of a few numbers, whose gradients would enlarge rounding in every step: 33 pixels
# are 2 after a stride of 32.
RUNS = {
    "lenet": (fcnn.models.lenet(batch_norm=True, dropout=0.2), (16, 28, 28, 1)),
    "resnet18": (fcnn.models.resnet(num_classes=10, width=8, dropout=0.2), (8, 64, 64, 3)),
    "resnet50, grouped": (
        fcnn.models.resnet(depth=50, num_classes=10, width=8, groups=4, base_width=16, stem="small"),
        (8, 16, 16, 3),
    ),
    "wide_resnet": (fcnn.models.wide_resnet(depth=16, width=1, dropout=0.2), (8, 16, 16, 3)),
    "resnet9": (fcnn.models.resnet9(width=4), (8, 32, 32, 3)),
    "vgg": (fcnn.models.vgg(depth=11, width=4, norm="batch", num_classes=10), (8, 64, 64, 3)),
    "densenet": (fcnn.models.densenet(growth=2, num_classes=10), (8, 64, 64, 3)),
    "mobilenet_v2": (fcnn.models.mobilenet_v2(width=0.1, num_classes=10), (8, 33, 33, 3)),
    "mobilenet_v3": (fcnn.models.mobilenet_v3(size="small", width=0.2, num_classes=10), (8, 33, 33, 3)),
    "efficientnet": (fcnn.models.efficientnet(width=0.1, num_classes=10), (8, 33, 33, 3)),
    "convnext": (fcnn.models.convnext(width=4, num_classes=10, stochastic_depth=0.2), (8, 64, 64, 3)),
    "unet": (fcnn.models.unet(width=4, levels=2, num_classes=10, dropout=0.2), (2, 16, 16, 3)),
    "deeplab_v3": (fcnn.models.deeplab_v3(width=4, num_classes=10), (8, 64, 64, 3)),
}
QUICK = {"lenet", "resnet9", "unet"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in QUICK else SLOW) for name in RUNS])
def test_ten_losses_equal_autodiffs(name):
    model, shape = RUNS[name]
    images = jax.random.normal(jax.random.key(1), shape)
    labels = jnp.arange(shape[0]) % 10
    if name in ("unet", "deeplab_v3"):
        labels = jax.random.randint(jax.random.key(2), shape[:-1], 0, 10)
    ours = losses(model, images, labels)
    with fcnn.autodiff():
        autodiffs = losses(model, images, labels)
    np.testing.assert_allclose(ours, autodiffs, rtol=1e-8)
    assert ours[-1] < ours[0]


def stacked(tree):
    """A tree of blocks written out as it is where the equal blocks of each stage are scanned."""
    found, rest = {}, {}
    for name, node in tree.items():
        later = re.fullmatch(r"(stage\d+)_block([2-9]|\d\d)", name)
        if later is None:
            found[name] = node
        else:
            rest.setdefault(f"{later[1]}_rest", []).append(node)
    return found | {
        name: jax.tree.map(lambda *leaves: jnp.stack(leaves), *nodes) for name, nodes in rest.items()
    }


RESNET = functools.partial(fcnn.models.resnet, depth=34, width=2, num_classes=5, stem="small")
EFFICIENTNET = functools.partial(
    fcnn.models.efficientnet, width=0.25, num_classes=5, dropout=0.0, stochastic_depth=0.0
)
DEEP = {
    "resnet, remat": (RESNET, {"remat": True}, 8),
    "resnet, scan": (RESNET, {"scan": True}, 8),
    "resnet, convs saveable": (RESNET, {"remat": "convs_saveable"}, 8),
    "resnet, scan and remat": (RESNET, {"scan": True, "remat": True}, 8),
    "efficientnet, scan and remat": (EFFICIENTNET, {"scan": True, "remat": True}, 64),
    "unet, remat": (functools.partial(fcnn.models.unet, width=2, levels=2), {"remat": True}, 8),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=SLOW if "efficientnet" in name else ()) for name in DEEP]
)
def test_scanned_and_rematerialized_blocks_equal_those_written_out(name):
    make, options, size = DEEP[name]
    params, state = make().init(jax.random.key(0), dtype=jnp.float64)
    images = jax.random.normal(jax.random.key(1), (2, size, size, 3))

    def gradient(model, params, state):
        def loss(params):
            logits, moved = model.apply(params, state, images, train=True)
            return (logits**2).sum(), moved

        return jax.jit(jax.grad(loss, has_aux=True))(params)

    expected = gradient(make(), params, state)
    if "scan" in options:
        params, state = stacked(params), stacked(state)
        expected = tuple(stacked(tree) for tree in expected)
    chex.assert_trees_all_close(gradient(make(**options), params, state), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("remat", "error"), [(1, TypeError), (None, TypeError), ("all", ValueError)], ids=str
)
def test_remat_is_a_bool_or_a_policy(remat, error):
    with pytest.raises(error, match=rf"^resnet: remat must be .*, got {remat!r}"):
        fcnn.models.resnet(remat=remat)


def test_scan_needs_equal_blocks():
    with pytest.raises(ValueError, match=r"efficientnet: scan needs equal blocks, but stochastic_depth=0.2"):
        fcnn.models.efficientnet(scan=True)


def test_features_are_named():
    model = fcnn.models.resnet(width=2, num_classes=5, features=True)
    params, state = jax.eval_shape(model.init, jax.random.key(0))
    found, _ = jax.eval_shape(model.apply, params, state, jnp.zeros((1, 64, 64, 3), jnp.float32))
    assert {name: x.shape[1:] for name, x in found.items()} == {
        "stem": (16, 16, 2),
        "stage1": (16, 16, 2),
        "stage2": (8, 8, 4),
        "stage3": (4, 4, 8),
        "stage4": (2, 2, 16),
        "logits": (5,),
    }


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_norms_without_state(norm):
    model = fcnn.models.resnet9(width=4, norm=norm)
    params, state = model.init(jax.random.key(0))
    assert state == {}
    logits, after = jax.eval_shape(model.apply, params, state, jnp.zeros((2, 32, 32, 3), jnp.float32))
    assert logits.shape == (2, 10)
    assert after == {}


def test_summary_is_a_table():
    text = str(fcnn.models.summary(fcnn.models.lenet(), (2, 28, 28, 1)))
    assert "conv1" in text
    assert text.splitlines()[-1].split() == ["total", "61,706", "416,520", "52,144"]


def test_parameters_of_another_model_are_refused():
    params, state = fcnn.models.resnet9(width=4).init(jax.random.key(0))
    images = jnp.zeros((1, 32, 32, 3), jnp.float32)
    with pytest.raises(
        ValueError, match=r"resnet9: 'stem/conv/kernel' of params must have shape \(3, 3, 3, 8\)"
    ):
        fcnn.models.resnet9(width=8).apply(params, state, images)
    with pytest.raises(ValueError, match="unet: params must hold 'down1/conv1/conv/kernel'"):
        fcnn.models.unet(width=4).apply(params, state, images)


def test_evaluation_keeps_the_running_statistics():
    model = fcnn.models.lenet(batch_norm=True)
    params, state = model.init(jax.random.key(0))
    _, after = model.apply(params, state, jnp.ones((1, 28, 28, 1), jnp.float32))
    chex.assert_trees_all_equal(after, state)
