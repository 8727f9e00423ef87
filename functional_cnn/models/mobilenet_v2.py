"""MobileNetV2: M. Sandler et al., arXiv:1801.04381, table 2. Parameters with 1000 classes:

| width | parameters |
| --- | --- |
| 1.0 | 3,504,872 |
| 1.4 | 6,108,776 |
"""

import jax

from functional_cnn import _checks
from functional_cnn.models import _layers, _options
from functional_cnn.models._inverted_residual import PADDINGS, InvertedResidual, padding_of
from functional_cnn.models._layers import conv_norm
from functional_cnn.models._model import Model, make_model
from functional_cnn.models._options import divisible
from functional_cnn.models._scope import Scope, stage_of_blocks
from functional_cnn.ops.global_pooling import global_avg_pool
from functional_cnn.ops.hard_activation import relu6

# Expansion, channels, blocks, stride of the first.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM, _LAST = 32, 1280


def mobilenet_v2(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    norm: str = "batch",
    eps: float = 1e-5,
    padding: str = "symmetric",
    dropout: float = 0.2,
    features: bool = False,
    remat: bool | str = False,
    scan: bool = False,
    axis_name: str | tuple[str, ...] | None = None,
) -> Model:
    """MobileNetV2: inverted residuals with linear bottlenecks.

    Args:
      num_classes: the number of logits.
      in_channels: the images' channels.
      width: a factor of all numbers of channels, which are then rounded to multiples of 8.
      norm: "batch", "group" or "layer".
      eps: of the normalisation; TensorFlow's weights have 1e-3.
      padding: "symmetric", as torchvision's weights have it, or "same", as TensorFlow's.
      dropout: the rate of dropout before the logits in training.
      features: return the activations "stem", "stage1" to "stage7" and "last" beside the logits.
      remat: keep only the blocks' inputs for the backward pass, which makes the rest again;
        "convs_saveable" keeps the results of convolutions and dense layers too.
      scan: the blocks of a stage but the first as one ``lax.scan``.
      axis_name: a mapped axis over which batch normalisation takes its statistics.

    Returns:
      A ``Model``.

    Raises:
      ValueError: norm or padding is not among the above, or a number is out of range.
      TypeError: an option has another type.

    Example:
      >>> import jax, jax.numpy as jnp, functional_cnn as fcnn
      >>> model = fcnn.models.mobilenet_v2(num_classes=10, width=0.25)
      >>> params, state = jax.eval_shape(model.init, jax.random.key(0))
      >>> logits, _ = jax.eval_shape(model.apply, params, state, jnp.zeros((2, 32, 32, 3)))
      >>> print(logits.shape)
      (2, 10)

    Reference: M. Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", arXiv:1801.04381.
    """
    function = "mobilenet_v2"
    _options.check(
        function,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        remat=remat,
        scan=scan,
    )
    width = _options.multiplier(function, "width", width)
    _checks.choice(function, "padding", padding, PADDINGS)
    how = _layers.resolve_norm(function, norm, axis_name, eps)

    def network(scope: Scope, images: jax.Array) -> jax.Array:
        stem = divisible(_STEM * width)
        x = conv_norm(scope, "stem", images, stem, 3, how, relu6, stride=2, **padding_of(padding, 3))
        x = scope.feature("stem", x)
        for stage, (expansion, channels, count, first) in enumerate(_STAGES, start=1):
            outputs, blocks = divisible(channels * width), []
            for number in range(count):
                inputs = x.shape[-1] if number == 0 else outputs
                stride = first if number == 0 else 1
                blocks.append(InvertedResidual(expansion * inputs, outputs, 3, stride, relu6, how, padding))
            x = stage_of_blocks(scope, f"stage{stage}", blocks, x, scanned=scan, remat=remat)
            x = scope.feature(f"stage{stage}", x)
        x = conv_norm(scope, "last", x, divisible(_LAST * max(width, 1.0)), 1, how, relu6)
        x = global_avg_pool(scope.feature("last", x))
        return _layers.dense(scope, "head", _layers.dropout(scope, "dropout", x, dropout), num_classes)

    return make_model(function, network, in_channels=in_channels, features=features)
