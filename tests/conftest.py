"""Every test runs in float64 on four CPU devices, which must be said before JAX starts."""

import os

os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"

import jax
import jax.numpy as jnp
import pytest
from hypothesis import HealthCheck, settings

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_threefry_partitionable", True)
# Compiling takes most of the time, and optimised machine code computes the same. ``python -m
# functional_cnn.verify`` and the examples of .ci/run have all optimisations.
jax.config.update("jax_disable_most_optimizations", True)


# Most examples compile anew, so there are few, and the same ones in every run. .ci/run takes many.
settings.register_profile(
    "few", max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
settings.register_profile("many", settings.get_profile("few"), max_examples=32)
settings.load_profile("few")


@pytest.fixture(scope="module", autouse=True)
def _forget_compiled_programs():
    """Hundreds of compiled programs take gigabytes; no module needs another's."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="module")
def with_optimizations():
    """For modules whose subject is what is left of numbers in a program as users compile it."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(scope="session")
def devices():
    found = jax.devices()
    assert len(found) == 4
    return found


@pytest.fixture(scope="session")
def small_integers():
    """Draws float32 arrays of some shapes, of which sums are exact."""

    def draw(*shapes):
        return [
            jax.random.randint(jax.random.key(number), shape, -2, 3).astype(jnp.float32)
            for number, shape in enumerate(shapes)
        ]

    return draw
