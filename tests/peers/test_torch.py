"""Every op with a counterpart in PyTorch: results and all gradients, in float64 and float32, over the options.

What is compared and what is not stands in torch_parity; conftest.py prints both after the run.
"""

import collections

import numpy as np
import pytest

import functional_cnn as fcnn
from functional_cnn.verify.cases import OPS

torch = pytest.importorskip("torch")

torch.set_num_threads(1)

from torch_parity import COMPARISONS, differences, in_groups  # noqa: E402, which needs PyTorch

GROUPS = list(in_groups(COMPARISONS))


@pytest.mark.parametrize("group", GROUPS, ids=[f"{group[0].op}-{i}" for i, group in enumerate(GROUPS)])
def test_as_in_torch(group, record_property):
    found = differences(group)
    record_property("compared with PyTorch", (group[0].op, len(group)))
    assert not found, "\n".join(found)


def test_what_is_compared():
    compared = collections.Counter(comparison.op for comparison in COMPARISONS)
    assert compared.total() >= 1500
    assert compared.keys() == set(OPS)
    labels = collections.Counter((comparison.op, comparison.label) for comparison in COMPARISONS)
    assert not [label for label, count in labels.items() if count > 1], "a combination counts once"


@pytest.mark.parametrize("window", [2, 5])
def test_max_pool_of_nan(window):
    # Of NaN only the result: the gradient goes to PyTorch's last NaN in a window, and to our first.
    x = np.round(np.random.default_rng(0).standard_normal((2, 10, 9, 2)))
    x[0, 2, 3, 0] = x[1, 5, 4, 1] = np.nan
    images = torch.tensor(x).movedim(-1, 1)
    theirs = torch.nn.functional.max_pool2d(images, window, stride=1, padding=1).movedim(1, -1)
    np.testing.assert_array_equal(fcnn.max_pool(x, window, stride=1, padding=1), theirs.numpy())
