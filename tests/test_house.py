"""The house: imports go down the floors, files stay short, public names are documented."""

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import functional_cnn as fcnn
from functional_cnn.verify.cases import OPS

PACKAGE = Path(fcnn.__file__).parent
FLOORS = {
    "_apart": 0,
    "_runs": 0,
    "_checks": 0,
    "_numerics": 0,
    "_window": 0,
    "_pool_window": 0,
    "_views": 0,
    "rule": 0,
    "rematerialization": 1,
    "ops": 1,
    "composition": 2,
    "init": 2,
    "verify": 2,
    "models": 3,
    "data": 4,
    "pretrained": 4,
    "training": 4,
    "tuning": 3,
}
# The pages of cases call the public ops by their public names, as a user does.
ABOVE = "verify/cases/", "functional_cnn"
FILES = sorted(PACKAGE.rglob("*.py"))


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("functional_cnn"):
            if node.module in ("functional_cnn", "functional_cnn.ops"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            else:
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("functional_cnn"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_down(path):
    relative = path.relative_to(PACKAGE)
    if relative.name == "__init__.py" and len(relative.parts) == 1:
        return
    room = relative.parts[0].removesuffix(".py")
    for module in imported_modules(path):
        if relative.as_posix().startswith(ABOVE[0]) and module == ABOVE[1]:
            continue
        other = module.split(".")[1]
        assert FLOORS[other] < FLOORS[room] or other == room or FLOORS[room] == 0 == FLOORS[other], module
        if room == other == "ops":
            assert module.split(".")[2].startswith("_"), "files of ops do not import each other"
    if room == "rule":
        assert not any("ops" in module for module in imported_modules(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_file_of_many_hundred_lines(path):
    assert len(path.read_text().splitlines()) <= 350


def test_public_functions_have_full_docstrings():
    for name in fcnn.__all__:
        value = getattr(fcnn, name)
        if not inspect.isfunction(value):
            continue
        doc = inspect.getdoc(value)
        assert "Example:\n" in doc, name
        for argument in inspect.signature(value).parameters:
            assert f"{argument}:" in doc, (name, argument)
        if name in OPS:
            for section in ("Args:", "Returns:", "Raises:", "Reference"):
                assert section in doc, (name, section)


def test_core_needs_neither_optax_nor_what_is_an_extra():
    code = (
        "import sys, functional_cnn\n"
        "heavy = {'optax', 'tqdm', 'matplotlib', 'sklearn', 'safetensors', 'chex'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "import functional_cnn as fcnn; fcnn.training; fcnn.data; fcnn.verify"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'convolve'"):
        fcnn.convolve  # noqa: B018


def test_training_step_under_the_next_custom_vjp_and_remat():
    """``JAX_CUSTOM_VJP3`` and ``JAX_REMAT3`` switch to JAX's next implementations of both."""
    code = """
import jax, jax.numpy as jnp, optax
import functional_cnn as fcnn
model, optimizer = fcnn.models.lenet(image_size=12, paddings=("SAME", "SAME"), batch_norm=True), optax.sgd(0.1)
params, state = model.init(jax.random.key(0))
images, labels = jnp.ones((4, 12, 12, 1)), jnp.arange(4)
apply = jax.checkpoint(lambda params, images: model.apply(params, state, images, train=True)[0])

@jax.jit
def step(params, images):
    def loss(params):
        return fcnn.softmax_cross_entropy(apply(params, images), labels).mean()
    value, grads = jax.value_and_grad(loss)(params)
    return optax.apply_updates(params, jax.tree.map(lambda g: -0.1 * g, grads)), value

params, first = step(params, images)
_, second = step(params, images)
assert second < first, (first, second)
print(f"{first:.6f}")
"""
    printed = []
    for switches in ({}, {"JAX_CUSTOM_VJP3": "1", "JAX_REMAT3": "1"}):
        environment = os.environ | switches
        run = subprocess.run(
            [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
        )
        printed.append(run.stdout)
    assert printed[0] == printed[1]
