"""Compares a kernel's configuration with what was asked for, before anything is compiled.

It runs in src_configure of the package that `cloche.portage.kernel` writes, as a program of its
own: ``TREE CPU .config CONFIG FRAGMENT…``, where CONFIG may be empty. What is wrong becomes one
line of its output, with the place in the project: its files are below `PROJECT`. `cloche kernel`
has it compare other configurations, too.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_SAID = re.compile(r"CONFIG_(\w+)=(.+)|# CONFIG_(\w+) is not set")
_ENTRY = re.compile(r"\s*(?:menu)?config\s+(\w+)\s*(?:#.*)?$")
_END = re.compile(r"(?:menu|endmenu|choice|endchoice|comment|source|if|endif|mainmenu)\b")
_PROMPT = re.compile(r"\s+(?:bool|tristate|string|int|hex|prompt)\s+[\"']")
_DEPENDS = re.compile(r"\s+depends on\s+(.+)")
PROJECT = "project/"
#: The fragment of ``[kernel.signing]``, which is no file of the project.
SIGNING = "cloche.signing"
TABLE = "[kernel.signing]"
#: Options of which each build makes something new at random, and what to write instead.
RANDOM = (
    ("MODULE_SIG_KEY", '"certs/signing_key.pem"', 'CONFIG_MODULE_SIG_KEY=""'),
    ("RANDSTRUCT", "y", "CONFIG_RANDSTRUCT_NONE=y"),
)


@dataclass
class Option:
    """An option as Kconfig files declare it: what it depends on, and whether a user sets it."""

    depends: list[str]
    prompt: bool = False


Said = dict[str, tuple[str, str]]
"""Value and place by the option's name, without ``CONFIG_``."""


def said(text: str, name: str) -> Said:
    """What a file in the format of ``.config`` says; "n" is "is not set"."""
    found: Said = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = _SAID.fullmatch(line.rstrip())
        if match:
            found[match[1] or match[3]] = ((match[2] or "n").strip(), f"{name}:{number}")
    return found


def said_by(file: str) -> Said:
    """What a file of the kernel's package says, with the places as users know them."""
    found = said(Path(file).read_text(), file.removeprefix(PROJECT))
    if file == SIGNING:
        return {name: (value, TABLE) for name, (value, _) in found.items()}
    return found


def declared(tree: Path, cpu: str) -> Mapping[str, Option]:
    """All options of the Kconfig files of a kernel for one CPU."""
    options: dict[str, Option] = {}
    for file in kconfig_files(tree, cpu):
        read(file.read_text(errors="replace"), options)
    return options


def kconfig_files(tree: Path, cpu: str) -> Iterator[Path]:
    """The Kconfig files of a kernel, without those of other CPUs and of its own tests."""
    for above, directories, names in os.walk(tree):
        if Path(above) == tree / "arch":
            directories[:] = [name for name in directories if name == cpu]
        if Path(above) == tree:
            directories[:] = [each for each in directories if each != "tools"]
        if Path(above) == tree / "scripts":
            directories[:] = [each for each in directories if each != "kconfig"]
        directories.sort()
        yield from (Path(above, name) for name in sorted(names) if name.startswith("Kconfig"))


def read(text: str, options: dict[str, Option]) -> None:
    """Add the options of one Kconfig file (Documentation/kbuild/kconfig-language.rst)."""
    option: Option | None = None
    for line in text.splitlines():
        if entry := _ENTRY.match(line):
            option = options.setdefault(entry[1], Option([]))
        elif _END.match(line):
            option = None
        elif option is not None:
            option.prompt = option.prompt or _PROMPT.match(line) is not None
            if depends := _DEPENDS.match(line):
                option.depends.append(depends[1].partition(" #")[0].strip())


def faults(
    config: Mapping[str, tuple[str, str]],
    base: Said,
    fragments: Said,
    options: Mapping[str, Option],
) -> Iterator[str]:
    """What of ``base`` and ``fragments`` is not so in ``config``.

    Of a whole configuration, what only the kernel itself sets does not count, nor that an option
    which is not there is not set, nor what fragments over it may have changed by dependencies.
    """
    for name, (wanted, place) in {**base, **fragments}.items():
        value = config.get(name, ("n", ""))[0]
        of_base = name not in fragments
        if name not in options:
            if not of_base or wanted != "n":
                yield f"{place}: this kernel has no option CONFIG_{name}{meant(name, options)}"
        elif value != wanted and (not of_base or (options[name].prompt and not fragments)):
            yield f"{place}: CONFIG_{name} is “{value}”, not “{wanted}”{why(options[name])}"
    for name, value, instead in RANDOM:
        if config.get(name, ("", ""))[0] == value:
            place = {**base, **fragments}.get(name, ("", "the configuration"))[1]
            yield f"{place}: with CONFIG_{name}={value} no two builds are equal; write {instead}"


def meant(name: str, options: Mapping[str, Option]) -> str:
    """A similar name, as advice."""
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.6)
    return f"; did you mean CONFIG_{close[0]}?" if close else ""


def why(option: Option) -> str:
    """What an option depends on, as far as it says so itself."""
    if not option.prompt:
        return "; only other options set it"
    needs = " && ".join(option.depends)
    return f"; it depends on {needs}" if needs else "; the menu or choice that it is in is off"


def changes(before: Said, after: Said, options: Mapping[str, Option]) -> Iterator[str]:
    """Lines of a fragment for what a user has changed."""
    for name in sorted({*before, *after}):
        old, new = (each.get(name, ("n", ""))[0] for each in (before, after))
        if old != new and name in options and options[name].prompt:
            yield f"# CONFIG_{name} is not set" if new == "n" else f"CONFIG_{name}={new}"


def gone(base: Said, options: Mapping[str, Option]) -> Iterator[str]:
    """Options that are set and that this kernel does not have, with the nearest it has."""
    for name, (value, _) in base.items():
        if value != "n" and name not in options:
            yield f"CONFIG_{name}={value}{meant(name, options)}"


def compared(how: str, tree: str, cpu: str, *files: str) -> int:
    """Print how two files differ (``--changes``), or what of one is gone (``--gone``)."""
    options = declared(Path(tree), cpu)
    texts = [said(Path(name).read_text(), name) for name in files]
    lines = changes(texts[0], texts[-1], options) if how == "--changes" else gone(texts[0], options)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def main(tree: str, cpu: str, config: str, base: str, *fragments: str) -> int:
    """Print what is wrong as one line; the status says whether anything is."""
    over: Said = {}
    for name in fragments:
        over |= said_by(name)
    below = said_by(base) if base else {}
    made = said(Path(config).read_text(), config)
    found = list(faults(made, below, over, declared(Path(tree), cpu)))
    if SIGNING in fragments and made.get("MODULES", ("n", ""))[0] != "y":
        found = [f"{TABLE}: CONFIG_MODULES is off, so there are no modules to sign", *found]
    if found:
        sys.stderr.write("".join(f"{line}\n" for line in found))
        more = f" (and {len(found) - 1} more, see the log)" if len(found) > 1 else ""
        sys.stdout.write(f"{found[0]}{more}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit((compared if sys.argv[1].startswith("--") else main)(*sys.argv[1:]))
