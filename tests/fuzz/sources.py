"""Build files in source archives of releases: they are read, not run."""

from __future__ import annotations

import contextlib

from tests.fuzz.samples import parts

from cloche.autogen.errors import RefusedError
from cloche.autogen.github import cmake, meson, versions
from cloche.autogen.github.build_systems import recipe
from cloche.autogen.github.mapping import names
from cloche.autogen.github.recipe import Recipe, dependencies, flags
from cloche.autogen.pypi.archive import Sdist

_OTHERS = ("configure.ac", "Cargo.toml", "Cargo.lock", "go.mod", "Makefile", "pyproject.toml")
_NAMES = names()


def _used(found: Recipe) -> object:
    return dependencies(found.needs, _NAMES), flags(found.options)


def of_meson(data: bytes) -> object:
    """meson.build and meson.options."""
    build, options = (each.decode(errors="replace") for each in parts(data, 2))
    texts = (("meson.build", build), ("meson.options", options))
    return _used(meson.recipe(Sdist("a-1", frozenset({"meson.build"}), texts)))


def of_cmake(data: bytes) -> object:
    """CMakeLists.txt."""
    texts = (("CMakeLists.txt", data.decode(errors="replace")),)
    return _used(cmake.recipe(Sdist("a-1", frozenset({"CMakeLists.txt"}), texts)))


def of_others(data: bytes) -> object:
    """What the other build systems have, one after the other."""
    texts = dict(zip(_OTHERS, parts(data, len(_OTHERS)), strict=True))
    listed = tuple((name, text.decode(errors="replace")) for name, text in texts.items())
    for first in _OTHERS:
        with contextlib.suppress(RefusedError):
            present = {first, "Cargo.lock", "main.go", *(["pyproject.toml"] if texts else [])}
            _used(recipe(Sdist("a-1", frozenset(present), listed), "a"))
    return None


def tags(data: bytes) -> object:
    """Tags, one a line."""
    for tag in data.decode(errors="replace").splitlines():
        for named in (True, False):
            with contextlib.suppress(RefusedError):
                versions.spelled(versions.version_of(tag, ("a", "a-b"), named=named))
    return None


PARSERS = (of_meson, of_cmake, of_others, tags)
VALID = (
    (
        b"project('a', 'c', 'vala', license : 'MIT')\nx = ['>= 1', '<2']\nif get_option('f')"
        b".enabled() and not get_option('b')\n dependency('zlib', version : x, required : false)\n"
        b"elif host_machine.system() == 'windows' or get_option('b')\n find_program('scdoc')\n"
        b"else\n"
        b" dependency('qt6', modules : ['Core'], native : true)\nendif\n'''x'''\n"
        b"\n%%\noption('f', type : 'feature', description : 'x')\noption('b', type : 'boolean')\n",
    ),
    (
        b'project(A)\noption(WITH_X "x \\" y" ON)\n#[[ x ]]\nif(WITH_X AND NOT WIN32)\n'
        b"find_package(Qt6 6.5 REQUIRED COMPONENTS Core Gui)\nelseif(UNIX OR APPLE)\n"
        b"pkg_check_modules(Z REQUIRED IMPORTED_TARGET zlib>=1.2)\nelse()\nfind_package(ZLIB)\n"
        b"endif()\ninclude(CTest)\nset(x [==[ y ]==])\n",
    ),
    (
        b"\n%%\n".join(
            (
                b"AC_INIT([a], [1])\ndnl x\nPKG_CHECK_MODULES([A], [zlib >= 1 x], [y(z)], [n=1])\n"
                b"AC_ARG_ENABLE([x], [])\nAM_GNU_GETTEXT\n",
                b'[package]\nname = "a"\nrust-version = "1.80"\nlicense = "MIT/Apache-2.0"\n',
                b'[[package]]\nname = "b"\nversion = "1"\n',
                b"module example.org/a/v2\n\ngo 1.23\n",
                b"PREFIX ?= /usr\ninstall:\n\tcp a $(DESTDIR)$(PREFIX)\n",
                b'[tool.poetry]\nname = "x"\n',
            )
        ),
    ),
    (b"v1.2\na-1.2-rc.1\nrelease-1_2\n2026-01-02\nv1.2b1\n1.2+x\nversion/v3.4.5_p1\n",),
)
