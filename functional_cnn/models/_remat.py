"""Blocks that the backward pass runs again, so that only what comes into them is kept: T. Chen et al.,
"Training deep nets with sublinear memory cost", arXiv:1604.06174, section 4.

``jax.checkpoint`` says the same, and on a GPU and a TPU its barriers keep the second run apart from the first. On CPU
XLA drops them, merges the two and keeps everything. So the second run and its transpose stand in a branch of a
condition, which XLA neither merges with what is outside nor begins before the cotangent has come. ResNet-50's step
then takes 211 MiB of temp memory for 8 images of 224^2, and not 597; docs/models.md has more.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn.rule import is_autodiff


def remat(block: Callable[..., Any]) -> Callable[..., Any]:
    """``block(*args) -> out`` of trees of arrays, run again for its gradient.

    Inside ``autodiff()`` it is ``jax.checkpoint``, which any mode of differentiation can pass.
    """
    if is_autodiff():
        return jax.checkpoint(block)

    def run(*args):
        # Traced here, the block keeps the rules in force, which may be others where the backward pass is traced.
        traced, closed_over = jax.closure_convert(block, *args)
        return _run_again(traced)(*args, *closed_over)

    return run


def _run_again(block: Callable[..., Any]) -> Callable[..., Any]:
    # jax.vjp in both, so that the block's own rules run as the plain JAX of their fwd and bwd: a gradient can then be
    # differentiated again in any mode, as without remat.
    def fwd(*args):
        return _vjp(block, *_split(args))[0], args

    def bwd(args, dout):
        floats, others = _split(args)

        def again(floats, others, dout):
            # On a GPU and a TPU, which have no condition (see _always), the barriers of jax.checkpoint hold.
            return _vjp(jax.checkpoint(block), floats, others)[1](dout)

        def never(floats, others, dout):
            return jax.tree.map(jnp.zeros_like, floats)

        return lax.cond(_always(), again, never, floats, others, dout)

    op = jax.custom_vjp(block)
    op.defvjp(fwd, bwd)
    return op


def _vjp(block: Callable[..., Any], floats: tuple, others: tuple) -> tuple[Any, Callable[[Any], tuple]]:
    """The block's result and the function from its cotangent to those of the arguments, None where not floating."""
    out, pull = jax.vjp(lambda floats: block(*_joined(floats, others)), floats)
    return out, lambda dout: pull(dout)[0]


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


def _always() -> jax.Array:
    """True; on CPU in a way that XLA cannot see, as it would take a constant condition away."""
    return lax.platform_dependent(
        cpu=lambda: lax.rng_uniform(0.0, 1.0, ()) < 2, default=lambda: jnp.array(True)
    )
