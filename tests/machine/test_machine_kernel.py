"""A machine's kernel: its configuration is checked before anything is compiled."""

from __future__ import annotations

import json
import shlex
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernels import key_pair, machine, other_version, prepared
from own import TOML
from tests.support import Store, cannot
from tests.terminal import Tmux

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def store(root_seeded: Store, ground: Path) -> Iterator[Store]:
    """A store of this module's own."""
    parent = ground / "kernel-store"
    parent.mkdir()
    yield root_seeded.copy(parent / "store")
    shutil.rmtree(parent)


@pytest.fixture(scope="module")
def place(store: Store) -> Path:
    """A project whose kernel's sources can be configured, and no more."""
    return prepared(store, compiles=False)


def test_an_option_that_is_not_there_ends_the_build_before_the_compile(
    store: Store, place: Path
) -> None:
    (place / "kernel/wrong.config").write_text("CONFIG_TTY=y\nCONFIG_SERIAL_8520=y\n")
    name = machine(place, "wrong", "kernel/wrong.config")
    done = store.cloche("build", name, cwd=place)
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert "kernel/wrong.config:2: this kernel has no option CONFIG_SERIAL_8520" in last
    assert "did you mean CONFIG_SERIAL_8250?" in last


def test_an_option_that_does_not_survive_is_named_with_what_it_needs(
    store: Store, place: Path
) -> None:
    (place / "kernel/deep.config").write_text("# Without NET.\nCONFIG_INET=y\n")
    name = machine(place, "deep", "kernel/deep.config")
    done = store.cloche("build", name, cwd=place)
    assert done.returncode == 2, done.stderr
    assert "kernel/deep.config:2: CONFIG_INET is “n”, not “y”" in done.stderr.splitlines()[-1]


def test_sources_that_no_repository_has_are_named_with_their_line(
    store: Store, place: Path
) -> None:
    machine(place, "none")
    file = place / "machines/none.toml"
    file.write_text(file.read_text().replace("tiny-sources", "huge-sources"))
    done = store.cloche("plan", "none", cwd=place)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()[-1:]
    assert "machines/none.toml:8: no package of the repositories matches" in line


def test_a_configuration_is_checked_without_a_build(store: Store, place: Path) -> None:
    done = store.cloche("kernel", "check", machine(place, "right"), cwd=place)
    assert done.returncode == 0, done.stderr
    assert "all as asked for" in done.stdout
    assert "right: configuring " in done.stderr  # after what was built for that
    told = json.loads(
        store.cloche("kernel", "check", "right", "--json", cwd=place, check=True).stdout
    )
    assert told["config"]["CONFIG_SERIAL_8250_CONSOLE"] == "y"
    assert "CONFIG_VT" not in told["config"]
    assert f"right: {told['version']}, {len(told['config'])} options set" in done.stdout
    (place / "kernel/bad.config").write_text("CONFIG_TTTY=y\n")
    done = store.cloche("kernel", "check", machine(place, "bad", "kernel/bad.config"), cwd=place)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert "kernel/bad.config:1: this kernel has no option CONFIG_TTTY" in last
    assert "\\n" not in last


def test_what_signing_sets_has_the_place_of_the_machines_file(store: Store, place: Path) -> None:
    key, _ = key_pair(place)
    signing = f'signing = {{ file = "{key}", certificate = "kernel/modules.pem" }}\n'
    (place / "kernel/loadable.config").write_text("CONFIG_MODULES=y\n")
    name = machine(place, "signed", "kernel/loadable.config", more=signing)
    line = (place / "machines/signed.toml").read_text().splitlines().index(signing.strip()) + 1
    store.user.own(place)
    store.cloche("kernel", "check", name, cwd=place, check=True)
    machine(place, "signed", more=signing.replace("\n", "  # and no modules\n"))
    done = store.cloche("kernel", "check", name, cwd=place)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    wrong = "CONFIG_MODULES is off, so there are no modules to sign"
    assert f"machines/signed.toml:{line}, [kernel.signing]: {wrong}" in last


def test_a_machine_without_such_a_kernel_is_named(store: Store, place: Path) -> None:
    (place / "machines/bare.toml").write_text(TOML.format(atoms=["app-shells/dash"], more=""))
    done = store.cloche("kernel", "check", "bare", cwd=place)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "machine bare: it has no kernel that is built from sources; add [kernel]" in line


def test_a_configuration_is_carried_to_another_version(store: Store, place: Path) -> None:
    other_version(place, "0.1")
    old = place / "kernel/old.config"
    old.write_text("CONFIG_64BIT=y\nCONFIG_PRINTK=y\nCONFIG_OF_ANOTHER_AGE=y\n")
    name = machine(place, "carried", config="kernel/old.config")
    told = store.cloche("kernel", "update", name, "0.1", "--dry-run", cwd=place, check=True)
    assert "CONFIG_CLOCHE_ASKS" in told.stdout
    assert "Whether to carry this one over." in told.stdout
    assert "gone: CONFIG_OF_ANOTHER_AGE=y" in told.stdout
    assert "CLOCHE" not in old.read_text()
    words = ("kernel", "update", name, "0.1", "--dry-run", "--json")
    data = json.loads(store.cloche(*words, cwd=place, check=True).stdout)
    (gone,) = data["gone"]  # with a name that is near
    assert (data["version"], gone.partition(";")[0]) == ("0.1", "CONFIG_OF_ANOTHER_AGE=y")
    helps = {each["option"]: each["help"].split("\n")[0] for each in data["new"]}
    assert helps["CONFIG_CLOCHE_ASKS"] == "Whether to carry this one over."
    assert not data["written"]
    told = store.cloche("kernel", "update", name, "0.1", cwd=place, check=True)
    atom = "=sys-kernel/tiny-sources-0.1"
    assert f'write sources = "{atom}"' in told.stderr
    text = old.read_text()
    assert "CONFIG_CLOCHE_ASKS=y" in text
    assert "ANOTHER_AGE" not in text
    file = place / "machines/carried.toml"
    text = file.read_text().replace('"sys-kernel/tiny-sources"', f'"{atom}"')
    file.write_text(text.replace('fragments = ["kernel/boot.config"]', ""))  # of a smaller kernel
    store.cloche("kernel", "check", name, cwd=place, check=True)


def test_only_packages_of_modules_see_the_kernel(store: Store, place: Path) -> None:
    name = machine(place, "modules")
    file = place / "machines/modules.toml"
    atoms = '"app-shells/dash", "app-misc/glass"'
    file.write_text(file.read_text().replace('"app-shells/dash"', atoms))
    told = store.cloche("plan", name, "--json", cwd=place, check=True)
    packages = {each["id"].partition("::")[0]: each for each in json.loads(told.stdout)["packages"]}
    (tree,) = (cpv for cpv in packages if cpv.startswith("sys-kernel/cloche-kernel-build-"))

    def seeing(wanted: str) -> set[str]:
        return {
            cpv
            for cpv, each in packages.items()
            if any(seen.startswith(f"{wanted}::") for seen in each["visible"]["build"])
        }

    assert seeing(tree) == {"app-misc/glass-1"}
    assert seeing(tree.replace("-build", "")) == {tree}
    assert not packages[tree]["member"]


def test_menuconfig_changes_the_fragment(store: Store, place: Path, tmp_path: Path) -> None:
    if shutil.which("tmux") is None:
        cannot("tmux is not installed")
    fragment = place / "kernel/own.config"
    fragment.write_text("# Of this machine.\nCONFIG_INET=y\n")
    name = machine(place, "menu", "kernel/own.config")
    variables = [f"{k}={v}" for k, v in store.user.environment({"LC_ALL": "C.UTF-8"}).items()]
    words = store.user.command("--store", store.path, "-C", place, "kernel", "config", name)
    command = f"{shlex.join(['env', *variables, *words])}; echo status $?; sleep 999"
    window = Tmux(str(tmp_path / "socket"), 100, 40, command)
    try:
        window.wait("Kernel Configuration", "< Exit >")
        window.keys("/")
        window.wait("Enter (sub)string or regexp")
        window.keys("PRINTK_TIME", "Enter")
        window.wait("Search Results", "(1)")
        window.keys("1")
        window.wait("Show timing information on printks")
        window.keys("y")
        window.wait("[*] Show timing information on printks")
        for _ in range(6):
            window.keys("Escape", "Escape")
            if "save your new configuration" in window.wait("<"):
                break
            time.sleep(1)
        window.wait("save your new configuration")
        window.keys("Enter")
        told = window.wait("status 0")
        assert "CONFIG_PRINTK_TIME=y" in told
        assert "warning: kernel/own.config:2: CONFIG_INET is “n”, not “y”" in told
    finally:
        window.close()
    assert fragment.read_text() == "# Of this machine.\nCONFIG_INET=y\nCONFIG_PRINTK_TIME=y\n"
