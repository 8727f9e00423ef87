"""Losses, per example or per element; the caller takes the mean. Other losses: ``optax.losses``."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn import _checks
from functional_cnn._numerics import like_primal, widened
from functional_cnn.rule import Rule, apply, define


class CrossEntropySpec(NamedTuple):
    label_smoothing: float


def softmax_cross_entropy(logits: jax.Array, labels: jax.Array, *, label_smoothing: float = 0.0) -> jax.Array:
    """Cross-entropy between labels and the softmax of logits, in nats.

    loss = - sum_k t_k log softmax(logits)_k,   t = (1 - a) q + a / K,
    where q is the labels' distribution (one-hot for integers), a the smoothing and K the classes.

    Args:
      logits: (..., K), floating.
      labels: (...), integers in [0, K), or (..., K), a distribution of logits' dtype.
      label_smoothing: a, in [0, 1].

    Returns:
      (...) of logits' dtype, one loss per example, computed in float32 or better. An integer label
      outside [0, K) gives NaN, as no loss is defined for it.

    Raises:
      ValueError: labels have neither shape, there are no classes, or smoothing is outside [0, 1].
      TypeError: logits are not floating, or labels are floating of another dtype.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.softmax_cross_entropy(jnp.zeros((1, 4)), jnp.array([2])).round(4))  # log 4
      [1.3863]

    Reference: C. Bishop, "Pattern Recognition and Machine Learning", section 4.3.4; smoothing:
    C. Szegedy et al., arXiv:1512.00567, section 7.
    """
    function = "softmax_cross_entropy"
    logits = _checks.floating(function, "logits", logits)
    if logits.ndim < 1 or logits.shape[-1] < 1:
        raise ValueError(f"{function}: logits must have shape (..., K) with K >= 1, got {logits.shape}")
    labels = _checks.array(function, "labels", labels)
    if jnp.issubdtype(labels.dtype, jnp.integer):
        expected, what = logits.shape[:-1], "integer labels"
        if jnp.iinfo(labels.dtype).bits < 32:
            labels = labels.astype(jnp.int32)  # which holds the number of classes, as int8 may not
    elif not jnp.issubdtype(labels.dtype, jnp.floating):
        raise TypeError(f"{function}: labels must be integers or a floating array, got dtype {labels.dtype}")
    else:
        labels = _checks.like(function, "labels", labels, "logits", logits)
        expected, what = logits.shape, "labels that are distributions"
    if labels.shape != expected:
        raise ValueError(
            f"{function}: {what} must have shape {expected} for logits of shape {logits.shape}, "
            f"got shape {labels.shape}"
        )
    spec = CrossEntropySpec(_checks.fraction(function, "label_smoothing", label_smoothing, closed=True))
    return apply(function, spec, logits, labels)


# Softmax cross-entropy, derived.    z logits, t smoothed targets, T = sum_k t_k (1 for a distribution)
#   forward   loss = T logsumexp(z) - sum_k t_k z_k
#   dz        dz_k = dloss (T softmax(z)_k - t_k)
#   dlabels   dq_k = dloss (1 - a) (logsumexp(z) - z_k)          none for integers
# Residuals, m = max z: of integer labels exp(z - m), in the place of z, and its sum; softmax(z) made again would
# cost more than all else. Of distributions, whose dlabels asks for them, z and logsumexp(z) as m and
# l = log sum exp(z - m): m + l, rounded where logits are large, would cost digits.
# Reference: the definition through log_softmax, with one-hot targets written out.


def _targets(spec, logits, labels):
    classes = logits.shape[-1]
    if jnp.issubdtype(labels.dtype, jnp.integer):
        labels = (labels[..., None] == jnp.arange(classes, dtype=labels.dtype)).astype(logits.dtype)
    return (1 - spec.label_smoothing) * labels + spec.label_smoothing / classes


def _nan_where_unknown(values, logits, labels):
    """Values, one for each example, with NaN where its class does not exist."""
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        return values
    return jnp.where((labels >= 0) & (labels < logits.shape[-1]), values, jnp.nan)


def _wide(logits, labels):
    """Both in the accumulator's dtype; integers stay."""
    if jnp.issubdtype(labels.dtype, jnp.integer):
        return *widened(logits), labels
    return widened(logits, labels)


def _softmax_reference(spec, logits, labels):
    z, labels = _wide(logits, labels)
    if jnp.issubdtype(labels.dtype, jnp.integer):
        one_hot = jax.nn.one_hot(labels, z.shape[-1], dtype=z.dtype)
        labels = jnp.where(one_hot.sum(-1, keepdims=True) == 1, one_hot, jnp.nan)
    smoothing = spec.label_smoothing
    targets = labels * (1 - smoothing) + jnp.full_like(z, smoothing / z.shape[-1])
    terms = jnp.where(targets == 0, 0, -targets * jax.nn.log_softmax(z))  # 0 log 0 = 0
    return jnp.sum(terms, axis=-1).astype(logits.dtype)


def _softmax_fwd(spec, logits, labels):
    z, wide_labels = _wide(logits, labels)
    targets = _targets(spec, z, wide_labels)
    peak = lax.stop_gradient(jnp.max(z, axis=-1, keepdims=True))
    powers = jnp.exp(z - peak)
    total = jnp.sum(powers, axis=-1, keepdims=True)
    log_total = jnp.log(total)
    # A term with t = 0 counts for nothing even where z is -inf.
    loss = jnp.sum(jnp.where(targets == 0, 0, targets * (log_total - (z - peak))), axis=-1)
    loss = _nan_where_unknown(loss, logits, labels).astype(logits.dtype)
    if jnp.issubdtype(labels.dtype, jnp.integer):
        return loss, (powers, total, labels)
    return loss, (logits, peak, log_total, labels)


def _softmax_bwd(spec, residuals, dloss):
    if jnp.issubdtype(residuals[-1].dtype, jnp.integer):
        return _dlogits_of_classes(spec, residuals, dloss), None
    return _gradients_of_distributions(spec, residuals, dloss)


def _dlogits_of_classes(spec, residuals, dloss):
    powers, total, labels = residuals
    (wide_dloss,) = widened(dloss)
    wide_dloss = _nan_where_unknown(wide_dloss, powers, labels)[..., None]
    targets = _targets(spec, powers, labels)  # T is 1
    return (wide_dloss * (powers * (1 / total) - targets)).astype(dloss.dtype)


def _gradients_of_distributions(spec, residuals, dloss):
    logits, peak, log_total, labels = residuals
    z, wide_labels, dloss = widened(logits, labels, dloss)
    targets, dloss = _targets(spec, z, wide_labels), dloss[..., None]
    log_softmax = z - peak - log_total
    total = jnp.sum(targets, axis=-1, keepdims=True)
    dlogits = dloss * (total * jnp.exp(log_softmax) - targets)
    dlabels = dloss * ((1 - spec.label_smoothing) * -log_softmax)
    return like_primal(dlogits, logits), like_primal(dlabels, labels)


define(Rule("softmax_cross_entropy", _softmax_reference, _softmax_fwd, _softmax_bwd))


def sigmoid_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Elementwise cross-entropy between labels and the sigmoid of logits, in nats.

    loss = - t log sigmoid(z) - (1 - t) log sigmoid(-z)

    Args:
      logits: any shape, floating.
      labels: the probability t of the positive class, of logits' shape; of logits' dtype, or integers or
        booleans for certain classes.

    Returns:
      An array of logits' shape and dtype, computed in float32 or better.

    Raises:
      ValueError: the shapes differ.
      TypeError: logits are not floating, or labels are floating of another dtype.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.sigmoid_cross_entropy(jnp.array([0.0, 100.0]), jnp.array([1.0, 1.0])).round(4))
      [0.6931 0.    ]

    Reference: C. Bishop, "Pattern Recognition and Machine Learning", section 4.3.2.
    """
    function = "sigmoid_cross_entropy"
    logits = _checks.floating(function, "logits", logits)
    labels = _target(function, "labels", labels, "logits", logits)
    return apply(function, (), logits, labels)


def _target(function, name, value, first_name, first):
    value = _checks.array(function, name, value)
    if jnp.issubdtype(value.dtype, jnp.floating):
        value = _checks.like(function, name, value, first_name, first)
    elif jnp.issubdtype(value.dtype, jnp.complexfloating):
        raise TypeError(f"{function}: {name} must be real, got dtype {value.dtype}")
    _checks.same_shape(function, name, value, first_name, first)
    return value


# Sigmoid cross-entropy, derived.    z logit, t target
#   forward   loss = max(z, 0) - z t + log(1 + exp(-|z|))     the definition, without overflow
#   dz        dz   = dloss (sigmoid(z) - t)
#   dt        dt   = -dloss z                                  none for integers
# Residuals: z and t, alive anyway.
# Reference: the definition through log_sigmoid.


def _sigmoid_reference(spec, logits, labels):
    (z,) = widened(logits)
    t = labels.astype(z.dtype)
    loss = -t * jax.nn.log_sigmoid(z) - (1 - t) * jax.nn.log_sigmoid(-z)
    return loss.astype(logits.dtype)


def _sigmoid_fwd(spec, logits, labels):
    (z,) = widened(logits)
    loss = jnp.maximum(z, 0) - z * labels.astype(z.dtype) + jnp.log1p(jnp.exp(-jnp.abs(z)))
    return loss.astype(logits.dtype), (logits, labels)


def _sigmoid_bwd(spec, residuals, dloss):
    logits, labels = residuals
    z, dloss = widened(logits, dloss)
    dlogits = like_primal(dloss * (lax.logistic(z) - labels.astype(z.dtype)), logits)
    return dlogits, _target_cotangent(labels, -dloss * z)


def _target_cotangent(target, cotangent):
    if jnp.issubdtype(target.dtype, jnp.floating):
        return like_primal(cotangent, target)
    return None


define(Rule("sigmoid_cross_entropy", _sigmoid_reference, _sigmoid_fwd, _sigmoid_bwd))


def squared_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Elementwise squared error, (predictions - targets)^2.

    Args:
      predictions: any shape, floating.
      targets: of predictions' shape; of predictions' dtype, or integers or booleans.

    Returns:
      An array of predictions' shape and dtype, computed in float32 or better.

    Raises:
      ValueError: the shapes differ.
      TypeError: predictions are not floating, or targets are floating of another dtype.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> print(fcnn.squared_error(jnp.array([1.0, 2.0]), jnp.array([0.0, 4.0])))
      [1. 4.]

    Reference: C. Bishop, "Pattern Recognition and Machine Learning", section 1.1.
    """
    function = "squared_error"
    predictions = _checks.floating(function, "predictions", predictions)
    targets = _target(function, "targets", targets, "predictions", predictions)
    return apply(function, (), predictions, targets)


# Squared error, derived.
#   forward   loss = (p - t)^2
#   dp        dp   = 2 (p - t) dloss
#   dt        dt   = -dp                                       none for integers
# Residuals: p and t, alive anyway.
# Reference: the square as lax.integer_pow.


def _squared_reference(spec, predictions, targets):
    (p,) = widened(predictions)
    return lax.integer_pow(p - targets.astype(p.dtype), 2).astype(predictions.dtype)


def _squared_fwd(spec, predictions, targets):
    (p,) = widened(predictions)
    error = p - targets.astype(p.dtype)
    return (error * error).astype(predictions.dtype), (predictions, targets)


def _squared_bwd(spec, residuals, dloss):
    predictions, targets = residuals
    p, dloss = widened(predictions, dloss)
    dp = 2 * (p - targets.astype(p.dtype)) * dloss
    return like_primal(dp, predictions), _target_cotangent(targets, -dp)


define(Rule("squared_error", _squared_reference, _squared_fwd, _squared_bwd))
