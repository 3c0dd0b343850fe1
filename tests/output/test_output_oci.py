"""OCI images: groups of layers, and that an image holds what the root holds."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from tests import containers, values
from tests.machine import tiny
from tests.roots import worlds
from tests.seeds.test_seeds_trees import means, wanted
from tests.support import Store

from cloche.archives import ImportOptions, import_tarball
from cloche.config.errors import ConfigError, Origin
from cloche.config.images import Image, Oci
from cloche.errors import ClocheError
from cloche.layers import Layer, commit, compare
from cloche.output.oci import config_of, platform_of, ref_of
from cloche.output.oci_layers import OciLayer, groups, oci_layer, write_layer
from cloche.seeds import oci
from cloche.store import Store as Opened


def layers(*sizes: int, kind: str = "package") -> tuple[Layer, ...]:
    """Layers of packages, with these sizes in MiB."""
    return tuple(
        values.layer(Path(f"/{n}"), f"c/p{n}-1", size=size << 20, kind=kind)
        for n, size in enumerate(sizes)
    )


def test_few_layers_are_as_they_are() -> None:
    given = layers(1, 20, 1)
    assert groups(given) == tuple((each,) for each in given)


def test_many_layers_become_groups_of_neighbours() -> None:
    given = layers(*[1] * 500, 30, *[1] * 100)
    found = groups(given)
    assert 40 <= len(found) <= 100
    assert tuple(each for group in found for each in group) == given
    assert (given[500],) in found
    assert len(groups(layers(*[64] * 300), 20)) <= 20


def test_another_version_of_a_package_changes_its_own_group_alone() -> None:
    given = layers(*[1] * 500)
    newer = replace(given[250], label="c/p250-2.1-r3", id="other")
    changed = (*given[:250], newer, *given[251:])
    assert len(set(groups(changed)) - set(groups(given))) == 1


def test_a_new_package_changes_one_group() -> None:
    given = layers(*[1] * 500)
    extra = values.layer(Path("/new"), "c/new-1", size=1)
    assert len(set(groups((*given[:250], extra, *given[250:]))) - set(groups(given))) <= 2


def test_state_is_not_together_with_packages() -> None:
    given = (*layers(*[1] * 300), *layers(1, 1, kind="finish"))
    assert all(len({each.kind for each in group}) == 1 for group in groups(given))


def test_the_configuration_has_what_is_asked_for_and_no_more() -> None:
    layer = OciLayer("b", 1, "d", ("package c/a-1",))
    plain = config_of(Oci(), {"os": "linux", "architecture": "arm64"}, [layer])
    assert plain["config"] == {}
    assert plain["rootfs"] == {"type": "layers", "diff_ids": ["sha256:d"]}
    assert plain["history"][0]["created_by"] == "cloche: package c/a-1"
    asked = Oci(cmd=("a",), env={"B": "2", "A": "1"}, ports=("80/tcp",), stop_signal="SIGTERM")
    assert config_of(asked, {}, [layer])["config"] == {
        "ExposedPorts": {"80/tcp": {}},
        "Env": ["A=1", "B=2"],
        "Cmd": ["a"],
        "StopSignal": "SIGTERM",
    }


def unpacked(stack: list[Path], room: Path) -> list[Path]:
    """Layers after their way through OCI's."""
    found = []
    for number, tree in enumerate(stack):
        file = room / f"{number}.tar.gz"
        write_layer(tree, file)
        found.append(room / f"back-{number}")
        import_tarball(file, found[-1], ImportOptions(devices="make", whiteouts="oci"))
    return found


@pytest.mark.real
@settings(max_examples=60)
@given(worlds.worlds(("socket", "deep"), 5))
def test_a_stack_shows_the_same_after_its_way_through_an_image(
    world: tuple[list[list[worlds.Draw]], list[worlds.Draw]],
) -> None:
    with tempfile.TemporaryDirectory(prefix="oci-") as room:
        stack = worlds.build(Path(room), world[0])
        found = compare(stack, unpacked(stack, Path(room)))
        assert found.equal, found.text()


@pytest.mark.real
def test_whatever_a_root_can_hold_is_in_the_image(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    worlds.furnish(tree)
    values.write_files(tree, {"not UTF-8 \udcff": "x"})
    (back,) = unpacked([tree], tmp_path)
    found = compare([tree], [back])
    assert found.equal, found.text()
    assert os.getxattr(back / "bin/other", "security.capability") == worlds.CAPABILITY


@pytest.mark.real
def test_a_name_that_would_delete_a_file_is_refused(tmp_path: Path) -> None:
    values.write_files(tmp_path / "tree", ["etc/.wh.passwd"])
    with pytest.raises(ClocheError, match="means a deleted file in an OCI image") as caught:
        write_layer(tmp_path / "tree", tmp_path / "layer")
    assert caught.value.where == "/etc/.wh.passwd"


@pytest.mark.real
def test_a_layer_is_made_once(tmp_path: Path) -> None:
    with Opened.open(tmp_path / "store") as store:
        context = values.context(store)
        one, two = (values.stored(store, f"c/{name}-1", **{name: name}) for name in "ab")
        both = oci_layer(context, (one, two))
        assert both.made_of == ("package c/a-1", "package c/b-1")
        before = {path: path.stat().st_ino for path in store.blobs.iterdir()}
        assert oci_layer(context, (one, two)) == both
        assert {path: path.stat().st_ino for path in store.blobs.iterdir()} == before
        assert oci_layer(context, (one,)).blob != both.blob


@pytest.mark.real
def test_a_squashed_root_has_nothing_of_what_was_removed(tmp_path: Path) -> None:
    with Opened.open(tmp_path / "store") as store:
        context = values.context(store)
        one = values.stored(store, "c/a-1", gone="gone", stays="stays")
        with store.workspace("values") as room:
            (room / "tree").mkdir()
            os.mknod(room / "tree/gone", 0o020000, 0)
            two = commit(store, room / "tree", kind="finish", label="remove")
        found = oci_layer(context, (one, two), whole=True)
        with tarfile.open(store.blob(found.blob).path) as opened:
            assert opened.getnames() == [".", "stays"]
        with tarfile.open(store.blob(oci_layer(context, (one, two)).blob).path) as opened:
            assert opened.getnames() == [".", ".wh.gone", "stays"]


IMAGE = """
[output.images.greet]
format = "oci"
ref = "example.org/greet:1"
entrypoint = ["greet"]
env = { LANG = "C" }
labels = { "org.opencontainers.image.title" = "greet" }
"""


@pytest.fixture(scope="module")
def machine(root_seeded: Store, ground: Path) -> tiny.Build:
    """The tiny machine with a root of its own, and an image of it."""
    once = tiny.built_once(root_seeded, "own")
    (ground / "oci").mkdir()
    made = tiny.fresh_copy(once, once.store.copy(ground / "oci/store"))
    with (made.project / "machines/tiny.toml").open("a") as file:
        file.write(IMAGE)
    return tiny.build(made.store, made.project)


def blobs(archive: Path) -> dict[str, bytes]:
    """The files of an archive."""
    with tarfile.open(archive) as opened:
        return {each.name: opened.extractfile(each).read() for each in opened}  # type: ignore[union-attr]


@pytest.mark.real
def test_an_engine_loads_and_runs_it(machine: tiny.Build) -> None:
    archive = machine.project / "out/tiny/greet.oci.tar"
    files = blobs(archive)
    for name, content in files.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"
    assert len(files) > 6
    with containers.loaded(archive, "example.org/greet:1") as podman:
        told = podman(*containers.RUN, "example.org/greet:1")
        assert told.endswith(": nothing of the host\n")
        (image,) = json.loads(podman("image", "inspect", "example.org/greet:1"))
        assert image["Labels"] == {"org.opencontainers.image.title": "greet"}


@pytest.mark.real
def test_a_seed_that_is_made_of_it_is_what_the_tarball_holds(
    machine: tiny.Build, tmp_path: Path
) -> None:
    outputs = machine.project / "out/tiny"
    (tmp_path / "room").mkdir()
    request = wanted("oci", path=str(outputs / "greet.oci.tar"), ref="example.org/greet:1")
    found, _ = oci.make(request, tmp_path / "room", means(tmp_path))
    import_tarball(outputs / "stage4.tar.zst", tmp_path / "stage4")
    compared = compare([tmp_path / "stage4"], [found])
    assert compared.equal, compared.text()


@pytest.mark.real
def test_a_machine_with_another_package_has_the_other_layers_unchanged(
    machine: tiny.Build,
) -> None:
    archive = machine.project / "out/tiny/greet.oci.tar"
    before = blobs(archive)
    file = machine.project / "repo/tiny/report/report-1.ebuild"
    file.write_text(file.read_text().replace("in full", "in all its length"))
    tiny.build(machine.store, machine.project)
    assert len(blobs(archive).keys() - before.keys()) <= 4


def test_the_platform_is_the_machines_and_several_images_have_names_of_their_own(
    tmp_path: Path,
) -> None:
    origin = Origin(tmp_path / "m.toml", 1)
    one, two = (Image(name, origin, None, Oci()) for name in ("one", "Two_2"))

    def done(chost: str, *images: Image) -> Any:
        inputs = SimpleNamespace(machine="web", base=[values.layer(tmp_path)])
        machine = SimpleNamespace(chost=chost, images=images)
        return SimpleNamespace(context=SimpleNamespace(inputs=inputs), machine=machine)

    arm = done("armv6j-unknown-linux-gnueabihf", one)
    assert platform_of(arm, one) == {"os": "linux", "architecture": "arm", "variant": "v6"}
    assert ref_of(arm, one, Oci()) == "web:latest"
    assert ref_of(done("", one, two), two, Oci()) == "web-two-2:latest"
    write_elf(tmp_path / "usr/bin/bash", machine=2)
    with pytest.raises(ConfigError, match="no name is known for sparc"):
        platform_of(done("", one), one)


def write_elf(path: Path, machine: int) -> None:
    """The head of a program for a CPU, big-endian."""
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x7fELF\x02\x02" + bytes(12) + machine.to_bytes(2, "big"))
