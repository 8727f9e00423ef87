"""Image data from files that the user has, or from scikit-learn, as NumPy arrays; batches of it."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from functional_cnn import _checks


class Dataset(NamedTuple):
    """Labelled images.

    Attributes:
      images: (N, H, W, C), float32 in [0, 1].
      labels: (N,), int32.
    """

    images: np.ndarray
    labels: np.ndarray


def load_digits() -> tuple[Dataset, Dataset]:
    """Scikit-learn's scans of handwritten digits: 8 x 8 pixels, 1437 for training and 360 for testing.

    The split is fixed, at random within each class. Nothing is downloaded.

    Returns:
      ``(train, test)``.

    Raises:
      ModuleNotFoundError: scikit-learn is not installed.

    Example:
      >>> import functional_cnn as fcnn
      >>> train, test = fcnn.data.load_digits()
      >>> print(train.images.shape, test.images.shape)
      (1437, 8, 8, 1) (360, 8, 8, 1)

    Reference: E. Alpaydin and C. Kaynak, "Optical recognition of handwritten digits", UCI, 1998.
    """
    try:
        from sklearn.datasets import load_digits as load
        from sklearn.model_selection import train_test_split
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "load_digits: scikit-learn holds the digits; pip install 'functional_cnn[examples]'"
        ) from error
    pixels, labels = load(return_X_y=True)
    images = (pixels.reshape(-1, 8, 8, 1) / 16).astype(np.float32)
    labels = labels.astype(np.int32)
    numbers = np.arange(len(labels))
    train, test = map(np.asarray, train_test_split(numbers, test_size=360, stratify=labels, random_state=0))
    return Dataset(images[train], labels[train]), Dataset(images[test], labels[test])


def load_mnist(directory: str | Path) -> tuple[Dataset, Dataset]:
    """MNIST, or Fashion-MNIST, which comes in files of the same names: 28 x 28 pixels, one channel.

    Args:
      directory: holds ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte``
        and ``t10k-labels-idx1-ubyte``, each as it is or with ``.gz``.

    Returns:
      ``(train, test)``, 60,000 and 10,000 images in the original files.

    Raises:
      FileNotFoundError: a file is missing; the text says which and where it goes.
      ValueError: a file is not what its name says.

    Reference: the IDX format, Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits".
    """
    train, test = (
        Dataset(
            _read_idx(_found("load_mnist", directory, f"{part}-images-idx3-ubyte"), 3)[..., None]
            / np.float32(255),
            _read_idx(_found("load_mnist", directory, f"{part}-labels-idx1-ubyte"), 1).astype(np.int32),
        )
        for part in ("train", "t10k")
    )
    for part in (train, test):
        if len(part.images) != len(part.labels):
            raise ValueError(
                f"load_mnist: {directory} holds {len(part.images)} images beside {len(part.labels)} labels"
            )
    return train, test


def load_cifar10(directory: str | Path) -> tuple[Dataset, Dataset]:
    """CIFAR-10 in its binary version: 32 x 32 pixels, three channels.

    Args:
      directory: holds ``data_batch_1.bin`` to ``data_batch_5.bin`` and ``test_batch.bin``, each as it is or
        with ``.gz``, there or in its folder ``cifar-10-batches-bin``.

    Returns:
      ``(train, test)``, 50,000 and 10,000 images in the original files.

    Raises:
      FileNotFoundError: a file is missing; the text says which and where it goes.
      ValueError: a file is not what its name says.

    Reference: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
    """
    directory = Path(directory)
    if (directory / "cifar-10-batches-bin").is_dir():
        directory = directory / "cifar-10-batches-bin"

    def read(*names: str) -> Dataset:
        parts = [_read_cifar(_found("load_cifar10", directory, name)) for name in names]
        return Dataset(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    return read(*(f"data_batch_{i}.bin" for i in range(1, 6))), read("test_batch.bin")


def _found(function: str, directory: str | Path, name: str) -> Path:
    for candidate in (Path(directory) / name, Path(directory) / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(f"{function}: put {name} or {name}.gz into {directory}; neither is there")


def _read(path: Path) -> bytes:
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        return gzip.decompress(path.read_bytes())
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path} is not a whole gzip file: {error}") from error


def _read_idx(path: Path, rank: int) -> np.ndarray:
    """An IDX file of unsigned bytes: 0, 0, 8, rank, the sizes as big-endian int32, then the values."""
    content = _read(path)
    header = 4 + 4 * rank
    if content[:4] != bytes((0, 0, 8, rank)) or len(content) < header:
        raise ValueError(f"load_mnist: {path} is not an IDX file of unsigned bytes with {rank} dimensions")
    shape = np.frombuffer(content, ">i4", rank, 4)
    if len(content) != header + int(np.prod(shape, dtype=np.int64)):
        raise ValueError(
            f"load_mnist: {path} holds {len(content) - header} values, its header says {tuple(shape)}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _read_cifar(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Rows of one label byte and 3072 pixels, channel by channel."""
    content, row = np.frombuffer(_read(path), np.uint8), 1 + 3 * 32 * 32
    if content.size == 0 or content.size % row:
        raise ValueError(f"load_cifar10: {path} must hold rows of {row} bytes, it holds {content.size} bytes")
    rows = content.reshape(-1, row)
    images = rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1) / np.float32(255)
    return np.ascontiguousarray(images), rows[:, 0].astype(np.int32)


def batches(dataset: Dataset, batch_size: int, rng: np.random.Generator | None = None) -> Iterator[Dataset]:
    """Cuts a dataset into batches.

    Args:
      dataset: what to cut.
      batch_size: examples in a batch.
      rng: shuffles, and the last, smaller batch is left out, so that all batches have one shape; None
        keeps the order and every example.

    Returns:
      An iterator over datasets of ``batch_size`` examples.

    Raises:
      ValueError: batch_size is less than 1, or larger than the dataset where rng is given.
      TypeError: batch_size is not an int.

    Example:
      >>> import numpy as np, functional_cnn as fcnn
      >>> data = fcnn.data.Dataset(np.zeros((5, 8, 8, 1)), np.arange(5))
      >>> print([batch.labels.tolist() for batch in fcnn.data.batches(data, 2)])
      [[0, 1], [2, 3], [4]]
    """
    batch_size = _checks.integer("batches", "batch_size", batch_size, minimum=1)
    count = len(dataset.labels)
    if rng is None:
        order, end = np.arange(count), count
    elif batch_size > count:
        raise ValueError(f"batches: batch_size is {batch_size}, but the dataset has {count} examples")
    else:
        order, end = rng.permutation(count), count - count % batch_size
    cuts = (order[start : start + batch_size] for start in range(0, end, batch_size))
    return (Dataset(dataset.images[chosen], dataset.labels[chosen]) for chosen in cuts)


def shifted(images: np.ndarray, pixels: int, rng: np.random.Generator) -> np.ndarray:
    """Moves each image by up to ``pixels`` in both directions, filling with zeros: augmentation.

    Args:
      images: (N, H, W, C).
      pixels: the largest distance.
      rng: draws the distances.

    Returns:
      An array of the images' shape and dtype.

    Raises:
      ValueError: pixels is negative, or images have another rank.
      TypeError: pixels is not an int.

    Example:
      >>> import numpy as np, functional_cnn as fcnn
      >>> moved = fcnn.data.shifted(np.ones((10, 8, 8, 1)), 1, np.random.default_rng(0))
      >>> print(moved.shape)
      (10, 8, 8, 1)
    """
    pixels = _checks.integer("shifted", "pixels", pixels, minimum=0)
    if images.ndim != 4:
        raise ValueError(f"shifted: images must have shape (N, H, W, C), got shape {images.shape}")
    count, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)))
    down, right = rng.integers(0, 2 * pixels + 1, (2, count, 1, 1))
    rows = down + np.arange(height)[:, None]
    columns = right + np.arange(width)
    return padded[np.arange(count)[:, None, None], rows, columns]
