"""Checks of users' arguments, with one wording: ``function: argument must be this, got that``.

Shapes and values raise ValueError, types and dtypes raise TypeError.
"""

import math
import operator
from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def array(function: str, name: str, value: Any) -> jax.Array:
    """An array or a Python number, as a JAX array."""
    if isinstance(value, jax.Array):
        return value
    if hasattr(value, "__jax_array__"):
        return value.__jax_array__()
    if isinstance(value, np.ndarray | np.generic | bool | int | float | complex):
        try:
            return jnp.asarray(value)
        except (TypeError, OverflowError):  # an array of strings, say, or an int of more than 64 bits
            pass
    raise TypeError(f"{function}: {name} must be an array, got {_described(value)}")


def floating(function: str, name: str, value: Any) -> jax.Array:
    """An array of real floating dtype."""
    value = array(function, name, value)
    if not jnp.issubdtype(value.dtype, jnp.floating):
        raise TypeError(f"{function}: {name} must be a floating array, got dtype {value.dtype}")
    return value


def like(function: str, name: str, value: Any, first_name: str, first: jax.Array) -> jax.Array:
    """A floating array of the first argument's dtype."""
    value = floating(function, name, value)
    if value.dtype != first.dtype:
        raise TypeError(
            f"{function}: {name} has dtype {value.dtype}, but {first_name} has {first.dtype}; cast one of them"
        )
    return value


def parameter(
    function: str, name: str, value: Any, shape: tuple[int, ...], what: str, first_name: str, first: jax.Array
) -> jax.Array | None:
    """An optional parameter of a given shape, such as a bias."""
    if value is None:
        return None
    value = like(function, name, value, first_name, first)
    if value.shape != shape:
        raise ValueError(
            f"{function}: {name} must have shape {shape}, one for each {what}, got shape {value.shape}"
        )
    return value


def vector(
    function: str, name: str, value: Any, length: int, what: str, first_name: str, first: jax.Array
) -> jax.Array | None:
    """An optional parameter of shape ``(length,)``."""
    return parameter(function, name, value, (length,), what, first_name, first)


def spatial(function: str, x: jax.Array, name: str = "x") -> int:
    """The number of spatial dimensions of an array (N, *spatial, C)."""
    rank = x.ndim - 2
    if rank not in (1, 2, 3):
        raise ValueError(
            f"{function}: {name} must have shape (N, *spatial, C) with 1, 2 or 3 spatial dimensions, "
            f"got shape {x.shape}"
        )
    return rank


def images(function: str, x: Any) -> jax.Array:
    """A floating array (N, *spatial, C) with any number of spatial dimensions."""
    x = floating(function, "x", x)
    if x.ndim < 2:
        raise ValueError(f"{function}: x must have shape (N, *spatial, C), got shape {x.shape}")
    return x


def some_pixel(function: str, x: jax.Array) -> None:
    if 0 in x.shape[1:-1]:
        raise ValueError(f"{function}: x must have at least one pixel, got shape {x.shape}")


def integer(function: str, name: str, value: Any, minimum: int) -> int:
    """A Python or NumPy integer, at least ``minimum``."""
    if isinstance(value, bool | np.bool_ | jax.Array):
        raise TypeError(f"{function}: {name} must be an int, got {_described(value)}")
    try:
        value = operator.index(value)
    except TypeError:
        raise TypeError(f"{function}: {name} must be an int, got {_described(value)}") from None
    if value < minimum:
        raise ValueError(f"{function}: {name} must be at least {minimum}, got {value}")
    return value


def per_axis(function: str, name: str, value: Any, rank: int, minimum: int = 1) -> tuple[int, ...]:
    """An int for every spatial axis, or one int for each."""
    if isinstance(value, tuple | list):
        if len(value) != rank:
            raise ValueError(
                f"{function}: {name} must be an int or {rank} ints, one for each spatial axis, got {value!r}"
            )
        return tuple(integer(function, name, entry, minimum) for entry in value)
    return (integer(function, name, value, minimum),) * rank


def choice(function: str, name: str, value: Any, choices: Collection[Any]) -> Any:
    """One of some values of one type."""
    wanted = type(next(iter(choices)))
    if isinstance(value, bool) or not isinstance(value, wanted):
        article = "an" if wanted is int else "a"
        raise TypeError(f"{function}: {name} must be {article} {wanted.__name__}, got {_described(value)}")
    if value not in choices:
        raise ValueError(f"{function}: {name} must be one of {', '.join(map(str, choices))}, got {value!r}")
    return value


def number(function: str, name: str, value: Any) -> float:
    """A finite Python or NumPy number, static under jit."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{function}: {name} must be a Python number, got {_described(value)}")
    try:
        finite = float(value)
    except OverflowError:
        finite = math.inf
    if not math.isfinite(finite):
        raise ValueError(f"{function}: {name} must be finite, got {value}")
    return finite


def fraction(function: str, name: str, value: Any, *, closed: bool = False) -> float:
    """A number in [0, 1), or in [0, 1] where the interval is closed."""
    value = number(function, name, value)
    if not 0 <= value <= 1 or (value == 1 and not closed):
        raise ValueError(f"{function}: {name} must be in [0, 1{']' if closed else ')'}, got {value}")
    return value


def not_negative(function: str, name: str, value: Any) -> float:
    value = number(function, name, value)
    if value < 0:
        raise ValueError(f"{function}: {name} must not be negative, got {value}")
    return value


def flag(function: str, name: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{function}: {name} must be True or False, got {_described(value)}")
    return bool(value)


def axis(function: str, name: str, value: Any, ndim: int) -> int:
    """One axis of x, as a non-negative int."""
    if ndim == 0:
        raise ValueError(f"{function}: x must have at least one dimension, got a scalar")
    found = integer(function, name, value, minimum=-ndim)
    if found >= ndim:
        raise ValueError(f"{function}: {name} is {found}, but the array has {ndim} dimensions")
    return found % ndim


def axes(function: str, name: str, value: Any, ndim: int) -> tuple[int, ...]:
    """An int or a tuple of ints, as sorted non-negative axes without repetition; an empty tuple is allowed."""
    entries = value if isinstance(value, tuple | list) else (value,)
    found = [axis(function, name, entry, ndim) for entry in entries]
    if len(set(found)) != len(found):
        raise ValueError(f"{function}: {name} names an axis twice, got {value!r}")
    return tuple(sorted(found))


def some_axes(function: str, name: str, value: Any, ndim: int) -> tuple[int, ...]:
    """As ``axes``, at least one."""
    found = axes(function, name, value, ndim)
    if not found:
        raise ValueError(f"{function}: {name} must name at least one axis of x, got {value!r}")
    return found


def same_shape(function: str, name: str, value: jax.Array, first_name: str, first: jax.Array) -> None:
    if value.shape != first.shape:
        raise ValueError(
            f"{function}: {name} has shape {value.shape}, but {first_name} has shape {first.shape}; they must be equal"
        )


def key(function: str, value: Any) -> jax.Array:
    """One PRNG key, of ``jax.random.key`` or of ``jax.random.PRNGKey``."""
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        if value.shape != ():
            raise ValueError(f"{function}: key must be one key, got an array of keys of shape {value.shape}")
        return value
    legacy = jax.eval_shape(jax.random.PRNGKey, 0)
    is_array = isinstance(value, jax.Array | np.ndarray)
    if is_array and (value.shape, value.dtype) == (legacy.shape, legacy.dtype):
        return jnp.asarray(value)
    raise TypeError(f"{function}: key must be a key from jax.random.key, got {_described(value)}")


def axis_name(function: str, value: Any) -> str | tuple[str, ...] | None:
    """The name of a mapped axis, or a tuple of names."""
    entries = value if isinstance(value, tuple | list) else (value,)
    if value is not None and not all(isinstance(entry, str) for entry in entries):
        raise TypeError(f"{function}: axis_name must be a str or a tuple of str, got {_described(value)}")
    return tuple(value) if isinstance(value, list) else value


def mapped_axis_name(function: str, value: Any) -> str | tuple[str, ...] | None:
    """The name of a mapped axis around the call, or a tuple of names."""
    value = axis_name(function, value)
    for entry in (value,) if isinstance(value, str) else value or ():
        try:
            jax.lax.axis_size(entry)
        except NameError:
            raise ValueError(
                f"{function}: axis_name must name a mapped axis around the call, got {entry!r}"
            ) from None
    return value


def precision(function: str, value: Any) -> Any:
    """What ``lax`` takes as the precision of a product: None, a ``lax.Precision``, its name, or a pair of them."""
    if isinstance(value, tuple | list) and len(value) == 2:
        return tuple(precision(function, entry) or jax.lax.Precision.DEFAULT for entry in value)
    if value is None or isinstance(value, jax.lax.Precision):
        return value
    if not isinstance(value, str):
        raise TypeError(
            f"{function}: precision must be None, a lax.Precision or its name, got {_described(value)}"
        )
    try:
        return jax.lax.Precision(value.lower())
    except ValueError:
        names = ", ".join(entry.name.lower() for entry in jax.lax.Precision)
        raise ValueError(f"{function}: precision must be one of {names}, got {value!r}") from None


def _described(value: Any) -> str:
    if isinstance(value, jax.Array | np.ndarray):
        return f"an array of dtype {value.dtype} and shape {value.shape}"
    return f"{type(value).__name__} {value!r}"
