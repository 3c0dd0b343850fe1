"""The commands by which programs of a root carry out steps of a machine's finish."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from cloche.composing.places import Places, look_into
from cloche.config.finish_steps import FinishStep
from cloche.layers import Layer

HOOK = "/run/cloche/hook"
SYSTEMCTL = "usr/bin/systemctl"
LOCALEDEF = "usr/bin/localedef"
#: Where systemd looks for units (systemd.unit(5)), and which there are that can be enabled.
UNIT_DIRECTORIES = ("etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")
UNITS = (
    *(".service", ".socket", ".timer", ".path", ".mount", ".automount", ".swap"),
    *(".target", ".slice"),
)


def commands(step: FinishStep, root: Sequence[Layer]) -> Iterator[tuple[str, ...]]:
    """The commands of a step, none where there is nothing to do.

    Raises LookupError where no package brings a service that is switched on.
    """
    if step.kind == "hook":
        # As execvp(3), and so chroot(1), runs files of an unknown format.
        direct = step.script.startswith((b"#!", b"\x7fELF"))
        yield (HOOK,) if direct else ("/bin/sh", HOOK)
    if step.kind == "preset_all":
        yield (f"/{SYSTEMCTL}", "--root=/", "preset-all")
    for word in step.words:
        if step.kind == "groups":
            yield ("/usr/sbin/groupadd", word)
        elif step.kind == "users":
            name, _, groups = word.partition("=")
            yield ("/usr/sbin/useradd", "-m", *(("-G", groups) if groups else ()), name)
        elif step.kind == "localedef":
            yield from _locale(word, root)
        elif step.kind.startswith("services_"):
            yield _service(word, root, step.kind.removeprefix("services_"))


def _locale(line: str, root: Sequence[Layer]) -> Iterator[tuple[str, ...]]:
    """How a line of locale.gen is made; musl has no such program, and needs none."""
    name, _, charmap = line.partition(" ")
    source = re.sub(r"\.[^@]*", "", name)
    if Places(look_into(root)).find(LOCALEDEF):
        yield (f"/{LOCALEDEF}", "--no-archive", "-i", source, "-f", charmap, name)


def _service(word: str, root: Sequence[Layer], how: str) -> tuple[str, ...]:
    """How a service is switched: by rc-update, or by systemctl where a root has it.

    Raises LookupError.
    """
    name, _, runlevel = word.partition("|")
    places = Places(look_into(root))
    if places.find(SYSTEMCTL):
        unit = name if PurePosixPath(name).suffix in UNITS else f"{name}.service"
        template = re.sub(r"@[^.]*", "@", unit)
        there = any(places.find(f"{each}/{template}") for each in UNIT_DIRECTORIES)
        verb = {"on": "enable", "off": "disable"}.get(how, how)
        command = (f"/{SYSTEMCTL}", "--root=/", verb, name)
    else:
        if how == "mask":
            raise LookupError("only systemd masks services, and the root has none")
        there = places.find(f"etc/init.d/{name}") is not None
        command = ("/sbin/rc-update", "add" if how == "on" else "del", name, runlevel or "default")
    if how == "on" and not there:
        raise LookupError(f"no package of the machine brings the service “{name}”")
    return command
