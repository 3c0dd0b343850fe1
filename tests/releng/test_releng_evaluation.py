"""An envscript that only a shell can evaluate: bash sources it in a sandbox over the seed."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from tests.machine import tiny
from tests.support import Store, project

pytestmark = pytest.mark.real

PROGRAM = """
import json
from pathlib import Path

from cloche import open_session
from cloche.errors import ClocheError
from cloche.releng.evaluation import evaluated

with (
    open_session("tiny", store=Path("store").absolute()) as session,
    session.context("tiny") as context,
):
    for file in sorted(Path("scripts").iterdir()):
        try:
            found = dict(evaluated(context, file.absolute(), {"clst_target": "stage1"}))
        except ClocheError as error:
            found = [error.what, error.where.rpartition(":")[2], error.detail or ""]
        print(json.dumps([file.name, found]))
"""
RIGHT = {
    "conditions": (
        """
        if [[ ${clst_target} == stage1 ]]; then export A=one; else export A=other; fi
        case $(uname -s) in Linux) export B="$(echo x | tr x y)";; esac
        for each in 1 2 3; do C+=$each; done; export C
        export MAKEOPTS="-j$(nproc)" FEATURES="${FEATURES} x" # no part of any key
        """,
        {"A": "one", "B": "y", "C": "123"},
    ),
    "functions": (
        'f() { export A="$1 ${A}"; local B=no; }\nf x\nf y\nulimit -c 0\nexport -f f\n',
        {"A": "y x "},
    ),
    "ignored-failure": ("false || true\n[[ -e /none ]] && export A=1\n", {}),
    "last-is-false": ("export A=1\n[[ -e /none ]]  && export B=1", {"A": "1"}),
    "host": (
        # Neither its files, nor its name, nor a way to a network; and the script stays as it is.
        """
        [[ -e HOST_FILE ]] && export A=seen
        [[ $(< /proc/sys/kernel/hostname) == "HOST_NAME" ]] && export B=named
        [[ $(wc -l < /proc/net/route) == 1 ]] || export C=network # only its heading
        if echo >> /run/cloche/envscript/script; then export D=written; fi
        """,
        {},
    ),
}
WRONG = {
    "fails": ("\nexport A=1\nfalse\n", "“false” failed", "3"),
    "in-a-function": ("f() {\n  grep -q x /none\n}\nf\n", "“grep -q x /none” failed", "4"),
    "not-found": ("export A=1\nno-such-program\n", "“no-such-program” failed", "2"),
    "exits": ("export A=1\nexit 0\n", "ends the shell: status 0", ""),
    "syntax": ("export A=1\nif true; then\n\n", "is not valid for bash: status 2", "4"),
    "quotes": ("export A='a\"b'$(true)\n", "the value of A cannot be a part of make.conf", "1"),
    "owned": ("true\nexport ROOT=/x$(true)\n", "ROOT has no effect here", "2"),
    "own": ("true\nexport clst_jobs=7\n", "clst_jobs has no effect here", "2"),
}


@pytest.fixture(scope="module")
def found(seeded: Store, ground: Path) -> dict[str, object]:
    """What each of the scripts exports, or its error."""
    store = seeded.copy(ground / f"evaluation-{seeded.user.name}")
    room = project(store, tiny.PROJECT).parent
    (room / "store").symlink_to(store.path)
    (room / "scripts").mkdir()
    for name, (text, *_) in {**RIGHT, **WRONG}.items():
        text = text.replace("HOST_FILE", str(room / "tiny/cloche.toml"))
        (room / "scripts" / name).write_text(text.replace("HOST_NAME", socket.gethostname()))
    store.user.own(room)
    done = store.user.run_python(PROGRAM, room)
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(map(json.loads, done.stdout.splitlines()))


@pytest.mark.parametrize("name", RIGHT)
def test_what_bash_exports_is_known(found: dict[str, object], name: str) -> None:
    assert found[name] == RIGHT[name][1]


@pytest.mark.parametrize("name", WRONG)
def test_a_script_that_fails_is_an_error_with_its_line(
    found: dict[str, tuple[str, str, str]], name: str
) -> None:
    what, line, detail = found[name]
    assert what == WRONG[name][1]
    assert (line if line.isdecimal() else "") == WRONG[name][2]  # without one it is the file
    if name == "not-found":
        assert f"{name}: line 2: no-such-program: command not found" in detail
