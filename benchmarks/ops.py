"""Times single ops against autodiff, Flax and PyTorch: ``python -m benchmarks.ops``.

For each row of ``rows.py`` every provider is timed in three modes: forward; backward, all cotangents from
residuals at hand; and both, which JAX compiles as one program. Float32. Writes ops.json, ops.csv and ops.png.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from benchmarks import measure, report
from benchmarks.rows import ROWS, Row

measure.quiet_threads()  # before PyTorch is imported, which the functions below do

PROVIDERS = ("ours", "autodiff", "flax", "torch", "torch.compile")
MODES = ("forward", "backward", "both")

Runs = dict[str, Callable[[], Any]]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ops",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--rows", default="", help="only rows whose name holds this text")
    parser.add_argument("--providers", nargs="+", choices=PROVIDERS, default=PROVIDERS)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each provider in each mode")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks"))
    return parser.parse_args()


def main() -> None:
    options = parse()
    rows = [row for row in ROWS if options.rows in row.name]
    if not rows:
        raise SystemExit(f"no row's name holds {options.rows!r}")
    measured = []
    for row in tqdm(rows, unit="row"):
        measured += measure_row(row, options.providers, options.seconds)
        # After each row, so that a run that is stopped leaves what it has measured.
        report.write(options.output, "ops", measured, {"seconds": options.seconds, "dtype": "float32"})
        jax.clear_caches()
    print(table(measured, options.providers))
    print(summary(measured, options.providers))
    draw(options.output / "ops.png", measured, options.providers)


def measure_row(row: Row, providers: tuple[str, ...], seconds: float) -> list[dict[str, Any]]:
    """One dict for each mode and provider."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in row.shapes]
    runs: dict[str, Runs] = {mode: {} for mode in MODES}
    compiling: dict[tuple[str, str], tuple[float, float | None]] = {}
    for provider in providers:
        made = _torch_runs(row, arrays, provider) if "torch" in provider else _jax_runs(row, arrays, provider)
        for mode, run, compile_s, temp_mb in made:
            runs[mode][provider] = run
            compiling[mode, provider] = compile_s, temp_mb
    found = []
    for mode in MODES:
        for provider, timing in measure.interleaved(runs[mode], seconds=seconds).items():
            compile_s, temp_mb = compiling[mode, provider]
            found.append(
                {
                    "row": row.name,
                    "family": row.family,
                    "mode": mode,
                    "provider": provider,
                    "median_ms": 1e3 * timing.median,
                    "low_ms": 1e3 * timing.low,
                    "high_ms": 1e3 * timing.high,
                    "calls": timing.count,
                    "compile_s": compile_s,
                    "temp_mb": temp_mb,
                }
            )
    return found


Made = Iterator[tuple[str, Callable[[], Any], float | None, float | None]]


def _jax_runs(row: Row, arrays: list[np.ndarray], provider: str) -> Made:
    """Each mode with its compiled program, the seconds to compile it and its temp memory in MiB."""
    op = {"ours": row.ours, "autodiff": _under_autodiff(row.ours), "flax": row.flax}[provider]
    if op is None:
        return
    args = [jax.numpy.asarray(array) for array in arrays]
    y, pull = jax.vjp(op, *args)
    dy = jax.numpy.ones_like(y) / 2 + y * 1e-3

    def both(dy, *args):
        y, pull = jax.vjp(op, *args)
        return y, pull(dy)

    programs = {"forward": (op, args), "backward": (_pull, (pull, dy)), "both": (both, (dy, *args))}
    for mode, (function, values) in programs.items():
        start = time.perf_counter()
        compiled = jax.jit(function).lower(*values).compile()
        taken = time.perf_counter() - start
        memory = compiled.memory_analysis().temp_size_in_bytes / 2**20
        yield mode, lambda run=compiled, values=values: run(*values), taken, memory


def _pull(pull, dy):
    return pull(dy)


def _under_autodiff(op: Callable[..., Any]) -> Callable[..., Any]:
    import functional_cnn as fcnn

    def derived(*args):
        with fcnn.autodiff():
            return op(*args)

    return derived


def _torch_runs(row: Row, arrays: list[np.ndarray], provider: str) -> Made:
    """Eager or compiled PyTorch; the compiled backward cannot be had apart from its forward."""
    import torch

    def forward(*tensors):
        return row.torch(torch.nn.functional, *tensors)

    first, *rest = (torch.from_numpy(array) for array in arrays)
    tensors = [_images(first), *(_kernel(tensor) for tensor in rest)]
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    op = torch.compile(forward) if provider == "torch.compile" else forward
    start = time.perf_counter()
    y = op(*leaves)
    dy = 0.5 + 1e-3 * y.detach()
    torch.autograd.grad(y, leaves, dy, retain_graph=provider == "torch")
    taken = time.perf_counter() - start if provider == "torch.compile" else None

    def without_gradient():
        with torch.no_grad():
            op(*tensors)

    yield "forward", without_gradient, taken, None
    if provider == "torch":
        yield "backward", lambda: _ignore(torch.autograd.grad(y, leaves, dy, retain_graph=True)), None, None
    yield "both", lambda: _ignore(torch.autograd.grad(op(*leaves), leaves, dy)), taken, None


def _ignore(value: Any) -> None:
    """Ends a call of PyTorch, which has done its work when it returns."""


def _images(tensor):
    """(N, *spatial, C) seen as (N, C, *spatial), which leaves the channels last in memory."""
    return tensor.movedim(-1, 1) if tensor.ndim > 2 else tensor


def _kernel(tensor):
    """(*window, I, O) to (O, I, *window); matrices and vectors stay."""
    if tensor.ndim < 3:
        return tensor
    import torch

    order = (tensor.ndim - 1, tensor.ndim - 2, *range(tensor.ndim - 2))
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    layout = layouts.get(tensor.ndim, torch.contiguous_format)
    return tensor.permute(order).contiguous(memory_format=layout)


def _medians(measured: list[dict[str, Any]]) -> dict[tuple[str, str, str], float]:
    return {(found["row"], found["mode"], found["provider"]): found["median_ms"] for found in measured}


def ratios(measured: list[dict[str, Any]], mode: str, provider: str) -> dict[str, float]:
    """The provider's time over ours, by row, for the rows that it has."""
    medians = _medians(measured)
    names = dict.fromkeys(found["row"] for found in measured)
    return {
        name: medians[name, mode, provider] / medians[name, mode, "ours"]
        for name in names
        if (name, mode, provider) in medians
    }


def table(measured: list[dict[str, Any]], providers: tuple[str, ...]) -> str:
    """Our milliseconds and the others' times over ours, in each mode."""
    names = dict.fromkeys(found["row"] for found in measured)
    medians = _medians(measured)
    others = [provider for provider in providers if provider != "ours"]
    width = max(map(len, names))
    lines = [
        f"{'':{width}}"
        + "".join(f" | {mode:>8} {' '.join(f'{o[:13]:>9.13}' for o in others)}" for mode in MODES)
    ]
    for name in names:
        cells = []
        for mode in MODES:
            ours = medians[name, mode, "ours"]
            over = (medians.get((name, mode, other)) for other in others)
            text = " ".join(f"{'':>9}" if time is None else f"{time / ours:8.2f}x" for time in over)
            cells.append(f" | {ours:8.2f} {text}")
        lines.append(f"{name:{width}}" + "".join(cells))
    return "\n".join(lines)


def summary(measured: list[dict[str, Any]], providers: tuple[str, ...]) -> str:
    """Geometric means of the others' times over ours, by family, and the worst row of each provider."""
    families = dict.fromkeys(found["family"] for found in measured)
    family_of = {found["row"]: found["family"] for found in measured}
    lines = []
    for provider in (provider for provider in providers if provider != "ours"):
        for mode in MODES:
            found = ratios(measured, mode, provider)
            if not found:
                continue
            means = {"all": report.geometric_mean(list(found.values()))}
            for family in families:
                values = [ratio for name, ratio in found.items() if family_of[name] == family]
                if values:
                    means[family] = report.geometric_mean(values)
            worst = min(found, key=found.__getitem__)
            text = ", ".join(f"{name} {mean:.2f}x" for name, mean in means.items())
            lines.append(f"{provider}, {mode}: {text}; least {found[worst]:.2f}x at {worst}")
    return "\n".join(lines)


def draw(path: Path, measured: list[dict[str, Any]], providers: tuple[str, ...]) -> None:
    """Bars of forward and backward together."""
    names = list(dict.fromkeys(found["row"] for found in measured))
    series = {
        provider: [ratios(measured, "both", provider).get(name) for name in names]
        for provider in providers
        if provider in ("autodiff", "torch")
    }
    report.bars(
        path, "Forward and backward, float32", names, series, "times our time: to the right ours is faster"
    )


if __name__ == "__main__":
    main()
