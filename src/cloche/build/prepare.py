"""Pinning a machine's inputs: the seed, snapshots of the repositories, the configuration."""

from __future__ import annotations

import errno
import hashlib
import time
from collections.abc import Mapping

from cloche.build.errors import MissingSeedError
from cloche.build.guestcall import GUEST
from cloche.build.workshop import Inputs, Repo
from cloche.config.machine import Machine
from cloche.config.project import Project, SeedSpec
from cloche.config.tree import Content
from cloche.layers import Layer, commit, stored_layer
from cloche.plan.keys import make_key
from cloche.portage.etc import portage_tree, write_tree
from cloche.portage.repository import Repository, load_repositories
from cloche.portage.snapshot import fingerprint, snapshot
from cloche.seeds.derived import known_layer
from cloche.seeds.errors import NoStrictSeedError
from cloche.seeds.stored import StoredSeed, find_seed, lock_found
from cloche.store import Action, Store


def pin_inputs(store: Store, project: Project, machine: Machine, *, strict: bool) -> Inputs:
    """Bring all that a machine is made from into the store. Raises ConfigError, SeedError."""
    spec = project.seeds[machine.seed]
    seed = find_seed(store, project, spec)
    if seed is None:
        raise MissingSeedError(machine.seed)
    _lock(store, project, spec, seed)
    base = [stored_layer(store, seed.layer)]
    if vdb := known_layer(store, base[0]):
        base.append(vdb)
    if strict and not seed.strict:
        raise NoStrictSeedError(machine.seed)
    if strict:
        base.append(stored_layer(store, seed.strict))
    repositories = load_repositories(project, machine)
    repos = {name: _snapshot(store, repository) for name, repository in repositories.items()}
    etc = portage_tree(machine, project)
    base.append(_config(store, machine, etc))
    return Inputs(
        machine=machine.name,
        base=tuple(base),
        repos=repos,
        etc=etc,
        profile=(machine.profile.repo, machine.profile.path),
        guest=guest_digest(),
        place=machine.place,
    )


def _lock(store: Store, project: Project, spec: SeedSpec, seed: StoredSeed) -> None:
    """Pin the seed in the project's lock; who may not write there can still look and build."""
    try:
        lock_found(store, project, spec, seed)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise


def guest_digest() -> str:
    """Digest of the code that runs inside: a change of it makes every step new.

    What `cloche watch` sends to foreign roots, and what tries out engines, makes nothing.
    """
    digest = hashlib.sha256()
    for path in sorted(GUEST.rglob("*")):
        makes_nothing = path.name == "observe.py" or path.name.startswith("probe")
        if path.is_file() and "__pycache__" not in path.parts and not makes_nothing:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(GUEST)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _snapshot(store: Store, repository: Repository) -> Repo:
    """A repository's content in the store; an untouched one is not read again."""
    touched = fingerprint(repository.path)
    key = make_key("snapshot", {"path": str(repository.path), "fingerprint": touched})
    tree = _remembered(store, key.digest)
    if tree is None:
        with store.workspace("snapshot") as workspace:
            snapshot(repository.path, workspace / "repo")
            layer = commit(
                store, workspace / "repo", kind="repository", label=repository.name, rules={}
            )
        tree = layer.id
        _remember(store, "snapshot", repository.name, key.digest, key.parts, tree)
    path = store.tree(tree).path
    return Repo(repository.name, tree, path, tuple(repository.masters or ()))


def _config(store: Store, machine: Machine, etc: Mapping[str, Content]) -> Layer:
    """The machine's ``/etc/portage`` as a layer."""
    with store.workspace("config") as workspace:
        tree = workspace / "root"
        for name in ("", "etc"):
            (tree / name).mkdir()
            (tree / name).chmod(0o755)
        write_tree(etc, tree / "etc/portage")
        return commit(store, tree, kind="config", label=machine.name, rules={})


def _remembered(store: Store, key: str) -> str | None:
    action = store.action(key)
    return action.outputs["tree"] if action else None


def _remember(
    store: Store, kind: str, name: str, key: str, parts: Mapping[str, str], tree: str
) -> None:
    now = time.time()
    store.record(Action(key, kind, name, parts, {"tree": tree}, 0.0, None, now))
