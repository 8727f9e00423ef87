"""Numbers at the edge: half precision, large offsets, NaN, infinities, kinks, empty arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_cnn as fcnn

HALF = [jnp.float16, jnp.bfloat16]


def gradient(fun):
    return jax.grad(lambda x: fun(x).sum())


@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_sums_in_float32(dtype):
    # 4096 + 1 is 4096 in half precision, so a sum in it would stop there.
    ones = jnp.ones((1, 96, 96, 1), dtype)
    np.testing.assert_array_equal(fcnn.global_avg_pool(ones).astype(jnp.float32), 1.0)
    np.testing.assert_array_equal(fcnn.avg_pool(ones, 96).astype(jnp.float32), 1.0)
    total = fcnn.conv(ones / 96, ones.reshape(96, 96, 1, 1) / 96, padding="VALID")
    np.testing.assert_allclose(total.astype(jnp.float32).ravel(), 1.0, rtol=2e-2)
    dbias = jax.grad(lambda b: fcnn.conv(ones, jnp.ones((1, 1, 1, 1), dtype), b).sum())(jnp.zeros(1, dtype))
    np.testing.assert_array_equal(dbias.astype(jnp.float32), 9216.0)
    product = fcnn.dense(jnp.ones((1, 9216), dtype) / 96, jnp.ones((9216, 1), dtype) / 96)
    np.testing.assert_allclose(product.astype(jnp.float32), 1.0, rtol=2e-2)


@pytest.mark.parametrize("dtype", HALF)
def test_every_op_keeps_half_precision(dtype):
    x = jnp.linspace(-1, 1, 64).reshape(1, 4, 4, 4).astype(dtype)
    vector = jnp.ones(4, dtype)
    results = [
        fcnn.conv(x, jnp.ones((3, 3, 4, 2), dtype)),
        fcnn.dense(x, jnp.ones((4, 2), dtype)),
        fcnn.max_pool(x, 2),
        fcnn.avg_pool(x, 2),
        fcnn.global_avg_pool(x),
        fcnn.batch_norm(x, vector, vector)[0],
        fcnn.batch_norm_inference(x, vector, vector, vector, vector),
        *(op(x) for op in (fcnn.relu, fcnn.leaky_relu, fcnn.sigmoid, fcnn.tanh)),
        *(op(x) for op in (fcnn.softmax, fcnn.log_softmax)),
        fcnn.dropout(x, jax.random.key(0), rate=0.5),
        fcnn.softmax_cross_entropy(x, x),
        fcnn.sigmoid_cross_entropy(x, x),
        fcnn.squared_error(x, x),
    ]
    assert {result.dtype for result in results} == {jnp.dtype(dtype)}
    _, mean, var = fcnn.batch_norm(x)
    assert mean.dtype == var.dtype == jnp.float32


def test_statistics_survive_an_offset():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((32, 32, 32, 4))
    x = (1e4 + noise).astype(np.float32)
    exact = x.astype(np.float64).reshape(-1, 4)
    y, mean, var = fcnn.batch_norm(jnp.asarray(x))
    np.testing.assert_allclose(mean, exact.mean(0), rtol=1e-7)
    np.testing.assert_allclose(var, exact.var(0), rtol=1e-4)
    np.testing.assert_allclose(y.reshape(-1, 4), (exact - exact.mean(0)) / exact.std(0), atol=2e-3)


def test_variance_of_equal_values_is_not_negative():
    for value in (0.0, 1e4, -3.3e7):
        y, _, var = fcnn.batch_norm(jnp.full((8, 16, 16, 3), value, jnp.float32))
        assert (var >= 0).all()
        assert jnp.isfinite(y).all()


def test_one_bright_pixel_does_not_spoil_the_statistics():
    x = np.full((4, 8, 8, 1), 1e4, np.float32) + np.random.default_rng(1).standard_normal(
        (4, 8, 8, 1), np.float32
    )
    x[0, 0, 0, 0] = 0.0
    _, _, var = fcnn.batch_norm(jnp.asarray(x))
    np.testing.assert_allclose(var, x.astype(np.float64).var(), rtol=1e-5)


def test_kinks():
    zero = jnp.array([0.0, -0.0])
    np.testing.assert_array_equal(gradient(fcnn.relu)(zero), 0.0)
    np.testing.assert_array_equal(gradient(lambda x: fcnn.leaky_relu(x, 0.25))(zero), 0.25)
    # The derivative of the forward pass, which a second derivative sees, agrees at the kink.
    outer = gradient(lambda x: fcnn.relu(x) * (1 + gradient(fcnn.relu)(x)))
    np.testing.assert_array_equal(outer(zero), 0.0)


def test_max_pool_ties_go_to_the_first_and_nan_propagates():
    x = jnp.array([[1.0, 2.0, 2.0], [2.0, 0.0, 1.0]]).reshape(1, 2, 3, 1)
    dx = gradient(lambda x: fcnn.max_pool(x, (2, 3)))(x)
    np.testing.assert_array_equal(dx.reshape(2, 3), [[0, 1, 0], [0, 0, 0]])
    with_nan = x.at[0, 1, 1, 0].set(jnp.nan).at[0, 1, 2, 0].set(jnp.nan)
    assert jnp.isnan(fcnn.max_pool(with_nan, (2, 3))).all()
    dx = gradient(lambda x: fcnn.max_pool(x, (2, 3)))(with_nan)
    np.testing.assert_array_equal(dx.reshape(2, 3), [[0, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize("window", [3, 5])
def test_max_pool_of_minus_infinity_never_picks_padding(window):
    x = jnp.full((1, 5, 5, 1), -jnp.inf)

    def pool(x):
        return fcnn.max_pool(x, window, padding=window // 2, stride=1)

    for context in (fcnn.autodiff(), fcnn.use_rules()):
        with context:
            np.testing.assert_array_equal(pool(x), -jnp.inf)
            _, pull = jax.vjp(pool, x)
            assert pull(jnp.ones((1, 5, 5, 1)))[0].sum() == 25, "every cotangent arrives at a pixel"


def test_relu_keeps_nan_and_infinity():
    x = jnp.array([jnp.nan, jnp.inf, -jnp.inf])
    np.testing.assert_array_equal(fcnn.relu(x), [jnp.nan, jnp.inf, 0.0])


def test_large_logits():
    z = jnp.array([[1e4, -1e4, 0.0], [-jnp.inf, 0.0, 0.0]])
    labels = jnp.array([1, 2])
    loss, pull = jax.vjp(lambda z: fcnn.softmax_cross_entropy(z, labels), z)
    np.testing.assert_allclose(loss, [2e4, np.log(2)])
    np.testing.assert_allclose(pull(jnp.ones(2))[0], [[1, -1, 0], [0, 0.5, -0.5]])
    loss = fcnn.sigmoid_cross_entropy(jnp.array([-1e4, 1e4]), jnp.array([1.0, 1.0]))
    np.testing.assert_allclose(loss, [1e4, 0.0])


@pytest.mark.parametrize("label", [-1, 3])
def test_label_outside_the_classes_is_nan_not_silence(label):
    loss = fcnn.softmax_cross_entropy(jnp.zeros((2, 3)), jnp.array([0, label]))
    np.testing.assert_array_equal(jnp.isnan(loss), [False, True])


def test_dropout_draws_what_it_says():
    x = jnp.ones((32, 8, 8, 8))
    y = fcnn.dropout(x, jax.random.key(0), rate=0.25)
    np.testing.assert_allclose((y == 0).mean(), 0.25, atol=0.02)
    np.testing.assert_allclose(y.max(), 1 / 0.75, rtol=1e-12)
    np.testing.assert_array_equal(y, fcnn.dropout(x, jax.random.key(0), rate=0.25))
    assert (y != fcnn.dropout(x, jax.random.key(1), rate=0.25)).any()
    channels = fcnn.dropout(x, jax.random.key(0), rate=0.5, broadcast_axes=(1, 2))
    assert (channels.max((1, 2)) == channels.min((1, 2))).all()
    np.testing.assert_array_equal(fcnn.dropout(x, jax.random.key(0), rate=0.0), x)
    legacy = fcnn.dropout(x, jax.random.PRNGKey(0), rate=0.25)
    np.testing.assert_array_equal(legacy, y)


def test_large_pool_of_more_than_8192_elements():
    x = np.random.default_rng(0).standard_normal((2, 130, 70, 3))
    y = fcnn.max_pool(jnp.asarray(x), 2)
    np.testing.assert_array_equal(y, x.reshape(2, 65, 2, 35, 2, 3).max((2, 4)))
    y = fcnn.avg_pool(jnp.asarray(x), 2)
    np.testing.assert_allclose(y, x.reshape(2, 65, 2, 35, 2, 3).mean((2, 4)), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("dtype", "classes"), [(jnp.uint8, 300), (jnp.uint8, 256), (jnp.int8, 128), (jnp.int64, 300)]
)
def test_labels_of_few_bits_beside_many_classes(dtype, classes):
    z = jnp.asarray(np.random.default_rng(0).standard_normal((3, classes)))
    labels = jnp.array([3, 100, 127], dtype)
    for context in (fcnn.autodiff(), fcnn.use_rules()):
        with context:
            loss = fcnn.softmax_cross_entropy(z, labels)
            expected = -jax.nn.log_softmax(z)[jnp.arange(3), labels.astype(jnp.int32)]
            np.testing.assert_allclose(loss, expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", HALF)
def test_running_statistics_move_in_float32(dtype):
    _, state = fcnn.init.batch_norm(3, dtype=dtype)
    assert state["mean"].dtype == state["var"].dtype == jnp.float32


def test_label_smoothing_of_one_is_the_uniform_distribution():
    z = jnp.array([[0.0, 1.0, 2.0]])
    loss = fcnn.softmax_cross_entropy(z, jnp.array([0]), label_smoothing=1.0)
    np.testing.assert_allclose(loss, -jax.nn.log_softmax(z).mean(-1), rtol=1e-12)
