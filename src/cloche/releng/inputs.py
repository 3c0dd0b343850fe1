"""Finds the files that a spec starts from, by catalyst's rules."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from pathlib import Path

from cloche.catalyst.conf import Conf
from cloche.catalyst.envscript import read_envscript
from cloche.catalyst.hostpaths import PUBLIC_KEY, path_keys
from cloche.catalyst.lint import refuse
from cloche.catalyst.paths import EXTENSIONS, extension, snapshot_path, store_path
from cloche.catalyst.spec import Spec
from cloche.catalyst.tokens import tokens_in
from cloche.config.atoms import is_name
from cloche.config.errors import ConfigError, nearest
from cloche.config.files import read_text
from cloche.config.interpreters import check_interpreter

#: Rules of `lint` about specs at which only catalyst fails.
HERE_RIGHT = ("users",)
#: Kinds of paths that are directories, and those that are checked elsewhere or need not exist.
_DIRECTORIES = ("confdir", "root overlay", "overlay", "initramfs overlay")
_ELSEWHERE = (
    *("repository", "interpreter", "kernel configuration", "kernel cache", "package cache"),
)
_NO_SOURCE = (
    *(".CONTENTS.gz", ".CONTENTS", ".DIGESTS", ".sha256", ".asc", ".lock"),
    ".intoto.json",
)


def check_spec(spec: Spec, conf: Conf) -> None:
    """See that a spec can be built, before anything begins. Raises `ConfigError`.

    What `lint` calls an error is refused, and so are tokens that are not filled in.
    """
    refuse(spec, lambda rule: rule not in HERE_RIGHT)
    if spec.text("target") == "snapshot":
        return
    if "compression_mode" not in spec.settings and extension(conf.text("compression_mode")) is None:
        near = nearest(conf.text("compression_mode"), EXTENSIONS) or ", ".join(EXTENSIONS)
        what = f"compression_mode is “{conf.text('compression_mode')}”"
        raise ConfigError(conf.origins["compression_mode"], what, f"write {near}")
    for setting in spec.settings.values():
        if token := next(iter(tokens_in(setting.text)), None):
            what = f"@{token}@ is not filled in"
            raise ConfigError(setting.origin, what, f"add --set {token}=VALUE")


def source_of(spec: Spec, conf: Conf) -> Path:
    """The tarball of source_subpath, with the extension that it has. Raises `ConfigError`."""
    found = _source_of(spec, conf)
    if found.suffix in (".squashfs", ".sfs"):
        raise no_squashfs(spec, str(found))
    return found


def no_squashfs(spec: Spec, source: str) -> ConfigError:
    """The error about a source that is a squashfs."""
    what = f"{source}: a source that is a squashfs cannot be read yet"
    return ConfigError(spec.origin("source_subpath"), what, "pack it as a tarball")


def _source_of(spec: Spec, conf: Conf) -> Path:
    named = Path(store_path(conf, "builds", spec.text("source_subpath")))
    if named.is_file():
        return named
    beside = (
        sorted(named.parent.glob(f"{glob.escape(named.name)}.*")) if named.parent.is_dir() else []
    )
    found = [file for file in beside if file.is_file() and not file.name.endswith(_NO_SOURCE)]
    origin = spec.origin("source_subpath")
    if not found:
        known = ", ".join(dict.fromkeys(each for each in EXTENSIONS.values() if each != "squashfs"))
        what = f"no such file: {named}, with or without an extension ({known})"
        raise ConfigError(origin, what, "build the spec that makes it, or put a tarball there")
    if len(found) > 1:
        what = f"several files match {named}.*: {', '.join(file.name for file in found)}"
        raise ConfigError(origin, what, "name one of them, with its extension")
    return found[0]


def interpreters_of(spec: Spec) -> tuple[Path, ...]:
    """The programs of this host that run those of the source. Raises `ConfigError`."""
    found = []
    for word, origin in spec.placed_words("interpreter"):
        check_interpreter(word, origin)
        path = Path(word).absolute()
        if not path.is_file():
            todo = "install it (Debian's package is qemu-user-static), or name another one"
            raise ConfigError(origin, f"interpreter: no such file: {path}", todo)
        found.append(path)
    return tuple(found)


def snapshot_of(spec: Spec, conf: Conf) -> Path:
    """The squashfs of the tree. Raises `ConfigError`."""
    file = Path(snapshot_path(spec, conf))
    if not file.is_file():
        treeish = spec.text("snapshot_treeish")
        raise ConfigError(
            spec.origin("snapshot_treeish"),
            f"no such file: {file}",
            f"make it with `cloche catalyst -s {treeish}`",
        )
    return file


def exported_of(conf: Conf) -> Mapping[str, str] | None:
    """The variables that envscript of catalyst.conf exports; None if only a shell can tell.

    Raises `ConfigError`.
    """
    if not (path := conf.text("envscript")):
        return {}
    if not Path(path).is_file():
        what, todo = f"envscript: no such file: {path}", "correct the path, or remove the line"
        raise ConfigError(conf.origins["envscript"], what, todo)
    return read_envscript(Path(path))


def check_files(spec: Spec) -> None:
    """See that the files and directories that a spec names exist. Raises `ConfigError`."""
    for key, kind in path_keys(spec).items():
        for word, origin in spec.placed_words(key):
            path = Path(word.partition("=")[2] if kind == PUBLIC_KEY else word)
            directory = kind in _DIRECTORIES
            wrong = kind == PUBLIC_KEY and "=" not in word  # refused when the machines are made
            if wrong or kind in _ELSEWHERE or (path.is_dir() if directory else path.is_file()):
                continue
            wanted = "directory" if directory else "file"
            what = f"{path} is not a {wanted}" if path.exists() else f"no such {wanted}: {path}"
            raise ConfigError(origin, f"{key}: {what}", "correct the path, or remove it")


def overlays_of(spec: Spec, conf: Conf) -> Mapping[str, Path]:
    """The directories of `repos` by the names of the repositories. Raises `ConfigError`."""
    found: dict[str, Path] = {}
    main = conf.text("repo_name")
    for word, origin in spec.placed_words("repos"):
        place = Path(word)
        if not place.is_dir():
            raise ConfigError(origin, f"“{word}” is not a directory")
        name = read_text(place / "profiles/repo_name", place).strip()
        if not is_name(name):
            what = f"{place}/profiles/repo_name: “{name}” is not the name of a repository"
            raise ConfigError(origin, what, "use letters, digits, “_”, “.”, “+” and “-”")
        if name == main or name in found:
            other = f"{found[name]} has it, too" if name in found else "the snapshot has it, too"
            what = f"{place} is called “{name}”, and {other}"
            raise ConfigError(origin, what, "remove one of them, or correct its repo_name")
        found[name] = place
    return found
