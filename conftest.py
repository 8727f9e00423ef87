"""The docstrings' examples run as in a user's shell: in float32 and with JAX's usual promotion of dtypes."""

import jax
import pytest


@pytest.fixture(autouse=True)
def _as_in_a_shell(request):
    if isinstance(request.node, pytest.DoctestItem):
        with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"):
            yield
    else:
        yield
