"""Counts what devices send each other in a sharded training step: ``python -m benchmarks.sharded``.

The batch of each network is split over four forced host devices, its parameters are on all of them. The steps are
those of ``benchmarks.train``, compiled and not run, with our rules and under autodiff, on a mesh of Explicit and
one of Auto axes. A step needs sums over the devices (all-reduce); gathered images would be a fault. Writes
sharded.json and sharded.csv.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from tqdm import tqdm

from benchmarks import report
from benchmarks.arguments import make_plain_parser
from benchmarks.collectives import Collective, collectives, gathered_bytes
from benchmarks.networks import SETTINGS
from benchmarks.steps import Problem, jax_start, jax_step, make_problem

DEVICES = 4
_AXES = {"explicit": AxisType.Explicit, "auto": AxisType.Auto}


def parse() -> argparse.Namespace:
    parser = make_plain_parser("sharded", __doc__)
    parser.add_argument("--networks", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--size", type=int, help="another image size")
    return parser.parse_args()


def main() -> None:
    options = parse()
    jax.config.update("jax_num_cpu_devices", DEVICES)
    rows: list[dict[str, Any]] = []
    for name in tqdm(options.networks, unit="network"):
        setting = SETTINGS[name]
        problem = make_problem(setting._replace(size=options.size or setting.size))
        rows += ({"network": name} | row for row in count(problem))
        report.write(options.output, "sharded", rows, {"devices": DEVICES, "dtype": "float32"})
        jax.clear_caches()
    print(table(rows))


def count(problem: Problem) -> Iterator[dict[str, Any]]:
    """A row for each provider and kind of axes."""
    parameter_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(problem.params))
    for axes, axis_type in _AXES.items():
        for provider in ("ours", "autodiff"):
            found = list(collectives(sharded_step(problem, provider, axis_type).as_text()))
            row = {"axes": axes, "provider": provider, "parameter_bytes": parameter_bytes}
            yield row | _columns(found)


def sharded_step(problem: Problem, provider: str, axis_type: AxisType) -> jax.stages.Compiled:
    """The step of a provider, compiled for a batch that is split among all devices."""
    mesh = jax.make_mesh((len(jax.devices()),), ("data",), axis_types=(axis_type,))
    with jax.set_mesh(mesh):
        whole, split = NamedSharding(mesh, P()), NamedSharding(mesh, P("data"))
        carried = jax.device_put(jax_start(problem), whole)
        batch = jax.device_put((problem.images, problem.labels), split)
        return jax.jit(jax_step(problem.setting, provider)).lower(*carried, *batch).compile()


def _columns(found: list[Collective]) -> dict[str, Any]:
    names = Counter(collective.name for collective in found)
    return {
        "collectives": len(found),
        "all_reduce": names["all-reduce"],
        "all_gather": names["all-gather"],
        "gathered_bytes": gathered_bytes(found),
    }


def table(rows: list[dict[str, Any]]) -> str:
    columns = ("collectives", "all_reduce", "all_gather", "gathered_bytes", "parameter_bytes")
    lines = [f"{'network':16} {'axes':9} {'provider':9}" + "".join(f"{column:>16}" for column in columns)]
    for row in rows:
        cells = "".join(f"{row[column]:16}" for column in columns)
        lines.append(f"{row['network']:16} {row['axes']:9} {row['provider']:9}{cells}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
