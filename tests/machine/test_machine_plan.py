"""``cloche plan`` reads like ``emerge -pv``; ``cloche query`` tells what is in a machine."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import subprocess

import pytest
import tiny
from tests.support import Store

pytestmark = pytest.mark.real

GROUPS = """
USE_EXPAND="ABI_MIPS PYTHON_TARGETS"
USE_EXPAND_HIDDEN="ABI_MIPS"
PYTHON_TARGETS="python3_12"
"""
IUSE = "long colour python_targets_python3_11 python_targets_python3_12 abi_mips_n32"


def test_queries_tell_what_is_in_a_machine(root_seeded: Store) -> None:
    made = tiny.built_once(root_seeded)

    def asked(*words: str) -> str:
        return made.store.cloche("query", *words, cwd=made.project, check=True).stdout

    assert asked("files", "gr*") == "/usr/\n/usr/bin/\n/usr/bin/greet\n"
    # The machine's /bin is a link.
    for path in ("/usr/bin/greet", "/bin/greet", "/usr/../bin/greet", "*/greet"):
        assert asked("belongs", path) == "tiny/greet-1: /usr/bin/greet\n"
    written = "/var/lib/register/names (written by a hook)"
    assert asked("belongs", "*/register/names").splitlines() == [
        f"tiny/first-1: {written}",
        f"tiny/second-1: {written}",
    ]
    assert asked("uses", "lo*") == "-long tiny/report-1\n"
    assert asked("depends", "greet") == "tiny/report-1 needs tiny/greet (buildtime, runtime)\n"
    assert set(asked("list").split()) == {f"{name}::tiny" for name in tiny.PACKAGES}
    (leaf,) = json.loads(asked("size", "leaf", "--json", "-m", "tiny"))
    stored = made.store.path / "layers" / made.layers["tiny/leaf-1"]
    found = [p for p in stored.rglob("*") if p.is_file() and not p.is_symlink()]
    assert leaf["size"] == sum(p.stat().st_size for p in found) > 0
    for words in (("files", "no"), ("belongs", "/no"), ("uses", "no"), ("list", "-m", "no")):
        done = made.store.cloche("query", *words, cwd=made.project)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        what = {"belongs": "no package owns “/no”", "uses": "no package has a USE flag “no”"}
        assert what.get(words[0], "") in done.stderr


def test_a_plan_says_what_changes(root_seeded: Store) -> None:
    once = tiny.built_once(root_seeded)
    made = tiny.fresh_copy(once, once.store)
    store, place = made.store, made.project
    quiet = store.cloche("build", "tiny", cwd=place, check=True)
    assert "reused" in quiet.stdout
    same = store.cloche("plan", "tiny", cwd=place, check=True).stdout
    assert '[reuse         ] tiny/report-1::tiny USE="-long"\n' in same
    assert same.endswith("6 packages: 6 to reuse; 0 B to fetch\n")

    defaults = place / "repo/profiles/base/make.defaults"
    defaults.write_text(defaults.read_text() + GROUPS)
    report = place / "repo/tiny/report/report-1.ebuild"
    text = report.read_text().replace('IUSE="long"', f'IUSE="{IUSE}"\nSRC_URI="mirror://no/s.txt"')
    report.with_name("report-2.ebuild").write_text(text.replace('tiny/greet"', 'tiny/leaf"', 1))
    digest = hashlib.blake2b(b"x" * 3000).hexdigest()
    (report.parent / "Manifest").write_text(f"DIST s.txt 3000 BLAKE2B {digest}\n")
    machine = place / "machines/tiny.toml"
    machine.write_text(machine.read_text().replace(', "tiny/census"', ""))
    make_conf = place / "portage/base/make.conf"
    make_conf.write_text(make_conf.read_text() + 'USE="long"\n')

    table = store.cloche("plan", "tiny", cwd=place, check=True).stdout.splitlines()
    assert (
        '[build       U ] tiny/report-2::tiny [1] USE="long* -colour%" '
        'PYTHON_TARGETS="python3_12%* -python3_11%" 2.9 KiB'
    ) in table
    assert "[reuse         ] tiny/greet-1::tiny  (for building only)" in table
    assert "[gone          ] tiny/census-1" in table
    assert table[-1].endswith("(1 update, 3 gone); 2.9 KiB to fetch")

    data = json.loads(store.cloche("plan", "tiny", "--json", cwd=place, check=True).stdout)
    last = data["packages"][-1]
    assert (last["status"], last["before"], last["fetch"]) == ("U", "1", 3000)
    assert data["fetch"] == 3000
    assert data["gone"] == ["tiny/census-1", "tiny/first-1", "tiny/second-1"]
    hidden = [flag["name"] for flag in last["flags"]["ABI_MIPS"]]
    assert (hidden, data["use_expand_hidden"]) == (["n32"], ["ABI_MIPS"])

    ours, theirs = pty.openpty()
    shown = subprocess.run(
        store.user.command("--store", store.path, "plan", "tiny"),
        cwd=place, env=store.user.environment({"TERM": "xterm"}), stdout=theirs, check=True,
    )  # fmt: skip
    os.close(theirs)
    assert shown.returncode == 0
    assert b"\x1b[1;32mlong*" in os.read(ours, 1 << 16)
    os.close(ours)
