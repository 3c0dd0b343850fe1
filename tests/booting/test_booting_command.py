"""The command lines of QEMU and systemd-nspawn: what a guest gets of the host, and what not."""

from __future__ import annotations

import base64
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from cloche.booting import nspawn
from cloche.booting.command import DirectKernel, Forward, Hardware, command
from cloche.booting.errors import BootError
from cloche.booting.firmware import Firmware, uefi
from cloche.booting.guests import check_forward, check_own
from cloche.booting.media import Medium
from cloche.cli.boot import boot

DISK = Medium(Path("/images/a,b.qcow2"), "disk", "qcow2", ("uefi",))
HARDWARE = Hardware(memory=512 << 20, cpus=2, accelerator="tcg", medium=DISK)
STAGE = Path("/stage")


def words(hardware: Hardware) -> list[str]:
    return command(hardware, STAGE, 7, 8)


def value(hardware: Hardware, option: str, beginning: str = "") -> str:
    """The value of an option that begins so."""
    found = words(hardware)
    (only,) = (
        text for name, text in pairwise(found) if name == option and text.startswith(beginning)
    )
    return only


def test_a_guest_gets_nothing_of_the_host() -> None:
    found = words(HARDWARE)
    assert {"-nodefaults", "-no-user-config"} <= {*found}
    assert "spawn=deny" in value(HARDWARE, "-sandbox")
    assert "elevateprivileges=deny" in value(HARDWARE, "-sandbox")
    assert value(HARDWARE, "-netdev") == "user,id=net,restrict=on"
    assert not {"-virtfs", "-fsdev", "-nic", "-vnc"} & {*found}


def test_the_network_and_ports_are_asked_for() -> None:
    ports = (Forward(8080, 80), Forward(2222, 22))
    forwards = "hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=tcp:127.0.0.1:2222-:22"
    inward = replace(HARDWARE, forwards=ports)
    assert value(inward, "-netdev") == f"user,id=net,restrict=on,{forwards}"
    assert value(replace(inward, network=True), "-netdev") == f"user,id=net,{forwards}"


def test_a_disk_is_only_written_to_if_it_is_kept() -> None:
    drive = value(HARDWARE, "-drive", "if=none")
    assert "format=qcow2,snapshot=on" in drive
    assert drive.endswith("file=/images/a,,b.qcow2")
    assert "snapshot=off" in value(replace(HARDWARE, keep=True), "-drive", "if=none")
    cd = replace(HARDWARE, medium=Medium(Path("/a.iso"), "cd"))
    assert "readonly=on" in value(cd, "-drive", "if=none")


def test_uefi_has_variables_of_its_own() -> None:
    found = replace(HARDWARE, firmware=Firmware(Path("/CODE.fd"), Path("/VARS.fd")))
    assert value(found, "-drive", "if=pflash,format=raw,readonly=on").endswith("file=/CODE.fd")
    assert value(found, "-drive", "if=pflash,format=raw,file") == (
        "if=pflash,format=raw,file=/stage/variables"
    )


def test_a_kernel_gets_its_arguments_and_a_loaded_one_through_systemd_stub() -> None:
    direct = replace(
        HARDWARE, kernel=DirectKernel(Path("/k"), Path("/i")), arguments="root=/dev/vda a,b"
    )
    assert value(direct, "-kernel") == "/k"
    assert value(direct, "-initrd") == "/i"
    assert value(direct, "-append") == "console=tty0 console=ttyS0 root=/dev/vda a,b"
    loaded = replace(HARDWARE, arguments="quiet a,b")
    assert value(loaded, "-smbios") == (
        "type=11,value=io.systemd.stub.kernel-cmdline-extra=quiet a,,b"
    )


def test_credentials_are_for_systemd() -> None:
    found = replace(HARDWARE, credentials={"ssh.authorized_keys.root": b"ssh-ed25519 x\n"})
    name, _, text = value(found, "-smbios").rpartition("root=")
    assert name == "type=11,value=io.systemd.credential.binary:ssh.authorized_keys."
    assert base64.b64decode(text) == b"ssh-ed25519 x\n"


def test_forwards_are_two_ports() -> None:
    assert check_forward("8080:80") == Forward(8080, 80)
    for text in ("80", "0:80", "80:65536", "a:1", "1:2:3", "²:1", "127.0.0.1:1:2"):
        with pytest.raises(BootError, match="write HOST:GUEST"):
            check_forward(text)


def test_firmware_is_found_by_qemus_list_before_the_usual_places(tmp_path: Path) -> None:
    for name in ("CODE", "VARS", "CODE2", "VARS2"):
        (tmp_path / name).touch()
    flash = (
        '"mapping": {"device": "flash", "executable": {"filename": "%s", "format": "raw"}, '
        '"nvram-template": {"filename": "%s", "format": "raw"}}, '
    )
    rest = '"targets": [{"architecture": "%s", "machines": []}], "features": [%s]}'
    head = '{"interface-types": ["uefi"], ' + flash % (tmp_path / "CODE", tmp_path / "VARS")
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "10-secure.json").write_text(head + rest % ("x86_64", '"secure-boot"'))
    (lists / "20-arm.json").write_text(head + rest % ("aarch64", ""))
    (lists / "30-broken.json").write_text("{")
    places = [(str(tmp_path / "CODE2"), str(tmp_path / "VARS2"))]
    assert uefi([lists], places) == Firmware(tmp_path / "CODE2", tmp_path / "VARS2")
    (lists / "40-good.json").write_text(head + rest % ("x86_64", '"acpi-s3"'))
    assert uefi([lists], places) == Firmware(tmp_path / "CODE", tmp_path / "VARS")
    with pytest.raises(BootError, match=r"OVMF.* is not installed; install ovmf \(Debian\)"):
        uefi([], [("/nowhere/CODE", "/nowhere/VARS")])


def test_nspawn_writes_nothing_to_the_root_and_has_no_network() -> None:
    root = Medium(Path("/root"), "directory")
    found = nspawn.command(nspawn.Container(root, "x", credentials={"a": "b"}))
    assert {"--directory=/root", "--boot", "--volatile=overlay", "--private-network"} <= {*found}
    assert {"--settings=no", "--set-credential=a:b"} <= {*found}
    disk = nspawn.Container(Medium(Path("/d.raw"), "disk"), "x", network=True)
    assert "--image=/d.raw" in nspawn.command(disk)
    assert "--private-network" not in nspawn.command(disk)


def test_a_root_without_an_init_is_refused(tmp_path: Path) -> None:
    assert not nspawn.has_init(tmp_path)
    (tmp_path / "sbin").mkdir()
    (tmp_path / "sbin/init").symlink_to("/bin/busybox")  # leads somewhere inside only
    assert nspawn.has_init(tmp_path)


def test_what_is_written_is_neither_the_image_nor_the_stores(tmp_path: Path) -> None:
    blob, image, log = (tmp_path / name for name in ("blob", "disk.raw", "log"))
    blob.write_bytes(b"disk")
    image.hardlink_to(blob)
    check_own(log, image)  # it is not there
    log.write_text("earlier")
    check_own(log, image)
    with pytest.raises(BootError, match="the image itself"):
        check_own(image, image)
    with pytest.raises(BootError, match="hard links"):
        check_own(blob, None)
    assert blob.read_bytes() == b"disk"


@pytest.mark.parametrize(
    ("option", "said"),
    [("--log", "nowhere is not there"), ("--screenshot", "nowhere is not there")],
)
def test_files_that_cannot_be_written_are_told_at_once(
    tmp_path: Path, option: str, said: str
) -> None:
    disk = tmp_path / "disk.raw"
    disk.touch()
    done = CliRunner().invoke(boot, [str(disk), option, str(tmp_path / "nowhere/file")])
    assert done.exit_code == 2
    assert said in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--json"], "--json is for --test"),
        (["--machine", "vm"], "--machine is for --test"),
        (["--after", "3s"], "--after is for --screenshot"),
        (["--timeout", "3s"], "--timeout is for --until"),
        (["--until", ""], "--until needs a text"),
    ],
)
def test_options_without_effect_are_refused(tmp_path: Path, words: list[str], said: str) -> None:
    disk = tmp_path / "disk.raw"
    disk.touch()
    done = CliRunner().invoke(boot, [str(disk), *words])
    assert done.exit_code == 2
    assert said in done.output
