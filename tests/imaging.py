"""Roots that hold whatever a root can hold, images of them in all formats, and how to read these.

``python -m tests.imaging STORE DIRECTORY [NAME …]`` makes the images, as root or as another user.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests import bootable, containers, values
from tests.roots import worlds

from cloche.broker import open_engine
from cloche.config.errors import Origin
from cloche.config.images import Erofs, Format, Image, Iso, Oci, Qcow2, Squashfs
from cloche.config.mkosi import Mkosi
from cloche.layers import Layer, commit, compare, layer_of
from cloche.output.finished import Finished
from cloche.output.images import write_images
from cloche.records.events import Note
from cloche.sandbox import userns
from cloche.sandbox.base import Engine
from cloche.store import Store

KERNEL = "usr/lib/modules/6.1/vmlinuz"
REF = "example.org/all:1"
_DISK: Mapping[str, Any] = {"size": 1 << 30, "efi_size": 64 << 20}
#: Images of all formats, by names.
IMAGES: Mapping[str, Format] = {
    "disk": Mkosi("disk", bootable=True, efi_size=64 << 20),
    "disk-erofs": Mkosi("disk", root_type="erofs"),
    "disk-squashfs": Mkosi("disk", root_type="squashfs"),
    "uki": Mkosi("uki"),
    "esp": Mkosi("esp"),
    "tar": Mkosi("tar"),
    "cpio": Mkosi("cpio"),
    "sysext": Mkosi("sysext"),
    "confext": Mkosi("confext"),
    "portable": Mkosi("portable"),
    "squashfs": Squashfs(),
    "erofs": Erofs(),
    "iso": Iso("ALL"),
    "qcow2-xfs": Qcow2(**_DISK),
    "qcow2-ext4": Qcow2(**_DISK, root_type="ext4"),
    "qcow2-btrfs": Qcow2(**_DISK, root_type="btrfs"),
    "oci": Oci(ref=REF),
}


ODD = "odd \n"  # a name of `worlds.furnish`
WITHOUT_ODD = ("qcow2-xfs",)  # refuses a name with a line's end


def write_root(tree: Path) -> None:
    """A root with whatever a root can hold."""
    files = {"usr/lib/os-release": "ID=gentoo\n", KERNEL: "a kernel", "etc/passwd": "root:x:0:0"}
    files |= {"boot/start.img": "cpio", "tmp/left": "", "opt/a": "a", "usr/bin/tool": "#!/bin/sh\n"}
    files |= {"boot/vmlinuz-6.1": "a kernel", "usr/bin/game": "", "etc/a.conf": "a\n"}
    files |= {"sbin/init": "", "init": ""}  # that of a disk, and of a UKI
    values.write_files(tree, files)
    os.setxattr(tree / "usr/bin/tool", "security.capability", worlds.CAPABILITY)
    for path in ("usr/bin", "opt", "etc"):  # extensions have parts of a root
        own = tree / path / "own"
        own.write_text("own")
        os.chown(own, 250, 250)
        own.chmod(0o6755)
        (tree / path / "same").hardlink_to(own)
        os.setxattr(own, "user.note", b"a\0b")
        os.setxattr(own, "system.posix_acl_access", worlds.acl(250, 6))
        (tree / path / "hole").touch()
        os.truncate(tree / path / "hole", 1 << 20)
    os.chown(tree / "usr/bin/game", 0, 35)
    (tree / "usr/bin/game").chmod(0o2755)
    worlds.furnish(tree)


@dataclass
class Making:
    """A store with tools and a root that has all kinds of files; images go to ``room``/out."""

    store: Store
    engine: Engine
    tools: Layer
    root: Layer
    room: Path
    told: list[Note] = field(default_factory=list)

    def make(self, format: Format, name: str, *more: Layer, tools: Layer | None = None) -> Path:
        """Make an image; its file."""
        context = values.context(self.store, own_root=True, tools={"tools": tools or self.tools})
        context = replace(context, worker=replace(context.worker, engine=self.engine))
        image = Image(name, Origin(Path("m.toml"), 1), "tools", format)
        if isinstance(format, Oci):
            image = replace(image, tools=None)
        context.bus.add(lambda event: isinstance(event, Note) and self.told.append(event))
        machine: Any = SimpleNamespace(
            images=(image,), minimal=False, chost="x86_64-pc-linux-gnu", name="m"
        )
        done = Finished(context, machine, (self.root, *more), (), self.room / "out")
        return write_images(done)[name].path

    def layer(self, files: dict[str, str]) -> Layer:
        return values.stored(self.store, "c/more-1", **files)

    def without(self, *names: str) -> Layer:
        """A layer that removes names."""
        with self.store.workspace("values") as place:
            (place / "tree").mkdir()
            for name in names:
                (place / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
                os.mknod(place / "tree" / name, 0o020000, 0)
            return commit(self.store, place / "tree", kind="finish", label="remove")

    def again(self) -> None:
        """Forget which images were made."""
        keys = [action.key for action in self.store.index.actions() if action.kind == "image"]
        self.store.index.strike(actions=keys)


@contextmanager
def opened(path: Path, room: Path) -> Iterator[Making]:
    """A store with tools, and a root in it."""
    (room / "out").mkdir(exist_ok=True)
    with Store.open(path) as store, open_engine() as engine:
        ids = [each.name for each in store.layers.iterdir() if (each / "usr/bin/mkosi").exists()]
        tools, *_ = (store.tree(id) for id in ids)
        with store.workspace("values") as place:
            (place / "tree").mkdir()
            write_root(place / "tree")
            root = commit(store, place / "tree", kind="package", label="c/a-1")
        yield Making(store, engine, layer_of(tools), root, room)


@contextmanager
def mounted(image: Path, kind: str, offset: int = 0) -> Iterator[Path]:
    """The tree of a file system in an image."""
    room = image.parent
    place = Path(tempfile.mkdtemp(dir=room))
    place.mkdir(exist_ok=True)
    words = ["mount", "-t", kind, "-o", f"ro,loop,offset={offset}", str(image), str(place)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        from tests.support import cannot

        cannot(f"cannot mount an image here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def offsets(image: Path) -> dict[str, int]:
    """Where the partitions of a disk begin, by their names, as its GPT says (UEFI 5.3)."""
    with image.open("rb") as file:
        content = file.read(1 << 20)
    found = {}
    for entry in (content[at : at + 128] for at in range(1024, 1024 + 128 * 128, 128)):
        if name := entry[56:].decode("utf-16-le").rstrip("\0"):
            found[name] = 512 * int.from_bytes(entry[32:40], "little")
    return found


@contextmanager
def _partition(image: Path, name: str, kind: str) -> Iterator[Path]:
    begin = offsets(image)
    with mounted(image, kind, begin[name] if name else next(iter(begin.values()))) as tree:
        yield tree


def _untarred(tarball: Path, place: Path) -> None:
    words = ["tar", "--extract", "--file", tarball, "--directory", place, "--numeric-owner"]
    words += ["--same-permissions", "--xattrs", "--xattrs-include=*", "--acls"]
    subprocess.run(words, check=True)


def _of_cpio(archive: bytes, place: Path) -> None:
    words = ["cpio", "--extract", "--make-directories", "--preserve-modification-time", "--quiet"]
    subprocess.run(words, input=archive, cwd=place, check=True)


def _of_uki(program: Path, place: Path) -> None:
    initrd = place.with_name("initrd")
    words = ["objcopy", "-O", "binary", "--only-section=.initrd", program, initrd]
    subprocess.run(words, check=True)
    plain = subprocess.run(["zstd", "-dc", initrd], check=True, capture_output=True).stdout
    _of_cpio(plain, place)


def _of_esp(disk: Path, place: Path) -> None:
    (begin,) = offsets(disk).values()
    listed = ["mdir", "-b", "-/", "-i", f"{disk}@@{begin}", "::/EFI"]
    names = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split()
    (name,) = (each for each in names if each.lower().endswith(".efi"))
    program = place.with_name("program")
    subprocess.run(["mcopy", "-n", "-i", f"{disk}@@{begin}", name, program], check=True)
    _of_uki(program, place)


_UNPACK: Mapping[str, Callable[[Path, Path], None]] = {
    "uki": _of_uki,
    "esp": _of_esp,
    "tar": _untarred,
    "cpio": lambda file, place: _of_cpio(file.read_bytes(), place),
}


@contextmanager
def tree_of(name: str, file: Path, room: Path) -> Iterator[Path]:
    """The root in an image of `IMAGES`, mounted or unpacked by the field's own programs."""
    with ExitStack() as stack:
        if name in _UNPACK:
            place = room / "unpacked"
            place.mkdir()
            _UNPACK[name](file, place)
            yield place
        elif name == "oci":
            podman = stack.enter_context(containers.loaded(file, REF))
            yield Path(podman("image", "mount", REF).strip())
        elif name in ("squashfs", "erofs"):
            yield stack.enter_context(mounted(file, name))
        elif name == "iso":
            copy = room / "image.squashfs"  # a kernel may lack iso9660
            copy.write_bytes(bootable.on_medium(file, "/image.squashfs"))
            yield stack.enter_context(mounted(copy, "squashfs"))
        elif name.startswith("qcow2"):
            raw = room / "raw"
            subprocess.run(["qemu-img", "convert", "-O", "raw", file, raw], check=True)
            kind = name.partition("-")[2]
            yield stack.enter_context(_partition(raw, "gentooroot", kind))
        elif name.startswith("disk"):
            kind = name.partition("-")[2] or "ext4"
            yield stack.enter_context(_partition(file, "root-x86-64", kind))
        else:
            yield stack.enter_context(_partition(file, "", "erofs"))


def differences(root: Layer, tree: Path, *ignored: str) -> set[str]:
    """Lines of what is not as it is in the root, but for names below the ignored ones."""
    lines = compare([root.path], [tree]).text(1000).splitlines()
    starts = tuple(f"{sign} {name}" for sign in "+-!" for name in (*ignored, "etc/seed"))
    return {line for line in lines if line and not line.startswith(starts)}


def main(store: str, room: str, *names: str) -> None:
    """Make images; print the root's layer, and their files."""
    userns.enter()
    with opened(Path(store), Path(room)) as making:
        files = {}
        for name in names or IMAGES:
            more = (making.without(ODD),) if name in WITHOUT_ODD else ()
            files[name] = str(making.make(IMAGES[name], name, *more))
        said = [note.text for note in making.told]
        host = os.uname().nodename
        print(json.dumps({"root": making.root.id, "host": host, "files": files, "said": said}))


if __name__ == "__main__":
    main(*sys.argv[1:])
