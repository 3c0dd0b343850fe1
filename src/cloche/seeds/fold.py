"""Folding an overlay's upper directory into its lower one."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

_OVERLAY = ("user.overlay.", "trusted.overlay.")


def fold(top: Path, tree: Path) -> None:
    """Move everything of ``top`` into ``tree``: what an overlay of both shows is then the tree.

    Both lie on one file system, and no overlay of them is mounted. ``top`` is left empty. Follows
    no symbolic link. The format is the kernel's (Documentation/filesystems/overlayfs.rst):
    whiteouts are 0:0 character devices, ``user.overlay.opaque`` marks directories that hide.
    """
    with os.scandir(top) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            _fold_entry(Path(entry.path), tree / entry.name)


def _fold_entry(source: Path, target: Path) -> None:
    info = source.lstat()
    if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
        _remove(target)
        source.unlink()
    elif stat.S_ISDIR(info.st_mode):
        if _is_opaque(source) or not _is_directory(target):
            _remove(target)
            target.mkdir()
        fold(source, target)
        _copy_metadata(source, target, info)
        source.rmdir()
    else:
        if _is_directory(target):
            _remove(target)
        _strip(source)
        source.rename(target)


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_opaque(path: Path) -> bool:
    names = os.listxattr(path, follow_symlinks=False)
    return any(
        prefix + "opaque" in names
        and os.getxattr(path, prefix + "opaque", follow_symlinks=False) == b"y"
        for prefix in _OVERLAY
    )


def _remove(path: Path) -> None:
    if _is_directory(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _strip(path: Path) -> None:
    """Take off overlayfs's own marks; symbolic links cannot have them in the user namespace."""
    for name in os.listxattr(path, follow_symlinks=False):
        if name.startswith(_OVERLAY):
            os.removexattr(path, name, follow_symlinks=False)


def _copy_metadata(source: Path, target: Path, info: os.stat_result) -> None:
    os.chown(target, info.st_uid, info.st_gid)
    os.chmod(target, stat.S_IMODE(info.st_mode))  # noqa: PTH101 - beside chown and utime
    kept = {
        name
        for name in os.listxattr(source, follow_symlinks=False)
        if not name.startswith(_OVERLAY)
    }
    for name in set(os.listxattr(target, follow_symlinks=False)) - kept:
        os.removexattr(target, name, follow_symlinks=False)
    for name in kept:
        os.setxattr(target, name, os.getxattr(source, name), follow_symlinks=False)
    os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))
