"""Parameters and state from a PyTorch state dict, and back."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from functional_cnn.models import Model
from functional_cnn.models._scope import Tree
from functional_cnn.pretrained import _huggingface, _timm, _torchvision
from functional_cnn.pretrained._arrays import Entry, entries

_NAMINGS = (*_torchvision.NAMINGS, *_timm.NAMINGS, *_huggingface.NAMINGS)
_COUNTER = "num_batches_tracked"  # of PyTorch's batch norm, which we have no use for


def from_torch(model: Model, state_dict: Mapping[str, Any]) -> tuple[Tree, Tree]:
    """The parameters and state of a model from the state dict of its PyTorch twin.

    Kernels change from (O, C, *window) to (*window, C, O), and dense kernels from (O, I) to (I, O). What is no
    array must agree by itself: ``padding`` and ``eps`` are options of the models that have them.

    Args:
      model: one of ``models``, made with the twin's options; scanned ones are served too.
      state_dict: torchvision's, timm's or Hugging Face transformers', of tensors or NumPy arrays.

    Returns:
      ``(params, state)``, in the arrays' own dtypes.

    Raises:
      ValueError: no library calls the model's layers so, or entries are missing, too many or of another shape:
        all are listed.

    Example:
      >>> import jax, functional_cnn as fcnn
      >>> model = fcnn.models.resnet(depth=18, num_classes=10, width=8)
      >>> params, state = model.init(jax.random.key(0))
      >>> state_dict = fcnn.pretrained.to_torch(model, params, state, library="torchvision")
      >>> params, state = fcnn.pretrained.from_torch(model, state_dict)
      >>> print(state_dict["layer1.0.conv1.weight"].shape, params["stage1_block1"]["conv1"]["conv"]["kernel"].shape)
      (8, 8, 3, 3) (3, 3, 8, 8)
    """
    given = {
        _torchvision.current_name(name): value
        for name, value in state_dict.items()
        if not name.endswith(_COUNTER)
    }
    trees = jax.eval_shape(model.init, jax.random.key(0))
    wanted = max(
        _candidates(trees, "from_torch"), key=lambda found: sum(entry.name in given for entry in found)
    )
    _require_same(wanted, given)
    arrays: dict[tuple[str, ...], list[np.ndarray]] = {}
    for entry in wanted:
        arrays.setdefault(entry.path, []).append(entry.ours(_numpy(given[entry.name])))
    scanned = {entry.path for entry in wanted if entry.part is not None}

    def filled(keys: tuple[Any, ...], _: Any) -> jax.Array:
        path = tuple(key.key for key in keys)
        return jnp.asarray(np.stack(arrays[path]) if path in scanned else arrays[path][0])

    params, state = (jax.tree_util.tree_map_with_path(filled, tree) for tree in trees)
    return params, state


def to_torch(
    model: Model, params: Tree, state: Tree, *, library: str = "torchvision"
) -> dict[str, np.ndarray]:
    """The state dict of a model's PyTorch twin, of NumPy arrays; the inverse of ``from_torch``.

    Args:
      model: one of ``models``.
      params: its parameters.
      state: its running statistics.
      library: whose names: "torchvision", "timm" or "huggingface".

    Returns:
      A dict of arrays by name. ``{k: torch.from_numpy(v) for k, v in ...items()}`` is what
      ``load_state_dict(..., strict=False)`` takes: PyTorch's counters of batches are not in it.

    Raises:
      ValueError: the library has no such model, or the trees are not the model's.
    """
    trees = jax.eval_shape(model.init, jax.random.key(0))
    if jax.tree.map(jnp.shape, (params, state)) != jax.tree.map(lambda leaf: leaf.shape, trees):
        raise ValueError("to_torch: params and state must have the names and shapes of the model's own")
    candidates = [found for found in _candidates(trees, "to_torch") if found[0].library == library]
    if not candidates:
        raise ValueError(f"to_torch: library must be one that has this model, got {library!r}")
    found = {}
    for entry in candidates[0]:
        array = np.asarray(_get((params, state), entry.path))
        found[entry.name] = entry.theirs(array if entry.part is None else array[entry.part])
    return found


def _candidates(trees: tuple[Tree, Tree], function: str) -> list[list[Entry]]:
    candidates = [found for naming in _NAMINGS if (found := entries(naming, *trees)) is not None]
    if not candidates:
        raise ValueError(
            f"{function}: model must be one whose layers PyTorch's libraries name; no table has these"
        )
    return candidates


def _require_same(wanted: list[Entry], given: Mapping[str, Any]) -> None:
    names = {entry.name for entry in wanted}
    missing = sorted(names - given.keys())
    extra = sorted(given.keys() - names)
    misshapen = [
        f"{entry.name} is {tuple(given[entry.name].shape)} and must be {entry.there}"
        for entry in wanted
        if entry.name in given and tuple(given[entry.name].shape) != entry.there
    ]
    faults = {"missing": missing, "too many": extra, "of another shape": misshapen}
    listed = [f"{fault}: {', '.join(found)}" for fault, found in faults.items() if found]
    if listed:
        raise ValueError("from_torch: state_dict must have the model's entries; " + "; ".join(listed))


def _numpy(value: Any) -> np.ndarray:
    """Of a tensor too, whose bfloat16 NumPy does not know."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            return np.asarray(value.float().numpy()).astype(jnp.bfloat16)
        return value.numpy()
    return np.asarray(value)


def _get(trees: tuple[Tree, Tree], path: tuple[str, ...]) -> Any:
    """From the first of the trees that has the path: parameters and state share no leaf."""
    for tree in trees:
        node: Any = tree
        for name in path:
            node = node.get(name) if isinstance(node, dict) else None
        if node is not None:
            return node
    raise KeyError(path)
