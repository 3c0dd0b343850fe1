"""What an envscript exports that only a shell can evaluate: bash sources it in the source's root.

As in catalyst, /etc/profile comes first and `clst_*` are set. But the sandbox has no network and
nothing of the host, and a command that fails is an error: catalyst ignores it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from cloche.building.context import BuildContext
from cloche.building.stages import stage_command
from cloche.catalyst.envscript import effective
from cloche.config.errors import ConfigError, Origin
from cloche.config.files import read_bytes
from cloche.records.logs import new_log
from cloche.sandbox.base import Bind, Command
from cloche.tasks.guestcall import ENVIRONMENT, describe, tail_of
from cloche.tasks.worker import make_directory

PLACE = "/run/cloche/envscript"
FOUND = f"{PLACE}/found"
#: A script that calls `exit` never gets to the variables at the end.
RUNNER = f"""\
[[ ! -f /etc/profile ]] || source /etc/profile
/bin/bash -n {PLACE}/script || exit 2
/usr/bin/env -0 > {FOUND}/before
cloche_failed() {{
	[[ $3 != {PLACE}/script || -e {FOUND}/failed ]] || printf '%s\\0' "$1" "$2" > {FOUND}/failed
}}
trap 'cloche_failed "$LINENO" "$BASH_COMMAND" "${{BASH_SOURCE[0]}}"' ERR
source {PLACE}/script
trap - ERR
/usr/bin/env -0 > {FOUND}/after
exit 0
"""
_SECONDS = 60.0
_LONGEST = 1 << 20  # bytes of all variables
_LINE = re.compile(rf"{PLACE}/script: line (\d+): ")


def evaluated(context: BuildContext, file: Path, variables: Mapping[str, str]) -> Mapping[str, str]:
    """The variables that a file exports or changes, over a machine's seed.

    Those of ``variables`` are set before. Raises ClocheError.
    """
    log = new_log(context.store, context.inputs.log_name, "envscript")
    with context.store.workspace("envscript") as workspace:
        program = make_directory(workspace, "program")
        (program / "script").write_bytes(read_bytes(file, file.parent))
        (program / "run").write_text(RUNNER)
        found = make_directory(workspace, "found")
        (program / "found").mkdir()
        binds = (Bind(program, PLACE), Bind(found, FOUND, writable=True))
        sandbox = context.sandbox((), upper=make_directory(workspace, "root"), binds=binds)
        argv = ("/bin/bash", "--norc", "--noprofile", f"{PLACE}/run")
        command = Command(argv, {**ENVIRONMENT, **variables}, timeout=_SECONDS)
        ended = stage_command(context, "envscript", sandbox, command, log)
        tail = tail_of(log).replace(f"{PLACE}/script", file.name)
        failed, after = _read(found, "failed"), found / "after"
        if len(failed) > 1 and failed[0].isdecimal():
            raise _wrong(Origin(file, int(failed[0])), f"“{failed[1]}” failed", tail)
        if not ended.ok or not after.exists():
            said = _LINE.search(tail_of(log))
            line = int(said[1]) if said else None
            what = "is not valid for bash" if ended.status == 2 and said else "ends the shell"
            raise _wrong(Origin(file, line), f"{what}: {describe(ended)}", tail)
        before = _variables(_read(found, "before"))
        changed = dict(_variables(_read(found, "after")).items() - before.items())
        return effective(changed, file)


def _wrong(origin: Origin, what: str, tail: str) -> ConfigError:
    error = ConfigError(origin, what, "correct it, or append “|| true” if that does not matter")
    error.detail = tail
    return error


def _read(directory: Path, name: str) -> list[str]:
    """What the script's own shell wrote: it is untrusted."""
    path = directory / name
    if not path.exists():
        return []
    return read_bytes(path, directory, _LONGEST).decode("utf-8", "replace").split("\0")[:-1]


def _variables(words: list[str]) -> dict[str, str]:
    pairs = (word.partition("=") for word in words)
    return {name: value for name, equals, value in pairs if equals and name.isidentifier()}
