"""What dropout and its kin draw, and that the mean is kept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_cnn as fcnn

pytestmark = pytest.mark.usefixtures("with_optimizations")


def test_dropout_draws_what_it_says():
    x = jnp.ones((32, 8, 8, 8))
    y = fcnn.dropout(x, jax.random.key(0), rate=0.25)
    np.testing.assert_allclose((y == 0).mean(), 0.25, atol=0.02)
    np.testing.assert_allclose(y.max(), 1 / 0.75, rtol=1e-12)
    np.testing.assert_array_equal(y, fcnn.dropout(x, jax.random.key(0), rate=0.25))
    assert (y != fcnn.dropout(x, jax.random.key(1), rate=0.25)).any()
    channels = fcnn.dropout(x, jax.random.key(0), rate=0.5, broadcast_axes=(1, 2))
    assert (channels.max((1, 2)) == channels.min((1, 2))).all()
    np.testing.assert_array_equal(fcnn.dropout(x, jax.random.key(0), rate=0.0), x)
    legacy = fcnn.dropout(x, jax.random.PRNGKey(0), rate=0.25)
    np.testing.assert_array_equal(legacy, y)


def test_dropout_in_half_precision_keeps_the_mean():
    x = jnp.linspace(1, 2, 2**16).astype(jnp.bfloat16)
    y = fcnn.dropout(x, jax.random.key(0), rate=0.1).astype(jnp.float32)
    kept = y != 0
    # Divided by 0.9 and rounded once: in bfloat16 0.9 is 0.898, 0.0017 less.
    np.testing.assert_allclose((y[kept] / x[kept].astype(jnp.float32)).mean(), 1 / 0.9, rtol=2e-4)


def test_stochastic_depth_drops_whole_examples():
    y = fcnn.stochastic_depth(jnp.ones((2000, 3, 3, 2)), jax.random.key(0), rate=0.25)
    per_example = y.reshape(2000, -1)
    assert (per_example.min(1) == per_example.max(1)).all()
    np.testing.assert_allclose((per_example[:, 0] == 0).mean(), 0.25, atol=0.03)
    np.testing.assert_allclose(y.max(), 1 / 0.75, rtol=1e-12)


def test_drop_block_drops_blocks_and_keeps_the_mean():
    y = fcnn.drop_block(jnp.ones((64, 16, 16, 4)), jax.random.key(0), rate=0.2, block_size=3)
    dropped = np.asarray(y == 0)
    np.testing.assert_allclose(dropped.mean(), 0.2, atol=0.04)
    np.testing.assert_allclose(y.mean(), 1.0, rtol=1e-12)
    blocks = np.lib.stride_tricks.sliding_window_view(dropped, (3, 3), axis=(1, 2)).all((-1, -2))
    covered = np.zeros_like(dropped)
    for i, j in np.ndindex(3, 3):
        covered[:, i : i + 14, j : j + 14] |= blocks
    np.testing.assert_array_equal(dropped, covered)
