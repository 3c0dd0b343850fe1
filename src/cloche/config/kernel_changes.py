"""Changes of a kernel's configuration, written to the files of the project that they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from cloche.config.errors import ConfigError
from cloche.config.kernel import ConfigFile, Kernel, said, statement


def check_place(kernel: Kernel) -> None:
    """Raise `ConfigError` for a kernel whose changes could be written nowhere."""
    if kernel.config is None and not kernel.fragments:
        what = "there is no file for changes of the kernel's configuration"
        todo = 'make an empty file, and name it: fragments = ["kernel/NAME.config"]'
        raise ConfigError(kernel.origin, what, todo)


def changed_files(kernel: Kernel, changes: Iterable[str], whole: str) -> Mapping[Path, str]:
    """The new texts of the files that change; ``changes`` are lines, ``whole`` is the ``.config``.

    What a fragment says is changed there, anything else in the file of the whole configuration. If
    there is none, it is added to the last fragment.
    """
    texts = {each.path: each.content.decode() for each in kernel.fragments}
    places = {name: each for each in kernel.fragments for name in said(each)}
    new: dict[Path, str] = {}
    for name, line in ((found[0], line) for line in changes if (found := statement(line))):
        file = places.get(name)
        if file is not None:
            texts[file.path] = _replaced(file, texts[file.path], name, line)
            new[file.path] = texts[file.path]
        elif kernel.config is not None:
            new[kernel.config.path] = whole
        else:
            last = kernel.fragments[-1].path
            text = texts[last]
            texts[last] = f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{line}\n"
            new[last] = texts[last]
    return new


def _replaced(file: ConfigFile, text: str, name: str, line: str) -> str:
    """The text with the last line about an option replaced: that is the one that counts."""
    lines = text.splitlines()
    number = said(file)[name][1].line
    assert number is not None  # noqa: S101
    lines[number - 1] = line
    return "\n".join([*lines, ""])
