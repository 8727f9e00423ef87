"""LeNet-5, modernised: ReLU for tanh, max pooling for subsampling, softmax for radial basis functions."""

from typing import Any

import jax

from functional_cnn import _checks
from functional_cnn.models import _layers, _options
from functional_cnn.models._layers import Norm
from functional_cnn.models._model import Model, make_model
from functional_cnn.models._scope import Scope
from functional_cnn.ops.max_pooling import max_pool
from functional_cnn.ops.rectifier import relu


def lenet(
    *,
    num_classes: int = 10,
    in_channels: int = 1,
    image_size: int | tuple[int, int] = 28,
    window: int | tuple[int, int] = 5,
    widths: tuple[int, int] = (6, 16),
    hidden: tuple[int, int] = (120, 84),
    paddings: tuple[Any, Any] = ("SAME", "VALID"),
    batch_norm: bool = False,
    dropout: float = 0.0,
    features: bool = False,
) -> Model:
    """LeNet-5: two convolutions, each with ReLU and 2x2 max pooling, then three dense layers.

    With the defaults it has 61,706 parameters, as LeNet-5 in its modern form for 28 x 28 images.

    Args:
      num_classes: the number of logits.
      in_channels: the images' channels.
      image_size: the images' height and width, which fix the first dense layer.
      window: the convolutions' size; 3 suits images of some 8 x 8 pixels.
      widths: output channels of the convolutions.
      hidden: output features of the hidden dense layers.
      paddings: of the convolutions; ("SAME", "SAME") suits images smaller than 16 x 16.
      batch_norm: normalise after each convolution.
      dropout: the rate of dropout before each dense layer in training.
      features: return the activations "stage1" and "stage2" beside the logits.

    Returns:
      A ``Model``.

    Raises:
      ValueError: a number is out of range; and from ``init``, if the image is too small.
      TypeError: an option has another type.

    Example:
      >>> import jax, jax.numpy as jnp, functional_cnn as fcnn
      >>> model = fcnn.models.lenet()
      >>> params, state = model.init(jax.random.key(0))
      >>> logits, state = model.apply(params, state, jnp.zeros((2, 28, 28, 1)))
      >>> print(logits.shape, sum(p.size for p in jax.tree.leaves(params)))
      (2, 10) 61706

    Reference: Y. LeCun et al., "Gradient-based learning applied to document recognition", Proc. IEEE 1998;
    the modern form: A. Zhang et al., "Dive into deep learning", section 7.6.
    """
    function = "lenet"
    _options.check(function, num_classes=num_classes, in_channels=in_channels, dropout=dropout)
    image_sizes = _checks.per_axis(function, "image_size", image_size, 2)
    windows = _checks.per_axis(function, "window", window, 2)
    paddings = _pair("paddings", paddings)
    channels = [_checks.integer(function, "widths", width, minimum=1) for width in _pair("widths", widths)]
    hidden_sizes = [_checks.integer(function, "hidden", size, minimum=1) for size in _pair("hidden", hidden)]
    outputs = (*hidden_sizes, num_classes)
    batch_norm = _checks.flag(function, "batch_norm", batch_norm)

    def network(scope: Scope, x: jax.Array) -> jax.Array:
        if x.shape[1:-1] != image_sizes:
            raise ValueError(f"{function}: images must be of the sizes {image_sizes}, got {x.shape[1:-1]}")
        for number, (made, padding) in enumerate(zip(channels, paddings, strict=True), start=1):
            x = _layers.conv(scope, f"conv{number}", x, made, windows, padding=padding)
            if batch_norm:
                x = _layers.norm(scope, f"norm{number}", x, Norm())
            x = scope.feature(f"stage{number}", max_pool(relu(x), 2))
        x = x.reshape(x.shape[0], -1)
        for number, size in enumerate(outputs, start=1):
            x = _layers.dropout(scope, f"dropout{number}", x, dropout)
            x = _layers.dense(scope, f"dense{number}", x, size)
            x = relu(x) if number < len(outputs) else x
        return x

    return make_model(function, network, in_channels=in_channels, image_size=image_sizes, features=features)


def _pair(name: str, value: Any) -> tuple[Any, Any]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ValueError(f"lenet: {name} must be a pair, one for each layer, got {value!r}")
    return tuple(value)
