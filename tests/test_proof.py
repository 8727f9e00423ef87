"""The proof of every rule at every case of the table, and in every dtype."""

import jax.numpy as jnp
import numpy as np
import pytest

from functional_cnn.verify import check_vjp
from functional_cnn.verify._table import by_autodiff, float32_errors, precision_errors
from functional_cnn.verify.cases import CASES


def name(case):
    return f"{case.op}-{case.label}{' (sharp)' if case.sharp else ''}"


@pytest.mark.parametrize("case", CASES, ids=name)
def test_rule_equals_autodiff_in_float64(case):
    report = check_vjp(
        case.fun,
        by_autodiff(case.fun),
        *case.arguments(np.float64),
        smooth=case.smooth,
        transformations=case.sharp,
    )
    assert report.error <= 1e-9
    if case.smooth:
        assert report.taylor_order > 1.9


# Here of one op in each family; python -m functional_cnn.verify takes all.
@pytest.mark.parametrize("op", ["conv", "max_pool", "resize", "batch_norm", "group_norm", "silu", "dropout"])
def test_float32_error_is_at_most_twice_autodiffs(op):
    errors = [
        float32_errors(case) for case in CASES if case.op == op and (case.sharp or "8192" in case.label)
    ]
    ours, autodiffs = (max(column) for column in zip(*errors, strict=True))
    assert ours <= 2 * autodiffs


# A cotangent in half precision is rounded once at the end, and so are the residuals that are results. float16
# takes the same way as bfloat16 through the code.
@pytest.mark.parametrize("dtype", [jnp.bfloat16, pytest.param(jnp.float16, marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", [case for case in CASES if case.sharp], ids=name)
def test_half_precision_against_float64(case, dtype):
    error = precision_errors(case, dtype)(case.fun)
    assert error <= 4 * float(jnp.finfo(dtype).eps)
