"""Manual pages (man(7)) of commands, made from the text of `--help`.

click-man does this for plain groups, but misses our commands, which are loaded on demand, and our
examples, which are in epilogs. Escape sequences are those of groff_char(7).
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

import click

SECTION = "1"
_SPECIAL = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"}
_TITLE = re.compile(r"(Examples?|Exit status): ?(.*)", re.DOTALL)


@dataclass(frozen=True)
class Release:
    """The version and the date on a page."""

    version: str
    date: str  # 2026-11-28


@dataclass(frozen=True)
class Block:
    """A paragraph of a help text; ``verbatim`` if its lines must not be joined."""

    text: str
    verbatim: bool


def contexts(group: click.Group, name: str) -> Iterator[click.Context]:
    """A context for the group and each command below it. Hidden commands are left out."""
    return _below(click.Context(group, info_name=name, **group.context_settings))


def _below(context: click.Context) -> Iterator[click.Context]:
    yield context
    for name, command in _commands(context):
        yield from _below(click.Context(command, info_name=name, parent=context))


def _commands(context: click.Context) -> Iterator[tuple[str, click.Command]]:
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            if command is not None and not command.hidden:
                yield name, command


def page_name(context: click.Context) -> str:
    """The name of a command's page: `cloche-store-gc`."""
    return context.command_path.replace(" ", "-")


def page(context: click.Context, release: Release) -> str:
    """The manual page of a command, in ASCII."""
    lines = [*_head(context, release), *_description(context), *_options(context)]
    lines += [*_list_of_commands(context), *_epilog(context), *_see_also(context)]
    return "\n".join(lines) + "\n"


def _head(context: click.Context, release: Release) -> Iterator[str]:
    name = page_name(context)
    source = f'"cloche {escaped(release.version)}"'
    yield f'.TH "{escaped(name.upper())}" {SECTION} {release.date} {source}'
    yield ".SH NAME"
    yield from _filled(f"{escaped(name)} \\- {_inline(_summary(context.command))}")
    yield ".SH SYNOPSIS"
    usage = " ".join(context.command.collect_usage_pieces(context))
    yield f"\\fB{escaped(context.command_path)}\\fR {escaped(usage)}"


def _summary(command: click.Command) -> str:
    """The first sentence of the help, as a phrase."""
    first, *_ = _blocks(command.help or "")
    sentence = re.split(r"\.(?:\s|$)", first.text)[0]
    return sentence if sentence[:2].isupper() else sentence[:1].lower() + sentence[1:]


def _description(context: click.Context) -> Iterator[str]:
    yield ".SH DESCRIPTION"
    yield from _paragraphs(_blocks(context.command.help or ""))


def _options(context: click.Context) -> Iterator[str]:
    yield ".SH OPTIONS"
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option):
            names, help_text = record
            yield ".TP"
            yield re.sub(r"(?<![\w\\-])((?:\\-){1,2}[\w\\-]+)", r"\\fB\1\\fR", escaped(names))
            yield from _filled(_inline(help_text))


def _list_of_commands(context: click.Context) -> Iterator[str]:
    commands = list(_commands(context))
    if commands:
        yield ".SH COMMANDS"
    for name, command in commands:
        yield ".TP"
        yield f"\\fB{escaped(page_name(context))}\\-{escaped(name)}\\fR({SECTION})"
        yield from _filled(_inline(_summary(command)))


def _epilog(context: click.Context) -> Iterator[str]:
    """Examples and the exit status get sections; other paragraphs become notes."""
    notes: list[Block] = []
    for block in _blocks(context.command.epilog or ""):
        titled = _TITLE.fullmatch(block.text)
        if titled is None:
            notes.append(Block(block.text, verbatim=False))
            continue
        yield f".SH {titled[1].upper()}"
        if titled[1] == "Exit status":
            yield from _paragraphs([Block(titled[2], verbatim=False)])
        else:
            yield from _verbatim(titled[2])
    if notes:
        yield ".SH NOTES"
        yield from _paragraphs(notes)


def _see_also(context: click.Context) -> Iterator[str]:
    """The command above and those beside this one."""
    if context.parent is None:
        return
    beside = [name for name, _ in _commands(context.parent) if name != context.info_name]
    above = page_name(context.parent)
    names = [above, *(f"{above}-{name}" for name in beside)]
    yield ".SH SEE ALSO"
    for name in names[:-1]:
        yield f".BR {escaped(name)} ({SECTION}),"
    yield f".BR {escaped(names[-1])} ({SECTION})"


def _blocks(text: str) -> list[Block]:
    """Paragraphs as click separates them: by empty lines. ``\\b`` keeps lines."""
    found = []
    for part in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        verbatim = part.startswith("\b")
        found.append(Block(part.removeprefix("\b").strip("\n"), verbatim))
    return found


def _paragraphs(blocks: list[Block]) -> Iterator[str]:
    for number, block in enumerate(blocks):
        if block.verbatim:
            yield from _verbatim(block.text)
            continue
        if number and not blocks[number - 1].verbatim:
            yield ".PP"
        yield from _filled(_inline(block.text))


def _verbatim(text: str) -> Iterator[str]:
    yield from (".RS 4", ".nf")
    for line in text.strip("\n").splitlines():
        yield _line(escaped(line.removeprefix("  ")))
    yield from (".fi", ".RE")


def _inline(text: str) -> str:
    """Prose; words in backquotes become bold."""
    parts = re.split(r"`([^`]+)`", text)
    return "".join(
        f"\\fB{escaped(part)}\\fR" if number % 2 else escaped(part)
        for number, part in enumerate(parts)
    )


def _filled(text: str) -> Iterator[str]:
    """Lines of at most 78 letters: readers refill paragraphs, and linters expect short lines."""
    lines = textwrap.wrap(text, 78, break_long_words=False, break_on_hyphens=False)
    yield from map(_line, lines)


def _line(text: str) -> str:
    """A line that is not taken for a request, even if it begins with a dot."""
    return f"\\&{text}" if text.startswith(".") else text


def escaped(text: str) -> str:
    """The text with its special characters escaped, so that readers show them unchanged."""
    return "".join(
        _SPECIAL.get(letter) or (letter if letter.isascii() else f"\\[u{ord(letter):04X}]")
        for letter in text
    )
