"""MobileNetV3: A. Howard et al., arXiv:1905.02244, tables 1 and 2. Parameters with 1000 classes:

| size | parameters |
| --- | --- |
| large | 5,483,032 |
| small | 2,542,856 |
"""

from typing import NamedTuple

import jax

from functional_cnn import _checks
from functional_cnn.models import _layers, _options
from functional_cnn.models._inverted_residual import PADDINGS, InvertedResidual, Squeeze, padding_of
from functional_cnn.models._layers import conv_norm
from functional_cnn.models._model import Model, make_model
from functional_cnn.models._options import divisible
from functional_cnn.models._scope import Scope, stage_of_blocks
from functional_cnn.ops.global_pooling import global_avg_pool
from functional_cnn.ops.hard_activation import hard_sigmoid, hard_silu
from functional_cnn.ops.rectifier import relu


class _Row(NamedTuple):
    """A block as in the paper's tables."""

    window: int
    expanded: int
    channels: int
    squeezes: bool
    hard: bool  # whether the activation is hard_silu and not relu
    stride: int


_LARGE = (
    _Row(3, 16, 16, False, False, 1),
    _Row(3, 64, 24, False, False, 2),
    _Row(3, 72, 24, False, False, 1),
    _Row(5, 72, 40, True, False, 2),
    _Row(5, 120, 40, True, False, 1),
    _Row(5, 120, 40, True, False, 1),
    _Row(3, 240, 80, False, True, 2),
    _Row(3, 200, 80, False, True, 1),
    _Row(3, 184, 80, False, True, 1),
    _Row(3, 184, 80, False, True, 1),
    _Row(3, 480, 112, True, True, 1),
    _Row(3, 672, 112, True, True, 1),
    _Row(5, 672, 160, True, True, 2),
    _Row(5, 960, 160, True, True, 1),
    _Row(5, 960, 160, True, True, 1),
)
_SMALL = (
    _Row(3, 16, 16, True, False, 2),
    _Row(3, 72, 24, False, False, 2),
    _Row(3, 88, 24, False, False, 1),
    _Row(5, 96, 40, True, True, 2),
    _Row(5, 240, 40, True, True, 1),
    _Row(5, 240, 40, True, True, 1),
    _Row(5, 120, 48, True, True, 1),
    _Row(5, 144, 48, True, True, 1),
    _Row(5, 288, 96, True, True, 2),
    _Row(5, 576, 96, True, True, 1),
    _Row(5, 576, 96, True, True, 1),
)
_VARIANTS = {"large": (_LARGE, 1280), "small": (_SMALL, 1024)}  # blocks, features of the hidden dense layer
_STEM = 16


def mobilenet_v3(
    *,
    size: str = "large",
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    norm: str = "batch",
    eps: float = 1e-3,
    padding: str = "symmetric",
    dropout: float = 0.2,
    features: bool = False,
    remat: bool | str = False,
    axis_name: str | tuple[str, ...] | None = None,
) -> Model:
    """MobileNetV3: inverted residuals with squeeze-and-excitation and hard activations.

    Args:
      size: "large" or "small".
      num_classes: the number of logits.
      in_channels: the images' channels.
      width: a factor of all numbers of channels, which are then rounded to multiples of 8.
      norm: "batch", "group" or "layer".
      eps: of the normalisation.
      padding: "symmetric", as torchvision's weights have it, or "same", as TensorFlow's.
      dropout: the rate of dropout before the logits in training.
      features: return the activations "stem", "blocks" and "last" beside the logits.
      remat: keep only the blocks' inputs for the backward pass, which makes the rest again;
        "convs_saveable" keeps the results of convolutions and dense layers too.
      axis_name: a mapped axis over which batch normalisation takes its statistics.

    Returns:
      A ``Model``.

    Raises:
      ValueError: size, norm or padding is not among the above, or a number is out of range.
      TypeError: an option has another type.

    Example:
      >>> import jax, jax.numpy as jnp, functional_cnn as fcnn
      >>> model = fcnn.models.mobilenet_v3(size="small", num_classes=10, width=0.25)
      >>> params, state = jax.eval_shape(model.init, jax.random.key(0))
      >>> logits, _ = jax.eval_shape(model.apply, params, state, jnp.zeros((2, 32, 32, 3)))
      >>> print(logits.shape)
      (2, 10)

    Reference: A. Howard et al., "Searching for MobileNetV3", arXiv:1905.02244.
    """
    function = "mobilenet_v3"
    _checks.choice(function, "size", size, _VARIANTS)
    _options.check(function, num_classes=num_classes, in_channels=in_channels, dropout=dropout, remat=remat)
    width = _options.multiplier(function, "width", width)
    _checks.choice(function, "padding", padding, PADDINGS)
    how = _layers.resolve_norm(function, norm, axis_name, eps)
    rows, hidden = _VARIANTS[size]

    def block(row: _Row) -> InvertedResidual:
        expanded = divisible(row.expanded * width)
        squeeze = Squeeze(divisible(expanded // 4), relu, hard_sigmoid) if row.squeezes else None
        activation, outputs = hard_silu if row.hard else relu, divisible(row.channels * width)
        return InvertedResidual(expanded, outputs, row.window, row.stride, activation, how, padding, squeeze)

    def network(scope: Scope, images: jax.Array) -> jax.Array:
        stem = divisible(_STEM * width)
        x = conv_norm(scope, "stem", images, stem, 3, how, hard_silu, stride=2, **padding_of(padding, 3))
        x = scope.feature("stem", x)
        x = stage_of_blocks(scope, "blocks", [block(row) for row in rows], x, remat=remat)
        x = scope.feature("blocks", x)
        x = conv_norm(scope, "last", x, 6 * x.shape[-1], 1, how, hard_silu)
        x = global_avg_pool(scope.feature("last", x))
        x = hard_silu(_layers.dense(scope, "hidden", x, divisible(hidden * width)))
        return _layers.dense(scope, "head", _layers.dropout(scope, "dropout", x, dropout), num_classes)

    return make_model(function, network, in_channels=in_channels, features=features)
