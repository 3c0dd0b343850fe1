"""Connections to targets: addresses, and what is said where there is none."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import Store
from tests.targets.sshd import SshTarget, ssh_target

from cloche.errors import ClocheError
from cloche.targets.connection import Address, opened_connection, parse_address
from cloche.targets.remote import describe


@pytest.mark.parametrize(
    ("text", "options", "host"),
    [
        ("ssh://larry", (), "larry"),
        ("ssh://Larry.example/", (), "Larry.example"),
        ("ssh://root@larry:2222", ("-p", "2222", "-l", "root"), "larry"),
        ("ssh://[::1]:22", ("-p", "22"), "::1"),
    ],
)
def test_addresses(text: str, options: tuple[str, ...], host: str) -> None:
    found = parse_address(text)
    assert (found.options, found.host) == (options, host)
    assert parse_address(str(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        *("larry", "http://larry", "ssh://", "ssh://-oProxyCommand=x", "ssh://-l@larry"),
        *("ssh://larry:port", "ssh://larry/etc", "ssh://a:b@larry", "ssh://la rry", "ssh://$(x)"),
        *("ssh://larry:99999", "ssh://x@", "ssh://la'rry", "ssh://larry?x", "ssh://[::1"),
    ],
)
def test_what_is_not_an_address_is_refused(text: str) -> None:
    with pytest.raises(ClocheError, match="is not the address of a target"):
        parse_address(text)


@pytest.fixture(scope="module")
def target(root_seeded: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshTarget]:
    """A target whose root is the seed."""
    with (
        ssh_target(tmp_path_factory.mktemp("target"), [root_seeded.seed_layer]) as found,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("PATH", found.path_for())
        yield found


def processes(target: SshTarget) -> list[str]:
    """The command lines of every ssh that has the target's configuration."""
    found = subprocess.run(["ps", "-wweo", "args"], capture_output=True, text=True, check=True)
    return [line for line in found.stdout.splitlines() if f"{target.room}/client/config" in line]


@pytest.mark.real
def test_commands_run_there_and_nothing_is_left(target: SshTarget) -> None:
    with opened_connection(parse_address(target.address)) as connection:
        assert connection.output(("cat",), b"a\0b", most=9) == b"a\0b"
        odd = "$(touch /x) 'a' \"b\" \\n ;"
        assert connection.output(("printf", "%s", odd), most=99).decode() == odd
        with pytest.raises(ClocheError, match="more than 0 MiB"):
            connection.output(("cat", "/dev/zero"), most=9)
        with pytest.raises(ClocheError, match="no `nothing` there"):
            connection.output(("nothing",), most=9)
        with pytest.raises(ClocheError, match="cat: /none: No such file"):
            connection.output(("cat", "/none"), most=9)
        assert processes(target)
    assert not processes(target)


def refused(address: Address, reason: str) -> None:
    with pytest.raises(ClocheError, match=reason), opened_connection(address):
        pass


@pytest.mark.real
def test_why_there_is_no_connection(target: SshTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        closed = Address("127.0.0.1", "root", sock.getsockname()[1])
        refused(closed, r"ssh cannot connect: .*refused")
    config = target.room / "client/config"
    text = config.read_text()
    for line, reason in (
        ("UserKnownHostsFile /dev/null", "ssh cannot connect: Host key verification failed"),
        ("User nobody", "ssh cannot connect: .*Permission denied"),
    ):
        config.write_text(f"{line}\n" + text)
        try:
            refused(parse_address(target.address.replace("root@", "")), reason)
        finally:
            config.write_text(text)
    monkeypatch.setenv("PATH", "/nowhere")
    refused(parse_address(target.address), "ssh not found")


_SLEEPS = """\
import sys
from cloche.targets.connection import opened_connection, parse_address
with opened_connection(parse_address(sys.argv[1])) as connection:
    connection.output(("sleep", "100"), most=9)
"""


@pytest.mark.real
def test_a_killed_program_leaves_no_ssh(target: SshTarget) -> None:
    child = subprocess.Popen([sys.executable, "-c", _SLEEPS, target.address])
    for _ in range(200):
        if any("sleep" in line for line in processes(target)):
            break
        time.sleep(0.05)
    assert any("sleep" in line for line in processes(target))
    child.kill()
    child.wait()
    for _ in range(100):
        if not processes(target):
            break
        time.sleep(0.05)
    assert not processes(target)


@pytest.mark.real
def test_a_target_without_python_is_named(
    root_seeded: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ssh_target(tmp_path, [root_seeded.seed_layer]) as other:
        monkeypatch.setenv("PATH", other.path_for())
        with opened_connection(parse_address(other.address)) as connection:
            place = "$(python3 -c 'import portage; print(portage.__path__[0])')"
            other.run(f"mv {place} /portage")
            with pytest.raises(ClocheError, match="does not have Portage"):
                describe(connection)
            other.run("rm /usr/bin/python3")
            with pytest.raises(ClocheError, match="no `python3` there"):
                describe(connection)
