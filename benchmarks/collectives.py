"""What devices send each other in a compiled program, read from its text."""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

_COLLECTIVE = re.compile(
    r"= (?P<result>.+?) (?P<name>all-reduce|all-gather|all-to-all|reduce-scatter|collective-\w+)(?:-done)?\("
)
_ARRAY = re.compile(r"\b(?P<dtype>pred|[a-z]+\d+)\w*\[(?P<shape>[\d,]*)\]")


class Collective(NamedTuple):
    """One instruction that all devices take part in; bytes are those that one device then holds of its result.

    XLA joins sums into one instruction, as many as 256; ``arrays`` counts them.
    """

    name: str
    arrays: int
    bytes: int


def collectives(text: str) -> Iterator[Collective]:
    """Those of an optimized XLA program, ``compiled.as_text()``.

    One that is started and awaited apart is counted where it is awaited.
    """
    for found in _COLLECTIVE.finditer(text):
        sizes = [_bytes(array) for array in _ARRAY.finditer(found["result"])]
        yield Collective(found["name"], len(sizes), sum(sizes))


def gathered_bytes(found: list[Collective]) -> int:
    return sum(collective.bytes for collective in found if collective.name == "all-gather")


def _bytes(array: re.Match[str]) -> int:
    dtype, shape = array["dtype"], array["shape"]
    bits = 8 if dtype == "pred" else int(re.sub(r"\D", "", dtype))
    return math.ceil(math.prod(int(size) for size in shape.split(",") if size) * bits / 8)
