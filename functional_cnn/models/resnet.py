"""Residual networks of basic blocks: K. He et al., "Deep residual learning", arXiv:1512.03385, table 1.

| depth | blocks in each stage | parameters with 1000 classes |
| --- | --- | --- |
| 18 | 2, 2, 2, 2 | 11,689,512 |
| 34 | 3, 4, 6, 3 | 21,797,672 |
"""

from typing import Any

import jax
import jax.numpy as jnp

from functional_cnn import _checks, init
from functional_cnn.models._model import Model, Tree, apply_conv_norm, init_conv_norm
from functional_cnn.ops.average_pooling import global_avg_pool
from functional_cnn.ops.dense import dense
from functional_cnn.ops.max_pooling import max_pool
from functional_cnn.ops.rectifier import relu

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
_STEMS = ("imagenet", "small")


def resnet(
    *,
    depth: int = 18,
    num_classes: int = 1000,
    in_channels: int = 3,
    width: int = 64,
    stem: str = "imagenet",
    axis_name: str | tuple[str, ...] | None = None,
) -> Model:
    """A residual network of basic blocks: two 3x3 convolutions beside a shortcut.

    Four stages of ``width`` times 1, 2, 4 and 8 channels; the first block of each later stage halves the
    image, with a 1x1 convolution as its shortcut.

    Args:
      depth: 18 or 34.
      num_classes: the number of logits.
      in_channels: the images' channels.
      width: channels of the first stage.
      stem: "imagenet", a 7x7 convolution and a 3x3 max pool, each with stride 2; or "small", one 3x3
        convolution, for images such as CIFAR's.
      axis_name: a mapped axis over which batch normalisation takes its statistics.

    Returns:
      A ``Model``.

    Raises:
      ValueError: depth or stem is not among the above, or a number is less than 1.
      TypeError: an option has another type.

    Example:
      >>> import jax, jax.numpy as jnp, functional_cnn as fcnn
      >>> model = fcnn.models.resnet(depth=18, num_classes=10, width=8, stem="small")
      >>> params, state = model.init(jax.random.key(0))
      >>> logits, state = jax.jit(model.apply)(params, state, jnp.zeros((2, 32, 32, 3)))
      >>> print(logits.shape)
      (2, 10)

    Reference: K. He et al., "Deep residual learning for image recognition", arXiv:1512.03385.
    """
    function = "resnet"
    depth = _checks.integer(function, "depth", depth, minimum=1)
    if depth not in _BLOCKS:
        raise ValueError(f"{function}: depth must be one of {', '.join(map(str, _BLOCKS))}, got {depth!r}")
    if not isinstance(stem, str) or stem not in _STEMS:
        raise ValueError(f"{function}: stem must be one of {', '.join(_STEMS)}, got {stem!r}")
    num_classes = _checks.integer(function, "num_classes", num_classes, minimum=1)
    in_channels = _checks.integer(function, "in_channels", in_channels, minimum=1)
    width = _checks.integer(function, "width", width, minimum=1)
    axis_name = _checks.axis_name(function, axis_name)
    plan = _plan(_BLOCKS[depth], width)

    def initialize(key: jax.Array, *, dtype: Any = jnp.float32):
        keys = iter(jax.random.split(_checks.key("resnet.init", key), len(plan) + 2))
        window = (7, 7) if stem == "imagenet" else (3, 3)
        params, state = {}, {}
        params["stem"], state["stem"] = init_conv_norm(next(keys), window, in_channels, width, dtype)
        for name, before, after, stride in plan:
            params[name], state[name] = _init_block(next(keys), before, after, stride, dtype)
        params["head"] = init.dense(next(keys), 8 * width, num_classes, dtype=dtype)
        return params, state

    def apply(params, state, images, *, train: bool = False, key: jax.Array | None = None):
        options = {"train": train, "axis_name": axis_name}
        moved = {}
        if stem == "imagenet":
            x, moved["stem"] = apply_conv_norm(
                params["stem"], state["stem"], images, stride=2, padding=3, **options
            )
            x = max_pool(relu(x), 3, stride=2, padding=1)
        else:
            x, moved["stem"] = apply_conv_norm(params["stem"], state["stem"], images, padding=1, **options)
            x = relu(x)
        for name, _, _, stride in plan:
            x, moved[name] = _apply_block(params[name], state[name], x, stride, options)
        return dense(global_avg_pool(x), **params["head"]), moved

    return Model(initialize, apply)


def _plan(blocks: tuple[int, ...], width: int) -> list[tuple[str, int, int, int]]:
    """The blocks in order: name, channels before and after, stride."""
    plan, before = [], width
    for stage, count in enumerate(blocks, start=1):
        after = width * 2 ** (stage - 1)
        for block in range(1, count + 1):
            stride = 2 if block == 1 and stage > 1 else 1
            plan.append((f"stage{stage}_block{block}", before, after, stride))
            before = after
    return plan


def _init_block(key, before: int, after: int, stride: int, dtype) -> tuple[Tree, Tree]:
    layers = {"conv1": ((3, 3), before), "conv2": ((3, 3), after)}
    if stride != 1 or before != after:
        layers["shortcut"] = ((1, 1), before)
    params, state = {}, {}
    for layer_key, (name, (window, channels)) in zip(
        jax.random.split(key, len(layers)), layers.items(), strict=True
    ):
        params[name], state[name] = init_conv_norm(layer_key, window, channels, after, dtype)
    return params, state


def _apply_block(params: Tree, state: Tree, x, stride: int, options) -> tuple[jax.Array, Tree]:
    moved = {}
    y, moved["conv1"] = apply_conv_norm(
        params["conv1"], state["conv1"], x, stride=stride, padding=1, **options
    )
    y, moved["conv2"] = apply_conv_norm(params["conv2"], state["conv2"], relu(y), padding=1, **options)
    if "shortcut" in params:
        x, moved["shortcut"] = apply_conv_norm(
            params["shortcut"], state["shortcut"], x, stride=stride, padding="VALID", **options
        )
    return relu(x + y), moved
