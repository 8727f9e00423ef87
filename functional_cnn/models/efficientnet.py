"""EfficientNet: M. Tan and Q. Le, arXiv:1905.11946, table 1 and the published code's factors. With 1000 classes:

| variant | width | depth | image size | dropout | parameters |
| --- | --- | --- | --- | --- | --- |
| b0 | 1.0 | 1.0 | 224 | 0.2 | 5,288,548 |
| b1 | 1.0 | 1.1 | 240 | 0.2 | 7,794,184 |
| b2 | 1.1 | 1.2 | 260 | 0.3 | 9,109,994 |
| b3 | 1.2 | 1.4 | 300 | 0.3 | 12,233,232 |
| b4 | 1.4 | 1.8 | 380 | 0.4 | 19,341,616 |
| b5 | 1.6 | 2.2 | 456 | 0.4 | 30,389,784 |
| b6 | 1.8 | 2.6 | 528 | 0.5 | 43,040,704 |
| b7 | 2.0 | 3.1 | 600 | 0.5 | 66,347,960 |
"""

import math
from typing import NamedTuple

import jax

from functional_cnn import _checks
from functional_cnn.models import _layers, _options
from functional_cnn.models._inverted_residual import PADDINGS, InvertedResidual, Squeeze, padding_of
from functional_cnn.models._layers import conv_norm
from functional_cnn.models._model import Model, make_model
from functional_cnn.models._options import divisible
from functional_cnn.models._scope import Scope, stage_of_blocks
from functional_cnn.ops.gated import silu
from functional_cnn.ops.global_pooling import global_avg_pool
from functional_cnn.ops.sigmoidal import sigmoid


class _Variant(NamedTuple):
    width: float
    depth: float
    dropout: float


_VARIANTS = {
    "b0": _Variant(1.0, 1.0, 0.2),
    "b1": _Variant(1.0, 1.1, 0.2),
    "b2": _Variant(1.1, 1.2, 0.3),
    "b3": _Variant(1.2, 1.4, 0.3),
    "b4": _Variant(1.4, 1.8, 0.4),
    "b5": _Variant(1.6, 2.2, 0.4),
    "b6": _Variant(1.8, 2.6, 0.5),
    "b7": _Variant(2.0, 3.1, 0.5),
}


class _Stage(NamedTuple):
    """A row of the paper's table 1."""

    expansion: int
    window: int
    stride: int
    channels: int
    blocks: int


_STAGES = (
    _Stage(1, 3, 1, 16, 1),
    _Stage(6, 3, 2, 24, 2),
    _Stage(6, 5, 2, 40, 2),
    _Stage(6, 3, 2, 80, 3),
    _Stage(6, 5, 1, 112, 3),
    _Stage(6, 5, 2, 192, 4),
    _Stage(6, 3, 1, 320, 1),
)
_STEM, _LAST = 32, 4  # channels of the stem; those of the last convolution, for each of the last stage


def efficientnet(
    *,
    variant: str = "b0",
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float | None = None,
    norm: str = "batch",
    eps: float = 1e-5,
    padding: str = "symmetric",
    dropout: float | None = None,
    stochastic_depth: float = 0.2,
    features: bool = False,
    remat: bool | str = False,
    scan: bool = False,
    axis_name: str | tuple[str, ...] | None = None,
) -> Model:
    """An EfficientNet: inverted residuals with squeeze-and-excitation, scaled together in width and depth.

    Args:
      variant: "b0" to "b7".
      num_classes: the number of logits.
      in_channels: the images' channels.
      width: a factor of all numbers of channels; None means the variant's own.
      norm: "batch", "group" or "layer".
      eps: of the normalisation; 1e-3 in TensorFlow's weights and in torchvision's from b5 on.
      padding: "symmetric", as torchvision's weights have it, or "same", as TensorFlow's.
      dropout: the rate of dropout before the logits in training; None means the variant's own.
      stochastic_depth: the rate at which a block behind the last would be left out in training; it grows linearly
        from 0 at the first.
      features: return the activations "stem", "stage1" to "stage7" and "last" beside the logits.
      remat: keep only the blocks' inputs for the backward pass, which makes the rest again;
        "convs_saveable" keeps the results of convolutions and dense layers too.
      scan: the blocks of a stage but the first as one ``lax.scan``, without stochastic depth.
      axis_name: a mapped axis over which batch normalisation takes its statistics.

    Returns:
      A ``Model``.

    Raises:
      ValueError: variant, norm or padding is not among the above, a number is out of range, or scan meets stochastic
        depth.
      TypeError: an option has another type.

    Example:
      >>> import jax, jax.numpy as jnp, functional_cnn as fcnn
      >>> model = fcnn.models.efficientnet(variant="b0", num_classes=10, width=0.25)
      >>> params, state = jax.eval_shape(model.init, jax.random.key(0))
      >>> logits, _ = jax.eval_shape(model.apply, params, state, jnp.zeros((2, 32, 32, 3)))
      >>> print(logits.shape)
      (2, 10)

    Reference: M. Tan and Q. Le, "EfficientNet: rethinking model scaling", arXiv:1905.11946.
    """
    function = "efficientnet"
    own = _VARIANTS[_checks.choice(function, "variant", variant, _VARIANTS)]
    width = own.width if width is None else _options.multiplier(function, "width", width)
    dropout = own.dropout if dropout is None else dropout
    _options.check(
        function,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        stochastic_depth=stochastic_depth,
        remat=remat,
        scan=scan,
    )
    _checks.choice(function, "padding", padding, PADDINGS)
    how = _layers.resolve_norm(function, norm, axis_name, eps)
    counts = [math.ceil(stage.blocks * own.depth) for stage in _STAGES]

    def block(stage: _Stage, number: int, before: int, met: int) -> InvertedResidual:
        outputs = divisible(stage.channels * width)
        inputs, stride = (before, stage.stride) if number == 0 else (outputs, 1)
        squeeze = Squeeze(max(1, inputs // 4), silu, sigmoid)
        rate = stochastic_depth * met / sum(counts)
        expanded = divisible(inputs * stage.expansion)
        return InvertedResidual(expanded, outputs, stage.window, stride, silu, how, padding, squeeze, rate)

    def network(scope: Scope, images: jax.Array) -> jax.Array:
        stem = divisible(_STEM * width)
        x = conv_norm(scope, "stem", images, stem, 3, how, silu, stride=2, **padding_of(padding, 3))
        x = scope.feature("stem", x)
        for index, (stage, count) in enumerate(zip(_STAGES, counts, strict=True)):
            met = sum(counts[:index])
            blocks = [block(stage, number, x.shape[-1], met + number) for number in range(count)]
            x = stage_of_blocks(scope, f"stage{index + 1}", blocks, x, scanned=scan, remat=remat)
            x = scope.feature(f"stage{index + 1}", x)
        x = conv_norm(scope, "last", x, _LAST * x.shape[-1], 1, how, silu)
        x = global_avg_pool(scope.feature("last", x))
        return _layers.dense(scope, "head", _layers.dropout(scope, "dropout", x, dropout), num_classes)

    return make_model(function, network, in_channels=in_channels, features=features)
