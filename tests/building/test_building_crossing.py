"""What of a seed is for another CPU, and that keys of other machines do not depend on it."""

from __future__ import annotations

import platform
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cloche.building import inputs
from cloche.building.crossing import CROSS_SCRIPTS, crossing
from cloche.sandbox import emulation
from cloche.tasks.guestcall import GUEST

CHOST = "aarch64-unknown-linux-gnu"


def seed(tree: Path, *names: str) -> Any:
    """A seed with these programs, and a link that leads out of it."""
    programs = tree / "usr/bin"
    programs.mkdir(parents=True)
    for name in names:
        (programs / name).write_text(name)
    (programs / "qemu-aarch64-static").symlink_to("/bin/true")
    return SimpleNamespace(path=tree, id="0" * 64)


def machine(chost: str | None = CHOST) -> Any:
    return SimpleNamespace(chost=chost)


@pytest.mark.parametrize("prefix", [f"{CHOST}-", "aarch64-linux-gnu-"])
def test_compilers_are_found_by_gentoos_and_by_debians_names(tmp_path: Path, prefix: str) -> None:
    found = crossing(machine(), seed(tmp_path, f"{prefix}gcc", "gcc"))
    assert found is not None
    assert found.found
    assert found.tools.tools == prefix
    assert found.tools.emulator is None  # no link of a seed is followed


def test_a_seed_may_lack_compilers(tmp_path: Path) -> None:
    found = crossing(machine(), seed(tmp_path, "gcc", "riscv64-linux-gnu-gcc"))
    assert found is not None
    assert not found.found


def test_the_emulator_is_part_of_the_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulation, "can_register", lambda release: True)
    made = seed(tmp_path, f"{CHOST}-gcc", "qemu-aarch64")
    first = crossing(machine(), made)
    (tmp_path / "usr/bin/qemu-aarch64").write_text("newer")
    second = crossing(machine(), made)
    assert first is not None
    assert second is not None
    assert first.tools == second.tools
    assert first.tools.emulator == "usr/bin/qemu-aarch64"
    differs = {name for name, value in first.key_parts.items() if second.key_parts[name] != value}
    assert differs == {"emulator"}
    assert CHOST in first.key_parts["cross"]
    monkeypatch.setattr(emulation, "can_register", lambda release: False)
    older = crossing(machine(), made)
    assert older is not None
    assert older.tools.emulator is None
    assert older.unusable is not None
    assert set(first.key_parts) - set(older.key_parts) == {"emulator"}


def test_machines_for_the_seeds_cpu_have_no_such_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert crossing(machine(None), seed(tmp_path)) is None
    before = inputs.guest_digest()
    monkeypatch.setattr(inputs, "_NO_STEPS", inputs._NO_STEPS[: -len(CROSS_SCRIPTS)])
    assert inputs.guest_digest() != before
    assert all((GUEST / name).is_file() for name in CROSS_SCRIPTS)


def test_a_chost_of_the_seeds_own_cpu_needs_no_cross_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    made = seed(tmp_path, "gcc")
    assert crossing(machine("x86_64-gentoo-linux-gnu"), made) is None
    assert crossing(machine("x86_64-pc-linux-musl"), made) is not None
    assert crossing(machine("i686-pc-linux-gnu"), made) is not None


def test_an_emulated_seed_builds_for_the_cpu_of_its_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    made, programs = seed(tmp_path / "seed", "gcc"), tmp_path / "programs"
    programs.mkdir()
    (programs / "qemu-aarch64").touch()
    interpreters: Any = SimpleNamespace(path=programs)
    assert crossing(machine(), made, interpreters) is None
    other = crossing(machine("x86_64-pc-linux-gnu"), made, interpreters)
    assert other is not None
    assert other.tools.cbuild == CHOST
