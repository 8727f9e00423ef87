"""Densely connected networks: G. Huang et al., arXiv:1608.06993, table 1. Parameters with 1000 classes:

| depth | layers in each block | growth | stem channels | parameters |
| --- | --- | --- | --- | --- |
| 121 | 6, 12, 24, 16 | 32 | 64 | 7,978,856 |
| 161 | 6, 12, 36, 24 | 48 | 96 | 28,681,000 |
| 169 | 6, 12, 32, 32 | 32 | 64 | 14,149,480 |
| 201 | 6, 12, 48, 32 | 32 | 64 | 20,013,928 |
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from functional_cnn import _checks
from functional_cnn.models import _layers, _options
from functional_cnn.models._layers import Norm
from functional_cnn.models._model import Model, make_model
from functional_cnn.models._scope import Scope, stage_of_blocks
from functional_cnn.ops.average_pooling import avg_pool
from functional_cnn.ops.global_pooling import global_avg_pool
from functional_cnn.ops.max_pooling import max_pool
from functional_cnn.ops.rectifier import relu


class _Variant(NamedTuple):
    layers: tuple[int, ...]
    growth: int
    stem: int


_VARIANTS = {
    121: _Variant((6, 12, 24, 16), 32, 64),
    161: _Variant((6, 12, 36, 24), 48, 96),
    169: _Variant((6, 12, 32, 32), 32, 64),
    201: _Variant((6, 12, 48, 32), 32, 64),
}
_BOTTLENECK = 4  # channels of a layer's 1x1 convolution, for each channel that it adds


def densenet(
    *,
    depth: int = 121,
    num_classes: int = 1000,
    in_channels: int = 3,
    growth: int | None = None,
    norm: str = "batch",
    dropout: float = 0.0,
    features: bool = False,
    remat: bool | str = False,
    axis_name: str | tuple[str, ...] | None = None,
) -> Model:
    """A DenseNet-BC: each layer of a block reads what all before it in the block have made.

    Args:
      depth: 121, 161, 169 or 201.
      num_classes: the number of logits.
      in_channels: the images' channels.
      growth: how many channels a layer adds; None means the variant's own. The stem has twice as many.
      norm: "batch", "group" or "layer".
      dropout: the rate of dropout behind each layer's 3x3 convolution in training.
      features: return the activations "stem" and "stage1" to "stage4" beside the logits.
      remat: keep only the layers' inputs for the backward pass, which makes the rest again;
        "convs_saveable" keeps the results of convolutions, as G. Pleiss et al. do, arXiv:1707.06990, and every
        other layer's input.
      axis_name: a mapped axis over which batch normalisation takes its statistics.

    Returns:
      A ``Model``.

    Raises:
      ValueError: depth or norm is not among the above, or a number is out of range.
      TypeError: an option has another type.

    Example:
      >>> import jax, jax.numpy as jnp, functional_cnn as fcnn
      >>> model = fcnn.models.densenet(depth=121, num_classes=10, growth=2)
      >>> params, state = jax.eval_shape(model.init, jax.random.key(0))
      >>> logits, _ = jax.eval_shape(model.apply, params, state, jnp.zeros((2, 32, 32, 3)))
      >>> print(logits.shape)
      (2, 10)

    Reference: G. Huang et al., "Densely connected convolutional networks", arXiv:1608.06993.
    """
    function = "densenet"
    _checks.choice(function, "depth", depth, _VARIANTS)
    _options.check(function, num_classes=num_classes, in_channels=in_channels, dropout=dropout, remat=remat)
    variant = _VARIANTS[depth]
    if growth is not None:
        growth = _checks.integer(function, "growth", growth, minimum=1)
        variant = _Variant(variant.layers, growth, 2 * growth)
    how = _layers.resolve_norm(function, norm, axis_name)

    def layer(scope: Scope, x: jax.Array) -> jax.Array:
        y = _norm_conv(scope, "1", x, _BOTTLENECK * variant.growth, 1, how)
        y = _norm_conv(scope, "2", y, variant.growth, 3, how)
        return jnp.concatenate((x, _layers.dropout(scope, "dropout", y, dropout)), axis=-1)

    def network(scope: Scope, images: jax.Array) -> jax.Array:
        x = _layers.conv_norm(scope, "stem", images, variant.stem, 7, how, relu, stride=2)
        x = scope.feature("stem", max_pool(x, 3, stride=2, padding=1))
        for stage, count in enumerate(variant.layers, start=1):
            x = stage_of_blocks(scope, f"stage{stage}", count * [layer], x, remat=remat, together=2)
            x = scope.feature(f"stage{stage}", x)
            if stage < len(variant.layers):
                transition = scope.child(f"transition{stage}")
                x = avg_pool(_norm_conv(transition, "", x, x.shape[-1] // 2, 1, how), 2)
        x = relu(_layers.norm(scope, "norm", x, how))
        return _layers.dense(scope, "head", global_avg_pool(x), num_classes)

    return make_model(function, network, in_channels=in_channels, features=features)


def _norm_conv(scope: Scope, number: str, x: jax.Array, features: int, window: int, how: Norm) -> jax.Array:
    x = relu(_layers.norm(scope, f"norm{number}", x, how))
    return _layers.conv(scope, f"conv{number}", x, features, window, bias=False, padding=window // 2)
