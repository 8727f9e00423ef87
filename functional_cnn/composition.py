"""Layers that are compositions of ops: their backward pass is that of the ops they are made of."""

from typing import Any

import jax

from functional_cnn import _checks, _window
from functional_cnn.ops.convolution import conv


def separable_conv(
    x: jax.Array,
    depthwise_kernel: jax.Array,
    pointwise_kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: Any = "SAME",
    dilation: int | tuple[int, ...] = 1,
) -> jax.Array:
    """A depthwise convolution, then a pointwise one: space first, channels after.

    y = conv(conv(x, depthwise_kernel, groups=C), pointwise_kernel, bias), where the stride, padding and
    dilation are the depthwise convolution's.

    Args:
      x: (N, *spatial, C), floating; 1, 2 or 3 spatial dimensions and at least one channel.
      depthwise_kernel: (*window, 1, C m), of x's dtype; its outputs c m to c m + m - 1 see channel c.
      pointwise_kernel: (1, ..., 1, C m, O), of x's dtype.
      bias: (O,), of x's dtype, or None.
      stride: as in ``conv``.
      padding: as in ``conv``.
      dilation: as in ``conv``.

    Returns:
      (N, *output, O) of x's dtype, output as in ``conv``. float16 and bfloat16 accumulate in float32, and
      what goes from one convolution to the other is of x's dtype.

    Raises:
      ValueError: a shape, a pad or a number does not fit, or the output would be empty.
      TypeError: an argument is not floating or has another dtype than x.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> x = jnp.arange(8.0).reshape(1, 4, 2)
      >>> means = jnp.full((2, 1, 2), 0.5)
      >>> print(fcnn.separable_conv(x, means, jnp.ones((1, 2, 1)), padding="VALID").ravel())
      [ 3.  7. 11.]

    It runs the rule of ``conv`` and has none of its own, so exchange that one. In PyTorch it is two
    ``Conv2d``; in Keras ``SeparableConv2D``, with a depthwise kernel (*window, C, m).

    Reference: F. Chollet, "Xception", arXiv:1610.02357; A. Howard et al., "MobileNets", arXiv:1704.04861,
    section 3.1.
    """
    function = "separable_conv"
    x = _checks.floating(function, "x", x)
    rank, channels = _checks.spatial(function, x), x.shape[-1]
    if not channels:
        raise ValueError(f"{function}: x must have at least one channel, got shape {x.shape}")
    depthwise_kernel = _checks.like(function, "depthwise_kernel", depthwise_kernel, "x", x)
    pointwise_kernel = _checks.like(function, "pointwise_kernel", pointwise_kernel, "x", x)
    _require_kernels(depthwise_kernel.shape, pointwise_kernel.shape, rank, channels)
    bias = _checks.vector(function, "bias", bias, pointwise_kernel.shape[-1], "output channel", "x", x)
    window = _window.resolve(
        function,
        padding,
        x.shape[1:-1],
        depthwise_kernel.shape[:-2],
        _checks.per_axis(function, "stride", stride, rank),
        _checks.per_axis(function, "dilation", dilation, rank),
    )
    _window.require_output(function, window, x.shape[1:-1])
    y = conv(
        x,
        depthwise_kernel,
        stride=window.stride,
        padding=window.padding,
        dilation=window.dilation,
        groups=channels,
    )
    return conv(y, pointwise_kernel, bias, padding="VALID")


def _require_kernels(
    depthwise: tuple[int, ...], pointwise: tuple[int, ...], rank: int, channels: int
) -> None:
    fits = len(depthwise) == rank + 2 and depthwise[-2] == 1 and depthwise[-1] % channels == 0
    if not fits or 0 in depthwise[:-2]:
        raise ValueError(
            f"separable_conv: depthwise_kernel must have shape (*window, 1, C m) with {rank} window axes of at "
            f"least 1 and C = {channels}, the channels of x, got shape {depthwise}"
        )
    if pointwise[:-1] != (*(1,) * rank, depthwise[-1]):
        raise ValueError(
            f"separable_conv: pointwise_kernel must have shape {(*(1,) * rank, depthwise[-1])} and then O, "
            f"got shape {pointwise}"
        )
