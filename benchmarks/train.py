"""Times whole training steps against autodiff, Flax and PyTorch: ``python -m benchmarks.train``.

A step is the mean cross-entropy, its gradient and SGD with momentum, in float32, with the batch's statistics in
batch normalisation and neither dropout nor stochastic depth. Our backward pass makes normalisations and activations
again, by ``fcnn.remat``, and keeps the results of convolutions; ``everything_saveable`` is our step that keeps all. All
libraries start from the same parameters; their first losses must agree before anything is timed. Writes train.json,
train.csv and train.png.
"""

import argparse
from typing import Any

import jax
from tqdm import tqdm

from benchmarks import measure, report
from benchmarks.arguments import make_parser
from benchmarks.networks import SETTINGS
from benchmarks.steps import make_equal_steps, make_problem

_COMPILATIONS = 5

measure.quiet_threads()  # before PyTorch is imported, which making its step does


def parse() -> argparse.Namespace:
    parser = make_parser(
        "train", __doc__, seconds=8.0, timed="each provider's steps", known=measure.STEP_PROVIDERS
    )
    parser.add_argument("--networks", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--batch", type=int, help="another batch size")
    parser.add_argument("--size", type=int, help="another image size")
    return parser.parse_args()


def main() -> None:
    options = parse()
    rows = []
    for name in tqdm(options.networks, unit="network"):
        rows += measure_network(name, options)
        # After each network, so that a run that is stopped leaves what it has measured.
        report.write(options.output, "train", rows, {"seconds": options.seconds, "dtype": "float32"})
        jax.clear_caches()
    print(table(rows))
    others = [provider for provider in options.providers if provider != "ours"]
    over = {o: [_ratio(rows, name, o) for name in options.networks] for o in others}
    report.bars(options.output / "train.png", "Training step, float32", options.networks, over)


def measure_network(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One dict for each provider."""
    setting = SETTINGS[name]
    setting = setting._replace(batch=options.batch or setting.batch, size=options.size or setting.size)
    problem = make_problem(setting)
    steps = make_equal_steps(name, problem, options.providers)
    steps = measure.compiled_in_turn(steps, _COMPILATIONS)
    row = {
        "network": name,
        "batch": setting.batch,
        "size": setting.size,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(problem.params)),
    }
    return [row | columns for columns in measure.interleaved(steps, seconds=options.seconds)]


def _ratio(rows: list[dict[str, Any]], network: str, provider: str) -> float:
    medians = {row["provider"]: row["median_ms"] for row in rows if row["network"] == network}
    return medians[provider] / medians["ours"]


def table(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'network':16} {'provider':14} {'ms':>9} {'over ours':>9} {'compile s':>9} {'temp MiB':>9}"]
    for row in rows:
        compile_s, temp_mb = (report.cell(row[column]) for column in ("compile_s", "temp_mb"))
        ratio = _ratio(rows, row["network"], row["provider"])
        lines.append(
            f"{row['network']:16} {row['provider']:14} {row['median_ms']:9.1f} {ratio:8.2f}x "
            f"{compile_s:>9} {temp_mb:>9}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
