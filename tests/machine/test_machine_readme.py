"""README's recipe: the packages installed in a plain copy of the seed, by its own emerge."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import stock_emerge
import tiny
from tests.support import ROOT, Store, project

pytestmark = pytest.mark.real

# The other machine: nothing but the seed, and what one copied there.
SCRIPT = r"""
set -eu
mount --make-rprivate /
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
exec chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root sh -euc "$2"
"""

PATCH = """--- a/greeting.c
+++ b/greeting.c
@@ -18 +18 @@
-	const char *text = "Hello from under the cloche";
+	const char *text = "Hello to you from under the cloche";
"""


def recipe() -> list[str]:
    """The lines of README's block that ends with the emerge."""
    text = (ROOT / "README.md").read_text()
    blocks: list[str] = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    (block,) = (block for block in blocks if "--usepkgonly" in block)
    return [line.partition("  #")[0] for line in block.splitlines() if not line.startswith("#")]


def test_the_recipe_installs_everything(
    root_seeded: Store, fresh: Callable[[Store], Store], ground: Path
) -> None:
    store = fresh(root_seeded)
    place = project(store, ROOT / "src/cloche/config/template", "machines")
    tiny.build(store, place, machine="first")
    here, *there = recipe()
    words = here.split(" > ")[0].split()
    assert words[:2] == ["cloche", "shell"]
    told = store.user.command("--store", store.path, *words[1:])
    root = ground / "readme"
    root.mkdir()
    seed = stock_emerge.machine_of(store, "first").base[0]
    subprocess.run(["cp", "-a", "--reflink=auto", f"{seed}/.", root], check=True)
    with (root / "portage.tar").open("wb") as archive:
        subprocess.run(
            told, cwd=place, env=store.user.environment(None), stdout=archive, check=True
        )
    shutil.copytree(place / "repo", root / "repo")
    shutil.copytree(place / "out/first/binpkgs", root / "binpkgs")
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "sh", "-c", SCRIPT, "sh", root, "\n".join(there)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    stock_emerge.assert_only_binary_packages(done, 1)
    assert (root / "usr/bin/greeting").exists()
    subprocess.run(["rm", "-rf", root], check=False)


def test_the_machine_in_the_templates_readme_is_built_beside_the_first(
    root_seeded: Store, fresh: Callable[[Store], Store]
) -> None:
    store = fresh(root_seeded)
    place = project(store, ROOT / "src/cloche/config/template", "machines")
    (block,) = re.findall(
        r"```toml\n(.*?)```", (place / "machines/README.md").read_text(), re.DOTALL
    )
    store.cloche("machine", "new", "second", "--like", "first", cwd=place, check=True)
    (place / "machines/second.toml").write_text(block)
    told = store.cloche("build", "--all", cwd=place, check=True)
    assert "built    app-misc/greeting-1  " in told.stderr
    assert "for first, second" in told.stderr
    assert store.cloche("machine", "list", cwd=place, check=True).stdout.count(" current") == 2
    same = store.cloche("machine", "diff", "first", "second", cwd=place, check=True)
    assert "+ system: timezone  UTC" in same.stdout
    shell = store.cloche("shell", "second", "--", "cat", "/etc/hostname", cwd=place, check=True)
    assert shell.stdout == "second\n"
    _change_as_told(store, place)


def _change_as_told(store: Store, place: Path) -> None:
    """A set, a fragment, an ebuild and a patch, as the other directories' texts have them."""
    (block,) = re.findall(r"```\n(.*?)```", (place / "sets/README.md").read_text(), re.DOTALL)
    (place / "sets/everyone").write_text(block)
    file = place / "machines/second.toml"
    file.write_text(file.read_text().replace('["basics"]', '["everyone"]'))
    (name,) = re.findall(r"for example (\S+)\.", (place / "patches/README.md").read_text())
    (place / name).parent.mkdir(parents=True)
    (place / name).write_text(PATCH)
    asked = re.search(r"`cloche (plan .*?)`", (place / "portage/README.md").read_text(), re.DOTALL)
    assert asked
    words = asked[1].replace("MACHINE", "second").split()
    assert "app-misc/greeting-1" in store.cloche(*words, cwd=place, check=True).stdout
    assert "`cloche manifest --check`" in (place / "repo/README.md").read_text()
    store.cloche("manifest", "--check", cwd=place, check=True)
    store.cloche("build", "second", cwd=place, check=True)
    shell = store.cloche("shell", "second", "--", "greeting", cwd=place, check=True)
    assert shell.stdout == "Hello to you from under the cloche\n"
