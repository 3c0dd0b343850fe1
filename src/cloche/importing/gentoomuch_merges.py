"""What gentoomuch did where several parts of a machine's /etc/portage say something."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from cloche.config import makeconf
from cloche.config.contradictions import Clash
from cloche.importing.settling import Part


def what_gentoomuch_did(clash: Clash) -> str:
    """Which of two statements held in gentoomuch, which joins the files of fragments by name.

    In package.use/NAME it keeps the first of ``x`` and ``-x`` for an atom, and writes all that
    begin with ``-`` last. All other files it appends to each other.
    """
    first, second = (_below(each.origin.file) for each in (clash.before, clash.here))
    if first.startswith("package.use/") and first == second:
        return "gentoomuch kept the first without a word"
    if clash.here.group in makeconf.INCREMENTALS:
        return f"gentoomuch lost all of {clash.here.group} that came before"
    if first != second and first.partition("/")[0] == second.partition("/")[0]:
        last = max(first, second)
        return "" if last == second else f"in gentoomuch {last} was read last, and held"
    return ""


def _below(file: Path) -> str:
    """The path of a file of a fragment in /etc/portage."""
    parts = file.parts
    start = next((i for i, part in enumerate(parts) if part.startswith(("package.", "make."))), 0)
    return "/".join(parts[start:])


def lost_in_gentoomuch(parts: Sequence[Part]) -> Iterator[str]:
    """What is not contradictory, but was lost: words of incremental variables, and ``-*``."""
    said: dict[str, str] = {}
    for part in parts:
        for name, content in part.files.items():
            path = Path(part.place, name)
            if name == "make.conf":
                for each in makeconf.parse(content.decode(), path, owned={}):
                    if each.name in makeconf.INCREMENTALS and not each.refers_to_itself:
                        if (before := said.get(each.name, part.place)) != part.place:
                            yield (
                                f"{each.name} of {before} is added to that of {part.place}; "
                                "gentoomuch lost the former"
                            )
                        said[each.name] = part.place
            elif name.startswith("package.use/"):
                for number, line in enumerate(content.decode().splitlines(), 1):
                    words = line.partition("#")[0].split()
                    if "-*" in words[1:-1]:
                        yield (
                            f"{path}:{number}: “-*” comes before the flags after it; gentoomuch "
                            "wrote it last, so that none of them held"
                        )
