"""One entry of a state dict for each of our arrays: its name elsewhere, and its layout there."""

from typing import Any, NamedTuple

import jax
import numpy as np

from functional_cnn.pretrained._naming import Naming

_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
_LAYER_SCALES = {"torchvision": "layer_scale", "huggingface": "layer_scale_parameter", "timm": "gamma"}
_REST, _BLOCK = "_rest", "_block"


class Entry(NamedTuple):
    """What corresponds to one of our arrays, or to one slice of a scanned one.

    Attributes:
      path: of the array in the tree of parameters or of state.
      part: the number of the slice along the axis of the scan, or None.
      leaf: the last part of the path.
      shape: of the array or slice.
      name: in the state dict.
      flattened: the image's sizes that a dense kernel's input was flattened from, or None.
      library: whose name it is.
    """

    path: tuple[str, ...]
    part: int | None
    leaf: str
    shape: tuple[int, ...]
    name: str
    flattened: tuple[int, int] | None
    library: str

    @property
    def there(self) -> tuple[int, ...]:
        """The shape in the state dict."""
        if self.leaf == "gamma":
            return (*self.shape, 1, 1) if self.library == "torchvision" else self.shape
        return tuple(self.shape[axis] for axis in self._axes()) if self.leaf == "kernel" else self.shape

    def _axes(self) -> tuple[int, ...]:
        """Ours in the order there: kernels are (*window, C, O) here and (O, C, *window) there."""
        rank = len(self.shape)
        return (rank - 1, rank - 2, *range(rank - 2))

    def ours(self, array: np.ndarray) -> np.ndarray:
        if self.leaf == "gamma":
            return array.reshape(self.shape)
        if self.leaf != "kernel":
            return array
        if self.flattened:
            split = array.reshape(array.shape[0], -1, *self.flattened)
            return split.transpose(2, 3, 1, 0).reshape(self.shape)
        return array.transpose(np.argsort(self._axes()))

    def theirs(self, array: np.ndarray) -> np.ndarray:
        """In C's order, which safetensors takes for granted."""
        if self.leaf == "kernel" and self.flattened:
            array = array.reshape(*self.flattened, -1, array.shape[-1]).transpose(3, 2, 0, 1)
        elif self.leaf == "kernel":
            array = array.transpose(self._axes())
        return np.asarray(array.reshape(self.there), order="C")


def entries(naming: Naming, params: Any, state: Any) -> list[Entry] | None:
    """Those of all arrays of a model's trees; None where the naming is of another family."""
    arrays = [unrolled for tree in (params, state) for unrolled in _unrolled(tree)]
    layers = naming.names({"/".join(names[:-1]): None for _, _, names, _ in arrays})
    if layers is None:
        return None
    found = []
    for path, index, names, shape in arrays:
        layer, leaf = "/".join(names[:-1]), names[-1]
        there = _LAYER_SCALES[naming.library] if leaf == "gamma" else _LEAVES[leaf]
        flattened = naming.flattened.get(layer) if leaf == "kernel" else None
        found.append(Entry(path, index, leaf, shape, f"{layers[layer]}.{there}", flattened, naming.library))
    return found


def _unrolled(tree: Any):
    """Each array's path, and for each slice of a scanned one the path that it had unscanned; with the shapes."""
    for keys, leaf in jax.tree_util.tree_leaves_with_path(tree):
        path = tuple(key.key for key in keys)
        if not path[0].endswith(_REST):
            yield path, None, path, leaf.shape
            continue
        for index in range(leaf.shape[0]):
            block = f"{path[0].removesuffix(_REST)}{_BLOCK}{index + 2}"
            yield path, index, (block, *path[1:]), leaf.shape[1:]
