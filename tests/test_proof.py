"""The proof of every rule at every case of the table, and in every dtype."""

import jax.numpy as jnp
import numpy as np
import pytest

from functional_cnn.verify import check_vjp
from functional_cnn.verify._table import by_autodiff, float32_errors, precision_errors
from functional_cnn.verify.cases import CASES, OPS

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.op}-{case.label}")


@every_case
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


# In float32 and in half precision at some cases of each op; python -m functional_cnn.verify takes float32 at all.
ROUNDED = [case for case in CASES if case.sharp or "8192" in case.label]


@pytest.mark.parametrize("op", OPS)
def test_float32_error_is_at_most_twice_autodiffs(op):
    errors = [float32_errors(case) for case in ROUNDED if case.op == op]
    ours, autodiffs = (max(column) for column in zip(*errors, strict=True))
    assert ours <= 2 * autodiffs


# A cotangent in half precision is rounded once at the end, and so are the residuals that are results. float16
# takes the same way as bfloat16 through the code.
@pytest.mark.parametrize("dtype", [jnp.bfloat16, pytest.param(jnp.float16, marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", ROUNDED, ids=lambda case: f"{case.op}-{case.label}")
def test_half_precision_against_float64(case, dtype):
    error = precision_errors(case, dtype)(case.fun)
    assert error <= 4 * float(jnp.finfo(dtype).eps)
