"""Normalisation: function, positional arguments, options, error, what the text must hold."""

import jax.numpy as jnp

from bad_calls._arguments import HALF, INTS, V, X

BAD = [
    ("batch_norm", (INTS,), {}, TypeError, "x must be a floating array"),
    ("batch_norm", (V,), {}, ValueError, "x must have shape (N, *spatial, C)"),
    ("batch_norm", (X, jnp.ones(3)), {}, ValueError, "scale must have shape (4,), one for each channel"),
    ("batch_norm", (X, V, jnp.ones((4, 1))), {}, ValueError, "bias must have shape (4,)"),
    ("batch_norm", (HALF, V), {}, TypeError, "scale has dtype float64, but x has float16"),
    ("batch_norm", (X,), {"eps": -1e-5}, ValueError, "eps must not be negative"),
    ("batch_norm", (X,), {"eps": jnp.array(1e-5)}, TypeError, "eps must be a Python number"),
    ("batch_norm", (X,), {"axis_name": 3}, TypeError, "axis_name must be a str"),
    ("batch_norm_inference", (X, V, jnp.ones(3)), {}, ValueError, "var must have shape (4,)"),
    ("batch_norm_inference", (X, HALF[0, 0, 0], V), {}, TypeError, "mean has dtype float16"),
    ("batch_norm_inference", (X, V, V, V, V), {"eps": float("nan")}, ValueError, "eps must be finite"),
]
