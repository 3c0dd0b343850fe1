"""Kept freshroots: opened again, compared with what they stand on, made machines, removed."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import Store
from tests.workflows.freshroots import NEEDED, place_for

pytestmark = pytest.mark.real

WORK = """
    ln -sfn ../../var/db/repos/tiny/profiles/other /etc/portage/make.profile
    emerge tiny/one || exit
    USE=loud emerge --oneshot tiny/top || exit
    mkdir -p /etc/portage/package.use; echo "tiny/top loud" > /etc/portage/package.use/own
    echo "[more]" >> /etc/portage/repos.conf; rm /etc/portage/mirrors
    ln -s own /etc/portage/package.use/link; touch $'/etc/portage/package.use/a\\e]0;b\\xff'
    touch $'/usr/local/a\\e]0;b\\xff'
    echo mine > /usr/local/own; chmod 700 /usr/local/bin; rm /etc/issue
    rm -r /usr/share/keyrings; mkdir /usr/share/keyrings; ln -s /etc/shadow /usr/local/link
"""


def test_a_kept_root_is_opened_again_and_becomes_a_machine(
    ordinary_seeded: Store, fresh: Callable[[Store], Store]
) -> None:
    store = fresh(ordinary_seeded)
    place = place_for(store)
    (place / "repo/profiles/other").mkdir()
    (place / "repo/profiles/other/parent").write_text("../default\n")

    def cloche(*words: str, status: int = 0) -> str:
        done = store.cloche("freshroot", *words, cwd=place, stdin="")
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout or done.stderr

    assert cloche("list").startswith("no freshroots are kept; `cloche freshroot ")
    cloche("debian", "--keep", "trial", "--", "bash", "-c", WORK)
    said = cloche("trial", "--", "bash", "-c", "cat /usr/local/own; ls /var/db/pkg/tiny /etc/is*")
    assert said.split() == [
        "mine",
        "/etc/issue.net",
        "/var/db/pkg/tiny:",
        *(f"{n}-1" for n in NEEDED),
    ]
    (row,) = json.loads(cloche("list", "--json"))
    assert (row["name"], row["over"]) == ("trial", "debian")
    assert "kept under this name" in cloche("debian", "--keep", "trial", "--", "true", status=2)

    found = json.loads(cloche("diff", "trial", "--json"))
    told = [(each["name"], each["how"], each["use"]) for each in found["packages"]]
    use = {"top": ["+loud"]}
    assert told == [(f"tiny/{name}", "added", use.get(name, [])) for name in NEEDED]
    assert found["owners"]["usr/share/one"] == "tiny/one-1"
    assert not {"usr/local/own", "etc/portage/repos.conf"} & set(found["owners"])
    assert {"usr/local/own", "usr/local/link", "usr/share/one"} <= set(found["added"])
    assert "etc/portage/repos.conf" in found["changed"]
    assert {"etc/issue", "etc/portage/mirrors"} <= set(found["removed"])
    assert any(name.startswith("usr/share/keyrings/") for name in found["removed"])

    said = cloche("diff", "trial")
    assert "+ tiny/top 1  USE +loud\n" in said
    assert said.index("+ /usr/local/own\n") < said.index("files of tiny/one-1: 2 added\n")
    assert "/usr/share/one" not in said
    said = cloche("diff", "trial", "--files")
    assert "files of tiny/one-1: 2 added\n    + /usr/bin/one\n    + /usr/share/one\n" in said
    assert "+ /usr/local/a\\x1b]0;b\\xff\n" in said
    assert "\x1b" not in said

    saved = store.cloche("freshroot", "save", "trial", "--as", "second", cwd=place, check=True)
    left = [line for line in saved.stderr.splitlines() if line.startswith("not saved: ")]
    assert [line.split(": ")[1].rpartition("/")[2] for line in left] == [
        *("mirrors", "a\\x1b]0;b\\xff", "link", "repos.conf"),
    ]
    assert "other files are not part of it: `cloche freshroot diff trial` shows" in saved.stderr
    data = tomllib.loads((place / "machines/second.toml").read_text())
    assert (data["packages"], data["portage"]) == (["tiny/one"], ["second"])
    assert data["profile"] == "tiny:other"
    assert (place / "portage/second/package.use/own").read_text() == "tiny/top loud\n"
    assert names_below(place / "portage/second") == ["package.use/own"]
    assert "it is there already" in cloche("save", "trial", "--as", "second", status=2)

    def fate_after_gc() -> str:
        store.cloche("store", "gc", cwd=place, check=True)
        plan = store.cloche("plan", "second", "--json", cwd=place, check=True)
        (package,) = json.loads(plan.stdout)["packages"]
        return str(package["fate"])

    assert fate_after_gc() == "reuse"
    cloche("rm", "trial", "--dry-run")
    assert len(json.loads(cloche("list", "--json"))) == 1
    cloche("rm", "trial")
    assert json.loads(cloche("list", "--json")) == []
    assert not list((store.path / "freshroots").iterdir())
    assert fate_after_gc() == "build"


def names_below(directory: Path) -> list[str]:
    return sorted(str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file())
