"""What a machine's finish asks for is looked for before anything is built, as far as known."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.executor import Maker, Site
from tests.values import package, write_files

from cloche.building.finish_checks import check_finish, foreseen
from cloche.building.finish_commands import commands
from cloche.building.finish_root import FinishRoot, Presence, root_of
from cloche.building.forecast import forecast
from cloche.config.errors import ConfigError, Origin
from cloche.config.finish_steps import FinishStep
from cloche.plan.depgraph import Package
from cloche.records.events import Note
from cloche.store import Store

HERE = Origin(Path("web.toml"), 7)
PASSWD = "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/:/bin/false\n"
FILES = {
    "etc/passwd": PASSWD,
    "etc/group": "root:x:0:\nwheel:x:10:root\n",
    "etc/init.d/sshd": "",
    "etc/init.d/cronie": "",
    "etc/runlevels/default/x": "",
    "etc/runlevels/boot/x": "",
    "sbin/rc-update": "",
    "usr/bin/dash": "",
    "usr/bin/localedef": "",
    "usr/share/i18n/locales/de_AT": "",
    "usr/share/i18n/locales/de_DE": "",
    "usr/share/i18n/charmaps/ISO-8859-1.gz": "",
    "usr/share/i18n/charmaps/UTF-8.gz": "",
    "usr/share/zoneinfo/Europe/Berlin": "",
}
PLAIN = package("app-misc/plain", defined_phases=("compile", "install"))
HOOKED = package("app-misc/hooked", defined_phases=("install", "postinst"))


@pytest.fixture
def root(tmp_path: Path) -> FinishRoot:
    """What is known: a root in which ``/bin`` is a link."""
    write_files(tmp_path / "root", FILES)
    (tmp_path / "root/bin").symlink_to("usr/bin")
    return root_of([tmp_path / "root"])


def step(kind: str, *words: str, script: bytes = b"", path: Path | None = None) -> FinishStep:
    return FinishStep(kind, HERE, words, path, script)


@pytest.mark.parametrize(
    ("wrong", "what", "todo"),
    [
        (step("services_on", "ssh"), "brings the service “ssh”", "did you mean “sshd”?"),
        (step("services_on", "x1"), "brings the service “x1”", "there is: cronie, sshd"),
        (step("services_on", "sshd|defualt"), "no runlevel “defualt”", "did you mean “default”?"),
        (step("services_mask", "sshd"), "only systemd masks", "add sys-apps/systemd"),
        (step("preset_all"), "presets are of systemd", "add sys-apps/systemd"),
        (step("permission", "www-dta:root - /x"), "no user www-dta", "“www-data”?"),
        (step("owners", "root:whel /x"), "no group whel", "did you mean “wheel”?"),
        (step("user", "larry:::wheel,audio:::"), "no group audio", "there is: root, wheel"),
        (step("user", "larry::web::::"), "no group web", "there is"),
        (step("user", "larry::::::/bin/dahs"), "the shell /bin/dahs", "did you mean “/bin/dash”?"),
        (step("ssh_keys", "larry", "ssh-ed25519 A"), "no user larry", "there is"),
        (step("timezone", "Europe/Berln"), "zone Europe/Berln", "did you mean “Europe/Berlin”?"),
        (
            step("localedef", "de_ED.UTF-8 UTF-8"),
            "the locale “de_ED”",
            "did you mean “de_DE”? of this language there is: de_AT, de_DE",
        ),
        (step("localedef", "fr_FR.UTF-8 UTF-8"), "locale “fr_FR”", "there is: de_AT, de_DE"),
        (step("localedef", "de_DE UTF-9"), "character set “UTF-9”", "did you mean “UTF-8”?"),
        (step("groups", "x"), "brings /usr/sbin/groupadd", "add the package that brings it"),
        (
            step("hook", script=b"#!/usr/bin/perl -w\n", path=Path("set.pl")),
            "no package of the machine brings /usr/bin/perl, which “set.pl” needs",
            "",
        ),
    ],
)
def test_what_the_root_will_not_have_is_told_with_what_was_meant(
    root: FinishRoot, wrong: FinishStep, what: str, todo: str
) -> None:
    for unbuilt in ((), (package("virtual/init"), package("acct-user/www"))):
        with pytest.raises(ConfigError) as raised:
            check_finish((wrong,), root, unbuilt)
        assert raised.value.where == str(HERE)
        assert what in raised.value.what
        assert todo in (raised.value.todo or "")
    check_finish((wrong,), root, (HOOKED,))  # may bring it: nobody knows before it is built


def test_what_is_there_or_comes_by_an_earlier_step_is_right(
    root: FinishRoot, tmp_path: Path
) -> None:
    own = {"etc/init.d/own": "", "etc/passwd": "daemon:x:1:1::/:/bin/sh\n", "bin/zsh": ""}
    write_files(tmp_path / "files", own)
    check_finish(
        (
            step("files", path=tmp_path / "files"),
            step("group", "web:400"),
            step("user", "larry:::web,wheel::/home/larry:/usr/bin/zsh"),
            step("permission", "larry:larry 0640 /x"),
            step("permission", "- 0640 /x"),
            step("owners", "daemon:web /y"),
            step("ssh_keys", "larry", "ssh-ed25519 A"),
            step("localedef", "de_DE.UTF-8 UTF-8"),
            step("timezone", "Europe/Berlin"),
            step("services_on", "own"),
            step("services_on", "sshd|boot"),
            step("services_off", "none"),
            step("hook", script=b"#!/bin/dash\n", path=Path("x.sh")),
            step("services_on", "brought-by-the-hook"),
        ),
        root,
    )


@pytest.mark.parametrize(
    ("unbuilt", "known"),
    [
        (PLAIN, True),  # has no hook, and the root has /etc/passwd already
        (HOOKED, False),
        (package("acct-user/larry"), False),
        (package("acct-user/lary"), True),
        (package("acct-group/larry"), True),
        (package("virtual/x", defined_phases=("postinst",)), True),
    ],
)
def test_users_come_from_hooks_and_packages_of_their_name(
    root: FinishRoot, unbuilt: Package, known: bool
) -> None:
    wrong = (step("owners", "larry:root /x"),)
    if known:
        with pytest.raises(ConfigError, match="the root has no user larry"):
            check_finish(wrong, root, (unbuilt,))
    else:
        check_finish(wrong, root, (unbuilt,))


def test_the_first_accounts_of_a_root_may_come_from_any_package(tmp_path: Path) -> None:
    check_finish((step("owners", "larry:root /x"),), root_of([tmp_path]), (PLAIN,))


def test_what_cannot_be_copied_is_told_before(root: FinishRoot, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    os.mkfifo(tmp_path / "files/fifo")
    with pytest.raises(ConfigError, match="files/fifo is neither a file, a directory nor a link"):
        check_finish((step("files", path=tmp_path / "files"),), root, (HOOKED,))


def test_before_a_build_what_the_store_has_is_known(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        site = Site(store, Maker(store))
        hooked = package("hooked", requested=True, defined_phases=("postinst",))
        plain = package("plain", requested=True)

        def found(*packages: Package, etc: str = "make.conf", **more: bool) -> ConfigError | None:
            builder = site.builder(*packages)
            inputs = replace(builder.context.inputs, etc={etc: b""})
            context = replace(builder.context, inputs=inputs)
            wrong = (step("owners", "larry:root /x"),)
            builder = replace(builder, context=context, finish=wrong, **more)  # type: ignore[arg-type]
            return foreseen(builder, forecast(builder))

        assert found(hooked) is None  # it may bring larry
        site.build(hooked)
        error = found(hooked)
        assert error is not None
        assert error.what == "the root has no user larry"
        assert found(hooked, partial=True) is None
        assert found(hooked, etc="bashrc") is not None
        assert found(hooked, plain) is None  # so far the root has no /etc/passwd
        assert found(hooked, package("acct-user/other", requested=True)) is not None
        assert found(hooked, package("acct-user/other", requested=True), etc="bashrc") is None


KERNEL = Presence(
    ("usr/lib/modules/*/vmlinu[xz]*", "boot/vmlinuz-*"),
    HERE,
    "the root has no kernel",
    "add one",
    "sys-kernel",
)


def test_what_an_image_needs_of_the_root_is_found_in_it_or_in_files(tmp_path: Path) -> None:
    trees = [tmp_path / name for name in ("bare", "modules", "boot", "files", "empty")]
    bare, modules, boot, files, empty = trees
    write_files(bare, ["etc/passwd", "usr/lib/modules/6.1/kernel.ko", "boot/grub/vmlinuz-x"])
    write_files(modules, ["usr/lib/modules/6.1/vmlinuz"])
    write_files(boot, ["boot/vmlinuz-6.1"])
    write_files(empty, ["etc/passwd"])
    write_files(files, ["usr/lib/modules/6.2/vmlinuz"])
    with pytest.raises(ConfigError) as caught:
        check_finish((), root_of([bare]), presences=(KERNEL,))
    assert (caught.value.what, caught.value.todo) == (KERNEL.what, "add one")
    for tree in (modules, boot):
        assert check_finish((), root_of([bare, tree]), presences=(KERNEL,)) == ()
    for tree in (bare, empty):  # one has the directory, the other has not
        copied = step("files", path=files)
        assert check_finish((copied,), root_of([tree]), presences=(KERNEL,)) == ()
    hook = step("hook", script=b"true", path=Path("x.sh"))
    assert check_finish((hook,), root_of([bare]), (), (KERNEL,)) == ()  # it may bring one
    accounts = (package("acct-user/web"), package("virtual/init"))
    with pytest.raises(ConfigError):
        check_finish((), root_of([bare]), accounts, (KERNEL,))
    assert check_finish((), root_of([bare]), (PLAIN,), (KERNEL,)) == (KERNEL,)


def test_a_kernel_that_no_package_is_likely_to_bring_is_a_warning(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        site = Site(store, Maker(store))
        plain, kernel = package("plain", requested=True), package("sys-kernel/x", requested=True)

        def found(*packages: Package) -> tuple[ConfigError | None, list[str]]:
            builder = replace(site.builder(*packages), presences=(KERNEL,))
            said: list[str] = []
            builder.context.bus.add(
                lambda event: isinstance(event, Note) and said.append(event.text)
            )
            return foreseen(builder, forecast(builder)), said

        doubt = (
            "web.toml:7: perhaps the root has no kernel: no package of the plan is in sys-kernel"
        )
        assert found(plain) == (None, [doubt])
        assert found(plain, kernel) == (None, [])
        site.build(plain)
        error, _ = found(plain)
        assert error is not None
        assert error.what == "the root has no kernel"


def test_units_of_systemd_are_services(tmp_path: Path) -> None:
    units = ("usr/bin/systemctl", "usr/lib/systemd/system/sshd.service")
    write_files(tmp_path, (*units, "usr/lib/systemd/system/getty@.service"))
    root = root_of([tmp_path])
    check_finish((step("services_on", "sshd"), step("services_on", "getty@tty1")), root)
    with pytest.raises(ConfigError, match="did you mean “sshd”"):
        check_finish((step("services_on", "sshdd"),), root)
    with pytest.raises(
        ConfigError, match=r"“sshd\|boot” has a runlevel, as in OpenRC, and the root"
    ):
        check_finish((step("services_on", "sshd|boot"),), root)


def test_a_root_without_localedef_has_no_locales_unless_it_is_one_of_musl(tmp_path: Path) -> None:
    wanted = step("localedef", "de_DE.UTF-8 UTF-8")
    write_files(tmp_path / "static", {"bin/true": ""})
    with pytest.raises(ConfigError, match=r"web\.toml:7: the root has no localedef"):
        check_finish([wanted], root_of([tmp_path / "static"]))
    check_finish([wanted], root_of([tmp_path / "static"]), [PLAIN])
    write_files(tmp_path / "musl", {"lib/ld-musl-x86_64.so.1": ""})
    root = root_of([tmp_path / "musl"])
    check_finish([wanted], root)
    assert not list(commands(wanted, root))


def test_a_package_to_remove_is_one_of_the_machines(tmp_path: Path) -> None:
    write_files(tmp_path / "root", {"var/db/pkg/app-text/tree-2.1-r1/CATEGORY": "app-text\n"})
    root = root_of([tmp_path / "root"])

    def removing(atom: str) -> FinishStep:
        return replace(step("unmerge", atom), strict=True)

    check_finish([removing("app-text/tree"), removing("app-misc/plain")], root, [PLAIN])
    for atom, meant in (("app-text/tre", "app-text/tree"), ("app-misc/plan", "app-misc/plain")):
        with pytest.raises(ConfigError) as raised:
            check_finish([removing(atom)], root, [PLAIN])
        assert f"web.toml:7: the machine has no package {atom} to remove" in str(raised.value)
        assert f"did you mean “{meant}”?" in str(raised.value)
    check_finish([step("unmerge", "app-text/tre")], root)  # catalyst's unmerge only warns


def test_accounts_of_this_host_are_not_those_of_a_root_with_a_link(tmp_path: Path) -> None:
    write_files(tmp_path / "host", {"passwd": PASSWD})
    (tmp_path / "root").mkdir()
    (tmp_path / "root/etc").symlink_to(tmp_path / "host")
    assert root_of([tmp_path / "root"]).users == frozenset()
    assert root_of([tmp_path / "root", _plain(tmp_path)]).users == {"root", "www-data"}


def _plain(place: Path) -> Path:
    write_files(place / "plain", FILES)
    return place / "plain"
