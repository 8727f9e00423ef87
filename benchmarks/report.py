"""What a benchmark leaves behind: figures as JSON and CSV with the machine they come from, and pictures."""

import csv
import datetime
import importlib.metadata
import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

_PACKAGES = ("functional_cnn", "jax", "jaxlib", "flax", "torch")
_VARIABLES = ("XLA_FLAGS", "GLIBC_TUNABLES", "OMP_WAIT_POLICY")
_COLOURS = {
    "ours": "#262626",
    "everything_saveable": "#8172B3",
    "autodiff": "#4C72B0",
    "flax": "#55A868",
    "torch": "#DD8452",
    "torch.compile": "#937860",
}


def machine() -> dict[str, str]:
    """The processor, the versions, the variables that change speed, and the date."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{package: _version(package) for package in _PACKAGES},
        **{variable: os.environ.get(variable, "") for variable in _VARIABLES},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def write(directory: Path, name: str, rows: Sequence[dict[str, Any]], settings: dict[str, Any]) -> None:
    """Writes ``<name>.json``, with machine and settings, and ``<name>.csv``; rows have equal columns."""
    directory.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine(), "settings": settings, "rows": list(rows)}
    (directory / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    with (directory / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def cell(value: float | None) -> str:
    """A cell of a printed table, empty where a library does not tell."""
    return "" if value is None else f"{value:.1f}"


def geometric_mean(ratios: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def bars(path: Path, title: str, rows: Sequence[str], series: dict[str, Sequence[float | None]]) -> None:
    """Horizontal bars of the providers' times over ours, one group a row, on a logarithmic axis.

    Without a provider to compare there is no picture, and a line says so.
    """
    if not series:
        print(f"no {path.name}: nothing was timed that it compares with ours")
        return
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    height = 0.8 / len(series)
    figure, axes = plt.subplots(figsize=(9, 1.5 + len(rows) * max(0.22, 0.11 * len(series))))
    for number, (name, ratios) in enumerate(series.items()):
        present = [(i, ratio) for i, ratio in enumerate(ratios) if ratio is not None]
        axes.barh(
            [i + (number - (len(series) - 1) / 2) * height for i, _ in present],
            # A bar on a logarithmic axis starts at 1: to the right ours is faster, to the left slower.
            [ratio - 1 for _, ratio in present],
            height,
            left=1,
            label=name,
            color=_COLOURS.get(name),
        )
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("times our time: to the right ours is faster")
    axes.set_title(title)
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


class Panel(NamedTuple):
    """A quantity against another, one curve for each provider.

    Attributes:
      x_label: with the unit, as y_label.
      y_label: of the row of panels that this one stands in.
      curves: points x, low, y, high; the band between low and high is shaded.
    """

    x_label: str
    y_label: str
    curves: Mapping[str, Sequence[tuple[float, float, float, float]]]


def curves(path: Path, title: str, grid: Sequence[Sequence[Panel]]) -> None:
    """Rows of panels on logarithmic axes; panels of a row share y."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    height, width = len(grid), len(grid[0])
    figure, places = plt.subplots(
        height,
        width,
        figsize=(1 + 3.2 * width, 1 + 3 * height),
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for row, line in zip(places, grid, strict=True):
        for axes, panel in zip(row, line, strict=True):
            _draw_panel(axes, panel)
        row[0].set_ylabel(line[0].y_label)
    figure.suptitle(title)
    handles, names = places[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_panel(axes: Any, panel: Panel) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    axes.set_xscale("log")
    axes.set_yscale("log")
    for provider, points in panel.curves.items():
        x, low, y, high = zip(*points, strict=True)
        axes.fill_between(x, low, high, color=_COLOURS[provider], alpha=0.2, linewidth=0)
        axes.plot(x, y, marker="o", markersize=4, color=_COLOURS[provider], label=provider)
        axes.set_xticks(x, [f"{value:g}" for value in x])
    axes.xaxis.set_minor_locator(NullLocator())
    # Powers of ten alone would leave many a panel with one labelled line.
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(panel.x_label)
    axes.grid(alpha=0.3)
