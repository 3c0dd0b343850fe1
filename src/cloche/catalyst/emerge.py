"""Calls of emerge as data: what of their words counts for a resolution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cloche.config.machine import EMERGE

#: Short options of emerge(1) that count.
_SHORT = {
    **{"1": "oneshot", "D": "deep", "N": "newuse", "O": "nodeps", "U": "changed-use"},
    **{"e": "emptytree", "n": "noreplace", "o": "onlydeps", "u": "update"},
}
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

    ``use`` is None where the environment has none.
    """

    options: tuple[str, ...]
    atoms: tuple[str, ...]
    use: str | None = None


def emerge_call(words: Sequence[str], use: str | None = None) -> EmergeCall:
    """Read a command line of emerge. Options that do not change the result are left out."""
    options: list[str] = []
    atoms: list[str] = []
    option = ""
    for word in words:
        if option and _is_value(option, word):
            if (name := option.removeprefix("--")) in EMERGE and EMERGE[name]:
                options[-1:] = [f"{option}={word}"]
            option = ""
        elif word.startswith("-"):
            option = word
            options += _counting(word)
        else:
            option = ""
            atoms.append(word)
    return EmergeCall(tuple(dict.fromkeys(options)), tuple(atoms), use)


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
