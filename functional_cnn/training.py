"""Training: a state, jitted steps, and a loop with a progress bar. Parameters are updated through optax."""

import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm.auto import tqdm

from functional_cnn import _checks
from functional_cnn._numerics import widened
from functional_cnn.models import Model
from functional_cnn.ops.loss import softmax_cross_entropy

Tree = Any
Metrics = dict[str, Any]
Batch = tuple[Any, Any]  # images and labels


class TrainState(NamedTuple):
    """All that a training step changes.

    Attributes:
      step: the number of steps made, int32.
      params: the model's parameters.
      model_state: the model's running statistics.
      opt_state: the optimizer's state.
      key: the PRNG key of which each step folds in its number.
    """

    step: jax.Array
    params: Tree
    model_state: Tree
    opt_state: Any
    key: jax.Array

    @classmethod
    def create(
        cls,
        model: Model,
        optimizer: optax.GradientTransformation,
        key: jax.Array,
        *,
        dtype: Any = jnp.float32,
    ) -> "TrainState":
        """The state before the first step.

        Args:
          model: the network.
          optimizer: an optax optimizer.
          key: one PRNG key, for the parameters and for all draws in training.
          dtype: the parameters' dtype.
        """
        init_key, train_key = jax.random.split(_checks.key("TrainState.create", key))
        params, model_state = model.init(init_key, dtype=dtype)
        return cls(jnp.zeros((), jnp.int32), params, model_state, optimizer.init(params), train_key)


def make_train_step(
    model: Model, optimizer: optax.GradientTransformation, *, label_smoothing: float = 0.0
) -> Callable[[TrainState, jax.Array, jax.Array], tuple[TrainState, Metrics]]:
    """A jitted step of softmax cross-entropy.

    Args:
      model: the network.
      optimizer: an optax optimizer; a schedule, momentum or clipping by global norm is part of it.
      label_smoothing: as in ``softmax_cross_entropy``.

    Returns:
      ``step(state, images, labels) -> (state, metrics)``, with labels as ``softmax_cross_entropy`` takes them.
      Metrics are "loss", the mean in nats, "accuracy", a share, and "gradient_norms", the Euclidean norm of
      each layer's gradient by the layer's name.

    Raises:
      ValueError: label_smoothing is outside [0, 1].

    Example:
      >>> import jax, jax.numpy as jnp, optax, functional_cnn as fcnn
      >>> from functional_cnn import training
      >>> model, optimizer = fcnn.models.lenet(), optax.sgd(0.1)
      >>> state = training.TrainState.create(model, optimizer, jax.random.key(0))
      >>> step = training.make_train_step(model, optimizer)
      >>> state, metrics = step(state, jnp.zeros((4, 28, 28, 1)), jnp.array([0, 1, 2, 3]))
      >>> print(int(state.step), round(float(metrics["loss"]), 1))
      1 2.3
    """
    label_smoothing = _checks.fraction("make_train_step", "label_smoothing", label_smoothing, closed=True)

    @jax.jit
    def train_step(state: TrainState, images: jax.Array, labels: jax.Array) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(state.key, state.step)

        def loss_fn(params):
            logits, model_state = model.apply(params, state.model_state, images, train=True, key=key)
            losses = softmax_cross_entropy(logits, labels, label_smoothing=label_smoothing)
            return losses.mean(), (logits, model_state)

        (loss, (logits, model_state)), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        metrics = {
            "loss": loss,
            "accuracy": _accuracy(logits, labels),
            "gradient_norms": layer_norms(grads),
        }
        return TrainState(state.step + 1, params, model_state, opt_state, state.key), metrics

    return train_step


def make_eval_step(model: Model) -> Callable[[TrainState, jax.Array, jax.Array], Metrics]:
    """A jitted evaluation with running statistics and without dropout.

    Args:
      model: the network.

    Returns:
      ``step(state, images, labels) -> metrics``: "loss", the mean in nats, "accuracy", a share, and
      "predictions", the class of the largest logit of each image.
    """

    @jax.jit
    def eval_step(state: TrainState, images: jax.Array, labels: jax.Array) -> Metrics:
        logits, _ = model.apply(state.params, state.model_state, images, train=False)
        return {
            "loss": softmax_cross_entropy(logits, labels).mean(),
            "accuracy": _accuracy(logits, labels),
            "predictions": jnp.argmax(logits, axis=-1),
        }

    return eval_step


def _accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    if labels.ndim == logits.ndim:
        labels = jnp.argmax(labels, axis=-1)
    return jnp.mean(jnp.argmax(logits, axis=-1).astype(jnp.int32) == labels.astype(jnp.int32))


def layer_norms(tree: Tree) -> dict[str, jax.Array]:
    """The Euclidean norm of each layer, by the layer's path.

    A layer is a dict of arrays, such as a kernel and its bias.

    Args:
      tree: nested dicts of arrays, parameters or gradients.

    Returns:
      A flat dict.

    Example:
      >>> import jax.numpy as jnp
      >>> from functional_cnn.training import layer_norms
      >>> norms = layer_norms({"head": {"kernel": jnp.array([[3.0]]), "bias": jnp.array([4.0])}})
      >>> print({name: float(norm) for name, norm in norms.items()})
      {'head': 5.0}
    """
    layers: dict[str, list[jax.Array]] = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        layers.setdefault("/".join(str(entry.key) for entry in path[:-1]), []).append(leaf)
    return {
        name: jnp.sqrt(sum(jnp.sum(jnp.square(wide)) for wide in widened(*leaves)))
        for name, leaves in layers.items()
    }


def evaluate(eval_step: Callable[..., Metrics], state: TrainState, batches: Iterable[Batch]) -> Metrics:
    """Evaluates on a whole dataset.

    Args:
      eval_step: from ``make_eval_step``.
      state: what to evaluate.
      batches: pairs of images and labels, of any sizes.

    Returns:
      "loss" and "accuracy" as floats, means over all examples, and "predictions", (N,).

    Raises:
      ValueError: there is no example.
    """
    found = [(len(labels), eval_step(state, images, labels)) for images, labels in batches]
    total = sum(count for count, _ in found)
    if not total:
        raise ValueError("evaluate: batches must hold at least one example")
    means = {name: sum(count * float(m[name]) for count, m in found) / total for name in ("loss", "accuracy")}
    return {**means, "predictions": np.concatenate([m["predictions"] for _, m in found])}


def fit(
    train_step: Callable[..., tuple[TrainState, Metrics]],
    state: TrainState,
    batches: Callable[[np.random.Generator], Iterable[Batch]],
    *,
    epochs: int,
    steps_per_epoch: int | None = None,
    seed: int = 0,
    on_epoch: Callable[[TrainState], Metrics] | None = None,
    progress: bool = True,
) -> tuple[TrainState, list[Metrics]]:
    """Trains for some epochs, with a progress bar of loss, accuracy and images per second.

    Args:
      train_step: from ``make_train_step``, or a function of the same form, whose metrics are a tree of numbers.
      state: where to start.
      batches: ``batches(rng)`` yields the pairs of images and labels of one epoch, shuffled and augmented
        by the generator; called anew for each epoch.
      epochs: passes over the dataset.
      steps_per_epoch: the number of batches of an epoch, for the bar; None if it is not known.
      seed: seeds the generator.
      on_epoch: called with the state after each epoch; what it returns joins the epoch's record, under
        names that begin with "test_".
      progress: whether to show the bar.

    Returns:
      ``(state, history)``: history has one dict for each epoch: "epoch", "images_per_second", the step's metrics
      (means over the epoch's steps, floats), and on_epoch's.

    Raises:
      ValueError: epochs is less than 1, or an epoch has no batches.
      TypeError: epochs is not an int.
    """
    epochs = _checks.integer("fit", "epochs", epochs, minimum=1)
    rng = np.random.default_rng(seed)
    history = []
    total = None if steps_per_epoch is None else epochs * steps_per_epoch
    with tqdm(total=total, unit="step", disable=not progress) as bar:
        for epoch in range(1, epochs + 1):
            start, count, records = time.perf_counter(), 0, []
            for images, labels in batches(rng):
                state, metrics = train_step(state, images, labels)
                records.append(metrics)
                count += len(labels)
                bar.update()
            if not records:
                raise ValueError(f"fit: batches must yield at least one batch, got none in epoch {epoch}")
            means = jax.tree.map(lambda *values: float(np.mean([float(value) for value in values])), *records)
            record = {"epoch": epoch, **means, "images_per_second": count / (time.perf_counter() - start)}
            if on_epoch is not None:
                record |= {f"test_{name}": value for name, value in on_epoch(state).items()}
            history.append(record)
            bar.set_postfix_str(_summary(record))
    return state, history


def _summary(record: Metrics) -> str:
    words = {"loss": "loss", "accuracy": "accuracy", "test_accuracy": "test"}
    found = [f"{word} {record[name]:.4f}" for name, word in words.items() if name in record]
    return " ".join((f"epoch {record['epoch']}", *found, f"{record['images_per_second']:.0f} images/s"))
