"""The smallest kernel that boots: built twice with equal bytes, to a shell of its root.

It loads modules, its own and of a package, if the machine's key has signed them, and no others.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernels import initramfs, key_pair, machine, prepared, signed_by
from tests.booting import boot_kernel
from tests.support import Store

pytestmark = [pytest.mark.real, pytest.mark.proof(name="kernel")]


@pytest.fixture(scope="module")
def store(root_seeded: Store, ground: Path) -> Iterator[Store]:
    """A store of this module's own."""
    parent = ground / "kernel-proof"
    parent.mkdir()
    yield root_seeded.copy(parent / "store")
    shutil.rmtree(parent)


@pytest.fixture(scope="module")
def place(store: Store) -> Path:
    """A project with two machines of one kernel, built."""
    made = prepared(store, compiles=True)
    key, _ = key_pair(made)
    (made / "kernel/modules.config").write_text(
        "CONFIG_MODULES=y\nCONFIG_CRC7=m\nCONFIG_CRYPTO_SHA256=y\n"
    )
    signing = f'signing = {{ file = "{key}", certificate = "kernel/modules.pem" }}\n'
    for name in ("first", "second"):
        machine(made, name, "kernel/modules.config", more=signing)
        file = made / f"machines/{name}.toml"
        atoms = '"app-shells/dash", "app-misc/glass"'
        file.write_text(file.read_text().replace('"app-shells/dash"', atoms))
        store.user.own(made)
        store.cloche("build", name, "--secrets", cwd=made, check=True, timeout=7200)
    return made


def kernel_of(store: Store, place: Path, name: str) -> str:
    """The layer of a machine's kernel."""
    layers = store.layers(place, name).items()
    (layer,) = (layer for cpv, layer in layers if re.match(r"sys-kernel/cloche-kernel-\d", cpv))
    return layer


def test_machines_with_equal_kernels_share_one(store: Store, place: Path) -> None:
    assert kernel_of(store, place, "first") == kernel_of(store, place, "second")
    for name in ("cloche-kernel", "cloche-kernel-build"):
        words = ("history", f"sys-kernel/{name}", "--json")
        (run,) = json.loads(store.cloche(*words, cwd=place, check=True).stdout)
        assert run["result"] == "first"
    again = store.cloche("build", "first", cwd=place, check=True)
    assert "0 built" in again.stderr or "0 built" in again.stdout


def test_a_kernel_that_is_built_again_has_equal_bytes(store: Store, place: Path) -> None:
    before = kernel_of(store, place, "first")
    words = ("build", "first", "--rebuild", "sys-kernel/cloche-kernel")
    store.cloche(*words, cwd=place, check=True, timeout=7200)
    assert kernel_of(store, place, "first") == before


def test_a_changed_kernel_builds_packages_of_modules_again_and_no_others(
    store: Store, place: Path
) -> None:
    (place / "kernel/more.config").write_text('CONFIG_LOCALVERSION="-other"\n')
    text = (place / "machines/second.toml").read_text()
    text = text.replace('"kernel/modules.config"', '"kernel/modules.config", "kernel/more.config"')
    (place / "machines/other.toml").write_text(text)
    store.user.own(place)
    before = json.loads(store.cloche("plan", "first", "--json", cwd=place, check=True).stdout)
    after = json.loads(store.cloche("plan", "other", "--json", cwd=place, check=True).stdout)
    fates = {each["cpv"].rpartition("-")[0]: each["fate"] for each in after["packages"]}
    assert {each["fate"] for each in before["packages"]} == {"reuse"}
    again = {name for name, fate in fates.items() if fate != "reuse"}
    kernel = {"sys-kernel/cloche-kernel", "sys-kernel/cloche-kernel-build", "virtual/linux-sources"}
    assert again == {*kernel, "app-misc/glass"}


def test_it_starts_to_a_shell_of_the_machines_root(
    store: Store, place: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["tar", "-xf", place / "out/first/stage4.tar", "-C", root], check=True)
    assert not (root / "usr/src").exists()
    (image,) = (root / "boot").glob("vmlinuz-*")
    release = image.name.removeprefix("vmlinuz-")
    assert (root / f"boot/System.map-{release}").read_text().count("start_kernel") >= 1
    assert "CONFIG_SERIAL_8250_CONSOLE=y" in (root / f"boot/config-{release}").read_text()
    shutil.copy(image, tmp_path / "vmlinuz")
    shutil.rmtree(root / "boot")
    modules = root / f"usr/lib/modules/{release}"
    (glass, crc7) = (modules / "extra/glass.ko", modules / "kernel/lib/crc7.ko")
    for module in (glass, crc7):
        assert signed_by(module.read_bytes(), place / "kernel/modules.pem", tmp_path)
    content = glass.read_bytes()
    (root / "changed.ko").write_bytes(content.replace(b"glass: ", b"GLASS: "))
    (root / "unsigned.ko").write_bytes(content.removesuffix(b"~Module signature appended~\n"))
    tries = [f"/{path.relative_to(root)}" for path in (glass, crc7)]
    tries += ["/changed.ko", "/unsigned.ko"]
    said = boot_kernel(
        tmp_path / "vmlinuz",
        initramfs(root, tmp_path / "initramfs"),
        "console=ttyS0 rdinit=/usr/bin/sh panic=-1 module.sig_enforce=1",
        typed=f"for m in {' '.join(tries)}; do insmod $m; echo gave $? for $m; done; "
        "echo answer $((6*7)) of $0\n",
        prompt="job control turned off",
        until="answer 42 of",
    )
    assert f"Linux version {release}" in said
    assert "(root@localhost)" in said
    assert "answer 42 of" in said
    assert "glass: answer 42" in said
    assert "GLASS: answer" not in said
    by_file = {name: given for given, name in re.findall(r"gave (\d+) for (/\S+)", said)}
    assert by_file == dict(zip(tries, ["0", "0", "1", "1"], strict=True)), said
