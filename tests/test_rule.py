"""The table of rules and their exchange, under every transformation that traces or caches."""

import dataclasses
import threading

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import functional_cnn as fcnn
from functional_cnn import Rule
from functional_cnn.verify.cases import CASES


@dataclasses.dataclass(frozen=True)
class Scaled:
    """Multiplies a rule's cotangents: equal for equal factors."""

    factor: float

    def __call__(self, rule: Rule) -> Rule:
        def bwd(spec, residuals, dout):
            return tuple(None if c is None else self.factor * c for c in rule.bwd(spec, residuals, dout))

        return rule._replace(bwd=bwd)


DOUBLE = Scaled(2.0)
X = jnp.array([-1.0, 2.0, 3.0])


def slope(fun=fcnn.relu):
    return jax.grad(lambda x: fun(x).sum())


def test_table_is_read_only():
    with pytest.raises(TypeError):
        fcnn.RULES["relu"] = None  # type: ignore[index]
    assert all(name == rule.name for name, rule in fcnn.RULES.items())


def test_exchange_holds_inside_and_ends():
    before = slope()(X)
    with fcnn.use_rules(relu=DOUBLE):
        inside = slope()(X)
    np.testing.assert_array_equal(inside, 2 * before)
    np.testing.assert_array_equal(slope()(X), before)


def _scanned(f):
    def run(x):
        return lax.scan(lambda carry, row: (carry, f(row)), 0.0, jnp.stack([x, x]))[1].sum(0)

    return run


def _in_checkpointed_scan(f):
    return _scanned(jax.checkpoint(lambda row: f(row)))


WRAPPED = {
    "plain": lambda f: f,
    "jit": jax.jit,
    "nested jit": lambda f: jax.jit(lambda x: jax.jit(f)(x) * 1.0),
    "vmap": lambda f: jax.vmap(f),
    "jit of vmap": lambda f: jax.jit(jax.vmap(f)),
    "scan": _scanned,
    "jit of scan": lambda f: jax.jit(_scanned(f)),
    "checkpoint": jax.checkpoint,
    "checkpoint in scan": _in_checkpointed_scan,
    "cond": lambda f: lambda x: lax.cond(x[0] < 9, f, lambda x: x, x),
}


@pytest.mark.parametrize("outer", [lambda g: g, jax.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_same_function_object_called_before_inside_and_after(wrap, outer):
    gradient = outer(slope(wrap(fcnn.relu)))
    before = gradient(X)
    with fcnn.use_rules(relu=DOUBLE):
        inside = gradient(X)
        with fcnn.use_rules(relu=Scaled(3.0)):
            deeper = gradient(X)
        back = gradient(X)
    np.testing.assert_array_equal(inside, 2 * before)
    np.testing.assert_array_equal(deeper, 6 * before)
    np.testing.assert_array_equal(back, 2 * before)
    np.testing.assert_array_equal(gradient(X), before)


def test_exchange_made_inside_a_jitted_function():
    @jax.jit
    def both(x):
        with fcnn.use_rules(relu=DOUBLE):
            y = fcnn.relu(x)
        return (y + fcnn.relu(x)).sum()

    np.testing.assert_array_equal(jax.grad(both)(X), [0.0, 3.0, 3.0])


def test_exchange_is_kept_by_a_pullback_called_outside():
    with fcnn.use_rules(relu=DOUBLE):
        _, pull = jax.vjp(fcnn.relu, X)
    np.testing.assert_array_equal(pull(jnp.ones(3))[0], [0.0, 2.0, 2.0])


def test_exception_inside_restores():
    with pytest.raises(RuntimeError), fcnn.use_rules(relu=DOUBLE):
        raise RuntimeError
    np.testing.assert_array_equal(slope()(X), [0.0, 1.0, 1.0])


def test_exchange_in_one_thread_is_not_seen_in_another():
    gradient, entered, looked = jax.jit(slope()), threading.Event(), threading.Event()
    found = {}

    def exchanging():
        with fcnn.use_rules(relu=DOUBLE):
            entered.set()
            looked.wait(60)
            found["inside"] = gradient(X)

    thread = threading.Thread(target=exchanging)
    thread.start()
    entered.wait(60)
    found["outside"] = gradient(X)
    looked.set()
    thread.join()
    np.testing.assert_array_equal(found["outside"], [0.0, 1.0, 1.0])
    np.testing.assert_array_equal(found["inside"], [0.0, 2.0, 2.0])


def test_inner_transformation_receives_the_outer_rule():
    received = []

    def noted(rule):
        received.append(rule)
        return rule

    with fcnn.use_rules(relu=DOUBLE), fcnn.use_rules(relu=noted):
        slope()(X)
    (outer,) = received
    _, residuals = outer.fwd((), X)
    np.testing.assert_array_equal(outer.bwd((), residuals, jnp.ones(3))[0], [0.0, 2.0, 2.0])


def test_with_rules_covers_its_function_alone():
    def block(x):
        """A block."""
        return fcnn.relu(x)

    exchanged = fcnn.with_rules(block, relu=DOUBLE)
    assert exchanged.__doc__ == "A block."
    np.testing.assert_array_equal(slope(exchanged)(X), [0.0, 2.0, 2.0])
    np.testing.assert_array_equal(slope(lambda x: exchanged(x) + block(x))(X), [0.0, 3.0, 3.0])


def test_equal_transformations_share_a_trace():
    @jax.jit
    @chex.assert_max_traces(n=2)
    def loss(x):
        return fcnn.relu(x).sum()

    for _ in range(3):
        loss(X)
        with fcnn.use_rules(relu=Scaled(2.0)):
            loss(X)
    loss(X)


@pytest.mark.parametrize("enter", [fcnn.use_rules, lambda **rules: fcnn.with_rules(fcnn.relu, **rules)])
def test_bad_exchanges(enter):
    with pytest.raises(ValueError, match=r"no op named 'rleu'; known ops: adaptive_avg_pool, .*relu"):
        enter(rleu=DOUBLE)
    with pytest.raises(TypeError, match="relu must be a function from Rule to Rule, got 3"):
        enter(relu=3)
    unhashable = dataclasses.make_dataclass("Unhashable", [], namespace={"__call__": lambda self, rule: rule})
    with pytest.raises(TypeError, match="transformation of relu must be hashable"):
        enter(relu=unhashable())


def test_transformation_must_return_a_rule():
    with (
        fcnn.use_rules(relu=lambda rule: None),
        pytest.raises(TypeError, match="relu: its transformation must return a Rule, got None"),
    ):
        fcnn.relu(X)


def test_autodiff_allows_every_mode():
    def f(x):
        return fcnn.sigmoid(x).sum()

    y = jax.nn.sigmoid(X)
    first, second = y * (1 - y), jnp.diag(y * (1 - y) * (1 - 2 * y))
    with pytest.raises(TypeError):
        jax.jvp(f, (X,), (X,))
    with fcnn.autodiff():
        np.testing.assert_allclose(jax.jvp(f, (X,), (X,))[1], (first * X).sum(), rtol=1e-12)
        np.testing.assert_allclose(jax.linearize(f, X)[1](X), (first * X).sum(), rtol=1e-12)
        np.testing.assert_allclose(jax.jacfwd(f)(X), first, rtol=1e-12)
        np.testing.assert_allclose(jax.hessian(f)(X), second, rtol=1e-12, atol=1e-15)


def test_autodiff_replaces_exchanges_and_an_exchange_inside_takes_effect():
    gradient = jax.jit(slope(lambda x: fcnn.relu(x) + fcnn.leaky_relu(x)))
    with fcnn.use_rules(relu=DOUBLE), fcnn.autodiff():
        np.testing.assert_allclose(gradient(X), [0.01, 2.0, 2.0])
        with fcnn.use_rules(relu=Scaled(5.0)):
            np.testing.assert_allclose(gradient(X), [0.01, 11.0, 11.0])
        np.testing.assert_allclose(gradient(X), [0.01, 2.0, 2.0])
    np.testing.assert_allclose(gradient(X), [0.01, 2.0, 2.0])


def test_jaxpr_and_profile_show_the_op():
    def f(x, kernel):
        return fcnn.relu(fcnn.conv(x, kernel)).sum()

    x, kernel = jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 2))
    jaxpr = str(jax.make_jaxpr(f)(x, kernel))
    assert "name=conv" in jaxpr
    assert "name=relu" in jaxpr
    program = jax.jit(jax.grad(f)).lower(x, kernel).as_text(debug_info=True)
    for name in ("(conv)", "conv_bwd", "(relu)", "relu_bwd"):
        assert name in program, name


@pytest.mark.parametrize("name", sorted({case.op for case in CASES if case.label == "scalar"}))
def test_gradient_at_a_python_number(name):
    rest = [jnp.array(0.25)] if name == "prelu" else []
    gradient = jax.grad(getattr(fcnn, name))
    np.testing.assert_array_equal(gradient(0.5, *rest), gradient(jnp.array(0.5), *rest))
