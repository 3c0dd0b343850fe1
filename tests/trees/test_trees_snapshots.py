"""Gentoo's daily snapshots from a mirror with the real layout, and all that can be wrong."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.mirrors import Mirror, served, signer
from tests.trees.published import Ground

from cloche.fetching.errors import FetchingError, NotThereError, SignatureError, WrongContentError
from cloche.trees.errors import TreeDriftError, TreeError

TYPES = ("webrsync", "squashfs")
SUFFIX = {"webrsync": ".tar.xz", "squashfs": ".xz.sqfs"}
DIRECTORY = {"webrsync": "snapshots", "squashfs": "snapshots/squashfs"}


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with served() as mirror:
        yield mirror


def name_of(kind: str, days: int) -> str:
    """The name of the snapshot of so many days ago."""
    day = datetime.now(UTC) - timedelta(days=days)
    return f"gentoo-{day:%Y%m%d}{SUFFIX[kind]}"


def packed(ground: Ground, kind: str, name: str) -> Path:
    """Make a snapshot of the repository."""
    file = ground.directory / name
    file.unlink(missing_ok=True)
    if kind == "squashfs":
        words = ["mksquashfs", ground.published, file, "-quiet", "-no-progress", "-all-root"]
        subprocess.run([*words, "-comp", "xz"], check=True, stdout=subprocess.DEVNULL)
    else:
        top = f"s,^published,{name.removesuffix('.tar.xz')},"
        words = ["tar", "-cJf", file, "-C", ground.directory, f"--transform={top}", "published"]
        subprocess.run(words, check=True)
    return file


def publish(ground: Ground, mirror: Mirror, kind: str, days: int = 3) -> str:
    """Put a snapshot on the mirror; give its path."""
    name = name_of(kind, days)
    file, path = packed(ground, kind, name), f"{DIRECTORY[kind]}/{name}"
    mirror.put(path, file.read_bytes())
    if kind == "squashfs":
        digest = hashlib.sha512(file.read_bytes()).hexdigest()
        listed = f"{digest}  {name}\n{'0' * 128}  {name.replace('.xz.', '.lzo.')}\n"
        stem = name.removesuffix(SUFFIX[kind])
        mirror.put(f"{DIRECTORY[kind]}/{stem}.sha512sum.txt", ground.key.clear(listed))
    else:
        mirror.put(f"{path}.gpgsig", ground.key.detached(file))
    return path


def declare(ground: Ground, mirror: Mirror, kind: str, **more: str | bool) -> None:
    words: dict[str, str | bool] = {"sync_type": kind, "sync_uri": mirror.address}
    ground.declare(**(words | {"sync_openpgp_key_path": str(ground.keys)} | more))


@pytest.mark.parametrize("kind", TYPES)
def test_the_newest_is_taken_and_pinned(ground: Ground, mirror: Mirror, kind: str) -> None:
    publish(ground, mirror, kind, days=5)
    path = publish(ground, mirror, kind, days=3)
    declare(ground, mirror, kind)
    taken, new = ground.sync()
    assert new
    assert taken.pin.file == Path(path).name
    assert taken.pin.digest == hashlib.sha256(mirror.files[path]).hexdigest()
    assert (taken.path / "app-misc/one/one-1.ebuild").is_file()
    asked = len(mirror.asked)
    assert ground.sync() == (taken, False)
    assert path not in [name for name, _ in mirror.asked[asked:]]
    assert not list((ground.store.path / "downloads").iterdir())


@pytest.mark.parametrize("kind", TYPES)
def test_the_locked_one_needs_no_key(ground: Ground, mirror: Mirror, kind: str) -> None:
    publish(ground, mirror, kind)
    declare(ground, mirror, kind)
    taken, _ = ground.sync()
    publish(ground, mirror, kind, days=2)
    ground.keys.unlink()
    ground.forget(taken)
    assert ground.sync(update=False)[0].pin == taken.pin


@pytest.mark.parametrize("kind", TYPES)
def test_another_content_under_the_locked_name_is_refused(
    ground: Ground, mirror: Mirror, kind: str
) -> None:
    path = publish(ground, mirror, kind)
    declare(ground, mirror, kind)
    taken, _ = ground.sync()
    ground.forget(taken)
    (ground.published / "evil").write_text("evil")
    assert publish(ground, mirror, kind) == path
    with pytest.raises(TreeDriftError, match=taken.pin.digest[:12]):
        ground.sync(update=False)


@pytest.mark.parametrize("kind", TYPES)
def test_a_file_by_its_own_address(ground: Ground, mirror: Mirror, kind: str) -> None:
    path = publish(ground, mirror, kind, days=400)
    declare(ground, mirror, kind, sync_uri=f"{mirror.address}/{path}")
    assert ground.sync()[0].pin.file == Path(path).name
    local = ground.directory / Path(path).name
    for name, content in mirror.files.items():
        (ground.directory / Path(name).name).write_bytes(content)
    declare(ground, mirror, kind, sync_uri=str(local))
    assert ground.sync()[1] is True


@pytest.mark.parametrize("kind", TYPES)
def test_a_strangers_signature_is_refused(ground: Ground, mirror: Mirror, kind: str) -> None:
    publish(ground, mirror, kind)
    with signer("stranger") as other:
        other.keyring(ground.keys)
    declare(ground, mirror, kind)
    with pytest.raises(SignatureError, match="not in the keyring"):
        ground.sync()
    assert not ground.lock.exists()


@pytest.mark.parametrize("kind", TYPES)
def test_changed_content_is_refused(ground: Ground, mirror: Mirror, kind: str) -> None:
    path = publish(ground, mirror, kind)
    mirror.files[path] = mirror.files[path][:-1] + b"?"
    declare(ground, mirror, kind)
    with pytest.raises((SignatureError, WrongContentError)):
        ground.sync()
    assert not list((ground.store.path / "downloads").iterdir())


def test_a_file_that_is_not_listed_is_refused(ground: Ground, mirror: Mirror) -> None:
    path = publish(ground, mirror, "squashfs")
    listed = path.replace(SUFFIX["squashfs"], ".sha512sum.txt")
    mirror.put(listed, ground.key.clear("0" * 128 + "  other.sqfs\n"))
    declare(ground, mirror, "squashfs")
    with pytest.raises(WrongContentError):
        ground.sync()


def test_one_list_for_all_files_will_do(ground: Ground, mirror: Mirror) -> None:
    path = publish(ground, mirror, "squashfs")
    listed = mirror.files.pop(path.replace(SUFFIX["squashfs"], ".sha512sum.txt"))
    mirror.put("snapshots/squashfs/sha512sum.txt", listed)
    declare(ground, mirror, "squashfs", sync_uri=f"{mirror.address}/{path}")
    assert ground.sync()[1]


def test_a_file_of_this_host_that_was_made_again_is_taken(ground: Ground, mirror: Mirror) -> None:
    """As catalyst's snapshots are, which are named after a commit."""
    file = packed(ground, "squashfs", "gentoo-abc.sqfs")
    declare(ground, mirror, "squashfs", sync_uri=f"file://{file}", sync_verify=False)
    taken, _ = ground.sync()
    assert ground.sync() == (taken, False)
    (ground.published / "app-misc/one/files").mkdir()
    (ground.published / "app-misc/one/files/new").touch()
    packed(ground, "squashfs", file.name)
    again, new = ground.sync()
    assert new
    assert again.pin.tree != taken.pin.tree
    assert (again.path / "app-misc/one/files/new").is_file()


@pytest.mark.parametrize("kind", TYPES)
def test_a_mirror_without_snapshots_is_told(ground: Ground, mirror: Mirror, kind: str) -> None:
    declare(ground, mirror, kind)
    with pytest.raises(TreeError, match="14 days"):
        ground.sync()


def test_a_mirror_that_is_behind_is_refused(ground: Ground, mirror: Mirror) -> None:
    publish(ground, mirror, "webrsync", days=4)
    path = publish(ground, mirror, "webrsync", days=2)
    declare(ground, mirror, "webrsync")
    ground.sync()
    del mirror.files[path], mirror.files[f"{path}.gpgsig"]
    with pytest.raises(TreeError, match="behind"):
        ground.sync()


def test_a_locked_snapshot_that_is_gone_is_told(ground: Ground, mirror: Mirror) -> None:
    path = publish(ground, mirror, "webrsync")
    declare(ground, mirror, "webrsync")
    taken, _ = ground.sync()
    ground.forget(taken)
    del mirror.files[path]
    with pytest.raises(NotThereError):
        ground.sync(update=False)


def test_more_than_a_repository_in_a_tarball_is_refused(ground: Ground, mirror: Mirror) -> None:
    path = publish(ground, mirror, "webrsync")
    file = ground.directory / Path(path).name
    words = ["tar", "-cJf", file, "-C", ground.directory, "published", "keys.asc"]
    subprocess.run(words, check=True)
    mirror.put(path, file.read_bytes())
    mirror.put(f"{path}.gpgsig", ground.key.detached(file))
    declare(ground, mirror, "webrsync")
    with pytest.raises(WrongContentError, match="not a single directory"):
        ground.sync()


def test_a_missing_keyring_is_told_before_anything_is_fetched(
    ground: Ground, mirror: Mirror
) -> None:
    publish(ground, mirror, "webrsync")
    declare(ground, mirror, "webrsync", sync_openpgp_key_path="/nonexistent.asc")
    with pytest.raises(FetchingError, match="sync_openpgp_key_path"):
        ground.sync()
    assert not mirror.asked
