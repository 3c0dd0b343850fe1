"""A working day, as root and as an ordinary user; and what is left of it.

Invariant 6: a layer never changes once it is in the store.
"""

from __future__ import annotations

import hashlib
import json
import pwd
import time
from contextlib import suppress
from pathlib import Path

import pytest
import tiny
from tests.support import Root, Store, User

pytestmark = pytest.mark.real

# Every way there is to change a tree, all over it; in a root of its own, all that a shell can.
VANDAL = r"""
exec 2>/dev/null
for file in "$1"/etc/* "$1"/usr/bin/greet "$1"/usr/lib64/* "$1"/var/db/pkg/*/*/*; do
    [ ! -f "$file" ] || echo spoilt >> "$file"
done
for top in /var /root /usr/include /usr/share /etc "$1"/etc "$1"/usr "$1"/var; do
    find "$top" -xdev -type f | head -n 100 | while read -r file; do
        echo spoilt >> "$file"; chmod 777 "$file"; setfattr -n user.spoilt -v 1 "$file"
    done
    find "$top" -xdev -type f | tail -n 50 | xargs rm -f
    find "$top" -xdev -type d | head -n 50 | xargs chown 250:250
    ln -s nowhere "$top/link"; mknod "$top/device" c 1 3
done
mv /etc /etc.moved
echo spoilt >> /bin/true
touch -d 1999-01-01 / /usr /etc/passwd
mount -o remount,rw /; mount -t tmpfs none /usr
umount -a -l
mkdir -p "$1"/usr/share
echo spoilt > "$1"/usr/share/report
cat "$1"/usr/share/report
"""


@pytest.fixture(scope="module")
def made(seeded: Store, root_of: Root) -> tiny.Build:
    return tiny.built_once(seeded, root_of)


def beside(root: Root) -> str:
    """Where the root that packages go into lies in the root in which they are built."""
    return "/target" if root == "own" else ""


def layers(store: Store) -> set[str]:
    """Ids of all layers of a store."""
    return {path.name for path in (store.path / "layers").iterdir()}


def is_whole(store: Store) -> bool:
    """Whether all layers are, to the bit, what they were when they came into the store."""
    told = store.cloche("store", "verify")
    assert told.returncode == (0 if told.stderr.endswith(" 0 problems\n") else 1)
    return told.returncode == 0


def sandboxes(store: Store) -> list[str]:
    """Processes that have something of a store mounted; on the host it would be all of them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            mounts = (process / "mountinfo").read_text()
        except OSError:
            continue
        if str(store.path) in mounts:
            found.append(f"{process.name} {(process / 'cmdline').read_text()}")
    return found


def processes_of(user: str, store: Store) -> list[str]:
    """Processes of a user, and of the ids that are lent to it, whose command line names a store.

    The run's other workers have processes of the same user.
    """
    uid = pwd.getpwnam(user).pw_uid
    lent = range(0)
    for line in Path("/etc/subuid").read_text().splitlines():
        name, first, count = line.split(":")
        if name in (user, str(uid)):
            lent = range(int(first), int(first) + int(count))
    owners = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            owner = process.stat().st_uid
            ours = str(store.path) in (process / "cmdline").read_text(errors="replace")
        except OSError:
            continue
        if ours and (owner == uid or owner in lent):
            owners.append(process.name)
    return owners


def belongings(user: User) -> set[str]:
    """What a user has in the host's directory for temporary files."""
    uid = pwd.getpwnam(user.name).pw_uid
    found = set()
    for path in Path("/tmp").iterdir():
        with suppress(FileNotFoundError):
            if path.lstat().st_uid == uid:
                found.add(path.name)
    return found


def indexed(directory: Path) -> int:
    """The number of packages in an index, each of which has to be the file that it names."""
    header, *entries = (directory / "Packages").read_text().strip().split("\n\n")
    for entry in entries:
        fields = dict(line.split(": ", 1) for line in entry.splitlines())
        file = directory / fields["PATH"]
        assert fields["MD5"] == hashlib.md5(file.read_bytes()).hexdigest()
    assert f"PACKAGES: {len(entries)}" in header.splitlines()
    return len(entries)


def test_layers_do_not_change_whatever_is_done_in_a_root(
    made: tiny.Build, root_of: Root, fresh
) -> None:
    store = fresh(made.store)
    before = layers(store)
    for arguments in ((), ("--package", "tiny/report"), ("--package", "tiny/first")):
        words = ("--", "/bin/sh", "-c", VANDAL, "sh", beside(root_of) if arguments else "")
        told = store.cloche("shell", "tiny", *arguments, *words, cwd=made.project)
        assert told.stdout == "spoilt\n"  # there
    told = store.cloche("shell", "tiny", "--", "cat", "/usr/share/report", cwd=made.project)
    assert "spoilt" not in told.stdout
    assert "nothing of the host" in told.stdout
    assert layers(store) == before
    assert is_whole(store)


def test_a_damaged_layer_is_found(made: tiny.Build, fresh) -> None:
    """That the test above can fail; the store is a copy, and so is the file."""
    store = fresh(made.store)
    layer = store.path / "layers" / made.layers["tiny/report-1"]
    report = layer / "usr/share/report"
    text = report.read_text()
    report.unlink()
    report.write_text(text + "spoilt")
    assert not is_whole(store)
    assert "tiny/report-1" in store.cloche("store", "verify").stdout


def test_a_day_of_work(made: tiny.Build, root_of: Root, seeded: Store, ground: Path) -> None:
    user = made.store.user
    place = ground / f"day-{user.name}-{root_of}"
    place.mkdir()
    user.own(place)
    day = tiny.fresh_copy(made, made.store.copy(place / "store"))
    store, cwd = day.store, day.project
    temporary = belongings(user)

    # Something changes, and is built.
    source = cwd / "repo/tiny/leaf/files/leaf.c"
    source.write_text(source.read_text().replace("leaf of", "new leaf of"))
    told = store.cloche("build", "tiny", cwd=cwd, check=True)
    changed = 3 if root_of == "seed" else 5  # the library and its user are also tools for builds
    packages = tiny.packages_in(root_of)
    rest = len(packages) - changed
    assert f"{changed} packages built, {rest} reused" in told.stdout
    assert indexed(cwd / "out/tiny/binpkgs") == len(made.delivered) - 1  # all but the tarball
    # One looks at it.
    told = store.cloche("shell", "tiny", "--", "greet", cwd=cwd, check=True)
    assert told.stdout.startswith("new leaf of")
    assert store.cloche("shell", "tiny", "--", "sh", "-c", "exit 7", cwd=cwd).returncode == 7
    told = store.cloche("shell", "tiny", "--package", "tiny/greet", "--", "sh", "-c",
                        'cd "$1/" && ls usr/include/leaf.h usr/bin/first', "sh", beside(root_of),
                        cwd=cwd)  # fmt: skip
    assert told.stdout == "usr/include/leaf.h\n"
    assert ">>> Creating binpkg" in store.cloche("log", "tiny/greet", cwd=cwd, check=True).stdout
    told = store.cloche("why", "tiny/leaf", cwd=cwd, check=True)
    assert "tiny/report-1::tiny needs tiny/greet" in told.stdout
    assert "files: " in told.stdout
    # One makes room. What the machine needs stays.
    assert json.loads(store.cloche("store", "usage", "--json", check=True).stdout)["parts"]
    planned = json.loads(store.cloche("store", "gc", "--dry-run", "--json", check=True).stdout)
    kept = layers(store) - set(planned["trees"])
    done = json.loads(store.cloche("store", "gc", "--json", check=True).stdout)
    # The project that this store was copied with lies elsewhere: its machine keeps its layers.
    assert done["trees"] == planned["trees"]
    assert layers(store) == kept
    assert is_whole(store)
    again = tiny.build(store, cwd)
    assert again.packages("reused") == packages
    assert again.stages_done_again() == set()

    # And nothing is left of all that but the store and the project.
    assert sandboxes(store) == []
    deadline = time.monotonic() + 5  # the kernel takes its time to end a namespace
    while user.name != "root" and processes_of(user.name, store) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert user.name == "root" or processes_of(user.name, store) == []
    assert list((store.path / "tmp").iterdir()) == []
    assert user.name == "root" or belongings(user) == temporary


def test_the_store_of_somebody_else_is_left_alone(root_seeded: Store, ordinary: User) -> None:
    told = ordinary.run("--store", root_seeded.path, "store", "usage")
    assert told.returncode == 3
    assert told.stderr.splitlines() == [
        f"cloche: {root_seeded.path}: the store or its parent directory belongs to another user; "
        "only one user can use a store; run cloche as another user, or name a store of your own "
        "with --store or $CLOCHE_STORE; `store adopt` (as root) gives a store to a user"
    ]
