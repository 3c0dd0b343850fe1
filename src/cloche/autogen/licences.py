"""SPDX licence expressions as LICENSE, through a tree's ``metadata/license-mapping.conf``.

That file maps ``<id>[+] [WITH <exception>]`` to words of LICENSE (PMS 7.3.4).
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from cloche.autogen.errors import RefusedError

PUBLIC_DOMAIN = "LicenseRef-Public-Domain"
"""SPDX has no name for it, the licences of Gentoo's repository have: ``public-domain``."""

# Used where no configured tree has a mapping.
COMMON: Mapping[str, str] = {
    "0BSD": "0BSD", "AGPL-3.0-only": "AGPL-3", "AGPL-3.0-or-later": "AGPL-3+",
    "Apache-2.0": "Apache-2.0", "BSD-2-Clause": "BSD-2", "BSD-3-Clause": "BSD",
    "BSL-1.0": "Boost-1.0", "CNRI-Python": "CNRI", "CC0-1.0": "CC0-1.0", "GPL-2.0-only": "GPL-2",
    "GPL-2.0-or-later": "GPL-2+", "GPL-3.0-only": "GPL-3", "GPL-3.0-or-later": "GPL-3+",
    "HPND": "HPND", "ISC": "ISC", "LGPL-2.1-only": "LGPL-2.1", "LGPL-2.1-or-later": "LGPL-2.1+",
    "LGPL-3.0-only": "LGPL-3", "LGPL-3.0-or-later": "LGPL-3+", "MIT": "MIT", "MIT-0": "MIT-0",
    "AFL-3.0": "AFL-3.0", "Artistic-2.0": "Artistic-2", "EPL-2.0": "EPL-2.0",
    "EUPL-1.2": "EUPL-1.2", "LGPL-2.0-only": "LGPL-2", "LGPL-2.0-or-later": "LGPL-2+",
    "MPL-1.1": "MPL-1.1", "MPL-2.0": "MPL-2.0", "PSF-2.0": "PSF-2",
    "Python-2.0": "PYTHON", "Unlicense": "Unlicense", "Zlib": "ZLIB", "ZPL-2.1": "ZPL",
}  # fmt: skip


_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+_.-]*")


def checked(text: str) -> str:
    """A LICENSE as the user gives it (PMS 7.2, 3.1.7). Raises `RefusedError`."""
    depth, before = 0, ""
    for word in text.split():
        opens = before == "||" or before.endswith("?")
        is_flag = word.endswith("?") and _WORD.fullmatch(word[:-1].removeprefix("!"))
        known = word in ("||", "(", ")") or is_flag or _WORD.fullmatch(word)
        depth += {"(": 1, ")": -1}.get(word, 0)
        if not known or depth < 0 or (opens and word != "("):
            break
        before = word
    else:
        if before and depth == 0 and before != "||" and not before.endswith("?"):
            return " ".join(text.split())
    what = f"{text[:100]!r} is not a LICENSE"
    raise RefusedError(what, where="--license", todo="give names of licences, such as “MIT”")


def read_mapping(text: str) -> Mapping[str, str]:
    """The mapping of a tree, its keys in lower case. Raises `RefusedError`."""
    parser = configparser.ConfigParser(
        delimiters=("=",), comment_prefixes=("#",), interpolation=None, strict=False
    )
    try:
        parser.read_string(text)
        return dict(parser["spdx-to-ebuild"])
    except (configparser.Error, KeyError) as error:
        what = "metadata/license-mapping.conf has no section [spdx-to-ebuild]"
        raise RefusedError(what, todo="sync the repository") from error


def licence(expression: str, mapping: Mapping[str, str], where: str) -> str:
    """LICENSE of an SPDX expression. Raises `RefusedError`."""
    try:
        canonical = str(canonicalize_license_expression(expression))
    except InvalidLicenseExpression as error:
        what = f"“{expression}” is not a licence expression (SPDX)"
        raise RefusedError(what, where=where, todo="give one with --license") from error
    lower = {key.lower(): value for key, value in mapping.items()}
    words = canonical.replace("(", " ( ").replace(")", " ) ").split()
    found, rest = _any_of(words, lower, where)
    if rest:  # the canonical form has balanced parentheses
        raise RefusedError(f"“{expression}” is not a licence expression (SPDX)", where=where)
    return found


def _any_of(words: list[str], mapping: Mapping[str, str], where: str) -> tuple[str, list[str]]:
    """Terms joined by OR, at the beginning of ``words``; and the words after them."""
    choices = []
    while True:
        choice, words = _all_of(words, mapping, where)
        choices += [choice] if choice not in choices else []
        if words[:1] != ["OR"]:
            break
        words = words[1:]
    if len(choices) == 1:
        return choices[0], words
    return f"|| ( {' '.join(f'( {c} )' if _several(c) else c for c in choices)} )", words


def _several(term: str) -> bool:
    return " " in term and not (term.startswith("|| (") and _closes_at_end(term))


def _closes_at_end(term: str) -> bool:
    """Whether the group at the beginning of a term is all of it."""
    depth = 0
    words = term.split()
    for number, word in enumerate(words):
        depth += {"(": 1, ")": -1}.get(word, 0)
        if word == ")" and depth == 0:
            return number == len(words) - 1
    return False


def _all_of(words: list[str], mapping: Mapping[str, str], where: str) -> tuple[str, list[str]]:
    terms: list[str] = []
    while True:
        if words[0] == "(":
            term, words = _any_of(words[1:], mapping, where)
            words = words[1:]
        elif words[1:2] == ["WITH"]:
            term, words = _mapped(" ".join(words[:3]), mapping, where), words[3:]
        else:
            term, words = _mapped(words[0], mapping, where), words[1:]
        terms += [term] if term not in terms else []
        if words[:1] != ["AND"]:
            return " ".join(terms), words
        words = words[1:]


def _mapped(name: str, mapping: Mapping[str, str], where: str) -> str:
    found = mapping.get(name.lower())
    if found is None and name.endswith("+"):
        # The mapping's own rule: without a line for “+”, that of the version itself counts.
        plain = name[:-1].lower()
        found = mapping.get(f"{plain}-or-later", mapping.get(plain))
    if found is None and name.lower() == PUBLIC_DOMAIN.lower():
        return "public-domain"
    if found is None:
        what = f"the licence {name} has no name in metadata/license-mapping.conf"
        raise RefusedError(what, where=where, todo="give LICENSE with --license")
    return found
