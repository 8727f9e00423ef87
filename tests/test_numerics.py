"""Numbers at the edge: half precision, large offsets, NaN, infinities, kinks, empty arrays."""

import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_cnn as fcnn
from functional_cnn.verify.cases import CASES

pytestmark = pytest.mark.usefixtures("with_optimizations")

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
    for case in CASES:
        if case.sharp:
            results = jax.tree.leaves(jax.eval_shape(case.fun, *case.arguments(dtype)))
            expected = [dtype] + [jnp.float32] * (len(results) - 1)  # statistics beside y stay in float32
            floating = [r.dtype for r in results if jnp.issubdtype(r.dtype, jnp.floating)]
            assert floating == [jnp.dtype(d) for d in expected[: len(floating)]], case.op


def test_statistics_survive_an_offset():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((32, 32, 32, 4))
    x = (1e4 + noise).astype(np.float32)
    exact = x.astype(np.float64).reshape(-1, 4)
    y, mean, var = fcnn.batch_norm(jnp.asarray(x))
    np.testing.assert_allclose(mean, exact.mean(0), rtol=1e-7)
    np.testing.assert_allclose(var, exact.var(0), rtol=1e-4)
    np.testing.assert_allclose(y.reshape(-1, 4), (exact - exact.mean(0)) / exact.std(0), atol=2e-3)


@pytest.mark.parametrize(
    ("norm", "axes"),
    [
        (fcnn.layer_norm, (3,)),
        (lambda x: fcnn.layer_norm(x, axis=(1, 2, 3)), (1, 2, 3)),
        (fcnn.instance_norm, (1, 2)),
        (lambda x: fcnn.group_norm(x, groups=1), (1, 2, 3)),
    ],
)
def test_statistics_of_each_example_survive_an_offset(norm, axes):
    x = (1e4 + np.random.default_rng(0).standard_normal((4, 64, 64, 8))).astype(np.float32)
    exact = x.astype(np.float64)
    centered = exact - exact.mean(axes, keepdims=True)
    deviation = np.sqrt(np.square(centered).mean(axes, keepdims=True) + 1e-5)
    # A float32 mean of 1e4 is right to 5e-4, half its last digit; the sum's rounding may double that.
    assert (np.abs(np.asarray(norm(jnp.asarray(x))) - centered / deviation) <= 1e-3 / deviation + 1e-3).all()
    for value in (0.0, 1e4, -3.3e7):
        assert jnp.isfinite(norm(jnp.full((2, 16, 16, 4), value, jnp.float32))).all()


@pytest.mark.parametrize(
    "norm", [fcnn.layer_norm, fcnn.rms_norm, lambda x, scale: fcnn.group_norm(x, scale, groups=2)]
)
def test_sums_over_many_pixels_round_as_autodiffs_do(norm):
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 16, 48, 48, 4)).astype(np.float32)
    scale = rng.standard_normal(4).astype(np.float32)

    def dscale(dtype):
        gradient = jax.jit(lambda x, scale, dy: jax.vjp(norm, x, scale)[1](dy)[1])
        return np.asarray(gradient(*(jnp.asarray(a, dtype) for a in (x, scale, dy))), np.float64)

    with fcnn.autodiff():
        exact, expected = dscale(jnp.float64), dscale(jnp.float32)
    error, allowed = (np.linalg.norm(values - exact) for values in (dscale(jnp.float32), expected))
    assert error <= 4 * allowed


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
    # A second derivative goes through the maximum itself: that of (dy^2/dx)^2 = (2 y)^2, so 8 y = 16.
    once = gradient(lambda x: fcnn.max_pool(x, (2, 3)) ** 2)
    twice = gradient(lambda x: once(x) ** 2)(x)
    np.testing.assert_array_equal(twice.reshape(2, 3), [[0, 16, 0], [0, 0, 0]])
    with_nan = x.at[0, 1, 1, 0].set(jnp.nan).at[0, 1, 2, 0].set(jnp.nan)
    assert jnp.isnan(fcnn.max_pool(with_nan, (2, 3))).all()
    dx = gradient(lambda x: fcnn.max_pool(x, (2, 3)))(with_nan)
    np.testing.assert_array_equal(dx.reshape(2, 3), [[0, 0, 0], [0, 1, 0]])


def test_kinks_of_what_is_cut_off():
    def slopes(op, *points):
        return gradient(op)(jnp.array(points)).tolist()

    assert slopes(fcnn.relu6, 0.0, 6.0) == [0.0, 0.0]
    assert slopes(fcnn.hard_tanh, -1.0, 1.0) == [0.0, 0.0]
    assert slopes(fcnn.hard_sigmoid, -3.0, 3.0) == [0.0, 0.0]
    assert slopes(fcnn.hard_silu, -3.0, 3.0) == [0.0, 1.0]
    assert slopes(lambda x: fcnn.elu(x, 0.5), 0.0, -0.0) == [0.5, 0.5]
    assert slopes(lambda x: fcnn.prelu(x, jnp.array(0.25)), 0.0, -0.0) == [0.25, 0.25]
    dslope = gradient(lambda slope: fcnn.prelu(jnp.array([-2.0, 0.0, 3.0]), slope))(jnp.array(0.25))
    assert dslope == -2.0


def test_global_and_indexed_max_pool_take_the_first_of_ties_and_keep_nan():
    x = jnp.array([1.0, 2.0, 2.0, 0.0]).reshape(1, 4, 1)
    np.testing.assert_array_equal(gradient(fcnn.global_max_pool)(x).ravel(), [0, 1, 0, 0])
    assert fcnn.max_pool_with_indices(x, 4)[1].item() == 1
    with_nan = x.at[0, 2, 0].set(jnp.nan)
    assert jnp.isnan(fcnn.global_max_pool(with_nan)).all()
    np.testing.assert_array_equal(gradient(fcnn.global_max_pool)(with_nan).ravel(), [0, 0, 1, 0])
    y, index = fcnn.max_pool_with_indices(with_nan, 4)
    assert jnp.isnan(y).all()
    assert index.item() == 2


def test_unpooling_of_doubled_and_of_wrong_indices():
    y = jnp.array([1.0, 2.0, 3.0]).reshape(1, 3, 1)
    twice = jnp.array([4, 1, 4]).reshape(1, 3, 1)
    np.testing.assert_array_equal(fcnn.max_unpool(y, twice, 5).ravel(), [0, 2, 0, 0, 3])
    np.testing.assert_array_equal(gradient(lambda y: fcnn.max_unpool(y, twice, 5))(y).ravel(), [0, 1, 1])
    for outside in (5, -1):
        wrong = twice.at[0, 0, 0].set(outside)
        assert jnp.isnan(fcnn.max_unpool(y, wrong, 5)).all(), "an index outside is not lost in silence"


def test_lp_pool_of_zeros_has_no_gradient_and_no_nan():
    x = jnp.zeros((1, 4, 4, 1))
    for p in (1, 2, 3, 0.5):
        np.testing.assert_array_equal(fcnn.lp_pool(x, 2, p=p), 0.0)
        np.testing.assert_array_equal(gradient(lambda x, p=p: fcnn.lp_pool(x, 2, p=p))(x), 0.0)


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
    for context in (fcnn.autodiff(), fcnn.use_rules()):
        with context:
            y, pull = jax.vjp(fcnn.relu, x)
        np.testing.assert_array_equal(y, [jnp.nan, jnp.inf, 0.0])
        np.testing.assert_array_equal(pull(jnp.ones(3))[0], [1.0, 1.0, 0.0])


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


@pytest.mark.parametrize(("dtype", "number"), [(jnp.bfloat16, 256), (jnp.float16, 2048)])
def test_integer_targets_are_not_rounded(dtype, number):
    predictions, targets = jnp.array([number], dtype), jnp.array([number + 1])
    for context in (fcnn.autodiff(), fcnn.use_rules()):
        with context:
            loss, grad = jax.value_and_grad(lambda p: fcnn.squared_error(p, targets).sum())(predictions)
        assert (loss, grad) == (1, -2)


@pytest.mark.parametrize("infinity", [-np.inf, np.float32(np.inf), np.float64(-np.inf)])
def test_padding_with_infinity(infinity):
    padded = fcnn.pad(jnp.zeros((1, 1, 1)), 1, value=infinity)
    np.testing.assert_array_equal(padded.ravel(), [infinity, 0, infinity])


@pytest.mark.parametrize("pool", [fcnn.avg_pool, fcnn.max_pool])
def test_checks_of_a_pool_take_no_memory_for_its_taps(pool):
    tracemalloc.start()
    jax.eval_shape(
        lambda x: pool(x, 32, stride=1, padding=16), jax.ShapeDtypeStruct((1, 512, 512, 3), jnp.float32)
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**24  # a byte for each tap of each output pixel is 2^28


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
