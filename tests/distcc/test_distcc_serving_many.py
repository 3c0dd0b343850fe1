"""`cloche distcc serve` of an ordinary user with many compiles at once."""

from __future__ import annotations

import json
import signal

import msgspec
import pytest
from tests.cluster.running import wait_for
from tests.distcc.test_distcc_serving import Site
from tests.support import Store

from cloche.distcc.hosts import OK, Hello, line_of

pytestmark = pytest.mark.real

JOBS = 40


def test_compiles_of_an_ordinary_user_do_not_use_up_each_others_processes(
    ordinary_seeded: Store,
) -> None:
    """Without a control group the kernel counts the processes of all sandboxes of a user."""
    user = ordinary_seeded.user
    room = ordinary_seeded.path.parent / "distcc-many"
    room.mkdir()
    user.own(room)
    (told,) = json.loads(ordinary_seeded.cloche("seed", "list", "--json", check=True).stdout)
    seed = told["layer"]
    site = Site(room / "socket", seed, "", room / "said")
    words = ("--store", ordinary_seeded.path, "distcc", "serve",
             "--jobs", str(JOBS), "--listen", f"unix:{site.listen}")  # fmt: skip
    with site.said.open("wb") as file:
        process = user.start(*words, cwd=room, stderr=file)
    try:
        wait_for(lambda: "compiling for builds" in site.said.read_text(), 120)
        held = [site.begun(msgspec.json.encode(Hello((seed,)))) for _ in range(JOBS - 1)]
        assert [line_of(each, 99, 120) for each in held] == [OK] * len(held)
        done = site.run("gcc", "-O2", "-c", "-o", "one.o", "one.c")
        for each in held:
            each.close()
        assert done.startswith(b"DONE00000001STAT00000000"), done[:400]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130
