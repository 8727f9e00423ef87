"""The code on docs/coming-from.md, run in order as one program."""

import re
from pathlib import Path

import jax
import pytest

pytest.importorskip("torch").set_num_threads(1)
pytest.importorskip("flax")

PAGE = Path(__file__).parents[2] / "docs" / "coming-from.md"


def test_code_of_the_page():
    text = PAGE.read_text()
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    assert len(blocks) == 3
    # The tests forbid mixed dtypes, which a user's shell allows and Flax needs.
    with jax.numpy_dtype_promotion("standard"):
        namespace = {}
        for block in blocks:
            lines_above = text[: block.start(1)].count("\n")  # so that a failure names the line of the page
            exec(compile("\n" * lines_above + block[1], str(PAGE), "exec"), namespace)
