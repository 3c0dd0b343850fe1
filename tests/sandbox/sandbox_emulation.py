"""Checks of programs for another CPU. The emulator is true(1): what it is given does not matter."""

from __future__ import annotations

import errno
from pathlib import Path

from sandbox_ground import Ground, raises

from cloche.sandbox.base import Emulator
from cloche.sandbox.errors import SandboxError

REGISTERED = Path("/proc/sys/fs/binfmt_misc")


def foreign(g: Ground, bits: int = 64, machine: int = 183) -> Path:
    """A layer with /foreign, which has the header of a program for such a CPU."""
    layer = g.fresh()
    program = layer / "foreign"
    start = bytes([0x7F, *b"ELF", bits // 32, 1, 1]) + bytes(9)
    program.write_bytes(start + bytes([2, 0]) + machine.to_bytes(2, "little") + bytes(100))
    program.chmod(0o755)
    return layer


def emulator(g: Ground) -> Emulator:
    return Emulator("aarch64", 64, 183, g.root / "bin/true")


def check_programs_of_another_cpu_run_in_that_sandbox_alone(g: Ground) -> None:
    layer = foreign(g)
    before = sorted(REGISTERED.glob("*"))
    if not g.engine.nature.emulates:
        error = raises(SandboxError, lambda: g.shell("", g.sandbox(emulators=(emulator(g),))))
        assert "native" in str(error)
        return
    ended, out = g.shell("/foreign", g.sandbox(layer, emulators=(emulator(g),)))
    assert ended.ok, out
    ended, out = g.shell("", g.sandbox(layer, emulators=(emulator(g),)), argv=("/foreign",))
    assert ended.ok, out
    for other in (g.sandbox(layer), g.sandbox(foreign(g, 32, 40), emulators=(emulator(g),))):
        error = raises(SandboxError, lambda o=other: g.shell("", o, argv=("/foreign",)))
        assert isinstance(error, SandboxError)
        assert error.errno == errno.ENOEXEC
    assert sorted(REGISTERED.glob("*")) == before


def check_an_emulator_gives_no_rights(g: Ground) -> None:
    if not g.engine.nature.emulates:
        return
    script = """cat /proc/self/status
        echo > /tmp/file && chown 1234:1234 /tmp/file && stat -c %u:%g /tmp/file"""
    kept = ("CapPrm", "CapEff", "CapBnd", "CapAmb", "CapInh", "Seccomp:", "1234")
    told = [
        [line for line in g.shell(script, sandbox)[1].splitlines() if line.startswith(kept)]
        for sandbox in (g.sandbox(), g.sandbox(emulators=(emulator(g),)))
    ]
    assert told[0] == told[1]
    assert told[0][-1] == "1234:1234"
    command = f"echo -1 > {REGISTERED}/qemu-aarch64"
    ended, out = g.shell(command, g.sandbox(emulators=(emulator(g),)))
    assert not ended.ok
    assert "Read-only" in out
    ended, _ = g.shell(
        f"mount -t binfmt_misc none {REGISTERED}", g.sandbox(emulators=(emulator(g),))
    )
    assert not ended.ok
