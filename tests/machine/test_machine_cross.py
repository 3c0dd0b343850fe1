"""A machine for arm64, built on a seed for this host's CPU: the example `cross`, and more."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support import ROOT, Store, cannot, project

from cloche.audit.elf import read_elf
from cloche.sandbox.emulation import can_register

pytestmark = pytest.mark.real

MORE = Path(__file__).parent / "projects/cross/repo"
ARM64 = 183  # e_machine
REGISTERED = Path("/proc/sys/fs/binfmt_misc")


@dataclass(frozen=True)
class Built:
    """The machine ``board``, built on a seed of its own."""

    store: Store
    place: Path

    def cloche(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.store.cloche(*words, cwd=self.place)

    def shell(self, script: str) -> str:
        """What a shell in the machine says."""
        words = ("shell", "board", "--", "sh", "-c", script)
        return self.store.cloche(*words, cwd=self.place, check=True).stdout

    def machine(self, name: str, **changed: str) -> str:
        """Another machine: board with other values of keys."""
        lines = (self.place / "machines/board.toml").read_text().splitlines()
        lines = [line for line in lines if line.partition(" = ")[0] not in changed]
        lines = [f"{key} = {value}" for key, value in changed.items()] + lines
        (self.place / f"machines/{name}.toml").write_text("\n".join(lines))
        return name


@pytest.fixture(scope="module")
def built(root_seeded: Store, ground: Path) -> Iterator[Built]:
    """The machine, built with packages that check their build."""
    if platform.machine() != "x86_64":
        cannot("the example builds on x86-64")
    if not can_register(platform.release()):
        cannot("Linux 6.7 with binfmt_misc is needed to run what is built")
    parent = ground / "cross"
    parent.mkdir()
    store = root_seeded.copy(parent / "store")
    place = project(store, ROOT / "examples/cross")
    shutil.copytree(ROOT / "examples/workbench/repo", place.parent / "workbench/repo")
    shutil.copytree(MORE, place / "more")
    for package in (place / "more").glob("app-misc/*"):
        (package / "Manifest").touch()
    with (place / "cloche.toml").open("a") as toml:
        toml.write('\n[repos.crosstest]\npath = "more"\n')
    conf = place / "portage/base/make.conf"
    conf.write_text(conf.read_text().replace("-O2", "-O1"))  # the test is long enough
    board = Built(store, place)
    board.machine("board", packages='["app-misc/hello", "app-misc/jq", "app-misc/greets"]')
    store.cloche("seed", "bootstrap", "cross", cwd=place, check=True)
    store.cloche("build", "board", cwd=place, check=True)
    yield board
    shutil.rmtree(parent)


def test_hello_jq_and_busybox_run_in_a_shell(built: Built) -> None:
    before = sorted(REGISTERED.glob("*"))
    assert built.shell("uname -m; hello; echo '{\"a\": [1, 2]}' | jq -c .a") == (
        "aarch64\nHello, world!\n[1,2]\n"
    )
    assert built.shell("busybox cat /etc/passwd") == "root:x:0:0:root:/root:/bin/sh\n"
    assert built.shell(f"ls {REGISTERED}") == "qemu-aarch64\nregister\nstatus\n"
    assert sorted(REGISTERED.glob("*")) == before  # not the host's


def test_the_tarball_is_all_for_that_cpu(built: Built, ground: Path) -> None:
    root = ground / "cross-unpacked"
    root.mkdir()
    tarball = built.place / "out/board/stage4.tar.zst"
    subprocess.run(["tar", "-C", root, "-xf", tarball], check=True)
    elves = {}
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if (elf := read_elf(file)) is not None:
                    elves[str(path.relative_to(root))] = elf
    assert {elf.machine for elf in elves.values()} == {ARM64}
    assert {"usr/bin/hello", "usr/bin/jq", "usr/bin/busybox", "usr/bin/greets"} <= set(elves)
    assert elves["usr/bin/hello"].interpreter == "/lib/ld-linux-aarch64.so.1"
    assert b".symtab" not in (root / "usr/bin/hello").read_bytes()  # CHOST-strip was found
    assert (
        'CHOST="aarch64-unknown-linux-gnu"' in (root / "etc/portage/make.conf/zz-chost").read_text()
    )
    assert not list(root.glob("**/etc/qemu-binfmt"))
    shutil.rmtree(root)


def test_a_build_makes_tools_for_itself_and_its_programs_run_in_it_and_in_hooks(
    built: Built,
) -> None:
    """The ebuild looks, too: which headers and libraries were used, who was pkg-config."""
    assert built.shell("greets; cat /etc/greeted") == "hello with 6.9.8\n" * 2


def test_an_audit_finds_nothing(built: Built) -> None:
    told = built.cloche("audit", "board", "--json")
    found = json.loads(told.stdout)
    assert found["passed"], found
    assert found["programs"] > 20


def test_merges_see_the_c_library_that_the_seed_does_not_have(built: Built) -> None:
    plan = json.loads(built.cloche("plan", "board", "--json").stdout)
    hello = next(each for each in plan["packages"] if each["cpv"] == "app-misc/hello-2.10")
    assert hello["root"] == "own"
    assert "sys-libs/glibc-2.36::cross" in hello["visible"]["merge"]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (
            {"chost": '"riscv64-unknown-linux-gnu"'},
            'no compiler for riscv64-unknown-linux-gnu; add "crossbuild-essential-riscv64" to',
        ),
        ({"chost": '"pdp11-dec-unix"'}, "“pdp11-dec-unix” is not a CHOST that cloche knows"),
        ({"root": '"seed"'}, "“chost” only has an effect with a root of its own"),
        (
            {
                "profile": '"workbench:default"',
                "sets": "[]",
                "packages": '["app-misc/hello"]',
            },
            "its profile is for amd64, but its chost aarch64-unknown-linux-gnu for arm64",
        ),
    ],
)
def test_what_cannot_be_is_one_line(built: Built, changed: dict[str, str], says: str) -> None:
    told = built.cloche("plan", built.machine("wrong", **changed))
    (built.place / "machines/wrong.toml").unlink()
    assert told.returncode == 2, told.stderr
    (line,) = told.stderr.splitlines()
    assert says in line


def test_a_tool_that_the_seed_lacks_is_built_for_its_cpu(built: Built) -> None:
    """With flags of the seed's own: those of the machine are for its CPU alone."""
    conf = built.place / "portage/base/make.conf"
    kept = conf.read_text()
    conf.write_text('CFLAGS="-O1 -mcpu=cortex-a53"\n')
    name = built.machine("lacks", packages='["app-misc/lacks"]', sets="[]")
    told = built.cloche("build", name)
    conf.write_text(kept)
    # Without @system there is no C library, which the package itself does not need.
    assert told.returncode == 0, told.stderr
    plan = json.loads(built.cloche("plan", name, "--json").stdout)
    assert {each["cpv"]: each["root"] for each in plan["packages"]} == {
        "app-misc/tool-1": "seed", "app-misc/lacks-1": "own",
    }  # fmt: skip


def test_a_program_for_the_seeds_cpu_is_found(built: Built) -> None:
    told = built.cloche("build", built.machine("native", packages='["app-misc/plain"]'))
    assert told.returncode == 2, told.stderr
    assert (
        "programs are for another CPU than the root's: /usr/bin/plain of app-misc/plain-1 (x86_64)"
        in told.stderr
    )
