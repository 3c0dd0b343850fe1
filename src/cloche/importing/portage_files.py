"""Files of an ``/etc/portage`` as a fragment of a project: what cloche accepts, and what it lacks.

Lines are only taken out if cloche refuses them; the others stay as they are, with their comments.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cloche.config.atoms import is_name
from cloche.config.errors import ConfigError, Origin
from cloche.config.files import decode, is_ignored
from cloche.config.fragments import KNOWN, REFUSED, STACKED
from cloche.config.makeconf import OWNED, Assignment
from cloche.config.sets import BUILT_IN, check_member
from cloche.importing.make_conf import Comment, changed, without_sources
from cloche.importing.outcome import Omission
from cloche.importing.secrets import without_passwords

#: Read by others: what becomes of them is not part of a fragment.
ELSEWHERE: Final = frozenset({"repos.conf", "binrepos.conf", "make.profile"})
#: Words of names whose values are secrets.
_SECRET = ("PASSWORD", "PASSWD", "TOKEN", "SECRET", "CREDENTIAL")
_NOT_TO_BE_KEPT = "it looks like a secret, which a project does not have"
_PATCH = (".patch", ".diff")


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What became of the files of one directory.

    ``fragment`` are files below ``portage/NAME``; ``sets`` and ``patches`` are those of the
    project.
    """

    fragment: Mapping[str, bytes] = field(default_factory=dict)
    sets: Mapping[str, bytes] = field(default_factory=dict)
    patches: Mapping[str, bytes] = field(default_factory=dict)
    omissions: tuple[Omission, ...] = ()


def clean(files: Mapping[str, bytes], place: str) -> Cleaned:
    """Sort the files of an ``/etc/portage`` by where they belong; ``place`` is its name.

    Raises `ConfigError` for a make.conf that Portage cannot read either.
    """
    fragment, sets, patches = {}, {}, {}
    omissions: dict[str, Omission] = {}

    def omit(name: str, why: str, todo: str = "") -> None:
        omissions.setdefault(f"{place}/{name}", Omission(f"{place}/{name}", why, todo))

    for name, content in sorted(files.items()):
        top, _, below = name.partition("/")
        if any(is_ignored(part) for part in name.split("/")) or _is_readme(name):
            continue
        if top in ELSEWHERE:
            continue
        if top in REFUSED:
            omit(top, REFUSED[top])
        elif top not in KNOWN:
            omit(top, "Portage reads no file of this name in /etc/portage")
        elif not name.isprintable():
            omit(ascii(name), "its name is not printable UTF-8", "rename it")
        elif top == "sets":
            if is_name(below):
                sets[below] = content
            else:
                omit(name, "a set is one file, whose name has letters, digits, _ . + -")
        elif top == "patches":
            if below.endswith(_PATCH):
                patches[below] = content
            else:
                omit(name, "Portage applies *.patch and *.diff alone")
        else:
            text, more = _cleaned_file(top, name, content, place)
            for each in more:
                omissions.setdefault(f"{each.name} {each.why}", each)
            if text is not None:
                fragment[name] = text
    made = [clean_set(content, f"{place}/sets/{name}") for name, content in sets.items()]
    more_omissions = [each for _, found in made for each in found]
    cleaned_sets = dict(zip(sets, (content for content, _ in made), strict=True))
    return Cleaned(fragment, cleaned_sets, patches, (*omissions.values(), *more_omissions))


def clean_set(content: bytes, place: str) -> tuple[bytes, tuple[Omission, ...]]:
    """A set without the members that cloche cannot have, and these."""
    omissions, lines = [], []
    try:
        text = decode(content, Path(place))
    except ConfigError as error:
        return b"", (Omission(place, error.what),)
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        why = _not_a_member(words)
        if why:
            omissions.append(Omission(f"{place}:{number} ({' '.join(words)})", why))
            lines.append(f"# {line}  # not carried over: {why}")
        else:
            lines.append(line)
    return ("\n".join(lines) + "\n").encode(), tuple(omissions)


def without_unknown_sets(
    sets: Mapping[str, bytes],
) -> tuple[dict[str, bytes], tuple[Omission, ...]]:
    """Sets, by their files, without sets in them that are not among them."""
    known = {name.rpartition("/")[2] for name in sets} | BUILT_IN
    found, omissions = {}, []
    for file, content in sorted(sets.items()):
        lines = content.decode().splitlines()
        for index, line in enumerate(lines):
            word = line.partition("#")[0].strip()
            if word.startswith("@") and word[1:] not in known:
                omissions.append(Omission(f"{file} ({word})", "there is no such set"))
                lines[index] = f"# {line}  # no such set"
        found[file] = ("\n".join(lines) + "\n").encode()
    return found, tuple(omissions)


def _not_a_member(words: list[str]) -> str | None:
    if len(words) > 1:
        return "more than one word in a line"
    if not words:
        return None
    if words[0].startswith("@"):
        return (
            None if is_name(words[0][1:]) or words[0][1:] in BUILT_IN else "not the name of a set"
        )
    try:
        check_member(words[0], Origin(Path()))
    except ConfigError as error:
        return error.todo or error.what
    return None


def _cleaned_file(
    top: str, name: str, content: bytes, place: str
) -> tuple[bytes | None, tuple[Omission, ...]]:
    """A file as a fragment may have it; None if it may not."""
    path = Path(place, name)
    try:
        text = decode(content, path)
    except ConfigError as error:
        if top in STACKED:
            return None, (Omission(f"{place}/{name}", error.what, error.todo or ""),)
        return content, ()
    omissions = []
    text, count = without_passwords(text)
    if count:
        why = "user and password of an address are taken out"
        omissions.append(Omission(f"{place}/{name}", why))
    if top == "make.conf":
        text, more = clean_make_conf(text, path)
        omissions += more
    elif top in ("package.mask", "package.unmask"):
        text, more = _clean_mask(text, path)
        omissions += more
    return text.encode(), tuple(omissions)


def clean_make_conf(text: str, path: Path) -> tuple[str, list[Omission]]:
    """A make.conf without what cloche refuses. Raises `ConfigError`."""
    omissions = []
    text, sourced = without_sources(text, path)
    for number, file in sourced:
        why = f"`source {file}` brings in another file"
        omissions.append(Omission(f"{path}:{number}", why, "copy what is needed into the fragment"))

    def change(each: Assignment) -> str:
        why = OWNED.get(each.name)
        if any(word in each.name.upper() for word in _SECRET):
            why = _NOT_TO_BE_KEPT
        if why is None:
            return each.value
        omissions.append(Omission(f"{each.origin} ({each.name})", why))
        return Comment(f"{each.name} is not carried over: {why}.")

    return changed(text, path, change), omissions


def _clean_mask(text: str, path: Path) -> tuple[str, list[Omission]]:
    """A file of masks without the lines that have more than an atom."""
    lines, omissions = text.split("\n"), []
    for number, line in enumerate(lines, 1):
        if len(line.partition("#")[0].split()) > 1:
            why = "more than one word in a line, of which Portage takes none"
            omissions.append(Omission(f"{path}:{number}", why))
            lines[number - 1] = f"# {line}"
    return "\n".join(lines), omissions


def _is_readme(name: str) -> bool:
    return posixpath.basename(name).upper() in ("README", "README.MD")


def texts_of(files: Mapping[str, bytes], place: str) -> Iterator[tuple[str, Path, str]]:
    """The files of a fragment whose lines can contradict others: kind, path, text."""
    for name, content in files.items():
        kind = name.split("/")[0]
        if kind in STACKED:
            path = Path(place, name)
            yield kind, path, decode(content, path)
