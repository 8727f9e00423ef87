"""The benchmarks' networks are those of their papers, and the benchmarks run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

pytest.importorskip("flax", reason="the benchmarks compare with Flax")

from benchmarks.arguments import make_parser
from benchmarks.networks import SETTINGS
from benchmarks.report import geometric_mean
from benchmarks.steps import make_problem
from benchmarks.train import require_equal

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


def run(module, output, *arguments):
    # Without the tests' own settings of XLA.
    plain = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "JAX_ENABLE_X64")}
    command = [sys.executable, "-m", module, "--seconds", "0.01", "--output", output, *arguments]
    finished = subprocess.run(command, env=plain, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


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
    providers = ("ours", "autodiff", "flax", "torch")
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
