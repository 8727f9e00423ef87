"""U-Net: O. Ronneberger et al., arXiv:1505.04597, figure 1, with padded convolutions and normalisation."""

import functools

import jax
import jax.numpy as jnp

from functional_cnn import _checks
from functional_cnn.models import _layers, _options
from functional_cnn.models._layers import Norm, conv_norm
from functional_cnn.models._model import Model, make_model
from functional_cnn.models._scope import Scope, run_block
from functional_cnn.ops.max_pooling import max_pool
from functional_cnn.ops.rectifier import relu


def unet(
    *,
    num_classes: int = 2,
    in_channels: int = 3,
    width: int = 64,
    levels: int = 4,
    norm: str = "batch",
    dropout: float = 0.0,
    features: bool = False,
    remat: bool | str = False,
    axis_name: str | tuple[str, ...] | None = None,
) -> Model:
    """A U-Net, which labels each pixel: down by max pooling, up by transposed convolutions, skips between.

    Each level is two 3x3 convolutions; the first has ``width`` channels, each below twice as many. Convolutions are
    padded, unlike the paper's, so that logits are as large as images.

    Args:
      num_classes: the number of logits of each pixel.
      in_channels: the images' channels.
      width: channels of the first level.
      levels: how often the image is halved; its sizes must be multiples of 2^levels.
      norm: "batch", "group" or "layer", which the paper has not.
      dropout: the rate of dropout at the lowest level in training.
      features: return the activations "down1" to "down<levels>", "bottom" and "up<levels>" to "up1" beside the logits.
      remat: keep only what comes into a level for the backward pass, which makes the rest again;
        "convs_saveable" keeps the results of convolutions and dense layers too.
      axis_name: a mapped axis over which batch normalisation takes its statistics.

    Returns:
      A ``Model``; its logits are (N, H, W, num_classes).

    Raises:
      ValueError: norm is not among the above, or a number is out of range; and from ``apply``, if the images' sizes
        are not multiples of 2^levels.
      TypeError: an option has another type.

    Example:
      >>> import jax, jax.numpy as jnp, functional_cnn as fcnn
      >>> model = fcnn.models.unet(width=4, levels=2)
      >>> params, state = model.init(jax.random.key(0))
      >>> logits, _ = model.apply(params, state, jnp.zeros((1, 16, 16, 3)))
      >>> print(logits.shape)
      (1, 16, 16, 2)

    Reference: O. Ronneberger et al., "U-Net: convolutional networks for biomedical image segmentation",
    arXiv:1505.04597.
    """
    function = "unet"
    _options.check(
        function,
        num_classes=num_classes,
        in_channels=in_channels,
        width=width,
        dropout=dropout,
        remat=remat,
    )
    levels = _checks.integer(function, "levels", levels, minimum=1)
    how = _layers.resolve_norm(function, norm, axis_name)

    def at_level(scope: Scope, name: str, x: jax.Array, channels: int) -> jax.Array:
        level = functools.partial(_level, channels=channels, how=how)
        return scope.feature(name, run_block(scope.child(name), level, x, remat=remat))

    def network(scope: Scope, x: jax.Array) -> jax.Array:
        if any(size % 2**levels for size in x.shape[1:-1]):
            raise ValueError(
                f"{function}: the images' sizes must be multiples of {2**levels} for {levels} levels, "
                f"got {x.shape[1:-1]}"
            )
        skips = []
        for level in range(levels):
            x = at_level(scope, f"down{level + 1}", x, width * 2**level)
            skips.append(x)
            x = max_pool(x, 2)
        x = at_level(scope, "bottom", x, width * 2**levels)
        x = _layers.dropout(scope, "dropout", x, dropout)
        for level in reversed(range(levels)):
            channels = width * 2**level
            x = _layers.conv_transpose(
                scope, f"upsample{level + 1}", x, channels, 2, stride=2, padding="VALID"
            )
            x = jnp.concatenate((skips[level], x), axis=-1)
            x = at_level(scope, f"up{level + 1}", x, channels)
        return _layers.conv(scope, "head", x, num_classes, 1)

    size = 2**levels
    return make_model(function, network, in_channels=in_channels, image_size=(size, size), features=features)


def _level(scope: Scope, x: jax.Array, *, channels: int, how: Norm) -> jax.Array:
    for number in (1, 2):
        x = conv_norm(scope, f"conv{number}", x, channels, 3, how, relu)
    return x
