"""Describes one package of the merge list for the host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .graph import identity, in_broot
from .protocol import Failed
from .variables import effective, matters


def describe(package: Any, settings: Any, portdb: Any) -> dict[str, Any]:
    """The package's fields in the answer, except those that need the graph.

    ``settings`` is the caller's own config; it is set to the package.
    """
    fields = common(package, settings)
    ebuild = Path(portdb.findname(package.cpv, myrepo=package.repo))
    use = frozenset(fields["use"])
    return {
        **fields,
        "ebuild": f"{package.category}/{ebuild.parent.name}/{ebuild.name}",
        "distfiles": distfiles(package, use, portdb, ebuild.parent),
    }


def common(package: Any, settings: Any) -> dict[str, Any]:
    """The fields that ebuilds and binary packages share; ``settings`` is set to the package."""
    settings.setcpv(package)
    metadata = package._metadata
    return {
        "id": identity(package),
        "broot": in_broot(package),
        "cpv": str(package.cpv),
        "category": package.category,
        "pn": package.cpv.cp.split("/")[1],
        "pf": package.pf,
        "version": str(package.version),
        "slot": package.slot,
        "sub_slot": package.sub_slot,
        "repo": package.repo,
        "eapi": package.eapi,
        "use": sorted(settings["PORTAGE_USE"].split()),
        "iuse": sorted(iuse := {flag.lstrip("+-") for flag in metadata["IUSE"].split()}),
        "fixed": sorted(iuse & (settings.useforce | settings.usemask)),
        "inherited": sorted(metadata.get("INHERITED", "").split()),
        "defined_phases": sorted(set(metadata["DEFINED_PHASES"].split()) - {"-"}),
        "restrict": sorted(settings.get("PORTAGE_RESTRICT", "").split()),
        "properties": sorted(settings.get("PORTAGE_PROPERTIES", "").split()),
        "environment": environment(settings),
    }


def environment(settings: Any) -> dict[str, str]:
    """The effective variables of the package to which ``settings`` is set."""
    names = (
        settings.get("USE_EXPAND", "").split() + settings.get("USE_EXPAND_UNPREFIXED", "").split()
    )
    # ARCH and similar variables describe the machine; their flags are hidden.
    expanded = set(names) - {"ARCH", "ELIBC", "KERNEL", "ABI_X86"}
    # Check the names first: Portage computes many values only when they are read.
    values = {name: settings[name] for name in settings if matters(name)}
    variables = {name: value for name, value in values.items() if isinstance(value, str)}
    variables["FEATURES"] = " ".join(settings.features)
    return effective(variables, expanded)


def distfiles(
    package: Any, use: frozenset[str], portdb: Any, directory: Path
) -> list[dict[str, Any]]:
    """The distfiles that the package needs with ``use``, as its Manifest describes them.

    If the Manifest lacks one, raises Failed with the message of Portage's own fetch.
    """
    tree = portdb.getRepositoryPath(package.repo)
    wanted = portdb.getFetchMap(package.cpv, useflags=use, mytree=tree)
    if not wanted:
        return []
    digests = manifest_digests(directory, tree, portdb)
    listed = []
    for name in sorted(wanted):
        if name not in digests:
            place = str(directory / "Manifest")
            reason = f"Missing digest for '{name}'"
            raise Failed(kind="manifest", atom=package.cpv.cp, file=place, reason=reason)
        hashes = dict(digests[name])
        size = int(hashes.pop("size"))
        listed.append({"name": name, "size": size, "digests": dict(sorted(hashes.items())),
                       "uris": list(wanted[name])})  # fmt: skip
    return listed


def manifest_digests(directory: Path, tree: str, portdb: Any) -> dict[str, dict[str, Any]]:
    """The DIST entries of a package directory's Manifest; empty if there is no Manifest."""
    from portage.exception import FileNotFound

    repository = portdb.repositories.get_repo_for_location(tree)
    try:
        manifest = repository.load_manifest(str(directory), "/nonexistent")
    except FileNotFound:
        return {}
    digests: dict[str, dict[str, Any]] = manifest.getTypeDigests("DIST")
    return digests
