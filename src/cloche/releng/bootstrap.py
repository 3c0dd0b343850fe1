"""What the tree's bootstrap.sh asks of emerge: the script runs, and its calls are written down.

It runs in a sandbox over the root that it is to change, without network, and in the place of emerge
is a program that only records how it was called. So a script may look at the root and the tree as
it likes, and its calls are carried out afterwards, package by package.
"""

from __future__ import annotations

import os
from pathlib import Path

from cloche.building.context import BuildContext
from cloche.catalyst.emerge import EmergeCall, emerge_call
from cloche.catalyst.machines import NODOC_FEATURES
from cloche.errors import ClocheError, Exit
from cloche.portage.etc import REPOS
from cloche.records.logs import new_log
from cloche.sandbox.base import Bind, Command
from cloche.tasks.guestcall import ENVIRONMENT, describe, tail_of
from cloche.tasks.worker import make_directory

SCRIPT = "scripts/bootstrap.sh"
CALLS = "/run/cloche/calls"
BIN = "/run/cloche/record"
RECORDER = f"""\
#!/bin/bash
number=$(ls {CALLS} | wc -l)
printf '%s\\0' "${{USE-}}" "${{USE+set}}" "$@" > {CALLS}/$((number + 1000))
"""
_MOST = 1000  # calls
_LONGEST = 1 << 20  # bytes of one


def calls_of(context: BuildContext, repo: str) -> tuple[EmergeCall, ...]:
    """The calls of emerge that bootstrap.sh of a repository makes over a machine's base.

    Raises ClocheError.
    """
    script = f"{REPOS}/{repo}/{SCRIPT}"
    log = new_log(context.store, f"machine/{context.inputs.machine}", "resolve")
    with context.store.workspace("bootstrap") as workspace:
        programs = make_directory(workspace, "bin")
        (programs / "emerge").write_text(RECORDER)
        (programs / "emerge").chmod(0o755)
        calls = make_directory(workspace, "calls")
        binds = (
            *context.whole_repositories(),
            Bind(programs, BIN),
            Bind(calls, CALLS, writable=True),
        )
        sandbox = context.sandbox((), upper=make_directory(workspace, "root"), binds=binds)
        environment = {
            **ENVIRONMENT,
            **context.inputs.environment,
            "PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin",
            "FEATURES": NODOC_FEATURES,
            "CONFIG_PROTECT": "-* /etc/locale.gen",
        }
        command = Command((script, "-q"), environment, timeout=context.policy.phase_seconds)
        with log.open("ab") as stream:
            process = context.engine.start(
                sandbox, command, stdout=stream.fileno(), stderr=stream.fileno()
            )
            ended = process.wait()
        if ended is None or not ended.ok:
            how = describe(ended) if ended else "no answer"
            raise ClocheError(
                f"bootstrap.sh failed: {how}",
                where=f"{repo}/{SCRIPT}",
                todo="look at its words above",
                detail=tail_of(log),
                status=Exit.FAILED,
            )
        return _read(calls, f"{repo}/{SCRIPT}")


def _read(directory: Path, where: str) -> tuple[EmergeCall, ...]:
    """The calls, which are untrusted: the script could write anything. Raises ClocheError."""
    found = []
    for path in sorted(directory.iterdir())[:_MOST]:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            words = file.read(_LONGEST).decode("utf-8", "replace").split("\0")
        use, is_set, *arguments = words[:-1] if len(words) > 2 else ["", ""]
        call = emerge_call(arguments, use if is_set else None)
        if call.atoms:
            found.append(call)
    if not found:
        raise ClocheError("bootstrap.sh called emerge for no package", where=where)
    return tuple(found)
