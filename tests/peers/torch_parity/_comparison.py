"""One comparison with PyTorch, and how many of them are made at once."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch

F = torch.nn.functional
RNG = np.random.default_rng(0)
# What cancels in a sum is of order one, so float64's atol is what rounding leaves of it.
TOLERANCES = {np.float64: (1e-9, 1e-12), np.float32: (1e-4, 1e-5)}


class Comparison(NamedTuple):
    """One op at one combination of options and shapes, ours beside PyTorch's, both in our layout.

    ``coarser`` multiplies the tolerance where what is subtracted is much larger than what is left.
    """

    op: str
    label: str
    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    arrays: tuple[np.ndarray, ...]
    coarser: float = 1.0


class Excluded(NamedTuple):
    """What PyTorch or this library offers and no comparison covers, with the reason."""

    op: str
    what: str
    reason: str


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape)


def combinations(**values: tuple) -> list[dict[str, Any]]:
    """Every combination of the options' values."""
    return [dict(zip(values, each, strict=True)) for each in itertools.product(*values.values())]


def in_our_layout(name: str) -> Callable[..., Any]:
    """PyTorch's function of (N, C, *spatial) and kernels (O, C // groups, *window), as one of our layouts.

    A pair of braces in the name takes the number of spatial dimensions.
    """

    def function(x, *parameters, **options):
        parameters = [p.movedim((-1, -2), (0, 1)) if p.ndim == x.ndim else p for p in parameters]
        results = getattr(F, name.format(x.ndim - 2))(x.movedim(-1, 1), *parameters, **options)
        return (
            tuple(r.movedim(1, -1) for r in results) if isinstance(results, tuple) else results.movedim(1, -1)
        )

    return function


def in_groups(comparisons: list[Comparison], most: int = 24) -> Iterator[list[Comparison]]:
    """Comparisons of one op, a number at a time: a compilation for each would take most of the time."""
    for _, same_op in itertools.groupby(comparisons, key=lambda c: c.op):
        while group := list(itertools.islice(same_op, most)):
            yield group


def differences(group: list[Comparison]) -> list[str]:
    """Compares results and the vjps of random cotangents, in float64 and in float32; says what differs."""
    return [text for dtype in TOLERANCES for text in _differences(group, dtype)]


def _differences(group: list[Comparison], dtype: type) -> Iterator[str]:
    wanted = [_theirs(comparison, dtype) for comparison in group]

    @jax.jit
    def everything(arrays, cotangents):
        return [_ours(c.ours, a, u) for c, a, u in zip(group, arrays, cotangents, strict=True)]

    arrays = [[jnp.asarray(_cast(a, dtype)) for a in comparison.arrays] for comparison in group]
    found = everything(arrays, [cotangents for cotangents, _ in wanted])
    for comparison, got, (_, want) in zip(group, found, wanted, strict=True):
        for number, (a, b) in enumerate(zip(got, want, strict=True)):
            if text := _difference(np.asarray(a), b, dtype, comparison.coarser):
                yield f"{comparison.op}, {comparison.label}, {dtype.__name__}, array {number}: {text}"


def _cast(array: np.ndarray, dtype: type) -> np.ndarray:
    return array.astype(dtype) if np.issubdtype(array.dtype, np.floating) else array


def _theirs(comparison: Comparison, dtype: type) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Random cotangents, and PyTorch's results and gradients."""
    tensors = [
        torch.tensor(_cast(a, dtype), requires_grad=np.issubdtype(a.dtype, np.floating))
        for a in comparison.arrays
    ]
    outputs = comparison.theirs(*tensors)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    sources = [tensor for tensor in tensors if tensor.requires_grad]
    smooth = [output for output in outputs if output.is_floating_point()]
    cotangents = [normal(*output.shape).astype(dtype) for output in smooth]
    gradients = torch.autograd.grad(smooth, sources, [torch.tensor(c) for c in cotangents])
    return cotangents, [tensor.detach().numpy() for tensor in (*outputs, *gradients)]


def _ours(
    function: Callable[..., Any], arrays: list[jax.Array], cotangents: list[jax.Array]
) -> list[jax.Array]:
    results, vjp = jax.vjp(function, *arrays)
    leaves, tree = jax.tree.flatten(results)
    given = iter(cotangents)
    full = [
        next(given) if jnp.issubdtype(leaf.dtype, jnp.floating) else np.zeros(leaf.shape, jax.dtypes.float0)
        for leaf in leaves
    ]
    gradients = vjp(jax.tree.unflatten(tree, full))
    return [*leaves, *(g for g in gradients if g.dtype != jax.dtypes.float0)]


def _difference(got: np.ndarray, want: np.ndarray, dtype: type, coarser: float) -> str | None:
    if got.shape != want.shape:
        return f"shape {got.shape}, PyTorch has {want.shape}"
    if not np.issubdtype(want.dtype, np.floating):
        return None if (got == want).all() else "integers differ"
    if got.dtype != want.dtype:
        return f"dtype {got.dtype}, PyTorch has {want.dtype}"
    rtol, atol = TOLERANCES[dtype]
    atol = coarser * atol
    if dtype is np.float32:
        rtol, atol = coarser * rtol, atol * max(1.0, np.abs(want[np.isfinite(want)]).max(initial=0.0))
    if np.allclose(got, want, rtol=rtol, atol=atol, equal_nan=True):
        return None
    with np.errstate(invalid="ignore"):
        difference = np.where(got == want, 0, np.abs(got - want))
    worst = np.unravel_index(np.argmax(np.nan_to_num(difference, nan=np.inf)), got.shape)
    return f"at {tuple(map(int, worst))} {got[worst]}, PyTorch has {want[worst]}"
