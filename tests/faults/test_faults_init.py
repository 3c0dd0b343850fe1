"""From an empty home to a machine to look around in, as root and as an ordinary user."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.looking import said
from tests.support import Store

from cloche.config.template import template

pytestmark = pytest.mark.real


def test_from_nothing_to_a_shell(seeded: Store, fresh: Callable[[Store], Store]) -> None:
    store = fresh(seeded)
    home = Path(tempfile.mkdtemp(prefix="home-", dir=store.user.home))
    store.user.own(home)

    def cloche(*arguments: str, cwd: Path) -> str:
        prefix = ("env", f"HOME={home}", f"CLOCHE_STORE={store.path}")
        done = store.user.run(*arguments, cwd=cwd, prefix=prefix)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    told = cloche("init", "my-machines", cwd=home)
    project = home / "my-machines"
    assert {str(p.relative_to(project)) for p in project.rglob("*") if p.is_file()} == {*template()}
    (words,) = re.findall(r"cd my-machines && cloche (.+) && cloche (.+)\n", told)
    assert words == ("seed bootstrap", "build first")
    for command in words:
        told = cloche(*command.split(), cwd=project)
    assert "1 package built" in told
    assert (project / "out/first/binpkgs/Packages").is_file()
    assert list((project / "out/first").glob("*.tar.*"))
    told = cloche("shell", "first", "--", "greeting", cwd=project)
    assert "Hello from under the cloche" in told
    assert cloche("shell", "first", "--", "id", "-u", cwd=project).strip() == "0"

    # Not a second time, and not over anything else.
    (project / "machines/first.toml").write_text("mine\n")
    for directory in (project, home):
        done = store.user.run("init", directory, cwd=home)
        assert "not an empty directory; choose a new or an empty directory" in said(done, 2)
    done = store.user.run("init", project / "cloche.toml", cwd=home)
    assert "not an empty directory" in said(done, 2)
    assert (project / "machines/first.toml").read_text() == "mine\n"
    assert sorted(path.name for path in home.iterdir()) == ["my-machines"]


def test_where_nothing_can_be_written(ordinary_seeded: Store) -> None:
    done = ordinary_seeded.user.run("init", "/proc/machines", cwd=Path("/"))
    line = said(done, 3)
    assert "/proc/machines: cannot be written: " in line
    assert "choose a directory that you may write to" in line
