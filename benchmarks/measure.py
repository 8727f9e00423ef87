"""Compiling programs, and timing several of them in one process, interleaved."""

import os
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

_FEWEST_CALLS, _CALLS = 7, 30
# Calls are calm where their interquartile range is at most this part of their median, the threshold of
# torch.utils.benchmark's adaptive_autorange; where they are not, up to this many times as many are made.
_CALM, _PATIENCE = 0.1, 4

PROVIDERS = ("ours", "autodiff", "flax", "torch", "torch.compile")
# Of whole steps; everything_saveable is ours with nothing made again in the backward pass.
STEP_PROVIDERS = ("ours", "everything_saveable", *PROVIDERS[1:])


class Program(NamedTuple):
    """What is timed.

    Attributes:
      run: makes one call; what it returns is waited for.
      compile_s: seconds from the function to the program; None where nothing is compiled.
      temp_mb: the program's temp memory in MiB, where the library tells.
    """

    run: Callable[..., Any]
    compile_s: float | None
    temp_mb: float | None


def compiled(function: Callable[..., Any], *args: Any, **options: Any) -> Program:
    """A JAX function compiled for arguments, with options of ``jax.jit``; it still takes them."""
    start = time.perf_counter()
    program = jax.jit(function, **options).lower(*args).compile()
    taken = time.perf_counter() - start
    return Program(program, taken, program.memory_analysis().temp_size_in_bytes / 2**20)


def quiet_threads() -> None:
    """Lets PyTorch's threads sleep between calls; call it before PyTorch is imported.

    OpenMP's threads otherwise spin for a while after a call and slow whatever runs next in the process.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("KMP_BLOCKTIME", "0")


def interleaved(programs: dict[str, Program], *, seconds: float, rest: float = 0.02) -> list[dict[str, Any]]:
    """Calls the functions in turn, each until its calls have taken ``seconds``, seven to thirty times.

    Where the machine does other work beside, calls differ, and more are made: four times as many at most. Each
    round starts with another function, so that none always follows the same one; ``rest`` seconds of sleep let
    the threads of the one before come to rest. A timed call follows an untimed one of the same function, as in a
    loop: after a sleep processors are slow for some milliseconds, and after another function its memory must be
    found anew. A call ends when the JAX arrays that it returns are there.

    Returns the columns of a table's rows, one for each provider.
    """
    times: dict[str, list[float]] = {name: [] for name in programs}
    order = list(programs)
    while order:
        for name in order:
            time.sleep(rest)
            jax.block_until_ready(programs[name].run())
            start = time.perf_counter()
            jax.block_until_ready(programs[name].run())
            times[name].append(time.perf_counter() - start)
        order = [*order[1:], order[0]]
        order = [name for name in order if not _enough(times[name], seconds)]
    return [_columns(name, programs[name], taken) for name, taken in times.items()]


def _enough(taken: list[float], seconds: float) -> bool:
    calls, total = len(taken), sum(taken)
    if calls < _FEWEST_CALLS:
        return False
    if calls >= _PATIENCE * _CALLS or total >= _PATIENCE * seconds:
        return True
    return (calls >= _CALLS or total >= seconds) and _calm(taken)


def _calm(taken: list[float]) -> bool:
    low, median, high = _quartiles(taken)
    return high - low <= _CALM * median


def _quartiles(taken: list[float]) -> list[float]:
    return statistics.quantiles(taken, n=4, method="inclusive")


def _columns(provider: str, program: Program, taken: list[float]) -> dict[str, Any]:
    """The median and the quartiles in milliseconds, and what compiling took."""
    low, median, high = (1e3 * quartile for quartile in _quartiles(taken))
    return {
        "provider": provider,
        "median_ms": median,
        "low_ms": low,
        "high_ms": high,
        "calls": len(taken),
        "compile_s": program.compile_s,
        "temp_mb": program.temp_mb,
    }
