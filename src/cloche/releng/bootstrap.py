"""What the tree's bootstrap.sh asks of emerge: the script runs, and its calls are written down.

It runs in a sandbox over the root that it is to change, without network, and in the place of emerge
is a program that only records how it was called. So a script may look at the root and the tree as
it likes, and its calls are carried out afterwards, package by package.
"""

from __future__ import annotations

import re
from pathlib import Path

from cloche.building.context import BuildContext
from cloche.building.stages import stage_command
from cloche.catalyst.emerge import EmergeCall, emerge_call
from cloche.catalyst.stages import NODOC_FEATURES
from cloche.config.files import read_bytes
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
_USE = re.compile(r"[\w+@*\s-]*", re.ASCII)


def calls_of(context: BuildContext, repo: str) -> tuple[EmergeCall, ...]:
    """The calls of emerge that bootstrap.sh of a repository makes over a machine's base.

    Raises ClocheError.
    """
    where = f"{repo}/{SCRIPT}"
    log = new_log(context.store, context.inputs.log_name, "resolve")
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
        command = Command(
            (f"{REPOS}/{where}", "-q"), environment, timeout=context.policy.phase_seconds
        )
        ended = stage_command(context, "resolve", sandbox, command, log)
        if not ended.ok:
            raise ClocheError(
                f"bootstrap.sh failed: {describe(ended)}",
                where=where,
                todo="the end of its output is above",
                detail=tail_of(log),
                status=Exit.FAILED,
            )
        return read_calls(calls, where)


def read_calls(directory: Path, where: str) -> tuple[EmergeCall, ...]:
    """The calls that `RECORDER` wrote down in a directory. Raises ClocheError.

    They are untrusted: the script can write there itself.
    """
    found = []
    for path in sorted(directory.iterdir())[:_MOST]:
        words = read_bytes(path, directory, _LONGEST).decode("utf-8", "replace").split("\0")
        use, is_set, *arguments = words[:-1] if len(words) > 2 else ["", ""]
        if not _USE.fullmatch(use):  # it becomes a line of make.conf
            raise ClocheError(
                f"calls emerge with USE={use!a}, which are not USE flags", where=where
            )
        call = emerge_call(arguments, use if is_set else None)
        if call.atoms:
            found.append(call)
    if not found:
        raise ClocheError(
            "it does not call emerge for any package",
            where=where,
            todo="a stage2 is made of what that script builds: use a tree whose script builds some",
        )
    return tuple(found)
