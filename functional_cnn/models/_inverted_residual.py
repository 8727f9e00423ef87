"""The inverted residual of the MobileNets and of EfficientNet: expand, convolve each channel, gate, project."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from functional_cnn.models import _layers
from functional_cnn.models._layers import Norm, conv_norm
from functional_cnn.models._scope import Scope

Activation = Callable[[jax.Array], jax.Array]


class Squeeze(NamedTuple):
    """Squeeze-and-excitation: its hidden channels, its activation and its gate."""

    channels: int
    activation: Activation
    gate: Activation


class InvertedResidual(NamedTuple):
    """A block.

    Attributes:
      expanded: channels of the depthwise convolution; where they are x's, nothing expands.
      features: channels of the result.
      window: of the depthwise convolution.
      stride: of the depthwise convolution.
      activation: behind the expansion and the depthwise convolution.
      norm: behind every convolution.
      padding: "symmetric", half the window on both sides as in PyTorch, or "same", as in TensorFlow, which for
        stride 2 pads even sizes at the end only.
      squeeze: of the depthwise convolution's result, or None.
      stochastic_depth: the rate at which the block is left out in training.
    """

    expanded: int
    features: int
    window: int
    stride: int
    activation: Activation
    norm: Norm
    padding: str
    squeeze: Squeeze | None = None
    stochastic_depth: float = 0.0

    def __call__(self, scope: Scope, x: jax.Array) -> jax.Array:
        y = x
        if self.expanded != x.shape[-1]:
            y = conv_norm(scope, "expand", y, self.expanded, 1, self.norm, self.activation)
        pads = padding_of(self.padding, self.window)
        options: dict[str, Any] = {"stride": self.stride, "groups": self.expanded} | pads
        y = conv_norm(
            scope, "depthwise", y, self.expanded, self.window, self.norm, self.activation, **options
        )
        if self.squeeze is not None:
            y = _layers.squeeze_excite(scope, "squeeze", y, *self.squeeze)
        y = conv_norm(scope, "project", y, self.features, 1, self.norm)
        if self.stride != 1 or x.shape[-1] != self.features:
            return y
        return x + _layers.stochastic_depth(scope, "stochastic_depth", y, self.stochastic_depth)


PADDINGS = ("symmetric", "same")


def padding_of(padding: str, window: int) -> dict[str, Any]:
    """The option of ``conv`` that a model's ``padding`` means."""
    return {"padding": "SAME" if padding == "same" else window // 2}
