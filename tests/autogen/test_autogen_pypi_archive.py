"""Archives: nothing of them is run, and hostile ones are refused."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from tests.autogen.published import BACKEND, Desk, metadata, tarball

from cloche.archives.errors import ImportRefusedError
from cloche.autogen.pypi import archive
from cloche.autogen.pypi.archive import read_sdist, wheel_metadata
from cloche.autogen.pypi.backends import backend, is_brought
from cloche.autogen.pypi.project import (
    build_system,
    has_extensions,
    read_pyproject,
    sdist_metadata,
)


def info(name: str, kind: bytes, target: str = "", size: int = 0) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.size = kind, target, size
    return found


def written(tmp_path: Path, data: bytes, name: str = "a-1.tar.gz") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "member",
    [
        info("../evil", tarfile.REGTYPE),
        info("a-1/../../evil", tarfile.REGTYPE),
        info("/etc/evil", tarfile.REGTYPE),
        info("a-1/x", tarfile.SYMTYPE, "../../etc/passwd"),
        info("a-1/x", tarfile.SYMTYPE, "/etc/passwd"),
        info("a-1/x", tarfile.LNKTYPE, "../evil"),
        info("a-1/x", tarfile.CHRTYPE),
        info("a-1/x", tarfile.FIFOTYPE),
        info("b-2/x", tarfile.REGTYPE),
    ],
    ids=lambda member: f"{member.name}-{member.linkname}".replace("/", "|"),
)
def test_hostile_members_are_refused(tmp_path: Path, member: tarfile.TarInfo) -> None:
    path = written(tmp_path, tarball("a-1", {"PKG-INFO": "x"}, member))
    with pytest.raises(ImportRefusedError):
        read_sdist(path)


def test_links_within_an_archive_are_not_refused(tmp_path: Path) -> None:
    links = (
        info("a-1/b/x", tarfile.SYMTYPE, "../PKG-INFO"),
        info("a-1/y", tarfile.LNKTYPE, "a-1/PKG-INFO"),
    )
    assert read_sdist(written(tmp_path, tarball("a-1", {"PKG-INFO": "x"}, *links))).top == "a-1"


def test_bombs_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_BYTES", 1000)
    path = written(tmp_path, tarball("a-1", {"x": "y" * 2000}))
    with pytest.raises(ImportRefusedError, match="over the limit `bytes`"):
        read_sdist(path)
    monkeypatch.setattr(archive, "_ENTRIES", 3)
    path = written(tmp_path, tarball("a-1", {str(number): "" for number in range(4)}))
    with pytest.raises(ImportRefusedError, match="over the limit `entries`"):
        read_sdist(path)


def zipped(tmp_path: Path, *members: tuple[str, str]) -> Path:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        for name, text in members:
            target.writestr(name, text)
    return written(tmp_path, made.getvalue(), "a-1.zip")


def test_zip_archives_are_held_to_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_sdist(zipped(tmp_path, ("a-1/setup.py", "x"))).text("setup.py") == "x"
    with pytest.raises(ImportRefusedError, match="leads out"):
        read_sdist(zipped(tmp_path, ("a-1/x", ""), ("../evil", "")))
    monkeypatch.setattr(archive, "_BYTES", 1000)
    with pytest.raises(ImportRefusedError, match="over the limit"):
        read_sdist(zipped(tmp_path, ("a-1/x", "y" * 10_000)))


@pytest.mark.parametrize("name", ["a-1.tar.gz", "a-1.zip"])
@pytest.mark.parametrize("data", [b"", b"PK\x05\x06", b"\x1f\x8b\x08", b"x" * 5000])
def test_what_is_no_archive_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    with pytest.raises(ImportRefusedError):
        read_sdist(written(tmp_path, data, name))
    with pytest.raises(ImportRefusedError):
        wheel_metadata(written(tmp_path, data, "a-1-py3-none-any.whl"))


def test_archives_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    """Encrypted ones, and those whose compressed data are not."""
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", method) as target:
            target.writestr("a-1/setup.py", "x" * 1000)
            target.writestr("a-1.dist-info/METADATA", "x" * 1000)
        data = bytearray(made.getvalue())
        for name in (b"setup.py", b"METADATA"):
            at = data.index(name) + len(name)
            data[at : at + 12] = b"\xff" * 12
        for read, name in ((read_sdist, "a-1.zip"), (wheel_metadata, "a-1-py3-none-any.whl")):
            with pytest.raises(ImportRefusedError, match="corrupt"):
                read(written(tmp_path, bytes(data), name))
    data = bytearray(zipped(tmp_path, ("a-1/setup.py", "x")).read_bytes())
    for signature, flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flag] |= 1
    with pytest.raises(ImportRefusedError, match="encrypted"):
        read_sdist(written(tmp_path, bytes(data), "a-1.zip"))


@pytest.mark.parametrize("comment", [b"", b"x" * 50])
def test_a_zip_archive_with_a_long_list_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comment: bytes
) -> None:
    monkeypatch.setattr(archive, "_LIST", 100)
    path = zipped(tmp_path, *((f"a-1/{number}", "") for number in range(10)))
    with zipfile.ZipFile(path, "a") as target:
        target.comment = comment
    with pytest.raises(ImportRefusedError, match="over the limit"):
        read_sdist(path)
    monkeypatch.setattr(archive, "_LIST", 10_000)
    assert len(read_sdist(path).names) == 10


def test_code_of_an_sdist_is_not_run(desk: Desk) -> None:
    trap = desk.room / "was-run"
    code = f"open({str(trap)!r}, 'w')\nfrom setuptools import setup\nsetup(name='hello')\n"
    own = '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n'
    files = {"setup.py": code, "own.py": code, "conftest.py": code, "pyproject.toml": own}
    desk.index.release("hello", "1", files=files)
    done = desk.run("hello")
    assert done.exit_code == 0, done.output
    assert not trap.exists()
    assert "DISTUTILS_USE_PEP517=standalone" in desk.text("dev-python/hello/hello-1.ebuild")


PLUGIN = '[project]\nname = "hello"\n[project.entry-points.pytest11]\nhello = "hello"\n'


@pytest.mark.parametrize(
    ("name", "files", "plugin"),
    [
        ("pytest-hello", {}, True),
        ("hello", {}, False),
        ("hello", {"pyproject.toml": f"{BACKEND}{PLUGIN}"}, True),
        ("hello", {"setup.py": "setup(entry_points={'pytest11': []})"}, True),
        ("hello", {"hello.egg-info/entry_points.txt": "[pytest11]\nhello = hello\n"}, True),
    ],
)
def test_a_plugin_of_pytest_is_loaded_by_its_own_tests(
    desk: Desk, name: str, files: dict[str, str], plugin: bool
) -> None:
    desk.index.release(name, "1", files={"conftest.py": "", "test_a.py": "", **files})
    done = desk.run(name)
    assert done.exit_code == 0, done.output
    text = desk.text(f"dev-python/{name}/{name}-1.ebuild")
    assert ('EPYTEST_PLUGINS=( "${PN}" )\n' in text) == plugin
    assert "needs what no repository has" not in done.stderr


@pytest.mark.parametrize(
    ("files", "runner"),
    [
        ({"tests/__init__.py": "", "tests/test_a.py": "import unittest"}, "unittest"),
        ({"test_a.py": "import unittest"}, "unittest"),
        ({"src/test_a.py": "import unittest"}, "pytest"),  # where unittest finds none
        ({"tests/test_a.py": "", "conftest.py": ""}, "pytest"),
        ({"a.py": ""}, None),
    ],
)
def test_the_runner_is_one_that_finds_the_tests(
    desk: Desk, files: dict[str, str], runner: str | None
) -> None:
    desk.index.release("hello", "1", files=files)
    desk.run("hello")
    text = desk.text("dev-python/hello/hello-1.ebuild")
    assert ("distutils_enable_tests" in text) == (runner is not None)
    assert f"distutils_enable_tests {runner}" in text or runner is None


BACKENDS = {
    "flit_core.buildapi": "flit", "flit_scm:buildapi": "flit_scm", "hatchling.build": "hatchling",
    "jupyter_packaging.build_api": "jupyter", "maturin": "maturin", "mesonpy": "meson-python",
    "pbr.build": "pbr", "pdm.backend": "pdm-backend", "poetry.core.masonry.api": "poetry",
    "scikit_build_core.build": "scikit-build-core", "setuptools.build_meta": "setuptools",
    "sipbuild.api": "sip", "uv_build": "uv-build", "whey": "standalone",
}  # fmt: skip


@pytest.mark.parametrize(("name", "key"), BACKENDS.items())
def test_every_backend_of_the_eclass(tmp_path: Path, name: str, key: str) -> None:
    text = f'[build-system]\nrequires = ["wheel", "cython>=3"]\nbuild-backend = "{name}"\n'
    sdist = read_sdist(written(tmp_path, tarball("a-1", {"pyproject.toml": text})))
    build = build_system(sdist, read_pyproject(sdist, "a"), "a")
    assert backend(build).key == key
    assert [is_brought(build, each.name) for each in build.requires] == [True, False]


def test_a_setup_py_alone_is_setuptools(tmp_path: Path) -> None:
    files = {"setup.py": "setup(ext_modules=[Extension('x', ['x.c'])])", "x.c": "",
             "setup.cfg": "[options]\nsetup_requires =\n  setuptools_scm>=8\n"}  # fmt: skip
    sdist = read_sdist(written(tmp_path, tarball("a-1", files)))
    build = build_system(sdist, {}, "a")
    assert backend(build).key == "setuptools"
    assert [str(each) for each in build.requires] == ["setuptools_scm>=8"]
    assert has_extensions(sdist, build, [])
    assert not has_extensions(sdist, build, [True])


EGG = """\
attrs>=20

[:python_version < "3.12"]
tomli

[fast]
regex

[fast:sys_platform == "linux"]
uvloop
"""


def test_requirements_that_setuptools_wrote_into_an_old_sdist(tmp_path: Path) -> None:
    old = metadata("a", "1").replace("2.4", "2.1")
    files = {"PKG-INFO": old, "a.egg-info/requires.txt": EGG, "setup.py": ""}
    found = sdist_metadata(read_sdist(written(tmp_path, tarball("a-1", files))), "a")
    assert [str(each) for each in found.requires] == [
        "attrs>=20",
        'tomli; python_version < "3.12"',
        'regex; extra == "fast"',
        'uvloop; sys_platform == "linux" and extra == "fast"',
    ]
    assert found.extras == ("fast",)
