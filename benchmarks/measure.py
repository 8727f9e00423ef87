"""Compiling programs, and timing several of them in one process, interleaved."""

import gc
import math
import os
import random
import re
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

_FEWEST_SAMPLES, _SAMPLES = 7, 30
# A sample takes at least so many seconds, as many calls in a row as that needs, and follows untimed calls that take
# so many: after a rest processors are slow and threads share one of them for some 30 milliseconds.
_SAMPLE_S, _WARM_S = 0.02, 0.03
# Before a sample up to so many bytes are taken, so that results lie elsewhere in the next.
_SHIFT = 2**24
# Samples are calm where their interquartile range is at most this part of their median, the threshold of
# torch.utils.benchmark's adaptive_autorange; where they are not, up to this many times as many are taken.
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
      text: what was compiled, but for names, where the library tells.
      compile_again: compiles what was compiled and returns the seconds; None where nothing is.
      elsewhere: the same with copies of its arguments; None where they stay in their place.
    """

    run: Callable[..., Any]
    compile_s: float | None
    temp_mb: float | None
    text: str | None = None
    compile_again: Callable[[], float] | None = None
    elsewhere: Callable[[], "Program"] | None = None


def compiled(function: Callable[..., Any], *args: Any, **options: Any) -> Program:
    """A JAX function compiled for arguments, with options of ``jax.jit``; it still takes them."""
    types = jax.eval_shape(lambda *args: args, *args)  # arguments may be donated before it is compiled again

    def compile_once():
        start = time.perf_counter()
        program = jax.jit(function, **options).lower(*types).compile()
        return program, time.perf_counter() - start

    program, compile_s = compile_once()
    temp_mb = program.memory_analysis().temp_size_in_bytes / 2**20
    return Program(program, compile_s, temp_mb, _without_names(program.as_text()), lambda: compile_once()[1])


def compiled_in_turn(programs: dict[str, Program], rounds: int) -> dict[str, Program]:
    """The programs, each with the median of so many compilations as its ``compile_s``.

    They are compiled in turn, from empty caches: one of a large network may take a third longer than the next, and the
    machine may be as fast at no other time.
    """
    taken = {name: [] for name, program in programs.items() if program.compile_again is not None}
    for _ in range(rounds):
        for name, seconds in taken.items():
            jax.clear_caches()
            gc.collect()
            seconds.append(programs[name].compile_again())
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    return {
        name: program._replace(compile_s=medians.get(name, program.compile_s))
        for name, program in programs.items()
    }


def _without_names(program: str) -> str:
    """The instructions of a program as XLA prints it, their names exchanged for numbers."""
    numbers: dict[str, int] = {}
    instructions = [line for line in program.splitlines() if line.startswith("  ") and " = " in line]
    text = re.sub(r", metadata=\{[^}]*\}", "", "\n".join(instructions))
    return re.sub(r"%[\w.-]+", lambda name: f"%{numbers.setdefault(name[0], len(numbers))}", text)


def quiet_threads() -> None:
    """Lets PyTorch's threads sleep between calls; call it before PyTorch is imported.

    OpenMP's threads otherwise spin for a while after a call and slow whatever runs next in the process.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("KMP_BLOCKTIME", "0")


def interleaved(programs: dict[str, Program], *, seconds: float, rest: float = 0.02) -> list[dict[str, Any]]:
    """Takes samples of the programs in turn, until those of each have taken ``seconds``, seven to thirty samples.

    A sample is the mean time of a call, over as many calls in a row as take twenty milliseconds. Where the machine
    does other work beside, samples differ, and more are taken: four times as many at most. They are taken of the
    others too, as far as their own four times reach, since the machine may be as fast at no other time. Each round
    has another order, so that none always follows the same one; ``rest`` seconds of sleep let the threads of the one
    before come to rest. A sample follows untimed calls of the same program, thirty milliseconds and one at least, as in
    a loop. Results and, where a program can copy them, arguments lie elsewhere in memory from one sample to the next,
    as a program may take half as long again where they lie badly. A call ends when the JAX arrays that it returns are
    there.

    Programs that are equal but for names are timed as one: two of them differ by up to a fifth, as their memory lies.

    Returns the columns of a table's rows, one for each provider.
    """
    first = {program.text or name: name for name, program in reversed(programs.items())}
    timed = {name: first[program.text or name] for name, program in programs.items()}
    taken = {name: _quickest(programs[name]) for name in timed.values()}
    calls = {name: math.ceil(_SAMPLE_S / one) for name, one in taken.items()}
    untimed = {name: math.ceil(_WARM_S / one) for name, one in taken.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    order, rng = list(calls), random.Random(0)
    while not all(_enough(samples[name], seconds / calls[name]) for name in order):
        for name in order:
            time.sleep(rest)
            shift = np.empty(rng.randrange(_SHIFT), np.uint8)
            program = programs[name]
            program = program if program.elsewhere is None else program.elsewhere()
            _seconds_a_call(program, untimed[name])
            samples[name].append(_seconds_a_call(program, calls[name]))
            del program, shift
        rng.shuffle(order)
        order = [name for name in order if not _all_taken(samples[name], seconds / calls[name])]
    return [_columns(name, program, samples[timed[name]]) for name, program in programs.items()]


def _quickest(program: Program) -> float:
    """The shortest of three calls, in seconds, the first of which may take much longer."""
    return min(_seconds_a_call(program) for _ in range(3))


def _seconds_a_call(program: Program, calls: int = 1) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        jax.block_until_ready(program.run())
    return (time.perf_counter() - start) / calls


def _enough(samples: list[float], seconds: float) -> bool:
    """Whether these samples tell a program's time."""
    return len(samples) >= _FEWEST_SAMPLES and _taken(samples, _SAMPLES, seconds) and _calm(samples)


def _all_taken(samples: list[float], seconds: float) -> bool:
    """Whether no more samples than these are taken of a program."""
    most, longest = _PATIENCE * _SAMPLES, _PATIENCE * seconds
    return len(samples) >= _FEWEST_SAMPLES and _taken(samples, most, longest)


def _taken(samples: list[float], count: int, seconds: float) -> bool:
    return len(samples) >= count or sum(samples) >= seconds


def _calm(samples: list[float]) -> bool:
    low, median, high = _quartiles(samples)
    return high - low <= _CALM * median


def _quartiles(samples: list[float]) -> list[float]:
    return statistics.quantiles(samples, n=4, method="inclusive")


def _columns(provider: str, program: Program, samples: list[float]) -> dict[str, Any]:
    """The median and the quartiles in milliseconds, and what compiling took."""
    low, median, high = (1e3 * quartile for quartile in _quartiles(samples))
    return {
        "provider": provider,
        "median_ms": median,
        "low_ms": low,
        "high_ms": high,
        "samples": len(samples),
        "compile_s": program.compile_s,
        "temp_mb": program.temp_mb,
    }
