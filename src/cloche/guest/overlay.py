"""Reads an overlay's ebuilds with Portage: what they inherit, use, and need that is not there.

Nothing is built or fetched. Ebuilds are only sourced, as for any other metadata (PMS 7.1).
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    __package__ = "guest"

from typing import Any

from . import settings as guest_settings
from .capture import captured_output
from .metadata import configuration
from .protocol import Channel, serve
from .refusals import broken

DEPENDENCIES = ("DEPEND", "RDEPEND", "BDEPEND", "PDEPEND", "IDEPEND")
KEYS = ("EAPI", "INHERITED", "LICENSE", "IUSE", "SRC_URI", *DEPENDENCIES)
_NO_ECLASS = "could not be found by inherit()"
STACK = 1 << 20  # bytes, of bash
SECONDS = 20
_TALK = 300  # characters of a reason


class Unreadable(Exception):  # noqa: N818 - an answer, not an error of the guest
    """An ebuild that cannot be read; its text is the reason."""


def main(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Answer a request of the protocol."""
    guest_settings.apply(PORTAGE_REPOSITORIES=request["repositories"])
    # Eclasses that inherit each other end bash when its stack is full: soon, not after minutes.
    resource.setrlimit(resource.RLIMIT_STACK, (STACK, STACK))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))  # of each bash: of one ebuild
    portdb, vardb = databases(installed=request["installed"])
    overlay = portdb.repositories[request["overlay"]]
    found = []
    for cp in request["packages"]:
        for cpv in sorted(portdb.cp_list(cp, mytree=overlay.location)):
            found.append(answer(cpv, overlay, portdb, vardb))
            channel.event("progress", done=len(found))
    return {"ebuilds": found}


def databases(*, installed: bool) -> tuple[Any, Any]:
    """Portage's databases of ebuilds and, if wanted, of the root's own packages.

    Without the configuration of the root: what a repository has does not depend on it.
    """
    import portage

    portage._internal_caller = True
    from portage.output import nocolor

    nocolor()
    settings = portage.config(
        config_root=str(configuration()), local_config=False, env=dict(os.environ)
    )
    portdb = portage.portdbapi(mysettings=settings)
    return portdb, portage.vartree(settings=settings).dbapi if installed else None


def answer(cpv: str, overlay: Any, portdb: Any, vardb: Any) -> dict[str, Any]:
    """What the host wants to know of an ebuild."""
    said: dict[str, Any] = {"cpv": str(cpv)}
    try:
        values = read(cpv, overlay.location, portdb)
        eclasses = overlay.eclass_db.eclasses
        said["eclasses"] = {
            name: str(Path(eclasses[name].eclass_dir).parent)  # the repository
            for name in values["INHERITED"].split()
            if name in eclasses
        }
        said["licenses"] = words(values, "LICENSE")
        said["iuse"] = [flag.lstrip("+-") for flag in values["IUSE"].split()]
        said["mirrors"] = mirrors(values)
        said["distfiles"] = distfiles(cpv, overlay.location, portdb)
        said["needs"] = needs(values, portdb, vardb)
    except Unreadable as error:
        return {"cpv": str(cpv), "error": str(error)[:_TALK]}
    return said


def read(cpv: str, tree: str, portdb: Any) -> dict[str, str]:
    """The metadata of an ebuild. Raises Unreadable."""
    from portage.exception import PortageException

    from portage import eapi_is_supported

    values = None
    with captured_output() as captured:
        try:
            values = portdb.aux_get(cpv, KEYS, mytree=tree)
        except (PortageException, KeyError):
            values = None
    if values is None:
        raise Unreadable(reason(captured.text))
    found = dict(zip(KEYS, values, strict=True))
    if not eapi_is_supported(found["EAPI"]):
        raise Unreadable(f"the Portage that reads it does not know EAPI {found['EAPI']}")
    return found


def reason(text: str) -> str:
    """Why an ebuild could not be sourced, by what Portage and bash wrote."""
    lines = [line.strip(" *") for line in text.splitlines() if line.strip(" *")]
    if lost := next((line for line in lines if _NO_ECLASS in line), ""):
        return lost.rstrip("!")
    said = broken(text)
    if said:
        return f"line {said['line']} of {Path(said['file']).name}: {said['reason']}"
    if not lines:
        return "bash ended without a word; is there an endless loop?"
    return next((line for line in lines if "rror" in line), lines[-1])


def words(values: dict[str, str], key: str) -> list[str]:
    """The words of a variable for any USE flags. Raises Unreadable."""
    from portage.dep import use_reduce
    from portage.exception import InvalidDependString

    source = key == "SRC_URI"
    try:
        reduced = use_reduce(
            values[key], matchall=True, flat=True, is_src_uri=source, eapi=values["EAPI"]
        )
    except InvalidDependString as error:
        raise Unreadable(f"{key}: {error}") from error
    return sorted({each for each in reduced if each not in ("||", "(", ")")})


def mirrors(values: dict[str, str]) -> list[str]:
    """The names in ``mirror://NAME/``. Raises Unreadable."""
    found = (each.partition("mirror://")[2] for each in words(values, "SRC_URI"))
    return sorted({each.partition("/")[0] for each in found if each})


def distfiles(cpv: str, tree: str, portdb: Any) -> list[str]:
    """Names of all sources. Raises Unreadable."""
    from portage.exception import PortageException

    try:
        return sorted(portdb.getFetchMap(cpv, mytree=tree))
    except PortageException as error:
        raise Unreadable(f"SRC_URI: {error}") from error


def needs(values: dict[str, str], portdb: Any, vardb: Any) -> list[list[list[list[str]]]]:
    """The dependencies that nothing satisfies: of each, the choices, each of them atoms.

    An atom is a pair of its text and its CATEGORY/PN. Raises Unreadable.
    """
    from portage.dep import Atom, use_reduce
    from portage.exception import InvalidDependString

    found: list[list[list[list[str]]]] = []
    for key in DEPENDENCIES:
        try:
            reduced = use_reduce(
                values[key], matchall=True, opconvert=True, eapi=values["EAPI"], token_class=Atom
            )
        except InvalidDependString as error:
            raise Unreadable(f"{key}: {error}") from error
        for need in conjunction(reduced, portdb, vardb):
            if need not in found:
                found.append(need)
    return found


def conjunction(parts: list[Any], portdb: Any, vardb: Any) -> list[list[list[list[str]]]]:
    """The unsatisfied ones of dependencies that are all needed."""
    found: list[list[list[list[str]]]] = []
    for part in parts:
        if isinstance(part, list) and part and part[0] == "||":
            choices = [flat(choice, portdb, vardb) for choice in part[1:]]
            if choices and all(choices):
                found.append(choices)
        elif isinstance(part, list):
            found += conjunction(part, portdb, vardb)
        elif lacking := flat(part, portdb, vardb):
            found.append([lacking])
    return found


def flat(part: Any, portdb: Any, vardb: Any) -> list[list[str]]:
    """The unsatisfied atoms of one choice; of a choice within it, the first."""
    if isinstance(part, list):
        needed = conjunction(part if part and part[0] != "||" else [part], portdb, vardb)
        return [atom for choices in needed for atom in choices[0]]
    if part.blocker or satisfied(part, portdb, vardb):
        return []
    return [[str(part), str(part.cp)]]


def satisfied(atom: Any, portdb: Any, vardb: Any) -> bool:
    """Whether a repository, or the root, has a package that fits, whatever its USE flags.

    One of the overlay that has been brought before counts, too.
    """
    plain = atom.without_use
    if portdb.xmatch("match-all", plain):
        return True
    return bool(vardb is not None and vardb.match(plain))


if __name__ == "__main__":
    serve(main)
