"""`cloche distcc serve`: a sandbox of the caller's own toolchain for each compile.

A caller may be anybody's ebuild. It can run any program of the layers that it names, in a sandbox
without a network, on a read-only root, and it sees nothing of other callers. It reaches that by
pipes: a socket of this host, handed inside, could be connected to another place.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from cloche.distcc.errors import cannot_listen, no_toolchain
from cloche.distcc.hosts import BUSY, KINDS, LONGEST, OK, Hello, hello_of, line_of
from cloche.errors import ClocheError
from cloche.fetching.listening import connections, unix_listener
from cloche.layers import SOURCE_DATE_EPOCH, layer_of
from cloche.linux import descriptors
from cloche.roots import unions
from cloche.sandbox import userns
from cloche.sandbox.base import Bind, Command, Engine, Limits, Sandbox
from cloche.store import Store

GREETING = 30.0  # seconds for the first line
WAITING = 2.0  # seconds for a place; a caller who is sent away asks nobody for as long
IDLE = 300.0  # seconds without a byte of the caller's
LONGEST_COMPILE = 1800.0  # seconds
MOST_CONNECTIONS = 256
MOST_SAID = 100  # lines about what is refused, which callers can vary
LARGEST = 256 << 20  # bytes of a preprocessed source, compressed or not
TEMPORARY = 1 << 30  # bytes of files of one compile
PROCESSES = 64  # of a compile
LIMITS = Limits(
    processes=PROCESSES, memory=2 << 30, file_size=512 << 20, open_files=1024, temporary=TEMPORARY
)
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/tmp",  # noqa: S108 - the sandbox's own
    "LC_ALL": "C.UTF-8",
    "SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH),
    "TMPDIR": "/tmp",  # noqa: S108
}
PROGRAM = Path(__file__).resolve().parent.parent / "guest/compile_one.py"
INSIDE = "/run/cloche/compile_one.py"
COMMAND = Command(("/usr/bin/python3", "-I", "-S", INSIDE), ENVIRONMENT, timeout=LONGEST_COMPILE)


@dataclass
class Server:
    """Compiles for callers, ``jobs`` at once; ``say`` hears of what is refused."""

    store: Store
    engine: Engine
    jobs: int
    say: Callable[[str], None]
    _said: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, listener: socket.socket) -> None:
        """Serve all that connect, until the listener is shut down."""
        places = threading.BoundedSemaphore(self.jobs)
        open_ = threading.BoundedSemaphore(MOST_CONNECTIONS)
        for client in connections(listener, lambda error: self._tell(f"waiting: {error.strerror}")):
            open_.acquire()  # given back by the thread
            try:
                words = (client, places, open_)
                threading.Thread(target=self._serve, args=words, daemon=True).start()
            except RuntimeError as error:  # no more threads
                self._tell(f"waiting: {error}")
                client.close()
                open_.release()

    def _serve(
        self,
        client: socket.socket,
        places: threading.BoundedSemaphore,
        open_: threading.BoundedSemaphore,
    ) -> None:
        try:
            with client, contextlib.suppress(OSError, EOFError):
                self._greet(client, places)
        finally:
            open_.release()

    def _greet(self, client: socket.socket, places: threading.BoundedSemaphore) -> None:
        hello = hello_of(line_of(client, LONGEST, GREETING))
        if hello is None:
            self._refuse(client, "not a request for a compile")
            return
        if not places.acquire(timeout=WAITING):
            client.sendall(BUSY)
            return
        try:
            try:
                sandbox = self.sandbox_of(hello)
            except ClocheError as error:
                self._refuse(client, error.what)
                return
            client.sendall(OK)
            client.settimeout(IDLE)
            self._compile(client, sandbox)
        finally:
            places.release()

    def sandbox_of(self, hello: Hello) -> Sandbox:
        """The sandbox of a caller's toolchain. Raises ClocheError if this store lacks a layer.

        Other layers than those with compilers are refused: whatever they hold would be shown.
        """
        layers = [layer_of(self.store.tree(id)) for id in hello.layers]
        for layer in layers:
            if layer.kind not in KINDS:
                raise no_toolchain(layer.id, layer.kind)
        lowers = unions.lowers(self.store, (), layers)
        return Sandbox(lowers, binds=(Bind(PROGRAM, INSIDE),), limits=_limits(self.jobs))

    def _refuse(self, client: socket.socket, reason: str) -> None:
        line = " ".join(reason.split())
        self._tell(f"refused: {line}")
        client.sendall(f"{line}\n".encode())

    def _tell(self, line: str) -> None:
        """Say a line, once."""
        with self._lock:
            new = line not in self._said and len(self._said) < MOST_SAID
            if new:
                self._said.add(line)
        if new:
            self.say(line)

    def _compile(self, client: socket.socket, sandbox: Sandbox) -> None:
        """Join a caller to a sandbox of its own."""
        given, giving = descriptors.pipe()
        taking, taken = descriptors.pipe()
        try:
            process = self.engine.start(sandbox, COMMAND, stdin=given, stdout=taken)
        except ClocheError as error:
            self.say(str(error))
            descriptors.close(giving)
            os.close(taking)
            return
        finally:
            os.close(given)
            descriptors.close(taken)
        feeding = threading.Thread(target=_feed, args=(client, giving), daemon=True)
        feeding.start()
        try:
            with contextlib.suppress(OSError), open(taking, "rb", buffering=0) as answer:
                while piece := answer.read(1 << 16):
                    client.sendall(piece)
        finally:
            process.kill()
            process.wait()
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)  # ends the feeding, too
            feeding.join()


def _limits(jobs: int) -> Limits:
    """What a compile may use.

    For an ordinary user RLIMIT_NPROC (setrlimit(2)) counts the processes of all sandboxes together
    with this process's threads; for root each sandbox has a control group of its own.
    """
    if userns.is_real_root():
        return LIMITS
    return replace(LIMITS, processes=PROCESSES * (jobs + 1) + 2 * MOST_CONNECTIONS)


def _feed(client: socket.socket, giving: int) -> None:
    """Give the sandbox what the caller sends, as much as a source may be."""
    left = LARGEST
    try:
        while left > 0 and (piece := client.recv(min(1 << 16, left))):
            left -= len(piece)
            while piece:
                piece = piece[os.write(giving, piece) :]
    except OSError:
        pass
    finally:
        descriptors.close(giving)


@contextlib.contextmanager
def listening(place: str | tuple[str, int]) -> Iterator[socket.socket]:
    """A listening socket at a place, during a block. Raises ClocheError."""
    made: os.stat_result | None = None
    try:
        if isinstance(place, tuple):
            family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
            listener = socket.create_server(place, family=family, backlog=128)
        else:
            _remove_dead(place)
            listener = unix_listener(Path(place), 0o600)
            made = os.lstat(place)
    except OSError as error:
        raise cannot_listen(place, error) from error
    try:
        yield listener
    finally:
        listener.close()
        if isinstance(place, str) and made is not None:
            with contextlib.suppress(OSError):
                if os.path.samestat(os.lstat(place), made):  # it may be another one's by now
                    Path(place).unlink()


def _remove_dead(path: str) -> None:
    """Remove a socket at which nobody listens any more, and nothing else."""
    with contextlib.suppress(FileNotFoundError), socket.socket(socket.AF_UNIX) as probe:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return  # connecting to a file is refused, too
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
