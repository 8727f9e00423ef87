"""What is recommended for the environment, and that nothing changes it unasked."""

import os
import subprocess
import sys

import pytest

from functional_cnn import tuning

GLIBC = ("glibc", "2.36")
MADVISE = "always [madvise] never"


@pytest.mark.parametrize(
    ("system", "libc", "pages", "expected"),
    [
        ("linux", GLIBC, MADVISE, ["glibc.malloc.hugetlb"]),
        ("linux", GLIBC, "[always] madvise never", ["glibc.malloc.hugetlb"]),
        ("linux", ("glibc", "2.31"), MADVISE, []),
        ("linux", ("", ""), MADVISE, []),
        ("linux", GLIBC, "always madvise [never]", []),
        ("linux", GLIBC, "", []),
        ("darwin", ("", ""), "", []),
        ("win32", ("", ""), "", []),
    ],
)
def test_settings_of_a_system(system, libc, pages, expected):
    assert [setting.name for setting in tuning._recommended(system, libc, pages)] == expected


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "glibc.malloc.hugetlb=1"),
        ("glibc.malloc.hugetlb=0", "glibc.malloc.hugetlb=0"),
        ("glibc.malloc.check=3", "glibc.malloc.check=3:glibc.malloc.hugetlb=1"),
        ("glibc.malloc.hugetlb=2:glibc.malloc.check=3", "glibc.malloc.hugetlb=2:glibc.malloc.check=3"),
    ],
)
def test_what_is_set_stays_and_the_rest_is_added(before, after):
    settings = tuning._recommended("linux", GLIBC, MADVISE)
    assert tuning._merged(settings, {"GLIBC_TUNABLES": before, "HOME": "/"}) == {"GLIBC_TUNABLES": after}


def python(code, **variables):
    plain = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    return subprocess.run(
        [sys.executable, "-c", code], env=plain | variables, capture_output=True, text=True, check=True
    ).stdout


def test_settings_are_missing_until_a_process_starts_with_them():
    code = "import functional_cnn.tuning as t; print(len(t.missing_settings()))"
    assert python(code).strip() == str(len(tuning.recommended_settings()))
    assert python(code, **tuning._merged(tuning.recommended_settings(), {})).strip() == "0"


def test_importing_changes_no_variable():
    code = (
        "import os; before = dict(os.environ); import functional_cnn as f; f.training, f.tuning; "
        "print(before == dict(os.environ))"
    )
    assert python(code).strip() == "True"


@pytest.mark.skipif(os.name != "posix", reason="the lines are for a POSIX shell")
def test_printed_lines_are_for_a_shell():
    lines = python("from functional_cnn import tuning; tuning.main()")
    script = f'{lines}\nprintf "%s" "$GLIBC_TUNABLES"'
    plain = {"PATH": os.environ["PATH"]}
    shown = subprocess.run(["sh", "-c", script], env=plain, capture_output=True, text=True, check=True).stdout
    expected = tuning._merged(tuning.recommended_settings(), {})
    assert shown == expected.get("GLIBC_TUNABLES", "")


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a program that starts again is another process")
@pytest.mark.parametrize(
    ("before", "shown"),
    [
        ({}, "starting again with glibc.malloc.arena_max=1\nglibc.malloc.arena_max=1\n"),
        ({"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}, "glibc.malloc.arena_max=2\n"),
    ],
    ids=["missing", "another value"],
)
def test_a_program_starts_again_once_with_what_is_missing(before, shown):
    code = (
        "import os; from functional_cnn import tuning as t; "
        "t.restart_with((t.Setting('GLIBC_TUNABLES', 'glibc.malloc.arena_max', '1', 'a reason'),)); "
        "print(os.environ['GLIBC_TUNABLES'])"
    )
    assert python(code, **before) == shown
