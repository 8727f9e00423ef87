"""Activations: function, positional arguments, options, error, what the text must hold."""

import numpy as np

from bad_calls._arguments import INTS, X

BAD = [
    ("relu", (np.array(["a"]),), {}, TypeError, "x must be an array, got an array of dtype <U1"),
    ("relu", (10**30,), {}, TypeError, "x must be an array, got int 1000"),
    ("leaky_relu", (X,), {"negative_slope": 10**400}, ValueError, "negative_slope must be finite"),
    ("relu", (INTS,), {}, TypeError, "x must be a floating array"),
    ("leaky_relu", (X,), {"negative_slope": "steep"}, TypeError, "negative_slope must be a Python number"),
    ("leaky_relu", (X,), {"negative_slope": float("inf")}, ValueError, "negative_slope must be finite"),
    ("sigmoid", (3,), {}, TypeError, "x must be a floating array"),
    ("tanh", ("x",), {}, TypeError, "x must be an array, got str"),
    ("softmax", (X,), {"axis": 4}, ValueError, "axis is 4, but the array has 4 dimensions"),
    ("softmax", (X,), {"axis": (1, -3)}, ValueError, "axis names an axis twice"),
    ("softmax", (INTS,), {}, TypeError, "x must be a floating array"),
    ("log_softmax", (X,), {"axis": 1.0}, TypeError, "axis must be an int"),
    ("log_softmax", (X,), {"axis": -5}, ValueError, "axis must be at least -4"),
]
