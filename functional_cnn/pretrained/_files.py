"""Files of weights."""

import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from functional_cnn.models import Model
from functional_cnn.models._scope import Tree
from functional_cnn.pretrained._torch import from_torch

_FORMAT = "functional_cnn"


def save(
    path: str | os.PathLike, params: Tree, state: Tree, *, metadata: dict[str, str] | None = None
) -> None:
    """Writes parameters and state as a ``.safetensors`` file.

    Args:
      path: of the file, which is overwritten.
      params: nested dicts of arrays.
      state: likewise, or {}.
      metadata: texts by name, kept in the file beside the format's own.

    Raises:
      ValueError: path does not end with ".safetensors".
      TypeError: params or state is another tree than nested dicts.
      ImportError: safetensors is not installed.
    """
    if Path(path).suffix != ".safetensors":
        raise ValueError(f"save: path must end with '.safetensors', got {str(path)!r}")
    # In C's order: safetensors writes an array's memory without a look at its strides.
    arrays = {name: np.asarray(leaf, order="C") for name, leaf in _named(params, state).items()}
    _safetensors("save").numpy.save_file(arrays, path, metadata=(metadata or {}) | {"format": _FORMAT})


def load(path: str | os.PathLike, model: Model) -> tuple[Tree, Tree]:
    """The parameters and state of a model from a file.

    Args:
      path: of a ``.safetensors`` file that ``save`` wrote or that holds a PyTorch state dict, or of a ``.pth``,
        ``.pt`` or ``.bin`` file with a state dict, of which only weights are read.
      model: the network that they are for.

    Returns:
      ``(params, state)``.

    Raises:
      FileNotFoundError: there is no such file. Nothing is downloaded; the error says where files are found.
      ValueError: the file's entries are not the model's, or its name has another ending.
      ImportError: safetensors, or PyTorch for ``.pth``, is not installed.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"load: {str(path)!r} does not exist, and nothing is downloaded: bring the .safetensors or .pth file of "
            "torchvision's, timm's or Hugging Face's model"
        )
    if path.suffix == ".safetensors":
        with _safetensors("load").safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no mapping
            ours = (file.metadata() or {}).get("format") == _FORMAT
        return _as_trees(arrays, model) if ours else from_torch(model, arrays)
    if path.suffix in (".pth", ".pt", ".bin"):
        return from_torch(model, _torch().load(path, map_location="cpu", weights_only=True))
    raise ValueError(f"load: path must end with .safetensors, .pth, .pt or .bin, got {str(path)!r}")


def _named(params: Any, state: Any) -> dict[str, Any]:
    leaves = jax.tree_util.tree_leaves_with_path({"params": params, "state": state})
    for keys, _ in leaves:
        if not all(isinstance(key, jax.tree_util.DictKey) for key in keys):
            where = jax.tree_util.keystr(keys)
            raise TypeError(
                f"save: params and state must be nested dicts of arrays, got another tree at {where}"
            )
    return {"/".join(key.key for key in keys): leaf for keys, leaf in leaves}


def _as_trees(arrays: dict[str, np.ndarray], model: Model) -> tuple[Tree, Tree]:
    trees = jax.eval_shape(model.init, jax.random.key(0))
    wanted = {name: leaf.shape for name, leaf in _named(*trees).items()}
    found = {name: array.shape for name, array in arrays.items()}
    if wanted != found:
        differing = sorted(
            name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)
        )
        listed = ", ".join(
            f"{name} is {found.get(name)} and must be {wanted.get(name)}" for name in differing
        )
        raise ValueError(f"load: the file must have the model's arrays; None where there is none: {listed}")
    params, state = jax.tree.unflatten(
        jax.tree.structure(trees), [jnp.asarray(arrays[name]) for name in wanted]
    )
    return params, state


def _safetensors(function: str):
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(f"{function}: install safetensors, pip install functional_cnn[examples]") from error
    return safetensors


def _torch():
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError("load: a .pth file needs PyTorch, pip install torch") from error
    return torch
