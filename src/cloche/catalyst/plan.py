"""What catalyst would do with a spec: its steps, what it reads, what it writes, and from where
each value comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloche.catalyst.chains import makers, source_path
from cloche.catalyst.conf import CONF_KEYS, Conf
from cloche.catalyst.keys import TARGETS, Target
from cloche.catalyst.lint import refuse
from cloche.catalyst.paths import (
    Output,
    outputs,
    snapshot_path,
    store_path,
    subpath,
    unversioned,
)
from cloche.catalyst.spec import Spec
from cloche.catalyst.steps import Step, steps_of
from cloche.catalyst.tokens import tokens_in


@dataclass(frozen=True, slots=True)
class Given:
    """A value and where it comes from: a place in a file, the command line, or the default."""

    key: str
    value: Any
    source: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Input:
    """What is read: a path, what it is, and the spec of the same directory that makes it."""

    kind: str
    path: str
    source: str
    made_by: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is known before anything is done; ``tokens`` are those that are still open."""

    target: str
    steps: tuple[Step, ...]
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    values: tuple[Given, ...]
    tokens: tuple[str, ...]


#: Rules of lint about what catalyst does not begin with.
_FATAL = frozenset({"target", "missing", "unknown"})


def plan_spec(spec: Spec, conf: Conf, others: Sequence[Spec] = ()) -> Plan:
    """The plan for a spec; ``others`` are searched for the one that makes its source.

    Raises `ConfigError` for the first thing because of which catalyst would not begin.
    """
    refuse(spec, _FATAL.__contains__)
    target = TARGETS[spec.text("target")]
    texts = " ".join(setting.text for setting in spec.settings.values())
    return Plan(
        target=target.name,
        steps=steps_of(spec, conf.words("options")),
        inputs=tuple(_inputs(spec, conf, target, others)),
        outputs=outputs(spec, conf),
        values=tuple(_values(spec, conf, target)),
        tokens=tokens_in(texts),
    )


def _values(spec: Spec, conf: Conf, target: Target) -> Iterator[Given]:
    known = target.keys({key: each.words for key, each in spec.settings.items()})
    for key, setting in spec.settings.items():
        yield Given(key, setting.value, str(setting.origin), known[key])
    for key, value in conf.values.items():
        if key in spec.settings:  # compression_mode, which the spec has first
            continue
        origin = conf.origins.get(key)
        yield Given(key, value, "default" if origin is None else str(origin), CONF_KEYS[key])


def _inputs(spec: Spec, conf: Conf, target: Target, others: Sequence[Spec]) -> Iterator[Input]:
    if target.name == "snapshot":
        git = f"{conf.text('repos_storedir')}/{conf.text('repo_name')}.git"
        yield Input("repository", git, str(spec.origin("snapshot_treeish")))
        return
    yield _source(spec, conf, others)
    snapshot = snapshot_path(spec, conf)
    yield Input("snapshot", snapshot, str(spec.origin("snapshot_treeish")))
    for key, kind in host_files(spec, target.prefix).items():
        setting = spec.settings.get(key)
        for word, origin in zip(setting.words, setting.origins, strict=False) if setting else ():
            yield Input(kind, word, str(origin))
    yield from _caches(spec, conf)
    for key in ("distdir", "envscript"):
        if path := conf.text(key):
            yield Input(key, path, str(conf.origins.get(key, "default")))


def host_files(spec: Spec, prefix: str) -> Mapping[str, str]:
    """Keys whose words are files or directories, with what they are."""
    named = {
        "portage_confdir": "confdir",
        "repos": "repository",
        "interpreter": "interpreter",
        f"{prefix}/root_overlay": "root overlay",
        f"{prefix}/overlay": "overlay",
        f"{prefix}/fsscript": "fsscript",
        f"{prefix}/cdtar": "boot loader",
        f"{prefix}/linuxrc": "linuxrc",
        f"{prefix}/motd": "motd",
        f"{prefix}/readme": "readme",
        f"{prefix}/busybox_config": "busybox configuration",
    }
    labels = spec.words("boot/kernel")
    for label in labels:
        named[f"boot/kernel/{label}/config"] = "kernel configuration"
        named[f"boot/kernel/{label}/initramfs_overlay"] = "initramfs overlay"
    return named


def _source(spec: Spec, conf: Conf, others: Sequence[Spec]) -> Input:
    """The tarball, or with seedcache the root that an earlier stage left.

    Without an extension in the spec it is any file NAME.*, so the name of its maker's is taken.
    """
    path = spec.text("source_subpath")
    origin = str(spec.origin("source_subpath"))
    named = source_path(spec, conf)
    maker = makers(others, conf).get(named)
    if maker is None:
        return Input("source", named, origin)
    file = str(maker.file)
    if "seedcache" in conf.words("options") and path == subpath(maker):
        return Input("source", store_path(conf, "tmp", path), origin, file)
    tarball = next(each.path for each in outputs(maker, conf) if each.kind == "tarball")
    return Input("source", tarball, origin, file)


def _caches(spec: Spec, conf: Conf) -> Iterator[Input]:
    for option, name in (("pkgcache", "packages"), ("kerncache", "kerncache")):
        if option in conf.words("options"):
            given = spec.text(f"{option}_path")
            source = str(spec.origin(f"{option}_path")) if given else "default"
            yield Input(option, given or store_path(conf, name, unversioned(spec)), source)
