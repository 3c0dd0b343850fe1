"""A running Gentoo system as a project: one machine with its profile, world and /etc/portage."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cloche.config.chost import cpu_of
from cloche.config.sets import BUILT_IN
from cloche.errors import ClocheError
from cloche.importing.from_gentoomuch import SEEDS
from cloche.importing.kernels import doubts, is_configuration, of_packages
from cloche.importing.labels import plain_name
from cloche.importing.machine_file import MachineFile, machine_text, project_text
from cloche.importing.outcome import Imported, Omission, ProjectFile
from cloche.importing.portage_files import clean, clean_set, without_unknown_sets
from cloche.importing.repositories import Repositories, read_binrepos, read_repositories
from cloche.importing.settings import PLAIN, settings_of
from cloche.importing.stages import stage_for
from cloche.importing.system import System

DIRECTORY = "directory"  # a seed of the system itself
_EMERGE = ("--update", "--deep", "--newuse")
_DEFAULTS = "usr/share/portage/config/repos.conf"
_ETC = "etc/portage"
_NEVER = Omission(
    "passwords and keys (shadow(5), /etc/ssh, gnupg, *.key)", "secrets are never opened"
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user says: the machine's name (None: the host's), what it is built on.

    ``directory`` is where the system is on this host; None: it is on another one.
    """

    name: str | None = None
    seed: str = "stage3"
    directory: str | None = None


def project_of(system: System, source: str, wish: Wish) -> Imported:
    """The project. Raises ClocheError for a make.conf or a profile that cannot be used."""
    return _Import(system, source, wish).run()


class _Import:
    """Collects what becomes of a system."""

    def __init__(self, system: System, source: str, wish: Wish) -> None:
        self.system, self.source, self.wish = system, source, wish
        self.settings = settings_of(system)
        self.name = plain_name(wish.name or self.settings.keys.get("hostname") or "imported")
        self.files: dict[str, ProjectFile] = {}
        self.omissions = [_NEVER]
        self.checks: list[str] = []

    def run(self) -> Imported:
        """Decide on everything, in the order in which it is told."""
        self._unread()
        repositories = self._repositories()
        profile = self._profile(repositories)
        hosts = self._binrepos()
        has_fragment = self._fragment()
        sets = self._sets()
        seed, declared = self._seed(profile)
        comment = f"The system {self.source}, as `cloche import root` found it; see IMPORT.md."
        keys: dict[str, Any] = {"seed": seed, "profile": profile}
        keys |= {"portage": [self.name]} if has_fragment else {}
        keys["sets"] = sets if self.wish.seed == "debian" else [*sets, "system"]
        comments = {"portage": "Its /etc/portage.", "sets": f"{sets[0]} is its world file."}
        if self.wish.seed == "stage3":
            keys["emerge"] = list(_EMERGE)
            comments["emerge"] = "All of the stage3 gets these flags and versions."
        keys |= self.settings.keys
        if self._files():
            keys["files"] = [f"files/{self.name}"]
        self.omissions += self.settings.omissions
        file = MachineFile(
            comment,
            keys,
            comments,
            {"kernel": self._kernel(), **self.settings.tables, "output": {"stage4": True}},
        )
        self.files[f"machines/{self.name}.toml"] = ProjectFile(machine_text(file))
        tables = {"seeds": {seed: declared}, "repos": repositories.tables, "binrepos": hosts}
        text = f"Made of the system {self.source}; IMPORT.md has the details."
        self.files["cloche.toml"] = ProjectFile(project_text(text, tables))
        return Imported(
            self.source,
            self.files,
            (self.name,),
            omissions=tuple(self.omissions),
            checks=tuple(self.checks),
            seeds=(seed,),
            synced=tuple(n for n, table in repositories.tables.items() if "sync_type" in table),
        )

    def _unread(self) -> None:
        system = self.system
        self.omissions += [
            Omission(name, f"cannot be read: {why}", "run it again as root")
            for name, why in sorted(system.closed.items())
        ]
        why = "it holds keys or passwords, and was not opened"
        self.omissions += [Omission(name, why) for name in sorted(set(system.secret))]
        why = "user and password of an address are taken out"
        self.omissions += [Omission(name, why) for name in sorted(set(system.redacted))]

    def _texts(self, *names: str) -> list[tuple[str, str]]:
        """Configuration files, each of which may be a directory, in Portage's order."""
        found = []
        for name in names:
            inside = sorted(each for each in self.system.files if each.startswith(f"{name}/"))
            there = [name] if name in self.system.files else inside
            found += [(each, self.system.text(each)) for each in there]
        return found

    def _repositories(self) -> Repositories:
        texts = self._texts(_DEFAULTS, f"{_ETC}/repos.conf")
        found = read_repositories(texts, self.wish.directory)
        self.omissions += found.omissions
        if found.tables:
            return found
        self.checks.append("no repos.conf names a repository: gentoo is taken by webrsync")
        gentoo = {"gentoo": {"sync_type": "webrsync"}}
        return replace(found, tables=gentoo, locations={"gentoo": "/var/db/repos/gentoo"})

    def _binrepos(self) -> dict[str, Any]:
        tables, omissions = read_binrepos(self._texts(f"{_ETC}/binrepos.conf"))
        self.omissions += omissions
        if tables:
            self.checks.append(
                f"binary packages of {', '.join(tables)} are used if the machine's file says so: "
                "`binrepos = [...]`"
            )
        return tables

    def _profile(self, repositories: Repositories) -> str:
        """The profile as REPO:PATH. Raises ClocheError."""
        place, todo = f"{_ETC}/make.profile", "choose one there with `eselect profile set`"
        path = self.system.profile
        if not path:
            raise ClocheError("no profile is set", where=self._where(place), todo=todo)
        parents = [
            line.strip()
            for line in self.system.text(f"{path}/parent").splitlines()
            if line.strip() and not line.startswith("#")
        ]
        if path.startswith("etc/") and len(parents) == 1:  # a profile of its own
            if parents[0].partition(":")[0] in repositories.tables:
                return parents[0]
            path = posixpath.normpath(posixpath.join(path, parents[0]))
        found = profile_in(path, repositories.locations)
        if found is None:
            what = f"it leads to /{path}, which is in no repository of repos.conf"
            raise ClocheError(what, where=self._where(place), todo=todo)
        return found

    def _where(self, name: str) -> str:
        return f"{self.source} ({name})"

    def _fragment(self) -> bool:
        """The /etc/portage as a fragment; whether there is anything in it."""
        files = {}
        for name, content in self.system.below(_ETC).items():
            first, _, below = name.partition("/")
            if first != "make.profile":
                files[name] = content
            elif below not in ("parent", "eapi"):  # a profile of its own
                files[f"profile/{below}"] = content
        cleaned = clean(files, _ETC)
        self.omissions += cleaned.omissions
        for name, content in cleaned.fragment.items():
            self.files[f"portage/{self.name}/{name}"] = ProjectFile(content)
        for kind, found in (("sets", cleaned.sets), ("patches", cleaned.patches)):
            self.files |= {f"{kind}/{name}": ProjectFile(c) for name, c in found.items()}
        if any(b"-march=native" in content for content in cleaned.fragment.values()):
            text = "-march=native means the CPU of the host that builds; name that of the system"
            self.checks.append(text)
        return bool(cleaned.fragment)

    def _sets(self) -> list[str]:
        """The names of its sets, its world file first."""
        name, place = f"{self.name}-world", "var/lib/portage/world"
        cleaned, omissions = clean_set(self.system.content(place), place)
        self.omissions += omissions
        lines = sorted(line for line in cleaned.decode().splitlines() if line.strip())
        text = "\n".join((f"# The world file of {self.source}.", *lines))
        self.files[f"sets/{name}"] = ProjectFile(text.encode())
        files = {n: file.content for n, file in self.files.items() if n.startswith("sets/")}
        checked, omissions = without_unknown_sets(files)
        self.omissions += omissions
        self.files |= {name: ProjectFile(content) for name, content in checked.items()}
        names = [name]
        for word in self.system.text("var/lib/portage/world_sets").split():
            each = word.removeprefix("@")
            if f"sets/{each}" in self.files:
                names.append(each)
            elif each not in BUILT_IN:
                place = f"var/lib/portage/world_sets ({word})"
                self.omissions.append(Omission(place, "a set that only a running system has"))
        return list(dict.fromkeys(names))

    def _seed(self, profile: str) -> tuple[str, Mapping[str, Any]]:
        """The name and the declaration of what the machine is built on."""
        if self.wish.seed in SEEDS:
            return self.wish.seed, SEEDS[self.wish.seed]
        if self.wish.seed == DIRECTORY:
            return self.name, {"type": "directory", "path": self.wish.directory or ""}
        cpu = cpu_of(self.system.chost)
        arch = cpu.gentoo if cpu else "amd64"
        stage = stage_for(profile, arch, systemd=self.settings.systemd)
        if not stage.exact:
            self.checks.append(
                f"a stage3 of {stage.flavour} is a guess; see [seeds] in cloche.toml"
            )
        return stage.seed, {"type": "stage3", "arch": stage.arch, "flavour": stage.flavour}

    def _kernel(self) -> dict[str, str]:
        """The machine's [kernel], as far as a package has its sources."""
        file, found = f"kernels/{self.name}.config", dict(of_packages(self.system.packages))
        content = self.system.content(self.system.kernel) if self.system.kernel else b""
        if content:
            self.files[file] = ProjectFile(content)
        if "dist" in found:
            if content:
                why = f"a distribution kernel has its own; {file} is kept"
                self.omissions.append(Omission(f"{self.system.kernel} (the kernel)", why))
        elif not found:
            kept = f"; {file} is kept" if content else ""
            why = f"no package of kernel sources is installed{kept}"
            self.omissions.append(Omission(f"{self.system.kernel or 'boot'} (the kernel)", why))
        elif is_configuration(content) and content:
            found["config"] = file
            self.checks.append(doubts(file))
        else:
            why = "no configuration of a kernel was found; it gets `defconfig`"
            self.omissions.append(Omission(f"{self.system.kernel or 'boot'} (the kernel)", why))
        return found

    def _files(self) -> bool:
        """Write files of /etc for what has no key; whether there are any."""
        found = {name: self.system.content(name) for name in PLAIN}
        files = {f"files/{self.name}/{name}": c for name, c in found.items() if c.strip()}
        self.files |= {name: ProjectFile(content) for name, content in files.items()}
        return bool(files)


def profile_in(path: str, locations: Mapping[str, str]) -> str | None:
    """A profile by its path in the root, as REPO:PATH; None if no repository has it.

    A repository may be reached through links: then its directory has its name.
    """
    for name, location in locations.items():
        top = f"{location.strip('/')}/profiles/"
        if path.startswith(top) and path != top:
            return f"{name}:{path.removeprefix(top)}"
    above, found, below = path.partition("/profiles/")
    name = above.rpartition("/")[2]
    return f"{name}:{below}" if found and below and name in locations else None
