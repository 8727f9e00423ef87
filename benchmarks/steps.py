"""One training step of a network in each library: loss, gradient and SGD with momentum, all state carried on.

All start from the same parameters, so that their losses can be compared before anything is timed.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import functional_cnn as fcnn
from benchmarks.jax_layers import FlaxNetwork, OurLayers
from benchmarks.networks import Setting

RATE, MOMENTUM = 1e-3, 0.9
PROVIDERS = ("ours", "autodiff", "flax", "torch", "torch.compile")
Tree = dict[str, dict[str, Any]]


class Step(NamedTuple):
    """A step that has been compiled.

    Attributes:
      run: makes the next step and returns its loss when it is done.
      compile_s: seconds from the function to the program; for ``torch.compile``, of the first step.
      temp_mb: the program's temp memory in MiB, where the library tells.
    """

    run: Callable[[], float]
    compile_s: float | None
    temp_mb: float | None


class Problem(NamedTuple):
    """A batch, and the parameters and running statistics to start from, as NumPy arrays."""

    setting: Setting
    images: np.ndarray
    labels: np.ndarray
    params: Tree
    state: Tree


def make_problem(setting: Setting) -> Problem:
    rng = np.random.default_rng(0)
    shape = (setting.batch, setting.size, setting.size)
    images = rng.standard_normal((*shape, setting.channels)).astype(np.float32)
    labels = rng.integers(setting.classes, size=shape if setting.per_pixel else shape[:1]).astype(np.int32)
    layers = OurLayers(Draws(rng), Draws(rng))
    jax.eval_shape(lambda images: _network(setting, layers, images), images)
    return Problem(setting, images, labels, dict(layers.params), dict(layers.state))


class Draws(dict):
    """Parameters that are drawn at first sight: kernels by He's rule, scale and variance 1, the rest 0."""

    def __init__(self, rng: np.random.Generator):
        super().__init__()
        self._rng = rng

    def find(self, layer: str, leaf: str, shape: tuple[int, ...]) -> np.ndarray:
        leaves = self.setdefault(layer, {})
        if leaf == "kernel":
            deviation = np.sqrt(2 / np.prod(shape[:-1]))
            leaves[leaf] = (deviation * self._rng.standard_normal(shape)).astype(np.float32)
        else:
            leaves[leaf] = np.full(shape, leaf in ("scale", "var"), np.float32)
        return leaves[leaf]


def _network(setting: Setting, layers: Any, images: Any) -> Any:
    return setting.network(layers, images, classes=setting.classes, **setting.options)


def make_step(problem: Problem, provider: str, compiler_options: dict[str, Any] | None = None) -> Step:
    """``compiler_options`` are for ours, as ``training.make_train_step`` compiles with them."""
    if "torch" in provider:
        from benchmarks.torch_step import make_torch_step

        return make_torch_step(problem, compiled=provider == "torch.compile")
    apply, cross_entropy = _our_apply(problem.setting), fcnn.softmax_cross_entropy
    if provider == "flax":
        module = FlaxNetwork(lambda layers, images: _network(problem.setting, layers, images))
        apply, cross_entropy = module.apply_with_statistics, optax.softmax_cross_entropy_with_integer_labels
    if provider == "autodiff":
        with fcnn.autodiff():
            return _make_jax_step(problem, apply, cross_entropy, None)
    return _make_jax_step(problem, apply, cross_entropy, compiler_options if provider == "ours" else None)


def _our_apply(setting: Setting) -> Callable[[Tree, Tree, jax.Array], tuple[jax.Array, Tree]]:
    def apply(params, state, images):
        layers = OurLayers(params, state)
        logits = _network(setting, layers, images)
        return logits, layers.moved

    return apply


def _make_jax_step(problem: Problem, apply, cross_entropy, compiler_options) -> Step:
    optimizer = optax.sgd(RATE, momentum=MOMENTUM)

    def step(params, state, opt_state, images, labels):
        def loss_fn(params):
            logits, moved = apply(params, state, images)
            return cross_entropy(logits, labels).mean(), moved

        (loss, moved), grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), moved, opt_state, loss

    params, state = jax.tree.map(jnp.array, (problem.params, problem.state))
    carried = [params, state, optimizer.init(params)]
    images, labels = jnp.asarray(problem.images), jnp.asarray(problem.labels)
    start = time.perf_counter()
    jitted = jax.jit(step, donate_argnums=(0, 1, 2), compiler_options=compiler_options)
    compiled = jitted.lower(*carried, images, labels).compile()
    compile_s = time.perf_counter() - start

    def run():
        *carried[:], loss = compiled(*carried, images, labels)
        return float(jax.block_until_ready((carried, loss))[1])

    return Step(run, compile_s, compiled.memory_analysis().temp_size_in_bytes / 2**20)
