"""``python -m functional_cnn.verify [-j jobs] [op ...]``: proves every op and prints a table."""

import argparse
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from functional_cnn.verify._table import Row, prove_op
from functional_cnn.verify.cases import OPS

_HEADER = "{:<24} {:>5}  {:>10}  {:>10} {:>10}  {:>10} {:>10}  {}"
_LINE = "{:<24} {:>5}  {:>10.1e}  {:>10.1e} {:>10.1e}  {:>10} {:>10}  {}"


def main(argv: list[str] | None = None) -> int:
    """Prints one row for each op; returns 1 if one failed, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m functional_cnn.verify",
        description="Prove the backward pass of every op, or of those that are named.",
        epilog="Errors are the largest difference of an array by its largest element: in float64 of cotangents "
        "from those of autodiff of the reference, in float32 of results and cotangents from the same in float64. "
        "Residuals are the bytes kept from forward to backward, over all cases in float64.",
    )
    parser.add_argument("op", nargs="*", help=f"an op, of: {', '.join(OPS)}")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="processes to prove in, 1 by default")
    arguments = parser.parse_args(argv)
    ops = arguments.op or OPS
    if arguments.jobs < 1:
        parser.error(f"--jobs must be at least 1, got {arguments.jobs}")
    if unknown := [op for op in ops if op not in OPS]:
        parser.error(f"unknown op {', '.join(unknown)}; known ops: {', '.join(OPS)}")

    print(_HEADER.format("", "", "float64", "float32", "float32", "residuals", "residuals", ""))
    print(_HEADER.format("op", "cases", "error", "error", "autodiff", "bytes", "autodiff", "result"))
    rows = [_printed(row) for row in _proofs(ops, arguments.jobs)]
    failures = [row.failure for row in rows if row.failure]
    print(f"{len(rows) - len(failures)} of {len(rows)} ops passed, {sum(row.cases for row in rows)} cases")
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def _proofs(ops: Sequence[str], jobs: int) -> Iterator[Row]:
    """The rows of the ops, in their order."""
    if jobs == 1:
        yield from map(prove_op, ops)
        return
    # Spawned, as a forked process would inherit JAX's threads in the middle of their work.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(prove_op, ops)


def _printed(row: Row) -> Row:
    print(_LINE.format(*row._replace(failure="FAILED" if row.failure else "passed")), flush=True)
    return row


if __name__ == "__main__":
    sys.exit(main())
