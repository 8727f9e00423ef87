"""Reparametrisations of kernels: function, positional arguments, options, error, what the text must hold."""

import jax.numpy as jnp

from bad_calls._arguments import INTS, K, V

U = jnp.ones(8)

BAD = [
    ("weight_standardization", (INTS,), {}, TypeError, "kernel must be a floating array, got dtype int32"),
    ("weight_standardization", (V,), {}, ValueError, "kernel must have shape (..., O) with at least 2 axes"),
    ("weight_standardization", ([1.0],), {}, TypeError, "kernel must be an array, got list"),
    ("weight_standardization", (K,), {"eps": -1e-5}, ValueError, "eps must not be negative"),
    ("weight_standardization", (K,), {"eps": None}, TypeError, "eps must be a Python number"),
    ("spectral_norm", (INTS, U), {}, TypeError, "kernel must be a floating array, got dtype int32"),
    ("spectral_norm", (U, U), {}, ValueError, "kernel must have shape (..., O) with at least 2 axes"),
    ("spectral_norm", (K, None), {}, TypeError, "u must be an array, got NoneType"),
    ("spectral_norm", (K, V), {}, ValueError, "u must have shape (8,), one for each output channel"),
    ("spectral_norm", (K, U[:, None]), {}, ValueError, "u must have shape (8,)"),
    (
        "spectral_norm",
        (K, U.astype(jnp.float16)),
        {},
        TypeError,
        "u has dtype float16, but kernel has float64",
    ),
    ("spectral_norm", (K, U), {"iterations": -1}, ValueError, "iterations must be at least 0, got -1"),
    ("spectral_norm", (K, U), {"iterations": 1.0}, TypeError, "iterations must be an int, got float 1.0"),
    ("spectral_norm", (K, U), {"eps": float("inf")}, ValueError, "eps must be finite"),
]
