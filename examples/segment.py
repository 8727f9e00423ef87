"""Trains a U-Net that labels each pixel of scenes composed of real digits: which digit it belongs to, or none.

Training scenes are composed anew for each step from scikit-learn's training digits, test scenes from its test
digits; nothing to download. Writes into ``runs/segment/`` the parameters (params.safetensors), the intersection
over union of each class (iou.csv), and pictures: image, truth and prediction side by side, and the curve of the
mean IoU.
"""

import argparse
import csv
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import optax
import pictures
import scenes

import functional_cnn as fcnn
from functional_cnn import data, training


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=10, help="between two looks at the test scenes")
    parser.add_argument("--steps", type=int, default=60, help="of an epoch")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--test-scenes", type=int, default=256)
    parser.add_argument("--width", type=int, default=16, help="channels of the U-Net's first level")
    parser.add_argument("--levels", type=int, default=3, help="of the U-Net")
    parser.add_argument("--learning-rate", type=float, default=4e-3, help="at its largest")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("runs/segment"))
    return parser.parse_args()


def main() -> None:
    options = parse()
    train, test = data.load_digits()
    held_out = scenes.compose(test, options.test_scenes, np.random.default_rng(options.seed + 1))
    model = fcnn.models.unet(
        num_classes=len(scenes.CLASSES), in_channels=1, width=options.width, levels=options.levels
    )
    schedule = optax.cosine_onecycle_schedule(options.epochs * options.steps, options.learning_rate)
    optimizer = optax.adamw(schedule, weight_decay=1e-4)
    state = training.TrainState.create(model, optimizer, jax.random.key(options.seed))
    eval_step = training.make_eval_step(model)

    def epoch(rng: np.random.Generator) -> Iterator[scenes.Scenes]:
        for _ in range(options.steps):
            yield scenes.compose(train, options.batch_size, rng)

    def on_epoch(state: training.TrainState) -> dict[str, float]:
        result = training.evaluate(eval_step, state, batches(held_out, options.batch_size))
        return {
            "loss": result["loss"],
            "accuracy": result["accuracy"],
            "mean_iou": iou(held_out.labels, result["predictions"]).mean(),
        }

    start = time.perf_counter()
    state, history = training.fit(
        training.make_train_step(model, optimizer),
        state,
        epoch,
        epochs=options.epochs,
        steps_per_epoch=options.steps,
        seed=options.seed,
        on_epoch=on_epoch,
    )
    seconds = time.perf_counter() - start
    predictions = training.evaluate(eval_step, state, batches(held_out, options.batch_size))["predictions"]
    of_class = iou(held_out.labels, predictions)
    print(
        f"mean IoU {of_class.mean():.4f} on {len(predictions)} test scenes after {seconds:.1f} s of training"
    )

    options.output.mkdir(parents=True, exist_ok=True)
    fcnn.pretrained.save(options.output / "params.safetensors", state.params, state.model_state)
    with (options.output / "iou.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("class", "iou"), *zip(scenes.CLASSES, of_class, strict=True)])
    pictures.segmentation(
        options.output / "segmentation.png", held_out.images, held_out.labels, predictions, scenes.CLASSES
    )
    pictures.mean_iou(options.output / "mean_iou.png", history)
    print(f"parameters, figures and pictures are in {options.output}")


def batches(whole: scenes.Scenes, size: int) -> Iterator[scenes.Scenes]:
    for start in range(0, len(whole.labels), size):
        yield scenes.Scenes(*(array[start : start + size] for array in whole))


def iou(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Of each class over all pixels: those that are of it and taken for it, over those that are one or the other."""
    count = len(scenes.CLASSES)
    pairs = np.bincount(count * labels.ravel() + predictions.ravel(), minlength=count**2).reshape(
        count, count
    )
    both = np.diag(pairs)
    return both / np.maximum(pairs.sum(0) + pairs.sum(1) - both, 1)


if __name__ == "__main__":
    main()
