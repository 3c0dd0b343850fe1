"""Changes of a kernel's configuration, written to the files of the project that they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from cloche.config.errors import ConfigError
from cloche.config.kernel import Kernel
from cloche.config.kernel_files import ConfigFile, said, statement


def check_place(kernel: Kernel) -> None:
    """Raise `ConfigError` for a kernel whose changes could be written nowhere."""
    if kernel.config is None and not kernel.fragments:
        what = "there is no file for changes of the kernel's configuration"
        todo = 'make an empty file, and name it: fragments = ["kernel/NAME.config"]'
        raise ConfigError(kernel.origin, what, todo)


def changed_files(kernel: Kernel, changes: Iterable[str]) -> Mapping[Path, str]:
    """The new texts of the files that change; ``changes`` are lines of a ``.config``.

    What a file says is changed there, in the last one that says it. Anything else is added to
    ``config``, or where that is no file, to the last fragment.
    """
    base = () if kernel.config is None else (kernel.config,)
    files = (*base, *kernel.fragments)
    texts = {each.path: each.content.decode() for each in files}
    places = {name: each for each in files for name in said(each)}
    other = (*base, *kernel.fragments[-1:])[0].path
    new: dict[Path, str] = {}
    for name, line in ((found[0], line) for line in changes if (found := statement(line))):
        file = places.get(name)
        if file is not None:
            texts[file.path] = _replaced(file, texts[file.path], name, line)
        else:
            text = texts[other]
            texts[other] = f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{line}\n"
        path = other if file is None else file.path
        new[path] = texts[path]
    return new


def _replaced(file: ConfigFile, text: str, name: str, line: str) -> str:
    """The text with the last line about an option replaced: that is the one that counts."""
    lines = text.splitlines()
    number = said(file)[name][1].line
    assert number is not None  # noqa: S101
    lines[number - 1] = line
    return "\n".join([*lines, ""])
