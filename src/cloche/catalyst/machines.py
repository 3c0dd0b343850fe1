"""A spec as machines of cloche: the files of a project that make the same stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloche.catalyst.conf import Conf
from cloche.catalyst.emerge import EmergeCall, emerge_call
from cloche.catalyst.environment import environment
from cloche.catalyst.hooks import STAGE1, STAGE2, STAGE3
from cloche.catalyst.keys import TARGETS
from cloche.catalyst.makeconf import building_conf, building_use, make_conf, use_flags
from cloche.catalyst.paths import compression_mode
from cloche.catalyst.spec import Spec
from cloche.catalyst.subarchs import Subarch
from cloche.config.atoms import is_name
from cloche.config.errors import ConfigError, Origin
from cloche.config.toml import dumps

#: What the configuration of a build leaves in /etc/portage of a machine over its seed.
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
#: What a confdir has that is catalyst's own to write, or that cloche has from elsewhere.
NOT_OF_A_CONFDIR = ("make.conf", "make.profile", "repos.conf", "binrepos.conf", "mirrors")

#: Ways to pack, with cloche's word for the format.
_COMPRESSION = {
    **{"zstd": "zstd", "xz": "xz", "pixz": "xz", "gzip": "gzip"},
    **{"bzip2": "bzip2", "lbzip2": "bzip2", "tar": "none"},
}
#: FEATURES of stage1 and stage2.
NODOC_FEATURES = "nodoc noman noinfo"
NODOC = f'FEATURES="{NODOC_FEATURES}"\n'


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link with its target as text."""

    target: str


@dataclass(frozen=True, slots=True)
class Copied:
    """A file or directory of the spec's, copied; names in ``without`` (relative) are left out."""

    source: Path
    without: tuple[str, ...] = ()


Content = str | Link | Copied


@dataclass(frozen=True, slots=True)
class Project:
    """A project's files by their paths, and its machines in their order: the last is the target."""

    files: Mapping[str, Content]
    machines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is known of a spec's inputs besides its words.

    ``source`` is the tarball that it starts from, ``snapshot`` the squashfs of the tree.
    ``overlays`` are its repositories by name, ``build_packages`` the profile's list for stage1,
    ``calls`` what the tree's bootstrap.sh asks of emerge.
    """

    subarch: Subarch
    source: Path
    snapshot: Path
    overlays: Mapping[str, Path] = field(default_factory=dict)
    build_packages: tuple[str, ...] = ()
    calls: tuple[EmergeCall, ...] = ()


def project_of(spec: Spec, conf: Conf, inputs: Inputs) -> Project:
    """The project for a spec. Raises `ConfigError` for a target that is not there yet."""
    target = spec.text("target")
    if target not in _MACHINES:
        what = f"“{target}” cannot be built yet"
        raise ConfigError(spec.origin("target"), what, f"there is: {', '.join(_MACHINES)}")
    making = _Making(spec, conf, inputs)
    machines = dict(_MACHINES[target](making))
    files: dict[str, Content] = {"cloche.toml": dumps(making.declared(tuple(machines)))}
    for name, machine in machines.items():
        files[f"machines/{name}.toml"] = dumps(machine)
    return Project(files | making.files, tuple(machines))


def profile_of(spec: Spec, conf: Conf) -> tuple[str, str]:
    """The repository of a spec's profile, the main one unless it is REPO:PATH, and the path."""
    repo, _, path = spec.text("profile").rpartition(":")
    return repo or conf.text("repo_name"), path


class _Making:
    """Collects the files of a project."""

    def __init__(self, spec: Spec, conf: Conf, inputs: Inputs) -> None:
        self.spec, self.conf, self.inputs = spec, conf, inputs
        self.target = TARGETS[spec.text("target")]
        self.repo = conf.text("repo_name")
        self.files: dict[str, Content] = {}
        self.fragment("catalyst", {"make.conf": building_conf(spec, inputs.subarch)})
        use = " ".join(use_flags(spec, conf, building=True))
        self.fragment("use", {"make.conf": f'USE="{use}"\n'})
        self.confdirs: tuple[str, ...] = ()
        if confdir := spec.text("portage_confdir"):
            self.files["portage/confdir"] = Copied(Path(confdir), NOT_OF_A_CONFDIR)
            self.confdirs = ("confdir",)

    def declared(self, machines: tuple[str, ...]) -> dict[str, Any]:
        """``cloche.toml``: the source, each machine that is the seed of the next, the trees."""
        seeds = {"source": {"type": "tarball", "path": str(self.inputs.source)}}
        seeds |= {name: {"type": "machine", "machine": name} for name in machines[:-1]}
        snapshot = {
            "sync_type": "squashfs",
            "sync_uri": f"file://{self.inputs.snapshot}",
            "sync_verify": False,
            "main": True,
        }
        overlays = {name: {"path": str(path)} for name, path in self.inputs.overlays.items()}
        build = {"distfiles": self.conf.text("distdir")}
        return {"seeds": seeds, "repos": {self.repo: snapshot, **overlays}, "build": build}

    def fragment(self, name: str, files: Mapping[str, str]) -> None:
        """Add a fragment."""
        self.files |= {f"portage/{name}/{path}": text for path, text in files.items()}

    def machine(self, seed: str, *fragments: str, use: bool = True, **more: Any) -> dict[str, Any]:
        """A machine's file, with the spec's USE unless one of the fragments has it."""
        profile = ":".join(profile_of(self.spec, self.conf))
        portage = [*self.confdirs, "catalyst", *(["use"] if use else []), *fragments]
        return {"seed": seed, "profile": profile, "portage": portage, **more}

    def words(self, key: str) -> list[str]:
        """The words of one of the target's own keys."""
        found = self.spec.settings.get(f"{self.target.prefix}/{key}")
        return list(found.words) if found else []

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
        repo, path = profile_of(self.spec, self.conf)
        self.files[f"{place}/make.profile"] = Link(f"../..{repos}/{repo}/profiles/{path}")
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
    def tarball(self) -> dict[str, Any]:
        """``[output]`` for a tarball that is packed as the spec has it. Raises `ConfigError`."""
        mode = compression_mode(self.spec, self.conf)
        if (word := _COMPRESSION.get(mode.removesuffix("_x"))) is None:
            what = f"cloche cannot pack with “{mode}”"
            origin = self.spec.origin("compression_mode")
            raise ConfigError(origin, what, f"there is: {', '.join(_COMPRESSION)}")
        return {"stage4": True, "compression": word}

    def kept_repositories(self) -> Iterator[str]:
        """The names of `keep_repos`, each of which names a file. Raises `ConfigError`."""
        setting = self.spec.settings.get("keep_repos")
        for name, origin in zip(setting.words, setting.origins, strict=True) if setting else ():
            if not is_name(name):
                raise ConfigError(origin, f"“{name}” is not the name of a repository")
            yield name

    @property
    def repositories_owned(self) -> dict[str, Any]:
        """The step that makes portage the owner of its repositories, in a root of its own."""
        return {"owners": [f"portage:portage {self.conf.text('repo_basedir')}"]}

    def hook(self, name: str, script: Content) -> dict[str, Any]:
        """A step that runs a script with catalyst's environment."""
        self.files[f"hooks/{name}"] = script
        return {"hook": f"hooks/{name}", "environment": dict(environment(self.spec, self.conf))}


_WORLD = ("--update", "--deep", "--newuse", "@world")
Machines = Iterator[tuple[str, dict[str, Any]]]


def _stage1(making: _Making) -> Machines:
    """The profile's packages.build in a root of its own, after the seed was updated if asked to."""
    spec, seed = making.spec, "source"
    making.fragment("stage", {"make.conf": NODOC})
    if spec.text("update_seed") == "yes":
        yield "seed", making.machine("source", "stage", **_update(spec))
        seed = "seed"
    elif spec.text("update_seed") not in ("", "no"):
        raise ConfigError(spec.origin("update_seed"), "neither yes nor no", "write yes or no")
    use = ("-*", "build", *building_use(spec, making.conf), "${BOOTSTRAP_USE}")
    making.fragment(
        "stage1",
        {"make.conf": f'{NODOC}USE="{" ".join(use)}"\n'},
    )
    finish = [
        making.hook("stage1", STAGE1),
        {"remove": [f"/usr/share/{name}/*" for name in ("doc", "info", "man")]},
        *making.configuration(confdir=False),
        making.repositories_owned,
    ]
    yield (
        "stage1",
        making.machine(
            seed,
            "stage1",
            use=False,
            root="own",
            packages=list(making.inputs.build_packages),
            emerge=["--oneshot", "--implicit-system-deps=n"],
            output={**making.tarball, "portage": False, "needs": "warn"},
            finish=finish,
        ),
    )


def _update(spec: Spec) -> dict[str, Any]:
    """What updates the seed: the options and atoms of update_seed_command."""
    given = spec.settings.get("update_seed_command")
    call = emerge_call(given.words if given else _WORLD)
    return keys_of(call, spec.origin("update_seed_command"))


def _stage2(making: _Making) -> Machines:
    """The calls of emerge in bootstrap.sh, each a machine over the one before."""
    seed, script = "source", Origin(Path(making.repo, "scripts/bootstrap.sh"))
    calls = making.inputs.calls or (EmergeCall((), ("@system",)),)  # before they are known
    finish = [making.hook("stage2", STAGE2), *_cleaned(making)]
    for number, each in enumerate(calls, 1):
        last = number == len(calls)
        name = "stage2" if last else f"stage2-{number}"
        use = "" if each.use is None else f'USE="{each.use}"\n'
        making.fragment(name, {"make.conf": NODOC + use})
        more = {"output": making.tarball, "finish": finish} if last else {}
        yield name, making.machine(seed, name, use=not use, **keys_of(each, script), **more)
        seed = name


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


def _stage3(making: _Making) -> Machines:
    """@system with its build dependencies in a root of its own."""
    finish = [making.hook("stage3", STAGE3), *making.configuration(), making.repositories_owned]
    yield (
        "stage3",
        making.machine(
            "source",
            root="own",
            with_build_deps=True,
            sets=["system"],
            emerge=["--oneshot"],
            output={**making.tarball, "portage": False, "needs": "warn"},
            finish=finish,
        ),
    )


def _packages(making: _Making, *options: str) -> Machines:
    """Packages over the source."""
    call = emerge_call((*options, *making.words("packages")))
    name = making.target.name
    yield (
        name,
        making.machine(
            "source",
            **keys_of(call, making.spec.origin(f"{making.target.prefix}/packages")),
            output=making.tarball,
            finish=[*_finish(making), *_cleaned(making)],
        ),
    )


def _stage4(making: _Making) -> Machines:
    """@system as the source's profile now has it, then the packages over it."""
    for name, machine in _packages(making):
        yield (
            "system",
            making.machine("source", sets=["system"], emerge=["--update", "--oneshot"]),
        )
        yield name, machine | {"seed": "system"}


def _livecd_stage1(making: _Making) -> Machines:
    return _packages(making, "--update", "--deep", "--newuse")


def _finish(making: _Making) -> Iterator[dict[str, Any]]:
    """What stage4 and its like do to the root, in catalyst's order."""
    for number, directory in enumerate(making.words("root_overlay")):
        making.files[f"root_overlay/{number}"] = Copied(Path(directory))
        yield {"files": f"root_overlay/{number}"}
    if script := making.words("fsscript"):
        yield making.hook("fsscript", Copied(Path(script[0])))
    for key, kind in (("rcadd", "services_on"), ("rcdel", "services_off")):
        if services := making.words(key):
            yield {kind: services}
    for key, kind in (("unmerge", "unmerge"), ("rm", "remove"), ("groups", "groups")):
        if words := making.words(key):
            yield {kind: words}
    if users := making.words("users"):
        yield {"users": users}
    if directories := making.words("empty"):
        yield {"empty": directories}


def _cleaned(making: _Making) -> Iterator[dict[str, Any]]:
    """What `clean` leaves: no backups, and /etc/portage as a stage has it."""
    yield {"remove": ["/etc/*-", *(f"/etc/portage/{name}" for name in CONFIGURED)]}
    yield from making.configuration()


#: The machines of each target that there is; the last one is the target.
_MACHINES: Mapping[str, Callable[[_Making], Machines]] = {
    "stage1": _stage1,
    "stage2": _stage2,
    "stage3": _stage3,
    "stage4": _stage4,
    "livecd-stage1": _livecd_stage1,
}
