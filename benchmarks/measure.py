"""Timing of several functions in one process, interleaved."""

import os
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

_FEWEST_CALLS = 3
_MOST_CALLS = 30


class Timing(NamedTuple):
    """Seconds a call: the median and the quartiles."""

    median: float
    low: float
    high: float
    count: int


def quiet_threads() -> None:
    """Lets PyTorch's threads sleep between calls; call it before PyTorch is imported.

    OpenMP's threads otherwise spin for a while after a call and slow whatever runs next in the process.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("KMP_BLOCKTIME", "0")


def interleaved(
    runs: dict[str, Callable[[], Any]], *, seconds: float, rest: float = 0.02
) -> dict[str, Timing]:
    """Calls the functions in turn, each until its calls have taken ``seconds``, three to thirty times.

    Each round starts with another function, so that none always follows the same one; ``rest`` seconds of
    sleep before each call let the threads of the one before come to rest. A call ends when the JAX arrays
    that it returns are there. One call of each comes before, untimed.
    """
    for run in runs.values():
        jax.block_until_ready(run())
    times: dict[str, list[float]] = {name: [] for name in runs}
    order = list(runs)
    while order:
        for name in order:
            time.sleep(rest)
            start = time.perf_counter()
            jax.block_until_ready(runs[name]())
            times[name].append(time.perf_counter() - start)
        order = [*order[1:], order[0]]
        order = [name for name in order if not _enough(times[name], seconds)]
    return {name: _timing(taken) for name, taken in times.items()}


def _enough(taken: list[float], seconds: float) -> bool:
    return len(taken) == _MOST_CALLS or (len(taken) >= _FEWEST_CALLS and sum(taken) >= seconds)


def _timing(taken: list[float]) -> Timing:
    low, median, high = statistics.quantiles(taken, n=4, method="inclusive")
    return Timing(median, low, high, len(taken))
