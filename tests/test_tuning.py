"""What is recommended for the environment, and that nothing changes it unasked."""

import os
import subprocess
import sys

import pytest

from functional_cnn import tuning

GLIBC = ("glibc", "2.36")
MADVISE = "always [madvise] never"


@pytest.mark.parametrize(
    ("system", "version", "libc", "pages", "expected"),
    [
        ("linux", (0, 10, 2), GLIBC, MADVISE, ["scheduler", "hugetlb"]),
        ("linux", (0, 12, 0), GLIBC, MADVISE, ["scheduler", "hugetlb"]),
        ("linux", (0, 99, 0), GLIBC, MADVISE, ["hugetlb"]),
        ("linux", (0, 10, 2), ("glibc", "2.31"), MADVISE, ["scheduler"]),
        ("linux", (0, 10, 2), ("", ""), MADVISE, ["scheduler"]),
        ("linux", (0, 10, 2), GLIBC, "always madvise [never]", ["scheduler"]),
        ("linux", (0, 10, 2), GLIBC, "", ["scheduler"]),
        ("darwin", (0, 10, 2), ("", ""), "", []),
        ("win32", (0, 10, 2), ("", ""), "", []),
    ],
)
def test_settings_of_a_system(system, version, libc, pages, expected):
    found = tuning._recommended(system, version, libc, pages)
    assert len(found) == len(expected)
    assert all(word in setting.name for word, setting in zip(expected, found, strict=True))


def test_what_is_set_stays_and_the_rest_is_added():
    settings = tuning._recommended("linux", (0, 10, 2), GLIBC, MADVISE)
    flag = "--xla_cpu_enable_concurrency_optimized_scheduler=true"
    environment = {"XLA_FLAGS": f"--xla_dump_to=here {flag}", "HOME": "/"}
    assert tuning._merged(settings, environment) == {
        "XLA_FLAGS": f"--xla_dump_to=here {flag}",
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    }
    merged = tuning._merged(settings, {})
    assert tuning._merged(settings, merged) == merged


@pytest.mark.parametrize("space", [" ", "\t", "\n", "\r\n"])
def test_what_is_set_stays_whatever_the_white_space(space):
    settings = tuning._recommended("linux", (0, 12, 0), ("", ""), "")
    flags = space.join(["--xla_dump_to=here", "--xla_cpu_enable_concurrency_optimized_scheduler=true"])
    assert tuning._merged(settings, {"XLA_FLAGS": flags}) == {"XLA_FLAGS": flags}


def test_a_file_of_flags_stays():
    """XLA takes the whole value for the file's name, and stops where there is no such file."""
    settings = tuning._recommended("linux", (0, 10, 2), ("", ""), "")
    assert tuning._merged(settings, {"XLA_FLAGS": "flags.txt"}) == {"XLA_FLAGS": "flags.txt"}


def python(code, **variables):
    plain = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "GLIBC_TUNABLES")}
    return subprocess.run(
        [sys.executable, "-c", code], env=plain | variables, capture_output=True, text=True, check=True
    ).stdout


def test_xla_knows_the_flags_and_finds_them_in_force():
    code = "import jax, functional_cnn.tuning as t; print(jax.numpy.ones(2).sum(), len(t.missing_settings()))"
    assert python(code).split() == ["2.0", str(len(tuning.recommended_settings()))]
    plain = tuning._merged(tuning.recommended_settings(), {})
    assert python(code, **plain).split() == ["2.0", "0"]


def test_importing_changes_no_variable():
    code = (
        "import os; before = dict(os.environ); import functional_cnn as f; f.training, f.tuning; "
        "print(before == dict(os.environ))"
    )
    assert python(code).strip() == "True"


@pytest.mark.skipif(os.name != "posix", reason="the lines are for a POSIX shell")
def test_printed_lines_are_for_a_shell():
    lines = python("from functional_cnn import tuning; tuning.main()")
    script = f'{lines}\nprintf "%s|%s" "$XLA_FLAGS" "$GLIBC_TUNABLES"'
    plain = {"PATH": os.environ["PATH"]}
    shown = subprocess.run(["sh", "-c", script], env=plain, capture_output=True, text=True, check=True).stdout
    expected = tuning._merged(tuning.recommended_settings(), {})
    assert shown == f"{expected.get('XLA_FLAGS', '')}|{expected.get('GLIBC_TUNABLES', '')}"
