"""`cloche boot`, with guests that boot in seconds under emulation."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from urllib.request import urlopen

import pytest
from tests import guests
from tests.support import User, cannot

from cloche.booting.running import free_port

pytestmark = pytest.mark.real

HEAD = 'seed = "debian"\nprofile = "own:default"\npackages = ["app-misc/greet"]\n'
IMAGE = '\n[output.images.{name}]\nformat = "qcow2"\ntools = "debian"\n'
GET = "printf 'GET {} HTTP/1.0\\r\\n\\r\\n'"
PATIENCE = 240


@pytest.fixture(scope="module")
def place(root: User, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which nothing was built."""
    if shutil.which("qemu-system-x86_64") is None:
        cannot("needs qemu-system-x86")
    place = tmp_path_factory.mktemp("boot")
    guests.project(place)
    guests.boot_sector(place / "sector.raw")
    machine(place, "counting", '\n[test]\nready = "boot number 1"\ntimeout = "4m"\n')
    machine(place, "never", '\n[test]\nready = "boot number 9"\nunits = ["x"]\ntimeout = "15s"\n')
    return place


def machine(place: Path, name: str, text: str) -> None:
    (place / f"machines/{name}.toml").write_text(HEAD + text)


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def boot(
    user: User, place: Path, *words: str | Path, **more: object
) -> subprocess.CompletedProcess[str]:
    return user.run("boot", "--memory", "64M", *words, cwd=place, timeout=PATIENCE, **more)  # type: ignore[arg-type]


def picture(file: Path) -> tuple[int, int, bytes]:
    """Width, height and the raw rows of a PNG with a palette."""
    data = file.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, depth, colours = struct.unpack(">IIBB", data[16:26])
    assert (depth, colours) == (8, 3)
    at, packed = 8, b""
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        packed += content if kind == b"IDAT" else b""
        assert struct.unpack_from(">I", data, at + 8 + length)[0] == zlib.crc32(kind + content)
        at += 12 + length
    return width, height, zlib.decompress(packed)


def test_the_screen_becomes_a_picture_and_the_disk_stays_as_it_is(root: User, place: Path) -> None:
    before = digest(place / "sector.raw")
    words = ("sector.raw", "--until", "boot number 1", "--screenshot", "x.png", "--log", "log")
    for _ in range(2):  # what the first one wrote is gone
        done = boot(root, place, *words, check=True)
    assert "BIOS" in done.stderr
    assert "changes of its disk are dropped" in done.stderr
    width, height, rows = picture(place / "x.png")
    assert (width, height) in {(720, 400), (640, 480)}
    assert len(rows) == (width + 1) * height
    assert len({*rows}) > 1
    assert b"boot number 1" in (place / "log").read_bytes()
    assert digest(place / "sector.raw") == before


def test_a_kept_disk_goes_on_where_it_was(root: User, place: Path) -> None:
    before = digest(place / "sector.raw")
    for number in (1, 2):
        boot(root, place, "sector.raw", "--keep", "k", "--until", f"number {number}", check=True)
    assert digest(place / "sector.raw") == before


def test_what_is_not_on_the_console_ends_with_1(root: User, place: Path) -> None:
    done = boot(root, place, "sector.raw", "--until", "number 2", "--timeout", "15s")
    assert done.returncode == 1
    assert "boot number 1" in done.stderr
    assert "“number 2” was not on the console" in done.stderr


def test_a_machines_only_image_is_tested(root: User, place: Path) -> None:
    machine(place, "one", IMAGE.format(name="disk") + '[test]\nready = "boot number 1"\n')
    missing = boot(root, place, "--test", "one")
    assert missing.returncode == 2
    assert "`cloche build one` makes it" in missing.stderr
    disk = place / "out/one/disk.qcow2"
    disk.parent.mkdir(parents=True)
    raw = str(place / "sector.raw")
    subprocess.run(["qemu-img", "convert", "-c", "-O", "qcow2", raw, str(disk)], check=True)
    before = digest(disk)
    for name in ("one", "one/disk"):
        done = boot(root, place, "--test", name, check=True)
        assert "1 of 1 check passed" in done.stdout
    assert digest(disk) == before
    assert b"boot number 1" in (place / "out/one/disk.qcow2.console.log").read_bytes()


def test_failed_checks_show_the_end_of_the_console(root: User, place: Path) -> None:
    words = ("--test", "--machine", "never", "sector.raw", "--log", "failed.log")
    done = boot(root, place, *words, "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert not told["passed"]
    assert [each["state"] for each in told["checks"]] == ["failed", "not run"]
    assert "not within the timeout" in told["checks"][0]["why"]
    assert "boot number 1" in done.stderr
    assert told["log"] == "failed.log"


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gone(pid: int) -> bool:
    """Whether a process has ended; what its parent left may wait to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


@contextmanager
def booted(user: User, place: Path) -> Iterator[subprocess.Popen[str]]:
    """A boot that somebody watches, once the guest has begun."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with user.start("boot", "sector.raw", "--memory", "64M", cwd=place, **pipes) as running:
        assert running.stdout
        assert "boot number 1" in running.stdout.readline()
        yield running


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)]
)
def test_qemu_ends_with_cloche(
    root: User, place: Path, number: signal.Signals, status: int
) -> None:
    with booted(root, place) as running:
        (qemu,) = children(running.pid)
        assert "qemu" in Path(f"/proc/{qemu}/exe").readlink().name
        running.send_signal(number)
        assert running.wait(PATIENCE) == status
    end = time.monotonic() + PATIENCE
    while not gone(qemu) and time.monotonic() < end:
        time.sleep(0.05)
    assert gone(qemu)


def test_the_console_is_left_by_three_keys(root: User, place: Path) -> None:
    with booted(root, place) as running:
        assert running.stdin
        running.stdin.write("\x1d\x1d\x1d")
        running.stdin.flush()
        assert running.wait(PATIENCE) == 0
        assert running.stderr
        assert "Ctrl-] three times" in running.stderr.read()


def test_without_qemu_it_says_what_to_install(root: User, place: Path, tmp_path: Path) -> None:
    done = boot(root, place, "sector.raw", env={"PATH": str(tmp_path)})
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert "qemu-system-x86_64 is not installed; install qemu-system-x86" in line


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[int]:
    """A server on the host; its port."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_checks_run_in_a_guest_that_knows_nothing_of_cloche(
    root: User, place: Path, virtual_kernel: Path, outside: int
) -> None:
    """A login with a password; a port that leads in, and none that leads out."""
    (image,) = (virtual_kernel / "boot").glob("vmlinuz-*")
    release = image.name.partition("-")[2]
    library = next(p for p in (virtual_kernel / "lib", virtual_kernel / "usr/lib") if p.is_dir())
    (place / "ram").write_bytes(guests.initramfs(library / f"modules/{release}"))
    (place / "password").write_text(f"{guests.PASSWORD}\n")
    commands = [
        f'test "$(uname -r)" = {release}',
        f"{GET.format('/greeting')} | nc -w 5 10.0.2.15 80 | grep -q 'hello of a guest'",
        f"{GET.format('/')} | nc -w 5 10.0.2.2 {outside}",  # works with --network
        "n=0; until [ -e /tmp/asked ] || [ $n -ge 100 ]; do n=$((n+1)); sleep 1; done; ls /tmp/*",
        "echo one; echo two >&2; exit 7",
    ]
    checks = f'password_file = "password"\nunits = ["sshd"]\ncommands = {json.dumps(commands)}\n'
    machine(place, "tiny", f"[test]\n{checks}")
    port = free_port()
    asked: list[str] = []
    asking = threading.Thread(target=ask, args=(port, asked), daemon=True)
    asking.start()
    kernel = ("--kernel", image, "--initrd", "ram", "--kernel-args", "quiet", "--memory", "256M")
    words = ("--test", "--machine", "tiny", *kernel, "--forward", f"{port}:80", "--log", "tiny.log")
    done = boot(root, place, *words, "--json")
    asking.join()
    told = {each["name"]: each for each in json.loads(done.stdout)["checks"]}
    assert asked == ["noted\n"]
    states = [told[name]["state"] for name in commands]
    assert states == ["passed", "passed", "failed", "passed", "failed"], told
    assert told["a shell"]["state"] == "passed"
    assert "neither systemd nor OpenRC" in told["sshd"]["why"]
    assert told[commands[4]]["output"].split() == ["one", "two"]
    assert told[commands[4]]["why"] == "status 7: two"
    assert done.returncode == 1
    assert guests.PASSWORD not in (place / "tiny.log").read_text()


def ask(port: int, asked: list[str]) -> None:
    """Ask the guest's server until it answers."""
    end = time.monotonic() + PATIENCE
    while not asked and time.monotonic() < end:
        try:
            with urlopen(f"http://127.0.0.1:{port}/cgi-bin/ask", timeout=10) as answer:
                asked.append(answer.read().decode())
        except (OSError, ValueError):
            time.sleep(1)


def test_a_port_that_is_taken_ends_it_with_qemus_words(root: User, place: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = boot(root, place, "sector.raw", "--forward", f"{port}:80", "--until", "number")
    assert done.returncode == 1
    assert "QEMU ended" in done.stderr
    assert str(port) in done.stderr
