"""What a spec reads and writes, under exactly the names that catalyst gives."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cloche.catalyst.conf import Conf
from cloche.catalyst.spec import Spec
from cloche.config.errors import ConfigError
from cloche.errors import ClocheError, Exit

#: Each mode of packing with the extension of its tarballs. Those that end in `_x` are the same.
EXTENSIONS = {
    "lbzip2": "tar.bz2",
    "bzip2": "tar.bz2",
    "lzip": "tar.lzip",
    "lzma": "tar.lzma",
    "lzop": "tar.lzop",
    "tar": "tar",
    "xz": "tar.xz",
    "pixz": "tar.xz",
    "zstd": "tar.zstd",
    "gzip": "tar.gz",
    "squashfs": "squashfs",
    "squashfs_gzip": "squashfs",
    "squashfs_xz": "squashfs",
    "squashfs_zstd": "squashfs",
}

#: Kinds of outputs that are images of a machine.
IMAGES = ("iso", "qcow2")
#: Kinds of outputs that are single files and do not describe another one.
ARTIFACTS = ("tarball", *IMAGES)
#: Targets whose root is not packed.
_UNPACKED = ("snapshot", "diskimage-stage2", "netboot")
#: Targets that leave a directory beside it.
_ASSEMBLED = ("livecd-stage2", "diskimage-stage2", "netboot")


@dataclass(frozen=True, slots=True)
class Output:
    """A file or directory that is written."""

    kind: str
    path: str


def subpath(spec: Spec) -> str:
    """What names the output below builds/ and the root below tmp/, without an extension."""
    return f"{unversioned(spec)}-{spec.text('version_stamp')}"


def unversioned(spec: Spec) -> str:
    """The same without the version stamp: it names the caches."""
    return f"{spec.text('rel_type')}/{spec.text('target')}-{spec.text('subarch')}"


def store_path(conf: Conf, *parts: str) -> str:
    """A path below storedir; as catalyst, this does not keep `..` from leading out of it."""
    path = os.path.normpath("/".join((conf.text("storedir"), *parts)))
    return path[1:] if path.startswith("//") else path


def is_below(path: str, directory: Path | str) -> bool:
    """Whether a path is in a directory once its ``..`` are resolved, by its words alone."""
    return Path(os.path.normpath(path)).is_relative_to(directory)


def snapshot_path(spec: Spec, conf: Conf) -> str:
    """The squashfs of the ebuild repository; `stable` is named after the commit it is then."""
    treeish = spec.text("snapshot_treeish")
    if spec.text("target") == "snapshot" and treeish == "stable":
        treeish = "COMMIT"
    return snapshot_file(treeish, conf)


def snapshot_file(treeish: str, conf: Conf) -> str:
    """The squashfs of the ebuild repository at a tree-ish."""
    return store_path(conf, "snapshots") + f"/{conf.text('repo_name')}-{treeish}.sqfs"


def compression_mode(spec: Spec, conf: Conf) -> str:
    """The spec's, or catalyst.conf's."""
    return spec.text("compression_mode") or conf.text("compression_mode")


def extension(mode: str) -> str | None:
    """What tarballs of a mode end with, or None if catalyst cannot pack so."""
    return EXTENSIONS.get(mode.removesuffix("_x"))


def outputs(spec: Spec, conf: Conf) -> tuple[Output, ...]:
    """All that is written below builds/ and snapshots/, in the order in which it is.

    Raises `ClocheError` where rename_regexp is not an expression of sed.
    """
    target = spec.text("target")
    if target == "snapshot":
        return (Output("snapshot", snapshot_path(spec, conf)),)
    base = store_path(conf, "builds", subpath(spec))
    found = [Output("directory", base)] if target in _ASSEMBLED else []
    for key, kind in (("livecd/iso", "iso"), ("diskimage/qcow2", "qcow2")):
        if name := spec.text(key):
            below = (spec.text("rel_type"), name)
            path = os.path.normpath(name) if name[0] == "/" else store_path(conf, "builds", *below)
            found += _described(kind, path, conf)
    if target not in _UNPACKED:
        path = f"{base}.{extension(compression_mode(spec, conf)) or '?'}"
        found += _described("tarball", _renamed(path, spec), conf)
    return tuple(found)


def _described(kind: str, path: str, conf: Conf) -> list[Output]:
    """An artifact with the files that describe it."""
    beside = [Output("contents", f"{path}.CONTENTS.gz")]
    if "digests" in conf.values:
        beside += [Output("digests", f"{path}.DIGESTS"), Output("digests", f"{path}.sha256")]
    return [Output(kind, path), *beside]


def _renamed(path: str, spec: Spec) -> str:
    """As `sed -E` changes the whole path; `--sandbox` refuses its commands that read, write, run.

    Only sed is exact here: its expressions are not Python's.
    """
    if not (expression := spec.text("rename_regexp")):
        return path
    origin = spec.origin("rename_regexp")
    try:
        done = subprocess.run(
            ["sed", "--sandbox", "-E", "-e", expression],
            input=path,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=10,
        )
    except FileNotFoundError:
        raise ClocheError("sed not found", todo="install GNU sed", status=Exit.HOST) from None
    except subprocess.TimeoutExpired:
        raise ConfigError(origin, "rename_regexp takes more than 10 s") from None
    if done.returncode:
        reason = done.stderr.strip().rpartition(": ")[2]
        raise ConfigError(origin, f"rename_regexp is not an expression for sed -E: {reason}")
    return done.stdout or path
