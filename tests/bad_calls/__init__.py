"""Calls that must be refused, a page for each family of ops."""

from bad_calls import (
    activation,
    convolution,
    dropout,
    kernel,
    loss,
    normalization,
    pooling,
    resampling,
    transposed_convolution,
)

_PAGES = (
    convolution,
    transposed_convolution,
    kernel,
    pooling,
    resampling,
    normalization,
    activation,
    dropout,
    loss,
)

BAD = [row for page in _PAGES for row in page.BAD]
