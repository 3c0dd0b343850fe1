"""Packages of a foreign host as an input: taken where Portage takes them, verified, pinned."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from signing import published, signed
from tests.mirrors import Mirror, Signer, served, signer
from tests.support import ROOT, Store, project

sys.path.insert(0, str(ROOT / "tests/machine"))
import tiny

pytestmark = pytest.mark.real

HOST = '\n[binrepos.other]\nsync_uri = "{uri}"\nopenpgp_keys = "keys.asc"\n'


@pytest.fixture(scope="module")
def key() -> Iterator[Signer]:
    with signer() as made:
        yield made


@pytest.fixture(scope="module")
def publisher(root_seeded: Store) -> tiny.Build:
    """A machine that somebody else built."""
    return tiny.built_once(root_seeded)


@pytest.fixture
def host(publisher: tiny.Build, key: Signer) -> Iterator[Mirror]:
    """Their package directory, signed, over HTTP."""
    packages = publisher.project / "out/tiny/binpkgs"
    with served(published(packages, lambda data: signed(data, key))) as mirror:
        yield mirror


@pytest.fixture
def made(root_seeded: Store, fresh, host: Mirror, key: Signer) -> tiny.Build:
    """The same project elsewhere, with the host named; nothing is built yet."""
    store = fresh(root_seeded)
    place = project(store, tiny.PROJECT, "user")
    with (place / "cloche.toml").open("a") as file:
        file.write(HOST.format(uri=host.address))
    machine = place / "machines/tiny.toml"
    machine.write_text(
        machine.read_text().replace("packages =", 'binrepos = ["other"]\npackages =')
    )
    key.keyring(place / "keys.asc")
    return tiny.Build(store, place, (), {})


def synced(made: tiny.Build) -> tiny.Build:
    made.store.cloche("repo", "sync", "other", cwd=made.project, check=True)
    return made


def refused(made: tiny.Build, *words: str) -> str:
    """The last line of a command that has to fail."""
    done = made.store.cloche(*words, cwd=made.project)
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_host_that_was_not_synced_is_named(made: tiny.Build) -> None:
    assert "cloche repo sync other" in refused(made, "plan", "tiny")


def test_nothing_is_compiled_and_the_layers_are_the_same(
    made: tiny.Build, publisher: tiny.Build, host: Mirror
) -> None:
    synced(made)
    assert set(tiny.plan(made).values()) == {"fetch"}
    assert "out/tiny" not in [path for path, _ in host.asked]
    made.store.cloche("lock", "tiny", cwd=made.project, check=True)
    lock = (made.project / "cloche.lock").read_text()
    assert "[binrepos.other]" in lock
    assert lock.count("gpkg.tar") == len(tiny.PACKAGES)
    host.files.clear()  # all that is needed is here
    built = tiny.build(made.store, made.project, "--offline", "--locked")
    assert not built.packages("built")
    assert built.layers == publisher.layers
    assert not [e for e in built.events if e["event"] == "started" and e["step"] != "merge"]


def test_a_package_with_other_flags_is_built(made: tiny.Build) -> None:
    (made.project / "portage/base/package.use").write_text("tiny/report long\n")
    fates = tiny.plan(synced(made))
    told = made.store.cloche("plan", "tiny", cwd=made.project, check=True).stderr
    assert "warning: " not in told  # nothing that Portage says when it reads an index
    assert fates.pop("tiny/report-1") == "perhaps"
    assert set(fates.values()) == {"fetch"}


def test_another_signature_is_refused(
    made: tiny.Build, host: Mirror, publisher: tiny.Build
) -> None:
    with signer("stranger") as stranger:
        packages = publisher.project / "out/tiny/binpkgs"
        host.files = published(packages, lambda data: signed(data, stranger))
    said = refused(synced(made), "build", "tiny")
    assert "signed by a key that is not in the keyring" in said


def test_a_package_that_was_replaced_is_refused(made: tiny.Build, host: Mirror) -> None:
    synced(made)
    name = next(name for name in host.files if "leaf" in name)
    host.files[name] = bytes(reversed(host.files[name]))
    assert "does not match the host's index" in refused(made, "build", "tiny")
    host.files[name] = host.files[name] + b"\0"
    assert "bytes instead of" in refused(made, "build", "tiny")


def test_an_index_that_lies_about_a_package_is_refused(made: tiny.Build, host: Mirror) -> None:
    index = host.files["Packages"].decode()
    true, lie = "DEFINED_PHASES: install postinst", "DEFINED_PHASES: install"
    assert true in index
    host.files["Packages"] = index.replace(true, lie).encode()
    said = refused(synced(made), "build", "tiny")
    assert "DEFINED_PHASES is" in said
    assert "in the index of its host" in said


@pytest.mark.parametrize("path", ["../../../x.gpkg.tar", "/etc/x.gpkg.tar", "x.tbz2"])
def test_paths_that_lead_elsewhere_are_refused(made: tiny.Build, host: Mirror, path: str) -> None:
    index = host.files["Packages"].decode()
    host.files["Packages"] = index.replace("tiny/leaf/leaf-1-1.gpkg.tar", path).encode()
    refused(synced(made), "plan", "tiny")
    assert not [asked for asked, _ in host.asked if asked.endswith("gpkg.tar")]


def test_what_a_list_says_of_it(made: tiny.Build) -> None:
    synced(made)
    told = made.store.cloche("repo", "list", "--json", cwd=made.project, check=True)
    (other,) = [each for each in json.loads(told.stdout) if each["type"] == "binhost"]
    assert other["locked"] == other["index"] != ""


def test_an_unknown_host_is_named_with_its_line(made: tiny.Build) -> None:
    machine = made.project / "machines/tiny.toml"
    machine.write_text(machine.read_text().replace('["other"]', '["othre"]'))
    said = refused(made, "plan", "tiny")
    assert "othre" in said
    assert "other" in said
    assert "machines/tiny.toml:" in said


def test_it_is_off_unless_named(made: tiny.Build) -> None:
    machine = made.project / "machines/tiny.toml"
    machine.write_text(machine.read_text().replace('binrepos = ["other"]\n', ""))
    assert set(tiny.plan(made).values()) == {"build", "perhaps"}


def test_a_project_s_words_for_a_host_are_checked(made: tiny.Build) -> None:
    file: Path = made.project / "cloche.toml"
    whole = file.read_text()
    for wrong in ('sync_uri = "ftp://x"', 'sync_url = "http://x"', "sync_uri = 3"):
        file.write_text(whole.replace('sync_uri = "http', f'{wrong}\nx = "http'))
        assert "cloche.toml:" in refused(made, "plan", "tiny")
