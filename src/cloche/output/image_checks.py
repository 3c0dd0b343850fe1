"""Whether a root fits into an image's partitions, and has what its kernel starts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cloche.building.finish_root import root_of
from cloche.config.errors import ConfigError
from cloche.layers import Merged
from cloche.layers.merge import Node
from cloche.output.imaging import Imaging

#: What a kernel starts from a root without an initramfs (Documentation/admin-guide/init.rst).
_INITS = ("sbin/init", "etc/init", "bin/init", "bin/sh")
#: And from an initramfs; mkosi adds /init where there is a systemd.
_FIRST = ("init", "usr/lib/systemd/systemd")
_BLOCK = 4096
_SPARE = 1.06  # what a file system has besides its content, by experience, at least


def bytes_of(nodes: Iterable[Node]) -> int:
    """What files need in whole blocks, without holes; hard links count once."""
    found, seen = 0, set()
    for node in nodes:
        inode = (node.info.st_dev, node.info.st_ino)
        if inode not in seen:
            seen.add(inode)
            found += min(node.info.st_blocks * 512, -(-node.info.st_size // _BLOCK) * _BLOCK)
    return found


def check_room(work: Imaging, needed: int, size: int, what: str, key: str) -> None:
    """Refuse a partition of that size for so many bytes. Raises `ConfigError`."""
    if needed * _SPARE > size:
        has = f"{what} {needed >> 20} MiB, too much for a partition of {size >> 20} MiB"
        raise ConfigError(work.image.origin, has, f"increase `{key}`, or leave it out")


def bytes_of_root(work: Imaging, below: str = "") -> int:
    """What the root needs, or a directory of it."""
    tree = Merged([layer.path for layer in work.root])
    top = tree.lookup(below.encode()) if below else None
    if below and (top is None or not top.is_directory):
        return 0
    return bytes_of(tree.walk(top))


def check_init(work: Imaging, line: str, *, initrds: bool, is_initrd: bool = False) -> None:
    """Refuse a root without what its kernel would start, by its kernel line. Raises `ConfigError`.

    ``is_initrd``: the root is the initramfs. With ``initrds``, these decide what is started.
    """
    root = root_of([layer.path for layer in work.root])
    option = "rdinit=" if is_initrd else "init="
    named = [word.removeprefix(option) for word in line.split() if word.startswith(option)]
    if named:
        if not root.has(named[-1]):
            what = f"{named[-1]}, which the kernel line names as {option[:-1]}, is not in the root"
            raise ConfigError(work.image.origin, what, "correct the path, or add the file")
        return
    usual: Sequence[str] = _FIRST if is_initrd else _INITS
    if not initrds and not any(root.has(each) for each in usual):
        what = f"the root has nothing that its kernel starts ({', '.join(f'/{i}' for i in usual)})"
        todo = f"add openrc, systemd or busybox to the machine, or name a program by {option}PATH"
        raise ConfigError(work.image.origin, what, todo)
