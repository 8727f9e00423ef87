"""Times a training step as batch, image size, channels and depth grow: ``python -m benchmarks.scaling``.

The network is a plain residual one. From one base setting each axis grows alone, and every provider's time and
temp memory are measured at each of its values: the mean cross-entropy, its gradient and SGD with momentum, in
float32; PyTorch is eager and channels last. First losses must agree before anything is timed. Writes scaling.json,
scaling.csv and scaling.png.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from tqdm import tqdm

from benchmarks import measure, report
from benchmarks.arguments import make_parser
from benchmarks.measure import STEP_PROVIDERS
from benchmarks.networks import Setting, plain_resnet
from benchmarks.report import Panel
from benchmarks.steps import make_equal_steps, make_problem

measure.quiet_threads()  # before PyTorch is imported, which making its step does


class Point(NamedTuple):
    """How much work a step is; each field is an axis."""

    batch: int
    size: int
    channels: int
    depth: int


BASE = Point(batch=16, size=32, channels=32, depth=4)
VALUES = {
    "batch": (8, 16, 32, 64, 128),
    "size": (8, 16, 32, 64, 128),
    "channels": (16, 32, 64, 128, 256),
    "depth": (1, 2, 4, 8, 16),
}
_LABELS = {
    "batch": "batch (images)",
    "size": "height and width (pixels)",
    "channels": "channels",
    "depth": "depth (blocks)",
}

Rows = list[dict[str, Any]]


def parse() -> argparse.Namespace:
    providers = ("ours", "flax", "torch")
    parser = make_parser(
        "scaling",
        __doc__,
        seconds=4.0,
        timed="each provider's steps at each point",
        known=STEP_PROVIDERS,
        providers=providers,
    )
    parser.add_argument("--axes", nargs="+", choices=VALUES, default=list(VALUES))
    return parser.parse_args()


def main() -> None:
    options = parse()
    rows: Rows = []
    measured: dict[Point, Rows] = {}
    changes = [(axis, value) for axis in options.axes for value in VALUES[axis]]
    for axis, value in tqdm(changes, unit="point"):
        point = BASE._replace(**{axis: value})
        if point not in measured:  # the base lies on every axis
            measured[point] = measure_point(point, options)
        rows += [{"axis": axis, "value": value} | row for row in measured[point]]
        # After each point, so that a run that is stopped leaves what it has measured.
        report.write(options.output, "scaling", rows, {"seconds": options.seconds, "dtype": "float32"})
        jax.clear_caches()
    print(table(rows))
    print(summary(rows))
    draw(options.output / "scaling.png", rows, options.axes)


def measure_point(point: Point, options: argparse.Namespace) -> Rows:
    """One dict for each provider."""
    problem = make_problem(_setting(point))
    steps = make_equal_steps(str(point), problem, options.providers)
    return [point._asdict() | columns for columns in measure.interleaved(steps, seconds=options.seconds)]


def _setting(point: Point) -> Setting:
    options = {"channels": point.channels, "depth": point.depth}
    return Setting(plain_resnet, point.batch, point.size, channels=3, classes=10, options=options)


def table(rows: Rows) -> str:
    lines = [f"{'axis':9} {'value':>5} {'provider':14} {'ms':>9} {'compile s':>9} {'temp MiB':>9}"]
    for row in rows:
        compile_s, temp_mb = (report.cell(row[column]) for column in ("compile_s", "temp_mb"))
        lines.append(
            f"{row['axis']:9} {row['value']:5} {row['provider']:14} {row['median_ms']:9.1f} "
            f"{compile_s:>9} {temp_mb:>9}"
        )
    return "\n".join(lines)


def summary(rows: Rows) -> str:
    """How time and memory grow, for each axis and provider."""
    lines = []
    for axis, provider, found in _curves(rows):
        text = f"{axis}: {provider}: time ~ {axis}^{exponent(found, 'median_ms'):.2f}"
        if found[0]["temp_mb"] is not None:
            text += f", memory ~ {axis}^{exponent(found, 'temp_mb'):.2f}"
        lines.append(text)
    return "\n".join(lines)


def _curves(rows: Rows) -> Iterator[tuple[str, str, Rows]]:
    """Each axis and provider with its rows."""
    for axis, provider in dict.fromkeys((row["axis"], row["provider"]) for row in rows):
        yield axis, provider, [row for row in rows if (row["axis"], row["provider"]) == (axis, provider)]


def exponent(rows: Rows, column: str) -> float:
    """Of the power of the axis's value by which a column grows from the first row to the last."""
    first, last = rows[0], rows[-1]
    return math.log(last[column] / first[column]) / math.log(last["value"] / first["value"])


def draw(path: Path, rows: Rows, axes: Sequence[str]) -> None:
    """A row of panels for the time, with its quartiles, and one for the memory of those who tell it."""
    base = ", ".join(f"{axis} {value}" for axis, value in BASE._asdict().items())
    title = f"Training step of a plain residual network, float32; from {base} each axis grows alone"
    grid = [
        [_panel(rows, axis, "median step (ms)", ("low_ms", "median_ms", "high_ms")) for axis in axes],
        [_panel(rows, axis, "temp memory (MiB)", ("temp_mb",) * 3) for axis in axes],
    ]
    report.curves(path, title, grid)


def _panel(rows: Rows, axis: str, label: str, columns: Sequence[str]) -> Panel:
    curves = {
        provider: [(row["value"], *(row[column] for column in columns)) for row in found]
        for of, provider, found in _curves(rows)
        if of == axis and found[0][columns[0]] is not None
    }
    return Panel(_LABELS[axis], label, curves)


if __name__ == "__main__":
    main()
