"""Fine-tunes a network: loads weights, replaces the head, freezes the rest by an optax mask, and trains.

Without options nothing is needed: a ResNet-9 learns the ten digits of scikit-learn's scans and is saved; then it is
loaded, given a head for two new classes, odd and even, and trained on a few images of each digit, once with all
parameters but the head's frozen (running statistics still move), once whole, and once from random weights to compare.
With ``--weights`` and ``--model`` the network is one of ``fcnn.models.names()`` with weights of torchvision, timm or
Hugging Face transformers from a file; docs/models.md says which need ``--eps 1e-3`` and ``--padding same``.
Writes into ``runs/finetune/`` the parameters and a picture of the test accuracies.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
import pictures

import functional_cnn as fcnn
from functional_cnn import data, pretrained, training
from functional_cnn.data import Dataset

DIGITS, NEW_CLASSES = 10, ("even", "odd")


class Source(NamedTuple):
    """Where the weights come from.

    Attributes:
      make: ``make(num_classes)``, the network.
      params: loaded.
      state: loaded.
      prepare: what the network's images need.
    """

    make: Callable[[int], fcnn.models.Model]
    params: dict[str, Any]
    state: dict[str, Any]
    prepare: Callable[[Dataset], Dataset]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--weights", type=Path, help="a .safetensors or .pth file; None: learned here")
    parser.add_argument("--model", default="resnet18", choices=fcnn.models.names(), help="of the weights")
    parser.add_argument("--classes", type=int, default=1000, help="of the weights")
    parser.add_argument("--eps", type=float, help="of the weights' norms; None: the model's own default")
    parser.add_argument("--padding", help="the weights' way to pad; None: the model's own default")
    parser.add_argument(
        "--image-size", type=int, default=64, help="to which scans are enlarged for the weights"
    )
    parser.add_argument("--images", type=int, default=2, help="of each digit, to fine-tune on")
    parser.add_argument("--epochs", type=int, default=40, help="of fine-tuning")
    parser.add_argument("--first-epochs", type=int, default=10, help="of learning the digits")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("runs/finetune"))
    return parser.parse_args()


def main() -> None:
    options = parse()
    options.output.mkdir(parents=True, exist_ok=True)
    train, test = data.load_digits()
    source = from_file(options) if options.weights else learned_here(options, train)
    few = source.prepare(odd_or_even(first_of_each_digit(train, options.images)))
    test = source.prepare(odd_or_even(test))

    model = source.make(len(NEW_CLASSES))
    fresh, fresh_state = model.init(jax.random.key(options.seed + 1))
    loaded = with_new_head(source.params, fresh)
    runs = {
        "head only": (loaded, source.state, frozen_but_head),
        "whole network": (loaded, source.state, lambda optimizer: optimizer),
        "from random weights": (fresh, fresh_state, lambda optimizer: optimizer),
    }
    curves = {}
    for name, (params, state, mask) in runs.items():
        print(f"{name}:")
        optimizer = mask(optax.adamw(options.learning_rate))
        start = training.TrainState.create(model, optimizer, jax.random.key(options.seed))
        start = start._replace(params=params, model_state=state, opt_state=optimizer.init(params))
        done, history = train_on(model, optimizer, start, few, test, options.epochs, options.seed)
        curves[name] = [record["test_accuracy"] for record in history]
        print(f"{name}: test accuracy {curves[name][-1]:.4f} after {len(few.labels)} images")
        file = options.output / f"{name.replace(' ', '_')}.safetensors"
        pretrained.save(file, done.params, done.model_state)
    pictures.accuracies(options.output / "accuracies.png", curves)
    print(f"parameters and a picture are in {options.output}")


def from_file(options: argparse.Namespace) -> Source:
    asked = {name: value for name in ("eps", "padding") if (value := getattr(options, name)) is not None}

    def make(num_classes: int) -> fcnn.models.Model:
        return fcnn.models.create(options.model, num_classes=num_classes, **asked)

    params, state = pretrained.load(options.weights, make(options.classes))

    def prepare(part: Dataset) -> Dataset:
        """In three channels, with the mean and deviation of ImageNet's, at the size asked for."""
        size = (options.image_size,) * 2
        images = np.asarray(fcnn.resize(np.repeat(part.images, 3, axis=-1), size))
        mean, deviation = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
        return Dataset((images - mean) / deviation, part.labels)

    return Source(make, params, state, prepare)


def learned_here(options: argparse.Namespace, train: Dataset) -> Source:
    """A network that has learned the digits, by way of a file."""

    def make(num_classes: int) -> fcnn.models.Model:
        return fcnn.models.resnet9(num_classes=num_classes, in_channels=1, width=16)

    model, optimizer = make(DIGITS), optax.adamw(options.learning_rate)
    state = training.TrainState.create(model, optimizer, jax.random.key(options.seed))
    print("the digits:")
    state, _ = train_on(model, optimizer, state, train, train, options.first_epochs, options.seed)
    path = options.output / "digits.safetensors"
    pretrained.save(path, state.params, state.model_state)
    return Source(make, *pretrained.load(path, model), prepare=lambda part: part)


def first_of_each_digit(part: Dataset, count: int) -> Dataset:
    kept = np.concatenate([np.flatnonzero(part.labels == digit)[:count] for digit in range(DIGITS)])
    return Dataset(part.images[kept], part.labels[kept])


def odd_or_even(part: Dataset) -> Dataset:
    return Dataset(part.images, part.labels % len(NEW_CLASSES))


def with_new_head(params: dict[str, Any], fresh: dict[str, Any]) -> dict[str, Any]:
    return params | {"head": fresh["head"]}


def frozen_but_head(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """Updates the head and nothing else."""

    def labels(params: dict[str, Any]) -> dict[str, str]:
        return {name: "train" if name == "head" else "freeze" for name in params}

    return optax.multi_transform({"train": optimizer, "freeze": optax.set_to_zero()}, labels)


def train_on(
    model: fcnn.models.Model,
    optimizer: optax.GradientTransformation,
    state: training.TrainState,
    train: Dataset,
    test: Dataset,
    epochs: int,
    seed: int,
) -> tuple[training.TrainState, list[dict]]:
    eval_step = training.make_eval_step(model)
    size = min(32, len(train.labels))

    def on_epoch(state: training.TrainState) -> dict[str, float]:
        result = training.evaluate(eval_step, state, data.batches(test, 256))
        return {"loss": result["loss"], "accuracy": result["accuracy"]}

    return training.fit(
        training.make_train_step(model, optimizer),
        state,
        lambda rng: data.batches(train, size, rng),
        epochs=epochs,
        steps_per_epoch=len(train.labels) // size,
        seed=seed,
        on_epoch=on_epoch,
    )


if __name__ == "__main__":
    main()
