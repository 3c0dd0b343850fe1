"""PEP 440 versions as Gentoo's (PMS 3.2), or the reason why there is none.

`pypi.eclass` translates back: ``_alpha`` a, ``_beta`` b, ``_rc`` rc, ``_p`` .post.
"""

from __future__ import annotations

from collections.abc import Iterable

from packaging.version import InvalidVersion, Version

from cloche.autogen.errors import RefusedError
from cloche.plan.versions import version_key

_KINDS = {"a": "_alpha", "b": "_beta", "rc": "_rc"}


def parsed(text: str, where: str) -> Version:
    """A PEP 440 version. Raises `RefusedError`."""
    try:
        return Version(text)
    except InvalidVersion as error:
        what = f"“{text}” is not a version (PEP 440), so its order is unknown"
        raise RefusedError(what, where=where, todo="choose another release") from error


def fault(version: Version) -> str | None:
    """Why a version has no form in Gentoo that keeps its order; None if it has one."""
    if version.epoch:
        return f"{version} has an epoch, which Gentoo's versions do not have"
    if version.local is not None:
        return f"{version} is a local version, which Gentoo's versions do not have"
    if version.dev is not None:
        return f"{version} is a development release: it sorts before _alpha, _pre after _beta"
    return None


def gentoo_version(version: Version, where: str = "") -> str:
    """The same version as Gentoo writes it, without leading zeros. Raises `RefusedError`."""
    if (why := fault(version)) is not None:
        raise RefusedError(why, where=where or None, todo="choose another release")
    text = ".".join(map(str, version.release))
    if version.pre is not None:
        text += f"{_KINDS[version.pre[0]]}{version.pre[1]}"
    return text if version.post is None else f"{text}_p{version.post}"


def out_of_order(version: Version, others: Iterable[Version]) -> Version | None:
    """Another version that is older for Python and newer for Gentoo, or the reverse.

    Such are 1.0 and 1.0.0, which are equal for Python, and 1.0.post1 and 1.0.0. Others that have
    no form in Gentoo do not count.
    """
    own = version_key(gentoo_version(version))
    for other in others:
        if fault(other) is None and other != version:
            key = version_key(gentoo_version(other))
            if key == own or (version < other) != (own < key):
                return other
        elif fault(other) is None and other.release != version.release:
            return other
    return None
