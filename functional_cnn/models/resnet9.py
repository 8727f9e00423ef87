"""ResNet-9, the fast network for CIFAR-10 of D. Page, "How to train your ResNet" (Myrtle, 2018), part 4:
6,573,120 parameters with 10 classes."""

import jax

from functional_cnn import _checks
from functional_cnn.models import _layers, _options
from functional_cnn.models._layers import Norm, conv_norm
from functional_cnn.models._model import Model, make_model
from functional_cnn.models._scope import Scope
from functional_cnn.ops.global_pooling import global_max_pool
from functional_cnn.ops.max_pooling import max_pool
from functional_cnn.ops.rectifier import relu


def resnet9(
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    width: int = 64,
    norm: str = "batch",
    dropout: float = 0.0,
    logit_scale: float = 0.125,
    features: bool = False,
    axis_name: str | tuple[str, ...] | None = None,
) -> Model:
    """ResNet-9: four 3x3 convolutions with pooling behind three, and two residual pairs of them.

    Channels are ``width`` times 1, 2, 4 and 8; behind the second and the fourth convolution stands a residual pair.

    Args:
      num_classes: the number of logits.
      in_channels: the images' channels.
      width: channels of the first convolution.
      norm: "batch", "group" or "layer".
      dropout: the rate of dropout before the logits in training.
      logit_scale: the constant that the logits are multiplied by.
      features: return the activations "stem" and "stage1" to "stage3" beside the logits.
      axis_name: a mapped axis over which batch normalisation takes its statistics.

    Returns:
      A ``Model``.

    Raises:
      ValueError: norm is not among the above, or a number is out of range.
      TypeError: an option has another type.

    Example:
      >>> import jax, jax.numpy as jnp, functional_cnn as fcnn
      >>> model = fcnn.models.resnet9(width=4)
      >>> params, state = model.init(jax.random.key(0))
      >>> logits, _ = model.apply(params, state, jnp.zeros((2, 32, 32, 3)))
      >>> print(logits.shape)
      (2, 10)

    Reference: D. Page, "How to train your ResNet", Myrtle, 2018.
    """
    function = "resnet9"
    _options.check(function, num_classes=num_classes, in_channels=in_channels, width=width, dropout=dropout)
    logit_scale = _checks.number(function, "logit_scale", logit_scale)
    how = _layers.resolve_norm(function, norm, axis_name)

    def network(scope: Scope, images: jax.Array) -> jax.Array:
        x = scope.feature("stem", conv_norm(scope, "stem", images, width, 3, how, relu))
        for stage in (1, 2, 3):
            x = max_pool(conv_norm(scope, f"stage{stage}", x, width * 2**stage, 3, how, relu), 2)
            x = scope.feature(
                f"stage{stage}", x if stage == 2 else _residual(scope, f"residual{stage}", x, how)
            )
        x = _layers.dropout(scope, "dropout", global_max_pool(x), dropout)
        return logit_scale * _layers.dense(scope, "head", x, num_classes, bias=False)

    return make_model(function, network, in_channels=in_channels, image_size=(32, 32), features=features)


def _residual(scope: Scope, name: str, x: jax.Array, how: Norm) -> jax.Array:
    place, y = scope.child(name), x
    for number in (1, 2):
        y = conv_norm(place, f"conv{number}", y, x.shape[-1], 3, how, relu)
    return x + y
