"""What a machine's file says of its system: users, names, services, secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.config.errors import ConfigError
from cloche.config.finish_steps import FinishStep
from cloche.config.secrets import owned, read_secrets
from cloche.config.sets import Asked
from cloche.config.system import check_init, read_system
from cloche.config.table import Table, load

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHB1YmxpYyBrZXkgb2YgbGFycnkgdGhlIGNvdyEhISEh larry@cow"


def table(text: str, root: Path) -> Table:
    file = root / "machine.toml"
    file.write_text(f"name = 1\n{text}")
    return load(file, root)


def steps(text: str, root: Path) -> tuple[FinishStep, ...]:
    return read_system(table(text, root), root)


def test_steps_have_one_order_whatever_that_of_the_file_is(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "hook.sh").write_text("#!/bin/sh\n")
    (tmp_path / "larry.pub").write_text(f"# of the laptop\n\n{KEY}\n")
    found = steps(
        """
remove = ["/usr/share/doc/*", "app-editors/nano"]
hooks = ["hook.sh"]
hostname = "web1"
timezone = "Europe/Berlin"
locales = ["de_DE.UTF-8", "de_DE@euro ISO-8859-15", "C.UTF-8"]
files = ["files"]
[services]
on = ["sshd", "cronie|boot"]
off = ["hwclock|boot"]
[permissions]
"/etc/app.conf" = "root:web 0640"
"/srv/www/" = "web:web"
"/etc/x" = "0600"
[users.larry]
uid = 1001
groups = ["web", "wheel"]
comment = "Larry the cow"
shell = "/bin/sh"
ssh_keys = ["larry.pub"]
[users.root]
ssh_keys = ["larry.pub"]
[groups.web]
gid = 400
""",
        tmp_path,
    )
    assert [(each.kind, each.words) for each in found] == [
        ("files", ()),
        ("group", ("web:400",)),
        ("user", ("larry:1001::web,wheel:Larry the cow::/bin/sh",)),
        ("user", ("root::::::",)),
        ("permission", ("root:web 0640 /etc/app.conf",)),
        ("permission", ("web:web - /srv/www/",)),
        ("permission", ("- 0600 /etc/x",)),
        ("ssh_keys", ("larry", KEY)),
        ("ssh_keys", ("root", KEY)),
        ("locales", ("de_DE.UTF-8 UTF-8", "de_DE@euro ISO-8859-15", "C.UTF-8 UTF-8")),
        ("localedef", ("de_DE.UTF-8 UTF-8", "de_DE@euro ISO-8859-15")),
        ("timezone", ("Europe/Berlin",)),
        ("hostname", ("web1",)),
        ("services_on", ("sshd",)),
        ("services_on", ("cronie|boot",)),
        ("services_off", ("hwclock|boot",)),
        ("hook", ()),
        ("unmerge", ("app-editors/nano",)),
        ("remove", ("/usr/share/doc/*",)),
    ]
    assert found[3].origin.line == 22
    assert steps("", tmp_path) == ()


def test_presets_are_written_and_then_carried_out(tmp_path: Path) -> None:
    found = steps('[services]\npresets = ["enable sshd*", "disable *"]\nmask = ["x"]', tmp_path)
    assert [(each.kind, each.words) for each in found] == [
        ("presets", ("enable sshd*", "disable *")),
        ("preset_all", ()),
        ("services_mask", ("x",)),
    ]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ('hostname = "-web"', 2, "“-web” is not a hostname"),
        ('timezone = "../etc/shadow"', 2, "is not a timezone"),
        ('locales = ["German"]\nlocale = 1', 2, ""),
        ('locales = ["de_DE;x"]', 2, "“de_DE;x” is not a locale"),
        ('hooks = ["none.sh"]', 2, "no such file: none.sh; correct the path, or write it"),
        ('hooks = ["a\\u0000b"]', 2, "a string with a NUL byte"),
        ('[permissions]\n"/a\\u0000" = "0644"', 2, "a string with a NUL byte"),
        ('files = ["none"]', 2, "no such directory: none"),
        ('files = ["machine.toml"]', 2, "“machine.toml” is not a directory"),
        ('files = [""]', 2, "“” is the project itself"),
        ('locales = ["en_GB.utf8"]', 2, "“en_GB.utf8” is not a locale; write “en_GB.UTF-8”"),
        ('locales = ["en_GB.UTF-8 utf-8"]', 2, "write “en_GB.UTF-8 UTF-8”"),
        ("[users.larry]\nuid = 0", 3, "the uid 0 is root's"),
        ("[groups.web]\ngid = 0", 3, "the gid 0 is root's"),
        (f'[users.larry]\nssh_keys = ["{KEY[:-20]}"]', 3, "not a whole public key: “ssh-ed25519 A"),
        ('[users.larry]\nssh_keys = ["ssh-ed25519 AAAA larry"]', 3, "not a whole public key"),
        (
            f'[users.larry]\nssh_keys = ["{KEY.replace("ssh-ed25519", "ssh-rsa")}"]',
            3,
            "a key of the type 'ssh-ed25519', not 'ssh-rsa'",
        ),
        ("[users.a]\nuid = 7\n[users.b]\nuid = 7", 5, "uid 7 is also that of “a” in"),
        ("[groups.a]\ngid = 7\n[groups.b]\ngid = 7", 5, "gid 7 is also that of “a” in"),
        ('[users.larry]\nhome = "/../x"', 3, "“/../x” is not an absolute path"),
        ('[permissions]\n"/x" = "0644"\n"/./x" = "0600"', 4, "“/./x” and “/x” are the same"),
        ('[users.larry]\nssh_keys = ["AAAA larry"]', 3, "is neither a public key of ssh nor"),
        ('remove = ["nano"]', 2, "“nano” is not valid in “unmerge”"),
        ('remove = ["usr/share"]', 2, 'nor the name of a package; write "/usr/share"'),
        ('remove = ["/x", "./etc/x/*"]', 2, "“./etc/x/*” is neither an absolute path nor"),
        ('[users."a b"]', 2, "“a b” is not a name"),
        ("[users.larry]\nuid = 70000", 3, "“uid” is 70000, expected 0 to 65533"),
        ('[users.larry]\nhome = "larry"', 3, "“larry” is not an absolute path"),
        ('[users.larry]\ncomment = "a:b"', 3, "has a colon"),
        ('[users.larry]\npass = "x"', 3, "unknown key “users.larry.pass”"),
        ('[users.larry]\nssh_keys = ["machine.toml"]', 1, "is not a public key"),
        ('[permissions]\n"/etc/x" = "u+x"', 3, "“u+x” is no owner and mode"),
        ('[permissions]\n"/etc/" = "root:root 0644"', 3, "cannot have one mode"),
        ('[permissions]\n"etc" = "0644"', 3, "not an absolute path"),
        ('[services]\non = ["-x"]', 3, "“-x” is not valid in “services_on”"),
        ('[services]\npresets = ["start x"]', 3, "is no line of a preset file"),
    ],
)
def test_what_a_file_may_not_say(tmp_path: Path, text: str, line: int, what: str) -> None:
    if not what:
        assert steps(text, tmp_path)[0].words == ("German ISO-8859-1",)
        return
    with pytest.raises(ConfigError) as raised:
        steps(text, tmp_path)
    assert what in str(raised.value)
    assert f"machine.toml:{line}: " in str(raised.value)


@pytest.mark.parametrize(
    ("services", "packages"),
    [
        ("", ["sys-apps/openrc", ">=sys-apps/systemd-250"]),
        ('on = ["a|boot"]', ["sys-apps/systemd"]),
        ('mask = ["a"]', ["sys-apps/openrc"]),
        ('on = ["a|boot"]\npresets = ["disable *"]', []),
        ('on = ["sshd|default", "sshd.service"]', []),
        ('off = ["x.timer"]', ["sys-apps/openrc"]),
    ],
)
def test_a_machine_has_one_init_system(tmp_path: Path, services: str, packages: list[str]) -> None:
    found = table(f"[services]\n{services}", tmp_path)
    asked = [Asked(atom, found.origin("services")) for atom in packages]
    with pytest.raises(ConfigError, match="is for sys-apps/openrc here, and for sys-apps/systemd"):
        check_init(found, asked)
    said = table('[services]\non = ["a|boot"]\npresets = ["disable *"]', tmp_path)
    with pytest.raises(ConfigError, match=r"toml:3: .* in .*toml:4;"):
        check_init(said, [])
    check_init(table('[services]\non = ["a"]', tmp_path), asked[:1])
    check_init(table('[services]\non = ["net.eth0|boot"]', tmp_path), [])


def test_secrets_say_where_they_come_from(tmp_path: Path) -> None:
    said = """
[users.larry]
password = { command = ["pass", "show", "web/larry"] }
[secrets."/etc/ssh/ssh_host_ed25519_key"]
file = "keys/web"
[secrets."/etc/app.key"]
file = "/run/app.key"
owner = "root:app"
mode = "0640"
"""
    password, key, other = read_secrets(table(said, tmp_path), tmp_path)
    assert (password.title, password.source) == ("password of larry", "`pass …`")
    assert (key.title, key.source) == (
        "/etc/ssh/ssh_host_ed25519_key",
        str(tmp_path / "keys/web"),
    )
    assert (key.owner, key.mode) == ("root:root", 0o600)
    assert (other.file, other.owner, other.mode) == (Path("/run/app.key"), "root:app", 0o640)
    (wanted,) = owned((password, key, other))
    assert (wanted.words, wanted.origin) == (("root:app /etc/app.key",), other.origin)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ('[users.larry]\npassword = "secret"', 3, "a string, which everybody could read"),
        ("[users.larry]\npassword = {}", 3, "a secret has one source"),
        ('[secrets."/a"]\nfile = "x"\ncommand = ["y"]', 2, "a secret has one source"),
        ('[secrets."a"]\nfile = "x"', 2, "“a” is not the path of a file"),
        ('[secrets."/a/../b"]\nfile = "x"', 2, "is not the path of a file"),
        ('[secrets."/a"]\nfile = "x"\n[secrets."/./a"]\nfile = "y"', 4, "are the same path"),
        ('[secrets."/a"]\nfile = "x"\nmode = "u+r"', 4, "“u+r” is not a mode"),
        ('[secrets."/a"]\nfile = "x"\nowner = "root"', 4, "“root” is not an owner"),
        ('[secrets."/a"]\nfile = "~nobody-here/x"', 3, "“~nobody-here/x”"),
    ],
)
def test_what_secrets_may_not_say(tmp_path: Path, text: str, line: int, what: str) -> None:
    with pytest.raises(ConfigError, match=r"machine\.toml") as raised:
        read_secrets(table(text, tmp_path), tmp_path)
    assert f"machine.toml:{line}: " in str(raised.value)
    assert what in str(raised.value)
    assert "“secret”" not in str(raised.value)
