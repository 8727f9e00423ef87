"""The table of cases is complete: every op, every argument, every kind of value of every option."""

import inspect
import typing

import jax
import numpy as np
import pytest

import functional_cnn as fcnn
from functional_cnn.verify.cases import CASES

OPS = {
    name: value
    for name in fcnn.__all__
    if inspect.isfunction(value := getattr(fcnn, name))
    and value.__module__.startswith(("functional_cnn.ops", "functional_cnn.composition"))
}
# batch_norm's axis_name needs a mapped axis around the call: tests/test_sharding.py.
ELSEWHERE = {("batch_norm", "axis_name")}
SIZES = int | tuple[int, ...]
PADDINGS = {"SAME", "VALID", "int", "ints", "pairs"}


def kind(value):
    """What sort of option value this is; values of one sort go the same way."""
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, tuple):
        return "pairs" if any(isinstance(entry, tuple) for entry in value) else "ints"
    return "int" if isinstance(value, int) else "number"


def required(op, name, hint):
    """The kinds of an option's values that need a case."""
    if name == "padding":
        return PADDINGS - {"SAME", "VALID"} if op == "pad" else PADDINGS
    if hint is bool:
        return {True, False}
    if typing.get_origin(hint) is typing.Literal:
        return set(typing.get_args(hint))
    parts = set(typing.get_args(hint)) or {hint}
    kinds = {int: "int", tuple[int, ...]: "ints", type(None): None}
    return {kinds[part] for part in parts if part in kinds}


def is_array(hint):
    return hint is jax.Array or jax.Array in typing.get_args(hint)


def missing(cases):
    """What of the public ops has no case, as texts."""
    for op, function in OPS.items():
        own = [case for case in cases if case.op == op]
        if not own:
            yield f"{op} has no case"
            continue
        if not any(case.sharp for case in own):
            yield f"{op} has no case with all transformations"
        hints = typing.get_type_hints(function)
        parameters = inspect.signature(function).parameters
        arrays = [name for name in parameters if is_array(hints[name])]
        for position, name in enumerate(arrays):
            given = {len(case.draws) > position or name in case.options for case in own}
            if parameters[name].default is None and given != {True, False}:
                yield f"{op}: {name} needs a case with it and one without"
        for name in parameters.keys() - set(arrays):
            if (op, name) in ELSEWHERE:
                continue
            values = [case.options.get(name, parameters[name].default) for case in own]
            if gap := required(op, name, hints[name]) - {kind(value) for value in values}:
                yield f"{op}: no case has {name} in {sorted(map(str, gap))}"
            if len(set(values)) < 2:
                yield f"{op}: all cases have {name}={values[0]!r}"
        yield from missing_shapes(op, inspect.getdoc(function), own)


def missing_shapes(op, doc, own):
    shapes = [[a.shape for a in case.arguments(np.float64)] for case in own]
    if "1, 2 or 3 spatial dimensions" in doc:
        ranks = {len(first) - 2 for first, *_ in shapes}
        if gap := {1, 2, 3} - ranks:
            yield f"{op}: no case has {gap} spatial dimensions"
    sizes = [max(int(np.prod(shape)) for shape in each) for each in shapes]
    if max(sizes) <= 8192:
        yield f"{op}: no case has more than 8192 elements"
    takes_batches = any(case.batched for case in own)
    if takes_batches and not any(0 in first for first, *_ in shapes):
        yield f"{op}: no case is empty"


def test_every_op_and_option_has_a_case():
    gaps = list(missing(CASES))
    assert not gaps, "\n".join(gaps)


def test_every_rule_is_an_op_and_every_case_has_its_own_name():
    assert set(fcnn.RULES) <= set(OPS)
    assert {case.op for case in CASES} == set(OPS)
    assert len({(case.op, case.label) for case in CASES}) == len(CASES)


@pytest.mark.parametrize(
    ("without", "text"),
    [
        (lambda case: case.op == "silu", "silu has no case"),
        (lambda case: case.op == "silu" and case.sharp, "silu has no case with all transformations"),
        (lambda case: case.options.get("padding") == "SAME", "max_pool: no case has padding in"),
        (lambda case: case.options.get("ceil_mode"), "avg_pool: no case has ceil_mode in ['True']"),
        (lambda case: case.op == "dense" and len(case.draws) == 2, "dense: bias needs a case with it"),
        (lambda case: "eps" in case.options, "group_norm: all cases have eps=1e-05"),
        (lambda case: "1D" in case.label, "max_pool: no case has {1} spatial dimensions"),
        (lambda case: "8192" in case.label, "relu: no case has more than 8192 elements"),
        (lambda case: "empty" in case.label, "relu: no case is empty"),
    ],
)
def test_a_gap_is_found(without, text):
    gaps = list(missing([case for case in CASES if not without(case)]))
    assert any(text in gap for gap in gaps), gaps
