"""`cloche autogen run` once a day: units of systemd, or a line for cron."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cloche.cluster.units import program_path, systemd_word

Kind = Literal["systemd", "cron"]

_SYSTEMD = """\
# /etc/systemd/system/cloche-autogen.service
[Unit]
Description=Ebuilds of new releases (cloche autogen run)
Documentation=man:cloche-autogen-run(1)
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
User={user}
WorkingDirectory={directory}
ExecStart={line}

# /etc/systemd/system/cloche-autogen.timer: systemctl enable --now cloche-autogen.timer
[Unit]
Description=Ebuilds of new releases, once a day

[Timer]
OnCalendar=daily
RandomizedDelaySec=2h
Persistent=true

[Install]
WantedBy=timers.target
"""

_CRON = """\
# /etc/cron.d/cloche-autogen: cron mails the report
17 4 * * * {user} cd {directory} && {line}
"""


@dataclass(frozen=True, slots=True)
class Setup:
    """What is started: the words after ``cloche``, who runs it, and where."""

    words: tuple[str, ...]
    user: str
    directory: Path


def timer_text(kind: Kind, setup: Setup) -> str:
    """The files, each after a comment with its name."""
    words = (program_path(), *setup.words)
    if kind == "systemd":
        line = " ".join(map(systemd_word, words))
        # A path is not quoted there, and only specifiers are expanded (systemd.exec(5)).
        directory = str(setup.directory).replace("%", "%%")
        return _SYSTEMD.format(user=setup.user, directory=directory, line=line)
    # A per cent sign would be the end of the line (crontab(5)).
    directory = shlex.quote(str(setup.directory)).replace("%", "\\%")
    line = shlex.join(words).replace("%", "\\%")
    return _CRON.format(user=shlex.quote(setup.user), directory=directory, line=line)
