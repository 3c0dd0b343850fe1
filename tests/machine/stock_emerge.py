"""What Portage itself makes of the same binary packages: a plain chroot and a stock ``emerge``."""

from __future__ import annotations

import bz2
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from tests.support import Store

from cloche.layers import PORTAGE_RULES, compare
from cloche.store import Pin
from cloche.store import Store as Stored

# Nothing of cloche is in here: mounts in a namespace that ends with the script, and chroot(8).
SCRIPT = r"""
set -eu
root=$1 binpkgs=$2
shift 2
mount --make-rprivate /
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
    mkdir -p "$root/var/db/repos/$1"
    mount --bind -o ro "$2" "$root/var/db/repos/$1"
    shift 2
done
shift
mkdir -p "$root/var/cache/binpkgs"
mount --bind "$binpkgs" "$root/var/cache/binpkgs"
exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    TERM=dumb PKGDIR=/var/cache/binpkgs emerge --usepkgonly --jobs=1 --color=n "$@"
"""

# What emerge leaves in a root beside the packages, and no machine has to have.
GLOBAL_STATE = {
    "var/cache/edb/dep": "its cache of ebuilds' metadata",
    "var/cache/edb/mtimedb": "what it remembers of the time stamps of this run",
    "var/cache/edb/vdb_blockers.pickle": "its cache of what installed packages block",
    "var/cache/ldconfig/aux-cache": "inode numbers and times of the libraries in this very tree",
    "var/db/repos/*": "where the test shows it the repository",
    "var/lib/gentoo": "the directory for news that it has read",
    "var/lib/portage/preserved_libs_registry": "an empty registry; a missing one means the same",
    "var/log": "the log of this run",
    "var/tmp/portage": "where it worked",
}
# Variables that say how Portage was set when it merged, not what was merged.
SETTINGS = re.compile(
    rb"^declare -x (FEATURES|PORTAGE_FEATURES|PORTAGE_COMPRESSION_COMMAND)=.*\n", re.MULTILINE
)


def environment(content: bytes) -> bytes:
    """A saved environment without the settings of who merged it."""
    return SETTINGS.sub(b"", bz2.decompress(content))


def snapshot(content: bytes) -> bytes:
    """Portage's snapshot of a VDB entry without the time stamp of the entry's directory."""
    return re.sub(rb"#dir_mtime=\d+", b"", content)


RULES = {
    "var/db/pkg/*/*/CONTENTS": PORTAGE_RULES["var/db/pkg/*/*/CONTENTS"],  # times of symbolic links
    "var/db/pkg/*/*/environment.bz2": environment,
    "var/db/pkg/*/*/metadata": snapshot,
}


@dataclass(frozen=True)
class Machine:
    """A machine as a store remembers it: its stack of layers, and the parts of it."""

    base: tuple[Path, ...]
    layers: tuple[Path, ...]

    @property
    def stack(self) -> tuple[Path, ...]:
        """All of them, the bottom first."""
        return (*self.base, *self.layers)


def machine_of(store: Store, name: str) -> Machine:
    """The machine that was built last under this name."""
    with Stored.open(store.path) as opened:
        pins: list[Pin] = [p for p in opened.pins("machine/") if p.data.get("machine") == name]
        base, layers = (
            tuple(opened.tree(id).path for id in pins[-1].data[key]) for key in ("base", "layers")
        )
    return Machine(base, layers)


def emerge(
    root: Path, machine: Machine, repositories: Sequence[Path], binpkgs: Path, words: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    """Copy the machine's seed and configuration to ``root`` and run emerge in there."""
    root.mkdir()
    for layer in machine.base:
        subprocess.run(["cp", "-a", "--reflink=auto", f"{layer}/.", root], check=True)
    packages = root.with_name(f"{root.name}-binpkgs")
    shutil.copytree(binpkgs, packages)
    named = [((each / "profiles/repo_name").read_text().strip(), each) for each in repositories]
    return subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "sh", "-c", SCRIPT, "sh",
         root, packages, *chain(*named), "--", *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def emerge_beside(
    root: Path,
    store: Store,
    machine: Machine,
    repositories: Sequence[Path],
    binpkgs: Path,
    targets: Sequence[str],
) -> subprocess.CompletedProcess[str]:
    """Copy the seed of a machine with a root of its own; emerge fills one at ``root``/own."""
    with Stored.open(store.path) as opened:
        (seed,) = (tree.path for tree in opened.trees() if tree.kind == "seed")
    base = Machine((seed, *machine.base), ())
    words = ("--root=/own", "--sysroot=/own", *targets)
    return emerge(root, base, repositories, binpkgs, words)


def assert_same_root(machine: Machine, root: Path) -> None:
    """Fail with a list unless the machine's root is, to the last bit, what emerge made."""
    comparison = compare(list(machine.stack), root, ignore=GLOBAL_STATE, rules=RULES)
    assert comparison.equal, comparison.text()
    registry = root / "var/lib/portage/preserved_libs_registry"
    assert registry.read_text().strip() in ("", "{}")


def assert_only_binary_packages(told: subprocess.CompletedProcess[str], count: int) -> None:
    """Fail unless emerge said that it installed this many packages and built none."""
    assert told.returncode == 0, told.stdout + told.stderr
    assert len(re.findall(r"^>>> Emerging binary \(", told.stdout, re.MULTILINE)) == count
    assert not re.search(r"^>>> Emerging \(", told.stdout, re.MULTILINE)
