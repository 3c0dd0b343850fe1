"""What one package of a large overlay costs to fetch: `python -m bench.overlays [PACKAGES]`.

A generated overlay in the shape of a large one (random digests, patches, a history) is served by
git over loopback; a relay counts the bytes. Prints a table for docs/overlays.md.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cloche.overlays import selection
from cloche.overlays.source import Source
from cloche.trees.methods import SyncContext

COMMITS, CHANGED = 300, 12  # later commits, and how many ebuilds each of them changes
WORDS = ("the", "source", "build", "library", "with", "tool", "image", "data", "file", "parse")
PACKAGE = "app-misc/p7"
ADDRESS = "127.0.0.1"


def ebuild(number: int, dice: random.Random) -> str:
    """An ebuild of some 1.5 KiB, which inherits one of the overlay's eclasses."""
    words = " ".join(dice.choices(WORDS, k=12))
    depends = "\n".join(f"\tdev-libs/{dice.choice(WORDS)}{dice.randrange(999)}" for _ in range(20))
    steps = "\n".join(f"\teconf --with-{word} || die" for word in dice.choices(WORDS, k=16))
    return (
        f'EAPI=8\ninherit own{number % 14}\nDESCRIPTION="{words}"\nHOMEPAGE="https://x.invalid/"\n'
        f'SLOT="0"\nRDEPEND="\n{depends}\n"\nsrc_configure() {{\n{steps}\n}}\n'
    )


def files(packages: int, dice: random.Random) -> Iterator[tuple[str, str]]:
    """The files of the overlay."""
    yield "profiles/repo_name", "large\n"
    yield "metadata/layout.conf", "masters =\nthin-manifests = true\n"
    yield "profiles/categories", "app-misc\n"
    for number in range(14):
        yield f"eclass/own{number}.eclass", "\n".join(dice.choices(WORDS, k=900))
    for number in range(packages):
        top = f"app-misc/p{number}"
        yield f"{top}/p{number}-1.ebuild", ebuild(number, dice)
        yield f"{top}/metadata.xml", f"<pkgmetadata>{' '.join(dice.choices(WORDS, k=40))}</x>\n"
        yield f"{top}/Manifest", f"DIST p.tar 9 BLAKE2B {dice.randbytes(64).hex()}\n" * 2
        if number % 5 == 0:
            yield f"{top}/files/fix.patch", "\n".join(dice.choices(WORDS, k=400))


def publish(place: Path, packages: int) -> None:
    """Make the repository, by git-fast-import(1)."""
    dice = random.Random(15)  # the same every time
    subprocess.run(["git", "init", "--quiet", "--bare", place], check=True)
    words = ["git", "-C", str(place), "fast-import", "--quiet"]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        assert process.stdin
        for commit in range(COMMITS + 1):
            head = f"commit refs/heads/main\ncommitter x <x@x> {commit + 1} +0000\ndata 1\nx\n"
            process.stdin.write(head.encode())
            some = dice.sample(range(packages), CHANGED) if commit else ()
            new = ((f"app-misc/p{n}/p{n}-1.ebuild", ebuild(n, dice)) for n in some)
            for path, text in new if commit else files(packages, dice):
                data = text.encode()
                process.stdin.write(f"M 100644 inline {path}\ndata {len(data)}\n".encode() + data)
                process.stdin.write(b"\n")
    for words in (["symbolic-ref", "HEAD", "refs/heads/main"], ["repack", "-adq"],
                  ["config", "uploadpack.allowFilter", "true"]):  # fmt: skip
        subprocess.run(["git", "-C", place, *words], check=True)


@contextmanager
def served(place: Path) -> Iterator[tuple[str, Callable[[], int]]]:
    """Serve repositories over loopback: the address, and what tells how many bytes came so far."""
    count = [0]
    with socket.create_server((ADDRESS, 0)) as free:
        port = free.getsockname()[1]
    words = ["git", "daemon", "--export-all", f"--base-path={place}", f"--listen={ADDRESS}"]
    daemon = subprocess.Popen([*words, f"--port={port}", "--reuseaddr"])
    relay = socket.create_server((ADDRESS, 0))

    def pump(source: socket.socket, target: socket.socket, counted: bool) -> None:
        while data := source.recv(1 << 16):
            count[0] += len(data) if counted else 0
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

    def accept() -> None:
        while True:
            try:
                client, _ = relay.accept()
            except OSError:
                return
            upstream = socket.create_connection((ADDRESS, port))
            for pair in ((upstream, client, True), (client, upstream, False)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    time.sleep(1)
    try:
        yield f"git://{ADDRESS}:{relay.getsockname()[1]}", lambda: count[0]
    finally:
        relay.close()
        daemon.terminate()
        daemon.wait()


def in_part(address: str, room: Path) -> None:
    """Fetch what a package is made of, as `cloche overlay add` does."""
    source = Source("large", address, "", SyncContext(room / "cache"))
    listing = source.listing(source.newest())
    for part in (selection.common(listing), selection.of_package(listing, PACKAGE)):
        assert source.contents(part, room)


def main() -> None:
    """Measure, and print rows of a table."""
    packages = int(sys.argv[1]) if len(sys.argv) > 1 else 3600
    room = Path(tempfile.mkdtemp(prefix="cloche-bench-"))
    try:
        publish(room / "large", packages)
        with served(room) as (address, bytes_so_far):
            clone = ["git", "clone", "--quiet", "--no-checkout"]
            ways: dict[str, Callable[[Path], object]] = {
                "`git clone`": lambda to: subprocess.run(
                    [*clone, f"{address}/large", to / "x"], check=True
                ),
                "`git clone --depth=1`": lambda to: subprocess.run(
                    [*clone, "--depth=1", f"{address}/large", to / "x"], check=True
                ),
                "`cloche overlay add`": lambda to: in_part(f"{address}/large", to),
            }
            for name, way in ways.items():
                to = room / "to"
                to.mkdir()
                before, began = bytes_so_far(), time.monotonic()
                way(to)
                took = time.monotonic() - began
                print(f"| {name} | {(bytes_so_far() - before) / 1024:.0f} KiB | {took:.2f} s |")
                shutil.rmtree(to)
        print(f"{packages} packages, load {os.getloadavg()[0]:.1f}")
    finally:
        shutil.rmtree(room)


if __name__ == "__main__":
    main()
