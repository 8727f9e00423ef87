"""LeNet-5, modernised: ReLU for tanh, max pooling for subsampling, softmax for radial basis functions."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp

from functional_cnn import _checks, init
from functional_cnn.models._model import Model, apply_norm, init_norm
from functional_cnn.ops.convolution import conv
from functional_cnn.ops.dense import dense
from functional_cnn.ops.dropout import dropout as drop
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
    num_classes = _checks.integer(function, "num_classes", num_classes, minimum=1)
    in_channels = _checks.integer(function, "in_channels", in_channels, minimum=1)
    image_sizes = _checks.per_axis(function, "image_size", image_size, 2)
    windows = _checks.per_axis(function, "window", window, 2)
    if not isinstance(paddings, tuple | list) or len(paddings) != 2:
        raise ValueError(
            f"{function}: paddings must be two paddings, one for each convolution, got {paddings!r}"
        )
    channels = (in_channels, *_checks.per_axis(function, "widths", widths, 2))
    features = (*_checks.per_axis(function, "hidden", hidden, 2), num_classes)
    batch_norm = _checks.flag(function, "batch_norm", batch_norm)
    dropout = _checks.fraction(function, "dropout", dropout)

    def convolve(params, state, images, train):
        x, moved = images, {}
        for number, padding in enumerate(paddings, start=1):
            x = conv(x, **params[f"conv{number}"], padding=padding)
            if batch_norm:
                norm = f"norm{number}"
                x, moved[norm] = apply_norm(params[norm], state[norm], x, train=train)
            x = max_pool(relu(x), 2)
        return x, moved

    def initialize(key: jax.Array, *, dtype: Any = jnp.float32):
        conv_key, dense_key = jax.random.split(_checks.key("lenet.init", key))
        params, state = {}, {}
        for number, (before, after) in enumerate(itertools.pairwise(channels), start=1):
            params[f"conv{number}"] = init.conv(
                jax.random.fold_in(conv_key, number), windows, before, after, dtype=dtype
            )
            if batch_norm:
                params[f"norm{number}"], state[f"norm{number}"] = init_norm(after, dtype)
        images = jax.ShapeDtypeStruct((1, *image_sizes, in_channels), dtype)
        maps, _ = jax.eval_shape(lambda images: convolve(params, state, images, False), images)
        for number, (before, after) in enumerate(itertools.pairwise((maps.size, *features)), start=1):
            params[f"dense{number}"] = init.dense(
                jax.random.fold_in(dense_key, number), before, after, dtype=dtype
            )
        return params, state

    def apply(params, state, images, *, train: bool = False, key: jax.Array | None = None):
        x, state = convolve(params, state, images, train)
        x = x.reshape(x.shape[0], -1)
        for number in (1, 2, 3):
            if train and dropout:
                if key is None:
                    raise TypeError("lenet: key must be given in training with dropout, got None")
                x = drop(x, jax.random.fold_in(key, number), rate=dropout)
            x = dense(x, **params[f"dense{number}"])
            x = relu(x) if number < 3 else x
        return x, state

    return Model(initialize, apply)
