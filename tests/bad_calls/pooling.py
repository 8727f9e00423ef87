"""Pooling: function, positional arguments, options, error, what the text must hold."""

from bad_calls._arguments import INTS, V, X

BAD = [
    ("max_pool", (INTS, 2), {}, TypeError, "x must be a floating array"),
    ("max_pool", (V, 2), {}, ValueError, "x must have shape (N, *spatial, C)"),
    ("max_pool", (X, 0), {}, ValueError, "window must be at least 1"),
    ("max_pool", (X, (2, 2, 2)), {}, ValueError, "window must be an int or 2 ints"),
    ("max_pool", (X, "2"), {}, TypeError, "window must be an int, got str '2'"),
    ("max_pool", (X, 7), {}, ValueError, "does not fit into x of spatial shape (6, 6)"),
    ("max_pool", (X, 2), {"padding": 2}, ValueError, "padding must be at most half the window"),
    ("max_pool", (X, 2), {"stride": -1}, ValueError, "stride must be at least 1"),
    ("max_pool", (X, 2), {"ceil_mode": 1}, TypeError, "ceil_mode must be True or False, got int 1"),
    ("avg_pool", (INTS, 2), {}, TypeError, "x must be a floating array"),
    ("avg_pool", (X, 2), {"padding": ((2, 0), (0, 0))}, ValueError, "padding must be at most half"),
    ("avg_pool", (X, 2), {"count_include_pad": "no"}, TypeError, "count_include_pad must be True or False"),
    ("avg_pool", (X, 2), {"divisor_override": 0}, ValueError, "divisor_override must be at least 1"),
    ("avg_pool", (X, 2), {"dilation": (1, 0)}, ValueError, "dilation must be at least 1"),
    (
        "avg_pool",
        (X[:, :1, :1], 2),
        {"stride": 1, "dilation": 3, "padding": 2, "count_include_pad": False},
        ValueError,
        "holds no pixel of x",
    ),
    ("max_pool", (X[:, :1, :1], 2), {"stride": 1, "dilation": 3, "padding": 2}, ValueError, "holds no pixel"),
    ("global_avg_pool", (V,), {}, ValueError, "x must have shape (N, *spatial, C)"),
    ("global_avg_pool", (X[:, :0],), {}, ValueError, "x must have at least one pixel"),
]
