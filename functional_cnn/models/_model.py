"""What a model is, and how one is made from the description of its network."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from functional_cnn import _checks
from functional_cnn.models import _scope
from functional_cnn.models._scope import Network, Run, Scope, Tree


class Model(NamedTuple):
    """A network.

    Attributes:
      init: ``(key, *, dtype=float32) -> (params, state)``: plain nested dicts of parameters, and of running
        statistics, ``{}`` where there are none.
      apply: ``(params, state, images, *, train=False, key=None) -> (logits, state)``: images are
        (N, H, W, C), logits (N, num_classes). ``train`` is a Python bool: True normalises with the
        batch's statistics, returns moved running statistics and draws dropout from ``key``. A model made with
        ``features=True`` returns a dict of activations by name, "logits" among them, in the logits' place.
    """

    init: Callable[..., tuple[Tree, Tree]]
    apply: Callable[..., tuple[Any, Tree]]


def make_model(
    name: str,
    network: Network,
    *,
    in_channels: int,
    image_size: tuple[int, ...] = (224, 224),
    features: bool = False,
) -> Model:
    """The model of a network.

    Args:
      name: of the model, for errors.
      network: ``(scope, images) -> logits``.
      in_channels: the images' channels.
      image_size: of the images that parameters are planned for; only a network without a pool over all pixels
        has parameters that depend on it.
      features: whether ``apply`` returns all named activations.
    """
    features = _checks.flag(name, "features", features)

    def initialize(key: jax.Array, *, dtype: Any = jnp.float32) -> tuple[Tree, Tree]:
        key = _checks.key(f"{name}.init", key)
        return _scope.draw(key, _scope.plan(name, network, (*image_size, in_channels), dtype), dtype)

    def apply(
        params: Tree, state: Tree, images: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> tuple[Any, Tree]:
        train = _checks.flag(f"{name}.apply", "train", train)
        key = None if key is None else _checks.key(f"{name}.apply", key)
        shape = jnp.shape(images)
        if len(shape) != 4 or shape[-1] != in_channels:
            raise ValueError(
                f"{name}.apply: images must have shape (N, H, W, C) with C = {in_channels}, got shape {shape}"
            )
        run = Run(name, train=train, key=key)
        scope = Scope(run, params, state)
        logits = network(scope, images)
        outputs = run.features | {"logits": logits} if features else logits
        return outputs, _scope.pruned(scope.moved) if train else state

    return Model(initialize, apply)
