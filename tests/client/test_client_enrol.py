"""Enrolment of a real root, and what changes afterwards."""

from __future__ import annotations

import gzip
import json
import stat
import time

import pytest
from scripted import serving
from target_root import Target
from tests.client.handed_out import client

from cloche.targets import description as targets

pytestmark = pytest.mark.real
ENTRY = {
    "DEPEND": " ".join(f">=sys-libs/lib{n}-1.{n}:0=[foo(+)?,-bar]" for n in range(20)) + "\n",
    "RDEPEND": " ".join(f"app-misc/tool{n}:{n}/2=" for n in range(20)) + "\n",
    "IUSE": " ".join(f"flag{n}" for n in range(30)) + "\n",
    "KEYWORDS": "~alpha amd64 arm arm64 ~hppa ppc64 riscv x86\n",
}


def read(target: Target, path: str) -> str:
    return (target.place / "upper" / path).read_text()


def mode(target: Target, path: str) -> int:
    return stat.S_IMODE((target.place / "upper" / path).stat().st_mode)


def test_enrolment_makes_the_service_a_binary_package_host(target: Target) -> None:
    target.write("etc/portage/binrepos.conf/gentoo.conf", "[gentoo]\nsync-uri = http://x/\n")
    with serving() as script:
        told = target.client("enrol", "--server", f"{script.address}/", "--name", "weak")
        assert f"This machine is weak (weak1) at {script.address}, level 3a." in told
        assert script.description is not None
        host = script.address.removeprefix("http://")
        seen = target.run("python3", "-c", (
            "import portage; from portage.binrepo.config import BinRepoConfigLoader as Loader\n"
            "found = Loader(['/etc/portage/binrepos.conf'], portage.config())\n"
            "for each in found.values(): print(each.name, each.sync_uri, each.verify_signature)"
        ))  # fmt: skip
        assert f"cloche http://{host}/t/weak1 False" in seen.splitlines()
        assert "gentoo http://x None" in seen
        assert mode(target, "etc/cloche-client.json") == 0o600
        assert mode(target, "var/cache/cloche-client/state.json") == 0o600
        assert mode(target, "etc/cloche-client.wgetrc") == 0o640
        assert mode(target, "etc/portage/binrepos.conf/cloche.conf") == 0o644

        before = read(target, "etc/portage/binrepos.conf/cloche.conf")
        target.client("enrol", "--server", script.address)
        assert len(script.requests("POST")) == 1, "it is known there"
        assert read(target, "etc/portage/binrepos.conf/cloche.conf") == before
        assert targets.digest(script.description) == client.digest(
            json.loads(target.client("describe"))
        ), "what enrolment wrote is no part of it"


def test_a_dry_run_sends_and_writes_nothing(target: Target) -> None:
    with serving() as script:
        told = target.client("enrol", "--server", script.address, "--dry-run")
        assert script.asked == []
    assert "/etc/portage/binrepos.conf/cloche.conf\n    [cloche]" in told
    assert not (target.place / "upper/etc/cloche-client.json").exists()


def test_a_token_comes_from_a_file_or_the_environment(target: Target) -> None:
    with serving() as script:
        script.token = "t0ken"
        told = target.client("enrol", "--server", script.address, check=False)
        assert f"{script.address} needs a token to enrol: give one with --token-file FILE" in told
        assert told.endswith("exit 2")
        target.client("enrol", "--server", script.address, CLOCHE_TOKEN="t0ken")
        target.write("token", "t0ken\n")
        words = ("--server", script.address, "--again", "--token-file", "/token")
        told = target.client("enrol", *words, "--json")
    assert "t0ken" not in told
    assert "s3cret" not in told
    assert json.loads(told)["notes"] == ["welcome"]


def test_only_what_changed_is_sent(target: Target) -> None:
    target.install("sys-libs/zlib-1.3")
    with serving() as script:
        target.client("enrol", "--server", script.address)
        assert target.client("refresh") == "Nothing changed.\n"
        target.write("etc/portage/package.use/x", "a/b c\n")
        target.install("sys-libs/new-1")
        (target.place / "upper/var/db/pkg/sys-libs/zlib-1.3").rename(target.place / "zlib-1.3")
        assert json.loads(target.client("refresh", "--json"))["sent"] == "change"
        assert script.description is not None
        assert set(script.description.packages) == {"sys-libs/new-1"}
        assert script.description.files == {"package.use/x": "a/b c\n"}
        assert script.requests("PUT") == []
        # the service lost the last change, as after a restored backup
        script.description = targets.changed(
            script.description,
            targets.Change(targets.digest(script.description), fields={"native": "-mx"}),
        )
        target.write("etc/portage/package.use/x", "a/b -c\n")
        assert target.client("refresh") == "Sent all.\n"
        assert script.description.files == {"package.use/x": "a/b -c\n"}


def test_600_packages_are_sent_in_little_time_and_few_bytes(target: Target) -> None:
    for number in range(600):
        target.install(f"cat-{number % 30}/lib{number}-1.{number}", **ENTRY)
    with serving() as script:
        began = time.monotonic()
        target.client("enrol", "--server", script.address)
        took = time.monotonic() - began
        ((_, body),) = script.requests("POST")
        assert len(body) < 2 << 20
        assert took < 60  # speed: `make bench`
        time.sleep(2.1)  # entries of the VDB are remembered when they have rested so long
        target.client("refresh")
        target.install("cat-1/lib1-1.1", SLOT="0/2\n")
        began = time.monotonic()
        target.client("refresh")
        took = time.monotonic() - began
        ((_, body),) = script.requests("PATCH")
        assert len(body) < 20_000
        assert took < 60


def test_commands_without_an_enrolment_say_so(target: Target) -> None:
    for command in ("refresh", "status", "want"):
        told = target.client(command, *(["a/b"] if command == "want" else []), check=False)
        assert "not enrolled with a service: cloche-client enrol --server URL" in told
        assert told.endswith("exit 2")


def test_the_status_says_what_is_under_way(target: Target) -> None:
    with serving() as script:
        target.client("enrol", "--server", script.address, "--name", "weak")
        told = target.client("status")
        assert told.splitlines() == [
            f"weak (weak1) at {script.address}, level 3a",
            "What the service knows of this machine is up to date.",
            "Build b1: running: a/b",
        ]
        target.write("var/lib/portage/world", "a/b\n")
        assert json.loads(target.client("status", "--json"))["stale"] is True


def test_an_enrolled_machine_may_get_another_level_or_name(target: Target) -> None:
    with serving() as script:
        words = ("enrol", "--server", script.address)
        target.client(*words, "--name", "weak")
        told = target.client(*words, "--level", "2", "--name", "laptop", "--json")
        assert json.loads(told)["level"] == "2"
        ((_, body),) = script.requests("PATCH", "/weak1")
        assert json.loads(gzip.decompress(body)) == {"level": "2", "name": "laptop"}
        target.client(*words, "--level", "2")
        assert len(script.requests("PATCH", "/weak1")) == 1, "it has this level already"


def test_who_leaves_leaves_nothing(target: Target) -> None:
    target.write("etc/portage/binrepos.conf/gentoo.conf", "[gentoo]\nsync-uri = http://x/\n")
    with serving() as script:
        target.client("enrol", "--server", script.address)
        told = target.client("leave", "--pretend")
        assert "remove /etc/cloche-client.wgetrc" in told
        assert "remove [cloche] from /etc/portage/binrepos.conf/cloche.conf" in told
        assert script.requests("DELETE") == []
        target.client("leave")
        assert len(script.requests("DELETE", "/weak1")) == 1
    left = target.run("sh", "-c", "ls -d /etc/cloche* /etc/portage/binrepos.conf/*; :")
    assert left.split() == ["/etc/portage/binrepos.conf/gentoo.conf"]
    told = target.client("leave", check=False)
    assert "not enrolled" in told


def test_who_leaves_a_service_that_is_gone_removes_its_own_files(target: Target) -> None:
    with serving() as script:
        target.client("enrol", "--server", script.address)
    told = target.client("leave", check=False)
    assert "does not answer" in told
    assert "leave --local" in told
    assert (target.place / "upper/etc/cloche-client.json").exists()
    target.client("leave", "--local")
    assert "not enrolled" in target.client("status", check=False)


def test_http_to_another_host_has_to_be_allowed(target: Target) -> None:
    told = target.client("enrol", "--server", "http://build.invalid", check=False)
    assert "others on the way can read the token" in told
    assert told.endswith("exit 2")
    told = target.client("enrol", "--server", "http://build.invalid", "--allow-http", "--pretend")
    assert "It would send" in told
