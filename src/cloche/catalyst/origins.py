"""Maps places in the files of a spec's project to what the user wrote: the spec, the confdir.

A project is generated, so an error at one of its lines would point at a file that the user did not
write. As in `cloche.config.complaints`, the text of an error tells which word of a list is wrong.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloche.catalyst.keys import TARGETS
from cloche.catalyst.making import Copied, Project
from cloche.catalyst.spec import Setting, Spec
from cloche.config.errors import Origin
from cloche.config.positions import Path as TomlPath
from cloche.config.positions import positions
from cloche.errors import ClocheError

#: Keys of a machine's file and of its steps, with those of a spec (of a target, below its prefix).
_MACHINE = {
    "seed": "source_subpath",
    "profile": "profile",
    "portage": "portage_confdir",
    "output": "compression_mode",
}
_FINISH = {
    "groups": "groups",
    "remove": "rm",
    "services_off": "rcdel",
    "services_on": "rcadd",
    "unmerge": "unmerge",
    "users": "users",
    "empty": "empty",
}
#: How errors about the source or a repository name it; other seeds have no place in the spec.
_TABLE = re.compile(r"\[(?:(seeds)\.source|(repos)\..+)\]")
#: Tables of cloche.toml, with the key of a spec.
_DECLARED = {"seeds": "source_subpath", "repos": "snapshot_treeish"}
#: Files and directories of a project, with the keys of the spec, or of its target, behind them.
_PLACES = {
    "finish": "portage_confdir",
    "hooks/depclean": "depclean",
    "hooks/disk": "type",
    "hooks/disk-last": "type",
    "hooks/fsscript": "fsscript",
    "hooks/live": "type",
    "hooks/modules": "modblacklist",
    "hooks/services": "type",
    "overlay": "overlay",
    "root_overlay": "root_overlay",
}


class Origins:
    """Translates the places of a project that is written to a directory."""

    def __init__(self, spec: Spec, project: Project, directory: Path) -> None:
        self.spec, self.project = spec, project
        self.prefix = TARGETS[spec.text("target")].prefix
        top = re.escape(str(directory))
        self._place = re.compile(rf"{top}/(?P<file>[^\s:;,“”]+)(?::(?P<line>\d+))?( to line \d+)?")

    def translate(self, error: ClocheError) -> None:
        """Let an error, and those that it consists of, name the user's own places."""
        said = error.what
        error.what = self.translated(error.what)
        if table := _TABLE.fullmatch(error.where or ""):
            key = _DECLARED[table[1] or table[2]]
            error.where = f"{self.spec.origin(key)}: {key}"
        error.where = error.where and self.translated(error.where, said)
        error.todo = error.todo and self.translated(error.todo, said)
        for each in getattr(error, "errors", ()):
            self.translate(each)

    def translated(self, text: str, said: str = "") -> str:
        """A text in which each place of the project is replaced by the user's own, if it has one.

        ``said`` is the text of the error, which names what is wrong there.
        """

        def own(match: re.Match[str]) -> str:
            line = int(match["line"]) if match["line"] else None
            return self._named(match["file"], line, said or text) or match[0]

        return self._place.sub(own, text)

    def _named(self, file: str, line: int | None, said: str) -> str | None:
        for name, content in self.project.files.items():
            if isinstance(content, Copied) and (file == name or file.startswith(f"{name}/")):
                return str(Origin(Path(f"{content.source}{file[len(name) :]}"), line))
        key = self._key_of(file, line)
        setting = self.spec.settings.get(key) if key else None
        return None if setting is None else f"{_at_word(setting, said)}: {setting.key}"

    def _key_of(self, file: str, line: int | None) -> str | None:
        """The key of the spec that a line of a generated file comes from."""
        content = self.project.files.get(file)
        if file.startswith("machines/") and isinstance(content, str) and line is not None:
            return self._key_of_machine(Path(file).stem, content, line)
        if file == "cloche.toml" and isinstance(content, str) and line is not None:
            path = _toml_path(content, line)
            return _DECLARED.get(str(path[0])) if path else None
        if file.startswith("portage/") and isinstance(content, str):
            found = content.splitlines()[line - 1 : line] if line else []
            return self._key_of_variable(found[0] if found else "", Path(file).parts[1])
        return None

    def _key_of_variable(self, assignment: str, fragment: str) -> str:
        """The key whose value a line of make.conf has, else the one of what catalyst does."""
        variable = assignment.partition("=")[0].lower()
        key = f"{self.prefix}/use" if variable == "use" else variable
        if fragment.startswith("kernel-"):
            key = "boot/kernel"
        return key if key in self.spec.settings else "target"

    def _key_of_machine(self, name: str, text: str, line: int) -> str | None:
        if not (path := _toml_path(text, line)):
            return None
        data: Mapping[str, Any] = tomllib.loads(text)
        if path[0] == "finish" and len(path) > 1:
            return self._key_of_step(data["finish"][path[1]])
        if path[0] in ("packages", "sets", "emerge"):
            keys = {self.spec.text("target"): f"{self.prefix}/packages", "system": "profile"}
            key = keys.get(name, "update_seed_command" if name == "seed" else "boot/kernel")
            return key if key in self.spec.settings else "profile"
        if path[:2] == ("output", "images") and len(path) > 2:
            key = f"{self.prefix}/{path[2]}"  # an image has the name of its key
            return key if key in self.spec.settings else _MACHINE["output"]
        return _MACHINE.get(str(path[0]))

    def _key_of_step(self, step: Mapping[str, Any]) -> str | None:
        kind = next((key for key in step if key not in ("environment", "inputs")), "")
        if kind in ("files", "hook"):
            place = Path(str(step[kind]))
            key = _PLACES.get(place.parts[0]) or _PLACES.get(str(place), "boot/kernel")
            own = (each for each in (key, f"{self.prefix}/{key}") if each in self.spec.settings)
            return next(own, "target")  # other hooks are what catalyst does for the target
        return f"{self.prefix}/{_FINISH[kind]}" if kind in _FINISH else None


def _toml_path(text: str, line: int) -> TomlPath:
    """The key to which a line of a TOML file belongs; empty if there is none."""
    before = [(at, path) for path, at in positions(text).items() if at <= line]
    return max(before, key=lambda each: (each[0], len(each[1])))[1] if before else ()


def _at_word(setting: Setting, said: str) -> Origin:
    """The place of the word of a setting that an error is about, else of the setting."""
    quoted = re.findall(r"“([^”]+)”|'([^']+)'", said)
    named = {word for pair in quoted for word in pair if word}
    for words in (named, set(said.split())):
        for word, origin in zip(setting.words, setting.origins, strict=False):
            if word in words or any(word in each for each in words if len(word) > 2):
                return origin
    return setting.origin
