"""Machines of targets that add packages to their source: stage4, livecd-stage1 and the like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cloche.catalyst.emerge import emerge_call
from cloche.catalyst.kernels import kernels
from cloche.catalyst.makeconf import make_conf
from cloche.catalyst.making import CONFIGURED, Copied, Machines, Making, keys_of
from cloche.config.errors import ConfigError

_KEYS = "root_overlay/ssh_public_keys"


def _packages(making: Making, *options: str) -> Machines:
    """Packages over the source."""
    call = emerge_call((*options, *making.words("packages")))
    name = making.target.name
    yield (
        name,
        making.machine(
            "source",
            **keys_of(call, making.spec.origin(f"{making.target.prefix}/packages")),
            output=making.tarball,
            finish=[*finish_steps(making), *cleaned(making)],
        ),
    )


def stage4(making: Making) -> Machines:
    """@system brought up to date over the source, the packages over it, then the kernels."""
    yield "system", making.between("source", sets=["system"], emerge=["--update", "--oneshot"])
    ((name, machine),) = _packages(making)
    machine["seed"] = "system"
    if "boot/kernel" in making.spec.settings:
        finished = {key: machine.pop(key) for key in ("output", "finish")}
        yield "packages", machine | {"finish": making.between("system")["finish"]}
        last = yield from kernels(making, "packages")
        machine = making.machine(last, keep_world=True) | finished
    yield name, machine


def updated(making: Making) -> Machines:
    """The source with the packages; their dependencies are updated."""
    return _packages(making, "--update", "--deep", "--newuse")


def finish_steps(
    making: Making,
    *,
    services: Iterable[dict[str, Any]] = (),
    cleaning: Iterable[dict[str, Any]] = (),
) -> Iterator[dict[str, Any]]:
    """The steps that finish a stage4, a medium or a disk, in catalyst's order.

    ``services`` are steps before those of rcadd, ``cleaning`` before unmerge.
    """
    if making.words("fsscript"):
        yield from _plain_make_conf(making)
    yield from making.overlays("root_overlay")
    if script := making.words("fsscript"):
        yield making.fsscript(Path(script[0]))
    yield from services
    for key, kind in (("rcadd", "services_on"), ("rcdel", "services_off")):
        if words := making.words(key):
            yield {kind: words}
    yield from cleaning
    for key, kind in (("unmerge", "unmerge"), ("rm", "remove")):
        if words := making.words(key):
            yield {kind: words}
    if groups := _separated(making, "groups"):
        yield {"groups": groups}
    unread = f"{making.target.prefix}/users" in making.target.unread
    if not unread and (users := making.words("users")):
        yield {"users": users}
    if _public_keys(making):
        yield {"files": _KEYS}
    if directories := making.words("empty"):
        yield {"empty": directories}


def _plain_make_conf(making: Making) -> Iterator[dict[str, Any]]:
    """make.conf as scripts find it in catalyst's root: a file, to which they may append.

    Machines have a directory of fragments there; `cleaned` replaces either.
    """
    text = make_conf(making.spec, making.conf, making.inputs.subarch, building=True)
    making.files["root_overlay/building/etc/portage/make.conf"] = text
    yield {"remove": ["/etc/portage/make.conf"]}
    yield {"files": "root_overlay/building"}


def _separated(making: Making, key: str) -> list[str]:
    """The words of a key; a single word is a list separated by commas, as in catalyst."""
    words = making.words(key)
    return words[0].split(",") if len(words) == 1 else words


def _public_keys(making: Making) -> bool:
    """Put the file of each USER=FILE in its place; return whether the key has any.

    Raises `ConfigError`.
    """
    words = _separated(making, "ssh_public_keys")
    for word in words:
        user, equals, file = word.partition("=")
        if not equals or not file or "/" in user or user in ("", ".", ".."):
            key = f"{making.target.prefix}/ssh_public_keys"
            todo = "for example larry=/keys/larry.pub"
            raise ConfigError(making.spec.origin(key), f"{key}: “{word}” is not USER=FILE", todo)
        place = f"{_KEYS}/home/{user}/.ssh/authorized_keys"
        making.files[place] = Copied(Path(file), mode=0o644)
    return bool(words)


def cleaned(making: Making) -> Iterator[dict[str, Any]]:
    """Steps like catalyst's `clean`: remove backups, and leave /etc/portage as a stage has it."""
    yield {"remove": ["/etc/*-", *(f"/etc/portage/{name}" for name in CONFIGURED)]}
    yield from making.configuration()
