"""Every op of the table of cases, sharded over its batch: one device's results and gradients, nothing gathered."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from benchmarks.collectives import collectives, gathered_bytes
from functional_cnn.verify._problem import floating_results, pose, random_like
from functional_cnn.verify._table import by_autodiff
from functional_cnn.verify.cases import CASES

SHARDS = 2


def first_sharp_cases():
    """One case of each op, of those with every transformation, whose batch can be split."""
    found = {}
    for case in CASES:
        args = case.arguments(np.float64)
        batches = [args[i].shape[0] if args[i].ndim else 0 for i in case.batched]
        if case.sharp and all(batch and batch % SHARDS == 0 for batch in batches):
            found.setdefault(case.op, case)
    return list(found.values())


SPLIT = first_sharp_cases()
every_op = pytest.mark.parametrize("case", SPLIT, ids=lambda case: case.op)


def test_every_op_is_sharded():
    assert {case.op for case in SPLIT} == {case.op for case in CASES}


def results_and_gradients(fun, args):
    """The floating results, the gradients in all floating arguments of their sum with random weights, the program."""
    problem = pose(fun, args, None)
    flat = floating_results(problem.flat(fun))
    weights = random_like(jax.eval_shape(flat, *problem.point), np.random.default_rng(0))

    def loss(*point):
        results = flat(*point)
        return sum((w * y).sum() for w, y in zip(weights, results, strict=True)), results

    with_results = jax.grad(loss, argnums=tuple(range(len(problem.point))), has_aux=True)
    program = jax.jit(with_results).lower(*problem.point).compile()
    gradients, results = program(*problem.point)
    return problem.point, results, gradients, program


def arguments(case):
    return tuple(jnp.asarray(a) for a in case.arguments(np.float64))


def assert_equal(got, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), got, expected)


@every_op
@pytest.mark.parametrize("axis_type", [AxisType.Explicit, AxisType.Auto], ids=["explicit", "auto"])
def test_on_a_mesh(case, axis_type, devices):
    _, *expected, _ = results_and_gradients(by_autodiff(case.fun), arguments(case))
    expected = jax.tree.map(np.asarray, expected)
    mesh = jax.make_mesh((SHARDS,), ("data",), axis_types=(axis_type,), devices=devices[:SHARDS])
    split, whole = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
    with jax.set_mesh(mesh):
        args = tuple(
            jax.device_put(a, split if i in case.batched else whole) for i, a in enumerate(arguments(case))
        )
        point, *got, program = results_and_gradients(case.fun, args)
    assert_equal(got, expected)
    parameter_bytes = sum(a.nbytes for i, a in enumerate(args) if i not in case.batched)
    assert gathered_bytes(list(collectives(program.as_text()))) <= parameter_bytes
    if axis_type == AxisType.Explicit:
        for gradient, primal in zip(got[1], point, strict=True):
            assert gradient.sharding.is_equivalent_to(primal.sharding, primal.ndim)


@every_op
def test_in_shard_map(case, devices):
    """Each shard is an op of its own, so the reference is sharded too."""
    mesh = jax.make_mesh((SHARDS,), ("data",), axis_types=(AxisType.Auto,), devices=devices[:SHARDS])
    args = arguments(case)
    specs = tuple(P("data") if i in case.batched else P() for i in range(len(args)))

    def sharded(fun):
        def shard(*args):
            leaves = jax.tree.leaves(fun(*args))
            return [leaf[None] for leaf in leaves] if case.batched else leaves

        return jax.shard_map(shard, mesh=mesh, in_specs=specs, out_specs=P("data") if case.batched else P())

    _, *got, _ = results_and_gradients(sharded(case.fun), args)
    _, *expected, _ = results_and_gradients(sharded(by_autodiff(case.fun)), args)
    assert_equal(got, expected)
