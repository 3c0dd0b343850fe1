"""Calls of emerge: what of a command line counts for the result."""

from __future__ import annotations

import pytest

from cloche.catalyst.emerge import emerge_call


@pytest.mark.parametrize(
    ("line", "options", "atoms"),
    [
        ("--update --deep --newuse @world", ("--update", "--deep", "--newuse"), ("@world",)),
        (
            "-uDN1 app-editors/ed",
            ("--update", "--deep", "--newuse", "--oneshot"),
            ("app-editors/ed",),
        ),
        ("--quiet --jobs 2 --load-average 4.0 a/b", (), ("a/b",)),
        ("--jobs a/b", (), ("a/b",)),  # its value is optional
        ("-e --with-bdeps=y @system", ("--emptytree", "--with-bdeps=y"), ("@system",)),
        ("--usepkg n a/b --buildpkg=n", (), ("a/b",)),
        ("--with-bdeps n --deep 3 a/b", ("--with-bdeps=n", "--deep"), ("a/b",)),
        ("--exclude a/c --rebuild-exclude a/d a/b", (), ("a/b",)),
        ("--exclude=a/c a/b", (), ("a/b",)),
        ("-qvbk --nodeps =a/b-1", ("--nodeps",), ("=a/b-1",)),
    ],
)
def test_what_counts(line: str, options: tuple[str, ...], atoms: tuple[str, ...]) -> None:
    found = emerge_call(line.split())
    assert (found.options, found.atoms) == (options, atoms)


@pytest.mark.parametrize(
    ("line", "unknown"),
    [
        ("--rebuild-if-new-rev a/b", ("--rebuild-if-new-rev",)),
        ("-1K --exclude=a/c a/b", ("-K", "--exclude=a/c")),
        ("-uDNqvj2 --keep-going --buildpkg=n @world", ()),
    ],
)
def test_what_could_change_the_result_is_not_dropped(line: str, unknown: tuple[str, ...]) -> None:
    assert emerge_call(line.split()).unknown == unknown


@pytest.mark.parametrize("line", ["-pv a/b", "--pretend a/b", "--info"])
def test_what_merges_nothing_has_no_atoms(line: str) -> None:
    assert emerge_call(line.split()).atoms == ()


def test_use_of_the_environment_is_kept_apart_from_none() -> None:
    assert emerge_call(["a/b"], "").use == ""
    assert emerge_call(["a/b"]).use is None
