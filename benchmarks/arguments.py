"""The command line that the benchmarks have in common."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import PROVIDERS


class _OursAmongThem(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        if "ours" not in values:
            raise argparse.ArgumentError(self, "ours must be among them: the others are compared with it")
        setattr(namespace, self.dest, values)


def make_parser(
    module: str,
    description: str | None,
    *,
    seconds: float,
    timed: str,
    known: Sequence[str] = PROVIDERS,
    providers: Sequence[str] | None = None,
) -> argparse.ArgumentParser:
    """A parser of ``--providers``, all that are known unless told, ``--seconds`` and ``--output``.

    ``timed`` says whose seconds they are.
    """
    parser = make_plain_parser(module, description)
    parser.add_argument(
        "--providers",
        nargs="+",
        action=_OursAmongThem,
        choices=known,
        default=providers or known,
        help="ours among them",
    )
    parser.add_argument("--seconds", type=float, default=seconds, help=f"of {timed}")
    return parser


def make_plain_parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """A parser of ``--output`` alone, for benchmarks of ours by itself."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{module}",
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks"))
    return parser
