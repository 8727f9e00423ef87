"""Functions that the backward pass runs again, so that less is kept for it: T. Chen et al., "Training deep nets with
sublinear memory cost", arXiv:1604.06174, section 4.

``jax.checkpoint`` says the same, and on a GPU and a TPU its barriers keep the second run apart from the first. On CPU
XLA drops them, merges the two and keeps everything; so here the second run and its transpose are compiled apart.
ResNet-50's step then takes 233 MiB of temp memory for 8 images of 224^2, and not 593; docs/models.md has more.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn._apart import apart
from functional_cnn._runs import Policy, first_run
from functional_cnn.rule import is_autodiff

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
      fun: ``fun(*args, **kwargs) -> out``, of trees of arrays.
      policy: what is kept beside the arguments, as in ``jax.checkpoint``, but True or False, and a loop or a condition
        is kept or made again as a whole; None keeps nothing. The results of this library's ops have the ops' names in
        ``jax.checkpoint_policies.save_only_these_names``, and the sums for ``batch_norm``'s mean and variance are
        "batch_norm_statistics". ``fcnn.convs_saveable`` keeps the results of convolutions and dense layers.

    Returns:
      A function with ``fun``'s signature. Called inside ``autodiff()`` it is ``jax.checkpoint``, which any mode of
      differentiation can pass.

    Raises:
      TypeError: fun or policy is not callable; where a gradient is taken, policy answers neither True nor False.

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

    @functools.wraps(fun)
    def run(*args, **kwargs):
        if is_autodiff():
            return jax.checkpoint(fun, policy=policy)(*args, **kwargs)
        # Traced here, the function keeps the rules in force, which may be others where the backward pass is traced; on
        # the mesh in force by its value, as JAX names it from there on, so that equal layers are traced once.
        with jax.sharding.use_abstract_mesh(jax.sharding.get_abstract_mesh()):
            traced, closed_over = jax.closure_convert(lambda args, kwargs: fun(*args, **kwargs), args, kwargs)
        return _run_again(traced, policy)(args, kwargs, *closed_over)

    return run


def _run_again(fun: Callable[..., Any], policy: Policy | None) -> Callable[..., Any]:
    # jax.vjp, so that the function's own rules run as the plain JAX of their fwd and bwd: a gradient can then be
    # differentiated again in any mode, as without remat.
    def fwd(*args):
        floats, others = _split(args)
        with_pullback = functools.partial(jax.vjp, lambda floats: fun(*_joined(floats, others)))
        out, again = first_run(with_pullback, policy, floats)
        return out, (again, floats)

    def bwd(residuals, dout):
        again, floats = residuals
        return apart(_second_run, again, dout, never=lambda *_: floats)

    op = jax.custom_vjp(fun)
    op.defvjp(fwd, bwd)
    return op


def _second_run(again: Callable[[], Any], dout: Any) -> Any:
    # For a GPU and a TPU, which have no condition: the second run is not merged with the first, nor begun before dout
    # is there.
    again, dout = _behind_barriers((again, dout))
    return again()(dout)[0]


def _behind_barriers(tree: Any) -> Any:
    """The tree's floating arrays behind one barrier; in a ``shard_map`` one for those that vary over the same axes."""
    floats, others = _split(tree)
    leaves, structure = jax.tree.flatten(floats)
    varying = [jax.typeof(leaf).mat.varying for leaf in leaves]
    for axes in dict.fromkeys(varying):
        places = [place for place, found in enumerate(varying) if found == axes]
        held = lax.optimization_barrier([leaves[place] for place in places])
        for place, leaf in zip(places, held, strict=True):
            leaves[place] = leaf
    return _joined(jax.tree.unflatten(structure, leaves), others)


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
