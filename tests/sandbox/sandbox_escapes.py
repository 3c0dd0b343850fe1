"""Checks that attack: what a hostile command tries against the host, and that the host is unharmed.

Each attack is one that would succeed without one certain thing that the sandbox does.
"""

# ruff: noqa: PTH116, PTH208 - names are compared, not paths

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sandbox_ground import ENV, Ground, alive, raises

from cloche.sandbox import cgroups
from cloche.sandbox.base import Bind, Command, Limits
from cloche.sandbox.errors import ProgramError

# What the attacks share: bare calls, and `nest`, which takes all rights in namespaces of its own.
TOOLS = """
import ctypes, errno, os, signal, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def tried(name, *args):
    ctypes.set_errno(0)
    result = getattr(libc, name)(*args)
    return "done" if result >= 0 else errno.errorcode[ctypes.get_errno()]
def opened(path, flags=os.O_WRONLY):
    try: os.close(os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)); return "done"
    except OSError as error: return errno.errorcode[error.errno]
def mount(source, target, kind, flags=0, data=None):
    return tried("mount", source, target, kind, ctypes.c_ulong(flags), data)
def nest(flags):
    if tried("unshare", 0x10000000) != "done": return False
    open("/proc/self/setgroups", "w").write("deny")
    open("/proc/self/uid_map", "w").write("0 0 1")
    open("/proc/self/gid_map", "w").write("0 0 1")
    return tried("unshare", flags) == "done"
"""
NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWPID, NEWNET = (
    *(0x20000, 0x2000000, 0x4000000, 0x8000000),
    *(0x20000000, 0x40000000),
)
REFUSED = {"EPERM", "EACCES", "EROFS", "EINVAL", "ENOENT", "ESRCH", "EIO", "ENXIO", "ENOSYS"}


def attack(g: Ground, script: str, *layers: Path, **fields: Any) -> list[str]:
    """Run an attack in Python; give its lines. It has to come to its end."""
    ended, out = g.python(TOOLS + script, *layers, **fields)
    assert ended.ok, (ended, out)
    return out.splitlines()


def answers(lines: list[str]) -> dict[str, str]:
    """Lines of "name: answer"."""
    return dict(line.rsplit(": ", 1) for line in lines)


@contextlib.contextmanager
def bystander(*prefix: str, **streams: int) -> Iterator[int]:
    """A process of the host that has to live on."""
    process = subprocess.Popen([*prefix, "sleep", "600"], **streams)
    try:
        yield process.pid
        assert process.poll() is None, process.returncode
    finally:
        process.kill()
        process.wait()


def check_processes_of_the_host_cannot_be_touched(g: Ground) -> None:
    with bystander() as pid:
        script = (
            f"for pid in ({pid}, {os.getpid()}, {os.getppid()}):\n"
            "    print('kill:', tried('kill', pid, 9))\n"
            "    print('seize:', tried('ptrace', 0x4206, pid, 0, 0))\n"
            "    print('pidfd:', tried('syscall', 434, pid, 0))\n"
            "    print('memory:', opened(f'/proc/{pid}/mem', os.O_RDWR))\n"
            "print('group:', tried('killpg', os.getpgid(0), 0))\n"
            "print('all:', tried('kill', -1, 9))\n"
        )
        told = attack(g, script)
        assert {line.split(": ")[1] for line in told[:12]} <= {"ESRCH", "ENOENT"}, told
        # Of all processes there is none that pid -1 would mean, but this one and the first.
        assert {line.split(": ")[1] for line in told[12:]} <= {"done", "ESRCH"}, told


def check_nothing_of_the_whole_host_can_be_written_below_proc(g: Ground) -> None:
    """Root owns these files, and so writes them without any capability."""
    script = (
        "import stat\n"
        "null = os.stat('/dev/null')\n"
        "for top in sorted(os.listdir('/proc')):\n"
        "    if top.isdigit() or top in ('self', 'thread-self', 'net', 'mounts'): continue\n"
        "    names = [f'/proc/{top}']\n"
        "    for at, _, files in os.walk(names[0]): names += [f'{at}/{file}' for file in files]\n"
        "    for name in names:\n"
        "        try: state = os.stat(name)\n"
        "        except OSError: continue\n"
        "        if stat.S_ISDIR(state.st_mode) or os.path.samestat(state, null): continue\n"
        "        try: at = os.open(name, os.O_WRONLY | os.O_NONBLOCK)\n"
        "        except OSError: continue\n"
        "        try: os.write(at, b''); print(name)\n"
        "        except OSError as error:\n"
        "            if error.errno not in (errno.EIO, errno.EINVAL): print(name, error)\n"
        "        os.close(at)\n"
    )
    told = attack(g, script)  # EIO: there is nothing behind it that would take what is written
    assert told == [], told


def check_nested_rights_lift_nothing(g: Ground) -> None:
    """Whoever makes a user namespace has every right in it, over what is made in it alone."""
    source = g.fresh()
    (source / "file").write_text("")
    script = (
        f"print('nested:', nest({NEWNS | NEWUTS | NEWIPC | NEWNET | NEWPID}))\n"
        "print('writable bind:', mount(None, b'/b', None, 0x1020))\n"  # MS_BIND | MS_REMOUNT
        "print('writable proc:', mount(None, b'/proc/sys', None, 0x1020))\n"
        "for name in ('/b', '/proc/sys', '/proc/kmsg', '/proc', '/dev/null'):\n"
        "    print(f'uncover {name}:', tried('umount2', name.encode(), 2))\n"
        "print('sys:', mount(b's', b'/tmp', b'sysfs'))\n"
        "print('block:', tried('mknod', b'/tmp/x', 0o060600, os.makedev(254, 0)))\n"
        "print('character:', tried('mknod', b'/tmp/y', 0o020600, os.makedev(1, 1)))\n"
        "child = os.fork()\n"
        "if child == 0: print('proc:', mount(b'p', b'/tmp', b'proc'), flush=True); os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "print('write:', opened('/b/file'))\n"
        "print('pattern:', opened('/proc/sys/kernel/core_pattern'))\n"
    )
    told = answers(attack(g, script, binds=(Bind(source, "/b"),)))
    assert told.pop("nested") == "True", told
    assert set(told.values()) <= REFUSED, told


def check_mounts_made_inside_stay_there(g: Ground) -> None:
    source = g.fresh()
    before = Path("/proc/self/mountinfo").read_text()
    script = (
        f"print(nest({NEWNS}))\n"
        "print(mount(b't', b'/b', b'tmpfs'))\n"
        "open('/b/x', 'w').close()\n"
        "print(os.listdir('/b'))\n"
    )
    told = attack(g, script, binds=(Bind(source, "/b", writable=True),))
    assert told == ["True", "done", "['x']"], told
    assert os.listdir(source) == []
    assert Path("/proc/self/mountinfo").read_text() == before


def check_control_groups_are_out_of_reach(g: Ground) -> None:
    """Root owns the files of its group, where its limits stand, and which all sandboxes share."""
    kinds = ("cgroup2", *{line.split()[0] for line in _controllers()})
    script = (
        f"print('namespace:', nest({NEWNS}) and tried('unshare', {NEWCGROUP}))\n"
        f"for kind in {sorted(kinds)!r}:\n"
        "    name, data = ('cgroup2', None) if kind == 'cgroup2' else ('cgroup', kind.encode())\n"
        "    print(f'{kind}:', mount(b'c', b'/tmp', name.encode(), 0, data))\n"
    )
    told = answers(attack(g, script))
    assert told, told
    assert set(told.values()) <= REFUSED | {"EBUSY"}, told


def _controllers() -> list[str]:
    lines = Path("/proc/cgroups").read_text().splitlines()[1:]
    return [line for line in lines if line.split()[1] != "0"]


def check_files_cannot_be_opened_by_handle(g: Ground) -> None:
    """With a number for a name, and no need of a path to it (open_by_handle_at(2))."""
    source = g.fresh()
    script = (
        "import struct\n"
        "def by_handle(at):\n"
        "    for inode in (2, 128, 256):\n"  # the root directory of ext4, XFS, btrfs
        "        handle = struct.pack('IiII', 8, 1, inode, 0)\n"
        "        yield tried('open_by_handle_at', at, handle, os.O_RDONLY)\n"
        "ats = [os.open(name, os.O_RDONLY) for name in ('/', '/b')]\n"
        "for at in ats: print(*by_handle(at))\n"
        f"nest({NEWNS})\n"
        "for at in ats: print(*by_handle(at))\n"
    )
    told = attack(g, script, binds=(Bind(source, "/b", writable=True),))
    assert len(told) == 4, told
    assert set(" ".join(told).split()) <= REFUSED | {"ESTALE", "EOPNOTSUPP", "EBADF"}, told


def check_devices_in_a_layer_do_not_open(g: Ground) -> None:
    """Of a tarball, or of a merge under an engine that lets them be made."""
    layer, bound = g.fresh(), g.fresh()
    disk = os.stat(g.directory).st_dev
    made = False
    for place in (layer, bound):
        with contextlib.suppress(PermissionError):  # an ordinary user cannot
            os.mknod(place / "memory", 0o020666, os.makedev(1, 1))
            os.mknod(place / "null", 0o020666, os.makedev(1, 3))
            os.mknod(place / "disk", 0o060666, disk)
            made = True
    script = (
        "names = [f'{at}/{name}' for at in ('', '/b') for name in ('memory', 'null', 'disk')]\n"
        "for name in names: print(opened(name, os.O_RDONLY), opened(name))\n"
        "for mode in (0o020600, 0o060600): print(tried('mknod', b'/tmp/x', mode, 259))\n"
    )
    told = attack(g, script, layer, binds=(Bind(bound, "/b", writable=True),))
    wanted = [*["EACCES EACCES" if made else "ENOENT ENOENT"] * 6, *["EPERM"] * 2]
    assert told == wanted, told


def check_no_way_leads_up_and_out(g: Ground) -> None:
    source = g.fresh()
    script = (
        "root = os.stat('/')\n"
        "print([fd for fd in os.listdir('/proc/self/fd') if int(fd) > 3])\n"  # 3: the list's own
        "at = os.open('/b', os.O_PATH)\n"
        "for _ in range(40): at = os.open('..', os.O_PATH, dir_fd=at)\n"
        "print(os.path.samestat(root, os.fstat(at)))\n"
        "os.mkdir('/tmp/d')\n"
        "os.chroot('/tmp/d')\n"  # the working directory stays outside of the new root
        "for _ in range(40): os.chdir('..')\n"
        "os.chroot('.')\n"
        "print(os.path.samestat(root, os.stat('/')))\n"
    )
    told = attack(g, script, binds=(Bind(source, "/b"),))
    assert told == ["[]", "True", "True"], told


def check_the_first_process_is_no_way_out(g: Ground) -> None:
    """Of an engine's tool that stays inside; native's is closed altogether."""
    script = (
        "root = os.stat('/')\n"
        "for name in ('root/', 'cwd/'):\n"
        "    try: print(os.path.samestat(root, os.stat(f'/proc/1/{name}')))\n"
        "    except OSError as error: print(errno.errorcode[error.errno])\n"
        "program = os.open('/proc/1/exe', os.O_PATH) if opened('/proc/1/exe', 0) == 'done' else 0\n"
        "if program:\n"
        "    mode = os.fstat(program).st_mode & 0o7777\n"  # as it is: no harm if it can be done
        "    print(tried('chmod', f'/proc/self/fd/{program}'.encode(), mode))\n"
        "for n in range(99):\n"
        "    try: state = os.stat(f'/proc/1/fd/{n}')\n"
        "    except OSError: continue\n"
        "    if os.path.isdir(f'/proc/1/fd/{n}'): print(n)\n"
    )
    told = attack(g, script)
    wanted = [["EACCES"] * 2] if g.name == "native" else [["EACCES"] * 2, ["True", "True", "EROFS"]]
    assert told in wanted, told


def check_a_program_that_is_a_link_to_the_engine_is_refused(g: Ground) -> None:
    """/proc/self/exe of what executes it is Python on the host's own file system, which root could
    change from inside once it were a program of the sandbox's.
    """
    layer = g.fresh()
    (layer / "bin").mkdir()
    (layer / "bin/link").symlink_to("/proc/self/exe")
    (layer / "bin/chain").symlink_to("link")
    for name, interpreter in (("script", "/proc/self/exe"), ("again", "/bin/script x")):
        (layer / "bin" / name).write_text(f"#! {interpreter}\n")
        (layer / "bin" / name).chmod(0o755)
    for name in ("link", "chain", "script", "again", "/proc/self/exe", "/proc/1/exe"):
        command = Command((name,), ENV)
        error = raises(ProgramError, lambda c=command: g.engine.start(g.sandbox(layer), c))
        assert f"executing {name}: " in str(error), error
        if g.name == "native":  # for tools it is looked up where there is no /proc
            assert "leads out of the root" in str(error), error


def check_a_script_of_scripts_runs(g: Ground) -> None:
    """What is refused above, with nothing to refuse."""
    layer = g.fresh()
    (layer / "bin").mkdir()
    (layer / "bin/one").write_text("#!/bin/sh -e\necho one $1\n")
    (layer / "bin/two").write_text("#!  /bin/one\n")
    (layer / "bin/three").symlink_to("two")
    for name in ("one", "two"):
        (layer / "bin" / name).chmod(0o755)
    _, out = g.shell("true", g.sandbox(layer), argv=("three", "x"))
    assert out == "one /bin/three\n", out


def check_sockets_of_the_host_are_out_of_reach(g: Ground) -> None:
    name = f"cloche-{os.getpid()}"
    with contextlib.ExitStack() as stack:
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0{name}")
        abstract.listen()
        inet = stack.enter_context(socket.socket())
        inet.bind(("127.0.0.1", 0))
        inet.listen()
        port = inet.getsockname()[1]
        script = (
            "def reach(family, address):\n"
            "    try: socket.socket(family).connect(address); return 'done'\n"
            "    except OSError as error: return errno.errorcode[error.errno]\n"
            f"print(reach(socket.AF_UNIX, '\\0{name}'))\n"
            f"print(reach(socket.AF_INET, ('127.0.0.1', {port})))\n"
            "print(reach(socket.AF_INET, ('192.0.2.1', 9)))\n"
            "print(tried('socket', 40, 1, 0), tried('socket', 42, 2, 0))\n"  # AF_VSOCK, AF_QIPCRTR
            "print(*(tried('socket', 16, 3, netlink) for netlink in (0, 9, 15)))\n"
            "print(tried('syscall', 425, 4, ctypes.create_string_buffer(120)))\n"
        )
        told = attack(g, script)
        # Virtual machines and their hosts, and remote processors, are behind no namespace.
        wanted = ["ECONNREFUSED", "ECONNREFUSED", "ENETUNREACH", "EAFNOSUPPORT EAFNOSUPPORT"]
        # Nor are audit's records and news of devices; io_uring makes sockets that no filter sees.
        wanted += ["done EPROTONOSUPPORT EPROTONOSUPPORT", "ENOSYS"]
        assert told == wanted, told
        for listening in (abstract, inet):
            listening.setblocking(False)
            raises(BlockingIOError, listening.accept)


def check_the_kernels_log_is_not_read(g: Ground) -> None:
    script = (
        "print(tried('klogctl', 3, ctypes.create_string_buffer(999), 999), opened('/dev/kmsg'))"
    )
    assert attack(g, script) == ["EPERM ENOENT"]


def check_a_callers_terminal_takes_no_input_from_inside(g: Ground) -> None:
    """Its owner is a session of the host; here it is given as it is, as a pipe would be."""
    master, slave = os.openpty()
    with bystander("setsid", "--ctty", stdin=slave):
        script = (
            "import fcntl\n"
            "def control(name, code, value):\n"
            "    try: fcntl.ioctl(0, code, value); print(name, 'done')\n"
            "    except OSError as error: print(name, 'refused')\n"
            "control('own', 0x540E, 0)\n"  # TIOCSCTTY
            "control('steal', 0x540E, 1)\n"
            "control('type', 0x5412, b'x')\n"  # TIOCSTI
            "control('paste', 0x541C, b'\\x03')\n"  # TIOCLINUX
            "print(opened('/dev/tty'))\n"
        )
        told = attack(g, script, stdin=slave)
    os.close(slave)
    os.close(master)
    assert told == ["own refused", "steal refused", "type refused", "paste refused", "ENXIO"], told


def check_a_crash_dumps_nothing(g: Ground) -> None:
    """Neither a file nor a call of the program that the host may have for it."""
    upper = g.fresh()
    sandbox = g.sandbox(upper=upper)
    _, out = g.shell("ulimit -c 1000000; ulimit -c; sh -c 'kill -SEGV $$'; echo $?", sandbox)
    assert out.splitlines()[-1] == "139", out
    hard = Path("/proc/self/limits").read_text().split("Max core file size")[1].split()[1]
    if (
        hard != "0"
    ):  # an ordinary user whom the host forbids them is left with what the host does then
        assert "dumped" not in out, out
    assert not [name for name in os.listdir(upper / "top") if "core" in name]


def threads_of_this_user() -> int:
    """How many threads count for RLIMIT_NPROC already."""
    found = 0
    for task in Path("/proc").glob("[0-9]*/task"):
        with contextlib.suppress(OSError):  # it has ended
            found += len(os.listdir(task)) if task.stat().st_uid == os.geteuid() else 0
    return found


def check_a_bomb_of_roots_own_forks_is_contained(g: Ground) -> None:
    """RLIMIT_NPROC does not hold for the host's uid 0: its control group does."""
    real = os.stat("/proc/self/ns/user").st_ino == 0xEFFFFFFD  # PROC_USER_INIT_INO
    # Where the limit is the user's, all of the user's threads count, pytest's too.
    own = 0 if real else threads_of_this_user()
    limits = Limits(processes=60 + own)
    groups = cgroups.create_for_sandbox(limits)
    cgroups.remove(groups)
    script = f"i=0; while [ $i -lt {200 + own} ]; do i=$((i+1)); sleep 5 & done; echo all"
    with bystander():
        ended, out = g.shell(script, g.sandbox(limits=limits))
    assert ended.status == 0 if "all" in out else not ended.ok, (ended, out)
    assert ("all" in out) == (real and not groups), (out, groups)


def check_other_users_cannot_reach_what_is_setuid_here(g: Ground) -> None:
    """Through /proc of a running sandbox, whose root lies in no directory of the host's."""
    process = g.engine.start(g.sandbox(upper=g.fresh()), Command(("sleep", "72001"), ENV))
    try:
        assert process.wait(0.05) is None  # the kernel sets the command line after the start
        pid = alive("72001")[-1]  # the last: a tool may stay there with the same words
        places = [f"/proc/{pid}/{name}" for name in ("root/bin/sh", "cwd/bin/sh", "exe", "fd/0")]
        as_other = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", "--"]
        for place in places:
            run = subprocess.run([*as_other, "test", "-e", place], check=False)
            assert run.returncode == 1, place
    finally:
        process.kill()
        process.wait()
