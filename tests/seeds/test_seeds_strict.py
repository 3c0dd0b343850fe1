"""A strict build sees the toolchain and what it needs, and nothing else of the seed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from tests.support import cannot

from cloche.seeds.packages import installed
from cloche.seeds.strict import hidden_paths, kept_packages, strict_overlay

TOOLS = ("gcc",)


def stanza(name: str, more: str = "") -> str:
    return (
        f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n{more}\n"
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A merged-/usr tree: gcc needs libc, dpkg is essential, bison and meson are to go."""
    top = tmp_path / "tree"
    info = top / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (top / "var/lib/dpkg/status").write_text(
        stanza("gcc", "Depends: libc | other, virtual\n")
        + stanza("libc", "Multi-Arch: same\n")
        + stanza("real", "Provides: virtual (= 1)\n")
        + stanza("dpkg", "Essential: yes\n")
        + stanza("bison", "Depends: m4\n")
        + stanza("m4")
        + stanza("meson")
    )
    owned = {
        "gcc": ["/usr/bin/gcc", "/usr/share/common/gcc"],
        "libc:amd64": ["/lib/libc.so"],
        "real": ["/usr/bin/real"],
        "dpkg": ["/usr/bin/dpkg"],
        "bison": ["/usr/bin/bison.yacc", "/usr/share/common/bison", "/usr/share/bison/a"],
        "m4": ["/bin/m4", "/usr/bin/gone"],
        "meson": ["/usr/lib/python3/meson/x.py"],
    }
    (top / "usr/bin").mkdir(parents=True)
    (top / "usr/lib").mkdir()
    (top / "bin").symlink_to("usr/bin")
    (top / "lib").symlink_to("usr/lib")
    for name, paths in owned.items():
        lines = {"/."}
        for path in paths:
            file = top / path.lstrip("/")
            if file.name != "gone":
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
            lines |= {str(parent) for parent in Path(path).parents} | {path}
        (info / f"{name}.list").write_text("\n".join(sorted(lines)) + "\n")
    (top / "etc/alternatives").mkdir(parents=True)
    (top / "etc/alternatives/yacc").symlink_to("/usr/bin/bison.yacc")
    (top / "usr/bin/yacc").symlink_to("/etc/alternatives/yacc")
    (top / "usr/bin/cc").symlink_to("gcc")
    (top / "usr/lib/python3/meson/__pycache__").mkdir()
    (top / "usr/lib/python3/meson/__pycache__/x.pyc").touch()
    (top / "usr/share/bison/portage").touch()  # of nobody: stays, and its directory with it
    (top / "usr/share/bison").chmod(0o750)
    return top


def test_the_closure_follows_needs_provides_and_essential_packages(tree: Path) -> None:
    assert kept_packages(installed(tree), TOOLS) == {"gcc", "libc", "real", "dpkg"}


def test_everything_else_is_hidden_with_the_links_that_lead_there(tree: Path) -> None:
    assert hidden_paths(tree, TOOLS) == [
        b"etc/alternatives/yacc",
        b"usr/bin/bison.yacc",
        b"usr/bin/m4",
        b"usr/bin/yacc",
        b"usr/lib/python3",
        b"usr/share/bison/a",
        b"usr/share/common/bison",
    ]


def test_the_overlay_holds_whiteouts_below_directories_like_the_seeds(
    tree: Path, tmp_path: Path
) -> None:
    layer = tmp_path / "layer"
    layer.mkdir()
    try:
        assert strict_overlay(tree, layer, TOOLS) == 7
    except PermissionError:
        cannot("whiteouts cannot be made here")
    info = (layer / "usr/bin/m4").lstat()
    assert stat.S_ISCHR(info.st_mode)
    assert info.st_rdev == os.makedev(0, 0)
    assert (layer / "usr/share/bison").stat().st_mode & 0o777 == 0o750
    assert not (layer / "usr/bin/gcc").exists()
