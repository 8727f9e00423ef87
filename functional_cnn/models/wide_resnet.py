"""Wide residual networks for small images: S. Zagoruyko and N. Komodakis, arXiv:1605.07146, table 1. Parameters
with 10 classes, in millions as in the paper's table 4:

| depth | width | parameters |
| --- | --- | --- |
| 40 | 1 | 0.6 M |
| 40 | 2 | 2.2 M |
| 40 | 4 | 8.9 M |
| 16 | 8 | 11.0 M |
| 22 | 8 | 17.2 M |
| 16 | 10 | 17.1 M |
| 28 | 10 | 36.5 M |
"""

import functools

import jax

from functional_cnn import _checks
from functional_cnn.models import _layers, _options
from functional_cnn.models._layers import Norm
from functional_cnn.models._model import Model, make_model
from functional_cnn.models._scope import Scope, stage_of_blocks
from functional_cnn.ops.global_pooling import global_avg_pool
from functional_cnn.ops.rectifier import relu

_CHANNELS = (16, 32, 64)


def wide_resnet(
    *,
    depth: int = 28,
    width: int = 10,
    num_classes: int = 10,
    in_channels: int = 3,
    norm: str = "batch",
    dropout: float = 0.0,
    features: bool = False,
    remat: bool | str = False,
    scan: bool = False,
    axis_name: str | tuple[str, ...] | None = None,
) -> Model:
    """A wide ResNet for CIFAR: three stages of blocks that normalise first, with few layers and many channels.

    Args:
      depth: the number of convolutions, 6 n + 4 for n blocks a stage.
      width: a factor of the stages' 16, 32 and 64 channels.
      num_classes: the number of logits.
      in_channels: the images' channels.
      norm: "batch", "group" or "layer".
      dropout: the rate of dropout between a block's convolutions in training; 0.3 in the paper.
      features: return the activations "stem" and "stage1" to "stage3" beside the logits.
      remat: keep only the blocks' inputs for the backward pass, which makes the rest again;
        "convs_saveable" keeps the results of convolutions and dense layers too.
      scan: the blocks of a stage but the first as one ``lax.scan``, with stacked parameters.
      axis_name: a mapped axis over which batch normalisation takes its statistics.

    Returns:
      A ``Model``.

    Raises:
      ValueError: depth is not 6 n + 4, norm is not among the above, or a number is out of range.
      TypeError: an option has another type.

    Example:
      >>> import jax, jax.numpy as jnp, functional_cnn as fcnn
      >>> model = fcnn.models.wide_resnet(depth=10, width=1)
      >>> params, state = model.init(jax.random.key(0))
      >>> logits, _ = model.apply(params, state, jnp.zeros((2, 32, 32, 3)))
      >>> print(logits.shape)
      (2, 10)

    Reference: S. Zagoruyko and N. Komodakis, "Wide residual networks", arXiv:1605.07146.
    """
    function = "wide_resnet"
    depth = _checks.integer(function, "depth", depth, minimum=10)
    if depth % 6 != 4:
        raise ValueError(f"{function}: depth must be 6 n + 4, got {depth}")
    _options.check(
        function,
        num_classes=num_classes,
        in_channels=in_channels,
        width=width,
        dropout=dropout,
        remat=remat,
        scan=scan,
    )
    how = _layers.resolve_norm(function, norm, axis_name)

    def network(scope: Scope, images: jax.Array) -> jax.Array:
        x = _conv(scope, "stem", images, _CHANNELS[0])
        x = scope.feature("stem", x)
        for stage, channels in enumerate(_CHANNELS, start=1):
            block = functools.partial(_block, channels=channels * width, how=how, dropout=dropout)
            first = functools.partial(block, stride=1 if stage == 1 else 2)
            blocks = [first] + ((depth - 4) // 6 - 1) * [block]
            x = stage_of_blocks(scope, f"stage{stage}", blocks, x, scanned=scan, remat=remat)
            x = scope.feature(f"stage{stage}", x)
        x = relu(_layers.norm(scope, "norm", x, how))
        return _layers.dense(scope, "head", global_avg_pool(x), num_classes)

    return make_model(function, network, in_channels=in_channels, image_size=(32, 32), features=features)


def _block(
    scope: Scope, x: jax.Array, *, channels: int, how: Norm, dropout: float, stride: int = 1
) -> jax.Array:
    normalized = relu(_layers.norm(scope, "norm1", x, how))
    y = _conv(scope, "conv1", normalized, channels, stride)
    y = _layers.dropout(scope, "dropout", relu(_layers.norm(scope, "norm2", y, how)), dropout)
    y = _conv(scope, "conv2", y, channels)
    if stride != 1 or x.shape[-1] != channels:
        x = _layers.conv(scope, "shortcut", normalized, channels, 1, bias=False, stride=stride, padding=0)
    return x + y


def _conv(scope: Scope, name: str, x: jax.Array, channels: int, stride: int = 1) -> jax.Array:
    return _layers.conv(scope, name, x, channels, 3, bias=False, stride=stride, padding=1)
