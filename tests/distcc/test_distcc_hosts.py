"""Hosts that fail or die, under make and in pump mode, with the wrapper in the place of distcc."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from tests.distcc.farm import Farm, desk, shim
from tests.support import cannot

pytestmark = pytest.mark.real

REMOTE = "on 10.99.7.2/8 completed ok"
LOCAL = "on localhost completed ok"


def test_a_host_that_dies_is_left_alone_and_comes_back(
    hosts: Farm, tmp_path: Path, wrapper: Path
) -> None:
    slow = shim(hosts.room / "slow/gcc", 'sleep 5; exec /usr/bin/gcc "$@"').parent
    hosts.serve("one", str(slow))
    here = desk(hosts, tmp_path / "desk", wrapper, "one", DISTCC_BACKOFF_PERIOD="600")

    def compiled(name: str) -> str:
        done = here.run(str(wrapper), "gcc", "-c", name, DISTCC_LOG=name + ".log")
        text = (here.place / f"{name}.log").read_text()
        (here.place / f"{name}.log").unlink()
        return f"{done.returncode} {text}"

    process = here.start(str(wrapper), "gcc", "-c", "good.c")
    time.sleep(0.5)
    hosts.stop("one")
    process.communicate()
    assert process.returncode == 0
    assert (here.place / "good.o").is_file()
    assert here.disliked == {"backoff_tcp_10.99.7.2_3632_0"}
    assert compiled("warned.c").startswith("0 ")
    hosts.serve("one")
    assert LOCAL in compiled("good.c")
    (noted,) = (here.place / "distcc/lock").glob("backoff_*")
    os.utime(noted, (time.time() - 700, time.time() - 700))  # the period is over
    assert REMOTE in compiled("good.c")
    assert here.disliked == set()


def test_in_pump_mode_a_host_is_blamed_once_its_plain_mode_fails(
    hosts: Farm, tmp_path: Path, wrapper: Path
) -> None:
    if shutil.which("distcc-pump") is None:
        cannot("there is no distcc-pump")
    hosts.serve("one")
    broken = shim(hosts.room / "broken/gcc", 'echo "gcc $*" >&2; exit 1').parent
    hosts.serve("two", str(broken))
    addresses = {name: hosts.net.address(name) for name in ("one", "two")}
    here = desk(hosts, tmp_path / "desk", wrapper, DISTCC_LOG="log")
    (here.place / "own.h").write_text("int one(void);\n")
    for name in ("good.c", "bad.c"):
        file = here.place / name
        file.write_text(f'#include "own.h"\n{file.read_text()}')
    look = 'ls -s distcc/lock | grep -o "backoff.*"; wc -c <"${INCLUDE_SERVER_PORT%socket}$C"'
    script = f"""
        C=discrepancy_counter; : >"${{INCLUDE_SERVER_PORT%socket}}$C"
        export DISTCC_HOSTS={addresses["one"]}/8,lzo,cpp
        {wrapper} gcc -c good.c; echo $?
        {wrapper} gcc -c bad.c; echo $?
        {look}
        export DISTCC_HOSTS={addresses["two"]}/8,lzo,cpp
        {wrapper} gcc -c good.c; echo $?
        {look}
        {wrapper} gcc -c good.c; echo $?
        {look}
    """
    sent = " ".join(f"{address}/8,lzo,cpp" for address in addresses.values())
    done = here.run("distcc-pump", "sh", "-c", script, DISTCC_HOSTS=sent)
    seen = [line for line in done.stdout.decode().splitlines() if not line.startswith("__")]
    blamed = f"backoff_tcp_{addresses['two']}_3632_0"
    assert seen == ["0", "1", "0", "0", "1", "0", blamed, "1"], (done, here.log)
    assert "preprocessing locally" not in here.log
