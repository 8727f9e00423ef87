"""Trains a CNN on images of digits or objects through hand-derived rules, and draws what it learned.

Without options: LeNet on scikit-learn's scans of handwritten digits, nothing to download. Writes into
``runs/<name>/`` the parameters (params.safetensors), the settings (settings.json), the figures of each epoch
(metrics.csv) and pictures.
"""

import argparse
import contextlib
import csv
import json
import time
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import optax
import pictures

import functional_cnn as fcnn
from functional_cnn import data, training, tuning


class Source(NamedTuple):
    """A dataset: how it is loaded from a directory, its images, and LeNet's options for their size."""

    load: object
    image_size: int
    channels: int
    classes: tuple[str, ...]
    lenet: dict


_DIGITS = tuple("0123456789")
_CLOTHES = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
_OBJECTS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SOURCES = {
    "digits": Source(
        lambda directory: data.load_digits(),
        8,
        1,
        _DIGITS,
        {"window": 3, "widths": (48, 96), "hidden": (128, 64), "paddings": ("SAME", "SAME")},
    ),
    "mnist": Source(data.load_mnist, 28, 1, _DIGITS, {}),
    "fashion-mnist": Source(data.load_mnist, 28, 1, _CLOTHES, {}),
    "cifar10": Source(data.load_cifar10, 32, 3, _OBJECTS, {"widths": (32, 64)}),
}
MODELS = ("lenet", "resnet18", "resnet34")
OPTIMIZERS = {
    "sgd": optax.sgd,
    "momentum": lambda rate: optax.sgd(rate, momentum=0.9, nesterov=True),
    "adam": optax.adam,
    "adamw": lambda rate: optax.adamw(rate, weight_decay=1e-2),
}
SCHEDULES = {
    "constant": lambda steps, rate: rate,
    "cosine": lambda steps, rate: optax.cosine_decay_schedule(rate, steps),
    "onecycle": optax.cosine_onecycle_schedule,
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--data", choices=SOURCES, default="digits")
    parser.add_argument("--data-dir", type=Path, default=Path("data"), help="where the data's files are")
    parser.add_argument("--model", choices=MODELS, default="lenet")
    parser.add_argument("--optimizer", choices=OPTIMIZERS, default="adamw")
    parser.add_argument("--learning-rate", type=float, default=3e-3, help="at its largest")
    parser.add_argument("--schedule", choices=SCHEDULES, default="onecycle")
    parser.add_argument("--clip", type=float, default=0.0, help="largest global norm of the gradient; 0: any")
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--dropout", type=float, default=0.2, help="of lenet's dense layers")
    parser.add_argument("--label-smoothing", type=float, default=0.1)
    parser.add_argument("--shift", type=int, default=1, help="move training images by up to so many pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--autodiff", action="store_true", help="differentiate by JAX alone, to compare")
    parser.add_argument(
        "--tuned", action="store_true", help="start again with the environment that pays on this machine"
    )
    parser.add_argument("--output", type=Path, default=Path("runs"))
    parser.add_argument("--name", help="the run's folder in the output (default: data-model)")
    return parser.parse_args()


def make_model(options: argparse.Namespace, source: Source) -> fcnn.models.Model:
    shared = {"num_classes": len(source.classes), "in_channels": source.channels}
    if options.model == "lenet":
        return fcnn.models.lenet(
            image_size=source.image_size, batch_norm=True, dropout=options.dropout, **shared, **source.lenet
        )
    return fcnn.models.resnet(depth=int(options.model.removeprefix("resnet")), stem="small", **shared)


def make_optimizer(options: argparse.Namespace, steps: int) -> optax.GradientTransformation:
    optimizer = OPTIMIZERS[options.optimizer](SCHEDULES[options.schedule](steps, options.learning_rate))
    if options.clip:
        return optax.chain(optax.clip_by_global_norm(options.clip), optimizer)
    return optimizer


def write_metrics(path: Path, history: list[dict]) -> None:
    rows = []
    for record in history:
        norms = {f"gradient_norm {layer}": norm for layer, norm in record["gradient_norms"].items()}
        rows.append({name: value for name, value in record.items() if name != "gradient_norms"} | norms)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    options = parse()
    if options.tuned:
        tuning.restart_tuned()
    source = SOURCES[options.data]
    try:
        train, test = source.load(options.data_dir)
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from None
    model = make_model(options, source)
    steps = len(train.labels) // options.batch_size
    if not steps:
        raise SystemExit(
            f"--batch-size {options.batch_size} is more than the {len(train.labels)} training images"
        )
    optimizer = make_optimizer(options, options.epochs * steps)
    train_step = training.make_train_step(model, optimizer, label_smoothing=options.label_smoothing)
    eval_step = training.make_eval_step(model)
    state = training.TrainState.create(model, optimizer, jax.random.key(options.seed))

    def epoch(rng):
        for images, labels in data.batches(train, options.batch_size, rng):
            yield data.shifted(images, options.shift, rng), labels

    def evaluate(state):
        return training.evaluate(eval_step, state, data.batches(test, 512))

    def on_epoch(state):
        result = evaluate(state)
        return {"loss": result["loss"], "accuracy": result["accuracy"]}

    start = time.perf_counter()
    with fcnn.autodiff() if options.autodiff else contextlib.nullcontext():
        state, history = training.fit(
            train_step,
            state,
            epoch,
            epochs=options.epochs,
            steps_per_epoch=steps,
            seed=options.seed,
            on_epoch=on_epoch,
        )
        seconds = time.perf_counter() - start
        result = evaluate(state)
    print(
        f"test accuracy {result['accuracy']:.4f} on {len(test.labels)} images after {seconds:.1f} s of training"
    )

    folder = options.output / (options.name or f"{options.data}-{options.model}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.json").write_text(json.dumps(vars(options), indent=2, default=str) + "\n")
    write_metrics(folder / "metrics.csv", history)
    fcnn.pretrained.save(folder / "params.safetensors", state.params, state.model_state)
    pictures.learning_curves(folder / "learning_curves.png", history)
    pictures.gradient_norms(folder / "gradient_norms.png", history)
    pictures.filters(folder / "filters.png", first_kernel(state.params))
    pictures.confusion(folder / "confusion.png", test.labels, result["predictions"], source.classes)
    pictures.misclassified(folder / "misclassified.png", test, result["predictions"], source.classes)
    print(f"parameters, metrics and pictures are in {folder}")


def first_kernel(params: dict) -> np.ndarray:
    first = params["conv1"] if "conv1" in params else params["stem"]["conv"]
    return np.asarray(first["kernel"])


if __name__ == "__main__":
    main()
