"""ConvNeXt: Z. Liu et al., arXiv:2201.03545, section 3. Parameters with 1000 classes:

| size | blocks in each stage | channels of the first stage | parameters |
| --- | --- | --- | --- |
| tiny | 3, 3, 9, 3 | 96 | 28,589,128 |
| small | 3, 3, 27, 3 | 96 | 50,223,688 |
| base | 3, 3, 27, 3 | 128 | 88,591,464 |
| large | 3, 3, 27, 3 | 192 | 197,767,336 |
"""

import functools
from typing import NamedTuple

import jax
from jax.nn.initializers import constant, truncated_normal

from functional_cnn import _checks
from functional_cnn.models import _layers, _options
from functional_cnn.models._layers import Norm
from functional_cnn.models._model import Model, make_model
from functional_cnn.models._scope import Scope, stage_of_blocks
from functional_cnn.ops.gated import gelu
from functional_cnn.ops.global_pooling import global_avg_pool


class _Variant(NamedTuple):
    blocks: tuple[int, ...]
    width: int


_VARIANTS = {
    "tiny": _Variant((3, 3, 9, 3), 96),
    "small": _Variant((3, 3, 27, 3), 96),
    "base": _Variant((3, 3, 27, 3), 128),
    "large": _Variant((3, 3, 27, 3), 192),
}
_EXPANSION = 4
_KERNEL = truncated_normal(0.02)


def convnext(
    *,
    size: str = "tiny",
    num_classes: int = 1000,
    in_channels: int = 3,
    width: int | None = None,
    norm: str = "layer",
    stochastic_depth: float = 0.0,
    layer_scale: float = 1e-6,
    eps: float = 1e-6,
    head_eps: float | None = None,
    features: bool = False,
    remat: bool | str = False,
    scan: bool = False,
    axis_name: str | tuple[str, ...] | None = None,
) -> Model:
    """A ConvNeXt: a patch of 4x4 pixels as stem, four stages of 7x7 depthwise blocks, 2x2 convolutions between.

    Args:
      size: "tiny", "small", "base" or "large".
      num_classes: the number of logits.
      in_channels: the images' channels.
      width: channels of the first stage; None means the variant's own. Each later stage has twice as many.
      norm: "layer", over the channels of each pixel, as published; "batch" or "group".
      stochastic_depth: the rate at which the last block is left out in training; it grows linearly from 0 at the
        first.
      layer_scale: what the scales of the blocks' results start from.
      eps: of the normalisations.
      head_eps: of the one before the logits; None means eps. Hugging Face's weights have 1e-12 there.
      features: return the activations "stem" and "stage1" to "stage4" beside the logits.
      remat: keep only the blocks' inputs for the backward pass, which makes the rest again;
        "convs_saveable" keeps the results of convolutions and dense layers too.
      scan: the blocks of a stage but the first as one ``lax.scan``, without stochastic depth.
      axis_name: a mapped axis over which batch normalisation takes its statistics.

    Returns:
      A ``Model``.

    Raises:
      ValueError: size or norm is not among the above, a number is out of range, or scan meets stochastic depth.
      TypeError: an option has another type.

    Example:
      >>> import jax, jax.numpy as jnp, functional_cnn as fcnn
      >>> model = fcnn.models.convnext(size="tiny", num_classes=10, width=4)
      >>> params, state = jax.eval_shape(model.init, jax.random.key(0))
      >>> logits, _ = jax.eval_shape(model.apply, params, state, jnp.zeros((2, 32, 32, 3)))
      >>> print(logits.shape)
      (2, 10)

    Reference: Z. Liu et al., "A ConvNet for the 2020s", arXiv:2201.03545.
    """
    function = "convnext"
    _checks.choice(function, "size", size, _VARIANTS)
    _options.check(
        function,
        num_classes=num_classes,
        in_channels=in_channels,
        stochastic_depth=stochastic_depth,
        remat=remat,
        scan=scan,
    )
    layer_scale = _checks.number(function, "layer_scale", layer_scale)
    variant = _VARIANTS[size]
    width = variant.width if width is None else _checks.integer(function, "width", width, minimum=1)
    how = _layers.resolve_norm(function, norm, axis_name, eps)
    head_eps = eps if head_eps is None else _checks.not_negative(function, "head_eps", head_eps)
    last = sum(variant.blocks) - 1

    def network(scope: Scope, images: jax.Array) -> jax.Array:
        x = _layers.conv(scope, "stem_conv", images, width, 4, stride=4, padding="VALID", kernel_init=_KERNEL)
        x = scope.feature("stem", _layers.norm(scope, "stem_norm", x, how))
        met = 0
        for stage, count in enumerate(variant.blocks, start=1):
            if stage > 1:
                x = _downsample(scope.child(f"downsample{stage}"), x, how)
            rates = [stochastic_depth * (met + number) / last for number in range(count)]
            blocks = [
                functools.partial(_block, how=how, layer_scale=layer_scale, rate=rate) for rate in rates
            ]
            x = stage_of_blocks(scope, f"stage{stage}", blocks, x, scanned=scan, remat=remat)
            x = scope.feature(f"stage{stage}", x)
            met += count
        x = _layers.norm(scope, "norm", global_avg_pool(x), how._replace(eps=head_eps))
        return _layers.dense(scope, "head", x, num_classes, kernel_init=_KERNEL)

    return make_model(function, network, in_channels=in_channels, features=features)


def _downsample(scope: Scope, x: jax.Array, how: Norm) -> jax.Array:
    x = _layers.norm(scope, "norm", x, how)
    return _layers.conv(scope, "conv", x, 2 * x.shape[-1], 2, stride=2, padding="VALID", kernel_init=_KERNEL)


def _block(scope: Scope, x: jax.Array, *, how: Norm, layer_scale: float, rate: float) -> jax.Array:
    channels = x.shape[-1]
    y = _layers.conv(scope, "depthwise", x, channels, 7, groups=channels, padding=3, kernel_init=_KERNEL)
    y = _layers.norm(scope, "norm", y, how)
    y = gelu(_layers.dense(scope, "expand", y, _EXPANSION * channels, kernel_init=_KERNEL), approximate=False)
    y = _layers.dense(scope, "project", y, channels, kernel_init=_KERNEL)
    y = _scaled(scope.child("layer_scale"), y, layer_scale)
    return x + _layers.stochastic_depth(scope, "stochastic_depth", y, rate)


def _scaled(scope: Scope, y: jax.Array, start: float) -> jax.Array:
    y = y * scope.param("gamma", constant(start), y.shape[-1:])
    scope.report("layer_scale", y, 0)
    return y
