"""What a model is, and the layers with state that models share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from functional_cnn import init
from functional_cnn.ops.convolution import conv
from functional_cnn.ops.normalization import batch_norm, batch_norm_inference

Tree = dict[str, Any]

# The share of the old running statistics that a training step keeps, as in Flax; PyTorch says momentum=0.1.
MOMENTUM = 0.9


class Model(NamedTuple):
    """A network.

    Attributes:
      init: ``(key, *, dtype=float32) -> (params, state)``: plain nested dicts of parameters, and of running
        statistics, ``{}`` where there are none.
      apply: ``(params, state, images, *, train=False, key=None) -> (logits, state)``: images are
        (N, *spatial, C), logits (N, num_classes). ``train`` is a Python bool: True normalises with the
        batch's statistics, returns moved running statistics and draws dropout from ``key``.
    """

    init: Callable[..., tuple[Tree, Tree]]
    apply: Callable[..., tuple[jax.Array, Tree]]


def init_norm(channels: int, dtype: Any) -> tuple[Tree, Tree]:
    return init.batch_norm(channels, dtype=dtype)


def apply_norm(
    params: Tree, state: Tree, x: jax.Array, *, train: bool, axis_name: str | tuple[str, ...] | None = None
) -> tuple[jax.Array, Tree]:
    """Batch normalisation with the batch's statistics in training, with the running ones otherwise."""
    if not train:
        return batch_norm_inference(x, state["mean"], state["var"], params["scale"], params["bias"]), state
    y, mean, var = batch_norm(x, params["scale"], params["bias"], axis_name=axis_name)
    batch = {"mean": mean, "var": var}
    moved = jax.tree.map(
        lambda old, new: (MOMENTUM * old + (1 - MOMENTUM) * jax.lax.stop_gradient(new)).astype(old.dtype),
        state,
        batch,
    )
    return y, moved


def init_conv_norm(
    key: jax.Array, window: tuple[int, ...], in_channels: int, out_channels: int, dtype: Any
) -> tuple[Tree, Tree]:
    """A convolution without bias, which the normalisation behind it would cancel."""
    norm, state = init_norm(out_channels, dtype)
    kernel = init.conv(key, window, in_channels, out_channels, bias=False, dtype=dtype)
    return {"conv": kernel, "norm": norm}, {"norm": state}


def apply_conv_norm(
    params: Tree,
    state: Tree,
    x: jax.Array,
    *,
    train: bool,
    stride: int = 1,
    padding: Any = "SAME",
    axis_name: str | tuple[str, ...] | None = None,
) -> tuple[jax.Array, Tree]:
    y = conv(x, params["conv"]["kernel"], stride=stride, padding=padding)
    y, norm = apply_norm(params["norm"], state["norm"], y, train=train, axis_name=axis_name)
    return y, {"norm": norm}
