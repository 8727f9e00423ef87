"""The sharded gradient of a small CNN over four devices equals the single-device one."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import functional_cnn as fcnn


def small_cnn(params, images, labels, axis_name=None):
    """Every kind of layer: plain, grouped, depthwise, transposed and 1x1 convolutions, pools, normalisation, losses."""
    x = fcnn.conv(images, **params["conv"])
    x, mean, var = fcnn.batch_norm(x, **params["norm"], axis_name=axis_name)
    x = fcnn.max_pool(fcnn.relu(x), 3, stride=2, padding=1)
    x = fcnn.leaky_relu(fcnn.conv(x, **params["grouped"], groups=2))
    x = fcnn.tanh(fcnn.conv(x, **params["depthwise"], groups=8, stride=2))
    x = fcnn.conv_transpose(x, **params["transposed"], stride=2)
    x = fcnn.avg_pool(fcnn.conv(x, **params["pointwise"], stride=2, padding="VALID"), 2)
    x = fcnn.sigmoid(fcnn.global_avg_pool(x))
    x = fcnn.batch_norm_inference(x, params["mean"], params["var"])
    logits = fcnn.dense(x, **params["dense"])
    losses = fcnn.softmax_cross_entropy(logits, labels, label_smoothing=0.1)
    return losses.mean() + (mean**2).sum() + jnp.sqrt(var).sum()


def arguments():
    keys = iter(jax.random.split(jax.random.key(0), 10))
    make = functools.partial(fcnn.init.conv, dtype=jnp.float64)
    params = {
        "conv": make(next(keys), (3, 3), 3, 8),
        "norm": {"scale": jax.random.normal(next(keys), (8,)), "bias": jax.random.normal(next(keys), (8,))},
        "grouped": make(next(keys), (3, 3), 8, 8, groups=2),
        "depthwise": make(next(keys), (3, 3), 8, 8, groups=8),
        "transposed": fcnn.init.conv_transpose(next(keys), (2, 2), 8, 8, dtype=jnp.float64),
        "pointwise": make(next(keys), (1, 1), 8, 6),
        "mean": jnp.full(6, 0.3),
        "var": jnp.full(6, 0.7),
        "dense": fcnn.init.dense(next(keys), 6, 5, dtype=jnp.float64),
    }
    images = jax.random.normal(next(keys), (8, 9, 9, 3))
    return params, images, jnp.arange(8) % 5


@pytest.fixture(scope="module")
def expected():
    with fcnn.autodiff():
        return jax.jit(jax.grad(small_cnn))(*arguments())


def assert_equal(got, expected):
    chex.assert_trees_all_close(got, jax.tree.map(np.asarray, expected), rtol=1e-9, atol=1e-12)


def test_single_device(expected):
    assert_equal(jax.jit(jax.grad(small_cnn))(*arguments()), expected)


@pytest.mark.parametrize(
    "axis_type", [None, AxisType.Explicit, AxisType.Auto], ids=["plain", "explicit", "auto"]
)
def test_mesh(devices, expected, axis_type):
    options = {} if axis_type is None else {"axis_types": (axis_type,)}
    mesh = jax.make_mesh((4,), ("data",), **options)
    params, images, labels = arguments()
    with jax.set_mesh(mesh):
        split, whole = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
        params = jax.device_put(params, whole)
        grads = jax.jit(jax.grad(small_cnn))(params, *jax.device_put((images, labels), split))
    assert_equal(grads, expected)
    for gradient, param in zip(jax.tree.leaves(grads), jax.tree.leaves(params), strict=True):
        assert gradient.sharding.is_equivalent_to(param.sharding, param.ndim)


def test_explicit_mesh_without_jit(devices, expected):
    mesh = jax.make_mesh((4,), ("data",))
    params, images, labels = arguments()
    with jax.set_mesh(mesh):
        params = jax.device_put(params, NamedSharding(mesh, P()))
        images, labels = jax.device_put((images, labels), NamedSharding(mesh, P("data")))
        assert_equal(jax.grad(small_cnn)(params, images, labels), expected)


@pytest.mark.parametrize("checked", [True, False], ids=["checked", "unchecked"])
def test_shard_map(devices, expected, checked):
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))

    def loss(params, images, labels):
        def shard(params, images, labels):
            return lax.pmean(small_cnn(params, images, labels, axis_name="data"), "data")

        return jax.shard_map(
            shard, mesh=mesh, in_specs=(P(), P("data"), P("data")), out_specs=P(), check_vma=checked
        )(params, images, labels)

    assert_equal(jax.jit(jax.grad(loss))(*arguments()), expected)


def test_gradient_inside_shard_map(devices, expected):
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))

    @jax.jit
    @functools.partial(jax.shard_map, mesh=mesh, in_specs=(P(), P("data"), P("data")), out_specs=P())
    def gradient(params, images, labels):
        def loss(params):
            return lax.pmean(small_cnn(params, images, labels, axis_name="data"), "data")

        return jax.grad(loss)(params)

    assert_equal(gradient(*arguments()), expected)


def test_model_made_outside_shard_map(devices):
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    options = {"width": 2, "num_classes": 3, "stem": "small"}
    model, alone = (fcnn.models.resnet(**options, axis_name=name) for name in ("data", None))
    params, state = model.init(jax.random.key(0), dtype=jnp.float64)
    images = jax.random.normal(jax.random.key(1), (8, 8, 8, 3))
    trained = functools.partial(model.apply, train=True)
    split, whole = P("data"), P()
    sharded = jax.shard_map(trained, mesh=mesh, in_specs=(whole, whole, split), out_specs=(split, whole))
    found = jax.jit(sharded)(params, state, images)
    expected = jax.jit(functools.partial(alone.apply, train=True))(params, state, images)
    chex.assert_trees_all_close(found, expected, rtol=1e-9)


def test_gradient_inside_a_vmapped_axis():
    # Outside, JAX leaves the axis' name unbound in the backward pass of any custom_vjp.
    params, images, labels = arguments()
    split = jax.tree.map(lambda a: a.reshape(4, 2, *a.shape[1:]), (images, labels))

    def gradient(images, labels):
        return jax.grad(small_cnn)(params, images, labels, axis_name="data")

    mapped = jax.jit(jax.vmap(gradient, axis_name="data"))
    got = mapped(*split)
    with fcnn.autodiff():
        assert_equal(got, mapped(*split))


def test_dropout_under_explicit_axes(devices):
    mesh = jax.make_mesh((4,), ("data",))
    x, key = jnp.ones((8, 6)), jax.random.key(0)
    expected = jax.grad(lambda x: (fcnn.dropout(x, key, rate=0.5) ** 2).sum())(x)
    with jax.set_mesh(mesh):
        x = jax.device_put(x, NamedSharding(mesh, P("data")))
        got = jax.jit(jax.grad(lambda x: (fcnn.dropout(x, key, rate=0.5) ** 2).sum()))(x)
    np.testing.assert_array_equal(got, expected)


def test_shard_map_where_only_labels_or_keys_vary(devices):
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    logits, labels = jax.random.normal(jax.random.key(0), (1, 5)), jnp.arange(4)
    keys = jax.random.split(jax.random.key(1), 4)

    def loss(logits, labels, keys):
        def shard(logits, labels, keys):
            dropped = fcnn.dropout(logits, keys[0], rate=0.5)
            return lax.pmean((fcnn.softmax_cross_entropy(logits, labels) + dropped.sum()).sum(), "data")

        return jax.shard_map(shard, mesh=mesh, in_specs=(P(), P("data"), P("data")), out_specs=P())(
            logits, labels, keys
        )

    got = jax.jit(jax.grad(loss))(logits, labels, keys)
    with fcnn.autodiff():
        assert_equal(got, jax.jit(jax.grad(loss))(logits, labels, keys))


def test_dense_with_a_kernel_split_over_its_outputs(devices):
    mesh = jax.make_mesh((4,), ("model",))
    x, kernel = jax.random.normal(jax.random.key(0), (3, 6)), jax.random.normal(jax.random.key(1), (6, 8))

    def loss(x, kernel):
        return (fcnn.dense(x, kernel) ** 2).sum()

    expected = jax.grad(loss, (0, 1))(x, kernel)
    with jax.set_mesh(mesh):
        x = jax.device_put(x, NamedSharding(mesh, P()))
        kernel = jax.device_put(kernel, NamedSharding(mesh, P(None, "model")))
        assert_equal(jax.jit(jax.grad(loss, (0, 1)))(x, kernel), expected)


@pytest.mark.parametrize("axis_type", [AxisType.Explicit, AxisType.Auto], ids=["explicit", "auto"])
@pytest.mark.parametrize(
    ("x", "kernel", "options"),
    [
        ((4, 6, 6, 64), (3, 3, 8, 64), {"groups": 8}),
        ((4, 6, 5, 4, 2), (3, 3, 3, 2, 3), {"stride": 2}),
        ((4, 4, 4, 4), (2, 2, 4, 4), {"stride": 2, "padding": "VALID"}),
        ((4, 16, 16, 32), (3, 3, 32, 128), {}),
        ((8, 64, 32, 64), (3, 3, 64, 32), {}),
        ((8, 28, 28, 1), (5, 5, 1, 7), {}),
        ((8, 32, 32, 3), (3, 3, 3, 8), {}),
        ((4, 32, 32, 8), (3, 3, 8, 32), {"stride": 2}),
        ((32, 8, 8, 128), (3, 3, 128, 128), {}),
        ((32, 16, 16, 128), (3, 3, 128, 128), {}),
    ],
    ids=[
        "groups",
        "3D",
        "tiled",
        "strips",
        "turned",
        "banded",
        "columns",
        "blocks",
        "Winograd's",
        "Winograd's in parts",
    ],
)
def test_convolution_gathers_no_image(devices, x, kernel, options, axis_type):
    # Small integers, whose sums are exact in float32, since strips, bands, blocks and tiles are not for float64.
    x, kernel = (
        jax.random.randint(jax.random.key(number), shape, -1, 2).astype(jnp.float32)
        for number, shape in enumerate((x, kernel))
    )

    def gradient(x, kernel):
        return jax.grad(lambda x, kernel: (fcnn.conv(x, kernel, **options) ** 2).sum(), (0, 1))(x, kernel)

    with fcnn.autodiff():
        expected = jax.jit(gradient)(x, kernel)
    mesh = jax.make_mesh((4,), ("data",), axis_types=(axis_type,))
    with jax.set_mesh(mesh):
        x = jax.device_put(x, NamedSharding(mesh, P("data")))
        kernel = jax.device_put(kernel, NamedSharding(mesh, P()))
        compiled = jax.jit(gradient).lower(x, kernel).compile()
        assert_equal(compiled(x, kernel), expected)
    assert "all-gather" not in compiled.as_text()


@pytest.mark.parametrize("axis_type", [AxisType.Explicit, AxisType.Auto], ids=["explicit", "auto"])
@pytest.mark.parametrize("axis", [1, 2], ids=["rows", "columns"])
@pytest.mark.parametrize(
    ("window", "options"),
    [
        ((1, 1), {}),
        ((3, 3), {}),
        ((3, 3), {"groups": 4}),
        ((3, 3), {"groups": 2}),
        ((2, 2), {"stride": 2, "padding": "VALID"}),
    ],
    ids=["pointwise", "native", "depthwise", "grouped", "tiled"],
)
def test_convolution_of_images_split_among_devices(devices, window, options, axis, axis_type):
    x = jax.random.normal(jax.random.key(0), (3, 8, 16, 4))
    kernel = jax.random.normal(jax.random.key(1), (*window, 4 // options.get("groups", 1), 8))
    expected = convolution_and_gradients(x, kernel, options)
    mesh = jax.make_mesh((4,), ("data",), axis_types=(axis_type,))
    with jax.set_mesh(mesh):
        x = jax.device_put(x, NamedSharding(mesh, P(*[None] * axis, "data")))
        kernel = jax.device_put(kernel, NamedSharding(mesh, P()))
        assert_equal(convolution_and_gradients(x, kernel, options), expected)


def convolution_and_gradients(x, kernel, options):
    def loss(x, kernel):
        y = fcnn.conv(x, kernel, **options)
        return (y**2).sum(), y

    return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(x, kernel)
