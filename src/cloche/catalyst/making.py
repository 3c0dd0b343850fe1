"""Collects the files of the project that a spec becomes, for the functions that yield machines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloche.catalyst.conf import Conf
from cloche.catalyst.emerge import EmergeCall
from cloche.catalyst.environment import environment
from cloche.catalyst.hooks import FSSCRIPT
from cloche.catalyst.keys import TARGETS
from cloche.catalyst.makeconf import building_conf, make_conf, use_flags
from cloche.catalyst.packing import MODES, packing
from cloche.catalyst.paths import compression_mode
from cloche.catalyst.spec import Spec
from cloche.catalyst.subarchs import Subarch
from cloche.config.atoms import is_name
from cloche.config.errors import ConfigError, Origin
from cloche.config.fragments import KNOWN

#: Names in /etc/portage that the configuration of a build leaves in a machine over its seed.
CONFIGURED = (
    *("make.conf", "make.profile", "repos.conf", "binrepos.conf", "bashrc", "categories"),
    *("env", "hooks", "license_groups", "modules", "package.*", "patches", "postsync.d"),
    *("profile", "repo.postsync.d", "savedconfig", "sets", "sets.conf"),
)
#: Directories whose files named `portage_prefix` are not part of a stage.
PREFIXED = (
    *("package.accept_keywords", "package.keywords", "package.mask", "package.unmask"),
    *("package.use", "package.env", "env", "profile/package.use.force"),
    "profile/package.use.mask",
)
#: Names in a confdir that catalyst itself writes, or that cloche gets from elsewhere.
NOT_OF_A_CONFDIR = ("make.conf", "make.profile", "repos.conf", "binrepos.conf", "mirrors")

_PLAIN = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9._+-]*")  # a name that a shell takes as it is
_FLAG = re.compile(r"-\*|[+-]?[A-Za-z0-9][A-Za-z0-9+_@-]*")  # PMS 3.1.4

#: The name of the pkgcache in a project whose machines may take packages from it.
PKGCACHE = "pkgcache"


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link with its target as text."""

    target: str


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy of a file or directory that the spec names, without the relative paths in ``without``.

    A file gets ``mode``, or keeps its own without one. If ``only`` has names, only these are copied
    from the top of a directory.
    """

    source: Path
    without: tuple[str, ...] = ()
    mode: int | None = None
    only: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Unpacked:
    """The content of a tarball, as a directory."""

    source: Path


Content = str | Link | Copied | Unpacked
Machines = Iterator[tuple[str, dict[str, Any]]]
"""The machines of a target: names, and the content of their files; the last one is the target."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project's files by their paths, and its machines in their order: the last is the target."""

    files: Mapping[str, Content]
    machines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inputs:
    """A spec's inputs besides its own text.

    ``source`` is the tarball that it starts from, ``snapshot`` the squashfs of the tree.
    ``overlays`` are its repositories by name, ``build_packages`` the profile's list for stage1,
    ``calls`` the calls of emerge in the tree's bootstrap.sh. ``pkgcache`` is a directory of binary
    packages and their index that may be used, ``interpreters`` are the programs that run the
    source's, and ``exported`` has the variables that envscript exports.
    """

    subarch: Subarch
    source: Path
    snapshot: Path
    overlays: Mapping[str, Path] = field(default_factory=dict)
    build_packages: tuple[str, ...] = ()
    calls: tuple[EmergeCall, ...] = ()
    pkgcache: Path | None = None
    interpreters: tuple[Path, ...] = ()
    exported: Mapping[str, str] = field(default_factory=dict)


def profile_of(spec: Spec, conf: Conf) -> tuple[str, str]:
    """The repository of a spec's profile, the main one unless it is REPO:PATH, and the path."""
    repo, _, path = spec.text("profile").rpartition(":")
    return repo or conf.text("repo_name"), path


class Making:
    """Collects the files of a project."""

    def __init__(self, spec: Spec, conf: Conf, inputs: Inputs) -> None:
        self.spec, self.conf, self.inputs = spec, conf, inputs
        self.target = TARGETS[spec.text("target")]
        self.repo = conf.text("repo_name")
        self.files: dict[str, Content] = {}
        self.seeds: dict[str, dict[str, Any]] = {}  # besides the source and the machines
        _check_use(spec, f"{self.target.prefix}/use")
        exported = inputs.exported
        self.fragment("catalyst", {"make.conf": building_conf(spec, inputs.subarch, exported)})
        self.use = (*use_flags(spec, conf, building=True), *exported.get("USE", "").split())
        self.fragment("use", {"make.conf": f'USE="{" ".join(self.use)}"\n'})
        self.confdirs: tuple[str, ...] = ()
        if confdir := spec.text("portage_confdir"):
            self.files["portage/confdir"] = Copied(Path(confdir), NOT_OF_A_CONFDIR, only=KNOWN)
            self.confdirs = ("confdir",)

    def declared(self, machines: tuple[str, ...]) -> dict[str, Any]:
        """``cloche.toml``: the source, each machine that is the seed of the next, the trees."""
        interpreters = [str(path) for path in self.inputs.interpreters]
        emulated = {"interpreter": interpreters} if interpreters else {}
        seeds = {"source": {"type": "tarball", "path": str(self.inputs.source), **emulated}}
        for name in machines[:-1]:
            seeds[name] = {"type": "machine", "machine": name, **emulated}
        seeds |= self.seeds
        snapshot = {
            "sync_type": "squashfs",
            "sync_uri": f"file://{self.inputs.snapshot}",
            "sync_verify": False,
            "main": True,
        }
        overlays = {name: {"path": str(path)} for name, path in self.inputs.overlays.items()}
        build = {"distfiles": self.conf.text("distdir")}
        found = {"seeds": seeds, "repos": {self.repo: snapshot, **overlays}, "build": build}
        if (pkgcache := self.inputs.pkgcache) is not None:
            host = {"sync_uri": f"file://{pkgcache}", "verify_signature": False}
            found["binrepos"] = {PKGCACHE: host}
        return found

    def fragment(self, name: str, files: Mapping[str, str]) -> None:
        """Add a fragment."""
        self.files |= {f"portage/{name}/{path}": text for path, text in files.items()}

    def machine(self, seed: str, *fragments: str, use: bool = True, **more: Any) -> dict[str, Any]:
        """A machine's file, with the spec's USE unless one of the fragments has it.

        Build dependencies of packages over a seed stay, as emerge leaves them in a chroot.
        """
        if more.get("root") != "own" and ("packages" in more or "sets" in more):
            more = {"with_build_deps": True, **more}
        profile = ":".join(profile_of(self.spec, self.conf))
        portage = [*self.confdirs, "catalyst", *(["use"] if use else []), *fragments]
        binary = {} if self.inputs.pkgcache is None else {"binrepos": [PKGCACHE]}
        return {"seed": seed, "profile": profile, "portage": portage, **binary, **more}

    def between(self, seed: str, *fragments: str, use: bool = True, **more: Any) -> dict[str, Any]:
        """The file of a machine that is only the seed of the next one.

        Its configuration is removed: it would have no effect there, but would keep packages from
        being shared with specs that have another one, such as another profile.
        """
        finish = [{"remove": [f"/etc/portage/{name}" for name in CONFIGURED]}]
        return self.machine(seed, *fragments, use=use, finish=finish, **more)

    def words(self, key: str) -> list[str]:
        """The words of one of the target's own keys."""
        return list(self.spec.words(f"{self.target.prefix}/{key}"))

    def text(self, key: str) -> str:
        """The value of one of the target's own keys, words with a space between them."""
        return self.spec.text(f"{self.target.prefix}/{key}")

    def origin(self, key: str) -> Origin:
        """The place of one of the target's own keys."""
        return self.spec.origin(f"{self.target.prefix}/{key}")

    def configuration(self, *, confdir: bool = True) -> list[dict[str, Any]]:
        """Steps that leave in /etc/portage what catalyst leaves there."""
        place = "finish/etc/portage"
        prefix = self.spec.text("portage_prefix")
        if confdir and self.confdirs:
            named = tuple(f"{each}/{prefix}" for each in PREFIXED) if prefix else ()
            without = (*NOT_OF_A_CONFDIR, "patches", *named)
            source = Path(self.spec.text("portage_confdir"))
            self.files[place] = Copied(source, without)
        text = make_conf(self.spec, self.conf, self.inputs.subarch)
        self.files[f"{place}/make.conf"] = text
        repos = self.conf.text("repo_basedir")
        self.files[f"{place}/make.profile"] = self.profile_link
        for name in self.kept_repositories():
            text = f"[{name}]\nlocation = {repos}/{name}\n"
            self.files[f"{place}/repos.conf/{name}.conf"] = text
        binrepo = self.spec.text("binrepo_path") if confdir else ""
        if self.conf.text("binhost") and binrepo:
            self.files[f"{place}/binrepos.conf/gentoo.conf"] = (
                f"[gentoo]\npriority = 1\nsync-uri = {self.conf.text('binhost')}{binrepo}\n"
                "location = /var/cache/binhost/gentoo\nverify-signature = true\n"
            )
        return [{"files": "finish"}]

    @property
    def profile_link(self) -> Link:
        """/etc/portage/make.profile."""
        repo, path = profile_of(self.spec, self.conf)
        return Link(f"../..{self.conf.text('repo_basedir')}/{repo}/profiles/{path}")

    @property
    def tarball(self) -> dict[str, Any]:
        """``[output]`` for a tarball that is packed as the spec has it. Raises `ConfigError`."""
        mode = compression_mode(self.spec, self.conf)
        if (found := packing(mode)) is None:
            what = f"cloche cannot pack with “{mode}”"
            origin = self.spec.origin("compression_mode")
            raise ConfigError(origin, what, f"use one of {', '.join(MODES)}")
        self.seeds |= found.seeds
        return dict(found.output)

    def kept_repositories(self) -> Iterator[str]:
        """The names of `keep_repos`, each of which names a file. Raises `ConfigError`."""
        for name, origin in self.spec.placed_words("keep_repos"):
            if not is_name(name):
                raise ConfigError(origin, f"“{name}” is not the name of a repository")
            yield name

    @property
    def repositories_owned(self) -> dict[str, Any]:
        """The step that gives the repositories in a root of its own to the user portage."""
        return {"owners": [f"portage:portage {self.conf.text('repo_basedir')}"]}

    def overlays(self, key: str, below: str = "") -> Iterator[dict[str, Any]]:
        """Steps that copy the directories of a key over the root, or to a place in it."""
        for number, directory in enumerate(self.words(key)):
            self.files[f"{key}/{number}{below}"] = Copied(Path(directory))
            yield {"files": f"{key}/{number}"}

    def script(self, name: str, script: str, variables: Mapping[str, str]) -> dict[str, Any]:
        """A step that runs a script of cloche's own, which sees only these variables."""
        self.files[f"hooks/{name}"] = script
        return {"hook": f"hooks/{name}", "environment": dict(variables)}

    def hook(self, name: str, script: Content) -> dict[str, Any]:
        """A step that runs a script with catalyst's environment."""
        self.files[f"hooks/{name}"] = script
        found = dict(environment(self.spec, self.conf, self.inputs.subarch))
        return {"hook": f"hooks/{name}", "environment": found}

    def fsscript(self, script: Path) -> dict[str, Any]:
        """The step that runs a spec's own script: in /tmp, beside envscript, as in catalyst."""
        name = script.name if _PLAIN.fullmatch(script.name) else "fsscript"
        self.files[f"hooks/tmp/{name}"] = Copied(script, mode=0o755)
        if envscript := self.conf.text("envscript"):
            self.files["hooks/tmp/envscript"] = Copied(Path(envscript), mode=0o644)
        return {**self.hook("fsscript", FSSCRIPT.format(name=name)), "inputs": "hooks/tmp"}


def _check_use(spec: Spec, key: str) -> None:
    """See that each word of USE is a flag: make.conf has them in one line. Raises `ConfigError`."""
    for word, origin in spec.placed_words(key):
        if not _FLAG.fullmatch(word):
            raise ConfigError(origin, f"{key}: “{word}” is not a USE flag", "for example -nls")


def keys_of(call: EmergeCall, origin: Origin) -> dict[str, Any]:
    """Keys of a machine for a call of emerge. Raises `ConfigError` for unknown options."""
    if call.unknown:
        what = f"calls emerge with {call.unknown[0]}, which cannot be followed yet"
        raise ConfigError(origin, what, "do without it, or set it in the files of portage_confdir")
    sets = [atom[1:] for atom in call.atoms if atom.startswith("@")]
    if "world" in sets:  # nothing else is in the world of a stage
        sets = [*(each for each in sets if each != "world"), "system", "profile"]
    atoms = [atom for atom in call.atoms if not atom.startswith("@")]
    found = {"emerge": list(call.options), "sets": sets, "packages": atoms}
    return {key: value for key, value in found.items() if value}
