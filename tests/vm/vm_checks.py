"""Checks of sandboxes in virtual machines: few machines, and much that is looked at in each."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import termios
import threading
from dataclasses import replace
from pathlib import Path

from sandbox_ground import ENV, Ground, raises
from sandbox_running import children

from cloche.engines.qemu import Qemu
from cloche.layers import capture, compare
from cloche.sandbox.base import Bind, Command, Ended, Engine, Limits, Sandbox
from cloche.sandbox.errors import ProgramError, SandboxError
from cloche.sandbox.local import open_local
from cloche.sandbox.native import NativeEngine

# Run by a Python of the host's that is shown inside. Each line of the output is one fact.
FILES = """
import os, socket, stat, struct
os.umask(0o022)
def tried(call, *args):
    try: return call(*args)
    except OSError as error: return error.strerror
os.makedirs('/made/deep'); os.chown('/made', 250, 65000); os.chmod('/made', 0o2775)
open('/made/inherits', 'w').close(); print('group', os.stat('/made/inherits').st_gid)
with open('/one', 'w') as file: file.write('x' * 100000)
os.link('/one', '/made/two'); os.symlink('one', '/link'); os.mkfifo('/fifo'); os.mkdir('/empty')
os.chown('/one', 65535, 1); os.chmod('/one', 0o6755); os.utime('/one', ns=(1, 1_000_000_007))
socket.socket(socket.AF_UNIX).bind('/socket')
open('/capable', 'w').close()
capability = struct.pack('<5I', 0x2000001, 1 << 13, 0, 0, 0)
print(tried(os.setxattr, '/capable', 'security.capability', capability),
      os.getxattr('/capable', 'security.capability') == capability)
print(tried(os.setxattr, '/one', 'user.mine', b'my'), tried(os.setxattr, '/one', 'trusted.x', b''))
entries = [(1, 7, -1), (2, 6, 33), (4, 5, -1), (16, 7, -1), (32, 5, -1)]
acl = struct.pack('<I', 2) + b''.join(struct.pack('<HHi', *entry) for entry in entries)
print(tried(os.setxattr, '/made', 'system.posix_acl_access', acl))
print(tried(os.mknod, '/null', 0o600 | stat.S_IFCHR, os.makedev(1, 3)))
print(tried(os.mknod, '/whiteout', 0o600 | stat.S_IFCHR, 0))
print(tried(os.rename, '/etc', '/etcetera'))
os.rename('/etc/there', '/etc/moved'); os.unlink('/lower/gone'); os.unlink('/lower/twice')
os.unlink('/lower/directory/file'); os.rmdir('/lower/directory'); os.mkdir('/lower/directory')
open('/lower/changed', 'a').close(); os.chmod('/lower/mode', 0o640)
print(os.stat('/lower/mode').st_uid, os.listxattr('/lower/directory'))
file = os.open('/away', os.O_RDWR | os.O_CREAT); os.unlink('/away'); os.write(file, b'abc')
os.ftruncate(file, 2); print(os.fstat(file).st_size, os.fstat(file).st_nlink)
file = os.open('/sparse', os.O_RDWR | os.O_CREAT); os.pwrite(file, b'end', 1 << 24)
print(os.fstat(file).st_blocks < 100)
import mmap
view = mmap.mmap(file, 4096); view[:6] = b'mapped'  # nobody flushes it
open(b'/odd \\xff\\n' + b'n' * 200, 'w').close()
with open('/bound/out', 'w') as file: file.write('bound')
os.chown('/bound/out', 250, 250)
print(tried(open, '/fixed/in', 'a'))
print(os.getpid(), os.getppid(), os.uname().nodename, sorted(os.listdir('/dev')))
print(open('/proc/self/status').read().split('CapBnd:')[1].split()[0])
print(open('/proc/cmdline').read(), os.listdir('/tmp'), os.listdir('/run'), os.umask(0))
print(tried(socket.create_connection, ('10.0.2.2', 9), 3), os.listdir('/sys'))
"""


def python(g: Ground, engine: Engine, script: str, sandbox: Sandbox) -> tuple[Ended, str]:
    """Run a script in the host's Python, in a sandbox that is given."""
    shown = {Path("/usr"), Path(sys.base_prefix)}
    binds = tuple(Bind(path, str(path)) for path in shown if path.parent not in shown)
    whole = replace(sandbox, binds=(*sandbox.binds, *binds))
    argv = (f"{sys.base_prefix}/bin/python3", "-IS", "-c", script)
    return Ground("", engine, g.directory, g.root).shell("", whole, argv=argv, timeout=120)


def machines(engine: Engine) -> list[str]:
    """The processes of QEMU that an engine has: children of its keepers."""
    supervisors = children(engine.launcher.pid)  # type: ignore[attr-defined]
    programs = [pid for supervisor in supervisors for pid in children(int(supervisor))]
    return [
        pid for pid in programs if b"virtio-serial" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def check_what_it_leaves_equals_what_native_leaves(g: Ground) -> None:
    lower = g.fresh()
    below = lower / "lower"
    (below / "directory").mkdir(parents=True)
    for name in ("gone", "changed", "mode", "directory/file"):
        (below / name).write_text(name)
    os.link(below / "gone", below / "twice")
    os.chown(below / "mode", 250, 250)
    native, made = NativeEngine(), []
    for engine in (native, g.engine):
        place = g.fresh()
        (place / "bound").mkdir()
        (place / "in").write_text("in")
        binds = (
            Bind(place / "bound", "/bound", writable=True),
            Bind(place / "bound", "/run/bound", writable=True),
            Bind(place / "in", "/fixed/in"),
        )
        sandbox = Sandbox((g.root, lower), upper=place, binds=binds, tmpfs=("/own/tmp", "/sys"))
        ended, said = python(g, engine, FILES, sandbox)
        assert ended.ok, said
        capture(place / "top", (g.root, lower), place / "layer")
        state = (place / "bound/out").stat()
        made.append((said, place / "layer", (place / "bound/out").read_text(), state[4:6]))
    native.close()
    (said, layer, *bound), (said_there, layer_there, *bound_there) = made
    assert said_there == said
    assert compare(layer, layer_there) == compare(layer, layer)
    assert (layer_there / "sparse").read_bytes()[:6] == b"mapped"
    assert bound_there == bound


def check_descriptors_and_status(g: Ground) -> None:
    read, write = os.pipe()
    again, out = os.pipe()
    script = """
        cat; echo error >&2; echo out; cat <&7 >&9; echo "$HERE"; echo x >/dev/stderr
        i=0; while [ $i -lt 30000 ]; do echo 0123456789; i=$((i+1)); done >&9; hostname; exit 42"""
    command = Command(("/bin/sh", "-c", script), {**ENV, "HERE": "a\n'b'\udcff"}, "/etc", 120)
    with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as typed:
        typed.write(b"t" * 200_000 + b"\n")
        typed.seek(0)
        fd = file.fileno()
        process = g.engine.start(
            g.sandbox(hostname="glass", tmpfs=("/sys",)), command,
            stdin=typed.fileno(), stdout=fd, stderr=fd, fds={7: read, 9: out},
        )  # fmt: skip
        os.close(out)
        os.write(write, b"through")
        os.close(write)
        with open(again, "rb") as stream:
            assert stream.read() == b"through" + b"0123456789\n" * 30000
        ended = process.wait()
        file.seek(0)
        lines = file.read().splitlines()
    os.close(read)
    assert lines == [b"t" * 200_000, b"error", b"out", b"a", b"'b'\xff", b"x", b"glass"]
    assert ended is not None
    assert (ended.status, ended.timed_out, ended.killed) == (42, False, False)
    assert ended.user_seconds > 0
    assert ended.max_rss > 100_000


def check_a_terminal(g: Ground) -> None:
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (33, 111))
    script = "stty size; read line; echo got $line; sleep 1; stty size; exit 5"
    command = Command(("/bin/sh", "-c", script), ENV, timeout=120, tty=True)
    process = g.engine.start(g.sandbox(), command, stdin=slave, stdout=slave)
    os.write(master, b"word\n")
    termios.tcsetwinsize(slave, (44, 55))
    ended = process.wait()
    said = os.read(master, 9999)
    os.close(master)
    os.close(slave)
    assert ended is not None
    assert ended.status == 5
    assert b"33 111" in said or b"44 55" in said, said
    assert said.split()[-2:] == [b"44", b"55"], said
    assert b"got word" in said


def check_the_time_limit_and_the_number_of_processes(g: Ground) -> None:
    # The shell that cannot fork ends; what it has started goes on.
    script = """
        (i=0; while [ $i -lt 40 ]; do sleep 71011 & i=$((i+1)); done) 2>/dev/null
        set -- /proc/[0-9]*; echo $#; exec sleep 71012"""
    limits = Limits(processes=20, memory=512 << 20)
    ended, out = g.shell(script, g.sandbox(limits=limits), timeout=5)
    assert (ended.timed_out, ended.killed, ended.status) == (True, False, 137), (ended, out)
    assert 15 < int(out) < 25, out


def check_killing_it_and_closing_the_engine(g: Ground) -> None:
    with g.another() as engine:
        process = engine.start(g.sandbox(), Command(("sleep", "71013"), ENV))
        other = engine.start(g.sandbox(), Command(("sleep", "71014"), ENV))
        assert len(machines(engine)) == 2
        process.kill()
        ended = process.wait()
        assert ended is not None
        assert ended.killed
        (last,) = machines(engine)
    assert other.wait(0) is not None
    assert not Path("/proc", last).exists()


def check_with_network_it_reaches_the_host(g: Ground) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = f"import socket; socket.create_connection(('10.0.2.2', {port})).send(b'inside')"
        ended, out = python(g, g.engine, script, g.sandbox(network=True))
        assert ended.ok, out
        assert server.accept()[0].recv(100) == b"inside"


def check_a_bound_socket_is_all_that_it_reaches(g: Ground) -> None:
    with (
        tempfile.TemporaryDirectory() as place,
        socket.socket(socket.AF_UNIX) as bound,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        path = Path(place) / "a socket, with a name"
        bound.bind(str(path))
        bound.listen()
        threading.Thread(target=echoes, args=(bound, 3), daemon=True).start()
        port = other.getsockname()[1]
        sandbox = g.sandbox(binds=(Bind(path, "/run/out"),))
        ended, out = python(g, g.engine, REACHING.replace("PORT", str(port)), sandbox)
        other.setblocking(False)
        assert ended.ok, out
        assert out.splitlines() == ["<big True>", "<one>", "<two>", *["closed"] * 3], out
        raises(BlockingIOError, other.accept)


# Three connections, the first in the way of none; then the host, its gateway, and the world.
REACHING = """
import socket
def ask(*words):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect('/run/out')
        for word in words: s.sendall(word)
        s.shutdown(socket.SHUT_WR)
        return b''.join(iter(lambda: s.recv(65536), b'')).decode()
whole = ask(b'x' * 300000)
print('<big', whole == '<' + 'x' * 300000 + '>', end='>\\n')
print(ask(b'one')); print(ask(b't', b'wo'))
for host in ('10.0.2.2', '127.0.0.1', '192.0.2.1'):
    try: socket.create_connection((host, PORT), 3); print('open')
    except OSError: print('closed')
"""


def echoes(listener: socket.socket, count: int) -> None:
    """Answer each of so many connections with all that it says, in brackets."""
    for _ in range(count):
        client, _ = listener.accept()
        with client, client.makefile("rb") as stream:
            client.sendall(b"<" + stream.read() + b">")


def check_errors_of_the_command_need_no_machine(g: Ground) -> None:
    command = Command(("nowhere",), ENV)
    error = raises(ProgramError, lambda: g.engine.start(g.sandbox(), command))
    assert "executing nowhere: No such file" in str(error), error
    command = Command(("true",), ENV, "/none")
    error = raises(ProgramError, lambda: g.engine.start(g.sandbox(), command))
    assert "entering the directory /none" in str(error), error
    assert not machines(g.engine)


def check_a_panic_is_told_with_the_consoles_last_lines(g: Ground) -> None:
    way = Qemu()
    way._initramfs = b""
    with open_local(way) as engine:
        command = Command(("true",), ENV)
        error = raises(SandboxError, lambda: engine.start(g.sandbox(), command))
    assert "Kernel panic" in str(error), error


def check_a_machine_that_dies_is_told_where_the_command_writes(g: Ground) -> None:
    with tempfile.TemporaryFile() as file:
        process = g.engine.start(
            g.sandbox(), Command(("sleep", "71015"), ENV), stderr=file.fileno()
        )
        (pid,) = machines(g.engine)
        os.kill(int(pid), 9)
        ended = process.wait()
        file.seek(0)
        said = file.read()
    assert ended is not None
    assert ended.killed
    assert b"cloche: running a virtual machine: it ended" in said, said
