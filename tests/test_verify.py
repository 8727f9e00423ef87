"""``check_vjp`` itself: it passes what is right and names what is wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import functional_cnn as fcnn
from functional_cnn import verify
from functional_cnn.verify.__main__ import main
from functional_cnn.verify._table import by_autodiff
from functional_cnn.verify.cases import CASES


def _fault(op, position, change):
    """The rule with one cotangent changed by ``change(cotangent, residuals)``."""

    def transformation(rule):
        def bwd(spec, residuals, dout):
            cotangents = list(rule.bwd(spec, residuals, dout))
            cotangents[position] = change(cotangents[position], residuals)
            return tuple(cotangents)

        return rule._replace(bwd=bwd)

    return {op: transformation}


def _wrong_padding(rule):
    """A dx that takes its pads for those of a window moved by one."""

    def bwd(spec, residuals, dy):
        dx, *rest = rule.bwd(spec, residuals, dy)
        return jnp.roll(dx, 1, axis=1), *rest

    return rule._replace(bwd=bwd)


def _without_mean_term(rule):
    def bwd(spec, residuals, cotangents):
        x, scale, _, mean, var = residuals
        dy, dmean, dvar = cotangents
        _, dscale, dbias = rule.bwd(spec, residuals, cotangents)
        r = lax.rsqrt(var + spec.eps)
        h = (x - mean) * r
        count = x.size // x.shape[-1]
        dx = scale * r * (dy - h * dscale / count) + (dmean + 2 * dvar * (x - mean)) / count
        return dx, dscale, dbias

    return rule._replace(bwd=bwd)


def _last_of_ties(rule):
    """Max pooling whose gradient goes to the last maximum: pooling of the mirrored image."""

    def mirrored(x):
        return jnp.flip(x, (1, 2))

    def fwd(spec, x):
        y, residuals = rule.fwd(spec, mirrored(x))
        return mirrored(y), residuals

    def bwd(spec, residuals, dy):
        return (mirrored(rule.bwd(spec, residuals, mirrored(dy))[0]),)

    return rule._replace(fwd=fwd, bwd=bwd)


def _slope_at_zero(rule):
    return rule._replace(fwd=lambda spec, x: (rule.fwd(spec, x)[0], x >= 0))


FAULTS = {
    "sign of dx": (_fault("conv", 0, lambda dx, _: -dx), "3x3 with bias", r"argument 0 \(x\)"),
    "sign of dkernel": (_fault("conv", 1, lambda dk, _: -dk), "3x3 with bias", r"argument 1 \(kernel\)"),
    "missing bias term": (_fault("conv", 2, lambda db, _: 0 * db), "3x3 with bias", r"argument 2 \(bias\)"),
    "cotangent left out": (_fault("conv", 2, lambda db, _: None), "3x3 with bias", r"argument 2 \(bias\)"),
    "wrong padding": ({"conv": _wrong_padding}, "3x3 with bias", r"argument 0 \(x\)"),
    "one element": (
        _fault("conv", 0, lambda dx, _: dx.at[1, 2, 3, 0].add(1e-6)),
        "3x3 with bias",
        "1 of 180",
    ),
    "dropped mean term": ({"batch_norm": _without_mean_term}, "scale and bias", r"argument 0 \(x\)"),
    "wrong tie": ({"max_pool": _last_of_ties}, "ties in tiles", r"argument 0 \(x\)"),
    "wrong dtype": (
        _fault("dense", 1, lambda dk, _: dk.astype(jnp.float32)),
        "with bias",
        r"(argument 1 \(kernel\) has dtype float32|backward pass raises)",
    ),
    "wrong shape": (
        _fault("dense", 2, lambda db, _: db[None]),
        "with bias",
        "backward pass raises",
    ),
    "scaled": (_fault("sigmoid", 0, lambda dx, _: dx * (1 + 1e-8)), "matrix", "of 20 elements differ"),
    "wrong at a kink": ({"relu": _slope_at_zero}, "at the kink", "2 of 4"),
    "smoothing forgotten": (
        _fault("softmax_cross_entropy", 0, lambda dz, r: dz + 1e-3),
        "integer labels, smoothed",
        r"argument 0 \(logits\)",
    ),
}


@pytest.mark.parametrize(("exchange", "label", "text"), FAULTS.values(), ids=FAULTS)
def test_planted_fault_is_caught_and_named(exchange, label, text):
    (op,) = exchange
    (case,) = (case for case in CASES if (case.op, case.label) == (op, label))
    options = {"smooth": case.smooth, "transformations": False}
    arguments = case.arguments(np.float64)
    verify.check_vjp(case.fun, by_autodiff(case.fun), *arguments, **options)
    with pytest.raises(AssertionError, match=text):
        verify.check_vjp(fcnn.with_rules(case.fun, **exchange), by_autodiff(case.fun), *arguments, **options)


def _custom(fwd, bwd, primal=None):
    fun = jax.custom_vjp(primal or (lambda x: fwd(x)[0]))
    fun.defvjp(fwd, bwd)
    return fun


X = jnp.array([0.3, -1.2, 0.7])


def _sine(x):
    return jnp.sin(x)


def test_report_of_a_right_function():
    right = _custom(lambda x: (jnp.sin(x), x), lambda x, dy: (dy * jnp.cos(x),))
    report = verify.check_vjp(right, _sine, X)
    assert report.passed == verify.CHECKS
    assert report.skipped == {}
    assert report.error < 1e-12
    assert abs(report.taylor_order - 2) < 0.1
    assert report.residual_bytes == report.reference_residual_bytes == X.nbytes


WRONG = {
    "value under differentiation": (
        lambda x: (jnp.sin(x) * (1 + 1e-6), x),
        lambda x, dy: (dy * jnp.cos(x),),
        "under differentiation, result 0",
    ),
    "value": (lambda x: (jnp.sin(x) + 1e-6, x), lambda x, dy: (dy * jnp.cos(x),), "result 0"),
    "linearity": (
        lambda x: (jnp.sin(x), x),
        # Right for the one cotangent that is drawn and for the second of the combination, not for both.
        lambda x, dy: (jnp.where(jnp.abs(dy) > 0.8, 0, dy * jnp.cos(x)),),
        "linearity in dy",
    ),
    "second derivatives": (
        lambda x: (jnp.sin(x), x),
        lambda x, dy: (dy * lax.stop_gradient(jnp.cos(x)),),
        r"second derivative \(reverse over reverse\) of argument 0 \(x\)",
    ),
    "vmap": (
        lambda x: (jnp.sin(x), x),
        lambda x, dy: (jax.pure_callback(lambda x, dy: dy * np.cos(x), jax.typeof(x), x, dy),),
        "under vmap raises",
    ),
}


@pytest.mark.parametrize(("fwd", "bwd", "text"), WRONG.values(), ids=WRONG)
def test_each_check_can_fail(fwd, bwd, text):
    primal = _sine if "under differentiation" in text else None
    with pytest.raises(AssertionError, match=text):
        verify.check_vjp(_custom(fwd, bwd, primal), _sine, X, cotangents=1)


def test_differences_catch_a_reference_that_is_wrong_too():
    def both(x):  # fun and reference agree, and are both wrong
        return jnp.sin(lax.stop_gradient(x)) + 0.5 * (x - lax.stop_gradient(x))

    with pytest.raises(AssertionError, match="central differences give a slope"):
        verify.check_vjp(both, both, X)


def test_taylor_order_catches_what_differences_allow(monkeypatch):
    def both(x):
        return jnp.sin(lax.stop_gradient(x)) + 0.5 * (x - lax.stop_gradient(x))

    monkeypatch.setattr("functional_cnn.verify._check.require_central_differences", lambda *args: None)
    with pytest.raises(AssertionError, match=r"Taylor remainder shrinks with order 1\.0"):
        verify.check_vjp(both, both, X)


@pytest.mark.parametrize(
    ("fun", "x"),
    [
        (lambda x: x**3, np.zeros(3)),
        (lambda x: jnp.sin(x - 1e6), 1e6 + np.arange(3.0)),
        (jnp.sqrt, np.array([1.0, -1.0])),
        (lambda x: x / 0.0, np.array([1.0, 2.0])),
        (lambda x: (x, jax.random.key(0), x > 0), np.array([1.0, 2.0])),
    ],
    ids=["flat", "far from zero", "NaN", "infinite", "a key and booleans beside"],
)
def test_right_functions_at_hard_points_pass(fun, x):
    verify.check_vjp(fun, fun, jnp.asarray(x))


def test_complex_results_are_compared_in_both_parts():
    with pytest.raises(AssertionError, match="result 1: 3 of 3 elements differ"):
        verify.check_vjp(lambda x: (x, lax.complex(x, x)), lambda x: (x, lax.complex(x, 2 * x)), X)


def test_pytrees_integers_and_argnums():
    params = {"dense": {"kernel": jnp.ones((3, 2)), "bias": jnp.zeros(2)}}

    def loss(params, x, labels):
        logits = fcnn.dense(x, **params["dense"])
        return {"loss": fcnn.softmax_cross_entropy(logits, labels).mean(), "count": labels.size}

    args = params, jnp.arange(6.0).reshape(2, 3), jnp.array([0, 1])
    assert verify.check_vjp(loss, by_autodiff(loss), *args).error < 1e-12
    flipped = fcnn.with_rules(loss, **_fault("dense", 1, lambda dk, _: -dk))
    with pytest.raises(AssertionError, match=r"argument 0 \(params\)\['dense'\]\['kernel'\]"):
        verify.check_vjp(flipped, by_autodiff(loss), *args)
    verify.check_vjp(flipped, by_autodiff(loss), *args, argnums=1)


def test_float32_and_half_precision_points():
    for dtype, skipped in (
        (jnp.float32, set()),
        (jnp.float16, {"linearity", "adjoint", "central differences", "taylor"}),
    ):
        report = verify.check_vjp(fcnn.tanh, by_autodiff(fcnn.tanh), X.astype(dtype))
        assert set(report.skipped) == skipped


@pytest.mark.parametrize(
    ("args", "options", "error", "text"),
    [
        ((3, _sine, X), {}, TypeError, "check_vjp: fun must be callable"),
        ((_sine, None, X), {}, TypeError, "check_vjp: reference must be callable"),
        ((_sine, _sine, jnp.array([1])), {}, TypeError, "check_vjp: args must hold"),
        ((_sine, _sine, X), {"argnums": 1}, ValueError, "check_vjp: argnums names argument 1"),
        ((_sine, _sine, X), {"argnums": "x"}, TypeError, "check_vjp: argnums must be ints"),
        ((jnp.sign, lambda x: x > 0, X), {}, AssertionError, "check_vjp: result 0 has dtype float64"),
        ((lambda x: x > 0, lambda x: x > 0, X), {}, TypeError, "check_vjp: fun must return at least one"),
        ((_sine, _sine, X), {"cotangents": 0}, ValueError, "check_vjp: cotangents must be at least 1"),
    ],
)
def test_bad_calls(args, options, error, text):
    with pytest.raises(error, match=text):
        verify.check_vjp(*args, **options)


@pytest.mark.parametrize("jobs", [[], ["-j", "2"]])
def test_command_prints_a_row_for_each_op(capsys, jobs):
    assert main(["relu", "squared_error", *jobs]) == 0
    printed = capsys.readouterr().out
    assert "2 of 2 ops passed" in printed
    assert printed.count(" passed\n") == 2


def test_command_fails_with_a_wrong_rule(capsys):
    with fcnn.use_rules(**_fault("relu", 0, lambda dx, _: -dx)):
        assert main(["relu"]) == 1
    captured = capsys.readouterr()
    assert "FAILED" in captured.out
    assert "relu, away from the kink: check_vjp: cotangent of argument 0" in captured.err


def test_command_fails_with_a_result_that_is_wrong_in_float32_alone(capsys):
    def inexact(rule):
        def fwd(spec, x):
            y, residuals = rule.fwd(spec, x)
            return (y * np.float32(1.0001) if y.dtype == jnp.float32 else y), residuals

        return rule._replace(fwd=fwd)

    with fcnn.use_rules(softsign=inexact):
        assert main(["softsign"]) == 1
    assert (
        "softsign: the float32 error of the rule is more than twice that of autodiff"
        in capsys.readouterr().err
    )


def test_command_names_an_unknown_op(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["rleu"])
    assert exit_.value.code == 2
    assert "unknown op rleu; known ops: a" in capsys.readouterr().err
