"""Makes a Debian root for arm64 with Portage in it, on a host of another CPU: a tarball.

``python foreign.py QEMU SDIST TARBALL`` runs as root. mmdebstrap runs as on that CPU: QEMU is
registered in binfmt_misc of a user namespace of this process.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cloche.broker import open_engine
from cloche.linux import mounts, processes
from cloche.sandbox import emulation
from cloche.sandbox.base import Emulator, Sandbox
from cloche.seeds.arch import ARCHES
from cloche.seeds.debian import bootstrap, installation
from cloche.seeds.debian.apt import apt_options, find_mirror

SUITE = "bookworm"


def main(qemu: Path, sdist: Path, tarball: Path) -> None:
    arch = ARCHES["aarch64"]
    with tempfile.TemporaryDirectory(prefix="cloche-foreign-", dir=tarball.parent) as directory:
        place = Path(directory)
        program = place / "qemu-aarch64"
        shutil.copy(qemu, program)
        emulator = Emulator("aarch64", 64, 183, program)
        place.chmod(0o755)
        mirror = find_mirror(SUITE)
        wanted = bootstrap.Bootstrap(SUITE, arch.debian, mirror, apt_options=apt_options())
        words = bootstrap.command(wanted, place / "tree")
        _emulated([words[0], "--skip=check/qemu", *words[1:]], emulator)
        upper = place / "upper"
        upper.mkdir()
        installation.Sandbox = functools.partial(Sandbox, emulators=(emulator,))  # type: ignore
        with open_engine("native") as engine:
            installation.install(engine, place / "tree", upper, sdist, arch, place / "log")
        tar = ["tar", "--numeric-owner", "--xattrs", "-I", "zstd -1 -T0", "-cf", tarball]
        subprocess.run([*tar, "-C", place / "tree", "."], check=True)


def _emulated(argv: list[str], emulator: Emulator) -> None:
    """Run a program with the emulator registered for it and all that it starts."""
    child = os.fork()
    if child == 0:
        processes.unshare(processes.CLONE_NEWNS)
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        with mounts.Context("tmpfs") as context:
            mounts.move_mount(context.mount(0), "/run")
        there = Path(emulation.bind(emulator).target)
        there.parent.mkdir()
        shutil.copy(emulator.program, there)
        emulation.register([emulator])
        os.execvpe(argv[0], argv, bootstrap.environment(os.environ))
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit(f"{argv[0]}: status {status}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
