"""Checks of what a sandbox is from inside: its root, its rights, what it sees and can reach."""

# ruff: noqa: PTH116, PTH208 - names are compared, not paths

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

from sandbox_ground import Ground, raises

from cloche.linux import mounts, processes
from cloche.roots import overlay
from cloche.sandbox import cgroups
from cloche.sandbox.base import Bind, Limits
from cloche.sandbox.errors import SandboxError


def check_the_inside_is_fixed(g: Ground) -> None:
    _, out = g.shell("hostname; env; umask; cat /proc/self/limits", g.sandbox(hostname="glass"))
    lines = out.splitlines()
    assert lines[0] == "glass"
    assert sorted(lines[1:4]) == ["HOME=/", "PATH=/bin", "PWD=/"], lines  # the shell sets PWD
    assert lines[4] == "0022"
    _, out = g.shell("cat /proc/self/environ")
    assert {*out.strip("\0").split("\0")} - {"PWD=/"} == {"HOME=/", "PATH=/bin"}, out


def check_only_its_own_processes_are_seen(g: Ground) -> None:
    _, out = g.shell("cat /proc/[0-9]*/cmdline; echo; echo /proc/[0-9]*")
    assert "sandbox_driver" not in out, out
    if g.name == "native":
        assert out.splitlines()[-1].split() == ["/proc/1", "/proc/2"], out


def check_the_first_process_tells_nothing_of_the_host(g: Ground) -> None:
    _, out = g.shell("cat /proc/1/cmdline")
    assert out.strip("\0\n") == "cloche-sandbox", out
    ended, _ = g.shell("cat /proc/1/environ /proc/1/maps; readlink /proc/1/exe")
    assert not ended.ok


def check_only_the_loopback_device_is_there(g: Ground) -> None:
    _, out = g.shell("cat /proc/net/dev")
    assert [line.split(":")[0].strip() for line in out.splitlines()[2:]] == ["lo"]


def check_no_host_files_are_seen(g: Ground) -> None:
    marker = g.directory / "secret"
    marker.write_text("x")
    ended, out = g.shell(f"ls {g.directory} /sys/kernel; ls /; ls /proc/1/root /proc/1/fd")
    assert "secret" not in out
    assert "skeleton" not in out
    assert not ended.ok  # the first process is closed to the command


def check_proc_cannot_change_the_host(g: Ground) -> None:
    for name in ("sys/kernel/hostname", "sysrq-trigger", "sys/kernel/core_pattern"):
        ended, out = g.shell(f"echo x > /proc/{name}")
        assert not ended.ok, name
    _, out = g.shell("cat /proc/keys /proc/timer_list | wc -c")
    assert out.strip() == "0", out


def check_rights_are_few_but_setuid_works(g: Ground) -> None:
    sandbox = g.sandbox(upper=g.fresh())
    ended, out = g.shell("mount -t tmpfs none /tmp", sandbox)
    assert not ended.ok, out
    ended, out = g.shell("mknod /dev/shm/x c 1 3", sandbox)
    assert not ended.ok, out
    _, out = g.shell("cat /proc/self/status")
    assert "NoNewPrivs:\t0" in out
    ended, out = g.shell(
        "chown 250:250 /bin/sleep && chmod 4755 /bin/sleep && stat -c %u:%a /bin/sleep", sandbox
    )
    assert out == "250:4755\n", out


def check_writes_land_in_top_and_mount_points_do_not(g: Ground) -> None:
    upper, source = g.fresh(), g.fresh()
    binds = (Bind(source, "/var/db/repos/one"), Bind(source / "f", "/run/x/file"))
    (source / "f").write_text("bound")
    sandbox = g.sandbox(upper=upper, binds=binds, tmpfs=("/var/db/repos", "/var/tmp/portage"))
    script = "echo hi > /new; rm /etc/there; echo t > /tmp/t; cat /var/db/repos/one/f /run/x/file"
    ended, out = g.shell(script, sandbox)
    assert ended.ok, out
    assert out == "boundbound", out
    assert sorted(os.listdir(upper / "top")) == ["etc", "new"]
    assert os.listdir(upper / "top/etc") == ["there"]
    assert os.stat(upper / "top/etc/there", follow_symlinks=False).st_rdev == 0
    ended, out = g.shell("cat /new; test -e /etc/there", sandbox)  # the same top once more
    assert (out, ended.status) == ("hi\n", 1)


def check_binds_are_read_only_unless_asked(g: Ground) -> None:
    source = g.fresh()
    ended, _ = g.shell("echo x > /b/x", g.sandbox(binds=(Bind(source, "/b"),)))
    assert not ended.ok
    ended, out = g.shell("echo x > /b/x", g.sandbox(binds=(Bind(source, "/b", True),)))
    assert ended.ok, out
    assert (source / "x").exists()


def check_a_fifo_bound_read_only_takes_data_and_stays_as_it_is(g: Ground) -> None:
    """As the jobserver's: root of a sandbox cannot keep other sandboxes from it."""
    fifo = g.fresh() / "fifo"
    os.mkfifo(fifo)
    fifo.chmod(0o666)
    before = fifo.stat()
    fd = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    os.write(fd, b"in")
    script = (
        "import os\n"
        "fd = os.open('/run/fifo', os.O_RDWR)\n"
        "print(os.read(fd, 9), os.write(fd, b'out'))\n"
        "for name, *more in (('chmod', 0), ('chown', 9, 9), ('utime', (1, 1)), ('unlink',),\n"
        "                    ('setxattr', 'user.x', b'')):\n"
        "    for path in '/run/fifo', f'/proc/self/fd/{fd}':\n"
        "        try: getattr(os, name)(path, *more); print(name, path, 'done')\n"
        "        except OSError: pass\n"
    )
    ended, out = g.python(script, binds=(Bind(fifo, "/run/fifo"),))
    assert (ended.ok, out) == (True, "b'in' 3\n"), out
    assert os.read(fd, 9) == b"out"
    os.close(fd)
    after = fifo.stat()
    assert (after.st_mode, after.st_uid, after.st_ino, after.st_mtime > 1) == (
        *(before.st_mode, before.st_uid, before.st_ino),
        True,
    )


def check_links_in_the_root_lead_nowhere_outside(g: Ground) -> None:
    layer, source, outside = g.fresh(), g.fresh(), g.fresh()
    (layer / "trap").symlink_to(outside)
    error = raises(
        SandboxError,
        lambda: g.shell("true", g.sandbox(layer, binds=(Bind(source, "/trap/x", True),))),
    )
    assert "/trap/x" in str(error), error
    assert not os.listdir(outside)


def check_a_read_only_root_is_read_only(g: Ground) -> None:
    ended, _ = g.shell("echo x > /x")
    assert not ended.ok


def check_stacks_of_any_height(g: Ground) -> None:
    tall = g.fresh()
    layers = []
    for index in range(1000):
        layers.append(tall / f"a-layer-with-a-rather-long-name-{index:04}")
        (layers[-1] / "d").mkdir(parents=True)
        (layers[-1] / f"d/{index}").write_text("")
        (layers[-1] / "last").write_text(str(index))
    os.mknod(layers[450] / "d/3", 0o600 | 0o020000, 0)
    for count in (10, 300, 500, 600, 1000):
        sandbox = g.sandbox(*layers[:count], upper=g.fresh())
        _, out = g.shell("cat /last; echo; set -- /d/*; echo $#; echo x >/d/x", sandbox)
        assert out.split() == [str(count - 1), str(count - (count > 450))], (count, out)
    # In the middle of a stack that needs a third overlay, a whiteout cannot be kept.
    os.mknod(layers[500] / "d/4", 0o600 | 0o020000, 0)
    error = raises(SandboxError, lambda: g.shell("true", g.sandbox(*layers)))
    assert "too many" in str(error), error


def check_names_that_overlayfs_finds_hard(g: Ground) -> None:
    for name in ("with,comma", "with:colon", "with\\backslash", "ümlaut", "x" * 250, "a b"):
        layer = g.fresh() / name / "deeper"
        layer.mkdir(parents=True)
        (layer / "here").write_text("y")
        upper = layer.parent / "upper"
        upper.mkdir()
        ended, out = g.shell("cat /here; echo > /z", g.sandbox(layer, upper=upper))
        assert (out, ended.status) == ("y", 0), (name, out)
        assert (upper / "top/z").exists()


def check_limits(g: Ground) -> None:
    sandbox = g.sandbox(upper=g.fresh(), limits=Limits(open_files=99, file_size=4096))
    _, out = g.shell("ulimit -n; ulimit -c", sandbox)
    assert out.split() == ["99", "0"]
    ended, _ = g.shell("cat /bin/sh > /big", sandbox)
    assert not ended.ok
    assert sandbox.upper is not None
    assert (sandbox.upper / "top/big").stat().st_size == 4096


def check_nothing_tells_where_the_host_keeps_it(g: Ground) -> None:
    layer, upper = g.fresh(), g.fresh()
    _, out = g.shell("cat /proc/self/mounts /proc/self/mountinfo", g.sandbox(layer, upper=upper))
    assert "overlay" in out
    assert str(g.directory) not in out, out
    assert str(g.root) not in out, out


def check_the_kernel_and_its_arguments_are_hidden(g: Ground) -> None:
    """No file of these has a size or content; some kernels lack some of them."""
    hidden = ["cmdline", "kallsyms", "modules", "config.gz", "kcore"]
    ended, out = g.shell(f"cd /proc; cat {' '.join(hidden)} 2>/dev/null; ls /sys 2>/dev/null")
    assert out == "", out[:200]
    ended, _ = g.shell("test -s /proc/config.gz")  # what linux-info.eclass asks
    assert not ended.ok


def check_what_the_host_has_set_does_not_show(g: Ground) -> None:
    """The driver itself is started with other limits, modes and signals."""
    files = "/proc/self/personality /proc/self/limits /proc/self/status"
    _, out = g.shell(f"umask; id -G; cat {files}")
    lines = out.splitlines()
    assert lines[:3] == ["0022", "0", "00000000"], lines[:3]
    limits = {line[:25].strip(): line[25:].split()[:2] for line in lines if line[:4] == "Max "}
    infinite = ["unlimited", "unlimited"]
    assert set(limits["Max core file size"]) <= {"0", "1"}  # too short for a dump
    assert limits["Max cpu time"] == infinite
    assert limits["Max open files"][0] == limits["Max open files"][1]
    assert limits["Max stack size"][0] in ("8388608", "4194304")
    assert limits["Max pending signals"] == ["4096", "4096"]
    assert limits["Max nice priority"] == ["0", "0"]
    real_root = Path("/proc/self/uid_map").read_text().split()[1:] == ["0", "4294967295"]
    if real_root and processes.effective_capabilities() >> 24 & 1:  # SYS_RESOURCE
        assert limits["Max core file size"] == ["1", "1"]
        assert limits["Max open files"][0] == "65536"
        assert limits["Max stack size"] == ["8388608", "unlimited"]
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    # posix_spawn(3) of the GNU libc ignores its own signals 32 and 33, which every libc sets anew.
    masks = {int(status[name], 16) & ~0x180000000 for name in ("SigIgn", "SigBlk", "SigCgt")}
    assert masks == {0}, masks


def check_input_cannot_be_typed_into_the_callers_terminal(g: Ground) -> None:
    master, slave = os.openpty()
    _, out = g.python(
        'import fcntl, termios; fcntl.ioctl(0, termios.TIOCSTI, b"x"); print("typed")',
        stdin=slave,
    )
    os.close(master)
    os.close(slave)
    assert "typed" not in out
    assert "Error: [Errno " in out, out


def check_keyrings_of_the_host_are_out_of_reach(g: Ground) -> None:
    script = (
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "number = {'x86_64': 250, 'aarch64': 219}[os.uname().machine]\n"
        "for ring in range(-8, 0):\n"  # all of KEY_SPEC_*
        "    print(libc.syscall(number, 0, ring, 1), ctypes.get_errno())\n"
    )
    _, out = g.python(script)
    assert out.split() == ["-1", str(errno.ENOSYS)] * 8, out


def check_the_first_process_is_out_of_reach(g: Ground) -> None:
    script = (
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "print(libc.ptrace(16, 1, 0, 0), ctypes.get_errno())\n"  # PTRACE_ATTACH
        "for name in ('mem', 'environ', 'root/', 'fd/', 'ns/net'):\n"
        "    try: print(os.stat(f'/proc/1/{name}') and open(f'/proc/1/{name}', 'rb'))\n"
        "    except OSError as error: print(-1, error.errno)\n"
    )
    _, out = g.python(script)
    numbers = out.split()
    assert numbers[0] == "-1", out
    assert all(line.split()[0] == "-1" for line in out.splitlines()), out


def check_a_bomb_of_forks_is_contained(g: Ground) -> None:
    """The user that builds, not uid 0, whom no kernel limits by RLIMIT_NPROC."""
    bomb = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); sleep 5 & done; echo all"
    script = f"exec setpriv --reuid=250 --regid=250 --clear-groups sh -c '{bomb}'"
    _, out = g.shell(script, g.sandbox(limits=Limits(processes=100)))
    assert "all" not in out, out


def check_memory_is_limited_where_a_group_can_be_made(g: Ground) -> None:
    limits = Limits(memory=64 << 20)
    groups = cgroups.create_for_sandbox(limits)
    cgroups.remove(groups)
    script = "x=0123456789abcdef; i=0; while [ $i -lt 24 ]; do i=$((i+1)); x=$x$x; done; echo all"
    _, out = g.shell(script, g.sandbox(limits=limits))
    assert ("all" in out) == (not groups), (out, groups)


def check_devices_work_but_their_nodes_are_the_hosts(g: Ground) -> None:
    before = os.stat("/dev/null")
    for change in ("chmod 600 /dev/null", "chown 1 /dev/null", "touch -d @1 /dev/null"):
        ended, out = g.shell(change)
        assert not ended.ok, (change, out)
    ended, out = g.shell("echo x > /dev/null && echo y >> /dev/zero && test -w /dev/null")
    assert ended.ok, out
    after = os.stat("/dev/null")
    assert (before.st_mode, before.st_uid) == (after.st_mode, after.st_uid)


def check_mounts_made_after_the_engine_are_seen(g: Ground) -> None:
    place = g.fresh()
    g.shell("true")
    time.sleep(0.1)  # a spare sandbox has been made by now
    fd = overlay.tmpfs("0755")
    mounts.move_mount(fd, place)
    os.close(fd)
    try:
        (place / "late").write_text("")
        _, out = g.shell("ls /b", g.sandbox(binds=(Bind(place, "/b"),)))
        assert out == "late\n", out
    finally:
        mounts.unmount(place)
