"""Times a training step of our models with rematerialised and scanned blocks: ``python -m benchmarks.depth``.

A step is that of ``training.make_train_step`` with SGD with momentum, in float32, on one batch. Each model is measured
with the options that it has; compile time and temp memory tell what they are for. Writes depth.json and depth.csv.
"""

import argparse
import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from tqdm import tqdm

from benchmarks import measure, report
from benchmarks.arguments import make_plain_parser
from benchmarks.measure import Program
from functional_cnn import models, training

_CONVS, _REMAT, _SCAN = {"remat": "convs_saveable"}, {"remat": True}, {"scan": True}
# ConvNeXt's blocks are equal, and can be scanned, without stochastic depth only.
MODELS: dict[str, tuple[dict[str, Any], ...]] = {
    "resnet50": ({}, _CONVS, _REMAT, _SCAN, _SCAN | _REMAT),
    "resnet101": ({}, _CONVS, _REMAT, _SCAN, _SCAN | _REMAT),
    "mobilenet_v2": ({}, _CONVS, _REMAT, _SCAN, _SCAN | _REMAT),
    "efficientnet_b0": ({}, _CONVS, _REMAT),
    "convnext_tiny": ({}, _CONVS, _REMAT),
    "densenet121": ({}, _CONVS, _REMAT),
}


def parse() -> argparse.Namespace:
    parser = make_plain_parser("depth", __doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=224, help="height and width of the images")
    parser.add_argument("--seconds", type=float, default=5.0, help="of the steps with each options")
    return parser.parse_args()


def main() -> None:
    options = parse()
    rows = []
    for name in tqdm(options.models, unit="model"):
        rows += measure_model(name, options)
        # After each model, so that a run that is stopped leaves what it has measured.
        report.write(options.output, "depth", rows, {"seconds": options.seconds, "dtype": "float32"})
        jax.clear_caches()
    print(table(rows))


def measure_model(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One dict for each set of options."""
    programs = {
        named(chosen): make_program(name, chosen, options.batch, options.size) for chosen in MODELS[name]
    }
    measured = measure.interleaved(programs, seconds=options.seconds)
    where = {"model": name, "batch": options.batch, "size": options.size}
    return [where | {"options": row.pop("provider")} | row for row in measured]


def named(chosen: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in chosen.items()) or "neither"


def make_program(name: str, chosen: dict[str, Any], batch: int, size: int) -> Program:
    model, optimizer = models.create(name, **chosen), optax.sgd(1e-3, momentum=0.9)
    state = training.TrainState.create(model, optimizer, jax.random.key(0))
    images = jax.random.normal(jax.random.key(1), (batch, size, size, 3))
    labels = jnp.arange(batch, dtype=jnp.int32)
    program = measure.compiled(training.make_train_step(model, optimizer), state, images, labels)
    return program._replace(run=functools.partial(program.run, state, images, labels))


def table(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'model':16} {'options':24} {'ms':>9} {'compile s':>9} {'temp MiB':>9}"]
    for row in rows:
        lines.append(
            f"{row['model']:16} {row['options']:24} {row['median_ms']:9.1f} {row['compile_s']:9.1f} "
            f"{row['temp_mb']:9.1f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
