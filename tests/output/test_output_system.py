"""What a machine is besides its packages, and how two differ in it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import values
from tests.values import write_files

from cloche.building.finish_steps import stored_directory
from cloche.config.project import load_project
from cloche.output.end import end_digest
from cloche.output.system import (
    System,
    SystemChange,
    add_system,
    changes,
    stored_system,
    system_of,
)
from cloche.store import Store

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHB1YmxpYyBrZXkgb2YgbGFycnkgdGhlIGNvdyEhISEh larry@cow"
MORE = f"""
hostname = "web1"
timezone = "Europe/Berlin"
locales = ["de_DE.UTF-8"]
files = ["web"]
hooks = ["hook.sh"]
remove = ["/usr/share/doc/*"]
[groups.www]
gid = 400
[users.larry]
groups = ["www"]
shell = "/bin/sh"
ssh_keys = ["{KEY}"]
password = {{ command = ["echo", "hunter2"] }}
[services]
on = ["sshd", "swap|boot"]
off = ["sshd"]
[permissions]
"/srv/www/" = "www:www"
"/etc/x" = "0600"
[kernel]
sources = "sys-kernel/vanilla-sources"
fragments = ["net.config"]
[[finish]]
hook = "hook.sh"
environment = {{ TOKEN = "hunter2" }}
[output]
stage4 = true
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as store:
        yield store


def system(store: Store, place: Path, *changed: tuple[str, str]) -> System:
    """What the first machine of a project is with these lines, some of them changed."""
    text = MORE
    for old, new in changed:
        assert old in text
        text = text.replace(old, new)
    if not (place / "cloche.toml").exists():
        values.project(place)
        write_files(place, {"web/etc/motd": "hello\n", "net.config": "CONFIG_NET=y\n"})
        (place / "web/etc/link").symlink_to("motd")
        (place / "hook.sh").write_text("#!/bin/sh\n")
    file = place / "machines/first.toml"
    kept = file.with_suffix(".first")
    if not kept.exists():
        kept.write_text(file.read_text().partition("[output]")[0])
    file.write_text(kept.read_text() + text)
    machine = load_project(place).machine("first")
    return system_of(machine, values.context(store).inputs)


def test_every_setting_is_there_and_no_secret(store: Store, tmp_path: Path) -> None:
    found = system(store, tmp_path / "p")
    assert found["system"] == {"hostname": "web1", "timezone": "Europe/Berlin"}
    assert found["users"] == {"larry": "groups www, shell /bin/sh"}
    assert found["groups"] == {"www": "gid 400"}
    fingerprint = "SHA256:8BiMjkAgtTkRF18ULKA4EVHCpepAxIiP6oulRizdQZY"  # by ssh-keygen -l
    assert list(found["ssh keys"]) == [f"larry ssh-ed25519 {fingerprint} larry@cow"]
    assert found["services"] == {"sshd": "on, off", "swap|boot": "on"}
    assert found["permissions"] == {"/srv/www/": "www:www", "/etc/x": "0600"}
    assert found["locales"] == {"de_DE.UTF-8 UTF-8": ""}
    assert found["removed"] == {"/usr/share/doc/*": ""}
    assert set(found["files"]) == {"/etc/motd", "/etc/link"}
    assert found["files"]["/etc/link"] == "0777 link motd"
    assert found["kernel"]["CONFIG_NET"] == "y"
    assert found["kernel"]["package"] == "sys-kernel/vanilla-sources"
    assert found["machine"]["stage4"] == "zstd"
    assert found["secrets"] == {"password of larry": "by echo"}
    assert "hunter2" not in repr(found)
    assert stored_system(store, add_system(store, found)) == found


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ("gid = 400", "gid = 401", ("groups", "www", "changed", "gid 400", "gid 401")),
        ('on = ["sshd", ', 'on = ["ntpd", "sshd", ', ("services", "ntpd", "added", None, "on")),
        ('hostname = "web1"\n', "", ("system", "hostname", "removed", "web1", None)),
        (
            'fragments = ["net.config"]',
            "",
            ("kernel", "CONFIG_NET", "removed", "y", None),
        ),
        ('"0600"', '"0640"', ("permissions", "/etc/x", "changed", "0600", "0640")),
    ],
)
def test_a_change_of_a_setting_is_named(
    store: Store, tmp_path: Path, old: str, new: str, change: tuple[str, ...]
) -> None:
    before, after = system(store, tmp_path / "p"), system(store, tmp_path / "p", (old, new))
    assert changes(before, after) == (SystemChange(*change),)  # type: ignore[arg-type]
    assert changes(after, after) == ()


def test_changed_contents_are_told_by_their_digests(store: Store, tmp_path: Path) -> None:
    before = system(store, tmp_path / "p")
    (tmp_path / "p/web/etc/motd").write_text("bye\n")
    (tmp_path / "p/hook.sh").write_text("#!/bin/sh\n: other\n")
    found = changes(before, system(store, tmp_path / "p"))
    assert [(each.section, each.name, each.how) for each in found] == [
        ("files", "/etc/motd", "changed"),
        ("hooks", "hook.sh", "changed"),
    ]
    found = changes(before, system(store, tmp_path / "p", ("TOKEN", "OTHER")))
    assert ("hooks", "hook.sh") in [(each.section, each.name) for each in found]


IMAGES = """
[output.images.disk]
format = "qcow2"
tools = "debian"
size = "8GiB"
[output.images.medium]
format = "iso"
tools = "debian"
volid = "OWN"
files = ["web"]
[output.images.box]
format = "oci"
env = { TOKEN = "hunter2" }
"""


def test_images_are_compared_with_their_options(store: Store, tmp_path: Path) -> None:
    place, no_secrets = tmp_path / "p", ('password = { command = ["echo", "hunter2"] }\n', "")

    def found(*changed: tuple[str, str]) -> System:
        text = IMAGES
        for old, new in changed:
            assert old in text
            text = text.replace(old, new)
        return system(store, place, no_secrets, ("stage4 = true\n", f"stage4 = true\n{text}"))

    before = found()
    assert before["machine"]["image disk"] == f"qcow2, tools debian, size {8 << 30}"
    assert "hunter2" not in repr(before["machine"])
    changed = (("8GiB", "9GiB"), ('"OWN"', '"OTHER"'), ('"hunter2"', '"hunter3"'))
    for change, name in zip(changed, ("disk", "medium", "box"), strict=True):
        (told,) = changes(before, found(change))
        assert (told.section, told.name, told.how) == ("machine", f"image {name}", "changed")
    (place / "web/etc/motd").write_text("other\n")
    told = changes(before, found())
    assert [each.name for each in told] == ["image medium", "/etc/motd"]


def test_another_certificate_of_the_same_name_is_a_change(store: Store, tmp_path: Path) -> None:
    system(store, tmp_path / "p")
    signing = 'signing = { file = "/k", certificate = "own.pem" }\nkeep_sources = true'

    def found() -> System:
        words = ["openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj"]
        words += ["/CN=t", "-keyout", str(tmp_path / "k"), "-out", str(tmp_path / "p/own.pem")]
        subprocess.run(words, check=True, capture_output=True)
        old = 'fragments = ["net.config"]'
        return system(store, tmp_path / "p", (old, f"{old}\n{signing}"))

    before = found()
    assert before["kernel"]["keep_sources"] == "yes"
    (told,) = changes(before, found())
    assert (told.section, told.name, told.how) == ("kernel", "signing", "changed")


def test_what_a_build_has_copied_is_recorded_and_not_what_the_project_has_since(
    store: Store, tmp_path: Path
) -> None:
    before = system(store, tmp_path / "p")
    motd, context = tmp_path / "p/web/etc/motd", values.context(store)
    motd.chmod(0o4750)
    machine = load_project(tmp_path / "p").machine("first")
    before, end = system_of(machine), end_digest(machine, context.inputs)
    copied = {tmp_path / "p/web": stored_directory(context, tmp_path / "p/web")}
    motd.write_text("changed during the build\n")
    assert system_of(machine, None, copied) == before != system_of(machine)
    assert end_digest(machine, context.inputs, copied) == end
    assert end_digest(machine, context.inputs) != end


def test_a_blob_that_is_not_there_is_no_system(store: Store) -> None:
    assert stored_system(store, "") is None
    assert stored_system(store, "0" * 64) is None
    assert stored_system(store, values.blob(store, "no gzip")) is None
