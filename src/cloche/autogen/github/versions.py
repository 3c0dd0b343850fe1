"""Tags as Gentoo's versions (PMS 3.2), or the reason why there is none.

The kinds of pre-releases sort alike in Semantic Versioning (11.4) and in Gentoo.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from cloche.autogen.errors import RefusedError
from cloche.config.atoms import VERSION

_WORDS = re.compile(r"(?:version|ver|release|rel|v|r)[-_./]?(?=\d)", re.IGNORECASE)
_LAST = re.compile(r".*?(?:^|[-_/.a-zA-Z])(?=\d+[._]\d)")
_FORM = re.compile(
    r"(?P<number>\d+(?:\.\d+)*)(?P<letter>[a-z](?![A-Za-z0-9.]))?"
    r"(?:[-_.]?(?P<kind>alpha|beta|pre|rc|a|b)[-_.]?(?P<nth>\d*))?"
    r"(?:[-_.]?(?:patch|post|pl|p)[-_.]?(?P<patch>\d+))?",
    re.IGNORECASE,
)
_UNDERSCORES = re.compile(r"\d+(?:_\d+)+(?![\d.])")
_KINDS = {"a": "alpha", "b": "beta"}


@dataclass(frozen=True, slots=True)
class Version:
    """A tag's version: as Gentoo writes it, and ``text`` as upstream does."""

    tag: str
    pv: str
    text: str

    @property
    def is_early(self) -> bool:
        """Whether its name says that it is a pre-release."""
        return re.search(r"_(?:alpha|beta|pre|rc)", self.pv) is not None


def version_of(tag: str, names: Collection[str], *, named: bool = False) -> Version:
    """The version of a tag of a project with these names.

    ``named``: the user has named the tag, so what stands before the version does not matter.
    Raises `RefusedError`.
    """
    text = _stripped(tag, names)
    if not text[:1].isdigit() and named and (match := _LAST.match(tag)):
        text = tag[match.end() :]
    if not text[:1].isdigit():
        raise _refused(tag, "does not begin with the project's name or a version")
    plain = _UNDERSCORES.sub(lambda m: m[0].replace("_", "."), text, count=1)
    form = _FORM.match(plain)
    if form is None or form.end() < len(plain):
        rest = plain[form.end() :] if form else plain
        raise _refused(tag, f"“{rest}” has no exact form in Gentoo's versions")
    pv = form["number"] + (form["letter"] or "").lower()
    if form["kind"]:
        kind = form["kind"].lower()
        pv += f"_{_KINDS.get(kind, kind)}{form['nth']}"
    if form["patch"]:
        pv += f"_p{form['patch']}"
    if not re.fullmatch(VERSION, pv):
        raise _refused(tag, "it is not a version")
    return Version(tag, pv, text)


def spelled(version: Version) -> tuple[str | None, str]:
    """How an ebuild writes upstream's version: the value of MY_PV if needed, and its reference."""
    pv, text = version.pv, version.text
    if pv == text:
        return None, "${PV}"
    suffix = re.search(r"_(alpha|beta|pre|rc|p)", pv)
    if suffix is not None:
        number = pv[: suffix.start()]
        rest = pv[suffix.end() :]
        middle = text.removeprefix(number).removesuffix(rest)
        if text == f"{number}{middle}{rest}" and not re.search(r"[/\d]", middle) and middle:
            return f"${{PV/{suffix[0]}/{middle}}}", "${MY_PV}"
    if pv.replace(".", "_") == text:
        return "${PV//./_}", "${MY_PV}"
    return text, "${MY_PV}"


def _stripped(tag: str, names: Collection[str]) -> str:
    """A tag without the project's name and words such as “release-” and “v” before its version."""
    text = tag
    for name in sorted(names, key=len, reverse=True):
        rest = text[len(name) :]
        if text.lower().startswith(name.lower()) and re.match(r"[-_./]?(?:v|r|\d)", rest, re.I):
            text = rest.lstrip("-_./")
            break
    while match := _WORDS.match(text):
        text = text[match.end() :]
    words = re.match(r"(?:version|release|rel)[-_/](?=v\d)", text, re.IGNORECASE)
    return _stripped(text[words.end() :], ()) if words else text


def _refused(tag: str, why: str) -> RefusedError:
    return RefusedError(f"the tag “{tag}” is not a version: {why}", todo="name another tag")
