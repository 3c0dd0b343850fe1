"""The root as a tarball or a directory, for programs that do not read it as it lies."""

from __future__ import annotations

from dataclasses import replace

from cloche.output.imaging import OUT, Imaging
from cloche.output.stage4 import TAR, is_whole
from cloche.sandbox.base import Ended
from cloche.tasks.guestcall import describe
from cloche.tasks.task import ROOT

TARBALL = "root.tar"
_ACLS = "--acls"
_STATUS = "tar.status"
#: The first program's words are as many as the first argument says, after the file of its status.
_PIPE = """\
count=$1 status=$2
shift 2
{ "${@:1:count}"; echo $? >"$status"; } | "${@:count+1}"
"""


def pack(work: Imaging, *options: str, acls: bool = True) -> None:
    """Pack the root as its tarball is packed: times, order, attributes. Raises StepError."""
    tar = TAR if acls else _without_acls()
    what = (f"--directory={ROOT}", *options, "--anchored", ".")
    _check(work, work.ended(*tar, f"--file={OUT}/{TARBALL}", *what))


def pack_into(work: Imaging, *program: str) -> None:
    """Pack the root without its ACLs through a pipe to a program. Raises StepError."""
    tar = (*_without_acls(), "--file=-", f"--directory={ROOT}", ".")
    words = (str(len(tar)), f"{OUT}/{_STATUS}", *tar, *program)
    ended = work.ended("/bin/bash", "-c", _PIPE, "bash", *words)
    if not ended.ok:
        raise work.failed(f"{program[0]}: {describe(ended)}")
    _check(work, replace(ended, status=int(work.made(_STATUS).read_text())))


def _without_acls() -> tuple[str, ...]:
    return tuple(word for word in TAR if word != _ACLS)


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
