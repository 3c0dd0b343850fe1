"""Which build system the sources have, by their files, and what an ebuild has to say for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from cloche.autogen.errors import RefusedError
from cloche.autogen.github import cmake, meson
from cloche.autogen.github.recipe import Need, Recipe
from cloche.autogen.pypi.archive import Sdist
from cloche.autogen.rust.crates import rust_version
from cloche.config import toml

# The files whose texts are read, by their names below the top directory.
FILES = re.compile(
    rf"{meson.FILES}|{cmake.FILES}|configure\.(?:ac|in)|(?:GNUm|M|m)akefile|Cargo\.(?:toml|lock)"
    r"|go\.(?:mod|sum)|pyproject\.toml|\.gitmodules|(?:LICEN[CS]E|COPYING)[^/]*"
)
_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
_PYTHON_FIRST = re.compile(r"mesonpy|scikit_build_core|maturin|setuptools|hatchling|flit|poetry")
_CHECKED = re.compile(
    r"PKG_CHECK_(?:MODULES|EXISTS)(?:_STATIC)?\(\s*(?:\[?\w+\]?\s*,\s*)?\[?([^\]),]+)"
)
_LONGEST_CALL = 2000  # characters: time stays linear
_SWITCH = re.compile(r"AC_ARG_(ENABLE|WITH)\(\s*\[?([\w-]+)")
_MODULE = re.compile(r"([A-Za-z][\w.+-]*)(?:\s*(>=|<=|=|<|>)\s*(\d[\d.]*))?")


class NoBuildSystemError(RefusedError):
    """The archive has none of the files by which a build system is known."""


def recipe(sdist: Sdist, where: str) -> Recipe:
    """What the build system needs. Raises `RefusedError`."""
    names = sdist.names
    _refuse_python(sdist, where)
    if "meson.build" in names:
        if "Cargo.toml" in names:
            raise _by_hand("it is built by Meson and Cargo together", where)
        return meson.recipe(sdist)
    if "CMakeLists.txt" in names:
        return cmake.recipe(sdist)
    if names & {"configure", "configure.ac", "configure.in"}:
        return _autotools(sdist)
    if "Cargo.toml" in names:
        return _cargo(sdist, where)
    if "go.mod" in names:
        return _go(sdist, where)
    if made := [name for name in _MAKEFILES if name in names]:
        return _make(sdist.text(made[0]) or "", where)
    if "package.json" in names:
        raise _by_hand("it is built by npm, which fetches while it builds", where)
    what = "no build system is known by its files (Meson, CMake, Autotools, Cargo, Go, Make)"
    raise NoBuildSystemError(what, where=where, todo="write this ebuild by hand")


def _refuse_python(sdist: Sdist, where: str) -> None:
    data = _toml(sdist.text("pyproject.toml"), where)
    backend = str(_table(data, "build-system").get("build-backend", ""))
    named = _table(data, "project").get("name") or _table(_table(data, "tool"), "poetry").get(
        "name"
    )
    others = sdist.names & {"meson.build", "CMakeLists.txt", "configure", "configure.ac", "go.mod"}
    is_python = _PYTHON_FIRST.match(backend) or named or "setup.py" in sdist.names
    if is_python and (named or not others):
        plain = isinstance(named, str) and re.fullmatch(r"[\w.-]+", named)
        name = f"`cloche autogen pypi {named}`" if plain else "`cloche autogen pypi`"
        what = "it is a Python project"
        todo = f"use {name}; if no index has it, write an ebuild with distutils-r1"
        raise RefusedError(what, where=where, todo=todo)


def _autotools(sdist: Sdist) -> Recipe:
    text = sdist.text("configure.ac") or sdist.text("configure.in") or ""
    text = re.sub(r"(?m)(?:^|\s)(?:dnl\b|#).*$", "", text)
    made = "configure" in sdist.names
    phases = () if made else ("src_prepare() {", "\tdefault", "\teautoreconf", "}")
    needs = [
        replace(need, optional=_has_fallback(text, match.start()))
        for match in _CHECKED.finditer(text)
        for need in _modules(match[1])
    ]
    if re.search(r"AM_GNU_GETTEXT\b|AM_GNU_GETTEXT_VERSION", text):
        needs.append(Need("cmake", "Gettext", native=True))
    switches = sorted({f"--{kind.lower()}-{name}" for kind, name in _SWITCH.findall(text)})
    note = f"configure has {', '.join(switches)}: write those that matter into src_configure"
    return Recipe(
        () if made else ("autotools",),
        needs=tuple(dict.fromkeys(needs)),
        after=phases,
        pkgconfig=bool(needs) or "PKG_PROG_PKG_CONFIG" in text,
        notes=(note,) if switches else (),
    )


def _has_fallback(text: str, at: int) -> bool:
    """Whether a PKG_CHECK_MODULES has a fourth argument, for where the module is not there."""
    part = text[at : at + _LONGEST_CALL]
    commas = depth = 0
    for character in part[part.index("(") + 1 :]:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(character, 0)
        if depth < 0:
            break
        commas += character == "," and depth == 0
    return commas >= 3 and part.startswith("PKG_CHECK_MODULES")


def _modules(text: str) -> Iterator[Need]:
    if "$" in text or "@" in text:
        return
    for name, operator, version in _MODULE.findall(text):
        limit = version.rstrip(".")
        yield Need("pkg-config", name, (f"{operator}{limit}",) if limit else ())


def _cargo(sdist: Sdist, where: str) -> Recipe:
    data = _toml(sdist.text("Cargo.toml"), where)
    package = _table(data, "package")
    if not package:
        raise _by_hand("its Cargo.toml is of a workspace without a package of its own", where)
    lock = _toml(sdist.text("Cargo.lock"), where).get("package", [])
    listed = lock if isinstance(lock, list) else []
    crates = [each for each in listed if isinstance(each, dict) and "source" in each]
    vendored = any(re.fullmatch(r"vendor/[^/]+/\.cargo-checksum\.json", n) for n in sdist.names)
    if "Cargo.lock" not in sdist.names and _table(data, "dependencies"):
        raise _by_hand("it has no Cargo.lock, so its crates are not known", where)
    oldest = rust_version(sdist.text("Cargo.toml") or "")
    spdx = package.get("license")
    licence = spdx.replace("/", " OR ") if isinstance(spdx, str) else None
    if crates and not vendored:
        return Recipe(("cargo",), license=licence, crates=True)
    return Recipe(
        ("cargo",),
        before=('CRATES=""', *([f'RUST_MIN_VER="{oldest}"'] if oldest else [])),
        after=('ECARGO_VENDOR="${S}/vendor"',) if crates else (),
        license=licence,
        notes=("LICENSE lacks those of the crates in vendor/",) if crates else (),
    )


def _go(sdist: Sdist, where: str) -> Recipe:
    text = re.sub(r"//[^\n]*", "", sdist.text("go.mod") or "")
    needed = re.search(r"^[ \t]*require\b", text, re.MULTILINE)
    if needed and "vendor/modules.txt" not in sdist.names:
        what = "its archive does not hold the Go modules that it needs (vendor/)"
        todo = "make an archive of them (go mod vendor), and write this ebuild by hand"
        raise RefusedError(what, where=where, todo=todo)
    module = re.search(r"^[ \t]*module[ \t]+\"?([\w./~-]+)", text, re.MULTILINE)
    commands = sorted(
        {m[1] for n in sdist.names if (m := re.fullmatch(r"cmd/([\w-]+)/main\.go", n))}
    )
    if not module or not (commands or "main.go" in sdist.names):
        raise _by_hand("its Go packages have neither main.go nor cmd/NAME/main.go", where)
    last = re.sub(r"/v\d+$", "", module[1]).rpartition("/")[2]
    targets = [f"./cmd/{name}" for name in commands] or ["."]
    programs = commands or [last]
    # Into a directory of its own: the sources may have one that is called like a program.
    output = f"-o bin/{programs[0]} ." if not commands else f"-o bin/ {' '.join(targets)}"
    return Recipe(
        ("go-module",),
        after=(
            "src_compile() {",
            f"\tego build {output}",
            "}",
            "",
            "src_test() {",
            "\tego test ./...",
            "}",
            "",
            "src_install() {",
            f"\tdobin {' '.join(f'bin/{name}' for name in programs)}",
            "\teinstalldocs",
            "}",
        ),
        notes=("LICENSE lacks those of the modules in vendor/",) if needed else (),
    )


def _make(text: str, where: str) -> Recipe:
    if not re.search(r"^install\s*:", text, re.MULTILINE) or "DESTDIR" not in text:
        raise _by_hand("its Makefile does not install below DESTDIR", where)
    lower = next(
        (name for name in ("PREFIX", "prefix") if re.search(rf"^{name}\s*[?:]?=", text, re.M)), None
    )
    prefix = f' {lower}="${{EPREFIX}}/usr"' if lower else ""
    return Recipe(
        ("toolchain-funcs",),
        after=(
            "src_compile() {",
            f'\temake CC="$(tc-getCC)" CXX="$(tc-getCXX)"{prefix}',
            "}",
            "",
            "src_install() {",
            f'\temake DESTDIR="${{D}}"{prefix} install',
            "\teinstalldocs",
            "}",
        ),
    )


def _toml(text: str | None, where: str) -> Mapping[str, Any]:
    try:
        return toml.loads(text or "")
    except (ValueError, RecursionError) as error:
        what = f"its TOML files are malformed: {error}"
        raise RefusedError(what, where=where, todo="tell upstream") from error


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _by_hand(what: str, where: str) -> RefusedError:
    return RefusedError(what, where=where, todo="write this ebuild by hand")
