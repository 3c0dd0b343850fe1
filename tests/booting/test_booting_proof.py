"""Systems of Debian that know nothing of cloche: systemd and OpenRC, in QEMU and systemd-nspawn.

`make proof-images` runs this. The systems are made by mmdebstrap in minutes; a boot takes two more.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from tests import guests
from tests.support import User

from cloche.seeds.debian.apt import find_mirror

pytestmark = [pytest.mark.real, pytest.mark.proof(name="images")]

PATIENCE = 1200
MACHINE = """\
seed = "debian"
profile = "own:default"
packages = ["app-misc/greet"]

[test]
units = ["ssh", "nothing-like-this"]
commands = ["id -un | grep -qx root"]
timeout = "15m"
"""

INITTAB = "co:2345:respawn:/sbin/getty -a root 115200 ttyS0\n"
NETWORK = "[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n"
COMMON = "openssh-server,udev,kmod,iproute2,login,passwd"


def made(place: Path, packages: str) -> Path:
    """A root of Debian with these packages. Nobody can log in as root."""
    mirror = find_mirror("trixie")
    words = ["mmdebstrap", "--variant=minbase", f"--include={COMMON},{packages}"]
    words.append(f"--keyring={mirror.keyring}")
    subprocess.run([*words, "trixie", place, mirror.uri], check=True, timeout=PATIENCE)
    assert "root:*:" in (place / "etc/shadow").read_text()
    return place


def disk(root: Path) -> None:
    """A file system of a root, beside it."""
    file = root.with_suffix(".raw")
    with file.open("wb") as empty:
        empty.truncate(800 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-d", root, file], check=True)


@pytest.fixture(scope="module")
def place(root: User, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project, and roots with systemd and OpenRC, with a kernel for both."""
    place = tmp_path_factory.mktemp("proof")
    guests.project(place)
    (place / "machines/tested.toml").write_text(MACHINE)
    systemd = made(place / "systemd", "systemd-sysv,linux-image-cloud-amd64")
    (systemd / "etc/systemd/network/80-dhcp.network").write_text(NETWORK)
    subprocess.run(["chroot", systemd, "systemctl", "enable", "systemd-networkd"], check=True)
    for name, pattern in (("vmlinuz", "vmlinuz-*"), ("initrd", "initrd.img-*")):
        (found,) = (systemd / "boot").glob(pattern)
        shutil.copyfile(found, place / name)
    openrc = made(place / "openrc", "sysvinit-core,openrc")
    with (openrc / "etc/inittab").open("a") as inittab:
        inittab.write(INITTAB)
    (openrc / "etc/fstab").write_text("/dev/vda / ext4 defaults 0 0\n")
    for each in (systemd, openrc):
        disk(each)
    return place


def words(name: str) -> tuple[str, ...]:
    kernel = ("--kernel", "vmlinuz", "--initrd", "initrd", "--kernel-args", "root=/dev/vda rw")
    return (f"{name}.raw", *kernel)


def check(done: subprocess.CompletedProcess[str]) -> None:
    """The boot, ssh and the command passed, and the unit that is not there failed."""
    assert done.returncode == 1, done.stderr
    checks = json.loads(done.stdout)["checks"]
    assert [each["state"] for each in checks] == ["passed", "passed", "failed", "passed"], checks


@pytest.mark.parametrize("name", ["systemd", "openrc"])
def test_units_are_checked_in_qemu(root: User, place: Path, name: str) -> None:
    """systemd gives its console by credentials; OpenRC's inittab has a getty that logs in."""
    asked = ("--test", "--machine", "tested", "--json", "--log", f"{name}.log")
    check(root.run("boot", *words(name), *asked, cwd=place, timeout=PATIENCE))


def test_units_are_checked_in_systemd_nspawn(root: User, place: Path) -> None:
    asked = ("--nspawn", "--test", "--machine", "tested", "--json", "--log", "nspawn.log")
    check(root.run("boot", "systemd", *asked, cwd=place, timeout=PATIENCE))


def test_root_logs_in_by_ssh_with_the_key_of_the_run(root: User, place: Path) -> None:
    reading, writing = os.pipe()  # nobody types
    with (place / "told").open("w") as told:
        running = root.start(
            *("boot", *words("systemd"), "--ssh"),
            cwd=place,
            stdin=reading,
            stdout=subprocess.DEVNULL,
            stderr=told,
        )
    end = time.monotonic() + PATIENCE
    try:
        said, ssh = "", ""
        while said != "root" and running.poll() is None and time.monotonic() < end:
            lines = (place / "told").read_text().splitlines()
            ssh = next((line for line in lines if line.startswith("ssh ")), "")
            asked = [*shlex.split(ssh), "-o", "ConnectTimeout=60", "id -un; systemctl poweroff"]
            if ssh:
                done = subprocess.run(asked, capture_output=True, text=True, check=False)
                said = done.stdout.strip()
            time.sleep(2)
        assert said == "root", (place / "told").read_text()
        assert running.wait(PATIENCE) == 0
        assert not Path(shlex.split(ssh)[4]).exists()  # the key is gone
    finally:
        running.kill()
        running.wait()
        os.close(reading)
        os.close(writing)
