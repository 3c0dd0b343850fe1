"""The root as a tarball or a directory, for programs that do not read it as it lies."""

from __future__ import annotations

import shlex
from dataclasses import replace

from cloche.output.imaging import OUT, Imaging
from cloche.output.stage4 import TAR, is_whole
from cloche.sandbox.base import Ended
from cloche.tasks.guestcall import describe
from cloche.tasks.task import ROOT

TARBALL = "root.tar"
_ACLS = "--acls"
_STATUS = "tar.status"


def pack(work: Imaging, *options: str, acls: bool = True) -> None:
    """Pack the root as its tarball is packed: times, order, attributes. Raises StepError."""
    tar = [word for word in TAR if acls or word != _ACLS]
    what = (f"--directory={ROOT}", *options, "--anchored", ".")
    _check(work, work.ended(*tar[:2], f"--file={OUT}/{TARBALL}", *tar[2:], *what))


def pack_into(work: Imaging, *program: str) -> None:
    """Pack the root without its ACLs through a pipe to a program. Raises StepError."""
    tar = [word for word in TAR if word != _ACLS]
    words = [*tar[:2], "--file=-", *tar[2:], f"--directory={ROOT}", "."]
    status = shlex.quote(f"{OUT}/{_STATUS}")
    ended = work.ended(
        *("/bin/sh", "-c"),
        f"{{ {shlex.join(words)}; echo $? > {status}; }} | {shlex.join(program)}",
    )
    if not ended.ok:
        raise work.failed(f"{program[0]}: {describe(ended)}")
    _check(work, replace(ended, status=int(work.made(_STATUS).read_text())))


def _check(work: Imaging, ended: Ended) -> None:
    if not is_whole(ended, work.log):
        raise work.failed("the root cannot be packed")


def unpack(work: Imaging, *options: str) -> str:
    """Unpack the tarball; the directory in the sandbox. Raises StepError."""
    work.run("/bin/mkdir", f"{OUT}/tree")
    attributes = ("--numeric-owner", "--same-owner", "--same-permissions", "--xattrs", _ACLS)
    file, place = f"--file={OUT}/{TARBALL}", f"--directory={OUT}/tree"
    work.run("/bin/tar", "--extract", file, place, *attributes, "--xattrs-include=*", *options)
    return f"{OUT}/tree"
