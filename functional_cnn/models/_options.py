"""The checks of the options that models have in common."""

from collections.abc import Callable
from typing import Any

import numpy as np

from functional_cnn import _checks
from functional_cnn.rematerialization import convs_saveable


def _at_least_one(function: str, name: str, value: Any) -> int:
    return _checks.integer(function, name, value, minimum=1)


# Of ``fcnn.remat``, by what a model's option remat says.
POLICIES = {True: None, "convs_saveable": convs_saveable}


def _remat(function: str, name: str, value: Any) -> bool | str:
    if not isinstance(value, bool | np.bool_ | str):
        raise TypeError(f"{function}: {name} must be a bool or a policy's name, got {value!r}")
    if value not in (False, *POLICIES):
        raise ValueError(f"{function}: {name} must be True, False or 'convs_saveable', got {value!r}")
    return value if isinstance(value, str) else bool(value)


_CHECKS: dict[str, Callable[[str, str, Any], Any]] = {
    "num_classes": _at_least_one,
    "in_channels": _at_least_one,
    "width": _at_least_one,
    "dropout": _checks.fraction,
    "stochastic_depth": _checks.fraction,
    "remat": _remat,
    "scan": _checks.flag,
}


def check(function: str, **options: Any) -> None:
    """Raises where an option is not what its name asks for."""
    for name, value in options.items():
        _CHECKS[name](function, name, value)
    rate = options.get("stochastic_depth")
    if options.get("scan") and rate:
        raise ValueError(f"{function}: scan needs equal blocks, but stochastic_depth={rate} differs by block")


def multiplier(function: str, name: str, value: Any) -> float:
    """A factor of numbers of channels."""
    value = _checks.number(function, name, value)
    if value <= 0:
        raise ValueError(f"{function}: {name} must be positive, got {value}")
    return value


def divisible(channels: float, divisor: int = 8) -> int:
    """The multiple of 8 nearest to a number of channels, at least 90 percent of it.

    The rule of MobileNet's and EfficientNet's published code.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor
