"""Small projects on which cloche once went wrong, and what Portage makes of them.

Each directory of ``tests/cases`` is laid over a copy of ``tests/cases/common`` and gives one
project; the test of its name says what is right.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import struct
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.support import ROOT, Store, project

CASES = ROOT / "tests/cases"
COMMON = CASES / "common"
PROJECTS = sorted(p.name for p in CASES.iterdir() if p.is_dir() and p != COMMON)


@dataclass(frozen=True)
class Case:
    """A project in a place of its own, and the store in which it is built."""

    place: Path
    store: Store

    def cloche(self, *arguments: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        """Run ``cloche ARGUMENTS`` in the project."""
        return self.store.cloche("-C", self.place, *arguments, check=check)

    def build(self, machine: str = "case", *arguments: str) -> subprocess.CompletedProcess[str]:
        """Build a machine, which has to work."""
        return self.cloche("build", machine, "--progress", "plain", *arguments, check=True)

    def refused(self, machine: str = "case", *arguments: str, status: int = 1) -> str:
        """Build a machine, which has to end with this status; give what was said about it."""
        done = self.cloche("build", machine, "--progress", "plain", *arguments)
        assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stderr

    def shell(self, machine: str, *command: str) -> str:
        """What a command says inside of a machine that was built."""
        return self.cloche("shell", machine, "--", *command, check=True).stdout


@pytest.fixture(scope="session")
def case_store(root_seeded: Store) -> Store:
    """One store for all cases of this run: a copy, so that the seeded one stays as it is."""
    parent = root_seeded.path.parent / "cases"
    parent.mkdir()
    return root_seeded.copy(parent / "store")


@pytest.fixture
def case(case_store: Store) -> Callable[[str], Case]:
    """Give the project of a case."""

    def opened(name: str) -> Case:
        place = project(case_store, COMMON, name)
        shutil.copytree(CASES / name, place, dirs_exist_ok=True)
        return Case(place, case_store)

    return opened


def test_every_case_has_its_test() -> None:
    assert [name for name in PROJECTS if f"test_{name.replace('-', '_')}" not in globals()] == []


@pytest.mark.real
def test_symlink_vs_dir(case: Callable[[str], Case]) -> None:
    """A directory of one package where another one has a link: it is merged through the link."""
    made = case("symlink-vs-dir")
    made.build("case")
    assert made.shell("case", "readlink", "/opt/store") == "store-2\n"
    assert made.shell("case", "cat", "/opt/store-2/l", "/opt/store/d") == "l\nd\n"
    made.build("symuser")
    assert made.shell("symuser", "cat", "/usr/share/symuser/seen") == "l\nd\n"
    # The other way round, Portage refuses (PMS, section 13.4).
    told = made.refused("blocked")
    assert "file collision of app-misc/direr-1::local and app-misc/blocked-1::local" in told
    assert ": /opt/store;" in told
    # A machine that no longer asks for the link has nothing left of it.
    machine = made.place / "machines/case.toml"
    machine.write_text(machine.read_text().replace('"app-misc/linker", ', ""))
    made.build("case")
    left = made.shell("case", "find", "/opt", "-mindepth", "1", "!", "-name", "bin")
    assert left == "/opt/store\n/opt/store/d\n"
    assert "linker" not in made.shell("case", "ls", "/var/db/pkg/app-misc")


@pytest.mark.real
def test_file_vs_dir(case: Callable[[str], Case]) -> None:
    """A file of one package where another one has a directory: refused, also in a build's root."""
    made = case("file-vs-dir")
    for machine in ("case", "fvuser"):
        told = made.refused(machine)
        for word in ("app-misc/fva-1", "app-misc/fvb-1", "/opt/fvd"):
            assert word in told


@pytest.mark.real
def test_hooks_of_others(case: Callable[[str], Case]) -> None:
    """A hook that changes what another package owns: who did it is told, or refused."""
    made = case("hooks-of-others")
    said = (
        "app-misc/meddler-1 alters /usr/share/victim/file and removes /usr/share/victim/gone, "
        "which app-misc/victim-1 owns"
    )
    assert f"warning: {said}\n" in made.build().stderr
    assert made.shell("case", "cat", "/usr/share/victim/file") == "mine\nchanged\n"
    assert made.shell("case", "cat", "/etc/victim.conf") == "mine\nedited\n"
    assert f"warning: {said}\n" in made.cloche("plan", "case", check=True).stderr
    assert said.partition(" ")[2] in made.refused("case", "--strict-hooks")
    taken = "app-misc/taker-1 removes /etc/passwd, /usr/bin/gcc, which the seed owns"
    told = made.refused("taken")
    assert f"warning: {taken}\n" in told
    assert "a hook has damaged /etc/passwd or /etc/group" in told
    assert taken.partition(" ")[2] in made.refused("taken", "--strict-hooks")
    config = made.place / "cloche.toml"
    config.write_text(config.read_text() + "\n[build]\nstrict_hooks = true\n")
    assert said.partition(" ")[2] in made.refused("case")
    told = made.refused("killed")
    assert "app-misc/killer-1: merge failed: removes the VDB entry of app-misc/victim-1" in told


@pytest.mark.real
def test_without_effect(case: Callable[[str], Case]) -> None:
    """Configuration without effect is a warning at its own line; --strict-config refuses it."""
    made = case("without-effect")
    place = made.place / "portage/base"
    known = json.loads(made.cloche("plan", "case", "--json", check=True).stdout)["warnings"]
    said = [w["text"] for w in known if w["file"] is None]
    assert said == ["Portage says: greeting: a word of an ebuild's own"]
    ours = [w for w in known if w["file"] is not None]
    found = [(Path(w["file"]).relative_to(made.place).as_posix(), w["line"]) for w in ours]
    assert sorted(found, key=str) == [
        ("patches/app-misc/gone-1", None),
        ("portage/base/make.conf", 3),  # a keyword of no architecture
        ("portage/base/make.conf", 4),  # a licence that no repository has
        ("portage/base/make.conf", 4),  # a group of licences, the same
        ("portage/base/make.conf", 5),  # FEATURES that nobody knows
        ("portage/base/make.conf", 5),  # FEATURES that cloche switches off
        ("portage/base/make.conf", 7),  # a USE flag that only an old cache has
        ("portage/base/make.conf", 8),  # USE flags that no package has, one on, one off
        ("portage/base/make.conf", 8),
        ("portage/base/make.conf", 9),  # the same of a variable that stands for flags
        ("portage/base/package.accept_keywords", 1),
        ("portage/base/package.accept_keywords", 3),  # a keyword of no architecture
        ("portage/base/package.accept_keywords", 4),  # a wildcard that means nothing
        ("portage/base/package.env", 2),
        ("portage/base/package.license", 2),  # a licence and a group
        ("portage/base/package.license", 2),
        ("portage/base/package.mask", 2),  # no operator
        ("portage/base/package.mask", 3),  # no such package
        ("portage/base/package.use", 1),  # a flag for all packages that none has
        ("portage/base/package.use", 3),
        ("portage/base/package.use", 4),
        ("portage/base/package.use", 5),
        ("portage/base/package.use", 6),  # a value for all packages that none has
        ("portage/base/package.use", 7),  # off, and unknown
        ("portage/base/profile/package.use.mask", 2),
        ("portage/more/make.conf", 1),  # of two fragments' USE
    ]
    # The second time the resolution is reused, and the warnings are still there.
    again = made.cloche("plan", "case", check=True).stderr
    assert f"warning: {place}/package.mask:2: Invalid atom in package.mask: app-misc/gree" in again
    assert again.count("greeting: a word of an ebuild's own") == 1
    told = made.refused("case", "--strict-config", status=2)
    assert told.count("warning: ") == len(known)
    assert f"{len(ours)} settings have no effect" in told
    for path in (*place.glob("package.*"), place / "make.conf", place / "profile/package.use.mask"):
        path.unlink()
    (place.parent / "more/make.conf").write_text('USE="color -* other"\n')
    shutil.copy(COMMON / "portage/base/make.conf", place)
    shutil.rmtree(made.place / "patches/app-misc/gone-1")
    # What Portage says of something else is no matter of the configuration.
    left = made.cloche("plan", "case", "--strict-config", check=True).stderr
    assert left.count("warning: ") == left.count("warning: Portage says: ") == 1


@pytest.mark.real
def test_sonames(case: Callable[[str], Case]) -> None:
    """A seed's libraries are in no VDB and yet no news; what nobody has is, in Portage's words."""
    made = case("sonames")
    made.build()
    log = made.cloche("log", "app-misc/linked", check=True).stdout
    assert log.count("QA Notice: Unresolved soname dependencies:") == 1
    assert "/usr/bin/linked: libnowhere.so.1\n" in log
    assert "libc.so.6" not in log
    assert "QA Notice" not in made.cloche("log", "app-misc/plain", check=True).stdout
    # The check is Portage's and stays on: what it records of FEATURES is part of a layer.
    features = made.shell("case", "cat", "/var/db/pkg/app-misc/linked-1/FEATURES")
    assert "qa-unresolved-soname-deps" in features.split()


@pytest.mark.real
def test_envd_path(case: Callable[[str], Case]) -> None:
    """What env.d adds to PATH does not take the system's directories from it."""
    made = case("envd-path")
    made.build()
    assert made.shell("case", "cat", "/usr/share/envuser/answer") == "42\n"
    system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin"
    path = made.shell("case", "sh", "-lc", "echo $PATH").strip()
    assert path == f"{system}:/usr/lib/envslot/7/bin"
    as_user = "setpriv --reuid 1000 --clear-groups sh -lc 'echo $PATH; envgen; envuser'"
    assert made.shell("case", "sh", "-c", as_user) == f"{path}\ngenerated\n42\n"
    # The strict base has it from the seed as well.
    made.build("case", "--strict")
    assert made.shell("case", "cat", "/usr/share/envuser/answer") == "42\n"
    assert made.shell("case", "sh", "-lc", "echo $PATH").strip() == path


@pytest.mark.real
def test_own_hostname(case: Callable[[str], Case]) -> None:
    """One's own host name is found, in both families, as under Portage's network-sandbox."""
    made = case("own-hostname")
    told = made.build()
    assert "network" not in told.stderr
    found = made.shell("case", "cat", "/usr/share/hosty/found")
    assert found == "localhost\n127.0.0.1\n127.0.0.1\n::1\n80 6\nlocalhost\nlocalhost\n"


@pytest.mark.real
def test_own_baselayout(case: Callable[[str], Case]) -> None:
    """A machine's own baselayout takes the place of what the seed has under the same names."""
    made = case("own-baselayout")
    made.build()
    system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/own"
    path = made.shell("case", "sh", "-lc", "echo $PATH")
    assert path == f"{system}:/opt/after/bin\n"
    assert made.shell("case", "getent", "hosts", "own").split() == ["127.0.0.1", "localhost", "own"]


@pytest.mark.real
def test_nofetch_text(case: Callable[[str], Case]) -> None:
    """RESTRICT=fetch without the file: what is lacking, where to put it, what the ebuild says."""
    made = case("nofetch-text")
    for more in ((), ("--offline",)):
        told = made.refused("case", *more)
        assert "to be fetched by hand: manual-1.bin" in told
        assert f"put it into {made.place / 'sources'}" in told
        assert "Buy manual-1.bin at https://example.org/shop" in told
        assert f"and put it into {made.place / 'sources'}" in told
    (made.place / "sources").mkdir()
    (made.place / "sources/manual-1.bin").write_text("bought\n")
    made.build()
    assert made.shell("case", "cat", "/usr/share/manual/manual-1.bin") == "bought\n"


@pytest.mark.real
def test_live(case: Callable[[str], Case]) -> None:
    """A live ebuild is refused before any work where nobody allows it; see test_machine_live.py."""
    made = case("live")
    planned = made.cloche("plan", "case", check=True)
    assert re.search(r"app-misc/lively-9999::\w+ .*\(live\)$", planned.stdout, re.MULTILINE)
    for told in (planned.stderr, made.refused("case", status=2)):
        (line,) = (line for line in told.splitlines() if "live ebuilds" in line)
        assert "not allowed: app-misc/lively-9999; allow it with --live, or with `live = [" in line
        assert '["app-misc/lively"]` in machines/case.toml' in line
    (package,) = json.loads(made.cloche("plan", "case", "--json", check=True).stdout)["packages"]
    assert package["live"] is True
    # Its own code runs with what it declares; what it takes has to lie in DISTDIR, and be plain.
    assert "git: command not found" in made.refused("case", "--live")
    told = made.refused("idle", "--live", "--keep-going")
    assert "app-misc/idle-1_p9999::local: fetch failed: src_unpack left nothing in DISTDIR" in told
    assert "idle-2_p9999::local: fetch failed: a symbolic link leads out of DISTDIR: passwd" in told


@pytest.mark.real
def test_autounmask(case: Callable[[str], Case]) -> None:
    """What Portage proposes goes into a fragment of the machine, with reasons, and then fits."""
    made = case("autounmask")
    told = made.cloche("plan", "case", "--autounmask-write", "absent")
    assert (told.returncode, "no fragment of this machine" in told.stderr) == (2, True)
    told = made.cloche("plan", "case", "--autounmask-write", "base")
    assert told.returncode == 2
    assert "the 4 changes that Portage proposes: written to" in told.stderr
    place = made.place / "portage/base"
    lines = {
        "package.accept_keywords": "=app-misc/testing-1 ~amd64",
        "package.license": ">=app-misc/odd-1 odd",
        "package.unmask": "=app-misc/masked-1",
        "package.use": ">=app-misc/flag-1 loud",
    }
    for name, line in lines.items():
        *reasons, last = (place / name).read_text().splitlines()
        assert last == line
        assert "# required by app-misc/asks-1::local" in reasons
        assert all(reason.startswith("#") for reason in reasons)
        assert line in told.stderr
    again = made.cloche("plan", "case", "--autounmask-write", "base", "--json", check=True)
    assert len(json.loads(again.stdout)["packages"]) == 5


@pytest.mark.real
def test_manifest(case: Callable[[str], Case]) -> None:
    """A new ebuild with sources: its Manifest is missing, written, right, and the build has it."""
    made = case("manifest")
    served = partial(SimpleHTTPRequestHandler, directory=str(made.place / "served"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), served)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{server.server_port}"
    (made.place / "portage/base/mirrors").write_text(f"here {here}\n")
    ebuild = made.place / "repo/app-misc/sourced/sourced-1.ebuild"
    ebuild.write_text(ebuild.read_text().replace("HERE", here))
    path = ebuild.parent / "Manifest"
    try:
        told = made.refused("case", status=2)
        assert f"{path}: incomplete: Missing digest for 'a-1.txt'" in told
        assert "run `cloche manifest app-misc/sourced`" in told
        checked = made.cloche("manifest", "--check")
        assert (checked.returncode, path.exists()) == (1, False)
        assert f"{path}: no digest of a-1.txt, b-1.txt" in checked.stderr
        assert made.cloche("manifest", "app-misc/sourced", check=True).stdout == f"{path}\n"
        entries = [line.split() for line in path.read_text().splitlines()]
        assert [entry[:3] for entry in entries] == [
            ["DIST", "a-1.txt", "2"],
            ["DIST", "b-1.txt", "2"],
        ]
        assert {entry[n] for entry in entries for n in (3, 5)} == {"BLAKE2B", "SHA512"}
        path.write_text(path.read_text() + "DIST gone-0.txt 1 BLAKE2B 00 SHA512 00\n")
        checked = made.cloche("manifest", "local", "--check")
        assert (checked.returncode, "out of date" in checked.stderr) == (1, True)
        made.cloche("manifest", "sourced", check=True)
        assert made.cloche("manifest", "--check", check=True).stderr == ""
        right = path.read_text()
        path.write_text(right.replace("DIST a-1.txt 2", "DIST a-1.txt 3"))
        made.cloche("manifest", "sourced", check=True)  # the digests there are believed
        assert path.read_text() != right
        made.cloche("manifest", "sourced", "--force", check=True)
        assert path.read_text() == right
    finally:
        server.shutdown()
        server.server_close()
    made.build("case", "--offline")  # what was fetched for the Manifest is in the store
    assert made.shell("case", "cat", "/usr/share/sourced/a-1.txt") == "a\n"
    ebuild.parent.parent.rename(made.place / "repo/app-odd")
    machine = made.place / "machines/case.toml"
    machine.write_text(machine.read_text().replace("app-misc", "app-odd"))
    listed = f"{made.place}/repo/profiles/categories"
    said = f"{listed}: it does not list the category app-odd; add a line"
    assert said in made.cloche("manifest").stderr
    assert said in made.refused("case", status=2).splitlines()[-1]


def odd_ones(root: Path) -> dict[str, tuple[object, ...]]:
    """What the case's package has, wherever it lies: kind and mode, group, content, attributes."""
    top = root / "opt/odd"
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(top.rglob("*")):
        status = path.lstat()
        keys = [] if path.is_symlink() else os.listxattr(path)
        attributes = {key: os.getxattr(path, key) for key in keys if "overlay" not in key}
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        name = path.relative_to(top).as_posix()
        digest = hashlib.sha256(content).hexdigest()
        found[name] = (oct(status.st_mode), status.st_gid, digest, attributes)
    return found


@pytest.mark.real
def test_image(case: Callable[[str], Case], tmp_path: Path) -> None:
    """What an image has is in its layer and in the stage4, also what the tar of a GPKG loses."""
    made = case("image")
    made.build("case", "--output", str(tmp_path / "out"))
    layer = made.store.path / "layers" / made.store.layers(made.place, "case")["app-misc/odd-1"]
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    (tarball,) = (tmp_path / "out").rglob("stage4.tar.zst")
    tar = ["tar", "-x", "-f", tarball, "-C", unpacked, "--xattrs", "--xattrs-include=*", "--acls"]
    subprocess.run(tar, check=True)
    found = odd_ones(layer)
    assert odd_ones(unpacked) == found
    assert found["pipe"][:2] == (oct(stat.S_IFIFO | 0o620), 5)
    assert found["attributed"][3] == {"user.colour": b"red\0\xff"}
    capability = {"security.capability": struct.pack("<5I", 0x2000001, 1 << 10, 0, 0, 0)}
    assert found["capable"][3] == found["program"][3] == capability
    assert found["setuid"][0] == oct(stat.S_IFREG | 0o4711)
    assert {"kept/.keep_app-misc_odd-0", "a name  with blanks", "größe"} < set(found)
    whole = bytes(4 << 20) + b"middle"
    assert found["sparse"][2] == hashlib.sha256(whole.ljust(8 << 20, b"\0")).hexdigest()
    assert (layer / "opt/odd/sparse").stat().st_blocks * 512 < 1 << 20
    for root in (layer, unpacked):
        assert (root / "opt/odd/linked").samefile(root / "opt/odd/other/linked")
    vdb = layer / "var/db/pkg/app-misc/odd-1"
    assert "fif /opt/odd/pipe" in (vdb / "CONTENTS").read_text()
    assert not (vdb / "CLOCHE_IMAGE").exists()
    # What no merge of Portage's keeps is named.
    said = made.build("sockets").stderr
    assert "warning: app-misc/sockets-1: Portage's merge does not keep " in said
    assert "/opt/sockets/dir (user.colour of a directory), /opt/sockets/socket (a socket)" in said


@pytest.mark.real
def test_elog(case: Callable[[str], Case]) -> None:
    """What ebuilds say to their users is shown at the end, once, and found again."""
    made = case("elog")
    said = made.build().stderr
    assert said.endswith(
        "\n * Messages for package app-misc/checker-1:\n\n * pretend warns\n"
        "\n * Messages for package app-misc/talker-1:\n\n * setup warns\n"
        " * install logs, first line\n"
        " * second line with an \\x1b escape\n * postinst logs\n"
        " * postinst has an error to tell\n"
    ), said
    assert "Messages for" not in made.build().stderr
    rows = json.loads(made.cloche("query", "elog", "--json", check=True).stdout)
    said = " ".join("/".join((r["step"], r["phase"], r["level"])) for r in rows)
    assert said == (
        "build/setup/warn build/install/log build/install/qa "
        "merge/setup/warn merge/postinst/log merge/postinst/error"
    )
    assert " * install is not nice\n" in made.cloche("query", "elog", "talker", check=True).stdout
    # A pkg_pretend that refuses ends it all before the first package is built.
    (made.place / "portage/base/package.use").write_text("app-misc/checker refuse\n")
    ebuild = made.place / "repo/app-misc/talker/talker-1.ebuild"
    ebuild.write_text(ebuild.read_text() + "# to be built again\n")
    told = made.refused()
    assert "the flag refuse is on: this machine cannot have it" in told
    assert "app-misc/checker-1::local: pretend failed: pkg_pretend" in told
    assert "1 more were not started" in told
    assert re.search(r"^ +build ", told, re.MULTILINE) is None
    assert (
        "\n * Messages for package app-misc/checker-1:\n\n * pretend warns\ncloche: 1 failed"
        in told
    )
