"""Scenes of real digits with a class for each pixel, composed of scikit-learn's scans; nothing to download."""

from typing import NamedTuple

import numpy as np

from functional_cnn.data import Dataset

CLASSES = ("ground", *"0123456789")
_INK = 0.35  # a pixel at least as dark belongs to its digit


class Scenes(NamedTuple):
    """Canvases and their labels.

    Attributes:
      images: (N, H, W, 1), float32, noisy.
      labels: (N, H, W), int32: 0 is the ground, 1 + d a pixel of digit d.
    """

    images: np.ndarray
    labels: np.ndarray


def compose(
    digits: Dataset, count: int, rng: np.random.Generator, *, size: int = 48, cells: int = 3
) -> Scenes:
    """Draws scenes: in most cells of a grid a digit, enlarged 1.25 to 2 times, anywhere that it fits, with noise."""
    images = np.zeros((count, size, size), np.float32)
    labels = np.zeros((count, size, size), np.int32)
    cell = size // cells
    for image, label in zip(images, labels, strict=True):
        for corner in np.ndindex(cells, cells):
            if rng.random() < 0.35:
                continue
            number = rng.integers(len(digits.labels))
            ink = _enlarged(digits.images[number, ..., 0], rng.integers(10, cell + 1))
            room = cell - len(ink) + 1
            row, column = (cell * at + rng.integers(room) for at in corner)
            place = slice(row, row + len(ink)), slice(column, column + len(ink))
            image[place] = ink
            label[place] = np.where(ink >= _INK, 1 + digits.labels[number], 0)
    contrast = rng.uniform(0.6, 1.0, (count, 1, 1)).astype(np.float32)
    noise = rng.normal(0, 0.08, images.shape).astype(np.float32)
    return Scenes((contrast * images + noise)[..., None], labels)


def _enlarged(scan: np.ndarray, size: int) -> np.ndarray:
    """A square scan with ``size`` pixels a side, linearly between its own."""
    at = np.linspace(0, len(scan) - 1, size)
    low = np.minimum(at.astype(int), len(scan) - 2)
    weight = (at - low).astype(np.float32)[:, None]
    rows = scan[low] * (1 - weight) + scan[low + 1] * weight
    return (rows[:, low] * (1 - weight.T) + rows[:, low + 1] * weight.T).astype(np.float32)
