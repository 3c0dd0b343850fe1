"""What patch(1) says of a patch that does not apply. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FILE = re.compile(r"(?:patching|checking) (?:file|symbolic link) (.+?)(?: \(.*\))?")
_FAILED = re.compile(r"Hunk #(\d+) (?:FAILED at (\d+)|NOT MERGED at (\d+)(?:-\d+)?)")
_NO_FILE = re.compile(r"can't find file to patch at input line \d+")
_ASKED = re.compile(r"\|?(?:\+\+\+|---) ([^\t]+)")
#: What Portage says of it, with the patch's place (eapply, PMS 12.3.5).
_FAILED_WITH = re.compile(r"patch .* failed with \$?'?(\S*?[^/\s']+)'?$", re.MULTILINE)
_USERS = "/etc/portage/"


@dataclass(frozen=True, slots=True)
class Refused:
    """A hunk that does not apply: its file, number and line; 0 where the file is not there."""

    file: str
    hunk: int
    line: int

    def __str__(self) -> str:
        if not self.hunk:
            return f"{self.file}: no such file"
        hunk = f"hunk {self.hunk} (line {self.line})"
        return f"{self.file}, {hunk}" if self.file else hunk


def refused(said: str) -> tuple[Refused, ...]:
    """The hunks that patch(1) says do not apply."""
    found, file, asked, missing = [], "", "", False
    for line in said.splitlines():
        if match := _FILE.fullmatch(line.strip()):
            file, missing = match[1].strip("'"), False
        elif match := _FAILED.match(line):
            found.append(Refused(file, int(match[1]), int(match[2] or match[3])))
        elif _NO_FILE.match(line):
            missing, asked = True, ""
        elif missing and (match := _ASKED.match(line)) and match[1] != "/dev/null":
            asked = match[1].partition("/")[2] or match[1]
        elif missing and asked and line.startswith(("No file to patch", "Skipping")):
            found.append(Refused(asked, 0, 0))
            missing = False
    named = [each for each in found if each.file]  # an excerpt may begin in the middle of a file
    return tuple(dict.fromkeys(named or found))


def user_patches(said: str) -> tuple[str, ...]:
    """The user patches that Portage says failed, by their names below /etc/portage."""
    found = dict.fromkeys(_FAILED_WITH.findall(said))
    return tuple(each.removeprefix(_USERS) for each in found if each.startswith(_USERS))
