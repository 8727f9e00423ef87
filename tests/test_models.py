"""Models: shapes, parameter counts, state, and ten losses of a real run with rules and with autodiff."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import functional_cnn as fcnn


def count(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(
    ("model", "parameters"),
    [  # LeNet-5: Zhang et al., "Dive into deep learning", section 7.6; ResNet: torchvision's documentation
        (fcnn.models.lenet(), 61_706),
        (fcnn.models.resnet(depth=18), 11_689_512),
        (fcnn.models.resnet(depth=34), 21_797_672),
    ],
    ids=["lenet", "resnet18", "resnet34"],
)
def test_parameter_counts_are_the_published_ones(model, parameters):
    params, _ = jax.eval_shape(model.init, jax.random.key(0))
    assert count(params) == parameters


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
    optimizer = optax.sgd(0.05, momentum=0.9)

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


RUNS = [
    pytest.param(fcnn.models.lenet(batch_norm=True, dropout=0.2), (8, 28, 28, 1), id="lenet"),
    pytest.param(fcnn.models.resnet(num_classes=10), (2, 64, 64, 3), id="resnet18", marks=SLOW),
    pytest.param(
        fcnn.models.resnet(num_classes=10, stem="small"),
        (4, 32, 32, 3),
        id="resnet18, small stem",
        marks=SLOW,
    ),
    pytest.param(
        fcnn.models.resnet(depth=34, num_classes=10, width=8, stem="small"),
        (4, 16, 16, 3),
        id="resnet34, narrow",
        marks=SLOW,
    ),
]


@pytest.mark.parametrize(("model", "shape"), RUNS)
def test_ten_losses_equal_autodiffs(model, shape):
    images = jax.random.normal(jax.random.key(1), shape)
    labels = jnp.arange(shape[0]) % 10
    ours = losses(model, images, labels)
    with fcnn.autodiff():
        autodiffs = losses(model, images, labels)
    np.testing.assert_allclose(ours, autodiffs, rtol=1e-9)
    assert ours[-1] < ours[0]


def test_evaluation_keeps_the_running_statistics():
    model = fcnn.models.lenet(batch_norm=True)
    params, state = model.init(jax.random.key(0))
    _, after = model.apply(params, state, jnp.ones((1, 28, 28, 1), jnp.float32))
    chex.assert_trees_all_equal(after, state)
