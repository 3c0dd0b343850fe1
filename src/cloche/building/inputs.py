"""Pins a machine's inputs: the seed, snapshots of the repositories, the configuration."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cloche.binhosts import index
from cloche.binhosts.index import Binhost
from cloche.building.configuration import config_layer, unresolved
from cloche.building.context import Inputs, Repo
from cloche.building.crossing import CROSS_SCRIPTS, crossing
from cloche.building.errors import MissingSeedError
from cloche.config.errors import Origin
from cloche.config.fragments import machine_sources
from cloche.config.machine import Machine
from cloche.config.project import Project
from cloche.layers import Layer, stored_layer
from cloche.plan.depgraph import Package
from cloche.portage.cpv import split_cpv
from cloche.portage.etc import REPOS, portage_tree
from cloche.portage.repository import Repository, RepositoryError, load_repositories
from cloche.portage.view import Digests
from cloche.portage.virtuals import check_roles
from cloche.seeds.parts.derived import provided_layer
from cloche.seeds.stored import StoredSeed, find_seed, lock_found, made_of
from cloche.store import Store
from cloche.tasks.guestcall import GUEST
from cloche.trees import stored
from cloche.trees.stored import pin_repository, places

_NO_STEPS = (
    *("observe.py", "metadata.py", "live.py", "news.py", "finish_steps.py"),
    *("accounts.py", "identity.py", "advisories.py"),
    *("versions.py", "accept.py", "patching.py"),
    *("best.py", "kernel_config.py"),
    *("handover.py", "conversation.py", "removing.py", "merging.py", "emerge"),
    *("distcc.py", "compile_one.py"),
    *CROSS_SCRIPTS,
)


def pin_inputs(
    store: Store, project: Project, machine: Machine, *, strict: bool, over: Sequence[Layer] = ()
) -> Inputs:
    """Store all inputs of a machine. Raises ConfigError, SeedError.

    With ``over`` these layers are in the place of its seed.
    """
    # Checks of the user's files come before slow work.
    repositories = load_repositories(project, machine, places(store, project))
    check_roles(machine.atoms, (each.path for each in repositories.values()))
    seed = _seed(store, project, machine.seed) if not over else None
    found = seed.about.interpreters if seed else ""
    interpreters = stored_layer(store, found) if found else None
    names = dict.fromkeys(machine.tools)
    tools = {name: stored_layer(store, _seed(store, project, name).layer) for name in names}
    base = [*over]
    if seed is not None:
        base = [stored_layer(store, seed.layer)]
        if vdb := provided_layer(store, base[0], whole=machine.own_root):
            base.append(vdb)
    repos = {name: _repo(store, project, found) for name, found in repositories.items()}
    binhosts = {name: _binhost(store, project, name) for name in machine.binrepos}
    etc = portage_tree(machine, project)
    base.append(config_layer(store, machine.name, unresolved(etc)))
    return Inputs(
        machine=machine.name,
        base=tuple(base),
        repos=repos,
        etc=etc,
        profile=(machine.profile.repo, machine.profile.path),
        guest=guest_digest(),
        place=machine.place,
        own=_own(project, machine),
        strict=strict,
        own_root=machine.own_root,
        etc_portage=machine.etc_portage,
        with_build_deps=machine.with_build_deps,
        emerge=machine.emerge,
        binhosts=binhosts,
        made_of=made_of(store, seed) if seed else (),
        cross=crossing(machine, base[0], interpreters),
        tools=tools,
        interpreters=interpreters,
    )


def _seed(store: Store, project: Project, name: str) -> StoredSeed:
    """A declared seed. Raises `MissingSeedError`, SeedError."""
    spec = project.seeds[name]
    seed = find_seed(store, project, spec)
    if seed is None:
        raise MissingSeedError(name)
    with where_writable():
        lock_found(store, project, spec, seed)
    return seed


@contextmanager
def where_writable() -> Iterator[None]:
    """Pin something in the project's lock; without write permission, go on without the pin."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise


def guest_digest() -> str:
    """Digest of the code that runs inside: a change of it invalidates every step.

    Without distcc's, which changes no result; the scripts of `cloche watch`, `cloche patch`, of
    probing, targets and freshroots, which make no results; and those of metadata caches, live
    fetches, finish steps and machines for another CPU, which have keys of their own.
    """
    digest = hashlib.sha256()
    for path in sorted(GUEST.rglob("*")):
        makes_nothing = path.name in _NO_STEPS or path.name.startswith("probe")
        if path.is_file() and "__pycache__" not in path.parts and not makes_nothing:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(GUEST)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _own(project: Project, machine: Machine) -> dict[str, Path]:
    """The paths of the user's own files, by their paths inside."""
    paths = {f"{REPOS}/{name}": repo.path for name, repo in project.repos.items()}
    paths |= {f"/etc/portage/{name}": path for name, path in machine_sources(machine).items()}
    return {name: path for name, path in paths.items() if path is not None}


def _repo(store: Store, project: Project, found: Repository) -> Repo:
    """A repository in the store."""
    spec = project.repos[found.name]
    pin = pin_repository(store, project, spec)
    with where_writable():
        stored.lock_found(project, spec, pin)
    return Repo(found.name, pin, store.tree(pin.tree).path, tuple(found.masters or ()))


def _binhost(store: Store, project: Project, name: str) -> Binhost:
    """A binary package host, its index in the store. Raises `MissingIndexError`."""
    found = index.find(store, project, project.binrepos[name])
    with where_writable():
        index.lock_found(project, found)
    return found


def input_digests(inputs: Inputs, packages: Iterable[Package]) -> Mapping[str, Mapping[str, str]]:
    """Digests of each package's own files, by its id and by name, for its action key."""
    digests = Digests(inputs.snapshots, inputs.masters, inputs.etc, inputs.profile)
    return {
        package.id: digests.hooks(split_cpv(package.cpv), package.slot, package.environment)
        if package.binary is not None
        else digests.inputs(
            package.repo,
            split_cpv(package.cpv),
            package.inherited,
            package.slot,
            package.environment,
        )
        for package in packages
    }


def check_categories(inputs: Inputs, categories: Iterable[str]) -> None:
    """Refuse a category that has a directory in a repository, but is not listed in any.

    Portage ignores such a category. The ``profiles/categories`` of all repositories count (PMS
    4.4.2, portage(5)).
    """
    listed: set[str] = set()
    for tree in inputs.snapshots.values():
        file = tree / "profiles/categories"
        listed |= set(file.read_text().split()) if file.is_file() else set()
    for category in sorted(set(categories) - listed):
        for name, tree in inputs.snapshots.items():
            if next(tree.glob(f"{category}/*/*.ebuild"), None) is not None:
                place = inputs.own.get(f"{REPOS}/{name}", Path(REPOS, name))
                raise RepositoryError(
                    Origin(place / "profiles/categories"),
                    f"it does not list the category {category}",
                    f"add a line `{category}`",
                )
