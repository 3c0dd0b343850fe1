"""A gentoomuch configuration as a project: each stage4 a machine, each directory a fragment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from cloche.config.atoms import atom_fault
from cloche.config.sets import BUILT_IN
from cloche.importing.gentoomuch import BUILDER, Definition, Gentoomuch
from cloche.importing.gentoomuch_merges import lost_in_gentoomuch, what_gentoomuch_did
from cloche.importing.kernels import GENTOO_SOURCES, doubts, is_configuration
from cloche.importing.labels import free_name, plain_name
from cloche.importing.machine_file import MachineFile, machine_text, project_text
from cloche.importing.outcome import Conflict, Imported, Omission, ProjectFile
from cloche.importing.portage_files import clean, clean_set, without_unknown_sets
from cloche.importing.repositories import Repositories, read_repositories
from cloche.importing.settling import Part, settle
from cloche.importing.stages import Stage, stage_named

#: Options of emerge with which gentoomuch made its stages.
_EMERGE = ("--update", "--deep", "--newuse")
SEEDS: Mapping[str, Mapping[str, Any]] = {"debian": {"type": "debian", "suite": "bookworm"}}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user says of the project.

    ``seed`` is "stage3" or another name of `SEEDS`; ``profiles`` are REPO:PATH for gentoomuch's
    names of profiles, under "" for all others.
    """

    seed: str = "stage3"
    profiles: Mapping[str, str] = field(default_factory=dict)


def project_of(config: Gentoomuch, source: str, wishes: Wishes) -> Imported:
    """The project. Raises ClocheError for files that cannot be read at all."""
    return _Import(config, source, wishes).run()


class _Import:
    """Collects what becomes of a configuration."""

    def __init__(self, config: Gentoomuch, source: str, wishes: Wishes) -> None:
        self.config, self.source, self.wishes = config, source, wishes
        self.files: dict[str, ProjectFile] = {}
        self.omissions = list(config.omissions)
        self.checks: list[str] = []
        self.conflicts: dict[tuple[str, ...], Conflict] = {}
        self.parts: dict[str, Part] = {}
        self.has_gentoo = False
        self.seeds: dict[str, Mapping[str, Any]] = {}
        self.variants: dict[str, dict[tuple[tuple[str, bytes], ...], list[str]]] = {}

    def run(self) -> Imported:
        """Decide on everything, in the order in which it is told."""
        repositories = self._repositories()
        self.has_gentoo = "gentoo" in repositories.tables
        self._fragments()
        self._sets()
        self._patches()
        self._kernels()
        self._scripts()
        machines = self._machines()
        self._write_fragments(machines)
        repos = dict(repositories.tables)
        of_profiles = {
            machine.keys["profile"].partition(":")[0] for machine, _ in machines.values()
        }
        if "gentoo" in of_profiles - repos.keys():  # a stage3 has it in any case
            repos = {"gentoo": {"sync_type": "webrsync"}, **repos}
            self.checks.append("no repos.conf names gentoo: it is taken by webrsync")
        tables = {"seeds": self.seeds, "repos": repos}
        text = f"Made of the gentoomuch configuration {self.source}; IMPORT.md has the details."
        self.files["cloche.toml"] = ProjectFile(project_text(text, tables))
        return Imported(
            self.source,
            self.files,
            tuple(machines),
            tuple(self.conflicts.values()),
            tuple(dict.fromkeys(self.omissions)),
            tuple(dict.fromkeys(self.checks)),
            tuple(self.seeds),
            tuple(name for name, table in repos.items() if "sync_type" in table),
        )

    def _repositories(self) -> Repositories:
        """Those of portage.global, which all stages have."""
        texts = [
            (f"portage.global/{name}", content.decode(errors="replace"))
            for name, content in sorted(self.config.portage_global.items())
            if name.partition("/")[0] == "repos.conf"
        ]
        found = read_repositories(texts, None)
        self.omissions += found.omissions
        return found

    def _fragments(self) -> None:
        """Directories of an /etc/portage as fragments, their sets and patches as the project's."""
        config = self.config
        sources = [
            ("cpu.defines", f"cpu-{name}", name, files) for name, files in config.cpus.items()
        ]
        sources += [("portage.global", "global", "", config.portage_global)]
        sources += [("portage.locals", name, name, f) for name, f in config.portage_locals.items()]
        for top, wanted, name, files in sources:
            place = f"{top}/{name}" if name else top
            label = free_name(plain_name(wanted), {each.name for each in self.parts.values()})
            cleaned = clean(files, place)
            self.omissions += cleaned.omissions
            self.parts[place] = Part(label, place, cleaned.fragment)
            for below, content in cleaned.sets.items():
                self._add(f"sets/{below}", content, f"{place}/sets/{below}")
            for below, content in cleaned.patches.items():
                self._add(f"patches/{below}", content, f"{place}/patches/{below}")

    def _add(self, name: str, content: bytes, place: str, *, executable: bool = False) -> None:
        """A file of the project; another one of its name holds if it is there already."""
        kept = self.files.setdefault(name, ProjectFile(content, executable))
        if kept.content != content:
            self.omissions.append(Omission(place, f"another file is {name} of the project already"))

    def _sets(self) -> None:
        for name, content in sorted(self.config.sets.items()):
            label, place = plain_name(name), f"package.sets/{name}"
            cleaned, omissions = clean_set(content, place)
            self.omissions += omissions
            self._add(f"sets/{label}", cleaned, place)
            if label != name:
                self.checks.append(f"the set {name} is called {label}")
        sets = {n: file.content for n, file in self.files.items() if n.startswith("sets/")}
        checked, omissions = without_unknown_sets(sets)
        self.omissions += omissions
        self.files |= {name: ProjectFile(content) for name, content in checked.items()}

    def _patches(self) -> None:
        """All of user.patches, which gentoomuch applies to every stage."""
        whose: dict[str, str] = {}
        for name, files in sorted(self.config.patches.items()):
            for path, content in sorted(files.items()):
                place = f"user.patches/{name}/{path}"
                if path.count("/") != 2 or not path.endswith((".patch", ".diff")):
                    why = "not CATEGORY/PACKAGE-VERSION/NAME.patch"
                    self.omissions.append(Omission(place, why))
                    continue
                package = path.rpartition("/")[0]
                if whose.setdefault(package, name) != name:
                    self.checks.append(
                        f"{package} has patches of {whose[package]} and of {name}: gentoomuch "
                        "stops there, here they are applied in the order of their names"
                    )
                target = f"patches/{path}"
                if target in self.files:
                    target = f"patches/{package}/{name}-{PurePosixPath(path).name}"
                self._add(target, content, place)

    def _kernels(self) -> None:
        for name, content in sorted(self.config.kernels.items()):
            self._add(f"kernels/{plain_name(name)}.config", content, f"kernel.configs/{name}.kconf")

    def _scripts(self) -> None:
        """All of user.scripts, which gentoomuch's shell runs if they do not name another one."""
        for name, script in sorted(self.config.scripts.items()):
            content = script if script.startswith(b"#!") else b"#!/bin/bash\n" + script
            self._add(f"hooks/{plain_name(name)}", content, f"user.scripts/{name}", executable=True)

    def _machines(self) -> dict[str, tuple[MachineFile, tuple[Part, ...]]]:
        """A machine for each stage4, and for each stage3 that no stage4 is made of."""
        found: dict[str, tuple[MachineFile, tuple[Part, ...]]] = {}
        used = set()
        for name, stage4 in self.config.stage4s.items():
            stage3 = self.config.stage3s.get(stage4.word("stage3"))
            if stage3 is None:
                why = f"its stage3 “{stage4.word('stage3')}” is not in stage3.defines"
                self.omissions.append(Omission(f"stage4.defines/{name}", why))
                continue
            used.add(stage3.name)
            label = free_name(plain_name(name), found)
            found[label] = self._machine(label, stage3, stage4)
        for name, stage3 in self.config.stage3s.items():
            if name not in used:
                label = free_name(plain_name(name), found)
                found[label] = self._machine(label, stage3, None)
            if name == BUILDER:
                self.checks.append(
                    f"cloche needs no builder: machines/{plain_name(name)}.toml is only a machine "
                    "like others, and can be removed"
                )
        lists = [*self.config.stage4s.values(), *self.config.stage3s.values()]
        listed = {name for each in lists for name in each.lines("removes")}
        for name in sorted(self.config.removes.keys() - listed):
            self.omissions.append(Omission(f"user.removes/{name}", "no stage4 uses it"))
        return found

    def _machine(
        self, label: str, stage3: Definition, stage4: Definition | None
    ) -> tuple[MachineFile, tuple[Part, ...]]:
        parts = self._settled(label, stage3)
        place = (
            f"stage3.defines/{stage3.name}" if stage4 is None else f"stage4.defines/{stage4.name}"
        )
        stage = self._stage(label, stage4.word("profile") if stage4 else "")
        seed = self._seed(stage)
        packages, sets = self._asked(stage3)
        if self.wishes.seed == "stage3" or not (packages or sets):
            sets.append("system")
        asked = {"sets": sets, "packages": sorted(packages)}
        keys: dict[str, Any] = {
            "seed": seed,
            "profile": stage.profile,
            "portage": [],  # when all machines are known
            **{key: words for key, words in asked.items() if words},
        }
        comments = {"portage": "cpu.defines, portage.global, then portage.locals in their order."}
        if self.wishes.seed == "stage3":
            keys["emerge"] = list(_EMERGE)
            comments["emerge"] = "As gentoomuch: all of the stage3 gets these flags and versions."
        comment = f"Was {place}" + (f", made of stage3.defines/{stage3.name}." if stage4 else ".")
        name = stage4.word("kconf", "kernel") if stage4 else ""
        kernel = self._kernel(name, place, stage.profile) if name else {}
        if stage4 and stage3.lines("scripts"):
            why = "gentoomuch runs them for its builder alone"
            self.omissions.append(Omission(f"stage3.defines/{stage3.name}/scripts", why))
        if hooks := list(self._hooks(stage4 or stage3, place)):
            keys["hooks"] = hooks
        if removes := sorted(set(self._removes(stage4 or stage3, place))):
            keys["remove"] = removes
            comments["remove"] = "After the hooks."
        output = {"stage4": True, "compression": "gzip"} if stage4 else {}
        return MachineFile(comment, keys, comments, {"kernel": kernel, "output": output}), parts

    def _settled(self, label: str, stage3: Definition) -> tuple[Part, ...]:
        """The fragments of a stage, without contradictions."""
        place = f"stage3.defines/{stage3.name}"
        wanted = [f"cpu.defines/{stage3.word('cpu')}"] if stage3.word("cpu") else []
        wanted += ["portage.global"]
        wanted += [f"portage.locals/{name}" for name in stage3.lines("portage.local", "flags")]
        parts = []
        for each in dict.fromkeys(wanted):
            if each in self.parts:
                parts.append(self.parts[each])
            else:
                self.omissions.append(Omission(f"{place} ({each})", "there is no such directory"))
        settled, conflicts = settle(parts, label, what_gentoomuch_did)
        for one in conflicts:
            key = (one.subject, one.first, one.first_value, one.second, one.second_value)
            kept = self.conflicts.get(key, replace(one, machines=()))
            self.conflicts[key] = replace(kept, machines=(*kept.machines, label))
        for text in sorted(set(lost_in_gentoomuch(parts))):
            self.checks.append(text)
        for part in settled:
            content = tuple(sorted(part.files.items()))
            self.variants.setdefault(part.place, {}).setdefault(content, []).append(label)
        return settled

    def _stage(self, label: str, name: str) -> Stage:
        """The stage3 and profile of a machine. gentoomuch knows its profiles by free names."""
        stage = stage_named(name, self.config.arch)
        given = self.wishes.profiles.get(name) or self.wishes.profiles.get("")
        if given:
            return replace(stage, profile=given)
        if not stage.exact:
            what = f"its profile “{name}” is only a name" if name else "it has no profile"
            self.checks.append(
                f"machine {label}: {what}; {stage.profile} and a stage3 of {stage.flavour} are a "
                f"guess (--profile {f'{name}=' if name else ''}REPO:PATH)"
            )
        return stage

    def _seed(self, stage: Stage) -> str:
        name = stage.seed if self.wishes.seed == "stage3" else self.wishes.seed
        self.seeds[name] = SEEDS.get(self.wishes.seed) or {
            "type": "stage3",
            "arch": stage.arch,
            "flavour": stage.flavour,
        }
        return name

    def _asked(self, stage3: Definition) -> tuple[list[str], list[str]]:
        """Packages and sets of a stage."""
        packages, sets = [], []
        for word in (word for line in stage3.lines("packages") for word in line.split()):
            place = f"stage3.defines/{stage3.name}/packages ({word})"
            name = plain_name(word.removeprefix("@"))
            if word.startswith("@"):
                if name in BUILT_IN or f"sets/{name}" in self.files:
                    sets.append(name)
                else:
                    self.omissions.append(Omission(place, "there is no such set"))
            elif fault := atom_fault(word):
                self.omissions.append(Omission(place, fault))
            else:
                packages.append(word)
        return list(dict.fromkeys(packages)), list(dict.fromkeys(sets))

    def _kernel(self, name: str, place: str, profile: str) -> dict[str, str]:
        """The machine's [kernel]: gentoomuch always builds gentoo-sources."""
        file, where = f"kernels/{plain_name(name)}.config", f"{place}/kconf ({name})"
        if file not in self.files:
            why = "not in kernel.configs"
        elif not is_configuration(self.files[file].content):
            why = f"{file} is not the configuration of a kernel"
        elif not (self.has_gentoo or profile.startswith("gentoo:")):
            why = f"no repository is gentoo, which has {GENTOO_SOURCES}; {file} is kept"
        else:
            self.checks.append(doubts(file))
            return {"sources": GENTOO_SOURCES, "config": file}
        self.omissions.append(Omission(where, why))
        return {}

    def _hooks(self, stage: Definition, place: str) -> Iterator[str]:
        for name in stage.lines("scripts"):
            if name not in self.config.scripts:
                self.omissions.append(Omission(f"{place}/scripts ({name})", "not in user.scripts"))
                continue
            file = f"hooks/{plain_name(name)}"
            self.checks.append(f"{file} runs without network and without /etc/profile")
            yield file

    def _removes(self, stage: Definition, place: str) -> Iterator[str]:
        for name in stage.lines("removes"):
            if name not in self.config.removes:
                self.omissions.append(Omission(f"{place}/removes ({name})", "not in user.removes"))
                continue
            for line in self.config.removes[name]:
                path = PurePosixPath("/", line)
                if ".." in path.parts or path == PurePosixPath("/"):
                    self.omissions.append(Omission(f"user.removes/{name} ({line})", "not a path"))
                    continue
                if line.startswith("/"):
                    self.checks.append(
                        f"user.removes/{name}: gentoomuch removes {line} of the host that builds; "
                        "here it is that of the machine"
                    )
                yield str(path)

    def _write_fragments(
        self, machines: Mapping[str, tuple[MachineFile, tuple[Part, ...]]]
    ) -> None:
        """Write fragments once, and once more for machines in which a part of one does not hold."""
        names: dict[tuple[str, str], str] = {}
        for place, part in self.parts.items():
            variants = self.variants.get(place, {tuple(sorted(part.files.items())): []})
            for number, (content, labels) in enumerate(variants.items()):
                plain = content == tuple(sorted(part.files.items())) or len(variants) == 1
                name = part.name if plain else f"{part.name}-for-{labels[0]}"
                name = free_name(name, names.values()) if number or not plain else name
                names |= {(place, label): name for label in labels}
                for below, text in content:
                    self.files[f"portage/{name}/{below}"] = ProjectFile(text)
        for label, (machine, parts) in machines.items():
            keys = dict(machine.keys)
            keys["portage"] = [names[part.place, label] for part in parts if part.files]
            text = machine_text(replace(machine, keys=keys))
            self.files[f"machines/{label}.toml"] = ProjectFile(text)
