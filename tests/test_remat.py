"""Blocks run again for their gradient: equal to blocks that are not, in every transformation, and smaller."""

import contextlib
import functools

import chex
import jax
import jax.numpy as jnp
import pytest
from jax.extend.core import jaxprs_in_params
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import functional_cnn as fcnn
from functional_cnn import convs_saveable, remat


def block(params, key, count, x):
    """A trainable kernel and bias, a key, an integer and an array, as blocks of models have."""
    y = fcnn.conv(x, params["kernel"], params["bias"])
    y, mean, _ = fcnn.batch_norm(fcnn.relu(y))
    if key is not None:
        y = fcnn.dropout(y, key, rate=0.5)
    return y * count.astype(y.dtype), {"mean": mean}


PARAMS = {
    "kernel": jax.random.normal(jax.random.key(0), (3, 3, 2, 2)),
    "bias": jax.random.normal(jax.random.key(1), (2,)),
}
KEY, COUNT, X = jax.random.key(2), jnp.array(3), jax.random.normal(jax.random.key(3), (4, 5, 5, 2))


def loss(block, params, x, key=KEY):
    y, state = block(params, key, COUNT, x)
    return (y**3).sum() + (state["mean"] ** 2).sum()


def gradient(block, *args):
    return jax.grad(functools.partial(loss, block), argnums=(0, 1))(*args)


def tangent(block, params, x):
    """Of the gradient in the direction of the arguments: forward over reverse."""
    return jax.jvp(functools.partial(gradient, block), (params, x), (params, x))[1]


def gradient_of_gradient(block, params, x):
    def norm(params, x):
        return sum((leaf**2).sum() for leaf in jax.tree.leaves(gradient(block, params, x)))

    return jax.grad(norm, argnums=(0, 1))(params, x)


def scanned(block, params, x):
    def run(params, x):
        x, states = jax.lax.scan(lambda x, key: block(params, key, COUNT, x), x, jax.random.split(KEY, 3))
        return x.sum() + states["mean"].sum()

    return jax.grad(run, argnums=(0, 1))(params, x)


def vmapped(block, params, x):
    """Over examples, parameters and keys."""
    keys = jax.random.split(KEY, 3)
    params = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf, 3 * leaf]), params)
    return jax.vmap(functools.partial(gradient, block))(params, jnp.stack([x, x + 1, x - 1]), keys)


def without_key(block, params, x):
    return gradient(block, params, x, None)


@pytest.mark.parametrize("policy", [None, convs_saveable], ids=["nothing kept", "convs kept"])
@pytest.mark.parametrize(
    "transformed",
    [gradient, without_key, vmapped, scanned, tangent, gradient_of_gradient],
    ids=lambda f: f.__name__,
)
def test_transformations(transformed, policy):
    found, expected = (
        jax.jit(functools.partial(transformed, f))(PARAMS, X) for f in (remat(block, policy=policy), block)
    )
    chex.assert_trees_all_close(found, expected, rtol=1e-9, atol=1e-9)


def test_without_jit():
    chex.assert_trees_all_close(
        gradient(remat(block), PARAMS, X), gradient(block, PARAMS, X), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("axis_type", [AxisType.Explicit, AxisType.Auto], ids=["explicit", "auto"])
def test_mesh(devices, axis_type):
    mesh = jax.make_mesh((4,), ("data",), axis_types=(axis_type,))
    with jax.set_mesh(mesh):
        params = jax.device_put(PARAMS, NamedSharding(mesh, P()))
        x = jax.device_put(X, NamedSharding(mesh, P("data")))
        found = jax.jit(functools.partial(without_key, remat(block)))(params, x)
    chex.assert_trees_all_close(jax.device_get(found), without_key(block, PARAMS, X), rtol=1e-9, atol=1e-9)


def test_shard_map(devices):
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))

    def total(block, params, x):
        shard = functools.partial(loss, block, key=None)
        return jax.shard_map(
            lambda params, x: jax.lax.psum(shard(params, x), "data"),
            mesh=mesh,
            in_specs=(P(), P("data")),
            out_specs=P(),
        )(params, x)

    found, expected = (
        jax.jit(jax.grad(functools.partial(total, f)))(PARAMS, X) for f in (remat(block), block)
    )
    chex.assert_trees_all_close(found, expected, rtol=1e-9, atol=1e-9)


def test_rules_in_force_where_the_block_ran():
    def stopped(rule):
        return rule._replace(bwd=lambda spec, residuals, dy: (jnp.zeros_like(dy),))

    with fcnn.use_rules(relu=stopped):
        _, pull = jax.vjp(lambda x: loss(remat(block), PARAMS, x), X)
    chex.assert_trees_all_equal(pull(jnp.array(1.0))[0], jnp.zeros_like(X))


def test_forward_mode_inside_autodiff():
    wrapped = remat(block)
    with fcnn.autodiff():
        ours, plain = (
            jax.jvp(lambda x, f=f: loss(f, PARAMS, x), (X,), (jnp.ones_like(X),)) for f in (wrapped, block)
        )
    chex.assert_trees_all_close(ours, plain, rtol=1e-9)


@pytest.mark.parametrize("rules", [contextlib.nullcontext, fcnn.autodiff], ids=["ours", "autodiff"])
def test_keywords(rules):
    def by_name(params, key, count, x):
        return remat(block)(params, key=key, count=count, x=x)

    with rules():
        chex.assert_trees_all_close(gradient(by_name, PARAMS, X), gradient(block, PARAMS, X), rtol=1e-9)
    assert remat(block).__name__ == "block"


@pytest.mark.parametrize("run_again", [remat, jax.checkpoint], ids=["remat", "jax.checkpoint"])
@pytest.mark.parametrize("block", [block, jax.jit(block)], ids=["plain", "jitted"])
@pytest.mark.parametrize(("policy", "kept"), [(None, 1), (convs_saveable, 2)], ids=["nothing", "convs"])
def test_what_is_kept(run_again, block, policy, kept):
    """The block's input and, where the policy says so, the convolution's result; both have x's shape."""

    def pull(x):
        return jax.vjp(lambda x: run_again(block, policy=policy)(PARAMS, None, COUNT, x), x)[1]

    shapes = [leaf.shape for leaf in jax.tree.leaves(jax.eval_shape(pull, X))]
    assert shapes.count(X.shape) == kept


def count(primitive, jaxpr):
    """How often a program and what stands in it have the primitive of that name."""
    return sum(
        (eqn.primitive.name == primitive)
        + sum(count(primitive, inner) for inner in jaxprs_in_params(eqn.params))
        for eqn in jaxpr.eqns
    )


def test_statistics_that_are_kept_are_not_summed_again():
    def sums(block):
        return count("reduce_sum", jax.make_jaxpr(jax.grad(lambda x: (block(x) ** 2).sum()))(X).jaxpr)

    def block(x):
        return jnp.sin(fcnn.batch_norm(x)[0])

    assert sums(remat(block, policy=convs_saveable)) == sums(block)
    assert sums(remat(block)) > sums(block)


@pytest.mark.parametrize(
    ("dtype", "rounded"), [(jnp.bfloat16, True), (jnp.float32, False), (jnp.float64, False)]
)
def test_only_narrow_arrays_that_are_kept_are_rounded(dtype, rounded):
    def total(params, x):
        return remat(block, policy=convs_saveable)(params, None, COUNT, x)[0].sum()

    args = jax.tree.map(lambda leaf: leaf.astype(dtype), (PARAMS, X))
    program = jax.make_jaxpr(jax.grad(total))(*args)
    assert ("reduce_precision" in str(program)) == rounded


def test_a_rounding_that_a_block_asks_for_stays():
    def rounded(x):
        return jnp.sin(jax.lax.reduce_precision(x, exponent_bits=5, mantissa_bits=10))

    x = jnp.array([1.0001, 3.0])
    chex.assert_trees_all_equal(*(jax.vjp(f, x)[1](x) for f in (remat(rounded), rounded)))


def nested(params, key, count, x):
    y, state = remat(block, policy=convs_saveable)(params, key, count, x)
    return jax.jit(block)(params, key, count, y)[0], state


def looped(params, key, count, x):
    return jax.lax.fori_loop(
        0, 2, lambda _, carry: block(params, key, count, carry[0]), block(params, key, count, x)
    )


@pytest.mark.parametrize("policy", [None, convs_saveable], ids=["nothing kept", "convs kept"])
@pytest.mark.parametrize("fun", [nested, looped], ids=lambda f: f.__name__)
def test_blocks_with_blocks_and_loops_in_them(fun, policy):
    found, expected = (gradient(f, PARAMS, X) for f in (remat(fun, policy=policy), fun))
    chex.assert_trees_all_close(found, expected, rtol=1e-9, atol=1e-9)


def test_integer_results():
    def counted(x):
        return x**3, (x > 0).sum()

    found, expected = (jax.grad(lambda x, f=f: f(x)[0].sum())(X) for f in (remat(counted), counted))
    chex.assert_trees_all_equal(found, expected)


def test_what_is_printed_is_printed_once(capfd):
    def printing(x):
        y = jnp.sin(x)
        jax.debug.print("block")
        return jnp.sin(y)

    jax.block_until_ready(jax.jit(jax.grad(lambda x: remat(printing)(x).sum()))(X))
    jax.effects_barrier()
    assert capfd.readouterr().out.split() == ["block"]


def test_a_policy_that_offloads():
    policy = jax.checkpoint_policies.save_and_offload_only_these_names(
        names_which_can_be_saved=[],
        names_which_can_be_offloaded=["conv"],
        offload_src="device",
        offload_dst="pinned_host",
    )
    with pytest.raises(TypeError, match=r"remat: policy must answer True or False, got .* for "):
        gradient(remat(block, policy=policy), PARAMS, X)


@pytest.mark.parametrize("function", ["fun", "policy"])
def test_what_is_not_callable(function):
    arguments = {"fun": block, "policy": None} | {function: "relu"}
    with pytest.raises(TypeError, match=f"remat: {function} must be callable, got 'relu'"):
        remat(arguments.pop("fun"), **arguments)


@functools.cache
def temp_memory(scan, remat):
    model = fcnn.models.resnet(depth=34, width=8, num_classes=10, stem="small", scan=scan, remat=remat)
    params, state = jax.eval_shape(model.init, jax.random.key(0))
    images = jax.ShapeDtypeStruct((4, 64, 64, 3), jnp.float32)

    def loss(params, state, images):
        return model.apply(params, state, images, train=True)[0].sum()

    compiled = jax.jit(jax.grad(loss)).lower(params, state, images).compile()
    return compiled.memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize(("remat", "share"), [(True, 0.5), ("convs_saveable", 0.75)])
@pytest.mark.parametrize("scan", [False, True], ids=["written out", "scanned"])
def test_temp_memory_of_a_model(scan, remat, share):
    assert temp_memory(scan, remat) <= share * temp_memory(scan, False)
