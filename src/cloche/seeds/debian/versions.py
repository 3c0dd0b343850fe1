"""Versions as Gentoo writes them, of Debian's packages and of Perl's modules."""

from __future__ import annotations

import re


def upstream(version: str) -> str:
    """The version as Gentoo would write it of a Debian one (deb-version(7)); "" if there is none.

    Without epoch and revision, and without what Debian did to the sources (``+dfsg``). Behind
    ``+really`` is the version of sources that were taken back to an older one.
    """
    bare = version.partition(":")[2] if ":" in version else version
    bare = bare.rpartition("-")[0] or bare
    bare = bare.partition("+really")[2] or bare
    found = re.match(r"\d+(\.\d+)*([a-z](?![a-z0-9.]))?", bare)
    return found.group() if found else ""


def perl_module(version: str) -> str:
    """A module's version as Gentoo writes it (perl-module.eclass): 7.64 is 7.640.0.

    Behind the point of a decimal version are groups of three digits (version(3perl)).
    """
    whole, point, rest = version.replace("_", "").strip(".").partition(".")
    if "." in rest:
        groups = rest.split(".")
    else:
        groups = re.findall("...", rest + "0" * (-len(rest) % 3)) if point else []
    groups += ["0"] * (2 - len(groups))
    return ".".join(str(int(group)) for group in (whole, *groups))
