"""docs/coming-from.md: its tables name every op and nothing else, with the defaults they have."""

import ast
import inspect
import re
from pathlib import Path

import functional_cnn as fcnn

PAGE = Path(__file__).parents[1] / "docs" / "coming-from.md"

OPS = "functional_cnn.ops", "functional_cnn.composition"


def is_op(name):
    found = getattr(fcnn, name, None)
    return inspect.isfunction(found) and found.__module__.startswith(OPS)


def first_cells():
    """The first column of those tables whose first column is ours."""
    ours = False
    for line in PAGE.read_text().splitlines():
        cell = line.split("|")[1].strip() if line.startswith("|") else None
        if cell is None or cell.startswith("ours"):
            ours = cell is not None
        elif ours and cell != "---":
            yield cell


def test_first_column():
    """A cell names ops, then options of theirs, as `option` or `option=default`."""
    named = set()
    for cell in first_cells():
        ops = []
        for code in re.findall(r"`([^`]+)`", cell):
            option, has_default, default = code.partition("=")
            if is_op(option):
                ops.append(option)
                continue
            if not option.isidentifier():
                continue  # a shape or a value
            assert ops, cell
            for op in ops:
                parameters = inspect.signature(getattr(fcnn, op)).parameters
                assert option in parameters, (cell, op)
                if has_default:
                    assert parameters[option].default == ast.literal_eval(default), (cell, op)
        assert ops, cell
        named.update(ops)
    assert named == {name for name in fcnn.__all__ if is_op(name)}
