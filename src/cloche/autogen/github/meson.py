"""Reads ``meson.build`` and ``meson.options`` without running them.

Only what is said plainly counts: literals, variables set to one, and conditions on an option or the
system. Source: Meson's manual ("Syntax", "Build options", "Reference").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cloche.autogen.github.recipe import (
    ALWAYS,
    NEVER,
    UNKNOWN,
    Blocks,
    Condition,
    Need,
    Option,
    Recipe,
    all_of,
    any_of,
    flag_of,
    opposite,
)
from cloche.autogen.pypi.archive import Sdist

FILES = r"(?:[^/]+/)*meson\.build|meson_options\.txt|meson\.options"
_BUNDLED = re.compile(r"subprojects/")
_TOKEN = re.compile(
    r"(?P<skip>[ \t\r]+|\#[^\n]*|\\\n)|f?'''(?P<long>.*?)(?:'''|\Z)"
    r"|f?'(?P<text>(?:\\.|[^'\\\n])*)(?:'|(?=\n)|\\?\Z)"
    r"|(?P<word>\w+)|(?P<mark>[=!<>+]=|[^\w\s'])|(?P<line>\n)",
    re.DOTALL,
)
_OTHER_SYSTEMS = ("windows", "darwin", "cygwin", "android", "freebsd", "openbsd", "netbsd", "haiku")
_DEEPEST = 16  # calls within calls: time stays linear
_AT_BUILD = ("bash-completion",)  # says where to install, and is not needed later
_NOTHING = ("", "")  # stands for what cannot be read

Token = tuple[str, str]
Value = str | tuple[str, ...] | Option | None


def recipe(sdist: Sdist) -> Recipe:
    """The recipe of a project whose top directory has a ``meson.build``."""
    text = sdist.text("meson.options") or sdist.text("meson_options.txt") or ""
    listed = [option for call in _calls_of(text, "option") if (option := _option(call))]
    state = _State({option.name: option for option in listed})
    names = sorted(n for n, _ in sdist.texts if re.fullmatch(r"(?:[^/]+/)*meson\.build", n))
    for name in sorted(names, key=lambda n: (n.count("/"), n)):
        if not _BUNDLED.match(name):
            _read(sdist.text(name) or "", state)
    options = tuple(sorted(listed, key=lambda each: each.name))
    languages = state.languages
    inherit = ("meson", "vala") if "vala" in languages else ("meson",)
    return Recipe(
        inherit,
        options=options,
        needs=tuple(dict.fromkeys(state.needs)),
        after=tuple(_phases(options, languages)),
        pkgconfig=any(need.kind == "pkg-config" for need in state.needs),
        license=state.license,
    )


@dataclass
class _Call:
    """A call: its arguments, each as tokens."""

    name: str
    arguments: list[list[Token]] = field(default_factory=list)
    named: dict[str, list[Token]] = field(default_factory=dict)


@dataclass
class _State:
    """What is known while the files are read."""

    options: Mapping[str, Option]
    variables: dict[str, Value] = field(default_factory=dict)
    needs: list[Need] = field(default_factory=list)
    languages: tuple[str, ...] = ()
    license: str | None = None


def _read(text: str, state: _State) -> None:
    blocks = Blocks()
    for statement in _statements(text):
        word = statement[0][1] if statement[0][0] == "word" else ""
        if word == "if":
            blocks.begin(_condition(statement[1:], state))
        elif word == "elif":
            blocks.branch(_condition(statement[1:], state))
        elif word == "else":
            blocks.branch()
        elif word == "endif":
            blocks.end()
        condition = blocks.condition
        if condition.never:
            continue
        for call in _calls(statement):
            _use(call, state, condition)
        if len(statement) > 2 and statement[0][0] == "word" and statement[1] == ("mark", "="):
            state.variables[statement[0][1]] = _value(statement[2:], state)


def _use(call: _Call, state: _State, condition: Condition) -> None:
    """Take what a call says."""
    first = _value(call.arguments[0], state) if call.arguments else None
    required = _value(call.named.get("required", [_NOTHING]), state)
    if isinstance(required, Option):
        condition = all_of((condition, Condition((required.flag,))))
    if condition.never:
        return
    native = call.named.get("native") == [("word", "true")]
    optional = call.named.get("required") == [("word", "false")]
    flags = condition.flags
    match call.name:
        case "project":
            rest = [_value(each, state) for each in call.arguments[1:]]
            state.languages = tuple(w for v in rest for w in _words(v))
            licences = _words(_value(call.named.get("license", [_NOTHING]), state))
            state.license = licences[0] if len(licences) == 1 else None
        case "dependency":
            names = _words(first)
            versions = _words(_value(call.named.get("version", [_NOTHING]), state))
            modules = _words(_value(call.named.get("modules", [_NOTHING]), state))
            for name in names[:1]:
                state.needs += [
                    replace(each, flags=flags, optional=optional)
                    for each in _needs(name, versions, modules, native)
                ]
        case "find_library":
            state.needs += [
                Need("library", name, (), flags, optional=optional) for name in _words(first)[:1]
            ]
        case "find_program":
            state.needs += [
                Need("program", name, (), flags, native=True, optional=optional)
                for name in _words(first)[:1]
                if "/" not in name and "." not in name
            ]


def _needs(
    name: str, versions: tuple[str, ...], modules: Sequence[str], native: bool
) -> Iterator[Need]:
    if re.fullmatch(r"qt[56]", name):
        for module in modules:
            yield Need("cmake", f"{name}::{module}", versions, native=native)
    elif name:
        yield Need("pkg-config", name, versions, native=native or name in _AT_BUILD)


def _condition(tokens: Sequence[Token], state: _State) -> Condition:
    """When a block counts; ``and`` binds more tightly than ``or``."""
    choices = _parted(tokens, "or")
    return any_of(all_of(_simple(part, state) for part in _parted(each, "and")) for each in choices)


def _parted(tokens: Sequence[Token], word: str) -> list[list[Token]]:
    """Parts between a word that stands outside of parentheses."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += {("mark", "("): 1, ("mark", ")"): -1}.get(token, 0)
        if token == ("word", word) and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _simple(tokens: Sequence[Token], state: _State) -> Condition:
    if tokens[:1] == [("word", "not")]:
        return opposite(_simple(tokens[1:], state)) if tokens[1:2] != [("word", "not")] else UNKNOWN
    text = "".join(f"'{value}'" if kind == "text" else value for kind, value in tokens)
    system = re.fullmatch(r"(?:host|target|build)_machine\.system\(\)(==|!=)'(\w+)'", text)
    if system is not None:
        same = {"linux": ALWAYS, **dict.fromkeys(_OTHER_SYSTEMS, NEVER)}.get(system[2], UNKNOWN)
        return same if system[1] == "==" else opposite(same)
    call = re.fullmatch(r"(.+?)\.(enabled|allowed|disabled)\(\)", text)
    value = _value(list(tokens[:-4]) if call else list(tokens), state)
    if not isinstance(value, Option):
        return UNKNOWN
    found = Condition((value.flag,))
    return opposite(found) if call and call[2] == "disabled" else found


def _value(tokens: Sequence[Token], state: _State, depth: int = 0) -> Value:
    """What an expression is, if it is plain; lists within lists are not."""
    if len(tokens) == 1 and tokens[0][0] == "text":
        return tokens[0][1]
    if len(tokens) == 1 and tokens[0][0] == "word":
        return state.variables.get(tokens[0][1])
    if tokens[:2] == [("word", "get_option"), ("mark", "(")] and len(tokens) == 4:
        return state.options.get(tokens[2][1])
    if not depth and len(tokens) > 1 and tokens[0] == ("mark", "[") and tokens[-1] == ("mark", "]"):
        values = [_value(each, state, 1) for each in _split(tokens[1:-1])]
        return tuple(each for each in values if isinstance(each, str))
    return None


def _words(value: Value) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return value if isinstance(value, tuple) else ()


def _statements(text: str) -> Iterator[list[Token]]:
    """The statements of a file: a line, or what parentheses hold together."""
    found: list[Token] = []
    depth = at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:  # a quote that is not closed
            at += 1
            continue
        at = match.end()
        kind = str(match.lastgroup)
        if kind == "line" and depth <= 0:
            if found:
                yield found
            found, depth = [], 0
        elif kind in ("text", "long"):
            found.append(("text", re.sub(r"\\(['\\])", r"\1", match[kind])))
        elif kind in ("word", "mark"):
            found.append((kind, match[kind]))
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(match[kind], 0)
    if found:
        yield found


def _calls(statement: Sequence[Token]) -> Iterator[_Call]:
    """The calls in a statement, those within others, too, up to a depth."""
    begun: list[int] = []
    for number, token in enumerate(statement):
        if token == ("mark", "("):
            begun.append(number)
        elif token == ("mark", ")") and begun:
            begin = begun.pop()
            if begin and statement[begin - 1][0] == "word" and len(begun) < _DEEPEST:
                yield _call(statement[begin - 1][1], statement[begin + 1 : number])


def _call(name: str, tokens: Sequence[Token]) -> _Call:
    call = _Call(name)
    for part in _split(tokens):
        if len(part) > 2 and part[0][0] == "word" and part[1] == ("mark", ":"):
            call.named[part[0][1]] = part[2:]
        else:
            call.arguments.append(part)
    return call


def _split(tokens: Sequence[Token]) -> list[list[Token]]:
    """Parts between commas that stand outside of brackets."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for kind, value in tokens:
        if kind == "mark":
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(value, 0)
        if (kind, value) == ("mark", ",") and depth == 0:
            parts.append([])
        else:
            parts[-1].append((kind, value))
    return [part for part in parts if part]


def _calls_of(text: str, name: str) -> Iterator[_Call]:
    for statement in _statements(text):
        yield from (call for call in _calls(statement) if call.name == name)


def _option(call: _Call) -> Option | None:
    """A switch; None for an option of another type, or one that no user wants."""
    state = _State({})
    name = _value(call.arguments[0], state) if call.arguments else None
    kind = _value(call.named.get("type", [_NOTHING]), state)
    if (
        not isinstance(name, str)
        or kind not in ("boolean", "feature")
        or "deprecated" in call.named
    ):
        return None
    flag = flag_of(name)
    if flag is None or not re.fullmatch(r"[\w.:-]+", name):
        return None
    what = _value(call.named.get("description", [_NOTHING]), state)
    given = call.named.get("value", [("word", "true" if kind == "boolean" else "auto")])
    on = [value for _, value in given] in (["true"], ["enabled"])
    return Option(name, flag, what if isinstance(what, str) else "", on, kind == "feature")


def _phases(options: Sequence[Option], languages: Sequence[str]) -> Iterator[str]:
    if not options and "vala" not in languages:
        return
    yield "src_configure() {"
    if "vala" in languages:
        yield "\tvala_setup"
    if options:
        yield "\tlocal emesonargs=("
        for each in options:
            call = "meson_feature" if each.feature else "meson_use"
            name = "" if each.name == each.flag else f" {each.name}"
            yield f"\t\t$({call} {each.flag}{name})"
        yield "\t)"
    yield "\tmeson_src_configure"
    yield "}"
