"""Losses without a reduction, and what draws random numbers where it does not draw any."""

from functools import partial

import jax
import numpy as np

import functional_cnn as fcnn
from torch_parity._comparison import RNG, Comparison, Excluded, F, normal


def _cross_entropy(shape, kind, smoothing, size):
    classes = shape[-1]

    def theirs(logits, labels):  # of rows, since PyTorch has the classes second
        labels = labels.reshape(-1, classes) if labels.is_floating_point() else labels.reshape(-1)
        options = {"reduction": "none", "label_smoothing": smoothing}
        return F.cross_entropy(logits.reshape(-1, classes), labels, **options).reshape(shape[:-1])

    labels = {
        "integers": np.asarray(RNG.integers(0, classes, shape[:-1])),
        "distributions": RNG.dirichlet(np.ones(classes), shape[:-1]),
        "any weights": normal(*shape),
    }[kind]
    ours = partial(fcnn.softmax_cross_entropy, label_smoothing=smoothing)
    label = f"{shape}, {kind}, smoothing {smoothing}, size {size}"
    return Comparison("softmax_cross_entropy", label, ours, theirs, (size * normal(*shape), labels))


def _ruled_out():
    """A class whose logit is -inf and which is no label."""
    logits = normal(3, 4)
    logits[:, 2] = -np.inf
    theirs = partial(F.cross_entropy, reduction="none")
    arrays = (logits, np.array([0, 1, 3]))
    return Comparison("softmax_cross_entropy", "a logit of -inf", fcnn.softmax_cross_entropy, theirs, arrays)


CROSS_ENTROPY = [
    *(
        _cross_entropy(shape, kind, smoothing, size)
        for shape, size in [((6, 5), 1.0), ((2, 3, 5), 100.0), ((5,), 1.0), ((4, 1), 1.0)]
        for kind in ("integers", "distributions", "any weights")
        for smoothing in (0.0, 0.1, 1.0)
    ),
    _ruled_out(),
]
LOGITS = np.concatenate([normal(20), [0.0, -0.0, 30.0, -30.0, 1e3, -1e3]])
ELEMENTWISE = [
    Comparison(op, label, getattr(fcnn, op), partial(theirs, reduction="none"), (logits, targets))
    for op, theirs in [
        ("sigmoid_cross_entropy", F.binary_cross_entropy_with_logits),
        ("squared_error", F.mse_loss),
    ]
    for label, logits, targets in [
        ("probabilities", LOGITS, RNG.random(LOGITS.shape)),
        ("zeros and ones", LOGITS, np.round(RNG.random(LOGITS.shape))),
        ("any targets", normal(3, 4), normal(3, 4)),
        ("empty", normal(0, 4), normal(0, 4)),
    ]
]
# At rate 0 nothing is drawn.
NOISE = [
    Comparison(
        op,
        f"rate 0, {shape}",
        lambda x, op=op, options=options: getattr(fcnn, op)(x, jax.random.key(0), rate=0.0, **options),
        lambda x: F.dropout(x, 0.0),
        (normal(*shape),),
    )
    for op, options in [("dropout", {}), ("stochastic_depth", {}), ("drop_block", {"block_size": 2})]
    for shape in [(2, 4, 3), (2, 4, 4, 3)]
]

COMPARISONS = [*CROSS_ENTROPY, *ELEMENTWISE, *NOISE]

EXCLUDED = [
    Excluded(
        "softmax_cross_entropy", "reduction, weight, ignore_index", "the caller's: the losses are per example"
    ),
    Excluded(
        "softmax_cross_entropy", "a label where the logit is -inf", "PyTorch has NaN where 0 log 0 is 0"
    ),
    Excluded(
        "sigmoid_cross_entropy", "reduction, weight, pos_weight", "the caller's: the losses are elementwise"
    ),
    Excluded("squared_error", "reduction, weight", "the caller's: the losses are elementwise"),
    *(
        Excluded(
            op, "a rate above 0", "the random streams differ; tests/test_numerics.py has the frequencies"
        )
        for op in ("dropout", "stochastic_depth", "drop_block")
    ),
    Excluded("alpha_dropout", "all of it", "not in this library"),
]
