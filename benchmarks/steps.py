"""One training step of a network in each library: loss, gradient and SGD with momentum, all state carried on.

All start from the same parameters, so that their losses can be compared before anything is timed.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import functional_cnn as fcnn
from benchmarks.jax_layers import FlaxNetwork, Leaf, OurLayers, OurRematLayers, Tree
from benchmarks.measure import Program, compiled
from benchmarks.networks import Setting

RATE, MOMENTUM = 1e-3, 0.9
_OPTIMIZER = optax.sgd(RATE, momentum=MOMENTUM)
_STEPS_COMPARED = 2


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
    params, state = {}, {}
    layers = OurLayers(_drawn(params, rng), _drawn(state, rng))
    jax.eval_shape(lambda images: apply_network(setting, layers, images), images)
    return Problem(setting, images, labels, params, state)


def _drawn(tree: Tree, rng: np.random.Generator) -> Leaf:
    """Draws what a layer asks for into the tree: kernels by He's rule, scale and variance 1, the rest 0."""

    def leaf(layer: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
        if name == "kernel":
            value = np.sqrt(2 / np.prod(shape[:-1])) * rng.standard_normal(shape)
        else:
            value = np.full(shape, name in ("scale", "var"))
        tree.setdefault(layer, {})[name] = value.astype(np.float32)
        return tree[layer][name]

    return leaf


def apply_network(setting: Setting, layers: Any, images: Any) -> Any:
    return setting.network(layers, images, classes=setting.classes, **setting.options)


def make_equal_steps(name: str, problem: Problem, providers: Sequence[str]) -> dict[str, Program]:
    """Each provider's step, after its first losses have been found to be those of the others."""
    steps = {provider: make_step(problem, provider) for provider in providers}
    losses = {provider: [step.run() for _ in range(_STEPS_COMPARED)] for provider, step in steps.items()}
    require_equal(name, losses)
    return steps


def require_equal(name: str, losses: dict[str, list[float]]) -> None:
    """Raises RuntimeError where a library does not compute the same steps."""
    first = next(iter(losses.values()))
    for provider, found in losses.items():
        # The second loss has gone through a whole step, which enlarges what rounding differs by.
        if not np.allclose(found, first, rtol=(1e-4, 1e-2)):
            raise RuntimeError(f"{name}: {provider}'s first losses are {found}, the others' {first}")


def make_step(problem: Problem, provider: str) -> Program:
    """A program that makes the next step and returns its loss when it is done."""
    if "torch" in provider:
        from benchmarks.torch_step import make_torch_step

        return make_torch_step(problem, compiled=provider == "torch.compile")
    step = jax_step(problem.setting, provider)
    carried = jax_start(problem)
    images, labels = jnp.asarray(problem.images), jnp.asarray(problem.labels)
    args = *carried, images, labels
    program = compiled(step, *args, donate_argnums=(0, 1, 2))

    def run():
        *carried[:], loss = program.run(*carried, images, labels)
        return float(jax.block_until_ready((carried, loss))[1])

    return program._replace(run=run)


def jax_start(problem: Problem) -> list[Tree]:
    """What ``jax_step`` carries on from step to step: parameters, running statistics, the optimizer's state."""
    params, state = jax.tree.map(jnp.array, (problem.params, problem.state))
    return [params, state, _OPTIMIZER.init(params)]


def jax_step(setting: Setting, provider: str) -> Callable[..., tuple]:
    """``step(params, state, opt_state, images, labels) -> (params, state, opt_state, loss)``, to be jitted."""
    apply, cross_entropy = _jax_apply(setting, provider)
    rules = fcnn.autodiff if provider == "autodiff" else contextlib.nullcontext

    def step(params, state, opt_state, images, labels):
        def loss_fn(params):
            logits, moved = apply(params, state, images)
            return cross_entropy(logits, labels).mean(), moved

        with rules():
            (loss, moved), grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
        updates, opt_state = _OPTIMIZER.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), moved, opt_state, loss

    return step


def _jax_apply(setting: Setting, provider: str) -> tuple[Callable, Callable]:
    """``apply(params, state, images) -> (logits, moved state)`` and the cross-entropy."""
    if provider == "flax":
        module = FlaxNetwork(lambda layers, images: apply_network(setting, layers, images))
        return module.apply_with_statistics, optax.softmax_cross_entropy_with_integer_labels

    kind = OurRematLayers if provider == "ours" else OurLayers

    def apply(params, state, images):
        layers = kind(_looked_up(params), _looked_up(state))
        logits = apply_network(setting, layers, images)
        return logits, layers.moved

    return apply, fcnn.softmax_cross_entropy


def _looked_up(tree: Tree) -> Leaf:
    return lambda layer, name, shape: tree[layer][name]
