"""Functions that the backward pass runs again, so that less is kept for it: T. Chen et al., "Training deep nets with
sublinear memory cost", arXiv:1604.06174, section 4.

``jax.checkpoint`` says the same, and on a GPU and a TPU its barriers keep the second run apart from the first. On CPU
XLA drops them, merges the two and keeps everything; so the second run and its transpose are compiled apart. ResNet-50's
step then takes 233 MiB of temp memory for 8 images of 224^2, and not 593; docs/models.md has more.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, JaxprEqn, Var, jaxpr_as_fun
from jax.extend.core.primitives import reduce_precision_p

from functional_cnn._apart import apart
from functional_cnn.rule import is_autodiff

Policy = Callable[..., Any]

_convs = jax.checkpoint_policies.save_only_these_names(
    "conv", "conv_transpose", "dense", "batch_norm_statistics"
)


def convs_saveable(primitive: Any, *avals: Any, **params: Any) -> bool:
    """A policy for ``remat`` and ``jax.checkpoint``: the results of convolutions and dense layers are kept.

    Normalisations and activations, which take few operations, are made again; the sums of ``batch_norm`` are
    kept as well. It is to our ops what ``jax.checkpoint_policies.dots_saveable`` is to matrix products.

    Args:
      primitive: what JAX asks about.
      *avals: the types of its arguments: shapes and dtypes.
      **params: its parameters, the name of a result among them.

    Returns:
      Whether its results are kept.

    Example:
      >>> import jax, functional_cnn as fcnn
      >>> block = fcnn.remat(lambda kernel, x: fcnn.relu(fcnn.conv(x, kernel)), policy=fcnn.convs_saveable)

    Reference: G. Pleiss et al., "Memory-efficient implementation of DenseNets", arXiv:1707.06990, section 3.
    """
    return _convs(primitive, *avals, **params)


def remat(fun: Callable[..., Any], *, policy: Policy | None = None) -> Callable[..., Any]:
    """Returns ``fun`` with a gradient that makes again what ``fun`` makes on its way, rather than keep it.

    What ``jax.checkpoint`` does, on CPU too, where XLA merges that one's second run with the first unless it stands
    in a scan. Wrap the blocks of a network one by one: only what comes into them is kept, and of one block at a
    time all that it makes.

    Args:
      fun: ``fun(*args) -> out``, of trees of arrays.
      policy: what is kept beside ``args``, as in ``jax.checkpoint``; None keeps nothing. The results of this
        library's ops have the ops' names in ``jax.checkpoint_policies.save_only_these_names``, and the sums
        for ``batch_norm``'s mean and variance are "batch_norm_statistics". ``fcnn.convs_saveable`` keeps the results of
        convolutions and dense layers.

    Returns:
      A function with ``fun``'s signature. Inside ``autodiff()`` it is ``jax.checkpoint``, which any mode of
      differentiation can pass.

    Raises:
      TypeError: fun or policy is not callable.

    Example:
      >>> import jax, jax.numpy as jnp, functional_cnn as fcnn
      >>> def block(kernel, x):
      ...     return fcnn.silu(fcnn.conv(x, kernel))
      >>> def loss(kernel, x):
      ...     return fcnn.remat(block, policy=fcnn.convs_saveable)(kernel, x).sum()
      >>> print(jax.grad(loss)(jnp.zeros((1, 1, 1)), jnp.ones((2, 4, 1))).ravel())
      [4.]

    Reference: T. Chen et al., "Training deep nets with sublinear memory cost", arXiv:1604.06174, section 4.
    """
    if not callable(fun):
        raise TypeError(f"remat: fun must be callable, got {fun!r}")
    if policy is not None and not callable(policy):
        raise TypeError(f"remat: policy must be callable, got {policy!r}")
    if is_autodiff():
        return jax.checkpoint(fun, policy=policy)

    def run(*args):
        # Traced here, the function keeps the rules in force, which may be others where the backward pass is traced.
        traced, closed_over = jax.closure_convert(jax.checkpoint(fun, policy=policy), *args)
        return _run_again(traced)(*args, *closed_over)

    return run


def _run_again(fun: Callable[..., Any]) -> Callable[..., Any]:
    # jax.vjp, so that the function's own rules run as the plain JAX of their fwd and bwd: a gradient can then be
    # differentiated again in any mode, as without remat. What it returns holds what is kept, and what is to be
    # run again as a program: on a GPU and a TPU, which have no condition, behind the barriers of jax.checkpoint.
    def fwd(*args):
        floats, others = _split(args)
        run_again = functools.partial(jax.vjp, lambda floats: fun(*_joined(floats, others)))
        out, pull = _without_roundings(run_again, floats)
        return out, (pull, floats)

    def bwd(residuals, dout):
        pull, floats = residuals
        return apart(lambda pull, dout: pull(dout)[0], pull, dout, never=lambda *_: floats)

    op = jax.custom_vjp(fun)
    op.defvjp(fwd, bwd)
    return op


def _without_roundings(fun: Callable[..., Any], *args: Any) -> Any:
    """fun(*args), less the roundings to its own precision that ``jax.checkpoint`` puts behind an array that it keeps.

    They keep XLA from computing with more digits than an array of 16 bits has. Of float32 and float64 they change
    nothing, but XLA:CPU compiles a loop for each and copies the array.
    """
    program, types = jax.make_jaxpr(fun, return_shape=True)(*args)
    jaxpr, same, eqns = program.jaxpr, {}, []

    def source(atom):
        return same.get(atom, atom) if isinstance(atom, Var) else atom

    for eqn in jaxpr.eqns:
        eqn = eqn.replace(invars=[source(atom) for atom in eqn.invars])
        if _rounds_nothing(eqn):
            same[eqn.outvars[0]] = eqn.invars[0]
        else:
            eqns.append(eqn)
    jaxpr = jaxpr.replace(eqns=eqns, outvars=[source(atom) for atom in jaxpr.outvars])
    leaves = jaxpr_as_fun(ClosedJaxpr(jaxpr, program.consts))(*jax.tree.leaves(args))
    return jax.tree.unflatten(jax.tree.structure(types), leaves)


def _rounds_nothing(eqn: JaxprEqn) -> bool:
    if eqn.primitive is not reduce_precision_p:
        return False
    array: Any = eqn.outvars[0].aval
    own, kept = jnp.finfo(array.dtype), eqn.params
    return own.bits >= 32 and kept["exponent_bits"] >= own.nexp and kept["mantissa_bits"] >= own.nmant


def _split(args: tuple) -> tuple[tuple, tuple]:
    """The floating arrays and the others, each with None in the places of the other."""
    floating = jax.tree.map(lambda leaf: jnp.issubdtype(jnp.result_type(leaf), jnp.inexact), args)
    floats = jax.tree.map(lambda leaf, keep: leaf if keep else None, args, floating)
    others = jax.tree.map(lambda leaf, keep: None if keep else leaf, args, floating)
    return floats, others


def _joined(floats: tuple, others: tuple) -> tuple:
    return jax.tree.map(
        lambda floating, other: other if floating is None else floating,
        floats,
        others,
        is_leaf=lambda node: node is None,
    )
