"""catalyst-auto's configuration: which specs to build, and hooks around that.

It is a program for bash(1): values refer to each other and to other files, and the hooks are
functions in it. So bash reads it here, too: on the host and with the rights of the user, whose own
file it is, as make reads a Makefile. It is not sandboxed, and values are not guessed. cloche puts
nothing into the text of a command; hooks get arguments and variables.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from cloche.catalyst.conf import PLACE
from cloche.catalyst.tokens import checkout_of
from cloche.config.errors import ConfigError, Origin, nearest
from cloche.config.files import read_text
from cloche.errors import ClocheError, Exit

#: The variables of catalyst-auto that have an effect here, besides SET_NAME_SPECS and
#: SET_NAME_OPTIONAL_SPECS.
VARIABLES = {
    "SPECS": "specs that belong to no set",
    "OPTIONAL_SPECS": "the same, but a failure is only a warning",
    "SETS": "names of sets",
    "SPECS_DIR": "directory of the specs",
    "KCONFIG_DIR": "directory of kernel configurations, by their file names",
    "CATALYST_CONFIG": "catalyst.conf",
    "CATALYST_OPTIONS": "options for catalyst, with --also",
    "SUBARCH": "the architecture",
    "EMAIL_TO": "recipients of the report",
    "EMAIL_FROM": "sender of the report",
    "EMAIL_SUBJECT_PREPEND": "prefix of its subject",
}
#: Variables whose values in this process's environment are ignored.
_OWN = re.compile(r"(SETS|SET_.*|(OPTIONAL_)?SPECS|BASH_ENV|ENV|BASH_FUNC_.*)")
_UPLOAD = {
    "UPLOAD_HOST": "releng-incoming.gentoo.org",
    "UPLOAD_BINPACKAGES": "/release/weekly/binpackages",
}
_SHOW_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A spec to build: its name below SPECS_DIR, and the set that has it, which may be ``""``."""

    name: str
    set: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class AutoConf:
    """The configuration in its files; ``repo_dir`` is the releng checkout around the first one.

    Without one, it is the directory of that file.
    """

    files: tuple[Path, ...]
    repo_dir: Path
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the configuration: ``amd64`` for catalyst-auto-amd64.conf."""
        return self.files[0].stem.removeprefix("catalyst-auto-") or self.files[0].stem

    @property
    def specs_dir(self) -> Path:
        """The directory of the specs. Raises `ConfigError`."""
        directory = Path(self.values.get("SPECS_DIR") or "")
        if not self.values.get("SPECS_DIR") or not directory.is_dir():
            what = f"SPECS_DIR is “{self.values.get('SPECS_DIR', '')}”, which is not a directory"
            raise ConfigError(self.origin("SPECS_DIR"), what, "name the directory of the specs")
        return directory

    def origin(self, variable: str) -> Origin:
        """The line that sets a variable, or the first file if none of them does so itself."""
        sets = re.compile(rf"\s*{re.escape(variable)}\+?=")
        for file in self.files:
            for number, line in enumerate(read_text(file, Path("/")).splitlines(), 1):
                if sets.match(line):
                    return Origin(file, number)
        return Origin(self.files[0])

    def wanted(self) -> tuple[Wanted, ...]:
        """All specs in their order, each once. Raises `ConfigError`.

        A spec of several sets belongs to the first, and is optional only if it is in each.
        """
        found: dict[str, Wanted] = {}
        for each in self._named():
            first = found.setdefault(each.name, each)
            if first.optional and not each.optional:
                found[each.name] = each
        if not found:
            what = "the configuration names no specs"
            todo = 'set SPECS, or SETS="NAME" and SET_NAME_SPECS'
            raise ConfigError(self.origin("SETS"), what, todo)
        return tuple(found.values())

    def _named(self) -> Iterator[Wanted]:
        directory = self.specs_dir
        for name in ("", *self.values.get("SETS", "").split()):
            prefix = f"SET_{name}_" if name else ""
            variables = (f"{prefix}SPECS", f"{prefix}OPTIONAL_SPECS")
            if name and not any(variable in self.values for variable in variables):
                known = [each[4:-6] for each in self.values if re.fullmatch("SET_.*_SPECS", each)]
                near = nearest(name, known)
                what = f"the set “{name}” has no specs"
                todo = f"did you mean “{near}”?" if near else f"set {variables[0]}"
                raise ConfigError(self.origin("SETS"), what, todo)
            for variable in variables:
                for word in self.values.get(variable, "").split():
                    self._check(word, directory, variable)
                    yield Wanted(word, name, optional=variable == variables[1])

    def _check(self, word: str, directory: Path, variable: str) -> None:
        if Path(word).is_absolute() or ".." in Path(word).parts:
            what = f"{variable} names “{word}”, which is not below SPECS_DIR"
            raise ConfigError(self.origin(variable), what, "write its path relative to SPECS_DIR")
        if not (directory / word).is_file():
            known = [str(each.relative_to(directory)) for each in directory.rglob("*.spec")]
            near = nearest(word, known)
            what = f"{variable}: no such file: {directory / word}"
            todo = f"did you mean “{near}”?" if near else "correct the path"
            raise ConfigError(self.origin(variable), what, todo)


def read_auto_conf(paths: Sequence[Path], environment: Mapping[str, str]) -> AutoConf:
    """Have bash read the files, in their order. Raises `ConfigError`, `ClocheError`."""
    repo_dir = checkout_of(paths[0]) or paths[0].absolute().parent
    conf = AutoConf(tuple(paths), repo_dir)
    for file in paths:
        read_text(file, Path("/"))  # bash would wait for a FIFO
        _check_syntax(file)
    try:
        done = subprocess.run(
            command_of(conf, "show", *VARIABLES),
            env=environment_of(conf, environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SHOW_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        what = f"takes more than {_SHOW_SECONDS:.0f} s to read"
        raise ConfigError(Origin(paths[0]), what, "move work into pre_build()") from None
    if done.returncode:
        what = f"bash exited with status {done.returncode} while reading this file"
        said = done.stderr.decode("utf-8", "replace").strip()
        raise ClocheError(what, where=paths[0], detail=said, todo="correct the file")
    parts = done.stdout.decode("utf-8", "replace").split("\0")
    values = dict(zip(parts[::2], parts[1::2], strict=False))
    if not values:
        what = "bash exits before the end of this file"
        raise ConfigError(Origin(paths[0]), what, "remove `exit`")
    return AutoConf(conf.files, conf.repo_dir, {**_defaults(conf), **values})


def command_of(conf: AutoConf, *mode: str) -> list[str]:
    """The command line that reads the files and then does what auto.sh says of ``mode``."""
    script = files("cloche.releng").joinpath("auto.sh").read_text(encoding="utf-8")
    named = [str(file.absolute()) for file in conf.files]
    return [_bash(), "--noprofile", "--norc", "-c", script, "cloche", *named, "--", *mode]


def _bash() -> str:
    if (found := shutil.which("bash")) is None:
        raise ClocheError("bash not found", todo="install bash", status=Exit.HOST)
    return found


def environment_of(conf: AutoConf, given: Mapping[str, str]) -> Mapping[str, str]:
    """This process's own environment, with catalyst-auto's variables."""
    own = {name: value for name, value in os.environ.items() if not _OWN.fullmatch(name)}
    fixed = {"REPO_DIR": str(conf.repo_dir), "nonetwork": "1"}
    return {**_defaults(conf), **own, **fixed, **given}


def _defaults(conf: AutoConf) -> Mapping[str, str]:
    """The values of variables that neither the files nor the environment set."""
    machine = os.uname().machine
    return {
        "REPO_DIR": str(conf.repo_dir),
        "SUBARCH": machine,
        "CATALYST_CONFIG": str(PLACE),
        "EMAIL_FROM": f"catalyst@{socket.gethostname()}",
        "EMAIL_SUBJECT_PREPEND": f"[{machine}-auto]",
        **_UPLOAD,
    }


def _check_syntax(file: Path) -> None:
    """See that bash can parse a file. Raises `ConfigError`."""
    words = [_bash(), "--noprofile", "--norc", "-n", "--", str(file.absolute())]
    done = subprocess.run(
        words,
        capture_output=True,
        check=False,
        env=environment_of(AutoConf((file,), file.parent), {}),
    )
    said = done.stderr.decode("utf-8", "replace").strip().removeprefix(f"{file.absolute()}: ")
    if done.returncode:
        line = re.match(r"line (\d+): (.*)", said.splitlines()[0] if said else "")
        origin = Origin(file, int(line[1]) if line else None)
        raise ConfigError(origin, line[2] if line else "bash cannot parse this file", "correct it")
