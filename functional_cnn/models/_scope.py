"""One description of a network makes its parameters and applies them.

A network is a function of a ``Scope`` and of images. The scope stands at a place of the trees of parameters and
state and hands out their arrays by name. Planning runs the network once, on abstract values, and notes what arrays
it asks for; applying it finds them. So no layer is written twice, and the trees stay plain nested dicts.
"""

import contextlib
import contextvars
import dataclasses
import functools
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.nn.initializers import Initializer

from functional_cnn._numerics import accumulator
from functional_cnn.models._options import POLICIES
from functional_cnn.rematerialization import remat as run_again

Tree = dict[str, Any]
Network = Callable[["Scope", jax.Array], Any]
Block = Callable[["Scope", jax.Array], jax.Array]


class Leaf(NamedTuple):
    """An array that a network asks for.

    Attributes:
      make: draws it.
      shape: its shape, without the axis of a scan.
      blocks: the length of the axis of a scan, along which each part is drawn by itself; None without.
      wide: whether it is of the accumulator's dtype, as running statistics are.
    """

    make: Initializer
    shape: tuple[int, ...]
    blocks: int | None = None
    wide: bool = False

    def draw(self, key: jax.Array, dtype: Any) -> jax.Array:
        dtype = accumulator(dtype) if self.wide else dtype
        if self.blocks is None:
            return self.make(key, self.shape, dtype)
        return jax.vmap(lambda key: self.make(key, self.shape, dtype))(jax.random.split(key, self.blocks))


@dataclasses.dataclass(frozen=True)
class Run:
    """What is the same at every place of a network while it runs.

    Attributes:
      model: the name that errors give.
      train: whether statistics are the batch's and draws are made.
      key: the key that draws are made from, or None.
      planning: whether arrays are noted and not found; ``dtype`` is then theirs.
      dtype: the dtype of parameters, in planning.
      features: activations by name, in the order in which they are made.
      times: how often what runs here runs, more than once inside a scan.
    """

    model: str
    train: bool = False
    key: jax.Array | None = None
    planning: bool = False
    dtype: Any = None
    features: dict[str, jax.Array] = dataclasses.field(default_factory=dict)
    times: int = 1


class Scope:
    """A place in the trees of a model; ``moved`` gathers the state that a training step leaves behind."""

    def __init__(self, run: Run, params: Tree, state: Tree, path: str = ""):
        self.run, self.params, self.state, self.path = run, params, state, path
        self.moved: Tree = {}

    def child(self, name: str) -> "Scope":
        if self.run.planning:
            params, state = self.params.setdefault(name, {}), self.state.setdefault(name, {})
        else:
            params, state = self.params.get(name, {}), self.state.get(name, {})
        below = Scope(self.run, params, state, f"{self.path}/{name}" if self.path else name)
        self.moved[name] = below.moved
        return below

    def param(self, name: str, make: Initializer, shape: tuple[int, ...]) -> jax.Array:
        return self._array("params", self.params, name, Leaf(make, shape))

    def variable(self, name: str, make: Initializer, shape: tuple[int, ...]) -> jax.Array:
        """An array of the state, in float32 or better."""
        return self._array("state", self.state, name, Leaf(make, shape, wide=True))

    def _array(self, tree: str, leaves: Tree, name: str, leaf: Leaf) -> jax.Array:
        if self.run.planning:
            leaves[name] = leaf
            return jnp.zeros(leaf.shape, accumulator(self.run.dtype) if leaf.wide else self.run.dtype)
        where = f"{self.path}/{name}" if self.path else name
        if name not in leaves:
            raise ValueError(f"{self.run.model}: {tree} must hold {where!r} of shape {leaf.shape}")
        if jnp.shape(leaves[name]) != leaf.shape:
            raise ValueError(
                f"{self.run.model}: {where!r} of {tree} must have shape {leaf.shape}, "
                f"got shape {jnp.shape(leaves[name])}"
            )
        return leaves[name]

    def site_key(self) -> jax.Array:
        """The key of this place, for a layer that draws."""
        if self.run.key is None:
            raise TypeError(
                f"{self.run.model}: key must be given in training, as {self.path!r} draws from it, got None"
            )
        return jax.random.fold_in(self.run.key, zlib.crc32(self.path.encode()))

    def feature(self, name: str, x: jax.Array) -> jax.Array:
        self.run.features[name] = x
        return x

    def report(self, kind: str, y: jax.Array, multiply_adds: int) -> None:
        """Tells who observes the network of a layer at this place."""
        layers = _observed.get()
        if layers is not None:
            size = sum(math.prod(jnp.shape(leaf)) for leaf in jax.tree.leaves(self.params))
            times = self.run.times
            layers[self.path] = Layer(kind, y.shape, y.dtype, times * size, times * multiply_adds, times)


class Layer(NamedTuple):
    """A layer as it was met.

    Attributes:
      kind: the op's name.
      shape: the result's shape.
      dtype: the result's dtype.
      parameters: how many numbers its parameters have.
      multiply_adds: how many it takes for the whole batch.
      times: how often it is met, each time with other parameters; both numbers are those of all.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: Any
    parameters: int
    multiply_adds: int
    times: int


_observed: contextvars.ContextVar[dict[str, Layer] | None] = contextvars.ContextVar("observed", default=None)


@contextlib.contextmanager
def observed_layers() -> Iterator[dict[str, Layer]]:
    """The layers of the networks that are run inside, by their places."""
    layers: dict[str, Layer] = {}
    token = _observed.set(layers)
    try:
        yield layers
    finally:
        _observed.reset(token)


def plan(model: str, network: Network, image: tuple[int, ...], dtype: Any) -> tuple[Tree, Tree]:
    """The leaves of a network's parameters and state, for one image of shape (*spatial, C)."""
    scope = Scope(Run(model, planning=True, dtype=dtype), {}, {})
    jax.eval_shape(functools.partial(network, scope), jax.ShapeDtypeStruct((1, *image), dtype))
    return pruned(scope.params), pruned(scope.state)


def draw(key: jax.Array, leaves: tuple[Tree, Tree], dtype: Any) -> tuple[Tree, Tree]:
    """The arrays of planned leaves."""
    flat, tree = jax.tree.flatten(leaves, is_leaf=_is_leaf)
    return jax.tree.unflatten(
        tree, [leaf.draw(jax.random.fold_in(key, number), dtype) for number, leaf in enumerate(flat)]
    )


def pruned(tree: Tree) -> Tree:
    """Without the branches that hold nothing."""
    kept = {name: pruned(node) if isinstance(node, dict) else node for name, node in tree.items()}
    return {name: node for name, node in kept.items() if not isinstance(node, dict) or node}


def stage_of_blocks(
    scope: Scope,
    name: str,
    blocks: Sequence[Block],
    x: jax.Array,
    *,
    scanned: bool = False,
    remat: bool | str = False,
    together: int = 1,
) -> jax.Array:
    """Blocks one after the other, at ``<name>_block1`` and so on.

    Where they are scanned, all but the first are one ``lax.scan`` over arrays that are stacked under
    ``<name>_rest``, so that a program holds one block and not all; they must be equal. ``remat`` is as in
    ``run_block``. Where it keeps the results of convolutions, as many of the other blocks as ``together`` says are
    made again as one, so that what comes between them is not kept: worth it where what one block makes again is little
    beside what all blocks keep.
    """
    apart = blocks[:1] if scanned else blocks
    placed = [(scope.child(f"{name}_block{number}"), block) for number, block in enumerate(apart, start=1)]
    size = together if remat == "convs_saveable" else 1
    for first in range(0, len(placed), size):
        x = _run(placed[first : first + size], x, remat)
    rest = blocks[len(apart) :]
    return _scanned(scope.child(f"{name}_rest"), len(rest), rest[0], x, remat) if rest else x


def run_block(place: Scope, block: Block, x: jax.Array, *, remat: bool | str) -> jax.Array:
    """A block at a place; with ``remat`` the backward pass makes again what the policy of that name does not keep."""
    return _run([(place, block)], x, remat)


def _run(placed: Sequence[tuple[Scope, Block]], x: jax.Array, remat: bool | str) -> jax.Array:
    """Blocks at their places, one after the other; with ``remat`` all that comes between them is made again too."""
    run = placed[0][0].run
    if run.planning or not remat:
        for place, block in placed:
            x = block(place, x)
        return x

    def chain(
        arrays: list[tuple[Tree, Tree]], key: jax.Array | None, x: jax.Array
    ) -> tuple[jax.Array, list[Tree]]:
        moves = []
        for (place, block), (params, state) in zip(placed, arrays, strict=True):
            x, moved = _pure(place, block, params, state, key, x)
            moves.append(moved)
        return x, moves

    arrays = [(place.params, place.state) for place, _ in placed]
    x, moves = run_again(chain, policy=POLICIES[remat])(arrays, run.key, x)
    for (place, _), moved in zip(placed, moves, strict=True):
        place.moved.update(moved)
    return x


def _pure(
    place: Scope, block: Block, params: Tree, state: Tree, key: jax.Array | None, x: jax.Array, times: int = 1
) -> tuple[jax.Array, Tree]:
    """A block at a place with arrays of its own; returns what it moves too."""
    inner = Scope(dataclasses.replace(place.run, key=key, times=times), params, state, place.path)
    y = block(inner, x)
    return y, pruned(inner.moved)


def _scanned(place: Scope, count: int, block: Block, x: jax.Array, remat: bool | str) -> jax.Array:
    if place.run.planning:
        y = block(place, x)
        for leaves in (place.params, place.state):
            leaves.update(jax.tree.map(lambda leaf: leaf._replace(blocks=count), leaves, is_leaf=_is_leaf))
        return y

    def body(x: jax.Array, slices: tuple[Tree, Tree, jax.Array]) -> tuple[jax.Array, Tree]:
        params, state, number = slices
        key = None if place.run.key is None else jax.random.fold_in(place.run.key, number)
        return _pure(place, block, params, state, key, x, times=count)

    numbers = jnp.arange(count, dtype=jnp.uint32)
    body = run_again(body, policy=POLICIES[remat]) if remat else body
    y, moved = lax.scan(body, x, (place.params, place.state, numbers))
    place.moved.update(moved)
    return y


def _is_leaf(node: Any) -> bool:
    return isinstance(node, Leaf)
