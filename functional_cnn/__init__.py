"""Convolutional networks as pure functions, with hand-derived, proved and exchangeable backward passes."""

import importlib
from typing import TYPE_CHECKING

from functional_cnn import init, models
from functional_cnn.composition import separable_conv
from functional_cnn.ops.adaptive_pooling import adaptive_avg_pool, adaptive_max_pool
from functional_cnn.ops.average_pooling import avg_pool, lp_pool
from functional_cnn.ops.convolution import conv
from functional_cnn.ops.dense import dense
from functional_cnn.ops.divisive_normalization import local_response_norm, rms_norm
from functional_cnn.ops.dropout import drop_block, dropout, stochastic_depth
from functional_cnn.ops.gated import gelu, glu, mish, silu
from functional_cnn.ops.global_pooling import global_avg_pool, global_max_pool
from functional_cnn.ops.hard_activation import hard_sigmoid, hard_silu, hard_tanh, relu6
from functional_cnn.ops.kernel import spectral_norm, weight_standardization
from functional_cnn.ops.loss import sigmoid_cross_entropy, softmax_cross_entropy, squared_error
from functional_cnn.ops.max_pooling import max_pool, max_pool_with_indices
from functional_cnn.ops.normalization import batch_norm, batch_norm_inference
from functional_cnn.ops.padding import pad
from functional_cnn.ops.pixel_shuffle import pixel_shuffle, pixel_unshuffle
from functional_cnn.ops.rectifier import celu, elu, leaky_relu, prelu, relu, selu
from functional_cnn.ops.resampling import resize
from functional_cnn.ops.sample_normalization import group_norm, instance_norm, layer_norm
from functional_cnn.ops.sigmoidal import log_sigmoid, sigmoid, softplus, softsign, tanh
from functional_cnn.ops.softmax import log_softmax, softmax
from functional_cnn.ops.transposed_convolution import conv_transpose
from functional_cnn.ops.unpooling import max_unpool
from functional_cnn.rematerialization import convs_saveable, remat
from functional_cnn.rule import RULES, Rule, autodiff, use_rules, with_rules

if TYPE_CHECKING:
    from functional_cnn import data, pretrained, training, tuning, verify

__all__ = [
    "RULES",
    "Rule",
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "autodiff",
    "avg_pool",
    "batch_norm",
    "batch_norm_inference",
    "celu",
    "conv",
    "conv_transpose",
    "convs_saveable",
    "data",
    "dense",
    "drop_block",
    "dropout",
    "elu",
    "gelu",
    "global_avg_pool",
    "global_max_pool",
    "glu",
    "group_norm",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "init",
    "instance_norm",
    "layer_norm",
    "leaky_relu",
    "local_response_norm",
    "log_sigmoid",
    "log_softmax",
    "lp_pool",
    "max_pool",
    "max_pool_with_indices",
    "max_unpool",
    "mish",
    "models",
    "pad",
    "pixel_shuffle",
    "pixel_unshuffle",
    "prelu",
    "pretrained",
    "relu",
    "relu6",
    "remat",
    "resize",
    "rms_norm",
    "selu",
    "separable_conv",
    "sigmoid",
    "sigmoid_cross_entropy",
    "silu",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
    "softsign",
    "spectral_norm",
    "squared_error",
    "stochastic_depth",
    "tanh",
    "training",
    "tuning",
    "use_rules",
    "verify",
    "weight_standardization",
    "with_rules",
]

_LAZY = ("data", "pretrained", "training", "tuning", "verify")


def __getattr__(name: str):
    # Modules beyond the core are imported at their first use: training needs optax, which the core does not.
    if name in _LAZY:
        return importlib.import_module(f"functional_cnn.{name}")
    raise AttributeError(f"module 'functional_cnn' has no attribute {name!r}")
