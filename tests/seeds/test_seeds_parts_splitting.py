"""A seed in parts, one for each package, is the seed again when they lie over each other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.seeds.dividing import files_of, split, whole_again

from cloche.seeds.parts.contents import Line, parse_contents
from cloche.seeds.parts.splitting import REST
from cloche.store import Store

SPACES = "a name  with spaces"
ARROW = "usr/share/one -> two"


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path / "store") as opened:
        yield opened


def write(top: Path, path: str, text: str = "") -> Path:
    file = top / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text or path)
    return file


def install(top: Path, cpv: str, contents: str) -> None:
    """An entry of the VDB."""
    write(top, f"var/db/pkg/{cpv}/CONTENTS", contents)
    write(top, f"var/db/pkg/{cpv}/SLOT", "0\n")


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A tree with a merged /usr and everything else that makes CONTENTS hard to read."""
    top = tmp_path / "odd"
    for name in ("bin", "lib"):
        (top / "usr" / name).mkdir(parents=True)
        (top / name).symlink_to(f"usr/{name}")
    (top / "usr/lib64").symlink_to("/lib")  # through the other link, from the root
    (top / "usr/loop").symlink_to("loop")
    write(top, "usr/bin/tool").chmod(0o4755)
    write(top, "usr/lib/libone.so.1")
    (top / "usr/lib/libone.so").symlink_to("libone.so.1")
    write(top, f"usr/share/{SPACES}/{SPACES}")
    (top / "usr/share/from -> to").symlink_to("b -> c")
    (top / ARROW).symlink_to("nowhere")
    write(top, "usr/share/common", "of both")
    write(top, "usr/bin/first", "one inode")
    os.link(top / "usr/bin/first", top / "usr/bin/second")
    write(top, "etc/stray", "one inode more")
    os.link(top / "etc/stray", top / "usr/share/stray")
    write(top, "etc/changed", "by the administrator")
    (top / "usr/share/once-a-file").mkdir()
    (top / "var/empty").mkdir(parents=True)
    (top / "var/empty").chmod(0o1711)
    os.mkfifo(top / "var/pipe")
    write(top, "usr/lib/python3/mine.py")
    write(top, "usr/lib/python3/__pycache__/mine.cpython-311.pyc")
    write(top, "root/notes", "of nobody")
    (top / "home/somebody").mkdir(parents=True)
    os.setxattr(top / "usr/share", "user.note", b"kept")
    install(
        top,
        "sys-apps/one-1",
        "dir /lib\ndir /usr\ndir /var/empty\nobj /bin/tool 0 1\nobj /lib/libone.so.1 0 1\n"
        "sym /usr/lib64/libone.so -> libone.so.1 1\nobj /usr/share/common 0 1\n"
        f"obj /usr/share/{SPACES}/{SPACES} 0 1\nobj /bin/first 0 1\nobj /etc/changed 0 1\n"
        "obj /usr/loop/never 0 1\nobj /usr/share/gone 0 1\nobj /usr/share/once-a-file 0 1\n",
    )
    install(
        top,
        "sys-apps/two-2-r1",
        f"sym /usr/share/from -> to -> b -> c 1\nsym /{ARROW} -> nowhere 1\nfif /var/pipe\n"
        "obj /usr/share/common 0 1\nobj /usr/bin/second 0 1\nobj /usr/share/stray 0 1\n"
        "obj /lib/python3/mine.py 0 1\ndir /home\ndev /dev/gone\nnonsense\nobj relative 0 1\n",
    )
    install(top, "sys-apps/-MERGING-three-3", "obj /root/notes 0 1\n")
    os.utime(top / "usr/share", ns=(10**18 + 5, 10**18 + 5))
    return top


def test_every_line_finds_its_file_through_links_and_odd_names(
    odd: Path, store: Store, tmp_path: Path
) -> None:
    parts = split(store, odd)
    assert files_of(parts["sys-apps/one-1"]) == {
        *("usr/bin/tool", "usr/lib/libone.so.1", "usr/lib/libone.so", "usr/share/common"),
        *(f"usr/share/{SPACES}/{SPACES}", "etc/changed", "usr/bin/first", "usr/bin/second"),
    }
    assert files_of(parts["sys-apps/two-2-r1"]) == {
        *("usr/share/from -> to", ARROW, "var/pipe", "usr/share/common"),
        *("usr/bin/first", "usr/bin/second", "usr/share/stray", "etc/stray"),
        *("usr/lib/python3/mine.py", "usr/lib/python3/__pycache__/mine.cpython-311.pyc"),
    }
    rest = files_of(parts[REST])
    assert rest == {"bin", "lib", "usr/lib64", "usr/loop", "root/notes"}
    assert (parts[REST].path / "var/db/pkg/sys-apps/-MERGING-three-3/CONTENTS").is_file()
    assert (parts[REST].path / "home/somebody").is_dir()
    one = parts["sys-apps/one-1"].path
    assert (one / "var/empty").stat().st_mode & 0o7777 == 0o1711
    assert (one / "var/db/pkg/sys-apps/one-1/SLOT").read_text() == "0\n"
    assert os.getxattr(one / "usr/share", "user.note") == b"kept"
    assert (one / "usr/bin/first").stat().st_ino == (one / "usr/bin/second").stat().st_ino
    whole_again(odd, parts, tmp_path, 1, 2, 3)


def test_parts_share_the_files_of_the_tree(odd: Path, store: Store) -> None:
    parts = split(store, odd)
    assert (parts["sys-apps/one-1"].path / "usr/bin/tool").samefile(odd / "usr/bin/tool")
    again = split(store, odd)
    assert {name: layer.id for name, layer in again.items()} == {
        name: layer.id for name, layer in parts.items()
    }


def test_lines_of_contents() -> None:
    lines = list(parse_contents(b"obj /a b c 0f 12\nsym /x -> y -> z 7\ndir /d e\n\nobj\nsym /q 1"))
    assert lines == [
        Line("obj", b"/a b c"),
        Line("sym", b"/x -> y", b"z", ((b"/x", b"y -> z"),)),
        Line("dir", b"/d e"),
    ]


STATUS = """\
Package: {name}
Status: install ok installed
Architecture: {arch}
Version: 1
{more}
"""


def test_dpkgs_lists_with_diversions_and_two_architectures(tmp_path: Path, store: Store) -> None:
    top = tmp_path / "debian"
    (top / "usr/lib").mkdir(parents=True)
    (top / "lib").symlink_to("usr/lib")
    stanzas = [
        STATUS.format(name="lib", arch="amd64", more="Multi-Arch: same\n"),
        STATUS.format(name="lib", arch="i386", more="Multi-Arch: same\n"),
        STATUS.format(name="dash", arch="all", more=""),
        STATUS.format(name="dpkg", arch="amd64", more=""),
        STATUS.format(name="bash", arch="amd64", more=""),
    ]
    write(top, "var/lib/dpkg/status", "".join(stanzas))
    write(top, "var/lib/dpkg/diversions", "/usr/bin/sh\n/usr/bin/sh.real\nbash\n")
    lists = {
        "lib:amd64": "/.\n/lib\n/lib/a\n/lib/both\n",
        "lib:i386": "/.\n/lib\n/lib/b\n/lib/both\n",
        "dash": "/usr/bin/sh\n",
        "bash": "/usr/bin/sh\n/usr/bin/bash\n",
    }
    for name, text in lists.items():
        write(top, f"var/lib/dpkg/info/{name}.list", text)
    write(top, "var/lib/dpkg/info/dash.postinst", "true\n")
    for name in ("lib/a", "lib/b", "lib/both", "bin/sh", "bin/sh.real", "bin/bash"):
        write(top, f"usr/{name}")
    parts = split(store, top)
    own = {name: files_of(layer) for name, layer in parts.items()}
    info = "var/lib/dpkg/info"
    assert own == {
        "lib": {"usr/lib/a", "usr/lib/both", f"{info}/lib:amd64.list"},
        "dpkg": set(),
        "lib:i386": {"usr/lib/b", "usr/lib/both", f"{info}/lib:i386.list"},
        "dash": {"usr/bin/sh.real", f"{info}/dash.list", f"{info}/dash.postinst"},
        "bash": {"usr/bin/sh", "usr/bin/bash", f"{info}/bash.list"},
        REST: {"lib", "var/lib/dpkg/status", "var/lib/dpkg/diversions"},
    }
    whole_again(top, parts, tmp_path, 1, 2)
