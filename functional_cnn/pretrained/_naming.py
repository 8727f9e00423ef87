"""How other libraries call the layers of a model: a table of patterns for each family and library.

A rule is a pattern of a layer's path in our trees and the layer's name elsewhere. Both are texts with numbers in
braces: ``stage{s}_block{b}/conv{n}`` meets ``stage1_block2/conv3`` with s = 1, b = 2 and n = 3. In the name ``{s0}``
is s - 1, which counts from zero. Names may ask for more: ``{k}``, the block's number among all blocks of the network;
``{e}``, that among the blocks that expand; ``{K}``, one more than the number of blocks; ``{j}``, the place of the
block's part among those of ``PARTS`` that the block has.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

# The parts of an inverted residual in their order, not all of which every block has.
PARTS = ("expand", "depthwise", "squeeze", "project")
_BLOCK = re.compile(r"((?:stage\d+|blocks)_block\d+)(?:/(\w+))?.*")


class Naming(NamedTuple):
    """The names of one library for one family of models.

    Attributes:
      library: whose names they are.
      rules: pairs of a pattern of our paths and the name elsewhere; the first that meets a path counts.
      flattened: the paths of dense layers that read a flattened image, with the image's sizes: other libraries
        flatten channels first.
    """

    library: str
    rules: Sequence[tuple[str, str]]
    flattened: dict[str, tuple[int, int]] = {}  # noqa: RUF012, never written

    def names(self, paths: Iterable[str]) -> dict[str, str] | None:
        """The names of layers by their paths in our trees; None where a path meets no rule."""
        paths = list(paths)
        blocks, parts = _blocks(paths)
        rules = [(_compiled(pattern), name) for pattern, name in self.rules]
        found = {}
        for path in paths:
            for pattern, name in rules:
                met = pattern.fullmatch(path)
                if met:
                    found[path] = name.format(**_numbers(met, path, blocks, parts))
                    break
            else:
                return None
        return found


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w)\\}", r"(?P<\1>\\d+)", re.escape(pattern)))


def _blocks(paths: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    """The blocks of a network in their order, and the parts that each has."""
    parts: dict[str, list[str]] = {}
    for path in paths:
        met = _BLOCK.fullmatch(path)
        if met:
            parts.setdefault(met[1], []).append(met[2])
    blocks = sorted(parts, key=lambda block: [int(number) for number in re.findall(r"\d+", block)])
    return blocks, {block: [part for part in PARTS if part in met] for block, met in parts.items()}


def _numbers(met: re.Match[str], path: str, blocks: list[str], parts: dict[str, list[str]]) -> dict[str, int]:
    numbers = {name: int(value) for name, value in met.groupdict().items()} | {"K": len(blocks) + 1}
    block = _BLOCK.fullmatch(path)
    if block:
        numbers["k"] = blocks.index(block[1]) + 1
        expanding = [name for name in blocks if "expand" in parts[name]]
        numbers["e"] = expanding.index(block[1]) + 1 if block[1] in expanding else 0
        if block[2] in parts[block[1]]:
            numbers["j"] = parts[block[1]].index(block[2])
    return numbers | {f"{name}0": value - 1 for name, value in numbers.items()}


def conv_norm(path: str, name: str, conv: str, norm: str) -> list[tuple[str, str]]:
    """The rules of a convolution and its normalisation that stand at one place."""
    return [(f"{path}/conv", f"{name}{conv}"), (f"{path}/norm", f"{name}{norm}")]
