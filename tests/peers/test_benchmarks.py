"""The benchmarks' networks are those of their papers, and the benchmarks run."""

import csv
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

pytest.importorskip("flax", reason="the benchmarks compare with Flax")

from benchmarks import depth, measure, scaling, steps
from benchmarks.arguments import make_parser
from benchmarks.measure import Program
from benchmarks.networks import SETTINGS
from benchmarks.report import geometric_mean
from benchmarks.steps import make_problem, require_equal

ROOT = Path(__file__).parent.parent.parent
PARAMETERS = {
    "lenet": 61_706,
    "resnet18-224": 11_689_512,
    "resnet50-224": 25_557_032,
    "mobilenetv2": 3_504_872,
    "efficientnet-b0": 5_288_548,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_networks_have_their_published_sizes(name):
    problem = make_problem(SETTINGS[name]._replace(batch=1))
    assert sum(leaf.size for leaf in jax.tree.leaves(problem.params)) == PARAMETERS[name]


def test_geometric_mean():
    assert geometric_mean([1.0, 4.0, 16.0]) == pytest.approx(4.0)


def test_programs_that_are_equal_but_for_names_are_timed_as_one():
    def counted(name, function):
        program = measure.compiled(function, jnp.ones(3))

        def run():
            calls.append(name)
            return program.run(jnp.ones(3))

        return program._replace(run=run)

    calls = []
    programs = {
        "first": counted("first", lambda x: jnp.sin(x) + 1),
        "equal": counted("equal", lambda values: jnp.sin(values) + 1),
        "other": counted("other", lambda x: jnp.cos(x) + 1),
        "one that does not tell": Program(lambda: calls.append("silent"), None, None),
    }
    rows = {row["provider"]: row for row in measure.interleaved(programs, seconds=1e-3, rest=0)}
    assert list(rows) == list(programs)
    assert set(calls) == {"first", "other", "silent"}
    figures = ("median_ms", "low_ms", "high_ms", "samples")
    assert [rows["first"][name] for name in figures] == [rows["equal"][name] for name in figures]


def test_others_are_sampled_along_with_one_whose_samples_differ(monkeypatch):
    # What a program's run returns counts as its seconds; one run of two is untimed.
    monkeypatch.setattr(measure, "_seconds_a_call", lambda program, calls=1: program.run())
    differing = itertools.cycle([0.125, 0.125, 0.375, 0.375])
    calm, short = Program(lambda: 0.25, None, None), Program(lambda: 0.5, None, None)
    noisy = Program(lambda: next(differing), None, None)

    def samples(**programs):
        return [row["samples"] for row in measure.interleaved(programs, seconds=1.0, rest=0)]

    assert samples(calm=calm, short=short) == [7, 7]
    assert samples(noisy=noisy, calm=calm, short=short) == [16, 16, 8]


def run(module, output, *arguments):
    # Without the tests' own settings of XLA.
    plain = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "JAX_ENABLE_X64")}
    command = [sys.executable, "-m", module, "--seconds", "0.01", "--output", output, *arguments]
    finished = subprocess.run(command, env=plain, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_depth_measures_every_set_of_options(monkeypatch, tmp_path, capsys):
    narrow = {"width": 4, "stem": "small"}
    monkeypatch.setattr(depth, "MODELS", {"resnet18": (narrow, narrow | {"remat": True})})
    arguments = ["--batch", "4", "--size", "32", "--seconds", "0.01", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["depth", *arguments])
    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"):
        depth.main()
    assert "width=4, stem=small, remat=True" in capsys.readouterr().out
    rows = json.loads((tmp_path / "depth.json").read_text())["rows"]
    assert [row["options"] for row in rows] == ["width=4, stem=small", "width=4, stem=small, remat=True"]
    assert rows[1]["temp_mb"] < rows[0]["temp_mb"]
    assert depth.named({}) == "neither"


def test_compilations_are_timed_in_turn():
    asked = []

    def program(name, *seconds):
        left = iter(seconds)
        return Program(lambda: None, 9.0, None, compile_again=lambda: asked.append(name) or next(left))

    programs = {"ours": program("ours", 3.0, 1.0, 2.0), "flax": program("flax", 4.0, 6.0, 5.0)}
    timed = measure.compiled_in_turn(programs | {"torch": Program(lambda: None, None, None)}, rounds=3)
    assert {name: program.compile_s for name, program in timed.items()} == {
        "ours": 2.0,
        "flax": 5.0,
        "torch": None,
    }
    assert asked == ["ours", "flax"] * 3


def test_a_program_is_compiled_again_though_its_arguments_are_gone():
    argument = jnp.ones(3)
    program = measure.compiled(jnp.sin, argument, donate_argnums=0)
    program.run(argument)
    assert argument.is_deleted()
    assert program.compile_again() > 0


def test_ops_measures_every_provider_in_every_mode(tmp_path):
    shown = run(
        "benchmarks.ops", tmp_path, "--rows", "cross-entropy", "--providers", "ours", "autodiff", "flax"
    )
    assert "cross-entropy, 256x1000" in shown
    rows = json.loads((tmp_path / "ops.json").read_text())["rows"]
    modes = {"forward", "backward", "both"}
    assert {(row["provider"], row["mode"]) for row in rows} == {
        (provider, mode) for provider in ("ours", "autodiff", "flax") for mode in modes
    }
    assert all(0 < row["low_ms"] <= row["median_ms"] <= row["high_ms"] for row in rows)
    assert (tmp_path / "ops.csv").stat().st_size
    assert (tmp_path / "ops.png").stat().st_size


def test_train_compares_the_losses_of_all_libraries(tmp_path):
    pytest.importorskip("torch")
    providers = ("ours", "everything_saveable", "autodiff", "flax", "torch")
    small = ("--networks", "lenet", "--batch", "8", "--providers", *providers)
    assert "lenet" in run("benchmarks.train", tmp_path, *small)
    rows = json.loads((tmp_path / "train.json").read_text())["rows"]
    assert [row["provider"] for row in rows] == list(providers)
    assert (tmp_path / "train.png").stat().st_size


def test_train_refuses_losses_that_differ():
    with pytest.raises(RuntimeError, match="flax's first losses"):
        require_equal("lenet", {"ours": [2.3, 2.2], "flax": [2.3, 2.1]})


@pytest.mark.parametrize(
    ("module", "chosen"),
    [("ops", ("--rows", "cross-entropy")), ("train", ("--networks", "lenet", "--batch", "8"))],
)
def test_ours_alone_is_measured_without_a_picture(tmp_path, module, chosen):
    shown = run(f"benchmarks.{module}", tmp_path, *chosen, "--providers", "ours")
    assert f"no {module}.png" in shown
    assert {path.name for path in tmp_path.iterdir()} == {f"{module}.json", f"{module}.csv"}


def test_providers_without_ours_are_refused(capsys):
    parser = make_parser("train", None, seconds=1.0, timed="")
    with pytest.raises(SystemExit):
        parser.parse_args(["--providers", "flax", "torch"])
    assert "--providers: ours must be among them" in capsys.readouterr().err


@pytest.fixture
def tiny_scaling(monkeypatch, tmp_path):
    """Scaling from a network of a few numbers, with JAX as in a shell; yields what it is told to time."""
    monkeypatch.setattr(scaling, "BASE", scaling.Point(batch=2, size=4, channels=2, depth=1))
    monkeypatch.setattr(
        scaling, "VALUES", {"batch": (2, 4), "size": (4, 8), "channels": (2, 4), "depth": (1, 2)}
    )
    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"):
        yield lambda *arguments: monkeypatch.setattr(
            sys, "argv", ["scaling", "--seconds", "0.01", "--output", str(tmp_path), *arguments]
        )


def test_scaling_measures_every_value_of_every_axis(tiny_scaling, tmp_path, capsys):
    pytest.importorskip("torch")
    tiny_scaling()
    scaling.main()
    rows = json.loads((tmp_path / "scaling.json").read_text())["rows"]
    assert [(row["axis"], row["value"], row["provider"]) for row in rows] == [
        (axis, value, provider)
        for axis, values in scaling.VALUES.items()
        for value in values
        for provider in ("ours", "flax", "torch")
    ]
    for row in rows:
        assert {axis: row[axis] for axis in scaling.VALUES} == scaling.BASE._asdict() | {
            row["axis"]: row["value"]
        }
        assert 0 < row["low_ms"] <= row["median_ms"] <= row["high_ms"]
        assert (row["temp_mb"] is None) == (row["compile_s"] is None) == (row["provider"] == "torch")
    with (tmp_path / "scaling.csv").open() as file:
        assert csv.DictReader(file).fieldnames == list(rows[0])
    assert (tmp_path / "scaling.png").stat().st_size
    shown = capsys.readouterr().out
    for axis in scaling.VALUES:
        assert shown.count(f"time ~ {axis}^") == 3
        assert shown.count(f"memory ~ {axis}^") == 2  # PyTorch does not tell


def test_scaling_takes_some_axes_and_providers(tiny_scaling, tmp_path):
    tiny_scaling("--axes", "depth", "--providers", "ours")
    scaling.main()
    rows = json.loads((tmp_path / "scaling.json").read_text())["rows"]
    assert [(row["axis"], row["depth"], row["provider"]) for row in rows] == [
        ("depth", 1, "ours"),
        ("depth", 2, "ours"),
    ]
    assert (tmp_path / "scaling.png").stat().st_size


def test_scaling_refuses_losses_that_differ(tiny_scaling, tmp_path, monkeypatch):
    losses = {"ours": 2.3, "flax": 2.4}
    monkeypatch.setattr(
        steps, "make_step", lambda problem, provider: Program(lambda: losses[provider], None, None)
    )
    tiny_scaling("--providers", "ours", "flax")
    with pytest.raises(RuntimeError, match=r"batch=2.*flax's first losses"):
        scaling.main()
    assert not list(tmp_path.iterdir())


def test_exponent_of_growth():
    rows = [{"value": value, "median_ms": 3.0 * value**2} for value in (1, 2, 8)]
    assert scaling.exponent(rows, "median_ms") == pytest.approx(2)
