"""Gives the inputs of a machine with a kernel the repository that builds it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from cloche.building.configuration import with_etc
from cloche.building.context import BuildContext, Repo
from cloche.building.metadata import shown_repositories
from cloche.building.stages import data_of, once, stage_call, stage_failed
from cloche.config.errors import ConfigError
from cloche.config.kernel import Kernel
from cloche.config.lock import RepoPin
from cloche.config.machine import Machine
from cloche.layers import Layer, commit
from cloche.portage.etc import REPOS, write_tree
from cloche.portage.kernel import (
    KMOD,
    OPENSSL,
    Sources,
    kernel_repository,
    with_section,
    without_section,
)
from cloche.records.logs import new_log
from cloche.store import Outcome, make_key
from cloche.tasks.guestcall import GUEST, call

TOOLS = (KMOD, OPENSSL)
GENERATED = "generated"
"""The type of such a repository in the lock."""


def with_kernel(context: BuildContext, machine: Machine) -> BuildContext:
    """The context of a machine, also with its kernel if it asks for one that is built.

    Raises `ConfigError`, `StepError`.
    """
    kernel = machine.kernel
    if kernel is None or kernel.sources is None or kernel.package not in machine.packages:
        return context
    check = (GUEST / "kernel_config.py").read_bytes()
    name, files = kernel_repository(kernel, _sources(context, kernel), check)
    with context.store.workspace("kernel") as workspace:
        tree = workspace / "repository"
        write_tree(files, tree, opaque=())
        layer = commit(context.store, tree, kind="repository", label=name, rules={})
    repo = Repo(name, RepoPin(GENERATED, layer.id), layer.path)
    inputs = context.inputs
    conf = inputs.etc["repos.conf"]
    assert isinstance(conf, bytes)  # noqa: S101
    text = with_section(conf.decode(), name, f"{REPOS}/{name}")
    etc = {**inputs.etc, "repos.conf": text.encode()}
    inputs = replace(inputs, repos={**inputs.repos, name: repo})
    return replace(context, inputs=with_etc(context.store, inputs, etc))


def without_repository(context: BuildContext) -> tuple[Layer, ...]:
    """A layer for the finished machine, whose repos.conf does not name that repository.

    No other command has it, and Portage would complain of a directory that is not there.
    """
    inputs = context.inputs
    made = any(repo.pin.type == GENERATED for repo in inputs.repos.values())
    conf = inputs.etc["repos.conf"]
    if not made or not isinstance(conf, bytes) or (inputs.own_root and not inputs.etc_portage):
        return ()
    text = without_section(conf.decode())
    with context.store.workspace("kernel") as workspace:
        tree = workspace / "root"
        write_tree({"etc/portage/repos.conf": text.encode()}, tree, opaque=())
        return (commit(context.store, tree, kind="config", label=inputs.machine, rules={}),)


def _sources(context: BuildContext, kernel: Kernel) -> Sources:
    """The newest visible version of the sources. Raises `ConfigError` if there is none at all.

    If all of them are masked, Portage says so when it resolves the machine.
    """
    inputs, asked = context.inputs, kernel.sources
    assert asked is not None  # noqa: S101
    parts = {
        "atom": asked.atom,
        "tools": " ".join(TOOLS),
        "guest": inputs.guest,
        "script": hashlib.sha256((GUEST / "best.py").read_bytes()).hexdigest(),
        **inputs.key_root,
        **inputs.key_emulated,
        **{f"base {layer.kind}": layer.id for layer in inputs.base},
        **{f"repository {repo.name}": repo.tree for repo in inputs.repos.values()},
    }
    key = make_key("kernel sources", parts)
    once(context, "kernel", key, lambda: _asked(context, asked.atom), asked.atom)
    found = data_of(context, key)
    if not found.get("any"):
        what = f"no package of the repositories matches “{asked.atom}”"
        raise ConfigError(asked.origin, what, "correct the atom, or sync the repositories")
    return Sources(str(found["best"]), str(found["arch"]), frozenset(found["there"]))


def _asked(context: BuildContext, atom: str) -> Outcome:
    log = new_log(context.store, context.inputs.log_name, "kernel")
    with context.store.workspace("kernel") as workspace:
        request = {"atom": atom, "names": list(TOOLS)}
        shown = shown_repositories(context)
        wanted = stage_call(context, "best", request, workspace, log, binds=shown)
        result, _ = call(context.engine, context.running, wanted)
    if result.get("status") != "ok":
        raise stage_failed(context, "kernel", str(result.get("text")), log)
    data = {name: result[name] for name in ("best", "any", "arch", "there")}
    return Outcome({}, str(log.relative_to(context.store.logs)), data=data)
