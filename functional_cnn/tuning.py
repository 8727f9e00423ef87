"""How to launch a process so that training on CPU is fast: ``python -m functional_cnn.tuning``.

glibc reads its tunables when a process starts, so they belong in the environment of the command. This module
says which pay; importing it, or the library, changes nothing.
"""

import os
import platform
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Setting(NamedTuple):
    """One entry of an environment variable.

    Attributes:
      variable: the environment variable.
      name: the entry's name; a variable holds entries ``name=value``.
      value: the entry's value.
      reason: why it pays, in one line.
    """

    variable: str
    name: str
    value: str
    reason: str


# Between the entries of a variable.
_SEPARATORS = {"GLIBC_TUNABLES": ":"}

_HUGE_PAGES = Setting(
    "GLIBC_TUNABLES",
    "glibc.malloc.hugetlb",
    "1",
    "temp memory comes in huge pages: some 700 page faults a MobileNetV2 step where there were 129,000",
)
_MARKER = "FUNCTIONAL_CNN_TUNED"


def recommended_settings() -> tuple[Setting, ...]:
    """The settings that were measured to pay for CPU runs on this system.

    No flag of XLA is among them: with our rules none was found that makes a step faster.

    Returns:
      The settings, with their reasons; none where nothing was measured, as outside Linux.
    """
    pages = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return _recommended(sys.platform, platform.libc_ver(), pages.read_text() if pages.exists() else "")


def _recommended(system: str, libc: tuple[str, str], huge_pages: str) -> tuple[Setting, ...]:
    name, version = libc
    # The tunable is there since glibc 2.35; under [never] the kernel gives no huge pages.
    served = system == "linux" and name == "glibc" and _numbers(version) >= (2, 35)
    if served and ("[madvise]" in huge_pages or "[always]" in huge_pages):
        return (_HUGE_PAGES,)
    return ()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def recommended_environment() -> dict[str, str]:
    """The environment variables for a fast training step on CPU.

    Returns:
      The variables with whole values: what the process was started with, and the entries of
      ``recommended_settings`` that it does not name yet. ``{}`` where nothing is recommended.

    Example:
      >>> from functional_cnn import tuning
      >>> set(tuning.recommended_environment()) <= {"GLIBC_TUNABLES"}
      True
    """
    return _merged(recommended_settings(), _environment_at_start())


def _merged(settings: tuple[Setting, ...], environment: Mapping[str, str]) -> dict[str, str]:
    merged = {}
    for setting in settings:
        variable = setting.variable
        merged.setdefault(variable, environment.get(variable, ""))
        if not _is_set(setting, merged):
            entries = [entry for entry in (merged[variable], f"{setting.name}={setting.value}") if entry]
            merged[variable] = _SEPARATORS[variable].join(entries)
    return merged


def missing_settings() -> tuple[Setting, ...]:
    """The recommended settings that this process was not started with.

    An entry that is there with another value counts as started with: it is the user's choice.

    Returns:
      Some of ``recommended_settings``.
    """
    return _missing(recommended_settings())


def _missing(settings: tuple[Setting, ...]) -> tuple[Setting, ...]:
    environment = _environment_at_start()
    return tuple(setting for setting in settings if not _is_set(setting, environment))


def _is_set(setting: Setting, environment: Mapping[str, str]) -> bool:
    """Whether the variable names the setting already, with whatever value."""
    entries = environment.get(setting.variable, "").split(_SEPARATORS[setting.variable])
    return any(entry.partition("=")[0] == setting.name for entry in entries)


def _environment_at_start() -> dict[str, str]:
    """What the process was started with, which is what glibc has read."""
    started = Path("/proc/self/environ")
    if not started.exists():
        return dict(os.environ)
    entries = started.read_bytes().decode(errors="surrogateescape").split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def restart_tuned() -> None:
    """Starts this program again under the recommended environment, unless it runs under it already.

    Prints a line that says what is set. Call it first in a program, before JAX has computed anything: on
    success the program starts anew and this call does not return. It returns where nothing is missing, and in
    the program that it started.

    Raises:
      OSError: the system cannot start the program again.
    """
    restart_with(recommended_settings())


def restart_with(settings: tuple[Setting, ...]) -> None:
    """Starts this program again with settings in its environment, as ``restart_tuned`` does with the recommended.

    Args:
      settings: what the environment is to name; an entry that is there with another value stays.

    Raises:
      OSError: the system cannot start the program again.
    """
    missing = _missing(settings)
    added = " ".join(f"{setting.name}={setting.value}" for setting in missing)
    # The mark is of a program whose environment the system has changed on its start; it would start for ever.
    if not missing or os.environ.get(_MARKER) == added:
        return
    print(f"starting again with {added}", flush=True)
    environment = {**os.environ, **_merged(settings, _environment_at_start()), _MARKER: added}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def main() -> None:
    """Prints the recommended environment as lines for a shell, with reasons and whether each is in force."""
    settings, missing = recommended_settings(), missing_settings()
    for setting in settings:
        state = "not in force" if setting in missing else "in force, or left to what you set"
        print(f"# {setting.name}: {setting.reason} ({state})")
    for variable, value in recommended_environment().items():
        print(f"export {variable}={shlex.quote(value)}")
    if not settings:
        print("# nothing is known to pay on this system")


if __name__ == "__main__":
    main()
