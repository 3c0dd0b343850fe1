"""PEP 440 version specifiers as dependencies on a package: the same set of versions, or refused.

The clauses of a specifier are one interval with holes. Equal versions can be spelt in several ways
for Python (1.0, 1.0.0), not for Gentoo: the known versions of the package say how it spells its
own, and the result is tried on all of them. Final and post releases are compared. Whether a
pre-release is taken at all is a matter of keywords in Gentoo, as it is one of options for pip:
they are compared where the specifier itself names one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from packaging.specifiers import Specifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from cloche.autogen.dependencies import AnyOf, Atom, Dependency, accepts
from cloche.autogen.errors import RefusedError
from cloche.autogen.pypi.versions import fault, gentoo_version

_LAST_POST = 10**12  # greater than that of any release

# A place between versions: just before (0) or after (1) a version.
_Place = tuple[Version, int]


@dataclass(frozen=True, slots=True)
class _Interval:
    """What all clauses together accept; ``without`` and ``without_series`` are its holes."""

    lower: _Place | None = None
    upper: _Place | None = None
    without: tuple[Version, ...] = ()
    without_series: tuple[tuple[int, ...], ...] = ()


def dependencies(
    cp: str,
    specifiers: SpecifierSet,
    known: Collection[Version] = (),
    use: tuple[str, ...] = (),
    where: str = "",
) -> tuple[Dependency, ...]:
    """What in Gentoo accepts the same versions of ``cp``; ``known`` are the published ones.

    Raises `RefusedError`.
    """
    clauses = sorted(specifiers, key=str)
    interval = _Interval()
    for clause in clauses:
        interval = _narrowed(interval, clause, where)
    _refuse_empty(interval, specifiers, where)
    early = any(_named(clause).is_prerelease for clause in clauses)
    if early and any(c.operator == "<" and _named(c).is_postrelease for c in clauses):
        raise _refused(specifiers, where, "of a post-release, beside a pre-release")
    usable = [v for v in known if fault(v) is None and (early or not v.is_prerelease)]
    wrong: Version | None = None
    for spelling in (_as_published(usable), _shortest):
        for series in (True, False):
            found = tuple(_atoms(cp, interval, spelling, usable, use, early=early, series=series))
            wrong = _differs(found, specifiers, usable)
            if wrong is None:
                return found
    why = f"would be wrong about {wrong}, whose number of components differs"
    raise _refused(specifiers, where, why)


def _named(clause: Specifier) -> Version:
    """The version that a clause names, without ``.*``."""
    return Version(clause.version.removesuffix(".*"))


def _refused(specifiers: SpecifierSet, where: str, why: str) -> RefusedError:
    what = f"the versions “{specifiers}” cannot be said exactly: {why}"
    return RefusedError(what, where=where or None, todo="write this ebuild by hand")


def _narrowed(interval: _Interval, clause: Specifier, where: str) -> _Interval:
    """The interval after one more clause. Raises `RefusedError`."""
    operator, text = clause.operator, clause.version
    try:
        version = _named(clause)
    except InvalidVersion as error:
        what = f"“{clause}” names no version (PEP 440)"
        raise RefusedError(what, where=where or None, todo="write this ebuild by hand") from error
    if operator == "===" and str(version) != text:
        raise _refused(SpecifierSet(str(clause)), where, f"“{text}” is compared as a text")
    if why := fault(version):
        if operator == "!=":
            return interval  # Gentoo has none of them anyway
        if version.epoch or version.local is not None or operator not in ("<", "<=", ">", ">="):
            raise _refused(SpecifierSet(str(clause)), where, why)
        operator, version = operator[0].replace(">", ">="), _after_dev(version)
    series = version.release if text.endswith(".*") else version.release[:-1]
    if operator == "!=":
        if text.endswith(".*"):
            return replace(interval, without_series=(*interval.without_series, series))
        return replace(interval, without=(*interval.without, version))
    lower, upper = _ends(operator, version, series if text.endswith(".*") else None, where)
    if operator == "~=":
        upper = (_first(_next(series)), 0)
    lowers = [each for each in (interval.lower, lower) if each is not None]
    uppers = [each for each in (interval.upper, upper) if each is not None]
    return replace(interval, lower=max(lowers, default=None), upper=min(uppers, default=None))


def _ends(
    operator: str, version: Version, series: tuple[int, ...] | None, where: str
) -> tuple[_Place | None, _Place | None]:
    """Where the versions of a clause begin and end. Raises `RefusedError`."""
    if series is not None:  # ==1.2.*
        return (_first(series), 0), (_first(_next(series)), 0)
    match operator:
        case ">=" | "~=":
            return (version, 0), None
        case "<" if version.dev is not None:
            return None, (version, 0)
        case "<=":
            return None, (version, 1)
        case "<" if not version.is_prerelease and not version.is_postrelease:
            return None, (_first(version.release), 0)  # not its pre-releases either
        case "<":
            return None, (version, 0)
        case ">" if version.is_postrelease:
            return (version, 1), None
        case ">" if version.is_prerelease:
            why = "all later versions but post-releases of the final one"
            raise _refused(SpecifierSet(f">{version}"), where, why)
        case ">":  # not its post-releases either
            return (Version(f"{version}.post{_LAST_POST}"), 1), None
        case _:
            return (version, 0), (version, 1)


def _after_dev(version: Version) -> Version:
    """The first version that Gentoo can have after a development release."""
    if version.pre is None and version.post is None:
        return _first(version.release)
    return Version(str(version).partition(".dev")[0])


def _first(release: tuple[int, ...]) -> Version:
    """What is before all pre-releases of a release."""
    return Version(".".join(map(str, release)) + ".dev0")


def _next(series: tuple[int, ...]) -> tuple[int, ...]:
    return (*series[:-1], series[-1] + 1)


def _refuse_empty(interval: _Interval, specifiers: SpecifierSet, where: str) -> None:
    lower, upper = interval.lower, interval.upper
    one = lower and upper and lower[0] == upper[0]
    gone = one and lower is not None and _in_a_hole(interval, lower[0])
    if gone or (lower is not None and upper is not None and lower >= upper):
        what = f"no version is accepted by “{specifiers}”"
        raise RefusedError(what, where=where or None, todo="tell upstream")


def _in_a_hole(interval: _Interval, version: Version) -> bool:
    return version in interval.without or any(
        _first(series) <= version < _first(_next(series)) for series in interval.without_series
    )


Spelling = Callable[[Version], Version]


def _as_published(known: Collection[Version]) -> Spelling:
    """Spell a version as the package does; one that it does not have stays as it is."""
    published = {version: version for version in known}
    return lambda version: published.get(version, version)


def _shortest(version: Version) -> Version:
    """Spell a version without zeros at the end of its release."""
    release = version.release
    while len(release) > 1 and release[-1] == 0:
        release = release[:-1]
    rest = str(version).removeprefix(version.base_version)
    return Version(".".join(map(str, release)) + rest)


def _atoms(
    cp: str,
    interval: _Interval,
    spelling: Spelling,
    known: Collection[Version],
    use: tuple[str, ...],
    *,
    early: bool,
    series: bool,
) -> Iterator[Dependency]:
    """The atoms of an interval; ``early``: pre-releases count; ``series``: allow ``=1.2*``."""
    lower, upper = interval.lower, interval.upper
    whole = _series(lower, upper) if series else None
    base = Atom(cp, use=use)
    if whole is not None:
        yield replace(base, operator="=*", version=whole)
    elif lower and upper and lower[0] == upper[0]:
        yield replace(base, operator="~", version=gentoo_version(spelling(lower[0])))
        return
    else:
        yield from _lower(base, lower, spelling, known, early=early)
        yield from _upper(base, upper, spelling, early=early)
    if lower is None and upper is None:
        yield base
    yield from _holes(cp, interval, spelling)


def _series(lower: _Place | None, upper: _Place | None) -> str | None:
    """The ``1.2`` of ``==1.2.*``, if that is what the interval is."""
    if lower is None or upper is None or lower[0].dev != 0 or upper[0].dev != 0:
        return None
    release = lower[0].release
    return lower[0].base_version if _next(release) == upper[0].release else None


def _before(version: Version, spelling: Spelling, *, early: bool) -> str:
    """What is before all that counts of a release, whose place is that of its first ``.dev0``."""
    text = gentoo_version(spelling(Version(version.base_version)))
    return text + ("_alpha" if early else "")


def _lower(
    base: Atom, lower: _Place | None, spelling: Spelling, known: Collection[Version], *, early: bool
) -> Iterator[Dependency]:
    if lower is None:
        return
    version, after = lower
    if version.dev is not None:
        yield replace(base, operator=">=", version=_before(version, spelling, early=early))
        return
    posts: list[Version] = []
    if version.post == _LAST_POST:
        version = Version(str(version).removesuffix(f".post{_LAST_POST}"))
        posts = [v for v in known if v.is_postrelease and v.base_version == version.base_version]
    yield replace(base, operator=">=", version=gentoo_version(spelling(version)))
    for each in ([version] if after else []) + sorted(posts):
        yield Atom(base.cp, "~", gentoo_version(spelling(each)), blocks=True)


def _upper(
    base: Atom, upper: _Place | None, spelling: Spelling, *, early: bool
) -> Iterator[Dependency]:
    if upper is None:
        return
    version, after = upper
    if version.dev is not None:
        yield replace(base, operator="<", version=_before(version, spelling, early=early))
        return
    text = gentoo_version(spelling(version))
    less = replace(base, operator="<", version=text)
    # A revision is greater than the version alone: <= would leave it out.
    yield AnyOf((less, replace(less, operator="~"))) if after else less


def _holes(cp: str, interval: _Interval, spelling: Spelling) -> Iterator[Dependency]:
    """Blockers of what is excluded between the ends."""
    lower, upper = interval.lower, interval.upper
    for version in sorted(set(interval.without)):
        inside = (lower is None or (version, 0) >= lower) and (
            upper is None or (version, 0) < upper
        )
        if inside:
            yield Atom(cp, "~", gentoo_version(spelling(version)), blocks=True)
    for series in sorted(set(interval.without_series)):
        begin, end = (_first(series), 0), (_first(_next(series)), 0)
        if (lower is None or end > lower) and (upper is None or begin < upper):
            yield Atom(cp, "=*", ".".join(map(str, series)), blocks=True)


def _differs(
    found: tuple[Dependency, ...], specifiers: SpecifierSet, known: Collection[Version]
) -> Version | None:
    """A known version about which Gentoo and Python differ."""
    return next(
        (
            version
            for version in known
            if accepts(found, gentoo_version(version))
            != specifiers.contains(version, prereleases=True)
        ),
        None,
    )
