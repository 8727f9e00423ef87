"""Arguments that are right, for calls in which another one is bad."""

import jax
import jax.numpy as jnp

X = jnp.ones((2, 6, 6, 4))
K = jnp.ones((3, 3, 4, 8))
V = jnp.ones(4)
KEY = jax.random.key(0)
INTS = jnp.ones((2, 6, 6, 4), jnp.int32)
HALF = X.astype(jnp.float16)
LOGITS = jnp.ones((3, 5))
