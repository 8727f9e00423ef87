"""Times single ops against autodiff, Flax and PyTorch: ``python -m benchmarks.ops``.

For each row of ``rows.py`` every provider is timed in three modes: forward; backward, all cotangents from
residuals at hand; and both, which JAX compiles as one program. Float32. Writes ops.json, ops.csv and ops.png.
"""

import argparse
import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

import functional_cnn as fcnn
from benchmarks import measure, report
from benchmarks.arguments import make_parser
from benchmarks.kinds import Row
from benchmarks.measure import Program
from benchmarks.rows import ROWS
from functional_cnn import tuning
from functional_cnn.tuning import Setting

measure.quiet_threads()  # before PyTorch is imported, which the functions below do

MODES = ("forward", "backward", "both")

# Else a program whose result lies in another thread's arena may give its pages back and take them anew at every call:
# one took 10 or 35 ms, from one copy of its arguments to the next.
KEEPING_MEMORY = tuple(
    Setting("GLIBC_TUNABLES", f"glibc.malloc.{name}", value, reason)
    for name, value, reason in (
        ("arena_max", "1", "all threads share the memory that one of them has freed"),
        ("mmap_max", "0", "large arrays too come from it"),
        ("trim_threshold", "17179869184", "it does not go back to the system"),
    )
)


def parse() -> argparse.Namespace:
    parser = make_parser("ops", __doc__, seconds=0.1, timed="each provider in each mode")
    parser.add_argument(
        "--rows", nargs="+", default=[""], help="only rows whose name holds one of these texts"
    )
    return parser.parse_args()


def main() -> None:
    options = parse()
    tuning.restart_with(KEEPING_MEMORY)
    rows = [row for row in ROWS if any(text in row.name for text in options.rows)]
    if not rows:
        raise SystemExit(f"no row's name holds any of {options.rows}")
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
    args = [jax.numpy.asarray(array) for array in arrays]  # JAX's providers read the same memory
    programs: dict[str, dict[str, Program]] = {mode: {} for mode in MODES}
    for provider in providers:
        in_torch = "torch" in provider
        made = _torch_programs(row, arrays, provider) if in_torch else _jax_programs(row, args, provider)
        for mode, program in made:
            programs[mode][provider] = program
    return [
        {"row": row.name, "family": row.family, "mode": mode} | columns
        for mode in MODES
        for columns in measure.interleaved(programs[mode], seconds=seconds)
    ]


def _jax_programs(row: Row, args: list[jax.Array], provider: str) -> Iterator[tuple[str, Program]]:
    """Each mode with its program."""
    op = {"ours": row.ours, "autodiff": _under_autodiff(row.ours), "flax": row.flax}[provider]
    y, pull = jax.vjp(op, *args)
    dy = jax.numpy.ones_like(y) / 2 + y * 1e-3

    def both(dy, *args):
        y, pull = jax.vjp(op, *args)
        return y, pull(dy)

    for mode, function, values in (
        ("forward", op, args),
        ("backward", _pull, (pull, dy)),
        ("both", both, (dy, *args)),
    ):
        yield mode, _called_with(values, measure.compiled(function, *values))


def _called_with(values: tuple[Any, ...], program: Program) -> Program:
    """The program with these arguments."""

    def elsewhere():
        return program._replace(run=functools.partial(program.run, *jax.tree.map(jax.numpy.copy, values)))

    return program._replace(run=functools.partial(program.run, *values), elsewhere=elsewhere)


def _pull(pull, dy):
    return pull(dy)


def _under_autodiff(op: Callable[..., Any]) -> Callable[..., Any]:
    def derived(*args):
        with fcnn.autodiff():
            return op(*args)

    return derived


def _torch_programs(row: Row, arrays: list[np.ndarray], provider: str) -> Iterator[tuple[str, Program]]:
    """Eager or compiled PyTorch; the compiled backward cannot be had apart from its forward."""
    import torch

    from benchmarks import torch_arrays

    def forward(*tensors):
        return row.torch(torch.nn.functional, *tensors)

    compiles = provider == "torch.compile"
    op = torch.compile(forward) if compiles else forward

    def calls() -> dict[str, Callable[[], None]]:
        """Each mode's, with arguments of their own; they return nothing to wait for."""
        images, *rest = arrays
        tensors = [
            torch_arrays.images(images.copy()),
            *(torch_arrays.kernel(array) if array.ndim > 2 else torch.tensor(array) for array in rest),
        ]
        leaves = [tensor.detach().requires_grad_() for tensor in tensors]
        y = op(*leaves)
        dy = 0.5 + 1e-3 * y.detach()

        def without_gradient():
            with torch.no_grad():
                op(*tensors)

        def backward():
            torch.autograd.grad(y, leaves, dy, retain_graph=True)

        def both():
            torch.autograd.grad(op(*leaves), leaves, dy)

        return {"forward": without_gradient, "backward": backward, "both": both}

    start = time.perf_counter()
    first = calls()
    first["both"]()  # compiles, where anything does
    compile_s = time.perf_counter() - start if compiles else None
    for mode, call in first.items():
        if mode != "backward" or not compiles:
            yield mode, Program(call, compile_s, None, elsewhere=functools.partial(_other_call, calls, mode))


def _other_call(calls: Callable[[], dict[str, Callable[[], None]]], mode: str) -> Program:
    return Program(calls()[mode], None, None)


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
    report.bars(path, "Forward and backward, float32", names, series)


if __name__ == "__main__":
    main()
