"""Stage3s from a mirror with the real layout, signed by a real key, and all that can be wrong."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.mirrors import Mirror, Signer, served, signer
from tests.values import seed_spec

from cloche.config.lock import Stage3Seed
from cloche.fetching.errors import (
    FetchingError,
    SignatureError,
    WrongContentError,
)
from cloche.seeds import stage3
from cloche.seeds.errors import SeedError
from cloche.seeds.types import SeedContext, SeedRequest

STAMP, LATER = "20260406T170000Z", "20260413T170000Z"
TOP = "releases/amd64/autobuilds"


@dataclass(frozen=True)
class Ground:
    """A mirror with one stage3, and where it is taken to."""

    mirror: Mirror
    key: Signer
    directory: Path
    tarball: Path

    def publish(self, stamp: str = STAMP, key: Signer | None = None) -> str:
        """Put the stage3 on the mirror and let the pointer name it; give its path."""
        key = key or self.key
        name = f"stage3-amd64-openrc-{stamp}.tar.xz"
        path = f"{TOP}/{stamp}/{name}"
        content = self.tarball.read_bytes()
        self.mirror.put(path, content)
        digest = hashlib.sha512(content).hexdigest()
        other = hashlib.sha512(b"").hexdigest()
        listed = f"# SHA512 HASH\n{digest}  {name}\n# SHA512 HASH\n{other}  {name}.CONTENTS.gz\n"
        self.mirror.put(f"{path}.DIGESTS", key.clear(listed))
        self.mirror.put(f"{path}.asc", key.detached(self.tarball))
        line = f"{stamp}/{name} {len(content)}\n"
        pointer = f"# Latest as of Mon, 06 Apr 2026 18:00:01 +0000\n# ts=1775498401\n{line}"
        self.mirror.put(f"{TOP}/latest-stage3-amd64-openrc.txt", key.clear(pointer))
        self.mirror.put(f"{TOP}/latest-stage3.txt", key.clear(pointer))
        return path

    def wanted(self, locked: Stage3Seed | None, update: bool, **options: str) -> SeedRequest:
        said = {"arch": "amd64", "flavour": "openrc", "mirror": self.mirror.address}
        said |= {"keyring": str(self.directory / "keys.asc"), **options}
        return SeedRequest(seed_spec("stage3", **said), Path("/"), locked, update)

    def make(
        self, locked: Stage3Seed | None = None, *, update: bool = False, **options: str
    ) -> tuple[Path, Stage3Seed]:
        room = self.directory / "room"
        subprocess.run(["rm", "-rf", room], check=True)
        room.mkdir()
        engine: Any = None  # nothing of it is run here
        store: Any = None  # nor stored
        means = SeedContext(engine, store, self.directory / "cache", self.directory / "log")
        means.cache.mkdir(exist_ok=True)
        return stage3.make(self.wanted(locked, update, **options), room, means)


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    tree = tmp_path / "root"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/gentoo-release").write_text("Gentoo Base System release 2.18\n")
    tarball = tmp_path / "stage3.tar.xz"
    owned = ("--owner=0", "--group=0", "--numeric-owner")
    subprocess.run(["tar", *owned, "-cJf", tarball, "-C", tree, "."], check=True)
    with served() as mirror, signer() as key:
        key.keyring(tmp_path / "keys.asc")
        yield Ground(mirror, key, tmp_path, tarball)


def test_the_newest_is_taken_and_pinned(ground: Ground) -> None:
    path = ground.publish()
    tree, seed = ground.make()
    assert (tree / "etc/gentoo-release").read_text().startswith("Gentoo")
    content = ground.tarball.read_bytes()
    assert (seed.file, seed.size) == (Path(path).name, len(content))
    assert seed.digests == {"SHA512": hashlib.sha512(content).hexdigest()}
    assert (seed.arch, seed.flavour, seed.signer) == ("amd64", "openrc", ground.key.fingerprint)
    assert list((ground.directory / "cache").iterdir()) == []


def test_the_locked_one_needs_no_pointer_and_no_key(ground: Ground) -> None:
    ground.publish()
    _, seed = ground.make()
    ground.publish(LATER)
    assert ground.make(seed, keyring="/nonexistent")[1] == seed
    assert ground.make()[1].file == f"stage3-amd64-openrc-{LATER}.tar.xz"


def test_the_locked_one_may_be_gone_or_another(ground: Ground) -> None:
    path = ground.publish()
    _, seed = ground.make()
    ground.mirror.put(path, ground.tarball.read_bytes()[::-1])
    with pytest.raises(WrongContentError, match="SHA512"):
        ground.make(seed)
    del ground.mirror.files[path]
    with pytest.raises(SeedError, match="--update"):
        ground.make(seed)


def test_a_file_mirror_and_a_broken_transfer(ground: Ground) -> None:
    path = ground.publish()
    _, seed = ground.make()
    place = ground.directory / "mirror"
    for name, content in ground.mirror.files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    assert ground.make(mirror=place.as_uri())[1] == seed
    ground.mirror.cut[path] = [50, 100]
    assert ground.make()[1] == seed


def test_a_local_file_with_its_signature(ground: Ground) -> None:
    path = ground.publish()
    _, seed = ground.make()
    file = ground.directory / Path(path).name
    for end in ("", ".asc", ".DIGESTS"):
        (file.parent / f"{file.name}{end}").write_bytes(ground.mirror.files[path + end])
    assert ground.make(file=str(file))[1] == seed
    (file.parent / f"{file.name}.DIGESTS").unlink()
    assert ground.make(file=str(file))[1] == seed
    file.with_name(f"{file.name}.asc").unlink()
    with pytest.raises(SeedError, match="tarball"):
        ground.make(file=str(file))
    assert ground.make(seed, file=str(file))[1] == seed


def test_signatures_that_do_not_hold(ground: Ground) -> None:
    path = ground.publish()
    pointer = f"{TOP}/latest-stage3-amd64-openrc.txt"
    good = dict(ground.mirror.files)
    with signer("other") as other:
        for name, content in (
            (pointer, other.clear("x")),
            (pointer, good[pointer].replace(b"openrc", b"openrd")),
            (pointer, b"unsigned\n"),
            (f"{path}.DIGESTS", other.clear("x")),
            (f"{path}.asc", other.detached(ground.tarball)),
            (f"{path}.asc", b"nothing"),
        ):
            ground.mirror.files = {**good}
            ground.mirror.put(name, content)
            with pytest.raises(SignatureError):
                ground.make()


def test_content_that_is_not_what_was_announced(ground: Ground) -> None:
    path = ground.publish()
    good = ground.mirror.files[path]
    ground.mirror.put(path, good[:-1])
    with pytest.raises(WrongContentError, match="bytes instead of"):
        ground.make()
    ground.mirror.put(path, good[:-1] + b"?")
    with pytest.raises(WrongContentError, match="SHA512"):
        ground.make()
    ground.mirror.put(path, good)
    ground.mirror.cut[path] = [10] * 9
    with pytest.raises(FetchingError, match="broken off"):
        ground.make()


def test_a_pointer_that_moves_meanwhile_is_followed_once(ground: Ground) -> None:
    path = ground.publish()

    class Moving(dict[str, bytes]):
        """The old tarball goes, and the pointer with it, when the tarball is asked for."""

        def get(self, name: str, default: Any = None) -> Any:
            if name == path and moves:
                moves.pop()()
            return super().get(name, default)

    def on() -> None:
        del ground.mirror.files[path]
        ground.publish(LATER)

    def away() -> None:
        on()
        del ground.mirror.files[path.replace(STAMP, LATER)]

    moves = [on]
    ground.mirror.files = Moving(ground.mirror.files)
    assert LATER in ground.make()[1].file
    ground.publish()
    moves = [away]
    with pytest.raises(SeedError, match="neither"):
        ground.make()


def test_a_mirror_that_is_behind_is_refused(ground: Ground) -> None:
    ground.publish(LATER)
    _, seed = ground.make()
    ground.publish(STAMP)
    with pytest.raises(SeedError, match=LATER):
        ground.make(seed, update=True)


def test_two_seeds_of_one_file_do_not_meet(ground: Ground) -> None:
    path = ground.publish()
    cache = ground.directory / "cache"
    cache.mkdir()
    (cache / f"other.{Path(path).name}").write_text("on its way")
    ground.make()
    assert [file.read_text() for file in cache.iterdir()] == ["on its way"]


def test_a_pointer_to_another_flavour_is_refused(ground: Ground) -> None:
    ground.publish()
    name = f"{TOP}/latest-stage3-amd64-openrc.txt"
    ground.mirror.put(f"{TOP}/latest-stage3-amd64-musl.txt", ground.mirror.files[name])
    with pytest.raises(WrongContentError, match="another stage3"):
        ground.make(flavour="musl")


def test_a_flavour_that_is_not_there_offers_the_nearest(ground: Ground) -> None:
    ground.publish()
    with pytest.raises(SeedError, match=r"did you mean “openrc”\? there is: openrc"):
        ground.make(flavour="openrx")
    with pytest.raises(SeedError, match="vax"):
        ground.make(arch="vax")


def test_subarchitectures_have_names_of_their_own(ground: Ground) -> None:
    ground.publish()
    for name, content in [*ground.mirror.files.items()]:
        ground.mirror.put(name.replace("/amd64/", "/x86/"), content)
    _, seed = ground.make(arch="x86", flavour="amd64:openrc")
    assert replace(seed, arch="amd64", flavour="openrc") == ground.make()[1]
