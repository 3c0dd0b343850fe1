"""What each build system becomes; ebuilds are valid bash, their dependencies valid in EAPI 8."""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
import tomllib
from collections.abc import Mapping
from importlib.resources import files

import pytest
from portage.dep import use_reduce
from tests.autogen.forge import NAME, Bench, source
from tests.autogen.test_autogen_github_generate import EBUILD, MESON_FILES, failed

from cloche.autogen.errors import RefusedError
from cloche.autogen.github import cmake, meson
from cloche.autogen.github.answers import Project
from cloche.autogen.github.build_systems import recipe
from cloche.autogen.github.choice import Archive
from cloche.autogen.github.ebuild import Policy, Release, package
from cloche.autogen.github.mapping import names
from cloche.autogen.github.recipe import Recipe
from cloche.autogen.github.versions import version_of
from cloche.autogen.package import Source
from cloche.autogen.pypi.archive import Sdist
from cloche.autogen.trees import Trees

CMAKE = """\
cmake_minimum_required(VERSION 3.16)
project(Hello VERSION 1.2 LANGUAGES CXX)
option(HELLO_ENABLE_GUI "Build the \\"window\\"" ON)
option(BUILD_TESTING "Tests" OFF)
option(HELLO_WERROR "Fail on warnings" OFF)
#[[ find_package(Old REQUIRED) ]] # find_package(Older)
find_package(ZLIB 1.2.11 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl>=7.80 libssl)
if(HELLO_ENABLE_GUI AND NOT WIN32)
  find_package(Qt6 6.5 REQUIRED COMPONENTS Core Widgets DBus)
elseif(APPLE)
  find_package(Cocoa)
endif()
if(WIN32)
  find_package(WinSock)
endif()
find_package(Nowhere)
find_package(Doxygen)
option(BUILD_FOR_WIN32 "On another system")
option(WITH_BASH_COMPLETION "Always")
"""
CONFIGURE = """\
AC_INIT([hello], [1.2])
dnl PKG_CHECK_MODULES([OLD], [old])
AM_GNU_GETTEXT([external])
PKG_CHECK_MODULES([DEPS], [glib-2.0 >= 2.40 libxml-2.0])
AC_ARG_ENABLE([speech], [AS_HELP_STRING([--enable-speech])])
"""
CARGO = '[package]\nname = "hello"\nversion = "1.2.0"\nlicense = "MIT/Apache-2.0"\n'
CARGO += 'rust-version = "1.80"\n[dependencies]\nlibc = "0.2"\n'
LOCK = '[[package]]\nname = "libc"\nversion = "0.2.1"\nsource = "registry+https://x"\n'
MAKEFILE = "PREFIX ?= /usr/local\nall: hello\ninstall:\n\tcp hello $(DESTDIR)$(PREFIX)/bin\n"
GO = {"go.mod": "module example.org/hello/v2\n\ngo 1.23\n", "main.go": "package main\n"}


def write(bench: Bench, files: Mapping[str, str], *words: str) -> tuple[str, str]:
    """The ebuild of a release with these files, and what was said."""
    bench.forge.release("v1.2")
    bench.forge.asset("v1.2", "hello-1.2.tar.gz", source("1.2", files))
    done = bench.run(NAME, *words)
    assert done.exit_code == 0, (done.output, done.exception)
    subprocess.run(["bash", "-n", bench.repository / EBUILD], check=True)
    text = bench.text(EBUILD)
    for wanted in re.findall(r'DEPEND="\n(.*?)\n"', text, re.DOTALL):
        assert use_reduce(wanted, matchall=True, eapi="8", flat=True)
    return text, done.stderr


def test_cmake(bench: Bench) -> None:
    text, said = write(bench, {"CMakeLists.txt": CMAKE})
    assert "inherit cmake\n" in text
    assert 'IUSE="+gui test"\nRESTRICT="!test? ( test )"\n' in text
    assert text.partition('RDEPEND="\n')[2].partition('\n"')[0].split("\n") == [
        "\tdev-libs/openssl:=",
        "\t>=net-misc/curl-7.80",
        "\t>=sys-libs/zlib-1.2.11:=",
        "\tgui? (",
        "\t\t>=dev-qt/qtbase-6.5:6[dbus,widgets]",
        "\t)",
    ]
    assert "-DBUILD_TESTING=$(usex test)" in text
    assert "-DHELLO_ENABLE_GUI=$(usex gui)" in text
    assert 'BDEPEND="\n\tapp-text/doxygen\n\tvirtual/pkgconfig\n"' in text
    assert not re.search("WERROR|WIN32|COMPLETION", text)
    assert "no package is known for Nowhere:" in said
    described = bench.text("app-misc/hello/metadata.xml")
    assert '<flag name="gui">Build the "window"</flag>' in described


def test_autotools_with_and_without_configure(bench: Bench) -> None:
    text, said = write(bench, {"configure.ac": CONFIGURE, "configure": ""})
    assert "\ninherit" not in text
    assert "\t>=dev-libs/glib-2.40:2\n\tdev-libs/libxml2:=\n" in text
    assert "\tsys-devel/gettext\n\tvirtual/pkgconfig\n" in text
    assert "old" not in said
    assert "--enable-speech" in said
    bench.forge.releases[0]["assets"].clear()
    bench.forge.release("v1.3", {"configure.ac": CONFIGURE})
    bench.run()
    text = bench.text("app-misc/hello/hello-1.3.ebuild")
    assert "inherit autotools\n" in text
    assert "\teautoreconf\n" in text


def test_plain_make(bench: Bench) -> None:
    text, _ = write(bench, {"Makefile": MAKEFILE})
    assert 'emake CC="$(tc-getCC)" CXX="$(tc-getCXX)" PREFIX="${EPREFIX}/usr"' in text
    assert 'emake DESTDIR="${D}" PREFIX="${EPREFIX}/usr" install' in text


def test_go_with_its_modules(bench: Bench) -> None:
    files = {**GO, "go.mod": f"{GO['go.mod']}require example.org/x v1.0.0\n"}
    text, said = write(bench, {**files, "vendor/modules.txt": ""})
    assert "inherit go-module\n" in text
    assert "\tego build -o bin/hello .\n" in text
    assert "\tdobin bin/hello\n" in text
    assert "modules in vendor/" in said


def test_go_with_several_commands(bench: Bench) -> None:
    """A directory of the sources may be called like a program: they go into one of their own."""
    files = {"go.mod": GO["go.mod"], "cmd/a/main.go": "", "cmd/b/main.go": "", "a/x.go": ""}
    text, _ = write(bench, files)
    assert "\tego build -o bin/ ./cmd/a ./cmd/b\n" in text
    assert "\tdobin bin/a bin/b\n" in text


def test_cargo_with_its_crates(bench: Bench) -> None:
    crates = {"Cargo.lock": LOCK, "vendor/libc/.cargo-checksum.json": "{}"}
    text, _ = write(bench, {"Cargo.toml": CARGO, **crates})
    assert 'CRATES=""\nRUST_MIN_VER="1.80.0"\n\ninherit cargo\n' in text
    assert 'ECARGO_VENDOR="${S}/vendor"\n' in text
    assert 'LICENSE="|| ( MIT Apache-2.0 )"\n' in text


REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "npm": ({"package.json": "{}"}, "npm"),
    "Python": ({"pyproject.toml": '[project]\nname = "hello-py"\n'}, "Python project"),
    "setup.py": ({"setup.py": ""}, "Python project"),
    "crates": ({"Cargo.toml": CARGO, "Cargo.lock": f"version = 9\n{LOCK}"}, "Cargo.lock"),
    "no lock": ({"Cargo.toml": CARGO}, "no Cargo.lock"),
    "workspace": ({"Cargo.toml": '[workspace]\nmembers = ["a"]\n'}, "workspace"),
    "modules": ({**GO, "go.mod": "module a\nrequire b v1.0.0\n"}, "Go modules"),
    "a Go library": ({"go.mod": "module a\n"}, "neither main.go"),
    "Make without install": ({"Makefile": "all:\n"}, "DESTDIR"),
    "nothing": ({"README": ""}, "no build system"),
    "bad TOML": ({"Cargo.toml": "["}, "malformed"),
}


@pytest.mark.parametrize(("files", "word"), REFUSED.values(), ids=REFUSED.keys())
def test_what_has_no_exact_ebuild_is_refused(
    bench: Bench, files: dict[str, str], word: str
) -> None:
    bench.forge.release("v1.2", files)
    error = failed(bench)
    assert word in error.what
    assert error.where == NAME
    assert error.todo


def test_a_python_project_is_pointed_at_the_index(bench: Bench) -> None:
    bench.forge.release("v1.2", REFUSED["Python"][0])
    assert "`cloche autogen pypi hello-py`" in (failed(bench).todo or "")


def test_the_user_may_name_packages_of_more_libraries(bench: Bench) -> None:
    own = bench.room / "names.toml"
    own.write_text('[cmake]\nNowhere = ["dev-libs/nowhere:2", "dev-libs/data"]\nZLIB = []\n')
    text, said = write(bench, {"CMakeLists.txt": CMAKE}, "--names", str(own))
    assert "\tdev-libs/nowhere:2\n" in text
    assert "zlib" not in text
    assert "no package is known" not in said


@pytest.mark.parametrize("text", ["[meson]\n", "[cmake]\nA = 1\n", "[cmake]\nA = 'x'\n", "["])
def test_malformed_names_are_refused(bench: Bench, text: str) -> None:
    own = bench.room / "names.toml"
    own.write_text(text)
    bench.forge.release("v1.2")
    assert str(own) in (failed(bench, NAME, "--names", str(own)).where or "")


def test_code_in_a_build_file_is_text(bench: Bench) -> None:
    """What upstream writes cannot end a string of the ebuild, or run in it."""
    options = "option('x', type : 'boolean', description : '$(touch pwned) `id` \"')\n"
    files = {**MESON_FILES, "meson_options.txt": options}
    bench.forge.about["description"] = 'Says "$(touch pwned)" `id` \\'
    text, _ = write(bench, files)
    line = next(line for line in text.splitlines() if line.startswith("DESCRIPTION="))
    done = subprocess.run(
        ["bash", "-c", f'{line}; printf %s "$DESCRIPTION"'],
        capture_output=True, text=True, check=True, cwd=bench.room,
    )  # fmt: skip
    assert "$(touch pwned)" in done.stdout
    assert not (bench.room / "pwned").exists()


def test_build_files_that_are_cut_anywhere_are_read() -> None:
    """No prefix of a build file takes long, or fails."""
    build, options = MESON_FILES["meson.build"], MESON_FILES["meson_options.txt"]
    for end in range(0, len(build), 7):
        cut = (("meson.build", build[:end]), ("meson_options.txt", options[:end]))
        meson.recipe(Sdist("hello-1.2", frozenset({"meson.build"}), cut))
    for end in range(0, len(CMAKE), 7):
        cmake.recipe(Sdist("hello-1.2", frozenset(), (("CMakeLists.txt", CMAKE[:end]),)))


UNITS = ['\\"', '"', "#[[", "[==[", "a(", "aaaa", "\n", "'", "'''", "if(", "[", "not ", "{"]


@pytest.mark.parametrize("unit", UNITS)
def test_hostile_build_files_are_read_in_linear_time(unit: str) -> None:
    """Quadratic time would take minutes."""
    many = unit * (60_000 // len(unit))
    begin = time.process_time()
    for text in (many, f"x({many}"):
        meson.recipe(Sdist("a-1", frozenset(), (("meson.build", text),)))
        cmake.recipe(Sdist("a-1", frozenset(), (("CMakeLists.txt", text),)))
    for name in ("configure", "Cargo.toml", "go.mod", "Makefile"):
        texts = ((name, many), ("configure.ac", many))
        with contextlib.suppress(RefusedError):
            recipe(Sdist("a-1", frozenset({name, "main.go"}), texts), "a")
    assert time.process_time() - begin < 20


def test_the_version_is_a_variable_only_at_the_end_of_an_address() -> None:
    """An owner or a project may have the same digits in its name."""
    page = "https://github.com/larry-1.2/hello-1.2"
    project = Project("larry-1.2/hello-1.2", page, "x", "https://x.org/?", "MIT", archived=False)
    version = version_of("v1.2-rc1", ("hello",))
    archive = Archive("hello-1.2_rc1.gh.tar.gz", f"{page}/archive/refs/tags/v1.2-rc1.tar.gz")
    sdist = Sdist("hello-1.2-rc1", frozenset({"configure"}), ())
    release = Release(project, version, archive, Source(archive.name, 1, ()), sdist, Recipe())
    ebuild = package(release, Policy("app-misc", "hello"), names(), Trees(())).ebuild
    assert ebuild.sources == (
        'MY_PV="${PV/_rc/-rc}"',
        f'SRC_URI="{page}/archive/refs/tags/v${{MY_PV}}.tar.gz -> ${{P}}.gh.tar.gz"',
        'S="${WORKDIR}/hello-${MY_PV}"',
    )
    assert ebuild.before == ()


def test_a_homepage_does_not_end_as_a_condition_does(bench: Bench) -> None:
    bench.forge.about["homepage"] = "https://hello.example.org/?"
    text, _ = write(bench, MESON_FILES)
    assert "\thttps://hello.example.org\n" in text


def test_a_release_of_github_itself_has_its_remote_id() -> None:
    project = Project(NAME, f"https://github.com/{NAME}", "Says hello", None, "MIT", archived=False)
    version = version_of("v1.2", ("hello",))
    archive = Archive("hello-1.2.gh.tar.gz", f"{project.page}/archive/refs/tags/v1.2.tar.gz")
    sdist = Sdist("hello-1.2", frozenset({"configure"}), ())
    release = Release(project, version, archive, Source(archive.name, 1, ()), sdist, Recipe())
    found = package(release, Policy("app-misc", "hello"), names(), Trees(()))
    assert found.remote_ids == (("github", NAME),)
    assert found.ebuild.homepage == (f"https://github.com/{NAME}",)


def test_every_name_of_the_mapping_is_found() -> None:
    text = files("cloche.autogen.github").joinpath("dependencies.toml").read_text()
    tables = tomllib.loads(text)
    assert set(tables) == {"pkg-config", "cmake", "library", "program"}
    for kind, table in tables.items():
        for name in table:
            assert names().find(kind, name) is not None
