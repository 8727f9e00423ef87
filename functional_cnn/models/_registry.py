"""Models by the names that they are known by."""

import functools
from collections.abc import Callable
from typing import Any

from functional_cnn.models._model import Model
from functional_cnn.models.convnext import convnext
from functional_cnn.models.deeplab_v3 import deeplab_v3
from functional_cnn.models.densenet import densenet
from functional_cnn.models.efficientnet import efficientnet
from functional_cnn.models.lenet import lenet
from functional_cnn.models.mobilenet_v2 import mobilenet_v2
from functional_cnn.models.mobilenet_v3 import mobilenet_v3
from functional_cnn.models.resnet import resnet
from functional_cnn.models.resnet9 import resnet9
from functional_cnn.models.unet import unet
from functional_cnn.models.vgg import vgg
from functional_cnn.models.wide_resnet import wide_resnet

_MAKERS: dict[str, Callable[..., Model]] = {
    "lenet": lenet,
    **{f"vgg{depth}": functools.partial(vgg, depth=depth) for depth in (11, 13, 16, 19)},
    **{f"vgg{depth}_bn": functools.partial(vgg, depth=depth, norm="batch") for depth in (11, 13, 16, 19)},
    **{f"resnet{depth}": functools.partial(resnet, depth=depth) for depth in (18, 34, 50, 101, 152)},
    "resnext50_32x4d": functools.partial(resnet, depth=50, groups=32, base_width=4),
    "resnext101_32x8d": functools.partial(resnet, depth=101, groups=32, base_width=8),
    "wide_resnet50_2": functools.partial(resnet, depth=50, base_width=128),
    "wide_resnet101_2": functools.partial(resnet, depth=101, base_width=128),
    "wide_resnet28_10": functools.partial(wide_resnet, depth=28, width=10),
    "wide_resnet16_8": functools.partial(wide_resnet, depth=16, width=8),
    "wide_resnet40_2": functools.partial(wide_resnet, depth=40, width=2),
    "resnet9": resnet9,
    **{f"densenet{depth}": functools.partial(densenet, depth=depth) for depth in (121, 161, 169, 201)},
    "mobilenet_v2": mobilenet_v2,
    **{f"mobilenet_v3_{size}": functools.partial(mobilenet_v3, size=size) for size in ("large", "small")},
    **{f"efficientnet_b{n}": functools.partial(efficientnet, variant=f"b{n}") for n in range(8)},
    **{
        f"convnext_{size}": functools.partial(convnext, size=size)
        for size in ("tiny", "small", "base", "large")
    },
    "unet": unet,
    **{f"deeplab_v3_resnet{depth}": functools.partial(deeplab_v3, depth=depth) for depth in (50, 101)},
}


def names() -> tuple[str, ...]:
    """The names that ``create`` knows.

    Example:
      >>> import functional_cnn as fcnn
      >>> "resnext50_32x4d" in fcnn.models.names()
      True
    """
    return tuple(_MAKERS)


def create(name: str, **options: Any) -> Model:
    """The model of a name.

    Args:
      name: one of ``names()``.
      options: those of the model's function, beside those that the name fixes.

    Returns:
      A ``Model``.

    Raises:
      ValueError: there is no such name, or an option is out of range.
      TypeError: the model has no such option, or the name fixes it.

    Example:
      >>> import functional_cnn as fcnn
      >>> model = fcnn.models.create("resnet50", num_classes=10)
    """
    if name not in _MAKERS:
        raise ValueError(f"create: name must be one of {', '.join(_MAKERS)}, got {name!r}")
    maker = _MAKERS[name]
    fixed = getattr(maker, "keywords", {})
    for option in options:
        if option in fixed:
            raise TypeError(f"create: {name!r} fixes {option}={fixed[option]!r}, which cannot be given again")
    return maker(**options)
