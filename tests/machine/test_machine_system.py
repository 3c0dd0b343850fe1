"""A machine's users, names, services and secrets, in a root of its own and over its seed."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from own import TOML, prepared
from tests.debian import unpack
from tests.searching import holding
from tests.support import Store

pytestmark = pytest.mark.real

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHB1YmxpYyBrZXkgb2YgbGFycnkgdGhlIGNvdyEhISEh larry@cow"
HASH = "$6$saltsaltsalt$QmYlrMEZ7cXwYbKl/0PZbKXb7xAqzG3zzxP5d9u5xEpxXn0"
PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nits bytes that nobody may see\n"

SYSTEM = """
hostname = "web1"
timezone = "Europe/Berlin"
files = ["web"]
hooks = ["hook.sh"]
remove = ["/usr/share/zoneinfo/UTC", "/usr/share/dox/*", "app-misc/greet"]
[groups.www]
[groups.web]
gid = 400
[users.larry]
groups = ["web"]
comment = "Larry the cow"
shell = "/bin/dash"
ssh_keys = ["{key}"]
password = {{ command = ["cat", "{hash}"] }}
[users.lassie]
group = "web"
[users.daemon]
uid = 77
group = "web"
home = "/"
[users.root]
ssh_keys = ["{key}"]
[permissions]
"/srv/www/" = "daemon:web"
"/etc/app.conf" = "root:web 0640"
"/usr/bin/run*" = "4711"
[secrets."/etc/ssh/host_key"]
file = "{private}"
owner = "root:web"
mode = "0640"
[output]
stage4 = true
"""
HOOK = """#!/bin/sh
set -e
read -r name < /etc/hostname
test "${name}" = web1
while read -r line; do
    case ${line} in larry:*) echo "${line}" > /etc/seen ;; esac
done < /etc/passwd
"""
OVER_SEED = """seed = "debian"
profile = "own:default"
portage = ["base"]
locales = ["de_DE.UTF-8", "C.UTF-8"]
files = {files}
{services}
[output]
stage4 = true
below = "/{below}"
compression = "none"
"""


@pytest.fixture(scope="module")
def store(root_seeded: Store, ground: Path) -> Iterator[Store]:
    """A store of this module's own."""
    parent = ground / "system"
    parent.mkdir()
    yield root_seeded.copy(parent / "store")
    shutil.rmtree(parent)


@pytest.fixture(scope="module")
def place(store: Store, ground: Path) -> Path:
    """A project whose packages have no sources, with secrets beside it."""
    made = prepared(store)
    web = made / "web"
    for name in (
        "srv/www/index.html",
        "etc/app.conf",
        "usr/bin/run-me",
        "etc/skel/.profile",
        "home/larry/own",
    ):
        (web / name).parent.mkdir(parents=True, exist_ok=True)
        (web / name).write_text(f"{name}\n")
    (web / "etc/conf.d").mkdir()
    (web / "etc/conf.d/hostname").write_text('# of this host\nhostname="localhost"\n')
    (web / "etc/shadow").write_text("root:*:::::::\n")
    (web / "etc/shadow").chmod(0o640)
    zones = web / "usr/share/zoneinfo"
    (zones / "Europe").mkdir(parents=True)
    for zone in ("UTC", "Europe/Berlin"):
        shutil.copy(f"/usr/share/zoneinfo/{zone}", zones / zone)
    (made / "hook.sh").write_text(HOOK)
    return store.user.own(made)


@pytest.fixture
def secret(tmp_path: Path) -> tuple[Path, Path]:
    """Files with a hash and a private key."""
    (tmp_path / "hash").write_text(f"{HASH}\n")
    (tmp_path / "private").write_text(PRIVATE)
    return tmp_path / "hash", tmp_path / "private"


def machine(place: Path, secret: tuple[Path, Path], name: str = "system") -> str:
    """A machine with a system and secrets."""
    more = SYSTEM.format(key=KEY, hash=secret[0], private=secret[1])
    toml = TOML.format(atoms=["app-misc/greet", "app-shells/dash"], more=more)
    (place / f"machines/{name}.toml").write_text(toml)
    return name


def opened(tarball: Path) -> tarfile.TarFile:
    """A tarball, also one compressed by zstd."""
    content = tarball.read_bytes()
    if tarball.suffix == ".zst":
        told = subprocess.run(["zstd", "-dcq", tarball], capture_output=True, check=True)
        content = told.stdout
    return tarfile.open(fileobj=io.BytesIO(content))


def read(archive: tarfile.TarFile, name: str) -> str:
    file = archive.extractfile(f"./{name}")
    assert file is not None
    return file.read().decode()


def test_users_names_and_permissions_are_as_the_file_says(
    place: Path, store: Store, secret: tuple[Path, Path]
) -> None:
    name = machine(place, secret)
    told = store.cloche("build", name, cwd=place, check=True)
    assert "nothing of the root matches /usr/share/dox/*\n" in told.stderr
    assert "the tarball is without secrets (password of larry, /etc/ssh/host_key)" in told.stderr
    with opened(place / "out/system/stage4.tar.zst") as archive:
        members = {member.name.removeprefix("./"): member for member in archive}
        accounts = read(archive, "etc/passwd").splitlines()
        assert "larry:x:1000:1001:Larry the cow:/home/larry:/bin/dash" in accounts
        assert "daemon:x:77:400::/:/bin/sh" in accounts
        groups = read(archive, "etc/group").splitlines()
        assert {"www:x:1000:", "web:x:400:larry", "larry:x:1001:"} <= set(groups)
        assert "larry:!::0:99999:7:::" in read(archive, "etc/shadow").splitlines()
        assert read(archive, "etc/seen").startswith("larry:x:1000:")
        keys = "home/larry/.ssh/authorized_keys"
        for name, mode, uid, gid in (
            ("home/larry", 0o755, 1000, 1001),
            ("home/larry/own", 0o644, 1000, 1001),
            ("home/lassie", 0o700, 1001, 400),
            ("home/lassie/.profile", 0o644, 1001, 400),
            ("home/larry/.ssh", 0o700, 1000, 1001),
            (keys, 0o600, 1000, 1001),
            ("root/.ssh/authorized_keys", 0o600, 0, 0),
            ("srv/www", 0o755, 77, 400),
            ("srv/www/index.html", 0o644, 77, 400),
            ("etc/app.conf", 0o640, 0, 400),
            ("usr/bin/run-me", 0o4711, 0, 0),
        ):
            found = members[name]
            assert (oct(found.mode), found.uid, found.gid) == (oct(mode), uid, gid), name
        assert read(archive, keys) == f"{KEY}\n"
        assert read(archive, "etc/conf.d/hostname") == '# of this host\nhostname="web1"\n'
        assert members["etc/localtime"].linkname == "../usr/share/zoneinfo/Europe/Berlin"
        assert read(archive, "etc/timezone") == "Europe/Berlin\n"
        assert not {"usr/share/zoneinfo/UTC", "usr/bin/greet", "etc/ssh"} & members.keys()
    again = store.cloche("build", "system", cwd=place, check=True)
    assert "pack: reused" in again.stderr
    assert "nothing of the root matches /usr/share/dox/*\n" in again.stderr  # each time
    shown = store.cloche("machine", "show", "system", "--json", cwd=place, check=True).stdout
    held = [each["cp"] for each in json.loads(shown)["packages"]]
    assert "app-shells/dash" in held
    assert "app-misc/greet" not in held
    listed = store.cloche("machine", "list", "--json", cwd=place, check=True).stdout
    states = {each["name"]: (each["packages"], each["state"]) for each in json.loads(listed)}
    assert states["system"] == (len(held), "current")
    owner = store.cloche("query", "belongs", "/usr/bin/greet", "-m", "system", cwd=place)
    assert "app-misc/greet" not in owner.stdout


def test_secrets_are_in_the_tarball_and_nowhere_else(
    place: Path, store: Store, secret: tuple[Path, Path]
) -> None:
    name, tarball = machine(place, secret), place / "out/system/stage4.tar.zst"
    store.cloche("build", name, cwd=place, check=True)
    with opened(tarball) as archive:
        plain = [member.name for member in archive]
    told = store.cloche(
        "build", name, "--secrets", "--progress", "json", "-v", cwd=place, check=True
    )
    assert tarball.stat().st_mode & 0o777 == 0o600
    assert "the tarball holds secrets (password of larry, /etc/ssh/host_key)" in told.stdout
    with opened(tarball) as archive:
        assert f"larry:{HASH}::0:99999:7:::" in read(archive, "etc/shadow").splitlines()
        assert read(archive, "etc/ssh/host_key") == PRIVATE
        found = archive.getmember("./etc/ssh/host_key")
        assert (found.mode, found.uid, found.gid) == (0o640, 0, 400)
        names = [member.name for member in archive]
        assert names == [*plain, "./etc/ssh", "./etc/ssh/host_key"]
    words = (HASH, "its bytes that nobody may see")
    searched = [word.encode() for word in words]
    assert holding(store.path, searched) == []
    assert not any(word in told.stdout + told.stderr for word in words)
    assert holding(place, searched) == [tarball]
    shown = store.cloche("machine", "show", name, cwd=place, check=True).stdout
    assert f"secret    /etc/ssh/host_key from {secret[1]}" in shown
    assert "secret    password of larry from `cat …`" in shown
    # A tar of its own reads it, too.
    subprocess.run(["tar", "--zstd", "-tf", tarball], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('shell = "/bin/dash"', 'shell = "/bin/zsh"', "machine brings the shell /bin/zsh; did you"),
        ('groups = ["web"]', 'groups = ["wheel"]', "the root has no group wheel"),
        ('"daemon:web"', '"nobody:web"', "the root has no user nobody"),
        ("uid = 77", "uid = 0", "the uid 0 is root's"),
        ("gid = 400", "gid = 250", "the ID 250 is portage's in /etc/group"),
        ('"Europe/Berlin"', '"Europe/Bonn"', "no package of the machine brings the time zone"),
        ('"/etc/app.conf" =', '"/etc/none" =', "nothing is at /etc/none"),
        ("[groups.www]", '[services]\non = ["sshd"]\n[groups.www]', "by OpenRC or systemd"),
    ],
)
def test_what_the_root_lacks_is_told_with_its_line(
    place: Path, store: Store, secret: tuple[Path, Path], old: str, new: str, what: str
) -> None:
    file = place / f"machines/{machine(place, secret, 'lacking')}.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    line = next(n for n, each in enumerate(file.read_text().splitlines(), 1) if each not in text)
    told = store.cloche("build", "lacking", cwd=place)
    file.unlink()
    assert told.returncode == 2
    (error,) = [each for each in told.stderr.splitlines() if each.startswith("cloche: ")]
    assert what in error
    assert re.match(r"cloche: \S+/machines/lacking\.toml:\d+: ", error)
    assert f"lacking.toml:{line}: " in error or "[users." in text
    assert told.stderr.rstrip().endswith(error)
    if "/bin/zsh" in what:  # all packages are known: nothing was begun
        assert "finish" not in told.stderr


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda hash, private: hash.write_text("hunter2\n"), "is not a hash of crypt(5)"),
        (lambda hash, private: hash.unlink(), "ended with status 1"),
        (lambda hash, private: private.unlink(), "private is not there"),
    ],
)
def test_secrets_that_cannot_be_had(
    place: Path, store: Store, secret: tuple[Path, Path], change, what: str
) -> None:
    name = machine(place, secret)
    tarball = place / "out/system/stage4.tar.zst"
    store.cloche("build", name, "--secrets", cwd=place, check=True)
    before = tarball.read_bytes()
    change(*secret)
    told = store.cloche("build", name, "--secrets", cwd=place)
    assert told.returncode in (1, 2, 3)
    assert what in told.stderr
    assert "hunter2" not in told.stderr
    assert tarball.read_bytes() == before
    assert [path.name for path in tarball.parent.iterdir() if path.name.startswith(".s")] == []


def test_services_of_openrc_and_locales(place: Path, store: Store) -> None:
    unpack(place / "openrc", "openrc", "librc1", "libeinfo1", "locales")
    script = place / "openrc/etc/init.d/hello"
    script.write_text("#!/sbin/openrc-run\ncommand=/bin/true\n")
    script.chmod(0o755)
    services = '[services]\non = ["hello", "savecache|shutdown"]'
    toml = OVER_SEED.format(files=["openrc"], services=services, below="etc")
    (place / "machines/openrc.toml").write_text(toml)
    store.cloche("build", "openrc", cwd=place, check=True)
    with opened(place / "out/openrc/stage4.tar") as archive:
        names = {member.name: member for member in archive}
        assert names["./runlevels/default/hello"].linkname == "/etc/init.d/hello"
        assert "./runlevels/shutdown/savecache" in names
        assert read(archive, "locale.gen") == "de_DE.UTF-8 UTF-8\nC.UTF-8 UTF-8\n"
        assert "export LANG='de_DE.UTF-8'" in read(archive, "profile.env")
    toml = toml.replace('"/etc"', '"/usr/lib/locale"')
    (place / "machines/openrc.toml").write_text(toml)
    store.cloche("build", "openrc", cwd=place, check=True)
    with opened(place / "out/openrc/stage4.tar") as archive:
        assert "./de_DE.utf8/LC_CTYPE" in archive.getnames()
    (place / "machines/openrc.toml").unlink()


def test_units_and_presets_of_systemd(place: Path, store: Store) -> None:
    unpack(place / "systemd", "systemd", "libsystemd-shared")
    unit = place / "systemd/usr/lib/systemd/system/hello@.service"
    unit.parent.mkdir(parents=True, exist_ok=True)
    unit.write_text("[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n")
    services = """[services]
on = ["hello@one"]
mask = ["systemd-networkd"]
presets = ["enable systemd-timesyncd.service", "disable *"]"""
    toml = OVER_SEED.format(files=["systemd"], services=services, below="etc/systemd")
    (place / "machines/systemd.toml").write_text(
        toml.replace('locales = ["de_DE.UTF-8", "C.UTF-8"]\n', "")
    )
    store.cloche("build", "systemd", cwd=place, check=True)
    with opened(place / "out/systemd/stage4.tar") as archive:
        names = {member.name: member for member in archive}
        wants = "./system/multi-user.target.wants/hello@one.service"
        assert names[wants].linkname.endswith("/system/hello@.service")
        assert names["./system/systemd-networkd.service"].linkname == "/dev/null"
        assert "disable *" in read(archive, "system-preset/00-machine.preset")
    (place / "machines/systemd.toml").unlink()
