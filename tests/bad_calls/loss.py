"""Losses: function, positional arguments, options, error, what the text must hold."""

import jax.numpy as jnp

from bad_calls._arguments import HALF, INTS, LOGITS, V, X

BAD = [
    ("softmax_cross_entropy", (LOGITS, jnp.zeros(4, int)), {}, ValueError, "labels must have shape (3,)"),
    ("softmax_cross_entropy", (LOGITS, LOGITS[:2]), {}, ValueError, "must have shape (3, 5)"),
    (
        "softmax_cross_entropy",
        (LOGITS, LOGITS.astype(jnp.float32)),
        {},
        TypeError,
        "labels has dtype float32",
    ),
    (
        "softmax_cross_entropy",
        (LOGITS, LOGITS > 0),
        {},
        TypeError,
        "labels must be integers or a floating array, got",
    ),
    ("softmax_cross_entropy", (jnp.zeros(3, int), V), {}, TypeError, "logits must be a floating array"),
    ("softmax_cross_entropy", (LOGITS[:, :0], V), {}, ValueError, "logits must have shape (..., K)"),
    (
        "softmax_cross_entropy",
        (LOGITS, LOGITS),
        {"label_smoothing": 1.1},
        ValueError,
        "label_smoothing must be in [0, 1]",
    ),
    ("sigmoid_cross_entropy", (LOGITS, LOGITS[0]), {}, ValueError, "labels has shape (5,), but logits has"),
    ("sigmoid_cross_entropy", (LOGITS, LOGITS.astype(complex)), {}, TypeError, "labels must be real"),
    ("sigmoid_cross_entropy", (INTS, X), {}, TypeError, "logits must be a floating array"),
    ("squared_error", (X, V), {}, ValueError, "targets has shape (4,), but predictions has shape"),
    ("squared_error", (X, HALF), {}, TypeError, "targets has dtype float16, but predictions has float64"),
    ("squared_error", (INTS, X), {}, TypeError, "predictions must be a floating array"),
]
