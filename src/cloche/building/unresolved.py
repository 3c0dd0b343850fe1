"""Failed resolutions: Portage's reason, with the user's own file and line, and advice."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloche.config.atoms import name_of
from cloche.config.autounmask import Change
from cloche.errors import ClocheError

_WORDS = {
    "unknown": "no package matches",
    "masked": "every package that matches is masked:",
    "unsatisfied": "a dependency cannot be satisfied:",
    "use": "USE flags do not match:",
    "circular": "circular build dependencies:",
    "conflict": "packages conflict:",
    "manifest": "incomplete:",
    "broken": "the ebuild cannot be read:",
}
_ADVICE = {
    "unknown": "correct the atom in the machine's packages or sets",
    "use": "set the flags in a fragment's package.use",
    "circular": "disable a USE flag of one of them in a fragment's package.use",
}
#: Portage's words for a flag in brackets that no ebuild of the package has.
_NO_FLAG = re.compile(r"\(Missing IUSE: ([^)]+)\)")
#: Portage's words for a package that blocks another one: the atom that it blocks, and itself.
_BLOCKS = re.compile(r'^\[blocks [^\]]*\].* \("(\S+)" is (?:\w+ )?blocking ([^)]+)\)', re.MULTILINE)
_PROPOSED = (" keyword", " license(s)")
#: Portage's words with --usepkgonly, for a package of other USE flags, and for one that is missing.
_OTHER_USE = "use flag configuration mismatch"
_NO_BINARY = "there are no binary packages to satisfy"
_SOURCES = "let the machine build from source: remove --usepkgonly from `emerge`"
#: Advice for users of emerge, whose options cloche does not have.
_NOT_OURS = re.compile(
    r"^\n?For more information, see the MASKED PACKAGES section in the emerge\nman page or .*$"
    r"|^\n?Use --autounmask-write to write(?:.+\n)+.*$"
    r"|^\n?NOTE: The --autounmask-keep-masks(?:.+\n)+.*$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Mask:
    """A masked package and the reasons; ``place`` (FILE or FILE:LINE) says what masks it.

    ``own`` is true where that is a file of the machine's configuration, and not a repository's.
    """

    cpv: str
    reasons: tuple[str, ...]
    place: str | None = None
    own: bool = False

    @property
    def hints(self) -> tuple[str, ...]:
        """Advice for each reason."""
        return tuple(self._hint(reason) for reason in self.reasons)

    @property
    def proposable(self) -> bool:
        """True where Portage can propose a change of configuration."""
        known = ("package.mask",)
        return not self.own and all(r in known or r.endswith(_PROPOSED) for r in self.reasons)

    def _hint(self, reason: str) -> str:
        words = reason.split()
        if reason == "package.mask":
            if self.own:
                return f"remove the line at {self.place}"
            by = f" ({self.place} masks it)" if self.place else ""
            return f"add `={self.cpv}` to a fragment's package.unmask{by}"
        if reason.endswith(" keyword"):
            keyword = "**" if reason == "missing keyword" else words[0]
            return f"add `={self.cpv} {keyword}` to a fragment's package.accept_keywords"
        if reason.endswith(" license(s)"):
            names = " ".join(words[:-1])
            return f"add `={self.cpv} {names}` to a fragment's package.license"
        if reason.startswith("EAPI "):
            return f"the seed's Portage does not know {reason}: use an older one in the ebuild"
        if reason.endswith(" properties"):
            return f"add `={self.cpv} {' '.join(words[:-1])}` to a fragment's package.properties"
        if reason.endswith(" in RESTRICT"):
            return f"add `={self.cpv} {words[0]}` to a fragment's package.accept_restrict"
        if reason == _OTHER_USE:
            what = f"the binary package of {self.cpv} was built with other USE flags"
            return f"{what}: set those in a fragment's package.use, or {_SOURCES}"
        if reason.startswith("invalid: "):
            return f"correct the ebuild of {self.cpv}: {reason.removeprefix('invalid: ')}"
        return f"{self.cpv} is masked by {reason}"


class ResolutionError(ClocheError):
    """Portage found no solution; ``text`` is its output, ``kind`` a word of the guest's.

    ``place`` is FILE:LINE of a broken ebuild, ``reason`` what bash or Portage says about it.
    ``asked`` is an atom that may be wrong where the user wrote it, None for other failures;
    ``blockers`` are the names (CATEGORY/PN) of packages that block each other.
    """

    def __init__(
        self,
        machine: str,
        kind: str,
        atom: str | None,
        text: str,
        *,
        place: str | None = None,
        reason: str = "",
        masks: Sequence[Mask] = (),
    ) -> None:
        other = "Portage could not resolve the machine" + (":" if atom else "")
        blocks = _BLOCKS.search(text) if kind == "conflict" else None
        subject = f"{blocks[2]} blocks {blocks[1]}" if blocks else reason or atom
        super().__init__(
            _WORDS.get(kind, other) + (f" {subject}" if subject else ""),
            where=place or f"machine {machine}",
            todo=_advice(kind, atom, text, masks),
            detail=None if place else text.strip(),  # the one line is enough
        )
        self.kind, self.text = kind, text
        self.asked = atom if kind in ("unknown", "use") and not place else None
        found = (blocks[1], *(f"={cpv}" for cpv in blocks[2].split(", "))) if blocks else ()
        self.blockers = tuple(name for each in found if (name := name_of(each)))


def _advice(kind: str, atom: str | None, text: str, masks: Sequence[Mask]) -> str | None:
    """Advice; for masks, that of the first package, which is the newest."""
    if masks:
        hints = ", and ".join(masks[0].hints)
        mends = " (`--autounmask-write FRAGMENT` does it)" if masks[0].proposable else ""
        return hints + mends
    if kind == "broken":
        return None
    if kind in ("unknown", "unsatisfied") and _NO_BINARY in text:
        return f"add a binary package of it to one of the machine's binrepos, or {_SOURCES}"
    if kind == "manifest":
        return f"run `cloche manifest {atom}`"
    if kind == "use" and (found := _NO_FLAG.search(text)):
        return f"correct the atom: its ebuild has no USE flag {found[1].replace(' ', ', ')}"
    if kind == "conflict" and _BLOCKS.search(text):
        return "a root has one of the two: remove one, or what needs it"
    # Of REQUIRED_USE Portage says what is wrong, and proposes nothing.
    proposed = kind == "use" and "REQUIRED_USE" not in text
    written = "; `--autounmask-write FRAGMENT` does it" if proposed else ""
    return _ADVICE.get(kind, "see Portage's output above") + written


def proposed(machine: str, changes: Sequence[Change], files: Sequence[Path]) -> ClocheError:
    """``--autounmask-write`` wrote what Portage proposes; the user has to review it first."""
    number = len(changes)
    what = "the change" if number == 1 else f"the {number} changes"
    return ClocheError(
        f"{what} that Portage proposes: written to {', '.join(map(str, files))}",
        where=f"machine {machine}",
        todo="review them, then run the command again",
        detail="\n".join(line for each in changes for line in (*each.reasons, each.line)),
    )


def refusal(machine: str, result: Mapping[str, Any], own: Mapping[str, Path]) -> ResolutionError:
    """The error for the guest's answer, which is untrusted; ``own`` are the user's own files.

    Paths of the sandbox in Portage's output become the user's.
    """
    atom, file = result.get("atom"), result.get("file")
    text = _NOT_OURS.sub("", of_user(str(result.get("text") or ""), own))
    return ResolutionError(
        machine,
        str(result.get("kind")),
        str(atom) if atom else None,
        text,
        place=_place(result, own) if file else None,
        reason=of_user(str(result.get("reason") or ""), own),
        masks=tuple(_mask(each, own) for each in result.get("masks") or ()),
    )


def of_user(text: str, own: Mapping[str, Path]) -> str:
    """A text in which paths of the sandbox are replaced by the user's."""
    if not own:
        return text
    names = "|".join(re.escape(name) for name in sorted(own, key=len, reverse=True))
    return re.sub(rf"({names})(?![\w.+-])", lambda found: str(own[found[1]]), text)


def _place(fields: Mapping[str, Any], own: Mapping[str, Path]) -> str:
    line = fields.get("line")
    return of_user(str(fields.get("file")), own) + (f":{line}" if line else "")


def _mask(fields: Mapping[str, Any], own: Mapping[str, Path]) -> Mask:
    file = str(fields.get("file") or "")
    return Mask(
        cpv=str(fields.get("cpv")),
        reasons=tuple(str(reason) for reason in fields.get("reasons") or ()),
        place=_place(fields, own) if file else None,
        own=file.startswith("/etc/portage/") and not file.startswith("/etc/portage/make.profile/"),
    )
