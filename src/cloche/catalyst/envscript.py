"""The variables that envscript of catalyst.conf exports.

Catalyst sources it in the root before it calls emerge, so its exports take precedence over
make.conf. Here they become a part of make.conf, and so of every key. A file of plain assignments is
read without a shell; any other is evaluated by bash in a sandbox (`releng.evaluation`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cloche.config.errors import ConfigError, Origin
from cloche.config.files import read_text
from cloche.config.makeconf import OWNED

#: Variables that do not affect results, or that catalyst sets after it has sourced the file.
IGNORED = frozenset(
    {
        *("MAKEOPTS", "NINJAOPTS", "PORTAGE_NICENESS", "PORTAGE_IONICE_COMMAND"),
        *("PORTAGE_SCHEDULING_POLICY", "CLEAN_DELAY", "EMERGE_WARNING_DELAY", "AUTOCLEAN"),
        *("CONFIG_PROTECT", "FEATURES", "NOCOLOR", "NO_COLOR", "RSYNC_PROXY"),
        *("HOME", "LANG", "OLDPWD", "PATH", "PS1", "PWD", "SHELL", "SHLVL", "TERM", "USER", "_"),
    }
)
_PROXY = re.compile(r"(?i)(all|ftp|https?|no)_proxy|(FETCH|RESUME)COMMAND\w*|PORTAGE_ELOG_\w+")
_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>.*)", re.DOTALL)
_UNFIT = re.compile(r'["\\\n$`]')  # what a value in make.conf cannot contain


class _OnlyShellError(Exception):
    """The file has something that only a shell can evaluate."""


def read_envscript(file: Path) -> Mapping[str, str] | None:
    """The variables that a file exports, without those that have no effect.

    None if only a shell can tell. Raises `ConfigError` with the line of what cannot have an effect.
    """
    try:
        return _exported(file)
    except _OnlyShellError:
        return None


def effective(values: Mapping[str, str], file: Path) -> Mapping[str, str]:
    """Those of the variables exported by a shell that have an effect. Raises `ConfigError`."""
    lines = read_text(file, Path("/")).split("\n")
    for name, value in values.items():
        places = (at for at, line in enumerate(lines, 1) if re.search(rf"\b{name}\b", line))
        _check(name, value, Origin(file, next(places, None)))
    return {name: values[name] for name in sorted(values) if not _ignored(name)}


def _exported(file: Path) -> Mapping[str, str]:
    plain: dict[str, tuple[str, Origin]] = {}
    exported: dict[str, str] = {}
    for words, origin in _statements(read_text(file, Path("/")), file):
        exports = words[0] == "export"
        for word in words[1:] if exports else words:
            match = _ASSIGNMENT.fullmatch(word)
            if match is None and not (exports and word.isidentifier()):
                raise _OnlyShellError
            name = match["name"] if match else word
            if match is not None:
                plain[name] = (match["value"], origin)
                if re.search("[$`~{]", match["value"]) and not _ignored(name):
                    raise _OnlyShellError
                _check(name, match["value"], origin)
            if (exports or name in exported) and name in plain and not _ignored(name):
                exported[name] = plain[name][0]
    return exported


def _ignored(name: str) -> bool:
    return name in IGNORED or _PROXY.fullmatch(name) is not None


def _check(name: str, value: str, origin: Origin) -> None:
    """See that a variable has an effect, and can be a part of make.conf. Raises `ConfigError`."""
    if _ignored(name):
        return
    if (reason := OWNED.get(name)) or name.startswith("clst_"):
        reason = reason or "catalyst's own variables are those of the spec"
        raise ConfigError(origin, f"{name} has no effect here", f"remove the line: {reason}")
    if _UNFIT.search(value):
        what = f"the value of {name} cannot be a part of make.conf"
        raise ConfigError(origin, what, 'remove line breaks and the characters \\ $ ` "')


def _statements(text: str, file: Path) -> Iterator[tuple[Sequence[str], Origin]]:
    """The words of each statement, and its place."""
    lines, raw, begun = text.split("\n"), "", 1
    for number, line in enumerate(lines, 1):
        begun = begun if raw else number
        raw += line
        if raw.endswith("\\"):
            raw = raw[:-1]
            continue
        try:
            words = _words(raw)
        except ValueError:  # a quotation that continues on the next line
            raw += "\n"
            continue
        while words:
            end = words.index(";") if ";" in words else len(words)
            if words[:end]:
                yield words[:end], Origin(file, begun)
            words = words[end + 1 :]
        raw = ""
    if raw.strip():
        raise _OnlyShellError  # which knows more ways to quote


def _words(line: str) -> list[str]:
    """The words of a line; the shell's operators are words, too.

    Raises ValueError if the line ends within a quotation.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>()")
    lexer.whitespace_split = True
    return list(lexer)
