"""The examples run as a user runs them."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from safetensors.numpy import load_file, save_file

import functional_cnn as fcnn
from functional_cnn import tuning

EXAMPLES = Path(__file__).parent.parent / "examples"
PLAIN = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "GLIBC_TUNABLES")}
# Programs that are run a few times; .ci/run runs the examples as a user does.
COMPILED_FAST = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}


def run(example, *arguments, cwd):
    return subprocess.run(
        [sys.executable, EXAMPLES / example, *arguments],
        cwd=cwd,
        env=PLAIN | COMPILED_FAST,
        capture_output=True,
        text=True,
        check=False,
    )


def test_worked_example_agrees(tmp_path):
    finished = run("worked_example.py", cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert "Equal to 1e-6" in finished.stdout
    # (0.1, 0.2, 0.3, 0.4) . (1, 2, 3, 4) + 0.1 = 3.1, and 0.1 * 3.1 + 0.1 = 0.41
    assert "3.100000" in finished.stdout
    assert "0.410000 1.130000 1.850000" in finished.stdout


def test_train_writes_parameters_metrics_and_pictures(tmp_path):
    finished = run("train.py", "--epochs", "2", "--name", "short", cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert "test accuracy" in finished.stdout
    written = {path.name for path in (tmp_path / "runs" / "short").iterdir() if path.stat().st_size}
    pictures = {"learning_curves", "filters", "confusion", "gradient_norms", "misclassified"}
    assert written == {f"{name}.png" for name in pictures} | {
        "params.safetensors",
        "metrics.csv",
        "settings.json",
    }
    assert (tmp_path / "runs" / "short" / "metrics.csv").read_text().count("\n") == 3


def test_segment_writes_parameters_figures_and_pictures(tmp_path):
    small = ("--epochs", "2", "--steps", "2", "--batch-size", "4", "--test-scenes", "8", "--width", "4")
    finished = run("segment.py", *small, "--output", "here", cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert "mean IoU" in finished.stdout
    written = {path.name for path in (tmp_path / "here").iterdir() if path.stat().st_size}
    assert written == {"params.safetensors", "iou.csv", "segmentation.png", "mean_iou.png"}
    assert (tmp_path / "here" / "iou.csv").read_text().count("\n") == 12


def test_finetune_trains_from_a_file_and_from_random_weights(tmp_path):
    small = ("--epochs", "1", "--first-epochs", "1", "--output", "here")
    finished = run("finetune.py", *small, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("test accuracy") == 3
    written = {path.name for path in (tmp_path / "here").iterdir() if path.stat().st_size}
    names = ("digits", "head_only", "whole_network", "from_random_weights")
    assert written == {f"{name}.safetensors" for name in names} | {"accuracies.png"}
    digits, head_only, whole = (load_file(tmp_path / "here" / f"{name}.safetensors") for name in names[:3])
    frozen = [name for name in digits if name.startswith("params/") and "/head/" not in name]
    assert all((digits[name] == head_only[name]).all() for name in frozen)
    assert any((digits[name] != whole[name]).any() for name in frozen)


@pytest.mark.slow
def test_finetune_takes_a_state_dict(tmp_path):
    model = fcnn.models.create("resnet18", num_classes=20)
    params, state = model.init(jax.random.key(0))
    arrays = fcnn.pretrained.to_torch(model, params, state, library="torchvision")
    save_file(arrays, tmp_path / "w.safetensors")
    weights = ("--weights", "w.safetensors", "--model", "resnet18", "--classes", "20")
    short = ("--image-size", "32", "--epochs", "1")
    finished = run("finetune.py", *weights, *short, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("test accuracy") == 3


def test_tuned_starts_again_once_and_says_so(tmp_path):
    finished = run("train.py", "--tuned", "--data", "mnist", "--data-dir", "here", cwd=tmp_path)
    assert finished.returncode == 1
    assert finished.stdout.count("starting again with") == (1 if tuning.recommended_settings() else 0)


def test_train_names_the_missing_file(tmp_path):
    finished = run("train.py", "--data", "mnist", "--data-dir", "here", cwd=tmp_path)
    assert finished.returncode == 1
    assert "put train-images-idx3-ubyte or train-images-idx3-ubyte.gz into here" in finished.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ("--autodiff", "--optimizer", "momentum", "--learning-rate", "0.05", "--clip", "1"),
        ("--model", "resnet18", "--epochs", "1", "--schedule", "cosine", "--optimizer", "adam"),
        ("--optimizer", "sgd", "--schedule", "constant", "--dropout", "0", "--shift", "0"),
    ],
)
def test_train_with_options(tmp_path, options):
    finished = run("train.py", "--epochs", "2", *options, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
