"""VGG: K. Simonyan and A. Zisserman, arXiv:1409.1556, table 1. Parameters with 1000 classes:

| depth | configuration | convolutions in each stage | parameters | with batch norm |
| --- | --- | --- | --- | --- |
| 11 | A | 1, 1, 2, 2, 2 | 132,863,336 | 132,868,840 |
| 13 | B | 2, 2, 2, 2, 2 | 133,047,848 | 133,053,736 |
| 16 | D | 2, 2, 3, 3, 3 | 138,357,544 | 138,365,992 |
| 19 | E | 2, 2, 4, 4, 4 | 143,667,240 | 143,678,248 |
"""

import jax

from functional_cnn import _checks
from functional_cnn.models import _layers, _options
from functional_cnn.models._model import Model, make_model
from functional_cnn.models._scope import Scope
from functional_cnn.ops.adaptive_pooling import adaptive_avg_pool
from functional_cnn.ops.max_pooling import max_pool
from functional_cnn.ops.rectifier import relu

_CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_POOLED, _HIDDEN = 7, 4096


def vgg(
    *,
    depth: int = 16,
    num_classes: int = 1000,
    in_channels: int = 3,
    width: int = 64,
    norm: str | None = None,
    dropout: float = 0.5,
    features: bool = False,
    axis_name: str | tuple[str, ...] | None = None,
) -> Model:
    """VGG: five stages of 3x3 convolutions, each followed by 2x2 max pooling, then three dense layers.

    Stages have ``width`` times 1, 2, 4, 8 and 8 channels. What is left is averaged to 7 x 7 pixels, so that images
    of any size from 32 x 32 on serve.

    Args:
      depth: 11, 13, 16 or 19, the number of layers with weights.
      num_classes: the number of logits.
      in_channels: the images' channels.
      width: channels of the first stage.
      norm: normalise after each convolution: "batch", "group" or "layer"; None, as published, does not.
      dropout: the rate of dropout behind both hidden dense layers in training.
      features: return the activations "stage1" to "stage5" beside the logits.
      axis_name: a mapped axis over which batch normalisation takes its statistics.

    Returns:
      A ``Model``.

    Raises:
      ValueError: depth or norm is not among the above, a number is out of range, or axis_name is given without
        batch normalisation.
      TypeError: an option has another type.

    Example:
      >>> import jax, jax.numpy as jnp, functional_cnn as fcnn
      >>> model = fcnn.models.vgg(depth=11, num_classes=10, width=4)
      >>> params, state = model.init(jax.random.key(0))
      >>> logits, _ = model.apply(params, state, jnp.zeros((2, 32, 32, 3)))
      >>> print(logits.shape)
      (2, 10)

    Reference: K. Simonyan and A. Zisserman, "Very deep convolutional networks", arXiv:1409.1556.
    """
    function = "vgg"
    _checks.choice(function, "depth", depth, _CONVOLUTIONS)
    _options.check(function, num_classes=num_classes, in_channels=in_channels, width=width, dropout=dropout)
    if norm is None and axis_name is not None:
        raise ValueError(f"{function}: axis_name goes with norm='batch', got norm=None")
    how = None if norm is None else _layers.resolve_norm(function, norm, axis_name)

    def network(scope: Scope, x: jax.Array) -> jax.Array:
        for stage, count in enumerate(_CONVOLUTIONS[depth], start=1):
            channels = width * 2 ** min(stage - 1, 3)
            for number in range(1, count + 1):
                name = f"{stage}_{number}"
                x = _layers.conv(scope, f"conv{name}", x, channels, 3, padding=1)
                x = relu(x if how is None else _layers.norm(scope, f"norm{name}", x, how))
            x = scope.feature(f"stage{stage}", max_pool(x, 2))
        x = adaptive_avg_pool(x, _POOLED)
        x = x.reshape(x.shape[0], -1)
        for number in (1, 2):
            x = relu(_layers.dense(scope, f"dense{number}", x, _HIDDEN * width // 64))
            x = _layers.dropout(scope, f"dropout{number}", x, dropout)
        return _layers.dense(scope, "head", x, num_classes)

    return make_model(function, network, in_channels=in_channels, features=features)
