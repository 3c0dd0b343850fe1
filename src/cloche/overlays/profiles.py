"""The part of a repository's data that concerns a few packages: pure functions over its texts.

Lines of other packages are left out: they would name what is not there, which pkgcheck reports,
and a mask of another overlay's package would do what nobody asked for. Formats: PMS 4.4, 5.2, 7;
portage(5).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from cloche.config.atoms import name_of

_BLANK: Final = re.compile(r"\s*(#.*)?")


@dataclass(frozen=True, slots=True)
class Used:
    """What a few packages use: their names, flags, licences, mirrors and categories.

    ``licenses`` are the files that are taken, ``mirrors`` the names in ``mirror://NAME/``.
    """

    packages: Collection[str]
    flags: Collection[str] = ()
    licenses: Collection[str] = ()
    mirrors: Collection[str] = ()

    @property
    def categories(self) -> Collection[str]:
        """The categories of the packages."""
        return {package.partition("/")[0] for package in self.packages}


def concerning(path: str, text: str, used: Used) -> str | None:
    """What of a file below ``profiles/`` is taken; None if nothing. ``path`` begins below that."""
    top, _, rest = path.partition("/")
    if top in _WHOLE:
        return text if not rest else None
    if top in _BY_PACKAGE:
        return _lines(text, lambda words: name_of(words[0].lstrip("-")) in used.packages)
    if top in _BY_FLAG and not rest:
        return _lines(text, lambda words: words[0].lstrip("-") in used.flags)
    if top == "desc" and rest.endswith(".desc") and "/" not in rest:
        prefix = rest.removesuffix(".desc").lower()
        return _lines(text, lambda words: f"{prefix}_{words[0]}" in used.flags)
    if top == "updates" and rest and "/" not in rest:
        return updates(text, used.packages)
    return _OTHERS[path](text, used) if path in _OTHERS else None


def is_wanted(path: str) -> bool:
    """Whether a file below ``profiles/`` may hold something that is taken."""
    top, _, rest = path.partition("/")
    if top in _BY_PACKAGE:
        return rest.count("/") == 0
    if rest:
        return top in ("desc", "updates") and "/" not in rest
    return top in _WHOLE or top in _BY_FLAG or path in _OTHERS


def updates(text: str, packages: Collection[str]) -> str | None:
    """The moves that end at a package, over several steps, or begin at one (PMS 4.4.5)."""
    moves = [line.split() for line in text.splitlines() if not _BLANK.fullmatch(line)]
    names = set(packages)
    for words in reversed(moves):  # the latest move comes last
        if words[0] == "move" and len(words) == 3 and words[2] in names:
            names.add(words[1])
    kept = [
        words
        for words in moves
        if (words[0] == "move" and len(words) == 3 and words[2] in names)
        or (words[0] == "slotmove" and len(words) == 4 and name_of(words[1]) in packages)
    ]
    return "".join(f"{' '.join(words)}\n" for words in kept) or None


def layout(text: str, main: str | None) -> str:
    """A layout.conf whose repository has an md5-cache, and names its masters."""
    keys = [line.partition("=")[0].strip() for line in text.splitlines()]
    lines = [
        "cache-formats = md5-dict" if key == "cache-formats" else line
        for key, line in zip(keys, text.splitlines(), strict=True)
    ]
    if "masters" not in keys:
        lines.append(f"masters = {main or ''}".rstrip())
    return "\n".join((*lines, ""))


def _lines(text: str, wanted: Callable[[list[str]], bool]) -> str | None:
    """The lines that are wanted, each block of them with the comment above it."""
    out: list[str] = []
    comment: list[str] = []
    begun = False  # whether the block below the comment has begun
    kept = False
    for line in text.splitlines():
        if not line.strip():
            comment, begun = [], False
        elif line.lstrip().startswith("#"):
            if begun:
                comment, begun = [], False
            comment.append(line)
        else:
            if wanted(line.split("#", 1)[0].split()):
                if not begun or comment:
                    out += ([""] if out else []) + comment
                    comment = []
                out.append(line)
                kept = True
            begun = True
    return "\n".join((*out, "")) if kept else None


def _use_desc(text: str, used: Used) -> str | None:
    return _lines(text, lambda words: words[0] in used.flags)


def _local_desc(text: str, used: Used) -> str | None:
    return _lines(text, lambda words: words[0].partition(":")[0] in used.packages)


def _mirrors(text: str, used: Used) -> str | None:
    return _lines(text, lambda words: words[0] in used.mirrors)


def _categories(text: str, used: Used) -> str | None:
    return "".join(f"{each}\n" for each in sorted(set(text.split()) & set(used.categories))) or None


def license_groups(text: str, used: Used) -> str | None:
    """The groups with the licences that are taken, and groups of such (portage(5))."""
    groups = {
        words[0]: words[1:]
        for words in (line.split("#", 1)[0].split() for line in text.splitlines())
        if words
    }
    kept: dict[str, list[str]] = {}
    while True:
        found = {
            name: [
                each
                for each in members
                if each in used.licenses or (each.removeprefix("@") in kept and each[0] == "@")
            ]
            for name, members in groups.items()
        }
        found = {name: members for name, members in found.items() if members}
        if found == kept:
            break
        kept = found
    return "".join(f"{name} {' '.join(members)}\n" for name, members in kept.items()) or None


_WHOLE: Final = frozenset({"repo_name", "eapi", "arch.list", "arches.desc"})
_BY_PACKAGE: Final = frozenset(
    {
        "package.mask", "package.unmask", "package.deprecated", "package.use",
        "package.use.mask", "package.use.force", "package.use.stable.mask",
        "package.use.stable.force", "package.keywords", "package.accept_keywords",
    }
)  # fmt: skip
_BY_FLAG: Final = frozenset({"use.mask", "use.force", "use.stable.mask", "use.stable.force"})
_OTHERS: Final[Mapping[str, Callable[[str, Used], str | None]]] = {
    "use.desc": _use_desc,
    "use.local.desc": _local_desc,
    "thirdpartymirrors": _mirrors,
    "categories": _categories,
    "license_groups": license_groups,
}
