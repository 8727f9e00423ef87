"""A training step whose batch is split over four devices sums over them, and gathers no image."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import functional_cnn as fcnn
from benchmarks.collectives import Collective, collectives, gathered_bytes
from functional_cnn import training


def init_separable(key, *, dtype=jnp.float32):
    shapes = {"depthwise": (3, 3, 1, 4), "pointwise": (1, 1, 4, 4)}
    layer = {name: jax.random.normal(key, shape, dtype) for name, shape in shapes.items()}
    return {f"layer{number}": layer for number in range(3)}, {}


def apply_separable(params, state, images, *, train=False, key=None):
    for layer in params.values():
        images = fcnn.relu(fcnn.separable_conv(images, layer["depthwise"], layer["pointwise"]))
    return fcnn.global_avg_pool(images), state


MODELS = {
    "lenet": (fcnn.models.lenet(), (8, 28, 28, 1)),
    "resnet": (fcnn.models.resnet(depth=18, num_classes=10, width=4, stem="small"), (8, 16, 16, 3)),
    "resnet, remat": (
        fcnn.models.resnet(depth=18, num_classes=10, width=4, stem="small", remat=True),
        (8, 16, 16, 3),
    ),
    "depthwise": (fcnn.models.Model(init_separable, apply_separable), (8, 8, 8, 4)),
}


def compiled_step(model, images, axis_type):
    """The step of training, and the bytes of its parameters."""
    optimizer = optax.sgd(0.1)
    mesh = jax.make_mesh((4,), ("data",), axis_types=(axis_type,))
    with jax.set_mesh(mesh):
        state = training.TrainState.create(model, optimizer, jax.random.key(0))
        state = jax.device_put(state, NamedSharding(mesh, P()))
        batch = jnp.zeros(images, jnp.float32), jnp.zeros(images[0], jnp.int32)
        batch = jax.device_put(batch, NamedSharding(mesh, P("data")))
        compiled = training.make_train_step(model, optimizer).lower(state, *batch).compile()
    return compiled, sum(leaf.nbytes for leaf in jax.tree.leaves(state.params))


def arrays(found):
    return sum(collective.arrays for collective in found)


@pytest.mark.parametrize("axis_type", [AxisType.Explicit, AxisType.Auto], ids=["explicit", "auto"])
@pytest.mark.parametrize("name", MODELS)
def test_step(devices, name, axis_type):
    program, parameter_bytes = compiled_step(*MODELS[name], axis_type)
    with fcnn.autodiff():
        derived, _ = compiled_step(*MODELS[name], axis_type)
    found, expected = list(collectives(program.as_text())), list(collectives(derived.as_text()))
    assert expected
    assert len(found) <= 1.5 * len(expected)
    assert arrays(found) <= 1.5 * arrays(expected)
    assert gathered_bytes(found) <= parameter_bytes


def test_a_gathered_image_is_found(devices):
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    images = jax.device_put(np.ones((8, 4, 4, 3), np.float32), NamedSharding(mesh, P("data")))
    gather = jax.jit(lambda images: images + 1, out_shardings=NamedSharding(mesh, P()))
    found = list(collectives(gather.lower(images).compile().as_text()))
    assert found == [Collective("all-gather", 1, images.nbytes)]


def test_collectives_are_read_from_a_program():
    text = """
      %all-reduce.1 = (f32[64]{0}, bf16[2,3]{1,0}, f32[]) all-reduce(%a, %b, %c), to_apply=%add
      %start = (s8[4]{0}, s8[16]{0}) all-gather-start(%d), dimensions={0}
      %done = pred[16]{0} all-gather-done(%start)
      %permuted = f64[0,5]{1,0} collective-permute(%e), source_target_pairs={{0,1}}
      %sum = f32[64]{0} add(%all-reduce.1, %f)
    """
    assert list(collectives(text)) == [
        Collective("all-reduce", 3, 64 * 4 + 6 * 2 + 4),
        Collective("all-gather", 1, 16),
        Collective("collective-permute", 1, 0),
    ]
