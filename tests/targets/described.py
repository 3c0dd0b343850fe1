"""Descriptions of targets for tests, and the project that builds for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from cloche.targets.description import Description, RepositoryState
from cloche.targets.results import MadePackage, Offer

PROJECT = Path(__file__).parent / "project"


def entry(slot: str = "0", iuse: str = "", use: str = "", **more: str) -> dict[str, str]:
    """An entry of the VDB."""
    own = {"SLOT": slot, "EAPI": "8", "IUSE": iuse, "USE": use, "KEYWORDS": "amd64"}
    return {**own, "LICENSE": "public-domain", "repository": "local", **more}


def described(
    packages: Mapping[str, Mapping[str, str]] | None = None,
    make_conf: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    **more: object,
) -> Description:
    """A target with the profile and the repository of the project."""
    data = {
        "portage": "3.0.83",
        "arch": "amd64",
        "chost": "x86_64-pc-linux-gnu",
        "profile": "local:default",
        "symbols": {"GLIBC": "2.36"},
        "repositories": {"local": RepositoryState(commit="1")},
        "packages": packages or {},
        "make_conf": make_conf or {},
        "files": files or {},
        **more,
    }
    return Description(**data)  # type: ignore[arg-type]


def offers(packages: Iterable[MadePackage]) -> tuple[Offer, ...]:
    """Packages that were made, as they are offered."""
    return tuple(
        Offer(each.gpkg, each.cpv, each.entry, each.environment, each.symbols) for each in packages
    )
