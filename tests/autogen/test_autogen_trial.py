"""Packages that autogen writes are built under glass, and what they lack is found."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.autogen.published import OWN_BACKEND, files_of_own_backend, served
from tests.support import Store, project

from cloche.autogen.errors import RefusedError
from cloche.autogen.imports import modules
from cloche.autogen.marked import block, is_untouched, own_lines, sealed
from cloche.autogen.trial import Lacking, declare, variables
from cloche.building.diagnose import missing_in

PROJECT = Path(__file__).parent / "project"
TEST = """\
import unittest
import greet
class Test(unittest.TestCase):
    def test_it(self):
        import proper
        self.assertEqual(greet.greeting(), "hello " + proper.name())
"""


def test_what_a_build_misses_becomes_lines_of_the_users_block(tmp_path: Path) -> None:
    path = tmp_path / "a-1.ebuild"
    lines = ["EAPI=8", "", *block("variables", {"variables": ("X=1",)})]
    path.write_text(sealed(lines, 1))
    of_tests = Lacking("a/a-1", "Python module b", "BDEPEND", "dev-python/b", True)
    header = Lacking("a/a-1", "header c.h", "DEPEND", "dev-libs/c", False)
    path.write_text(declare(path, [of_tests, header]))
    assert is_untouched(path.read_text())
    assert own_lines(path.read_text(), path)["variables"] == (
        "X=1",
        "# found by a build: Python module b",
        'BDEPEND+=" test? ( dev-python/b )"',
        'IUSE+=" test"',
        'RESTRICT+=" !test? ( test )"',
        "# found by a build: header c.h",
        'DEPEND+=" dev-libs/c"',
    )
    assert declare(path, [of_tests, header]) == path.read_text()
    elsewhere = path.read_text().replace("EAPI=8\n", 'EAPI=8\nBDEPEND+=" dev-libs/d"\n')
    path.write_text(elsewhere)  # a line that stands elsewhere does not count
    other = Lacking("a/a-1", "command d", "BDEPEND", "dev-libs/d", False)
    assert declare(path, [other]).count('BDEPEND+=" dev-libs/d"\n') == 2
    path.write_text("EAPI=8\n")
    with pytest.raises(RefusedError, match="no block"):
        declare(path, [header])


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("/usr/bin/ld: cannot find -lz: No such file", ["DEPEND", "RDEPEND"]),
        ("x.c:1:10: fatal error: zlib.h: No such file or directory", ["DEPEND"]),
        ("ModuleNotFoundError: No module named 'b'", ["BDEPEND"]),
    ],
)
def test_what_is_linked_to_is_needed_at_run_time_too(log: str, expected: list[str]) -> None:
    (missing,) = missing_in(log)
    assert [*variables(missing, of_tests=False)] == expected
    assert [*variables(missing, of_tests=True)] == expected[:1]


def test_the_outermost_modules_of_a_package_are_imported() -> None:
    site = "/usr/lib/python3.13/site-packages"
    files = [
        f"{site}/one/__init__.py", f"{site}/one/deep/__init__.py", f"{site}/one/a.py",
        f"{site}/space/two/__init__.py", f"{site}/space/three.cpython-313-x86_64-linux-gnu.so",
        f"{site}/_four.abi3.so", f"{site}/tests/__init__.py", f"{site}/x-1.dist-info/RECORD",
        f"{site}/five-data/six.py", "/usr/bin/seven.py", "/usr/share/one/eight.py",
        "/usr/local/lib/python3.11/dist-packages/_nine.py",
    ]  # fmt: skip
    assert modules(files) == {
        "python3.11": ("_nine",),
        "python3.13": ("one", "space.three", "space.two"),
    }


@pytest.mark.real
def test_a_package_is_built_with_its_tests_and_what_they_lack_is_added(
    root_seeded: Store, fresh: Callable[[Store], Store]
) -> None:
    """greet declares that it needs world, not that its tests need proper."""
    store = fresh(root_seeded)
    place = project(store, PROJECT)
    with served() as index:

        def publish(name: str, code: str, *lines: str, **files: str) -> None:
            own = files_of_own_backend(name, "1.0")
            tests = {f"tests/{key}.py": text for key, text in files.items()}
            code = {f"{name}.py": code}
            index.release(name, "1.0", *lines, files={**own, **tests, **code}, tag="py3-none-any")

        publish("proper", 'def name(): return "larry"\n')
        publish("world", 'def name(): return "larry"\n')
        # Another version, for a Python that the machine does not have, is not built.
        unfit = {"own.py": "1 / 0", "pyproject.toml": OWN_BACKEND}
        index.release("world", "0.9", "Requires-Python: >=3.13", files=unfit)
        publish("greet", 'def greeting():\n    import world\n    return "hello " + world.name()\n',
                'Requires-Dist: world>=1,<2; python_version < "3.13"',
                'Requires-Dist: world<1; python_version >= "3.13"',
                test_greet=TEST, __init__="")  # fmt: skip
        address = ("--index-url", f"{index.address}/simple/", "--distdir", place / "dist")
        store.user.own(place)

        def autogen(*words: str) -> tuple[int, str]:
            done = store.cloche("autogen", "pypi", *words, *address, cwd=place)
            return done.returncode, done.stdout + done.stderr

        status, said = autogen("greet", "--deps", "--build", "py", "--fix")
        assert status == 1, said
        assert "no repository has a package of the module proper" in said
        assert autogen("proper")[0] == 0
        status, said = autogen("greet", "--deps", "--build", "py")
        assert status == 1, said
        assert "No module named 'proper'" in said
        status, said = autogen("greet", "--deps", "--build", "py", "--fix")
        assert status == 0, said
        ebuild = (place / "own/dev-python/greet/greet-1.0.ebuild").read_text()
        cache = place / "own/metadata/md5-cache/dev-python"
        digest = hashlib.md5(ebuild.encode()).hexdigest()
        assert f"_md5_={digest}" in (cache / "greet-1.0").read_text()
        assert "_eclasses_=distutils-r1" in (cache / "world-1.0").read_text()
        assert 'BDEPEND+=" test? ( dev-python/proper[${PYTHON_USEDEP}] )"' in ebuild
        status, said = autogen("greet", "--deps", "--build", "py")
        assert status == 0, said
        assert "nothing has changed" in said
        assert "0 built" in said
        # What it needs at run time is found by importing it; its tests are in a circle.
        case = "import unittest\nclass Test(unittest.TestCase):\n    def test_it(self):\n"
        # In the circle song has a flag that it has not by itself.
        publish("choir", "def sing(): import song; return song.text\n", "Requires-Dist: song[loud]")
        publish("song", 'import world\ntext = "la"\n', "Provides-Extra: test",
                'Requires-Dist: choir; extra == "test"', "Provides-Extra: loud",
                'Requires-Dist: proper; extra == "loud"', __init__="",
                test_song=f"{case}        import choir; choir.sing()\n")  # fmt: skip
        status, said = autogen("song", "--deps", "--build", "py", "--fix")
        assert status == 0, said
        assert "the tests of dev-python/song-1.0 need what needs it itself" in said
        assert "dev-python/song-1.0: Python module world was missing: RDEPEND" in said
        (log, *_) = sorted((store.path / "logs/dev-python/song-1.0").glob("*-build.log.gz"))[::-1]
        assert "Ran 1 test" in gzip.decompress(log.read_bytes()).decode()
        # A run keeps the cache, too.
        (place / "autogen.toml").write_text("[pypi.greet]\n[pypi.choir]\n")
        shutil.rmtree(cache)
        words = ("--index-url", f"{index.address}/simple/", "--distdir", place / "dist")
        done = store.cloche("autogen", "run", "--json", "--cache", "py", *words, cwd=place)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["counts"]["failed"] == 0
        assert (cache / "song-1.0").is_file()
