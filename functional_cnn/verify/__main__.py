"""``python -m functional_cnn.verify [op ...]``: proves every rule and prints a table."""

import argparse
import sys

import jax

from functional_cnn.rule import RULES
from functional_cnn.verify._table import Row, prove
from functional_cnn.verify.cases import CASES

_HEADER = "{:<24} {:>5}  {:>10}  {:>10} {:>10}  {:>10} {:>10}  {}"
_LINE = "{:<24} {:>5}  {:>10.1e}  {:>10.1e} {:>10.1e}  {:>10} {:>10}  {}"


def main(argv: list[str] | None = None) -> int:
    """Prints one row for each rule; returns 1 if a rule failed, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m functional_cnn.verify",
        description="Prove the backward pass of every rule, or of the ops that are named.",
        epilog="Errors are the largest difference of a cotangent by its largest element: in float64 from "
        "autodiff of the reference, in float32 from the same in float64. Residuals are the bytes kept from "
        "forward to backward, over all cases in float64.",
    )
    parser.add_argument("op", nargs="*", help=f"an op, of: {', '.join(sorted(RULES))}")
    ops = parser.parse_args(argv).op or sorted(RULES)
    if unknown := [op for op in ops if op not in RULES]:
        parser.error(f"unknown op {', '.join(unknown)}; known ops: {', '.join(sorted(RULES))}")
    jax.config.update("jax_enable_x64", True)

    print(_HEADER.format("", "", "float64", "float32", "float32", "residuals", "residuals", ""))
    print(_HEADER.format("rule", "cases", "error", "error", "autodiff", "bytes", "autodiff", "result"))
    rows = [_printed(prove(op, [case for case in CASES if case.op == op])) for op in ops]
    failures = [row.failure for row in rows if row.failure]
    print(f"{len(rows) - len(failures)} of {len(rows)} rules passed, {sum(row.cases for row in rows)} cases")
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def _printed(row: Row) -> Row:
    print(_LINE.format(*row._replace(failure="FAILED" if row.failure else "passed")), flush=True)
    return row


if __name__ == "__main__":
    sys.exit(main())
