"""From an index to a repository: what is written, and what is refused with nothing written."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from portage.dep import use_reduce
from tests.autogen.published import BACKEND, Desk, metadata, repository, tarball, wheel

from cloche.autogen.pypi.archive import Sdist
from cloche.autogen.pypi.checks import Checks, phases
from cloche.autogen.pypi.project import needs_cython
from cloche.errors import ClocheError, Exit

EBUILD = "dev-python/hello/hello-1.2.ebuild"
EXPECTED = """\
EAPI=8

DISTUTILS_USE_PEP517=hatchling
PYTHON_COMPAT=( python3_{12..14} )

inherit distutils-r1 pypi

DESCRIPTION="Says hello"
HOMEPAGE="
	https://hello.example.org
	https://github.com/larry/hello
"

LICENSE="MIT"
SLOT="0"
KEYWORDS="~amd64"
IUSE="fast"

RDEPEND="
	>=dev-python/attrs-22[${PYTHON_USEDEP}]
	<dev-python/attrs-25[${PYTHON_USEDEP}]
	!~dev-python/attrs-23.1
	$(python_gen_cond_dep '
		dev-python/tomli[${PYTHON_USEDEP}]
	' 3.12)
	fast? (
		dev-python/regex[${PYTHON_USEDEP}]
	)
"
BDEPEND="
	dev-python/hatch-vcs[${PYTHON_USEDEP}]
	test? (
		dev-python/trustme[${PYTHON_USEDEP}]
	)
"

# autogen: own variables
# autogen: end

EPYTEST_PLUGINS=( pytest-mock )
distutils_enable_tests pytest

# autogen: own phases
# autogen: end
"""


def publish(desk: Desk, version: str = "1.2", **more: object) -> None:
    desk.index.release(
        "hello",
        version,
        "Requires-Python: >=3.12",
        "Home-page: https://hello.example.org/",
        "Project-URL: Source, https://github.com/larry/hello",
        "Requires-Dist: attrs>=22,<25,!=23.1",
        'Requires-Dist: tomli; python_version < "3.13"',
        'Requires-Dist: colorama; sys_platform == "win32"',
        'Requires-Dist: regex; extra == "fast"',
        'Requires-Dist: pytest>=7; extra == "test"',
        'Requires-Dist: pytest-mock; extra == "test"',
        'Requires-Dist: pytest-cov; extra == "test"',
        'Requires-Dist: trustme; extra == "test"',
        "Provides-Extra: fast",
        "Provides-Extra: test",
        files={
            "tests/test_hello.py": "",
            "pyproject.toml": BACKEND.replace('"hatchling"', '"hatchling", "hatch-vcs"', 1),
        },
        **more,
    )


def failed(desk: Desk, *words: str) -> ClocheError:
    before = desk.snapshot()
    done = desk.run(*words)
    assert isinstance(done.exception, ClocheError), (done.output, done.exception)
    assert desk.snapshot() == before
    assert not list(desk.repository.glob(".autogen*"))
    return done.exception


def test_a_package_is_written_whole_and_a_second_run_changes_nothing(desk: Desk) -> None:
    publish(desk)
    done = desk.run("hello")
    assert done.exit_code == 0, done.output
    text = desk.text(EBUILD)
    assert text.partition("\n\n")[2] == EXPECTED
    sdist = desk.index.files["hello-1.2.tar.gz"]
    assert desk.text("dev-python/hello/Manifest").split() == [
        "DIST", "hello-1.2.tar.gz", str(len(sdist)),
        "BLAKE2B", hashlib.blake2b(sdist).hexdigest(),
        "SHA512", hashlib.sha512(sdist).hexdigest(),
    ]  # fmt: skip
    described = desk.text("dev-python/hello/metadata.xml")
    assert '<remote-id type="pypi">hello</remote-id>' in described
    assert '<remote-id type="github">larry/hello</remote-id>' in described
    assert '<flag name="fast">' in described
    assert desk.text("profiles/categories") == "dev-python\n"
    before = desk.snapshot()
    done = desk.run("hello")
    assert done.exit_code == 0
    assert desk.snapshot() == before
    assert "nothing has changed" in done.stderr


def test_its_dependencies_are_valid_in_eapi_8(desk: Desk) -> None:
    publish(desk)
    desk.run("hello")
    for text in re.findall(r'DEPEND="\n(.*?)\n"', desk.text(EBUILD), re.DOTALL):
        plain = re.sub(r"\$\(python_gen_cond_dep '|' [\d. ]+\)", "", text)
        assert use_reduce(
            plain.replace("${PYTHON_USEDEP}", "x(-)?"), matchall=True, eapi="8", flat=True
        )


def test_a_dry_run_writes_nothing(desk: Desk) -> None:
    publish(desk)
    before = desk.snapshot()
    done = desk.run("hello", "--dry-run")
    assert "+DISTUTILS_USE_PEP517=hatchling" in done.stdout
    assert desk.snapshot() == before


def test_json_says_what_was_made(desk: Desk) -> None:
    publish(desk)
    (found,) = json.loads(desk.run("hello", "--json").stdout)
    assert found["package"] == "dev-python/hello-1.2"
    assert ">=dev-python/attrs-22[${PYTHON_USEDEP}]" in found["rdepend"]
    assert str(desk.repository / EBUILD) in found["changed"]


def test_own_lines_stay_and_go_on_to_the_next_version(desk: Desk) -> None:
    publish(desk)
    desk.run("hello")
    path = desk.repository / EBUILD
    mine = 'PATCHES=( "${FILESDIR}/one.patch" )'
    path.write_text(path.read_text().replace("variables\n", f"variables\n{mine}\n"))
    assert "nothing has changed" in desk.run("hello").stderr
    publish(desk, "1.10")
    assert desk.run("hello").exit_code == 0
    assert mine in desk.text(EBUILD.replace("1.2", "1.10"))
    names = [line.split()[1] for line in desk.text("dev-python/hello/Manifest").splitlines()]
    assert names == ["hello-1.10.tar.gz", "hello-1.2.tar.gz"]


def test_edits_elsewhere_are_refused(desk: Desk) -> None:
    publish(desk)
    desk.run("hello")
    path = desk.repository / EBUILD
    path.write_text(path.read_text().replace("~amd64", "amd64"))
    error = failed(desk, "hello")
    assert (error.status, error.where) == (Exit.BAD_INPUT, str(path))
    assert "between the marks" in str(error)
    assert desk.run("hello", "--force").exit_code == 0
    assert 'KEYWORDS="~amd64"' in path.read_text()
    path.write_text(path.read_text().replace("# autogen: end\n", "", 1))
    assert failed(desk, "hello").status == Exit.BAD_INPUT


def test_an_ebuild_by_hand_is_not_overwritten(desk: Desk) -> None:
    publish(desk)
    path = desk.repository / EBUILD
    path.parent.mkdir(parents=True)
    path.write_text("EAPI=8\n")
    assert "not written by autogen" in str(failed(desk, "hello"))


def test_a_manifest_that_is_not_thin_has_all_files(tmp_path: Path, desk: Desk) -> None:
    publish(desk)
    desk.repository = repository(tmp_path / "thick", layout="")
    desk.run("hello")
    lines = desk.text("dev-python/hello/Manifest").splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["DIST", "hello-1.2.tar.gz"],
        ["EBUILD", "hello-1.2.ebuild"],
        ["MISC", "metadata.xml"],
    ]
    digest = hashlib.sha512((desk.repository / EBUILD).read_bytes()).hexdigest()
    assert lines[1].endswith(f"SHA512 {digest}")


def test_a_file_that_changed_under_its_name_is_refused(desk: Desk) -> None:
    publish(desk)
    desk.run("hello")
    desk.index.pages.clear()
    publish(desk, tag="py2.py3-none-any")
    changed = tarball("hello-1.2", {"PKG-INFO": metadata("hello", "1.2"), "setup.py": "evil()"})
    desk.index.pages["hello"].pop(0)
    desk.index.add("hello", "hello-1.2.tar.gz", changed)
    kept = desk.room / "dist/hello-1.2.tar.gz"
    before = kept.read_bytes()
    error = failed(desk, "hello")
    assert error.status == Exit.FAILED
    assert "another content than when it was first fetched" in str(error)
    assert kept.read_bytes() == before
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_a_file_without_the_stated_digest_is_refused(desk: Desk) -> None:
    publish(desk)
    desk.index.files["hello-1.2.tar.gz"] = b"x" * len(desk.index.files["hello-1.2.tar.gz"])
    assert "does not have the digest" in str(failed(desk, "hello"))
    assert list((desk.room / "dist").iterdir()) == []
    desk.index.files["hello-1.2.tar.gz"] += b"x"
    assert "more than" in str(failed(desk, "hello"))
    desk.index.pages["hello"][0]["hashes"] = {"md5": "0" * 32}
    assert "no digest" in str(failed(desk, "hello"))


def test_withdrawn_and_vanished_releases_are_told(desk: Desk) -> None:
    publish(desk, "1.1")
    publish(desk, "1.2")
    for version in ("1.1", "1.2"):
        assert desk.run(f"hello=={version}").exit_code == 0
    publish(desk, "1.3", yanked="broken on Tuesdays")
    for listed in desk.index.pages["hello"]:
        if "-1.2" in listed["filename"]:
            listed["yanked"] = "leaks"
    desk.index.pages["hello"] = [
        each for each in desk.index.pages["hello"] if "-1.1" not in each["filename"]
    ]
    publish(desk, "1.0")
    done = desk.run("hello")
    assert (desk.repository / "dev-python/hello/hello-1.0.ebuild").exists()
    assert "hello 1.1 is no longer published" in done.stderr
    assert "hello 1.2 was withdrawn (yanked): leaks" in done.stderr
    assert "broken on Tuesdays" in str(failed(desk, "hello==1.3"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("helo", "has no project helo"),
        ("hello==1.22", "did you mean 1.2?"),
        ("hello==what", "not a version"),
        ("../x", "not a name"),
    ],
)
def test_what_is_not_there_is_told_with_what_is_near(desk: Desk, words: str, said: str) -> None:
    publish(desk)
    error = failed(desk, words)
    assert error.status == Exit.BAD_INPUT
    assert said in str(error)


def test_a_misspelt_project_is_compared_with_those_of_the_trees(desk: Desk) -> None:
    publish(desk)
    desk.run("hello")
    assert "did you mean “hello”?" in str(failed(desk, "helllo"))


@pytest.mark.parametrize("page", [b"", b"{", b"[]", b'{"meta": {"api-version": "9.0"}}', b"\xff"])
def test_a_malformed_index_is_one_line(desk: Desk, page: bytes) -> None:
    desk.index.raw["hello"] = page
    error = failed(desk, "hello")
    assert error.status == Exit.FAILED
    assert "is malformed" in str(error)


def test_a_page_without_end_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(desk)
    monkeypatch.setattr("cloche.autogen.pypi.index._PAGE", 100)
    assert "more than 100 bytes" in str(failed(desk, "hello"))


def test_an_index_of_html_pages_is_read(desk: Desk) -> None:
    publish(desk)
    (sdist, made) = desk.index.pages.pop("hello")
    links = "".join(
        f'<a href="{each["url"]}#sha256={each["hashes"]["sha256"]}">{each["filename"]}</a>\n'
        for each in (sdist, made)
    )
    desk.index.raw["hello"] = f"<!DOCTYPE html><html><body>{links}</body></html>".encode()
    desk.index.kind = "text/html; charset=utf-8"
    assert desk.run("hello").exit_code == 0
    assert desk.text(EBUILD)
    desk.index.kind = "application/octet-stream"
    assert "is malformed" in str(failed(desk, "hello"))


def test_notes_are_one_line_on_a_terminal(desk: Desk) -> None:
    publish(desk, "1.1")
    desk.run("hello")
    desk.index.pages.clear()
    publish(desk, "1.1", yanked="gone\x1b[2J\nnote: all is well")
    publish(desk, "1.2")
    done = desk.run("hello")
    assert "gone" in done.stderr
    assert "\x1b" not in done.stderr
    assert "\nnote: all is well" not in done.stderr


def test_the_newest_final_release_is_meant(desk: Desk) -> None:
    for version in ("1.0", "1.9", "1.10", "2.0rc1", "1.11.dev0"):
        publish(desk, version)
    desk.run("hello")
    assert [p.name for p in desk.repository.glob("*/*/*.ebuild")] == ["hello-1.10.ebuild"]
    assert desk.run("hello==2.0rc1").exit_code == 0
    assert (desk.repository / "dev-python/hello/hello-2.0_rc1.ebuild").exists()


@pytest.mark.parametrize("version", ["1!2.0", "1.0+local", "1.0.dev1"])
def test_versions_that_gentoo_has_no_form_for_are_refused(desk: Desk, version: str) -> None:
    publish(desk, version)
    assert failed(desk, f"hello=={version}").status == Exit.BAD_INPUT


def test_a_version_whose_order_would_differ_is_refused(desk: Desk) -> None:
    publish(desk, "1.0.post1")
    publish(desk, "1.0.0")
    assert "would order 1.0.post1 and 1.0.0 otherwise" in str(failed(desk, "hello==1.0.post1"))


def test_a_version_is_spelt_as_upstream_does(desk: Desk) -> None:
    """1.0 and 1.0.0 are equal for Python, and not for Gentoo."""
    publish(desk, "1.0.0")
    publish(desk, "2.0")
    assert desk.run("hello==1.0").exit_code == 0
    assert desk.run("hello==1.0.0").exit_code == 0
    assert [p.name for p in desk.repository.glob("*/*/*.ebuild")] == ["hello-1.0.0.ebuild"]


def test_a_version_that_is_spelt_otherwise_by_an_ebuild_is_refused(desk: Desk) -> None:
    publish(desk, "1.0.0")
    (desk.repository / "dev-python/hello").mkdir(parents=True)
    (desk.repository / "dev-python/hello/hello-1.0.ebuild").write_text("EAPI=8\n")
    assert "would order 1.0.0 and 1.0 otherwise" in str(failed(desk, "hello"))


def test_a_release_without_an_sdist_is_refused(desk: Desk) -> None:
    data = wheel("hello", "1", metadata("hello", "1"))
    desk.index.add("hello", "hello-1-py3-none-any.whl", data)
    assert "no source archive" in str(failed(desk, "hello"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Requires-Dist: foo @ https://example.org/foo.zip", "is an address"),
        ("Requires-Dist: foo (((", "malformed"),
        ("Requires-Dist: foo===bar", "names no version"),
        ('Requires-Dist: foo; platform_release > "5"', "running kernel"),
        ("Requires-Python: <3.9", "Requires-Python"),
        ("License-Expression: LicenseRef-Mine", "LicenseRef-Mine"),
    ],
)
def test_what_cannot_be_said_exactly_is_refused(desk: Desk, line: str, said: str) -> None:
    desk.index.release("hello", "1", line)
    error = failed(desk, "hello")
    assert error.status == Exit.BAD_INPUT
    assert said in str(error)


def test_a_release_under_another_name_is_refused(desk: Desk) -> None:
    desk.index.release("hello", "1")
    desk.index.files["hello-1-py3-none-any.whl.metadata"] = metadata("evil", "1").encode()
    assert "calls itself “evil”" in str(failed(desk, "hello"))


@pytest.mark.parametrize(
    ("files", "needed"),
    [
        (("pkg/a.pyx",), True),
        (("pkg/a.pyx", "pkg/a.c"), False),
        (("pkg/a.pyx", "pkg/a.cpp"), False),
        (("tests/a.pyx", "setup.py"), False),
    ],
)
def test_cython_is_needed_for_sources_whose_c_code_is_not_there(
    files: tuple[str, ...], needed: bool
) -> None:
    assert needs_cython(Sdist("a-1", frozenset(files), ())) is needed


@pytest.mark.parametrize(
    ("setup", "needed"),
    [
        ('setup(cffi_modules=["a.py:ffi"], setup_requires=["cffi"])', True),
        ("setup(ext_modules=[])", False),
    ],
)
def test_cffi_is_needed_where_setup_py_has_modules_of_it(
    desk: Desk, setup: str, needed: bool
) -> None:
    desk.index.release("hello", "1", files={"setup.py": setup})
    done = desk.run("hello")
    assert done.exit_code == 0, done.output
    text = desk.text("dev-python/hello/hello-1.ebuild")
    assert ("\n\tdev-python/cffi[${PYTHON_USEDEP}]\n" in text) is needed


@pytest.mark.parametrize(
    ("names", "run"),
    [
        (("regex/__init__.py", "regex/tests/test_it.py", "setup.py"), "epytest --pyargs regex"),
        (("zmq/__init__.py", "tests/test_it.py"), "epytest"),
        (("a/__init__.py", "a/tests/test_a.py", "vendored/tests/test_b.py"), "epytest --pyargs a"),
        (("a/__init__.py", "a/tests/test_a.py", "test_b.py"), "epytest"),
        (("src/a/__init__.py", "Tests/__init__.py", "Tests/test_a.py"), None),
        (("src/zmq/__init__.py", "tests/__init__.py", "tests/test_it.py"), None),
    ],
)
def test_tests_of_native_code_do_not_import_the_sources(
    names: tuple[str, ...], run: str | None
) -> None:
    found = phases(Checks("pytest"), Sdist("a-1", frozenset(names), ()), native=True)
    top = names[0].partition("/")[0]
    made = ("", "python_test() {", f"\trm -rf {top} || die", f"\t{run}", "}")
    assert found == (made if run else ())
    assert phases(Checks("pytest"), Sdist("a-1", frozenset(names), ()), native=False) == ()
