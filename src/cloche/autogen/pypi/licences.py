"""The licence of a Python project: its expression (PEP 639), classifiers or old field, as SPDX."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from cloche.autogen.errors import RefusedError
from cloche.autogen.licences import PUBLIC_DOMAIN

_THIRD_CLAUSE = re.compile(r"[Nn]either the name|may (?:not )?be used to endorse")
# Other licences, and a clause of the older BSD licences.
_OTHERS = re.compile(
    r"GNU (?:(?:LESSER|LIBRARY|AFFERO) )?GENERAL PUBLIC LICENSE|Mozilla Public License Version"
    r"|All advertising materials mentioning features|without fee is hereby granted\. THE SOFTWARE"
)
_WORDINGS: Mapping[str, tuple[str, ...]] = {
    "BSD-2-Clause": ("Redistribution and use in source and binary forms",),
    "MIT": (
        "Permission is hereby granted, free of charge, to any person obtaining a copy",
        "copyright notice and this permission notice",
    ),
    "Apache-2.0": ("Apache License Version 2.0, January 2004",),
    "ISC": (
        "Permission to use, copy, modify, and/or distribute this software for any purpose",
        "provided that the above copyright notice",
    ),
}
_PREFIX = re.compile(r"License :: (?:OSI Approved :: )?")

# Trove classifiers that name one licence. That others, such as “BSD License”, mean is said by the
# field License or by the text.
_CLASSIFIERS: Mapping[str, str] = {
    "Apache Software License": "Apache-2.0",
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "Eclipse Public License 2.0 (EPL-2.0)": "EPL-2.0",
    "European Union Public Licence 1.2 (EUPL 1.2)": "EUPL-1.2",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 (LGPLv2)": "LGPL-2.0-only",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "Historical Permission Notice and Disclaimer (HPND)": "HPND",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Public Domain": PUBLIC_DOMAIN,
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "Zero-Clause BSD (0BSD)": "0BSD",
    "zlib/libpng License": "Zlib",
}

# What people write into the old field License, in lower case and without “license”.
_WORDS: Mapping[str, str] = {
    "mit": "MIT", "the mit": "MIT", "expat": "MIT", "apache 2.0": "Apache-2.0",
    "apache 2": "Apache-2.0", "apache, version 2.0": "Apache-2.0", "asl 2": "Apache-2.0",
    "apache version 2.0": "Apache-2.0", "apache-2": "Apache-2.0", "bsd-3": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause", "3-clause bsd": "BSD-3-Clause", "new bsd": "BSD-3-Clause",
    "modified bsd": "BSD-3-Clause", "bsd-2": "BSD-2-Clause", "bsd 2-clause": "BSD-2-Clause",
    "simplified bsd": "BSD-2-Clause", "mpl 2.0": "MPL-2.0", "mpl-2": "MPL-2.0",
    "gplv2": "GPL-2.0-only", "gplv2+": "GPL-2.0-or-later", "gplv3": "GPL-3.0-only",
    "gplv3+": "GPL-3.0-or-later", "lgplv3": "LGPL-3.0-only", "lgplv3+": "LGPL-3.0-or-later",
    "lgplv2.1+": "LGPL-2.1-or-later", "isc": "ISC", "psf": "PSF-2.0", "unlicense": "Unlicense",
    "zpl 2.1": "ZPL-2.1", "zpl-2.1": "ZPL-2.1",
}  # fmt: skip


def expression(
    given: str | None, classifiers: Sequence[str], field: str | None, text: str, where: str
) -> str:
    """The SPDX expression of a project; ``text`` is that of its licence file, which tells BSDs.

    Raises `RefusedError` where nothing names a licence, or a classifier means several.
    """
    if given:
        return given
    named = _named(classifiers)
    if named:
        return " AND ".join(dict.fromkeys(_of_classifier(n, field, text, where) for n in named))
    found = _of_field(field, text)
    if found is None:
        what = f"no licence is named{f' but “{field[:60]}”' if field else ''}"
        raise RefusedError(what, where=where, todo="give LICENSE with --license")
    return found


def unclear(spdx: str, classifiers: Sequence[str], text: str) -> tuple[str, ...]:
    """A note where classifiers or a text name several licences: whether one of them is enough, or
    which file is under which, is not said."""
    named = _named(classifiers)
    if len(named) < 2 and (" AND " not in spdx or spdx != _of_text(text)):
        return ()
    if len(named) > 1:
        said = f"the classifiers name: {', '.join(named)}"
    else:
        said = f"the licence's text has the wording of: {', '.join(spdx.split(' AND '))}"
    return (f"LICENSE has all that {said} (--license says otherwise)",)


def _named(classifiers: Sequence[str]) -> tuple[str, ...]:
    named = [_PREFIX.sub("", c) for c in classifiers if c.startswith("License :: ")]
    return tuple(dict.fromkeys(name for name in named if name not in ("", "OSI Approved")))


def _of_classifier(name: str, field: str | None, text: str, where: str) -> str:
    if name in _CLASSIFIERS:
        return _CLASSIFIERS[name]
    # “BSD License”, “GNU General Public License (GPL)”: which one, another place has to say.
    found = _of_field(field, text)
    if found is None:
        what = f"the classifier “{name}” does not say which licence it is"
        raise RefusedError(what, where=where, todo="give LICENSE with --license")
    return found


def _of_field(field: str | None, text: str) -> str | None:
    first = (field or "").strip()
    try:
        return str(canonicalize_license_expression(first)) if first else _of_text(text)
    except InvalidLicenseExpression:
        words = re.sub(r"\blicen[cs]e\b|[()]", "", first.lower()).strip(" .,")
        return _WORDS.get(re.sub(r"\s+", " ", words)) or _of_text(first) or _of_text(text)


def _of_text(text: str) -> str | None:
    """The licences whose usual wordings a text has; None if it has another one, too."""
    words = re.sub(r"\s+", " ", text)
    found = [spdx for spdx, phrases in _WORDINGS.items() if all(each in words for each in phrases)]
    if not found or _OTHERS.search(words):
        return None
    if _THIRD_CLAUSE.search(words):
        found = ["BSD-3-Clause" if each == "BSD-2-Clause" else each for each in found]
    return " AND ".join(found)
