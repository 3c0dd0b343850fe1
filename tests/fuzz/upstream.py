"""What an index of Python packages says, and GitHub's API: it ends in an ebuild that is no code."""

from __future__ import annotations

import json
import re
from typing import Any, cast

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from tests.fuzz.samples import parts

from cloche.autogen import licences, marked
from cloche.autogen.errors import UpstreamError
from cloche.autogen.github import answers, choice
from cloche.autogen.github.api import Api
from cloche.autogen.package import Source
from cloche.autogen.pypi.archive import Sdist
from cloche.autogen.pypi.ebuild import Policy, Published, package
from cloche.autogen.pypi.index import File, read_page
from cloche.autogen.pypi.needs import Named, Naming
from cloche.autogen.pypi.project import Metadata, read_metadata, read_pyproject, sdist_metadata
from cloche.autogen.pypi.release import Release, chosen, missing
from cloche.autogen.text import ebuild_text, metadata_text
from cloche.autogen.trees import Trees

_TARGETS = ("python3_12", "python3_13")
_TREES = Trees(())
_TEXTS = ("pyproject.toml", "setup.cfg", "a.egg-info/requires.txt", "LICENSE", "setup.py")
# Calls of the eclasses, and what is escaped.
_CALLS = re.compile(r"\$\(python_gen_cond_dep '|\$\(pypi_sdist_url |\\.")


def _naming() -> Naming:
    def named(wanted: Requirement) -> Named:
        versions = (Version("1.0"), Version("1.2.post1"), Version("2.0rc1"))
        return Named(f"dev-python/{canonicalize_name(wanted.name)}", versions)

    def required(project: str, extra: str) -> tuple[Requirement, ...]:
        return (Requirement(f'deeper; extra == "{extra}"'),)

    return Naming(named, required, lambda wanted, _: named(wanted))


def written(metadata: Metadata, sdist: Sdist) -> None:
    """The ebuild of a release; nothing of it may run."""
    file = File("a-1.0.tar.gz", "https://x/a-1.0.tar.gz", Version("1.0"), ())
    release = Release("a", Version("1.0"), file, ())
    pyproject = dict(read_pyproject(sdist, "a"))
    source = Source(file.name, 1, ())
    published = Published(release, metadata, sdist, pyproject, source, "https://x/a")
    naming = _naming()
    policy = Policy(license="MIT")
    made = package(published, "dev-python/a", policy, _TREES, _TARGETS, naming, naming)
    text = ebuild_text(made.ebuild, {})
    metadata_text(made)
    for line in text.splitlines():
        plain = _CALLS.sub("", line)
        assert not re.search(r"\$\(|`", plain), line
    assert marked.is_untouched(text)


def python(data: bytes) -> object:
    """METADATA, and files of the sdist."""
    described, *texts = parts(data, 1 + len(_TEXTS))
    pairs = zip(_TEXTS, texts, strict=True)
    listed = tuple((name, text.decode(errors="replace")) for name, text in pairs if text)
    names = frozenset({"test_a.py", "setup.py", *(name for name, _ in listed)})
    sdist = Sdist("a-1.0", names, listed)
    return written(read_metadata(described, "a"), sdist)


def old_python(data: bytes) -> object:
    """PKG-INFO and what setuptools wrote, without a wheel."""
    described, requires, pyproject = (each.decode(errors="replace") for each in parts(data, 3))
    texts = (
        ("PKG-INFO", described),
        *((("a.egg-info/requires.txt", requires),) if requires else ()),
        ("pyproject.toml", pyproject),
    )
    sdist = Sdist("a-1.0", frozenset({"setup.py", *(name for name, _ in texts)}), texts)
    return written(sdist_metadata(sdist, "a"), sdist)


def page(data: bytes) -> object:
    """A project's page as JSON."""
    return _chosen("application/vnd.pypi.simple.v1+json", data)


def html(data: bytes) -> object:
    """A project's page as HTML."""
    return _chosen("text/html; charset=utf-8", data)


def _chosen(kind: str, data: bytes) -> object:
    found = read_page(kind, data, "https://x/simple/a/", "a")
    missing(found, found.versions)
    return chosen(found, None)


class _Answers:
    """An API that gives the same answer to all."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def one(self, _: str) -> Any:
        return self._data

    def all(self, _: str) -> tuple[Any, ...]:
        if not isinstance(self._data, list):
            raise UpstreamError("not a list")
        return tuple(self._data)


def github(data: bytes) -> object:
    """The repository, its releases, its tags."""
    try:
        about, releases, tags = (json.loads(each or b"[]") for each in parts(data, 3))
    except (ValueError, RecursionError):
        return None
    project = answers.project(cast(Api, _Answers(about)), answers.wanted("a/b"))
    listed = answers.releases(cast(Api, _Answers(releases)), "a/b")
    named = answers.tags(cast(Api, _Answers(tags)), "a/b")
    published = choice.Published(project, listed, named)
    version = choice.chosen(published, answers.wanted("a/b"), ("b",), choice.Rule())
    return choice.archives(published, version, ("b",), "b")


def licence(data: bytes) -> object:
    """A licence expression, a LICENSE, a mapping of a tree."""
    expression, given, mapping = (each.decode(errors="replace") for each in parts(data, 3))
    licences.checked(given)
    return licences.licence(expression, licences.read_mapping(mapping), "a")


def own_lines(data: bytes) -> object:
    """An ebuild that somebody has edited."""
    from pathlib import Path

    text = data.decode("utf-8", "surrogateescape")
    marked.is_untouched(text)
    own = marked.own_lines(text, Path("a-1.ebuild"))
    for name, lines in own.items():
        more = marked.with_own_lines(text, name, ["A=1"])
        found = marked.own_lines(more, Path("a-1.ebuild"))[name]
        assert found == (lines if "A=1" in lines else (*lines, "A=1"))
    return own


PARSERS = (python, old_python, page, html, github, licence, own_lines)
_METADATA = b"""\
Metadata-Version: 2.4
Name: a
Version: 1.0
Summary: Says "hello"
Home-page: https://x.org/?
Project-URL: Source, https://github.com/x/y
License-Expression: MIT OR (Apache-2.0 AND BSD-3-Clause)
Classifier: License :: OSI Approved :: MIT License
Requires-Python: >=3.11,!=3.12.3
Requires-Dist: b[x,y]>=1.0,!=1.1,<3; python_version < "3.13" and extra != "z"
Requires-Dist: c~=1.2; platform_machine == "x86_64" or sys_platform == "win32"
Requires-Dist: d==1.*; python_full_version < "3.12.4"
Requires-Dist: pytest-mock; extra == "test"
Provides-Extra: z
Provides-Extra: test
"""
_PYPROJECT = b"""\
[build-system]
requires = ["setuptools>=61", "cython; python_version > '3.8'"]
build-backend = "setuptools.build_meta"
[project]
name = "a"
dependencies = ["b"]
optional-dependencies = {z = ["c; os_name == 'posix'"]}
[dependency-groups]
test = ["pytest", {include-group = "more"}]
more = ["e>1"]
"""
_OLD = b"""\
Metadata-Version: 2.1
Name: a
Version: 1.0
License: BSD
Classifier: License :: OSI Approved :: BSD License
"""
_PAGE = b"""\
{"meta":{"api-version":"1.1"},"name":"a","versions":["1.0"],"files":[{"filename":"a-1.0.tar.gz",
"url":"a-1.0.tar.gz","hashes":{"sha256":"00"},"size":1,"requires-python":">=3","yanked":false,
"core-metadata":{"sha256":"11"}},{"filename":"a-1.0-py3-none-any.whl","url":"https://x/a","hashes":
{},"yanked":false}]}"""
_HTML = b"""\
<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.0"></head><body>
<a href="/a-1.0.tar.gz#sha256=00" data-requires-python="&gt;=3">a-1.0.tar.gz</a></body></html>"""
_ABOUT = b"""\
{"full_name":"a/b","html_url":"https://github.com/a/b","description":"x","homepage":"https://x.org",
"license":{"spdx_id":"MIT"},"archived":true}"""
_RELEASES = b"""\
[{"tag_name":"v1.2","prerelease":false,"draft":false,"assets":[{"name":"b-1.2.tar.xz","size":1,
"state":"uploaded","digest":"sha256:00","browser_download_url":"https://x/b-1.2.tar.xz"}]},
{"tag_name":"b-1.3-rc1","prerelease":true}]"""
_SPLIT = b"\n%%\n"
VALID = (
    (_SPLIT.join((_METADATA, _PYPROJECT, b"[options]\nsetup_requires = x", b"", b"MIT", b"x")),),
    (_SPLIT.join((_OLD, b'b>1\n\n[z:os_name == "posix"]\nc', _PYPROJECT)),),
    (_PAGE,),
    (_HTML,),
    (_SPLIT.join((_ABOUT, _RELEASES, b'[{"name":"v1.1"},{"name":"release-1_0"}]')),),
    (
        _SPLIT.join(
            (
                b"MIT OR GPL-2.0+ AND (Apache-2.0 WITH LLVM-exception)",
                b"|| ( MIT ( GPL-2+ a? ( B ) ) )",
                b"[spdx-to-ebuild]\nMIT = MIT\nGPL-2.0-or-later = GPL-2+\n"
                b"Apache-2.0 WITH LLVM-exception = A\n",
            )
        ),
    ),
    (
        b"EAPI=8\n# autogen: 0123456789abcdef; x\n# autogen: own variables\nA=2\n# autogen: end\n"
        b"# autogen: own phases\n# autogen: end\n",
    ),
)
