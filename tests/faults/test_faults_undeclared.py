"""Invariant 2: a build sees what it declares, and cloche names the owner of what it did not see."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.looking import PROJECT, machine, said
from tests.support import Store, project, with_own_root

pytestmark = pytest.mark.real

EBUILD = "/var/db/repos/faults/bad/undeclared/undeclared-1.ebuild"
# A plain chroot: the seed with, perhaps, a library over it, and Portage as everybody uses it.
CHROOT = """
set -e
room=$1 repo=$2 lowers=$3
mount -t tmpfs tmpfs "$room"
mkdir "$room"/upper "$room"/work "$room"/root
mount -t overlay -o "userxattr,lowerdir=$lowers,upperdir=$room/upper,workdir=$room/work" \
    overlay "$room"/root
cd "$room"/root
mount -t proc proc proc
mount --rbind /dev dev
mkdir -p var/db/repos/faults etc/portage
mount --bind "$repo" var/db/repos/faults
printf '[DEFAULT]\\nmain-repo = faults\\n[faults]\\nlocation = /var/db/repos/faults\\n' \
    > etc/portage/repos.conf
ln -sfn /var/db/repos/faults/profiles/default etc/portage/make.profile
export FEATURES="-sandbox -usersandbox -userpriv -network-sandbox -ipc-sandbox -pid-sandbox"
export FEATURES="$FEATURES -mount-sandbox"
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
    LC_ALL=C.UTF-8 FEATURES="$FEATURES" PORTAGE_REPOSITORIES="$(cat etc/portage/repos.conf)" \
    chroot . ebuild "$4" compile
"""


def in_chroot(room: Path, repo: Path, *lowers: Path) -> subprocess.CompletedProcess[str]:
    """Compile the package with stock Portage where these trees lie over each other, top first."""
    room.mkdir()
    stack = ":".join(map(str, lowers))
    return subprocess.run(
        ["unshare", "--mount", "bash", "-c", CHROOT, "bash", room, repo, stack, EBUILD],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_an_undeclared_library_is_found_by_chance_and_missed_under_glass(
    root_seeded: Store, fresh: Callable[[Store], Store], tmp_path: Path
) -> None:
    store = fresh(root_seeded)
    where = project(store, PROJECT)
    done = store.cloche("build", "undeclared", "--keep-going", cwd=where)
    said(done, 1)
    assert "tiny.h: No such file or directory" in done.stderr
    told = "header tiny.h was not visible; it belongs to good/tiny-1: add that to DEPEND or BDEPEND"
    assert told in done.stderr

    seeds = json.loads(store.cloche("seed", "show", "debian", "--json", cwd=where).stdout)
    seed = Path(seeds[0]["path"])
    library = store.path / "layers" / store.layers(where, "undeclared")["good/tiny-1"]
    assert (library / "usr/include/tiny.h").is_file()

    plain = in_chroot(tmp_path / "with", where / "repo", library, seed)
    assert plain.returncode == 0, plain.stdout + plain.stderr
    assert "Source compiled" in plain.stdout + plain.stderr

    # The same chroot without the library, so that it is the library that made the difference.
    empty = tmp_path / "empty"
    empty.mkdir()
    bare = in_chroot(tmp_path / "without", where / "repo", empty, seed)
    assert bare.returncode != 0
    assert "tiny.h: No such file or directory" in bare.stdout + bare.stderr


UNDECLARED = """EAPI=8
DESCRIPTION="Uses what it does not declare for the root in which it looks for it"
S="${{WORKDIR}}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
{declared}
src_compile() {{
    {command} || die
}}
"""
COMPILE = "gcc -c -include {} -x c /dev/null -o /dev/null"
#: What each of them declares, what it uses, and what is said of that.
IN_THE_WRONG_ROOT = {
    "header-of-a-tool": (
        'BDEPEND="good/tiny"',
        COMPILE.format("tiny.h"),
        "header tiny.h was not visible; it belongs to good/tiny-1: add that to DEPEND",
    ),
    "tool-of-the-root": (
        'DEPEND="good/declared"',
        "declared",
        "command declared was not visible; it belongs to good/declared-1: add that to BDEPEND",
    ),
    "header-of-the-seed": (
        "",
        f"test -e /usr/include/gnumake.h && {COMPILE.format('gnumake.h')}",
        "fatal error: gnumake.h: No such file or directory",
    ),
}


def test_in_a_root_of_its_own_a_dependency_is_seen_in_the_root_that_it_is_declared_for(
    seeded: Store, fresh: Callable[[Store], Store]
) -> None:
    store = fresh(seeded)
    where = project(store, PROJECT)
    for name, (declared, command, _) in IN_THE_WRONG_ROOT.items():
        ebuild = where / f"repo/bad/{name}/{name}-1.ebuild"
        ebuild.parent.mkdir()
        ebuild.write_text(UNDECLARED.format(declared=declared, command=command))
    bad = [f"bad/{name}" for name in (*IN_THE_WRONG_ROOT, "undeclared")]
    with_own_root(where, "undeclared", "good/declared", *bad)
    store.user.own(where)
    done = store.cloche("build", "undeclared", "--keep-going", cwd=where)
    assert said(done, 1).startswith("cloche: 4 failed: ")
    for _, _, words in IN_THE_WRONG_ROOT.values():
        assert words in done.stderr
    assert done.stderr.count("it belongs to good/tiny-1: add that to DEPEND\n") == 2
    # It was there for the one that declares it.
    for name, visible in (("good/declared", True), ("bad/undeclared", False)):
        arguments = ("--package", name, "--", "test", "-e", "/target/usr/include/tiny.h")
        told = store.cloche("shell", "undeclared", *arguments, cwd=where)
        assert (told.returncode == 0) is visible


def test_the_shell_shows_the_same_glass(
    root_seeded: Store, fresh: Callable[[Store], Store]
) -> None:
    store = fresh(root_seeded)
    where = project(store, PROJECT)
    store.cloche("build", "fine", cwd=where, check=True)
    for name, visible in (("good/declared", True), ("good/plain", False)):
        arguments = ("shell", "fine", "--package", name, "--", "test", "-e", "/usr/include/tiny.h")
        assert (store.cloche(*arguments, cwd=where).returncode == 0) is visible


def test_what_strictness_hides_of_the_seed_is_told(
    root_seeded: Store, fresh: Callable[[Store], Store]
) -> None:
    store = fresh(root_seeded)
    where = project(store, PROJECT)
    name = machine(where, "autotools", "bad/autotools")
    store.cloche("build", name, cwd=where, check=True)
    done = store.cloche("build", name, "--strict", cwd=where)
    said(done, 1)
    assert (
        "command autoreconf is in the seed but hidden by --strict; add dev-build/autoconf-2.71-r99"
    ) in done.stderr
