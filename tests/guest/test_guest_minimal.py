"""What a minimal root has not, which depends on what else it has."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.values import write_files

from cloche.guest import minimal

#: Of Portage, of env-update, of compilers, for readers; and what stays in any root.
RECORDS = ("var/db/pkg/a/b-1/SLOT", "var/lib/portage/world", "var/cache/edb/counter", "etc/env.d/9")
LOADER = ("etc/ld.so.conf", "etc/ld.so.cache", "etc/ld.so.conf.d/x.conf")
SHELL = ("etc/profile.env", "etc/csh.env", "etc/environment.d/10-gentoo-env.conf", "etc/machine-id")
COMPILING = ("usr/include/a.h", "usr/lib/libc.a", "usr/lib64/crt1.o", "usr/lib/pkgconfig/a.pc",
             "usr/lib/x86_64-linux-gnu/Scrt1.o", "usr/share/aclocal/a.m4")  # fmt: skip
READ = ("usr/share/doc/a/b", "usr/share/man/man1/a.1", "usr/share/info/a.info")
STAYS = ("etc/passwd", "usr/bin/hello", "usr/lib/libc.so", "usr/lib/plugin.o", "usr/share/a/b")
MARKS = ("srv/.keep_sys-apps_baselayout-0", "dev/.keep_sys-apps_baselayout-0")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root in which the step believes itself to be."""
    write_files(tmp_path, [*RECORDS, *LOADER, *SHELL, *COMPILING, *READ, *STAYS, *MARKS])

    def within(patterns: Iterable[str]) -> list[str]:
        plain = [one for each in patterns for one in minimal.expanded(each)]
        return sorted(str(path) for one in plain for path in tmp_path.glob(one.lstrip("/")))

    monkeypatch.setattr(minimal, "found", within)
    monkeypatch.setattr(minimal, "marks", lambda: within(["/*/.keep_*"]))
    return tmp_path


def left(root: Path, *more: str) -> set[str]:
    """What remains of the root with more in it."""
    write_files(root, more)
    minimal.minimal([])
    names = {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}
    return names - set(more) - set(STAYS)


def test_what_nothing_reads_goes_with_its_directories(root: Path) -> None:
    assert left(root) == set()
    assert {path.name for path in root.iterdir()} == {"dev", "etc", "srv", "usr"}
    assert [path.name for path in (root / "etc").iterdir()] == ["passwd"]


@pytest.mark.parametrize(
    ("reader", "stays"),
    [
        ("lib64/ld-linux-x86-64.so.2", LOADER),
        ("usr/bin/emerge", (*RECORDS, *MARKS)),
        ("usr/bin/x86_64-pc-linux-gnu-gcc", COMPILING),
        ("usr/bin/man", ("usr/share/man/man1/a.1",)),
        ("etc/profile", ("etc/profile.env",)),
        ("etc/csh.login", ("etc/csh.env",)),
        ("usr/lib/systemd/systemd", ("etc/environment.d/10-gentoo-env.conf", "etc/machine-id")),
    ],
)
def test_what_is_read_stays(root: Path, reader: str, stays: tuple[str, ...]) -> None:
    assert left(root, reader) == set(stays)


def test_braces_stand_for_each_word() -> None:
    assert minimal.expanded("/a/{b,c}/d") == ["/a/b/d", "/a/c/d"]
    assert minimal.expanded("/plain") == ["/plain"]
