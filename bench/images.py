"""Images of a finished machine, beside mkosi on a plain directory with the same root."""

from __future__ import annotations

import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import overhead
from bench.place import BenchError, Place, say, settle
from bench.table import Aim, Row, median_row
from cloche.catalyst import tools
from cloche.config.mkosi import Mkosi
from cloche.config.toml import dumps
from cloche.layers import SOURCE_DATE_EPOCH, flatten
from cloche.output.mkosi import partitions
from cloche.seeds.stored import stored_seeds
from cloche.session.session import open_session
from cloche.store import Store, names

MACHINE = "nothing"
DISK = '\n[output.images.disk]\nformat = "disk"\ntools = "tools"\nSeed = "{seed}"\n'
OCI = '\n[output.images.box]\nformat = "oci"\n'
SEED = "00000000-0000-4000-8000-{:012d}"
CONF = f"""\
[Distribution]
Distribution=custom

[Output]
Format=disk
Output=disk
RepartDirectories=/mnt/repart

[Content]
Bootable=no
SourceDateEpoch={SOURCE_DATE_EPOCH}
BaseTrees=/mnt/tree

[Build]
WorkspaceDirectory=/mnt/work
PackageCacheDirectory=/mnt/work/packages
History=no
BuildSources=
RepartOffline=yes
"""
#: mkosi of the tools, in a chroot of them.
ENTER = """set -eu
tree=$1 place=$2
mount --bind "$tree" "$tree"
mount -t proc proc "$tree/proc"
mount --rbind /sys "$tree/sys"
mount --rbind /dev "$tree/dev"
for name in tmp run root; do mount -t tmpfs tmpfs "$tree/$name"; done
mount --bind "$place" "$tree/mnt"
exec chroot "$tree" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
    mkosi --directory /mnt --output-directory /mnt/out --force build
"""


def rows(place: Place, packages: int, rounds: int) -> list[Row]:
    """A disk, the same again, and an image for containers of which one package is another."""
    project = place.project("images", _project(packages))
    say("making the seed of tools")
    place.cloche(project, "seed", "bootstrap", tools.NAME)
    with Store.open(place.store) as store:
        seeds = [store.tree(each.layer).path for each in stored_seeds(store)]
    tree, *_ = (each for each in seeds if (each / "usr/bin/mkosi").exists())
    file = project / f"machines/{MACHINE}.toml"
    plain_file = file.read_text()
    place.build(project, MACHINE)
    root = place.directory / "mkosi"
    megabytes = _plain_root(place, project, root)
    say("disks")
    ours, theirs = [], []
    for number in range(rounds + 1):  # the first of each reads what it needs from the disk
        file.write_text(plain_file + DISK.format(seed=SEED.format(number)))
        settle()
        ours.append(place.build(project, MACHINE).seconds)
        settle()
        theirs.append(_by_mkosi(tree, root))
    again = [place.build(project, MACHINE).seconds for _ in range(2 * rounds + 1)]
    place.removed(root)
    what = f"a disk of a finished machine with a root of {megabytes} MB: the whole command"
    beside = (theirs[1:], "mkosi of the same tools, of a plain directory")
    file.write_text(plain_file + OCI)
    return [
        median_row(what, ours[1:], "s", beside, Aim(1.3)),
        median_row("the same with nothing changed", again, "s", None, Aim(0.5, of="value")),
        *_oci_rows(place, project, packages, rounds),
    ]


def _project(packages: int) -> Callable[[Path], None]:
    """A change that adds packages, a machine that wants them, and the seed of tools."""
    wanted = overhead.names_of(packages)

    def change(project: Path) -> None:
        overhead.with_machine(wanted)(project)
        with (project / "cloche.toml").open("a") as file:
            file.write("\n" + dumps({"seeds": {tools.NAME: tools.seed()}}))

    return change


def _plain_root(place: Place, project: Path, root: Path) -> int:
    """Lay the machine's root out for mkosi; its size in MB."""
    root.mkdir()
    (root / "mkosi.conf").write_text(CONF)
    for name in ("repart", "work", "out"):
        (root / name).mkdir()
    for name, lines in partitions(Mkosi("disk"), ()).items():
        text = "[Partition]\n" + "".join(f"{line}\n" for line in lines)
        (root / "repart" / name).write_text(text)
    with open_session(project, store=place.store) as session:
        machine = session.project.machine(MACHINE)
        pin = session.store.pin_of(names.machine(machine.place, machine.name))
        if pin is None:
            raise BenchError("the machine is not there")
        ids = (*pin.data["base"], *pin.data["layers"])
        trees = [session.store.tree(id) for id in ids]
    flatten([each.path for each in trees], root / "tree")
    return sum(each.size for each in trees) // 10**6


def _by_mkosi(tree: Path, root: Path) -> float:
    """Seconds of mkosi."""
    command = ["unshare", "--mount", "sh", "-c", ENTER, "enter", str(tree), str(root)]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    took = time.monotonic() - began
    if done.returncode:
        raise BenchError(f"mkosi: status {done.returncode}\n{done.stderr[-2000:]}")
    return took


def _oci_rows(place: Place, project: Path, packages: int, rounds: int) -> list[Row]:
    """One package of a machine becomes another, again and again."""
    place.build(project, MACHINE)
    archive = project / f"out/{MACHINE}/box.oci.tar"
    known = _blobs(archive)
    taken, new = [], 0
    for number in range(rounds):
        content = project / f"repo/{overhead.CATEGORY}/{overhead.names_of(1)[0]}/files/file"
        content.write_text(f"changed {number}\n")
        settle()
        taken.append(place.build(project, MACHINE).stage("image"))
        found = _blobs(archive)
        new = max(new, len(found - known))
        known = found
    size = archive.stat().st_size // 10**6
    what = f"an OCI image of {size} MB of a machine of {packages} packages, one of them changed"
    layers = f"{what}: new blobs (layers of the package and of the state, configuration, manifest)"
    return [
        median_row(f"{what}: the image", taken, "s", None, Aim(2, of="value")),
        Row(layers, new, "blobs", aim=Aim(4, of="value"), runs=1),
    ]


def _blobs(archive: Path) -> set[str]:
    with tarfile.open(archive) as opened:
        return {name for name in opened.getnames() if name.startswith("blobs/")}
