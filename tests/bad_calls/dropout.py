"""Dropout and its relatives: function, positional arguments, options, error, what the text must hold."""

import jax
import jax.numpy as jnp

from bad_calls._arguments import INTS, KEY, V, X

BAD = [
    ("dropout", (X, jnp.zeros(5, jnp.uint32)), {"rate": 0.5}, TypeError, "key must be a key"),
    ("dropout", (X, KEY), {"rate": 1.0}, ValueError, "rate must be in [0, 1), got 1.0"),
    ("dropout", (X, KEY), {"rate": -0.1}, ValueError, "rate must be in [0, 1)"),
    ("dropout", (X, KEY), {"rate": jnp.array(0.5)}, TypeError, "rate must be a Python number"),
    ("dropout", (X, None), {"rate": 0.5}, TypeError, "key must be a key from jax.random.key"),
    ("dropout", (X, 42), {"rate": 0.5}, TypeError, "key must be a key from jax.random.key"),
    ("dropout", (X, jax.random.split(KEY)), {"rate": 0.5}, ValueError, "key must be one key"),
    ("dropout", (X, KEY), {"rate": 0.5, "broadcast_axes": 4}, ValueError, "broadcast_axes is 4"),
    ("dropout", (INTS, KEY), {"rate": 0.5}, TypeError, "x must be a floating array"),
    ("stochastic_depth", (INTS, KEY), {"rate": 0.5}, TypeError, "x must be a floating array"),
    ("stochastic_depth", (X, KEY), {"rate": 1}, ValueError, "rate must be in [0, 1), got 1.0"),
    ("stochastic_depth", (X, 0), {"rate": 0.5}, TypeError, "key must be a key from jax.random.key"),
    (
        "stochastic_depth",
        (jnp.array(1.0), KEY),
        {"rate": 0.5},
        ValueError,
        "x must have shape (N, ...), got a scalar",
    ),
    ("stochastic_depth", (X, KEY), {"rate": None}, TypeError, "rate must be a Python number"),
    ("drop_block", (INTS, KEY), {"rate": 0.5, "block_size": 2}, TypeError, "x must be a floating array"),
    (
        "drop_block",
        (V, KEY),
        {"rate": 0.5, "block_size": 2},
        ValueError,
        "x must have shape (N, *spatial, C)",
    ),
    ("drop_block", (X, None), {"rate": 0.5, "block_size": 2}, TypeError, "key must be a key"),
    ("drop_block", (X, KEY), {"rate": -0.5, "block_size": 2}, ValueError, "rate must be in [0, 1), got -0.5"),
    ("drop_block", (X, KEY), {"rate": 0.5, "block_size": 0}, ValueError, "block_size must be at least 1"),
    (
        "drop_block",
        (X, KEY),
        {"rate": 0.5, "block_size": (2, 2, 2)},
        ValueError,
        "block_size must be an int or 2",
    ),
    (
        "drop_block",
        (X, KEY),
        {"rate": 0.5, "block_size": 1.5},
        TypeError,
        "block_size must be an int, got float",
    ),
]
