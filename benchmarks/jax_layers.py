"""The layers of the benchmark's networks in JAX: ours, and Flax's modules."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

import functional_cnn as fcnn

Tree = dict[str, dict[str, Any]]
Leaf = Callable[[str, str, tuple[int, ...]], Any]  # the array of a layer's name, a leaf's name and a shape


class _Common:
    """What is the same in every JAX library."""

    def flatten(self, x):
        return x.reshape(x.shape[0], -1)

    def concatenate(self, xs):
        return jnp.concatenate(xs, axis=-1)

    def scale_channels(self, x, gate):
        return x * gate[:, None, None]

    def channels(self, x):
        return x.shape[-1]

    def block(self, network, *xs):
        return network(self, *xs)

    def keep(self, x):
        return x


class OurLayers(_Common):
    """``parameter`` and ``statistic`` find arrays; the moved running statistics gather in ``moved``."""

    def __init__(self, parameter: Leaf, statistic: Leaf):
        self.parameter, self.statistic, self.moved = parameter, statistic, {}

    def conv(self, name, x, features, window, *, stride=1, pad=0, groups=1, bias=False):
        kernel = self.parameter(name, "kernel", (window, window, x.shape[-1] // groups, features))
        shift = self.parameter(name, "bias", (features,)) if bias else None
        return fcnn.conv(x, kernel, shift, stride=stride, padding=pad, groups=groups)

    def conv_transpose(self, name, x, features, window):
        kernel = self.parameter(name, "kernel", (window, window, features, x.shape[-1]))
        bias = self.parameter(name, "bias", (features,))
        return fcnn.conv_transpose(x, kernel, bias, stride=window, padding="VALID")

    def batch_norm(self, name, x):
        parameters = (self.parameter(name, leaf, x.shape[-1:]) for leaf in ("scale", "bias"))
        running = (self.statistic(name, leaf, x.shape[-1:]) for leaf in ("mean", "var"))
        y, *batch = fcnn.batch_norm(x, *parameters)
        mean, var = (
            0.9 * old + 0.1 * jax.lax.stop_gradient(new) for old, new in zip(running, batch, strict=True)
        )
        self.moved[name] = {"mean": mean, "var": var}
        return y

    def dense(self, name, x, features):
        kernel = self.parameter(name, "kernel", (x.shape[-1], features))
        return fcnn.dense(x, kernel, self.parameter(name, "bias", (features,)))

    def max_pool(self, x, window, *, stride, pad=0):
        return fcnn.max_pool(x, window, stride=stride, padding=pad)

    def global_avg_pool(self, x):
        return fcnn.global_avg_pool(x)

    def activation(self, name, x):
        return getattr(fcnn, name)(x)

    def keep(self, x):
        return checkpoint_name(x, "kept")


_kept = jax.checkpoint_policies.save_only_these_names("kept", "batch_norm_statistics")


class OurRematLayers(OurLayers):
    """Blocks that the backward pass runs again, but for what is kept."""

    def block(self, network, *xs):
        def run(*xs):
            layers = OurLayers(self.parameter, self.statistic)
            y = network(layers, *xs)
            return y, layers.moved

        y, moved = fcnn.remat(run, policy=_kept)(*xs)
        self.moved |= moved
        return y


class _FlaxLayers(_Common):
    """Makes named modules inside a compact module."""

    def conv(self, name, x, features, window, *, stride=1, pad=0, groups=1, bias=False):
        return nn.Conv(
            features, (window, window), stride, pad, feature_group_count=groups, use_bias=bias, name=name
        )(x)

    def conv_transpose(self, name, x, features, window):
        windows = (window, window)
        return nn.ConvTranspose(features, windows, windows, "VALID", transpose_kernel=True, name=name)(x)

    def batch_norm(self, name, x):
        return nn.BatchNorm(use_running_average=False, momentum=0.9, name=name)(x)

    def dense(self, name, x, features):
        return nn.Dense(features, name=name)(x)

    def max_pool(self, x, window, *, stride, pad=0):
        return nn.max_pool(x, (window, window), (stride, stride), ((pad, pad), (pad, pad)))

    def global_avg_pool(self, x):
        return x.mean((1, 2))

    def activation(self, name, x):
        return getattr(jax.nn, name)(x)


class FlaxNetwork(nn.Module):
    """A network of Flax's modules; its parameters have the names and shapes of ours."""

    network: Callable[[Any, Any], Any]

    @nn.compact
    def __call__(self, images):
        return self.network(_FlaxLayers(), images)

    def apply_with_statistics(self, params, state, images):
        variables = {"params": params, "batch_stats": state}
        logits, moved = self.apply(variables, images, mutable=["batch_stats"])
        return logits, moved.get("batch_stats", {})
