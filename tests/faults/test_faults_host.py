"""Hosts that cannot: one line, status 3, before any work. The conditions are real ones.

A kernel without overlayfs cannot be had where it is built in: a store where no overlay can be, and
the refused system call, come nearest.
"""

from __future__ import annotations

import errno
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from tests.faults.looking import said
from tests.support import Store, python_for_all

pytestmark = pytest.mark.real

Faulty = tuple[Store, Path]
REFUSE = Path(__file__).with_name("refuse.py")
WITHOUT = Path(__file__).with_name("without.py")
FSOPEN = 430
UNSHARE = {"x86_64": 272, "aarch64": 97}.get(platform.machine(), 0)


def path_without(directory: Path, *tools: str) -> str:
    """Make a PATH that has all of this one but some tools."""
    directory.mkdir(parents=True)
    directory.chmod(0o755)
    for place in reversed(os.environ["PATH"].split(":")):
        for tool in Path(place).glob("*") if place.startswith("/usr") or place == "/bin" else ():
            if tool.name not in tools:
                (directory / tool.name).unlink(missing_ok=True)
                (directory / tool.name).symlink_to(tool)
    return str(directory)


def test_no_mmdebstrap(faulty_root: Faulty, ground: Path) -> None:
    store, project = faulty_root
    path = path_without(ground / "no-mmdebstrap", "mmdebstrap")
    new = project / "new-store"
    done = store.user.run(
        "--store", new, "seed", "bootstrap", cwd=project, prefix=("env", f"PATH={path}"), timeout=60
    )
    line = said(done, 3)
    assert "this host has no mmdebstrap; apt install mmdebstrap" in line


@pytest.mark.parametrize("tool", ["newuidmap", "newgidmap"])
def test_no_newuidmap(faulty: Faulty, ground: Path, tool: str) -> None:
    store, project = faulty
    path = path_without(ground / f"no-{tool}", tool)
    done = store.cloche("build", "fine", cwd=project, prefix=("env", f"PATH={path}"))
    line = said(done, 3)
    assert f"{tool} is missing; run `apt install uidmap`" in line


def test_no_range_of_subordinate_ids(faulty_root: Faulty) -> None:
    store, _ = faulty_root
    variables = [f"{k}={v}" for k, v in store.user.environment(None).items()]
    ids = ["--reuid=65534", "--regid=65534", "--clear-groups"]
    command = ["setpriv", *ids, "env", *variables, "HOME=/nonexistent", python_for_all()]
    done = run(
        [*command, "-B", "-m", "cloche.cli", "--store", "/tmp/nobody", "engines"],
        store,
        Path("/"),
    )
    line = said(done, 3)
    assert "nobody has no range of 65535 ids in /etc/subuid and /etc/subgid" in line
    assert "run `sudo usermod --add-subuids" in line
    assert not Path("/tmp/nobody").exists()


def test_user_namespaces_switched_off(faulty: Faulty) -> None:
    store, project = faulty
    command = store.user.command("--store", store.path, "build", "fine")
    line = said(run([sys.executable, str(WITHOUT), "user", *command], store, project), 3)
    assert "user namespaces are disabled (user.max_user_namespaces is 0)" in line
    assert "run `sudo sysctl -w user.max_user_namespaces=" in line


def test_no_more_mount_namespaces(faulty_root: Faulty) -> None:
    store, project = faulty_root
    command = store.user.command("--store", store.path, "build", "fine")
    line = said(run([sys.executable, str(WITHOUT), "mnt", *command], store, project), 3)
    assert "entering new namespaces" in line
    assert "raise /proc/sys/user/max_mnt_namespaces" in line


def test_a_namespace_with_one_user_only(faulty: Faulty) -> None:
    store, project = faulty
    prefix = ("unshare", "--user", "--map-root-user")
    new = project / "one-user"
    done = store.user.run("--store", new, "build", "fine", cwd=project, prefix=prefix)
    assert "only 1 user ids are mapped here; Gentoo's packages need 65536" in said(done, 3)


def test_a_container_that_forbids_namespaces(faulty_root: Faulty) -> None:
    store, project = faulty_root
    prefix = (sys.executable, str(REFUSE), str(UNSHARE), str(errno.EPERM))
    done = store.cloche("build", "fine", cwd=project, prefix=prefix)
    line = said(done, 3)
    assert "entering new namespaces: " in line
    assert "--privileged" in line


def test_a_container_without_the_right_to_make_namespaces(faulty_root: Faulty) -> None:
    store, project = faulty_root
    prefix = ("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin")
    done = store.cloche("build", "fine", cwd=project, prefix=prefix)
    assert "uid 0 cannot make namespaces in this container (CAP_SYS_ADMIN)" in said(done, 3)


def test_a_kernel_that_is_too_old(faulty_root: Faulty) -> None:
    store, project = faulty_root
    prefix = (sys.executable, str(REFUSE), str(FSOPEN), str(errno.ENOSYS))
    done = store.cloche("build", "fine", cwd=project, prefix=prefix)
    line = said(done, 3)
    assert "Function not implemented" in line
    assert "Linux 5.12" in line


def test_a_store_where_no_overlay_can_be(faulty_root: Faulty) -> None:
    """On an overlay, as in the root of most containers."""
    store, project = faulty_root
    script = (
        "mkdir l u w m && mount -t overlay -o lowerdir=l,upperdir=u,workdir=w overlay m"
        ' && exec "$0" "$@"'
    )
    room = project / "overlay"
    room.mkdir()
    new = room / "m/store"
    command = store.user.command("--store", new, "-C", project, "build", "fine")
    done = run(["unshare", "--mount", "sh", "-c", script, *command], store, room)
    line = said(done, 3)
    assert "the store's file system cannot be the upper part of an overlay" in line
    assert "choose another --store" in line


def run(command: list[str], store: Store, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env=store.user.environment(None),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
