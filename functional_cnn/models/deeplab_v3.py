"""DeepLabv3: L.-C. Chen et al., arXiv:1706.05587, over a residual network as in torchvision's models. Parameters with
21 classes, without torchvision's auxiliary head:

| depth | parameters |
| --- | --- |
| 50 | 39,638,869 |
| 101 | 58,630,997 |
"""

import jax
import jax.numpy as jnp

from functional_cnn import _checks
from functional_cnn.models import _layers, _options
from functional_cnn.models._layers import Norm, conv_norm
from functional_cnn.models._model import Model, make_model
from functional_cnn.models._scope import Scope
from functional_cnn.models.resnet import Backbone
from functional_cnn.ops.global_pooling import global_avg_pool
from functional_cnn.ops.rectifier import relu
from functional_cnn.ops.resampling import resize

_DEPTHS = (50, 101)
_RATES = {8: (12, 24, 36), 16: (6, 12, 18)}  # dilations of the pyramid, by output stride
_CHANNELS = 256


def deeplab_v3(
    *,
    depth: int = 50,
    num_classes: int = 21,
    in_channels: int = 3,
    width: int = 64,
    output_stride: int = 8,
    norm: str = "batch",
    dropout: float = 0.5,
    features: bool = False,
    remat: bool | str = False,
    scan: bool = False,
    axis_name: str | tuple[str, ...] | None = None,
) -> Model:
    """DeepLabv3, which labels each pixel: a dilated ResNet, a pyramid of dilated convolutions, bilinear upsampling.

    Args:
      depth: of the ResNet, 50 or 101.
      num_classes: the number of logits of each pixel.
      in_channels: the images' channels.
      width: channels of the ResNet's first stage, 64; the pyramid has four times as many.
      output_stride: 8 or 16, how many pixels of the image one of the pyramid stands for along each axis.
      norm: "batch", "group" or "layer".
      dropout: the rate of dropout behind the pyramid in training.
      features: return the activations "stem", "stage1" to "stage4" and "pyramid" beside the logits.
      remat: keep only the blocks' inputs for the backward pass, which makes the rest again;
        "convs_saveable" keeps the results of convolutions and dense layers, and every other block's input.
      scan: the equal blocks of a stage as one ``lax.scan``, with stacked parameters.
      axis_name: a mapped axis over which batch normalisation takes its statistics.

    Returns:
      A ``Model``; its logits are (N, H, W, num_classes).

    Raises:
      ValueError: depth, output_stride or norm is not among the above, or a number is out of range.
      TypeError: an option has another type.

    Example:
      >>> import jax, jax.numpy as jnp, functional_cnn as fcnn
      >>> model = fcnn.models.deeplab_v3(width=4, num_classes=3)
      >>> params, state = jax.eval_shape(model.init, jax.random.key(0))
      >>> logits, _ = jax.eval_shape(model.apply, params, state, jnp.zeros((1, 32, 32, 3)))
      >>> print(logits.shape)
      (1, 32, 32, 3)

    Reference: L.-C. Chen et al., "Rethinking atrous convolution for semantic image segmentation", arXiv:1706.05587.
    """
    function = "deeplab_v3"
    _checks.choice(function, "depth", depth, _DEPTHS)
    _checks.choice(function, "output_stride", output_stride, _RATES)
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
    backbone = Backbone(depth, width, 1, 64, "imagenet", how, remat, scan, output_stride)
    channels = _CHANNELS * width // 64

    def network(scope: Scope, images: jax.Array) -> jax.Array:
        x = _pyramid(scope.child("pyramid"), backbone(scope, images), channels, _RATES[output_stride], how)
        x = _layers.dropout(scope, "dropout", scope.feature("pyramid", x), dropout)
        x = conv_norm(scope, "merge", x, channels, 3, how, relu)
        x = _layers.conv(scope, "head", x, num_classes, 1)
        return resize(x, images.shape[1:-1])

    return make_model(function, network, in_channels=in_channels, features=features)


def _pyramid(scope: Scope, x: jax.Array, channels: int, rates: tuple[int, ...], how: Norm) -> jax.Array:
    """Windows of several sizes side by side, the largest the whole image."""
    branches = [conv_norm(scope, "pixel", x, channels, 1, how, relu)]
    for rate in rates:
        branches.append(conv_norm(scope, f"rate{rate}", x, channels, 3, how, relu, dilation=rate))
    whole = conv_norm(scope, "image", global_avg_pool(x)[:, None, None], channels, 1, how, relu)
    branches.append(jnp.broadcast_to(whole, branches[0].shape))
    return conv_norm(scope, "project", jnp.concatenate(branches, axis=-1), channels, 1, how, relu)
