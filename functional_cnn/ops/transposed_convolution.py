"""Transposed convolution in 1, 2 and 3 spatial dimensions."""

import functools
import operator
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from functional_cnn import _checks, _window
from functional_cnn._numerics import accumulator, like_primal, sum_leading
from functional_cnn.ops import _formulations
from functional_cnn.ops._formulations import ConvSpec
from functional_cnn.rule import Rule, apply, define


def conv_transpose(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: Any = "SAME",
    output_padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    precision: Any = None,
) -> jax.Array:
    """The adjoint of ``conv``: spreads each pixel over a window of the output.

    y[n, q, o] = bias[o] + sum over pixels p and taps t with s p + d t - lo = q, and channels c, of
    x[n, p, c] kernel[t, o, c]. Without a bias, <conv(u, kernel), x> = <u, conv_transpose(x, kernel)> for
    every u of y's shape, with equal options.

    Args:
      x: (N, *spatial, C), floating; 1, 2 or 3 spatial dimensions.
      kernel: (*window, O // groups, C), of x's dtype: the kernel of the ``conv`` from O to C channels.
      bias: (O,), of x's dtype, or None.
      stride: s, an int or one for each spatial axis.
      padding: what ``conv`` would pad, and this takes away: "SAME" (output H s), "VALID" (nothing), an int
        for both sides, or an int or a (lo, hi) pair for each spatial axis.
      output_padding: pixels that the output has more at its end, an int or one for each spatial axis; less
        than the larger of stride and dilation, and 0 with "SAME". As many sizes have a ``conv`` of x's
        size, it says which of them is meant.
      dilation: d, the distance of neighbouring taps.
      groups: splits the channels of x and of the output into groups that see only each other.
      precision: as in ``lax.conv_general_dilated``.

    Returns:
      (N, *output, O) of x's dtype, output = (H - 1) s - lo - hi + d (k - 1) + 1 + output_padding, or H s
      with "SAME". float16 and bfloat16 accumulate in float32. On CPU a value that is not finite may make nan
      of whole rows, other groups and blocks of s pixels, or 2, along each axis that its windows meet, in
      gradients too.

    Raises:
      ValueError: a shape, a pad or a number does not fit, or the output would be empty.
      TypeError: an argument is not floating or has another dtype than x.

    Example:
      >>> import jax.numpy as jnp, functional_cnn as fcnn
      >>> x = jnp.array([1.0, 2.0]).reshape(1, 2, 1)
      >>> kernel = jnp.array([1.0, 10.0, 100.0]).reshape(3, 1, 1)
      >>> print(fcnn.conv_transpose(x, kernel, stride=2, padding="VALID").ravel())
      [  1.  10. 102.  20. 200.]

    PyTorch's ``conv_transpose2d`` has the same options; its weight (C, O // groups, *window) with the first
    two axes moved to the end, O before C, is this kernel. Flax's ``nn.ConvTranspose(transpose_kernel=True)``
    takes this kernel and gives this result with "SAME"; with "VALID" it adds zeros up to H s where the
    window is smaller than the stride, and its pads in numbers are those of the dilated x. Without
    ``transpose_kernel`` its kernel is (*window, C, O) and is not flipped: reverse the window's axes and
    exchange the channels.

    Reference: M. Zeiler et al., "Deconvolutional networks", CVPR 2010; V. Dumoulin and F. Visin,
    arXiv:1603.07285, section 4.
    """
    function = "conv_transpose"
    x = _checks.floating(function, "x", x)
    rank = _checks.spatial(function, x)
    kernel = _checks.like(function, "kernel", kernel, "x", x)
    groups = _checks.integer(function, "groups", groups, minimum=1)
    _require_kernel(x, kernel, rank, groups)
    bias = _checks.vector(function, "bias", bias, kernel.shape[-2] * groups, "output channel", "x", x)
    window = _window.resolve_transposed(
        function,
        padding,
        x.shape[1:-1],
        kernel.shape[:-2],
        _checks.per_axis(function, "stride", stride, rank),
        _checks.per_axis(function, "dilation", dilation, rank),
        _checks.per_axis(function, "output_padding", output_padding, rank, minimum=0),
    )
    _require_output(x, window)
    spec = ConvSpec(window, groups, _checks.precision(function, precision), transposed=True)
    return apply(function, spec, x, kernel, bias)


def _require_kernel(x: jax.Array, kernel: jax.Array, rank: int, groups: int) -> None:
    if kernel.ndim != rank + 2:
        raise ValueError(
            f"conv_transpose: kernel must have shape (*window, O // groups, C) with {rank} window axes as x "
            f"has spatial ones, got shape {kernel.shape} for x of shape {x.shape}"
        )
    if 0 in kernel.shape[:-2]:
        raise ValueError(f"conv_transpose: kernel must have a window of at least 1, got shape {kernel.shape}")
    if kernel.shape[-1] != x.shape[-1]:
        raise ValueError(
            f"conv_transpose: kernel takes {kernel.shape[-1]} input channels, its last axis, but x has "
            f"{x.shape[-1]} channels"
        )
    if x.shape[-1] % groups:
        raise ValueError(f"conv_transpose: groups={groups} must divide the {x.shape[-1]} channels of x")


def _require_output(x: jax.Array, window: _window.Window) -> None:
    inputs = x.shape[1:-1]
    _checks.some_pixel("conv_transpose", x)
    outputs = window.input_sizes(inputs)
    if any(output < 1 for output in outputs):
        raise ValueError(
            f"conv_transpose: padding leaves {outputs} pixels of x of spatial shape {inputs}, spread by a "
            f"window of size {window.size}, dilation {window.dilation} and stride {window.stride}: "
            "the output would be empty"
        )


# Transposed convolution, derived.    p pixel of x, q pixel of y, t tap, c channel of x, o channel of y
#   forward   y[n,q,o]  = b[o] + sum_{p,t,c : s p + d t - lo = q} x[n,p,c] k[t,o,c]
#             conv's dx, with x in the place of its dy
#   dx        dx[n,p,c] = sum_{t,o} dy[n, s p + d t - lo, o] k[t,o,c]
#             conv's forward of dy
#   dkernel   dk[t,o,c] = sum_{n,p} dy[n, s p + d t - lo, o] x[n,p,c]
#             conv's dkernel, with dy in the place of its x and x in the place of its dy
#   dbias     db[o]     = sum_{n,q} dy[n,q,o]
# The window is that conv's. Several sizes of y have a conv of x's size: its last pads, negative if need be,
# are chosen so that y is the one whose last window ends with them.
# Residuals: x and k, both alive anyway.
# Formulation: as stated, each map is one of conv's. JAX's own gradient of lax's convolution over a dilated x
# takes 10 to 20 times as long on CPU, nearly all of it in dkernel.
# Reference: each tap's matrix product of x, its pixels s apart, at the tap's place in y; summed over taps.


def _reference(spec, x, kernel, bias):
    window, groups = spec.window, spec.groups
    inputs, outputs = x.shape[1:-1], window.input_sizes(x.shape[1:-1])
    x_groups = x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)
    kernel_groups = kernel.reshape(*kernel.shape[:-1], groups, x.shape[-1] // groups)

    def placed(tap):
        product = jnp.einsum(
            "...gc,ogc->...go",
            x_groups,
            kernel_groups[tap],
            precision=spec.precision,
            preferred_element_type=accumulator(x.dtype),
        )
        pads = []
        for n, o, t, s, (lo, _), d in zip(
            inputs, outputs, tap, window.stride, window.padding, window.dilation, strict=True
        ):
            start = d * t - lo
            pads.append((start, o - start - ((n - 1) * s + 1), s - 1))
        product = product.reshape(*x.shape[:-1], kernel.shape[-2] * groups)
        return lax.pad(product, jnp.zeros((), product.dtype), [(0, 0, 0), *pads, (0, 0, 0)])

    y = functools.reduce(operator.add, map(placed, _window.taps(window)))
    return (y if bias is None else y + bias.astype(y.dtype)).astype(x.dtype)


def _fwd(spec, x, kernel, bias):
    y = _formulations.conv_input_gradient(spec, x, kernel, spec.window.input_sizes(x.shape[1:-1]))
    if bias is not None:
        y = y + bias.astype(y.dtype)
    return y.astype(x.dtype), (x, kernel, bias)


def _bwd(spec, residuals, dy):
    x, kernel, bias = residuals
    dx = _formulations.conv_forward(spec, dy, kernel)
    dkernel = _formulations.conv_kernel_gradient(spec, x, dy, kernel)
    dbias = None if bias is None else like_primal(sum_leading(dy), bias)
    return like_primal(dx, x), like_primal(dkernel, kernel), dbias


define(Rule("conv_transpose", _reference, _fwd, _bwd))
