"""Elementwise comparison of arrays, with an error text that says what differs, how much and where."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_cnn.verify._problem import rms

_RTOL = {"float64": 1e-9, "float32": 2e-4, "float16": 1e-2, "bfloat16": 5e-2}


class Tolerance(NamedTuple):
    """Elements may differ by atol + rtol |expected|; None takes the default of the dtype."""

    rtol: float | None
    atol: float | None

    def of(self, expected: Any, scale: float) -> tuple[float, float]:
        """rtol and atol for an array, given the size of what it was computed from.

        The default atol allows rounding in sums that cancel: rtol times the array's root mean square, and
        no less than rtol / 1000 of the scale.
        """
        rtol = _RTOL.get(str(expected.dtype), 5e-2) if self.rtol is None else self.rtol
        atol = rtol * max(rms(expected), 1e-3 * scale) if self.atol is None else self.atol
        return rtol, atol


def require_equal(what: str, got: Any, expected: Any, tolerance: Tolerance, scale: float = 0.0) -> float:
    """Raises AssertionError unless the arrays agree; returns the largest difference by the largest element."""
    require_same_type(what, got, expected)
    if not jnp.issubdtype(expected.dtype, jnp.inexact):
        rtol, atol = 0.0, 0.0
    else:
        rtol, atol = tolerance.of(expected, scale)
    got, expected = as_double(got), as_double(expected)
    error = difference(got, expected)
    wrong = error > atol + rtol * np.abs(np.where(np.isfinite(expected), expected, 0.0))
    if wrong.any():
        worst = np.unravel_index(np.argmax(error), error.shape)
        place = f" at index {tuple(int(i) for i in worst)}" if error.ndim else ""
        raise AssertionError(
            f"check_vjp: {what}: {int(wrong.sum())} of {wrong.size} elements differ; the worst{place} is "
            f"{got[worst]:.9g}, expected {expected[worst]:.9g} (difference {error[worst]:.3g}, allowed "
            f"{atol + rtol * abs(expected[worst]):.3g})"
        )
    return relative_error(error, expected, scale)


def require_same_type(what: str, got: Any, expected: Any) -> None:
    if got.shape != expected.shape:
        raise AssertionError(f"check_vjp: {what} has shape {got.shape}, expected {expected.shape}")
    if got.dtype != expected.dtype:
        raise AssertionError(f"check_vjp: {what} has dtype {got.dtype}, expected {expected.dtype}")


def as_double(array: Any) -> np.ndarray:
    """The array in NumPy and in double precision; keys as their data."""
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    kind = np.complex128 if jnp.issubdtype(array.dtype, jnp.complexfloating) else np.float64
    return np.asarray(array).astype(kind)


def difference(got: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """|got - expected|; 0 where both are nan or the same infinity, infinite where only one is finite or nan."""
    with np.errstate(invalid="ignore"):
        same = (got == expected) | (np.isnan(got) & np.isnan(expected))
        error = np.where(same, 0.0, np.abs(got - expected))
    return np.where(np.isnan(error), np.inf, error)


def relative_error(error: np.ndarray, expected: np.ndarray, scale: float) -> float:
    """The largest error by the largest expected element, or by a thousandth of the scale if that is larger."""
    largest = max(np.abs(expected[np.isfinite(expected)]).max(initial=0.0), 1e-3 * scale)
    return float(error.max(initial=0.0) / largest) if largest else 0.0
