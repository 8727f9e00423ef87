"""Calls that must be refused, a page for each family of ops."""

from bad_calls import activation, convolution, dropout, loss, normalization, pooling, resampling

BAD = [
    row
    for page in (convolution, pooling, resampling, normalization, activation, dropout, loss)
    for row in page.BAD
]
