"""Values for tests: each function takes what a test is about, and fills in the rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloche.building.context import BuildContext, Inputs, Policy, RunTask
from cloche.building.livepins import Live
from cloche.config.errors import Origin
from cloche.config.project import Project, SeedSpec, load_project
from cloche.config.template import init
from cloche.layers import Layer, commit
from cloche.plan.depgraph import Depgraph, Edge, Package
from cloche.plan.plan import Plan, make_plan
from cloche.portage.cpv import BadNameError, Cpv, split_cpv
from cloche.store import Key, Outcome, Store, memo
from cloche.tasks.worker import Worker


def cpv_of(name: str) -> Cpv:
    """``[CATEGORY/]PN[-VERSION]`` in parts; the category is ``c``, the version 1 by default."""
    whole = name if "/" in name else f"c/{name}"
    try:
        return split_cpv(whole)
    except BadNameError:
        return split_cpv(f"{whole}-1")


def package(name: str = "a", *edges: Edge, **more: Any) -> Package:
    """A package by its name, as `cpv_of` reads it, of the repository ``r``."""
    cpv = cpv_of(name)
    repo = more.pop("repo", "r")
    slot = more.pop("slot", "0")
    fields = {
        "id": f"{cpv}::{repo}",
        "cpv": str(cpv),
        "category": cpv.category,
        "pn": cpv.pn,
        "pf": cpv.pf,
        "version": cpv.pf.removeprefix(f"{cpv.pn}-"),
        "slot": slot,
        "sub_slot": slot,
        "repo": repo,
        "eapi": "8",
        "ebuild": f"{cpv.category}/{cpv.pn}/{cpv.pf}.ebuild",
        "edges": edges,
    }
    return Package(**{**fields, **more})


def edge(to: str, *kinds: str) -> Edge:
    """A dependency on a package of the repository ``r``, at run time where no kind is given."""
    cpv = cpv_of(to)
    return Edge(f"{cpv}::r", kinds or ("runtime",), f"{cpv.category}/{cpv.pn}")


def plan_of(*packages: Package) -> Plan:
    """The plan of packages in merge order."""
    return make_plan(Depgraph(packages))


def vdb_entry(tree: Path, name: str, contents: str | None = "") -> Path:
    """Make a package's entry below ``var/db/pkg``, with CONTENTS unless that is None."""
    entry = tree / "var/db/pkg" / str(cpv_of(name))
    entry.mkdir(parents=True)
    if contents is not None:
        (entry / "CONTENTS").write_text(contents)
    return entry


def layer(path: Path, label: str = "c/a-1", *, id: str | None = None, **more: Any) -> Layer:
    """A directory as a layer that is in no store."""
    fields = {"kind": "package", "size": 0, "files": 0, **more}
    return Layer(id=id or str(path), path=path, label=label, **fields)


def write_files(top: Path, files: Iterable[str] | dict[str, str]) -> None:
    """Make files, with contents where a dictionary gives them."""
    for name in files:
        place = top / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(files[name] if isinstance(files, dict) else "")


def stored(store: Store, label: str, kind: str = "package", **files: str) -> Layer:
    """A layer of these files in a store."""
    with store.workspace("values") as room:
        (room / "tree").mkdir()
        write_files(room / "tree", files)
        return commit(store, room / "tree", kind=kind, label=label)


def blob(store: Store, content: str, label: str = "blob") -> str:
    """The id of a blob with this content."""
    with store.workspace("values") as room:
        (room / "blob").write_text(content)
        return store.add_blob(room / "blob", label).id


def seed_spec(type: str = "tarball", name: str = "s", **options: Any) -> SeedSpec:
    """``[seeds.NAME]`` of a project."""
    return SeedSpec(name, type, options, Origin(Path("cloche.toml"), 1))


def project(directory: Path, more: str = "") -> Project:
    """The project that `cloche init` writes, with more lines in its ``cloche.toml``."""
    init(directory)
    file = directory / "cloche.toml"
    file.write_text(f"{file.read_text()}\n{more}")
    return load_project(directory)


def context(
    store: Store, elsewhere: RunTask | None = None, policy: Policy | None = None, **inputs: Any
) -> BuildContext:
    """What a build shares, over a seed of one file; it has no engine: ``elsewhere`` does tasks."""
    seed = stored(store, "seed", "seed", **{"etc/seed": "the seed"})
    pinned = Inputs("m", (seed,), {}, {"repos.conf": b""}, ("r", "default"), "guest", "place")
    worker = Worker(store, engine=None)  # type: ignore[arg-type] # a use of it fails the test
    pinned, policy = replace(pinned, **inputs), policy or Policy(offline=True)
    return BuildContext(worker, pinned, policy, Live(), elsewhere=elsewhere)


def record(store: Store, key: Key, name: str, **outputs: str) -> None:
    """Record a step as done, as an earlier build did."""
    memo.record(store, key, name, Outcome(outputs), 1.0)
