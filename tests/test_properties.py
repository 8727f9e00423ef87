"""Properties over random geometry: every valid call works and is proved, every other call says why."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import functional_cnn as fcnn
from functional_cnn.verify._table import by_autodiff
from functional_cnn.verify.cases import CASES


def per_axis(draw, rank, entry):
    """One value for all axes, or one for each."""
    return draw(entry) if draw(st.booleans()) else tuple(draw(entry) for _ in range(rank))


@st.composite
def geometry(draw, largest_pad=5):
    rank = draw(st.integers(1, 3))
    side = st.integers(0, largest_pad)
    padding = draw(
        st.one_of(
            st.sampled_from(["SAME", "VALID"]),
            side,
            st.tuples(*[side] * rank),
            st.tuples(*[st.tuples(side, side)] * rank),
        )
    )
    return {
        "inputs": tuple(draw(st.integers(1, 6)) for _ in range(rank)),
        "window": tuple(draw(st.integers(1, 3)) for _ in range(rank)),
        "options": {
            "stride": per_axis(draw, rank, st.integers(1, 4)),
            "padding": padding,
            "dilation": per_axis(draw, rank, st.integers(1, 3)),
        },
    }


def assert_proved(fun, *args):
    """Value and cotangents equal autodiff's, or both raise the library's ValueError."""
    try:
        y = jax.eval_shape(fun, *args)
    except ValueError as error:
        refusals = ("the output would be empty", "at most half the window", "holds no pixel of x")
        assert any(text in str(error) for text in refusals), error
        return
    dy = jnp.asarray(np.random.default_rng(0).standard_normal(y.shape))

    @jax.jit
    def results_and_cotangents(args, dy):  # of both in one compilation, which takes most of the time
        found = []
        for f in (fun, by_autodiff(fun)):
            y, pull = jax.vjp(f, *args)
            found.append((y, *pull(dy)))
        return found

    for got, want in zip(*results_and_cotangents(args, dy), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11)


@given(
    geometry(),
    st.integers(0, 2),
    st.sampled_from([(1, 2, 3), (2, 2, 1), (3, 1, 1), (2, 1, 2)]),
    st.booleans(),
)
def test_conv(geometry, batch, channels, with_bias):
    groups, per_group, outputs = channels
    rng = np.random.default_rng(1)
    x = jnp.asarray(rng.standard_normal((batch, *geometry["inputs"], groups * per_group)))
    kernel = jnp.asarray(rng.standard_normal((*geometry["window"], per_group, groups * outputs)))
    bias = [jnp.asarray(rng.standard_normal(groups * outputs))] if with_bias else []
    assert_proved(lambda *args: fcnn.conv(*args, groups=groups, **geometry["options"]), x, kernel, *bias)


@given(
    geometry(largest_pad=2),
    st.integers(0, 2),
    st.sampled_from([(1, 2, 3), (2, 2, 1), (3, 1, 1)]),
    st.integers(0, 1),
)
def test_conv_transpose(geometry, batch, channels, output_padding):
    groups, per_group, outputs = channels
    options = geometry["options"] | {"groups": groups}
    if options["padding"] != "SAME" and options["stride"] != 1:
        rank = len(geometry["inputs"])
        strides = np.broadcast_to(options["stride"], rank)
        options["output_padding"] = tuple(min(output_padding, int(s) - 1) for s in strides)
    rng = np.random.default_rng(6)
    x = jnp.asarray(rng.standard_normal((batch, *geometry["inputs"], groups * per_group)))
    kernel = jnp.asarray(rng.standard_normal((*geometry["window"], outputs, groups * per_group)))
    assert_proved(lambda *args: fcnn.conv_transpose(*args, **options), x, kernel)


@given(geometry(largest_pad=2), st.integers(0, 2), st.booleans(), st.booleans())
def test_max_pool(geometry, batch, ceil_mode, tied):
    rng = np.random.default_rng(2)
    shape = (batch, *geometry["inputs"], 2)
    x = rng.integers(0, 3, shape) if tied else rng.permutation(int(np.prod(shape))).reshape(shape)
    options = geometry["options"] | {"ceil_mode": ceil_mode}
    assert_proved(lambda x: fcnn.max_pool(x, geometry["window"], **options), jnp.asarray(x, jnp.float64))


@given(
    geometry(largest_pad=2), st.integers(0, 2), st.booleans(), st.booleans(), st.sampled_from([None, 1, 5])
)
def test_avg_pool(geometry, batch, ceil_mode, count_include_pad, divisor):
    x = jnp.asarray(np.random.default_rng(3).standard_normal((batch, *geometry["inputs"], 2)))
    options = geometry["options"] | {
        "ceil_mode": ceil_mode,
        "count_include_pad": count_include_pad,
        "divisor_override": divisor,
    }
    assert_proved(lambda x: fcnn.avg_pool(x, geometry["window"], **options), x)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=5), st.booleans(), st.booleans())
def test_batch_norm(shape, with_scale, with_bias):
    rng = np.random.default_rng(4)
    x, scale, bias = (jnp.asarray(rng.standard_normal(s)) for s in (shape, shape[-1:], shape[-1:]))
    if x.size == 0 and shape[-1]:
        return  # the mean of nothing is NaN, on both sides
    args = [x, *([scale] if with_scale else []), *([bias] if with_scale and with_bias else [])]
    assert_proved(lambda *args: fcnn.batch_norm(*args, eps=1e-2)[0], *args)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_softmax_axes(shape, data):
    axes = data.draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True))
    signed = tuple(axis - len(shape) if data.draw(st.booleans()) else axis for axis in axes)
    x = jnp.asarray(np.random.default_rng(5).standard_normal(shape))
    np.testing.assert_allclose(fcnn.softmax(x, signed).sum(tuple(axes)), 1.0)
    assert_proved(lambda x: fcnn.softmax(x, signed), x)
    assert_proved(lambda x: fcnn.log_softmax(x, signed), x)


@given(geometry(largest_pad=2), st.integers(0, 2), st.booleans(), st.booleans())
def test_max_pool_with_indices_and_unpool(geometry, batch, ceil_mode, tied):
    rng = np.random.default_rng(6)
    shape = (batch, *geometry["inputs"], 2)
    x = rng.integers(0, 3, shape) if tied else rng.permutation(int(np.prod(shape))).reshape(shape)
    x, options = jnp.asarray(x, jnp.float64), geometry["options"] | {"ceil_mode": ceil_mode}

    def pool(x):
        return fcnn.max_pool_with_indices(x, geometry["window"], **options)

    assert_proved(lambda x: pool(x)[0], x)
    try:
        y, indices = pool(x)
    except ValueError:
        return
    np.testing.assert_array_equal(y, fcnn.max_pool(x, geometry["window"], **options))
    flat = np.asarray(x).reshape(batch, int(np.prod(geometry["inputs"])), 2)
    for n, c in np.ndindex(batch, 2):
        np.testing.assert_array_equal(flat[n, indices[n, ..., c], c], y[n, ..., c])
    assert_proved(lambda y: fcnn.max_unpool(y, indices, geometry["inputs"]), y)
    back = fcnn.max_unpool(y, indices, geometry["inputs"])
    np.testing.assert_array_equal(back[back != 0], x[back != 0])


@given(geometry(largest_pad=2), st.integers(0, 2), st.booleans(), st.sampled_from([1, 2, 3, 2.5]))
def test_lp_pool(geometry, batch, ceil_mode, p):
    x = jnp.asarray(np.random.default_rng(7).standard_normal((batch, *geometry["inputs"], 2)))
    options = geometry["options"] | {"ceil_mode": ceil_mode, "p": p}
    assert_proved(lambda x: fcnn.lp_pool(x, geometry["window"], **options), x)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=5), st.data())
def test_norms_over_axes(shape, data):
    rng = np.random.default_rng(8)
    axes = data.draw(st.lists(st.integers(-len(shape), len(shape) - 1), min_size=1))
    x = jnp.asarray(rng.standard_normal(shape))
    seen = tuple(shape[axis] for axis in sorted({axis % len(shape) for axis in axes}))
    scale, bias = (jnp.asarray(rng.standard_normal(seen)) for _ in range(2))
    if len({axis % len(shape) for axis in axes}) < len(axes):
        with pytest.raises(ValueError, match="axis names an axis twice"):
            fcnn.layer_norm(x, scale, bias, axis=tuple(axes))
        return
    options = {"axis": tuple(axes), "eps": 1e-2}
    assert_proved(lambda *args: fcnn.layer_norm(*args, **options), x, scale, bias)
    assert_proved(lambda *args: fcnn.rms_norm(*args, **options), x, scale)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=4), st.integers(1, 3), st.integers(1, 3))
def test_norms_over_pixels(shape, groups, per_group):
    rng = np.random.default_rng(9)
    channels = groups * per_group
    x, scale, bias = (jnp.asarray(rng.standard_normal(s)) for s in ((*shape, channels), channels, channels))
    assert_proved(lambda *args: fcnn.group_norm(*args, groups=groups, eps=1e-2), x, scale, bias)
    if len(shape) > 1:
        assert_proved(lambda *args: fcnn.instance_norm(*args, eps=1e-2), x, scale, bias)


ELEMENTWISE = sorted({case.op for case in CASES} & set(vars(jax.nn)) | {"mish", "softplus", "hard_silu"})


@given(st.sampled_from(ELEMENTWISE), st.lists(st.floats(-750, 750), min_size=2, max_size=6))
def test_activations_of_any_number(name, numbers):
    numbers = numbers[: len(numbers) // 2 * 2]  # glu takes an even number
    assert_proved(getattr(fcnn, name), jnp.asarray(numbers, jnp.float64))


junk = st.one_of(
    st.none(),
    st.integers(-3, 9),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.integers(-1, 4), max_size=4),
    st.tuples(st.tuples(st.integers(-1, 2), st.integers(0, 2)), st.tuples(st.integers(0, 2))),
    st.booleans(),
)


def assert_works_or_is_refused_by_name(case, call):
    try:
        jax.eval_shape(call)
    except (ValueError, TypeError) as error:
        assert str(error).startswith(f"{case.op}: "), error


@settings(max_examples=40 * settings.default.max_examples)  # these compile nothing
@given(st.sampled_from(CASES), junk, st.data())
def test_any_option_works_or_is_refused_by_name(case, value, data):
    """A call of the table with one option exchanged for anything."""
    function = getattr(fcnn, case.op)
    static = list(inspect.signature(function).parameters)[len(case.draws) :]
    if static:
        options = case.options | {data.draw(st.sampled_from(static)): value}
        args = case.arguments(np.float64)
        assert_works_or_is_refused_by_name(case, lambda: function(*args, **options))


shapes = st.lists(st.integers(0, 3), max_size=5).map(tuple)
dtypes = st.sampled_from([np.float64, np.float32, np.int32, np.bool_, np.complex128])


@settings(max_examples=40 * settings.default.max_examples)  # these compile nothing
@given(st.sampled_from(CASES), st.one_of(junk, st.builds(np.ones, shapes, dtypes)), st.data())
def test_any_argument_works_or_is_refused_by_name(case, value, data):
    """A call of the table with one argument exchanged for anything."""
    args = list(case.arguments(np.float64))
    args[data.draw(st.integers(0, len(args) - 1))] = value
    assert_works_or_is_refused_by_name(case, lambda: case.fun(*args))
