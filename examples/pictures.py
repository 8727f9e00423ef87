"""The pictures of a training run, drawn with matplotlib into PNG files."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Patch

from functional_cnn.data import Dataset


def learning_curves(path: Path, history: Sequence[dict]) -> None:
    """Loss and error over the epochs, in training and on the test images."""
    epochs = [record["epoch"] for record in history]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    for name, label in (("", "training"), ("test_", "test")):
        left.plot(epochs, [record[f"{name}loss"] for record in history], label=label)
        right.plot(epochs, [100 * (1 - record[f"{name}accuracy"]) for record in history], label=label)
    left.set(title="Loss", xlabel="epoch", ylabel="nats", yscale="log")
    right.set(title="Error", xlabel="epoch", ylabel="% of images", ylim=(0, None))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    _save(figure, path)


def gradient_norms(path: Path, history: Sequence[dict]) -> None:
    """Each layer's gradient over the epochs: where it vanishes or explodes, its line leaves the others."""
    epochs = [record["epoch"] for record in history]
    layers = list(history[0]["gradient_norms"])
    colors = plt.colormaps["viridis"](np.linspace(0, 0.95, len(layers)))
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for layer, color in zip(layers, colors, strict=True):
        axes.plot(epochs, [record["gradient_norms"][layer] for record in history], color=color, label=layer)
    axes.set(title="Gradient norm of each layer", xlabel="epoch", ylabel="Euclidean norm", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="x-small", ncols=1 + len(layers) // 16, loc="center left", bbox_to_anchor=(1, 0.5))
    _save(figure, path)


def filters(path: Path, kernel: np.ndarray) -> None:
    """The first layer's filters; of one channel from blue, negative, to red; of three as colours."""
    height, width, channels, count = kernel.shape
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(0.7 * columns, 0.7 * rows + 0.5), squeeze=False)
    figure.suptitle(f"{count} filters of {height} x {width} in the first layer")
    largest = np.abs(kernel).max()
    for axes, image in zip(grid.ravel(), np.moveaxis(kernel, -1, 0), strict=False):
        if channels == 3:
            axes.imshow(0.5 + image / (2 * largest))
        else:
            axes.imshow(image.mean(-1), cmap="RdBu_r", vmin=-largest, vmax=largest)
    for axes in grid.ravel():
        axes.axis("off")
    _save(figure, path)


def confusion(path: Path, labels: np.ndarray, predictions: np.ndarray, classes: Sequence[str]) -> None:
    """How many images of each class were taken for which class."""
    counts = np.zeros((len(classes), len(classes)), int)
    np.add.at(counts, (labels, predictions), 1)
    figure, axes = plt.subplots(figsize=(6, 5.5), layout="constrained")
    axes.imshow(counts, cmap="Blues")
    for (row, column), count in np.ndenumerate(counts):
        if count:
            color = "white" if count > counts.max() / 2 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize="small")
    ticks = range(len(classes))
    axes.set_xticks(ticks, classes, rotation=45 if max(map(len, classes)) > 2 else 0)
    axes.set_yticks(ticks, classes)
    accuracy = (labels == predictions).mean()
    axes.set(title=f"Confusion, accuracy {accuracy:.2%}", xlabel="predicted", ylabel="true")
    _save(figure, path)


def misclassified(path: Path, test: Dataset, predictions: np.ndarray, classes: Sequence[str]) -> None:
    """The first test images that were taken for another class."""
    wrong = np.flatnonzero(test.labels != predictions)
    shown = wrong[:24]
    columns = max(min(8, len(shown)), 4)
    rows = max(-(-len(shown) // columns), 1)
    figure, grid = plt.subplots(rows, columns, figsize=(1.4 * columns, 1.6 * rows + 0.5), squeeze=False)
    figure.suptitle(f"{len(wrong)} of {len(test.labels)} misclassified")
    for axes, number in zip(grid.ravel(), shown, strict=False):
        axes.imshow(test.images[number].squeeze(), cmap="gray")
        truth, guess = classes[test.labels[number]], classes[predictions[number]]
        axes.set_title(f"{truth}, not {guess}", fontsize="small")
    for axes in grid.ravel():
        axes.axis("off")
    _save(figure, path)


def segmentation(
    path: Path, images: np.ndarray, labels: np.ndarray, predictions: np.ndarray, classes: Sequence[str]
) -> None:
    """Image, truth and prediction side by side for the first scenes, a colour for each class."""
    shown = min(5, len(images))
    colors = np.array([(0.12, 0.12, 0.12, 1.0), *plt.colormaps["tab10"](np.arange(len(classes) - 1))])
    figure, grid = plt.subplots(shown, 4, figsize=(9, 2.2 * shown + 0.6), layout="constrained", squeeze=False)
    for row, image, label, prediction in zip(grid, images, labels, predictions, strict=False):
        row[0].imshow(image[..., 0], cmap="gray")
        row[1].imshow(colors[label])
        row[2].imshow(colors[prediction])
        row[3].imshow(label != prediction, cmap="Reds", vmin=0, vmax=1)
    for axes, title in zip(grid[0], ("image", "truth", "prediction", "differences"), strict=True):
        axes.set_title(title)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    patches = [Patch(color=color, label=name) for color, name in zip(colors, classes, strict=True)]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(classes), fontsize="small")
    _save(figure, path)


def mean_iou(path: Path, history: Sequence[dict]) -> None:
    """The mean intersection over union on the test scenes over the epochs."""
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    epochs = [record["epoch"] for record in history]
    axes.plot(epochs, [record["test_mean_iou"] for record in history], marker="o")
    axes.set(title="Mean IoU on test scenes", xlabel="epoch", ylabel="mean IoU", ylim=(0, 1))
    axes.grid(alpha=0.3)
    _save(figure, path)


def accuracies(path: Path, curves: dict[str, Sequence[float]]) -> None:
    """The accuracy on the test images over the epochs, a line for each way to train."""
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for name, curve in curves.items():
        axes.plot(range(1, len(curve) + 1), [100 * accuracy for accuracy in curve], label=name)
    axes.set(title="Accuracy on test images", xlabel="epoch", ylabel="% of images", ylim=(0, 100))
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, path)


def _save(figure, path: Path) -> None:
    figure.savefig(path, dpi=120)
    plt.close(figure)
