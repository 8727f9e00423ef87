"""Convolutional networks as pure functions, with hand-derived, proved and exchangeable backward passes."""

from functional_cnn.ops.average_pooling import avg_pool, global_avg_pool
from functional_cnn.ops.activation import leaky_relu, log_softmax, relu, sigmoid, softmax, tanh
from functional_cnn.ops.convolution import conv
from functional_cnn.ops.dense import dense
from functional_cnn.ops.dropout import dropout
from functional_cnn.ops.loss import sigmoid_cross_entropy, softmax_cross_entropy, squared_error
from functional_cnn.ops.max_pooling import max_pool
from functional_cnn.ops.normalization import batch_norm, batch_norm_inference
from functional_cnn.rule import RULES, Rule, autodiff, use_rules, with_rules
