"""What a model is made of, as a table."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from functional_cnn import _checks
from functional_cnn.models import _scope
from functional_cnn.models._model import Model
from functional_cnn.models._scope import Layer


class Summary(NamedTuple):
    """A model for one batch of images; printed, it is a table.

    Attributes:
      layers: each layer by its place in the trees.
      parameters: how many numbers all parameters have.
      multiply_adds: how many the convolutions and dense layers take for one image.
      activation_bytes: of the results of all layers, for the batch.
    """

    layers: dict[str, Layer]
    parameters: int
    multiply_adds: int
    activation_bytes: int

    def __str__(self) -> str:
        width = max(map(len, self.layers), default=5)
        rows = [("layer", "kind", "shape", "parameters", "multiply-adds", "bytes")]
        for path, layer in self.layers.items():
            shape = " ".join(map(str, layer.shape)) + (f" x{layer.times}" if layer.times > 1 else "")
            rows.append(
                (path, layer.kind, shape, *_grouped(layer.parameters, layer.multiply_adds, _bytes(layer)))
            )
        totals = _grouped(self.parameters, self.multiply_adds, self.activation_bytes)
        rows.append(("total", "", "", *totals))
        return "\n".join(
            f"{path:{width}}  {kind:14}  {shape:20}  {parameters:>13}  {multiply_adds:>15}  {size:>13}"
            for path, kind, shape, parameters, multiply_adds, size in rows
        )


def _grouped(parameters: int, multiply_adds: int, size: int) -> tuple[str, str, str]:
    return f"{parameters:,}", f"{multiply_adds:,}", f"{size:,}"


def summary(model: Model, input_shape: tuple[int, ...]) -> Summary:
    """The layers of a model: shapes, parameters, multiply-adds, bytes of activations. Nothing is computed.

    Args:
      model: the network, one of this module's.
      input_shape: of a batch of images, (N, *spatial, C).

    Returns:
      A ``Summary``; ``print`` shows it as a table. Its multiply-adds are those of one image, as published; in the
      table's rows, and in the layers, they are the whole batch's. Bytes are those of float32.

    Raises:
      ValueError: the network does not take such images.

    Example:
      >>> import functional_cnn as fcnn
      >>> found = fcnn.models.summary(fcnn.models.lenet(), (1, 28, 28, 1))
      >>> print(found.parameters, found.multiply_adds)
      61706 416520
    """
    shape = tuple(_checks.integer("summary", "input_shape", size, minimum=1) for size in input_shape)
    params, state = jax.eval_shape(model.init, jax.random.key(0))
    with _scope.observed_layers() as layers:
        jax.eval_shape(model.apply, params, state, jax.ShapeDtypeStruct(shape, jnp.float32))
    return Summary(
        layers,
        sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)),
        sum(layer.multiply_adds for layer in layers.values()) // shape[0],
        sum(map(_bytes, layers.values())),
    )


def _bytes(layer: Layer) -> int:
    return layer.times * math.prod(layer.shape) * jnp.dtype(layer.dtype).itemsize
