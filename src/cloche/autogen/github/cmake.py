"""Reads ``CMakeLists.txt`` without running it (cmake-language(7)).

As with Meson, only what is said plainly counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

FILES = r"(?:[^/]+/)*CMakeLists\.txt|cmake/[^/]+\.cmake"
_BUNDLED = re.compile(r"(?:.*/)?(?:third[-_]?party|3rd[-_]?party|extern(?:al)?|vendor|deps)/")
# Each alternative that begins also ends, at the end of the text at the latest: time stays linear.
_COMMENT = r"\#\[(?P<a>=*)\[.*?(?:\](?P=a)\]|\Z)|\#[^\n]*"
_COMMAND = re.compile(rf"{_COMMENT}|(?<!\w)(?P<name>[A-Za-z_]\w*)[ \t]*\(", re.DOTALL)
_ARGUMENT = re.compile(
    rf"{_COMMENT}|\[(?P<b>=*)\[(?P<raw>.*?)(?:\](?P=b)\]|\Z)"
    r"|\"(?P<text>(?:\\.|[^\"\\])*)(?:\"|\\?\Z)|(?P<open>\()|(?P<close>\))|(?P<word>[^\s()#\"]+)",
    re.DOTALL,
)
_ELSEWHERE = frozenset({
    "WIN32", "APPLE", "MSVC", "ANDROID", "IOS", "MINGW", "CYGWIN", "EMSCRIPTEN", "BSD", "HAIKU",
})  # fmt: skip
_PROGRAMS = frozenset({"BISON", "Doxygen", "ECM", "FLEX", "Gettext", "Perl"})
_ALWAYS = frozenset({"UNIX", "LINUX"})
_MODULE = re.compile(r"(?P<name>[A-Za-z0-9_.+-]+?)\s*(?P<limit>(?:>=|<=|=|<|>)\d+(?:\.\d+)*)?")
_WORDS = frozenset({"REQUIRED", "QUIET", "IMPORTED_TARGET", "GLOBAL", "NO_CMAKE_PATH",
                    "NO_CMAKE_ENVIRONMENT_PATH", "STATIC_TARGET"})  # fmt: skip

Command = tuple[str, list[str]]


def recipe(sdist: Sdist) -> Recipe:
    """The recipe of a project whose top directory has a ``CMakeLists.txt``."""
    state = _State()
    top = list(_commands(sdist.text("CMakeLists.txt") or ""))
    named = next((args[0] for name, args in top if name == "project" and args), "")
    names = sorted((n for n, _ in sdist.texts if re.fullmatch(FILES, n)), key=_depth)
    files = [list(_commands(sdist.text(n) or "")) for n in names if not _BUNDLED.match(n)]
    for commands in files:
        _options(commands, named, state)
    for commands in files:
        _read(commands, state)
    options = tuple(sorted(state.options.values(), key=lambda each: each.name))
    return Recipe(
        ("cmake",),
        options=options,
        needs=tuple(dict.fromkeys(state.needs)),
        after=tuple(_phases(options)),
        pkgconfig=any(need.kind == "pkg-config" for need in state.needs),
    )


@dataclass
class _State:
    options: dict[str, Option] = field(default_factory=dict)
    needs: list[Need] = field(default_factory=list)


def _depth(name: str) -> tuple[int, str]:
    return name.count("/"), name


def _options(commands: Sequence[Command], project: str, state: _State) -> None:
    for name, args in commands:
        if name == "include" and args[:1] == ["CTest"]:
            state.options.setdefault("BUILD_TESTING", Option("BUILD_TESTING", "test", ""))
        if name not in ("option", "cmake_dependent_option") or len(args) < 2:
            continue
        flag = flag_of(args[0], prefix=project)
        if flag is None or not re.fullmatch(r"[A-Za-z]\w*", args[0]):
            continue
        # Without such a word, an option is of who works on the project as often as of its users.
        usual = re.match(rf"(?:{re.escape(project)}_)?(?:ENABLE|WITH|BUILD|USE)_", args[0], re.I)
        if usual or flag in ("test", "doc", "examples"):
            on = len(args) > 2 and args[2].upper() in ("ON", "TRUE", "YES", "1", "Y")
            state.options.setdefault(args[0], Option(args[0], flag, args[1], on))


def _read(commands: Sequence[Command], state: _State) -> None:
    blocks = Blocks()
    for name, args in commands:
        if name == "if":
            blocks.begin(_condition(args, state.options))
        elif name == "elseif":
            blocks.branch(_condition(args, state.options))
        elif name == "else":
            blocks.branch()
        elif name == "endif":
            blocks.end()
        condition = blocks.condition
        found: Iterable[Need] = ()
        if name == "find_package" and args:
            found = _packages(args)
        elif name in ("pkg_check_modules", "pkg_search_module") and len(args) > 1:
            found = _modules(args[1:], first=name == "pkg_search_module")
        if not condition.never:
            optional = "REQUIRED" not in args
            state.needs += [replace(e, flags=condition.flags, optional=optional) for e in found]


def _packages(args: Sequence[str]) -> Iterator[Need]:
    """What ``find_package`` looks for, by its components where it has some."""
    name = args[0]
    if not re.fullmatch(r"[\w.+-]+", name):
        return
    limit = (f">={args[1]}",) if len(args) > 1 and re.fullmatch(r"\d+(?:\.\d+)*", args[1]) else ()
    components: list[str] = []
    if "COMPONENTS" in args or re.fullmatch(r"Qt\d|KF\d", name):
        rest = args[args.index("COMPONENTS") + 1 :] if "COMPONENTS" in args else args[1:]
        words = {"REQUIRED", "CONFIG", "QUIET", "OPTIONAL_COMPONENTS", "COMPONENTS", "NO_MODULE"}
        components = [w for w in rest if re.fullmatch(r"[A-Za-z]\w*", w) and w not in words]
    if re.fullmatch(r"Qt\d|KF\d", name) and components:
        for component in components:
            yield Need("cmake", f"{name}::{component}", limit)
    else:
        yield Need("cmake", name, limit, native=name in _PROGRAMS)


def _modules(args: Sequence[str], *, first: bool) -> Iterator[Need]:
    for text in args:
        match = _MODULE.fullmatch(text)
        if text in _WORDS or match is None:
            continue
        yield Need("pkg-config", match["name"], (match["limit"],) if match["limit"] else ())
        if first:  # one of them is enough
            return


def _condition(args: Sequence[str], options: Mapping[str, Option]) -> Condition:
    """When a block counts. ``AND`` and ``OR`` bind alike (cmake-commands(7), if), so both together
    are not read, nor are parentheses."""
    if "(" in args or {"AND", "OR"} <= set(args):
        return UNKNOWN
    parts: list[list[str]] = [[]]
    for word in args:
        if word in ("AND", "OR"):
            parts.append([])
        else:
            parts[-1].append(word)
    found = [_simple(part, options) for part in parts]
    return any_of(found) if "OR" in args else all_of(found)


def _simple(words: Sequence[str], options: Mapping[str, Option]) -> Condition:
    if words[:1] == ["NOT"]:
        return opposite(_simple(words[1:], options)) if words[1:2] != ["NOT"] else UNKNOWN
    if len(words) != 1:
        return UNKNOWN
    if words[0] in options:
        return Condition((options[words[0]].flag,))
    if words[0] in _ELSEWHERE:
        return NEVER
    return ALWAYS if words[0] in _ALWAYS else UNKNOWN


def _commands(text: str) -> Iterator[Command]:
    """The commands of a file, with their arguments, parentheses among them."""
    at = 0
    while (match := _COMMAND.search(text, at)) is not None:
        at = match.end()
        if match["name"] is None:
            continue
        found: list[str] = []
        depth = 1
        while depth and (argument := _ARGUMENT.search(text, at)) is not None:
            at = argument.end()
            if argument["open"] or argument["close"]:
                depth += 1 if argument["open"] else -1
            value = argument["raw"] or argument["text"] or argument["word"] or argument["open"]
            if argument["text"] is not None:
                value = re.sub(r"\\(.)", r"\1", argument["text"])
            if value is not None and depth:
                found.append(value)
            elif argument["close"] and depth:
                found.append(")")
        yield match["name"].lower(), found


def _phases(options: Sequence[Option]) -> Iterator[str]:
    if not options:
        return
    yield "src_configure() {"
    yield "\tlocal mycmakeargs=("
    for each in options:
        yield f"\t\t-D{each.name}=$(usex {each.flag})"
    yield "\t)"
    yield ""
    yield "\tcmake_src_configure"
    yield "}"
