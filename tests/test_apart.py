"""A part compiled apart: the same values whatever the witness holds, in a branch that XLA does not see through."""

import chex
import jax
import jax.numpy as jnp
import pytest

import functional_cnn as fcnn
from functional_cnn._apart import apart

X = jax.random.normal(jax.random.key(0), (2, 6, 6, 3))


@pytest.mark.parametrize("value", [1.0, 0.0, -2.0, jnp.inf, -jnp.inf, jnp.nan])
@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32, jnp.bfloat16])
def test_the_condition_holds_for_every_witness(value, dtype):
    found = jax.jit(lambda x, witness: apart(jnp.sin, x, witness=witness))(X, jnp.full(3, value, dtype))
    chex.assert_trees_all_equal(found, jax.jit(jnp.sin)(X))


def test_an_empty_witness_holds():
    chex.assert_trees_all_equal(apart(jnp.negative, X, witness=jnp.zeros((0,))), -X)


def test_a_witness_for_each_example():
    found = jax.vmap(lambda x, witness: apart(jnp.negative, x, witness=witness))(X, X)
    chex.assert_trees_all_equal(found, -X)


def depthwise(x, kernel):
    return fcnn.conv(x, kernel, groups=3)


def test_xla_keeps_depthwise_maps_apart():
    kernel = jnp.ones((3, 3, 1, 3))
    # What it would be computed anew in.
    forward = jax.jit(lambda x, kernel: fcnn.layer_norm(depthwise(x, kernel)))
    gradient = jax.jit(jax.grad(lambda kernel, x: depthwise(x, kernel).sum()))
    for function, args in ((forward, (X, kernel)), (gradient, (kernel, X))):
        assert " conditional(" in function.lower(*args).compile().as_text()


def test_a_kernel_that_is_not_finite_reaches_the_result():
    y = depthwise(X, jnp.full((3, 3, 1, 3), jnp.nan))
    assert jnp.isnan(y).all()
