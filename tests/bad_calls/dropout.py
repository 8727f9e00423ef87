"""Dropout and its relatives: function, positional arguments, options, error, what the text must hold."""

import jax
import jax.numpy as jnp

from bad_calls._arguments import INTS, KEY, X

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
]
