"""Contradictions between a machine's fragments, settled: the later fragment holds.

cloche refuses fragments that contradict each other, so the earlier statement is taken out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cloche.config import makeconf
from cloche.config.contradictions import Clash, Statement, clashes
from cloche.config.errors import ConfigError
from cloche.config.fragments import SINGLE
from cloche.config.makeconf import Assignment
from cloche.importing.make_conf import Comment, changed
from cloche.importing.outcome import Conflict
from cloche.importing.portage_files import texts_of

_PASSES = 100  # each takes something out; fragments in a row that all disagree need a few


@dataclass(frozen=True, slots=True)
class Part:
    """A fragment of a machine: its name, the directory that it was, its files by their names."""

    name: str
    place: str
    files: Mapping[str, bytes]


#: What the source did about a clash, in words.
Before = Callable[[Clash], str]


def settle(
    parts: Sequence[Part], machine: str, before: Before
) -> tuple[tuple[Part, ...], tuple[Conflict, ...]]:
    """Fragments that do not contradict each other, and what they did. Raises `ConfigError`."""
    conflicts: list[Conflict] = []
    parts = tuple(parts)
    for _ in range(_PASSES):
        found = list(
            clashes((each.name, tuple(texts_of(each.files, each.place))) for each in parts)
        )
        if not found:
            break
        conflicts += [_conflict(clash, machine, before) for clash in found]
        losers = tuple(clash.before for clash in found)
        parts = tuple(replace(each, files=_without(each, losers)) for each in parts)
    else:
        raise ConfigError(found[0].here.origin, "contradicts other fragments in too many ways")
    parts, more = _settle_files(parts, machine)
    return parts, (*conflicts, *more)


def _conflict(clash: Clash, machine: str, before: Before) -> Conflict:
    return Conflict(
        clash.subject,
        str(clash.before.origin),
        clash.before.value,
        str(clash.here.origin),
        clash.value,
        (machine,),
        before(clash),
    )


def _settle_files(
    parts: Sequence[Part], machine: str
) -> tuple[tuple[Part, ...], tuple[Conflict, ...]]:
    """The same for files that Portage has only one of."""
    conflicts, last = [], {}
    for index, part in enumerate(parts):
        last.update({name: index for name in part.files if name.split("/")[0] in SINGLE})
    kept = []
    for index, part in enumerate(parts):
        files = dict(part.files)
        for name, content in part.files.items():
            holder = parts[last.get(name, index)]
            if holder.files[name] == content:
                continue
            del files[name]
            places = (f"{part.place}/{name}", f"{holder.place}/{name}")
            conflicts.append(
                Conflict(
                    f"the file {name}", places[0], "one content", places[1], "another", (machine,)
                )
            )
        kept.append(replace(part, files=files))
    return tuple(kept), tuple(conflicts)


def _without(part: Part, losers: Sequence[Statement]) -> dict[str, bytes]:
    """The files of a fragment without some of its statements. Raises `ConfigError`."""
    files = dict(part.files)
    for name, content in part.files.items():
        path = Path(part.place, name)
        mine = [each for each in losers if each.origin.file == path]
        if not mine:
            continue
        text = content.decode()
        if name.split("/")[0] == "make.conf":
            files[name] = changed(text, path, partial(_value, mine)).encode()
        else:
            files[name] = _lines_without(text, mine).encode()
    return files


def _value(losers: Sequence[Statement], each: Assignment) -> str:
    """What is left of an assignment's value."""
    words = {(item.word, item.negative) for item in losers if item.group == each.name}
    if any(item.subject == each.name for item in losers):
        return Comment(f"{each.name}: the value of a later fragment holds; see IMPORT.md.")
    if not words or each.name not in makeconf.INCREMENTALS:
        return each.value
    left = [w for w in each.value.split() if (w.lstrip("+-"), w.startswith("-")) not in words]
    return " ".join(left) if len(left) < len(each.value.split()) else each.value


def _lines_without(text: str, losers: Sequence[Statement]) -> str:
    """The lines of a file of ``package.*`` without some words, or atoms."""
    lines = text.splitlines()
    for loser in losers:
        number = (loser.origin.line or 1) - 1
        if not loser.group:  # a mask
            lines[number] = f"# a later fragment holds; see IMPORT.md: {lines[number]}"
            continue
        lines[number] = _line_without(lines[number], loser)
    return "\n".join(lines) + "\n"


def _line_without(line: str, loser: Statement) -> str:
    """A line ``ATOM WORD…`` without a word; a comment if none is left."""
    body, hash_sign, comment = line.partition("#")
    atom, *words = body.split() or [""]
    kept, prefix = [], ""
    for word in words:
        if word.endswith(":") and loser.group.startswith("package.use "):
            prefix = f"{word[:-1].lower()}_"
        elif (prefix + word.lstrip("+-"), word.startswith("-")) == (loser.word, loser.negative):
            continue
        kept.append(word)
    comment = f"  {hash_sign}{comment}" if hash_sign else ""
    if all(word.endswith(":") for word in kept):
        return f"# {atom}: later fragments hold; see IMPORT.md.{comment}"
    return " ".join((atom, *kept)) + comment
