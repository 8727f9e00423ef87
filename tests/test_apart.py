"""A part compiled apart: the same values, in a branch that XLA does not see through."""

import chex
import jax
import jax.numpy as jnp
import pytest

import functional_cnn as fcnn
from functional_cnn._apart import apart

pytestmark = pytest.mark.usefixtures("with_optimizations")

X = jax.random.normal(jax.random.key(0), (2, 6, 6, 3))
KERNEL = jnp.ones((3, 3, 1, 3))


def depthwise(x, kernel):
    return fcnn.conv(x, kernel, groups=3)


def compiled_text(function, *args):
    return jax.jit(function).lower(*args).compile().as_text()


def test_apart_is_the_function():
    chex.assert_trees_all_equal(apart(jnp.negative, X), -X)
    chex.assert_trees_all_equal(jax.jit(lambda x: apart(jnp.negative, x, never=jnp.zeros_like))(X), -X)


def test_no_zeros_are_compiled_where_an_argument_has_the_type_of_the_result():
    def branches(function):
        jaxpr = str(jax.make_jaxpr(lambda x: apart(function, x))(X))
        return jaxpr[jaxpr.index("branches=(") :]

    assert "broadcast_in_dim" not in branches(jnp.negative)
    assert "broadcast_in_dim" in branches(lambda x: x[:1] + 1)


@pytest.mark.parametrize(
    "batched", [jax.vmap, lambda fun: lambda *args: jax.lax.map(lambda a: fun(*a), args)]
)
def test_the_condition_stays_for_each_example(batched):
    function = batched(lambda x, y: apart(jnp.add, x, y))
    chex.assert_trees_all_equal(function(X, X), X + X)
    assert " conditional(" in compiled_text(function, X, X)


@pytest.mark.parametrize(
    ("function", "args"),
    [
        # Behind each, or in front of it, what it would be computed anew in.
        (lambda x, kernel: fcnn.layer_norm(depthwise(x, kernel)), (X, KERNEL)),
        (jax.grad(lambda kernel, x: depthwise(x, kernel).sum()), (KERNEL, X)),
        (jax.grad(lambda x: fcnn.max_pool(x, 2).sum()), (X,)),
    ],
    ids=["depthwise", "depthwise kernel gradient", "max pool of few channels"],
)
def test_xla_keeps_ops_apart(function, args):
    assert " conditional(" in compiled_text(function, *args)


def kernel_gradient(x, kernel):
    return jax.grad(lambda kernel: (fcnn.conv(fcnn.relu(x), kernel) ** 2).sum())(kernel)


@pytest.mark.parametrize(
    ("images", "read", "turned"),
    [(1, "16,34,32,64", "64,1088,16"), (8, "8,64,32,64", "64,2048,8")],
    ids=["strips", "images"],
)
def test_large_images_are_made_before_they_are_turned(small_integers, images, read, turned):
    x, kernel = small_integers((images, 512 // images, 32, 64), (3, 3, 64, 32))
    program = jax.jit(kernel_gradient).lower(x, kernel).compile()
    branch_of_relu = f"(f32[{read}])) -> (f32[{turned}]) {{"
    assert branch_of_relu in program.as_text()
    with fcnn.autodiff():
        chex.assert_trees_all_equal(program(x, kernel), jax.jit(kernel_gradient)(x, kernel))


def test_a_kernel_that_is_not_finite_reaches_the_result():
    y = depthwise(X, jnp.full((3, 3, 1, 3), jnp.nan))
    assert jnp.isnan(y).all()
