"""Transposed and separable convolution: function, positional arguments, options, error, what the text must hold."""

import jax.numpy as jnp

from bad_calls._arguments import HALF, INTS, V, X

T = jnp.ones((3, 3, 2, 4))  # 4 channels to 2
D = jnp.ones((3, 3, 1, 8))
P = jnp.ones((1, 1, 8, 5))

BAD = [
    ("conv_transpose", (INTS, T), {}, TypeError, "x must be a floating array, got dtype int32"),
    ("conv_transpose", (X[0, 0], T), {}, ValueError, "x must have shape (N, *spatial, C)"),
    (
        "conv_transpose",
        (X[:, :0], T),
        {},
        ValueError,
        "x must have at least one pixel, got shape (2, 0, 6, 4)",
    ),
    ("conv_transpose", (HALF, T), {}, TypeError, "kernel has dtype float64, but x has float16"),
    ("conv_transpose", (X, T[0]), {}, ValueError, "kernel must have shape (*window, O // groups, C) with 2"),
    ("conv_transpose", (X, T[:, :0]), {}, ValueError, "kernel must have a window of at least 1"),
    ("conv_transpose", (X, D), {}, ValueError, "kernel takes 8 input channels, its last axis, but x has 4"),
    ("conv_transpose", (X, T), {"groups": 3}, ValueError, "groups=3 must divide the 4 channels of x"),
    ("conv_transpose", (X, T), {"groups": 0}, ValueError, "groups must be at least 1, got 0"),
    (
        "conv_transpose",
        (X, T, V),
        {"groups": 1},
        ValueError,
        "bias must have shape (2,), one for each output",
    ),
    ("conv_transpose", (X, T, V[:2]), {"groups": 2}, ValueError, "bias must have shape (4,)"),
    ("conv_transpose", (X, T), {"stride": 0}, ValueError, "stride must be at least 1, got 0"),
    ("conv_transpose", (X, T), {"stride": (2, 2, 2)}, ValueError, "stride must be an int or 2 ints"),
    ("conv_transpose", (X, T), {"dilation": 1.0}, TypeError, "dilation must be an int, got float 1.0"),
    ("conv_transpose", (X, T), {"padding": -1}, ValueError, "padding must be at least 0, got -1"),
    ("conv_transpose", (X, T), {"padding": "FULL"}, ValueError, "padding must be 'SAME', 'VALID', ints or"),
    ("conv_transpose", (X, T), {"padding": 4}, ValueError, "the output would be empty"),
    (
        "conv_transpose",
        (X, T),
        {"output_padding": 1, "stride": 2},
        ValueError,
        "output_padding must be 0 with padding 'SAME'",
    ),
    (
        "conv_transpose",
        (X, T),
        {"output_padding": (1, 2), "stride": 2, "padding": 1},
        ValueError,
        "output_padding must be smaller than the larger of stride 2 and dilation 1, got 2",
    ),
    (
        "conv_transpose",
        (X, T),
        {"output_padding": -1},
        ValueError,
        "output_padding must be at least 0, got -1",
    ),
    ("conv_transpose", (X, T), {"precision": "most"}, ValueError, "precision must be one of"),
    ("separable_conv", (INTS, D, P), {}, TypeError, "x must be a floating array, got dtype int32"),
    ("separable_conv", (V, D, P), {}, ValueError, "x must have shape (N, *spatial, C)"),
    ("separable_conv", (X[..., :0], D, P), {}, ValueError, "x must have at least one channel"),
    ("separable_conv", (HALF, D, P), {}, TypeError, "depthwise_kernel has dtype float64, but x has float16"),
    ("separable_conv", (X, D, None), {}, TypeError, "pointwise_kernel must be an array, got NoneType"),
    (
        "separable_conv",
        (X, D[..., :6], P),
        {},
        ValueError,
        "depthwise_kernel must have shape (*window, 1, C m)",
    ),
    ("separable_conv", (X, T, P), {}, ValueError, "depthwise_kernel must have shape (*window, 1, C m)"),
    ("separable_conv", (X, D[:0], P), {}, ValueError, "2 window axes of at least 1 and C = 4"),
    ("separable_conv", (X, D, D), {}, ValueError, "pointwise_kernel must have shape (1, 1, 8) and then O"),
    ("separable_conv", (X, D, P[..., :3, :]), {}, ValueError, "pointwise_kernel must have shape (1, 1, 8)"),
    (
        "separable_conv",
        (X, D, P, V),
        {},
        ValueError,
        "bias must have shape (5,), one for each output channel",
    ),
    ("separable_conv", (X, D, P), {"stride": 0}, ValueError, "stride must be at least 1, got 0"),
    ("separable_conv", (X, D, P), {"dilation": 4, "padding": 0}, ValueError, "does not fit into x"),
    ("separable_conv", (X, D, P), {"padding": 0.5}, TypeError, "padding must be an int, got float 0.5"),
]
