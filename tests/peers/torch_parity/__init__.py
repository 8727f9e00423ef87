"""What is compared with PyTorch, a page for each family: the products of options, and what they leave out."""

from torch_parity import activation, linear, loss, normalization, pooling, resampling
from torch_parity._comparison import Comparison, Excluded, differences, in_groups

__all__ = ["COMPARISONS", "EXCLUDED", "Comparison", "Excluded", "differences", "in_groups"]

_PAGES = (linear, pooling, normalization, activation, resampling, loss)
COMPARISONS = [comparison for page in _PAGES for comparison in page.COMPARISONS]
EXCLUDED = [excluded for page in _PAGES for excluded in page.EXCLUDED]
