"""Calls of emerge as data: which of their options affect a resolution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cloche.config.emerge_options import EMERGE

#: Short options of emerge(1) that count.
_SHORT = {
    **{"1": "oneshot", "D": "deep", "N": "newuse", "O": "nodeps", "U": "changed-use"},
    **{"e": "emptytree", "n": "noreplace", "o": "onlydeps", "u": "update"},
}
#: Options that affect how emerge works or what it prints, but not its result.
_LEFT_OUT = frozenset(
    {
        *("ask", "autounmask", "autounmask-continue", "backtrack", "binpkg-respect-use"),
        *("buildpkg", "buildpkg-exclude", "color", "complete-graph-if-new-use", "fail-clean"),
        *("getbinpkg", "jobs", "keep-going", "load-average", "nospinner", "quiet"),
        *("quiet-build", "quiet-fail", "read-news", "tree", "unordered-display", "usepkg"),
        *("usepkg-exclude", "verbose", "verbose-conflicts"),
    }
)
_SHORT_LEFT_OUT = frozenset("abdgjkqtv")
#: Options with which nothing is merged.
_IDLE = frozenset({"--info", "--pretend", "--search", "--version"})
_SHORT_IDLE = frozenset("Vps")
#: Options whose next word is a number, if it is one.
_NUMBERED = frozenset({"--jobs", "-j", "--load-average", "--deep", "--backtrack"})
#: Options whose next word is never an atom to merge.
_WITH_WORD = frozenset(
    {
        *("--accept-properties", "--accept-restrict", "--color"),
        *("--buildpkg-exclude", "--exclude", "--usepkg-exclude", "--useoldpkg-atoms"),
        *("--rebuild-exclude", "--rebuild-ignore", "--reinstall", "--reinstall-atoms"),
        *("--config-root", "--prefix", "--root", "--sysroot"),
    }
)


@dataclass(frozen=True, slots=True)
class EmergeCall:
    """A call of emerge: its options that count for a resolution, its atoms and sets, its USE.

    ``use`` is None where the environment has none. ``unknown`` are options that may change the
    result, and that a machine cannot have.
    """

    options: tuple[str, ...]
    atoms: tuple[str, ...]
    use: str | None = None
    unknown: tuple[str, ...] = ()


def emerge_call(words: Sequence[str], use: str | None = None) -> EmergeCall:
    """Read a command line of emerge. Options that do not change the result are left out."""
    if any(_is_idle(word) for word in words):
        return EmergeCall((), (), use)
    options: list[str] = []
    atoms: list[str] = []
    unknown: list[str] = []
    option = ""
    for word in words:
        if option and _is_value(option, word):
            if (name := option.removeprefix("--")) in EMERGE and EMERGE[name]:
                options[-1:] = [f"{option}={word}"]
            option = ""
        elif word.startswith("-"):
            option = word
            options += _counting(word)
            unknown += _unknown(word)
        else:
            option = ""
            atoms.append(word)
    return EmergeCall(tuple(dict.fromkeys(options)), tuple(atoms), use, tuple(unknown))


def _is_idle(word: str) -> bool:
    short = word.startswith("-") and not word.startswith("--")
    return word in _IDLE or (short and not _SHORT_IDLE.isdisjoint(word))


def _is_value(option: str, word: str) -> bool:
    """Whether a word belongs to the option before it, whose value may often be left out."""
    if option in _WITH_WORD:
        return True
    if option in _NUMBERED and word.replace(".", "", 1).isdigit():
        return True
    return option.startswith("--") and "=" not in option and word in ("y", "n")


def _counting(word: str) -> Iterator[str]:
    """The options that count of one word: a long option, or letters behind a hyphen."""
    if word.startswith("--"):
        name, _, value = word[2:].partition("=")
        if name in EMERGE:
            yield f"--{name}={value or 'y'}" if EMERGE[name] else f"--{name}"
        return
    for letter in word[1:]:
        if letter in _SHORT:
            yield f"--{_SHORT[letter]}"


def _unknown(word: str) -> Iterator[str]:
    """The options of one word that are neither followed nor left out."""
    if word.startswith("--"):
        name = word[2:].partition("=")[0]
        if name not in EMERGE and name not in _LEFT_OUT:
            yield word
        return
    for letter in word[1:]:
        if letter not in _SHORT and letter not in _SHORT_LEFT_OUT and not letter.isdigit():
            yield f"-{letter}"
