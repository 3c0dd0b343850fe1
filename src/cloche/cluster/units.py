"""Unit files: a command of cloche's as a service of systemd or OpenRC."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
{more}ExecStart={line}
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
{more}command={program}
command_args={arguments}
respawn_delay=5
retry="TERM/30/KILL/5"
output_log="/var/log/{name}.log"
error_log="/var/log/{name}.log"

depend() {{
	need net
	after firewall
}}
{start}"""
_START_PRE = """
start_pre() {{
	checkpath --file --owner {user} "/var/log/{name}.log"
}}
"""


@dataclass(frozen=True, slots=True)
class Unit:
    """A command with its words, the store it uses (None: the default), and where it runs.

    It runs as ``user``, None for root, with more of an ``environment``. ``low_port``: it may listen
    at ports below 1024.
    """

    command: str
    words: tuple[str, ...]
    store: Path | None = None
    directory: Path | None = None
    user: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    low_port: bool = False


def unit_text(kind: Kind, unit: Unit) -> str:
    """The text of the file."""
    name = f"cloche-{unit.command}"
    program = program_path()
    store = ("--store", str(unit.store)) if unit.store else ()
    directory = ("-C", str(unit.directory)) if unit.directory else ()
    words = (*directory, *store, unit.command, *unit.words)
    if kind == "systemd":
        line = " ".join(systemd_word(word) for word in (program, *words))
        file = f"/etc/systemd/system/{name}.service"
        more = "".join(f"{each}\n" for each in _systemd_settings(unit))
        return _SYSTEMD.format(file=file, name=name, command=unit.command, line=line, more=more)
    return _OPENRC.format(
        file=f"/etc/init.d/{name}",
        name=name,
        command=unit.command,
        program=shlex.quote(program),
        arguments=shlex.quote(shlex.join(words)),
        more="".join(f"{each}\n" for each in _openrc_settings(unit)),
        start=_START_PRE.format(user=shlex.quote(unit.user), name=name) if unit.user else "",
    )


def program_path() -> str:
    """Where cloche's command is."""
    return shutil.which("cloche") or str(Path(sys.executable).with_name("cloche"))


def _systemd_settings(unit: Unit) -> Iterator[str]:
    """Further lines of [Service] (systemd.exec(5))."""
    if unit.user:
        yield f"User={unit.user}"
        if unit.low_port:
            yield "AmbientCapabilities=CAP_NET_BIND_SERVICE"
    for name, value in unit.environment.items():
        escaped = f"{name}={value}".replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
        yield f'Environment="{escaped}"'


def _openrc_settings(unit: Unit) -> Iterator[str]:
    """Further lines of an init script (openrc-run(8))."""
    if unit.user:
        yield f"command_user={shlex.quote(unit.user)}"
        if unit.low_port:
            yield "capabilities=^cap_net_bind_service"
    for name, value in unit.environment.items():
        yield f"export {name}={shlex.quote(value)}"


def systemd_word(word: str) -> str:
    """A word of ExecStart, quoted (systemd.service(5)): ``%`` and ``$`` are doubled."""
    escaped = word.replace("\\", "\\\\").replace("%", "%%").replace("$", "$$")
    if not escaped or set(escaped) & set(" \t\"'"):
        return '"' + escaped.replace('"', '\\"') + '"'
    return escaped
