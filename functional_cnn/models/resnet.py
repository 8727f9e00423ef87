"""Residual networks: K. He et al., arXiv:1512.03385, table 1; S. Xie et al. (ResNeXt), arXiv:1611.05431, table 1;
S. Zagoruyko and N. Komodakis (wide), arXiv:1605.07146. Parameters with 1000 classes, as in torchvision's models:

| depth | blocks in each stage | block | parameters | 32 groups of 4 | 32 groups of 8 | base_width 128 |
| --- | --- | --- | --- | --- | --- | --- |
| 18 | 2, 2, 2, 2 | basic | 11,689,512 | | | |
| 34 | 3, 4, 6, 3 | basic | 21,797,672 | | | |
| 50 | 3, 4, 6, 3 | bottleneck | 25,557,032 | 25,028,904 | | 68,883,240 |
| 101 | 3, 4, 23, 3 | bottleneck | 44,549,160 | | 88,791,336 | 126,886,696 |
| 152 | 3, 8, 36, 3 | bottleneck | 60,192,808 | | | |
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax

from functional_cnn import _checks
from functional_cnn.models import _layers, _options
from functional_cnn.models._layers import Norm, conv_norm
from functional_cnn.models._model import Model, make_model
from functional_cnn.models._scope import Scope, stage_of_blocks
from functional_cnn.ops.global_pooling import global_avg_pool
from functional_cnn.ops.max_pooling import max_pool
from functional_cnn.ops.rectifier import relu

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_FIRST_BOTTLENECK = 50
_STEMS = ("imagenet", "small")


def resnet(
    *,
    depth: int = 18,
    num_classes: int = 1000,
    in_channels: int = 3,
    width: int = 64,
    groups: int = 1,
    base_width: int = 64,
    stem: str = "imagenet",
    norm: str = "batch",
    dropout: float = 0.0,
    features: bool = False,
    remat: bool | str = False,
    scan: bool = False,
    axis_name: str | tuple[str, ...] | None = None,
) -> Model:
    """A residual network: ResNet v1.5, ResNeXt or a wide ResNet.

    Four stages of ``width`` times 1, 2, 4 and 8 channels, in bottlenecks four times as many; the first block of
    each later stage halves the image in its 3x3 convolution, with a 1x1 convolution as its shortcut.

    Args:
      depth: 18 or 34, of basic blocks: two 3x3 convolutions; 50, 101 or 152, of bottlenecks: 1x1, 3x3, 1x1.
      num_classes: the number of logits.
      in_channels: the images' channels.
      width: channels of the first stage.
      groups: of a bottleneck's 3x3 convolution: ResNeXt's cardinality.
      base_width: channels of a group of that convolution, for each 64 channels of the stage: 4 with 32 groups
        is ResNeXt-50 32x4d, 128 in one group is wide ResNet-50-2.
      stem: "imagenet", a 7x7 convolution and a 3x3 max pool, each with stride 2; or "small", one 3x3
        convolution, for images such as CIFAR's.
      norm: "batch", "group" (32 groups) or "layer" (over the channels of each pixel).
      dropout: the rate of dropout before the logits in training.
      features: return the activations "stem" and "stage1" to "stage4" beside the logits.
      remat: keep only the blocks' inputs for the backward pass, which makes the rest again;
        "convs_saveable" keeps the results of convolutions and dense layers, and every other block's input.
      scan: the equal blocks of a stage as one ``lax.scan``: compile time and, with remat, memory then do not
        grow with depth. The parameters of these blocks are stacked, under "stage1_rest" to "stage4_rest".
      axis_name: a mapped axis over which batch normalisation takes its statistics.

    Returns:
      A ``Model``.

    Raises:
      ValueError: depth, stem or norm is not among the above, a number is out of range, groups or base_width are
        given to basic blocks, or a group would have no channel.
      TypeError: an option has another type.

    Example:
      >>> import jax, jax.numpy as jnp, functional_cnn as fcnn
      >>> model = fcnn.models.resnet(depth=18, num_classes=10, width=8, stem="small")
      >>> params, state = model.init(jax.random.key(0))
      >>> logits, state = jax.jit(model.apply)(params, state, jnp.zeros((2, 32, 32, 3)))
      >>> print(logits.shape)
      (2, 10)

    Reference: K. He et al., "Deep residual learning for image recognition", arXiv:1512.03385; the stride's
    place (v1.5): P. Goyal et al., arXiv:1706.02677, section 5.1.
    """
    function = "resnet"
    _checks.choice(function, "depth", depth, _BLOCKS)
    _checks.choice(function, "stem", stem, _STEMS)
    _options.check(
        function,
        num_classes=num_classes,
        in_channels=in_channels,
        width=width,
        dropout=dropout,
        remat=remat,
        scan=scan,
    )
    groups = _checks.integer(function, "groups", groups, minimum=1)
    base_width = _checks.integer(function, "base_width", base_width, minimum=1)
    bottleneck = depth >= _FIRST_BOTTLENECK
    if not bottleneck and (groups, base_width) != (1, 64):
        raise ValueError(
            f"{function}: groups and base_width go with bottlenecks, from depth {_FIRST_BOTTLENECK} on, "
            f"got groups={groups} and base_width={base_width} with depth {depth}"
        )
    if width * base_width < 64:
        raise ValueError(
            f"{function}: width must be at least {-(-64 // base_width)} with base_width={base_width}, got {width}"
        )
    how = _layers.resolve_norm(function, norm, axis_name)
    backbone = Backbone(depth, width, groups, base_width, stem, how, remat, scan)

    def network(scope: Scope, images: jax.Array) -> jax.Array:
        x = global_avg_pool(backbone(scope, images))
        return _layers.dense(scope, "head", _layers.dropout(scope, "dropout", x, dropout), num_classes)

    return make_model(function, network, in_channels=in_channels, features=features)


class Backbone(NamedTuple):
    """The network up to its last stage, with the options of ``resnet``.

    ``output_stride`` is how many pixels of the image one of the result stands for. From the stage on that would go
    beyond it, windows are dilated and not moved in larger steps: L.-C. Chen et al., arXiv:1706.05587, section 3.1.
    """

    depth: int
    width: int
    groups: int
    base_width: int
    stem: str
    norm: Norm
    remat: bool | str
    scan: bool
    output_stride: int = 32

    def __call__(self, scope: Scope, images: jax.Array) -> jax.Array:
        x = scope.feature("stem", _stem(scope, images, self.width, self.stem, self.norm))
        strides, dilation = 4, 1
        for stage, count in enumerate(_BLOCKS[self.depth], start=1):
            stride, before = 1, dilation
            if stage > 1:
                stride = 2 if 2 * strides <= self.output_stride else 1
                dilation *= 3 - stride
            strides *= stride
            block = self._block(stage)
            blocks = [functools.partial(block, stride=stride, dilation=before)]
            blocks += (count - 1) * [functools.partial(block, dilation=dilation)]
            name = f"stage{stage}"
            x = stage_of_blocks(scope, name, blocks, x, scanned=self.scan, remat=self.remat, together=2)
            x = scope.feature(name, x)
        return x

    def _block(self, stage: int) -> Callable[..., jax.Array]:
        channels = self.width * 2 ** (stage - 1)
        if self.depth < _FIRST_BOTTLENECK:
            return functools.partial(_basic, channels=channels, how=self.norm)
        inner = channels * self.base_width // 64 * self.groups
        return functools.partial(
            _bottleneck, inner=inner, outer=4 * channels, groups=self.groups, how=self.norm
        )


def _stem(scope: Scope, images: jax.Array, width: int, stem: str, how: Norm) -> jax.Array:
    if stem == "small":
        return conv_norm(scope, "stem", images, width, 3, how, relu)
    return max_pool(conv_norm(scope, "stem", images, width, 7, how, relu, stride=2), 3, stride=2, padding=1)


def _basic(
    scope: Scope, x: jax.Array, *, channels: int, how: Norm, stride: int = 1, dilation: int = 1
) -> jax.Array:
    y = conv_norm(scope, "conv1", x, channels, 3, how, relu, stride=stride, dilation=dilation)
    y = conv_norm(scope, "conv2", y, channels, 3, how, dilation=dilation)
    return relu(_shortcut(scope, x, channels, how, stride) + y)


def _bottleneck(
    scope: Scope,
    x: jax.Array,
    *,
    inner: int,
    outer: int,
    groups: int,
    how: Norm,
    stride: int = 1,
    dilation: int = 1,
) -> jax.Array:
    y = conv_norm(scope, "conv1", x, inner, 1, how, relu)
    y = conv_norm(scope, "conv2", y, inner, 3, how, relu, stride=stride, dilation=dilation, groups=groups)
    y = conv_norm(scope, "conv3", y, outer, 1, how)
    return relu(_shortcut(scope, x, outer, how, stride) + y)


def _shortcut(scope: Scope, x: jax.Array, channels: int, how: Norm, stride: int) -> jax.Array:
    if stride == 1 and x.shape[-1] == channels:
        return x
    return conv_norm(scope, "shortcut", x, channels, 1, how, stride=stride)
