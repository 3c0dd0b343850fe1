"""Runs pkgcheck, Gentoo's own checks, on ebuilds that autogen wrote.

pkgcheck sources ebuilds, so it runs in a sandbox without network: in the root of a machine that has
dev-util/pkgcheck among its packages.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Final

from cloche.autogen.findings import Finding, findings
from cloche.errors import ClocheError, Exit
from cloche.sandbox.base import Command
from cloche.sandbox.captured import captured
from cloche.sandbox.errors import ProgramError
from cloche.session.session import Session
from cloche.tasks.guestcall import ENVIRONMENT

PROGRAM: Final = "pkgcheck"
_LONGEST = 16 << 20  # bytes of output
_LONGEST_RUN = 4 * 3600.0  # seconds


def check_root(session: Session, machine: str) -> None:
    """Check that a machine is built and has pkgcheck. Raises `ClocheError`."""
    _run(session, machine, "--version")


def scan(
    session: Session, machine: str, repository: str, packages: Sequence[str]
) -> tuple[Finding, ...]:
    """What pkgcheck finds in packages (CATEGORY/PN) of a repository that the machine has.

    Raises `ClocheError`, as `check_root`.
    """
    if not packages:
        return ()
    options = ("--reporter=JsonReporter", "--color=false", "--repo", repository)
    lines = _run(session, machine, "scan", *options, *packages).splitlines()
    return tuple(dict.fromkeys(each for line in lines for each in findings(line)))


def _run(session: Session, machine: str, *words: str) -> str:
    """What pkgcheck prints in the root of a machine."""
    with session.shell(machine) as root:
        environment = {**ENVIRONMENT, **root.environment}
        command = Command((PROGRAM, *words), environment, timeout=_LONGEST_RUN)
        try:
            done = captured(session.engine, root.sandbox, command, _LONGEST)
        except ProgramError as error:
            if error.errno != errno.ENOENT:
                raise
            raise _without(machine) from error
    if not done.ok or not done.whole:
        too_long = f"pkgcheck printed more than {_LONGEST >> 20} MiB"
        what = f"pkgcheck failed with status {done.status}" if done.whole else too_long
        raise ClocheError(
            f"{what}: {done.last_line}" if done.last_line else what,
            where=f"machine {machine}",
            todo=f"try it with `cloche shell {machine} -- pkgcheck {words[0]}`",
            detail=done.text,
            status=Exit.FAILED,
        )
    return done.text


def _without(machine: str) -> ClocheError:
    return ClocheError(
        "its root has no pkgcheck",
        where=f"machine {machine}",
        todo=f"add dev-util/pkgcheck to its packages, and run `cloche build {machine}`",
    )
