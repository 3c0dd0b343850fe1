"""Unit files: a command of cloche's as a service of systemd or OpenRC."""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["systemd", "openrc"]

_SYSTEMD = """\
# {file}: systemctl enable --now {name}
[Unit]
Description=cloche {command}
Documentation=man:cloche-{command}(1)
Wants=network-online.target
After=network-online.target

[Service]
ExecStart={line}
Restart=always
RestartSec=5
# Sandboxes end with this process; none of them is left to kill.
KillMode=mixed
TimeoutStopSec=30
# Sandboxes need namespaces, mounts and control groups of their own.
Delegate=yes

[Install]
WantedBy=multi-user.target
"""

_OPENRC = """\
#!/sbin/openrc-run
# {file}: rc-update add {name} default
description="cloche {command}"
supervisor=supervise-daemon
command={program}
command_args={arguments}
respawn_delay=5
retry="TERM/30/KILL/5"
output_log="/var/log/{name}.log"
error_log="/var/log/{name}.log"

depend() {{
	need net
	after firewall
}}
"""


@dataclass(frozen=True, slots=True)
class Unit:
    """A command with its words, the store it uses (None: the default), and where it runs."""

    command: str
    words: tuple[str, ...]
    store: Path | None = None
    directory: Path | None = None


def unit_text(kind: Kind, unit: Unit) -> str:
    """The text of the file."""
    name = f"cloche-{unit.command}"
    program = shutil.which("cloche") or str(Path(sys.executable).with_name("cloche"))
    store = ("--store", str(unit.store)) if unit.store else ()
    directory = ("-C", str(unit.directory)) if unit.directory else ()
    words = (*directory, *store, unit.command, *unit.words)
    if kind == "systemd":
        line = " ".join(_systemd_word(word) for word in (program, *words))
        file = f"/etc/systemd/system/{name}.service"
        return _SYSTEMD.format(file=file, name=name, command=unit.command, line=line)
    return _OPENRC.format(
        file=f"/etc/init.d/{name}",
        name=name,
        command=unit.command,
        program=shlex.quote(program),
        arguments=shlex.quote(shlex.join(words)),
    )


def _systemd_word(word: str) -> str:
    """A word of ExecStart, quoted (systemd.service(5)): ``%`` and ``$`` are doubled."""
    escaped = word.replace("\\", "\\\\").replace("%", "%%").replace("$", "$$")
    if not escaped or set(escaped) & set(" \t\"'"):
        return '"' + escaped.replace('"', '\\"') + '"'
    return escaped
