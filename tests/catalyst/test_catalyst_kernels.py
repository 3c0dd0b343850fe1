"""Kernels of a spec as machines: what each key of `boot/kernel/LABEL/` becomes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.catalyst.made import conf_of, machine, text

from cloche.catalyst.conf import read_conf
from cloche.catalyst.kernels import BOOT, kernels_of
from cloche.catalyst.machines import project_of
from cloche.catalyst.making import Copied, Inputs, Project
from cloche.catalyst.spec import Spec, parse_spec
from cloche.catalyst.subarchs import Subarch
from cloche.config.errors import ConfigError

INPUTS = Inputs(Subarch(), Path("/source.tar"), Path("/gentoo-x.sqfs"))
HEAD = """\
subarch: amd64
version_stamp: 1
rel_type: x
profile: p
snapshot_treeish: x
source_subpath: x/y
"""
STAGE4 = HEAD + "target: stage4\nstage4/packages: a/b\nstage4/use: extra\n"
NETBOOT = HEAD + "target: netboot\nnetboot/packages: a/b c/d\n"
EMBEDDED = HEAD + "target: embedded\nembedded/packages: a/b c/d\n"


def spec(text: str, file: Path = Path("x.spec")) -> Spec:
    return parse_spec(text, file)


def project(text: str) -> Project:
    return project_of(spec(text), read_conf([]), INPUTS)


def variables(made: Project, name: str) -> dict[str, str]:
    (step,) = (each for each in machine(made, name)["finish"] if "hook" in each)
    found: dict[str, str] = step["environment"]
    return found


def test_a_distribution_kernel_is_a_package_and_then_an_initramfs(tmp_path: Path) -> None:
    config = tmp_path / "live.config"
    config.write_text("CONFIG_X=y\n")
    made = project(
        STAGE4
        + f"""\
boot/kernel: gentoo
boot/kernel/gentoo/distkernel: yes
boot/kernel/gentoo/config: {config}
boot/kernel/gentoo/use: png usb
boot/kernel/gentoo/dracut_args: --xz -a "one two" -I busybox
"""
    )
    assert made.machines == (
        "system", "packages", "kernel-gentoo-tools", "kernel-gentoo", "stage4",
    )  # fmt: skip
    tools, kernel = machine(made, "kernel-gentoo-tools"), machine(made, "kernel-gentoo")
    assert tools["packages"] == ["sys-kernel/dracut"]
    assert tools["emerge"] == ["--oneshot"]
    files, without = tools["finish"]
    assert files == {"files": "kernels/gentoo"}
    assert "/etc/portage/make.profile" in without["remove"]  # other specs can share what follows
    assert made.files["kernels/gentoo/etc/kernel/config.d/live.config"] == Copied(config)
    assert "kernels/gentoo/etc/kernel/install.d/05-check-chroot.install" in made.files
    assert kernel["packages"] == ["sys-kernel/gentoo-kernel"]  # catalyst's own if none is named
    assert kernel["emerge"] == ["--update", "--oneshot"]  # it is deselected at the end
    assert kernel["keep_world"]
    use = conf_of(made, "kernel-gentoo-sources")
    assert use == 'USE="extra png usb -initramfs"\n'
    package_use = text(made, "portage/kernel-gentoo-sources/package.use")
    assert package_use == "sys-kernel/gentoo-kernel -initramfs\n"
    seen = variables(made, "kernel-gentoo")
    assert seen["OPTIONS"].splitlines() == ["--xz", "-a", "one two", "-I", "busybox"]
    assert seen["BOOT"] == ""  # a stage4 has no boot loader's names
    assert not [name for name in seen if name.startswith("clst_")]  # a stamp changes no kernel
    last = machine(made, "stage4")
    assert last["seed"] == "kernel-gentoo"
    assert last["keep_world"]
    assert "packages" not in last
    assert last["output"]["stage4"]


def test_packages_for_a_kernel_come_before_its_initramfs() -> None:
    made = project(
        STAGE4
        + """\
boot/kernel: gentoo
boot/kernel/gentoo/distkernel: yes
boot/kernel/gentoo/use: livecd
boot/kernel/gentoo/packages: --usepkg n sys-fs/zfs broadcom-sta
"""
    )
    assert made.machines[2:4] == ("kernel-gentoo-tools", "kernel-gentoo-sources")
    assert not [each for each in machine(made, "kernel-gentoo-sources")["finish"] if "hook" in each]
    packages = machine(made, "kernel-gentoo")
    assert packages["packages"] == ["sys-fs/zfs", "broadcom-sta"]
    assert "emerge" not in packages  # so they are in the world file
    assert conf_of(made, "kernel-gentoo") == 'USE="extra livecd"\n'
    assert packages["finish"][0]["hook"] == "hooks/kernel-gentoo"


def test_genkernel_gets_catalysts_options_in_its_order(tmp_path: Path) -> None:
    for name in ("one.config", "linuxrc"):
        (tmp_path / name).write_text("x\n")
    made = project(
        STAGE4
        + f"""\
stage4/gk_mainargs: --lvm --no-btrfs
stage4/linuxrc: {tmp_path}/linuxrc
boot/kernel: one
boot/kernel/one/sources: gentoo-sources
boot/kernel/one/config: {tmp_path}/one.config
boot/kernel/one/initramfs_overlay: {tmp_path}
boot/kernel/one/gk_kernargs: --all-ramdisk-modules --kernel-cc='gcc -m64'
boot/kernel/one/extraversion: ibm
"""
    )
    assert machine(made, "kernel-one-tools")["packages"] == ["sys-kernel/genkernel"]
    assert machine(made, "kernel-one")["packages"] == ["gentoo-sources"]
    assert text(made, "portage/kernel-one-sources/package.use") == "*/gentoo-sources symlink\n"
    seen = variables(made, "kernel-one")
    assert seen["EXTRAVERSION"] == "ibm"
    assert seen["PART"] == "all"
    options = seen["OPTIONS"].splitlines()
    assert options[:3] == ["--all-ramdisk-modules", "--kernel-cc=gcc -m64", "--no-mountboot"]
    after = options.index("all")
    assert options[after:] == [
        "all", "--lvm", "--no-btrfs",
        "--kernel-config=/run/cloche/inputs/config",
        "--initramfs-overlay=/run/cloche/inputs/overlay",
        "--linuxrc=/run/cloche/inputs/linuxrc",
    ]  # fmt: skip
    step, _ = machine(made, "kernel-one")["finish"]
    assert step["inputs"] == "kernels/one"
    assert made.files["kernels/one/config"] == Copied(tmp_path / "one.config")
    assert "kernels/one/bin/find" in made.files


def test_packages_of_genkernel_come_between_kernel_and_initramfs() -> None:
    made = project(STAGE4 + "boot/kernel: one\nboot/kernel/one/packages: sys-fs/zfs\n")
    assert variables(made, "kernel-one-sources")["PART"] == "kernel"
    assert "kernel" in variables(made, "kernel-one-sources")["OPTIONS"].splitlines()
    assert machine(made, "kernel-one")["emerge"] == ["--newuse"]
    assert variables(made, "kernel-one")["PART"] == "initramfs"


def test_each_kernel_lies_over_the_one_before(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.config").write_text("x\n")
    keys = "".join(
        f"boot/kernel/{name}/distkernel: yes\nboot/kernel/{name}/config: {tmp_path}/{name}.config\n"
        for name in ("a", "b")
    )
    made = project(STAGE4 + "boot/kernel: a b c\n" + keys)
    seeds = [machine(made, name).get("seed") for name in made.machines[2:]]
    assert seeds == [
        "packages", "kernel-a-tools", "kernel-a", "kernel-b-tools", "kernel-b", "kernel-c-tools",
        "kernel-c",
    ]  # fmt: skip
    second = machine(made, "kernel-b-tools")
    assert second["emerge"] == ["--oneshot", "--noreplace"]  # it is there
    assert second["finish"][0] == {"remove": ["/etc/kernel/config.d/a.config"]}
    assert machine(made, "kernel-c-tools")["packages"] == ["sys-kernel/genkernel"]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("boot/kernel/one/distkernel: perhaps", "“perhaps” is neither yes nor no"),
        ("boot/kernel/one/gk_kernargs: --cc='gcc", "cannot be split into shell words"),
        ("boot/kernel/one/extraversion: a:b", "cannot be a part of a version"),
        ("boot/kernel/one/config: none.config", "no such file: none.config"),
        ("boot/kernel: o.ne", "“o.ne” is not a kernel's label"),
    ],
)
def test_a_wrong_kernel_is_refused_with_its_line(line: str, what: str) -> None:
    text = STAGE4 + ("" if line.startswith("boot/kernel:") else "boot/kernel: one\n") + line
    with pytest.raises(ConfigError, match=what) as raised:
        kernels_of(spec(text))
    assert str(raised.value).startswith(f"x.spec:{len(text.splitlines())}")


def test_a_config_is_found_in_releng_by_its_name_as_catalyst_auto_does(tmp_path: Path) -> None:
    for name in ("tools", "releases/specs", "releases/kconfig/amd64", "releases/kconfig/x86"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "tools/catalyst-auto").write_text("")
    config = tmp_path / "releases/kconfig/amd64/live.config"
    config.write_text("x\n")
    file = tmp_path / "releases/specs/x.spec"
    text = STAGE4 + "boot/kernel: one\nboot/kernel/one/config: /root/releng/live.config\n"
    assert kernels_of(spec(text, file))[0].config == config
    (tmp_path / "releases/kconfig/x86/live.config").write_text("x\n")
    with pytest.raises(ConfigError, match="releases/kconfig has several files named live"):
        kernels_of(spec(text, file))
    there = text.replace("/root/releng", "../kconfig/amd64")
    assert kernels_of(spec(there, file))[0].config == config
    for other in ("/root/releng/*86", "/", "/root/x86", "/root/.."):  # neither patterns nor files
        with pytest.raises(ConfigError, match="no such file"):
            kernels_of(spec(text.replace("/root/releng/live.config", other), file))


def test_netboot_puts_files_of_packages_into_the_initramfs() -> None:
    made = project(
        NETBOOT
        + """\
netboot/packages/a/b/files: /usr/bin/b /usr/lib/libb.so.*
netboot/extra_files: /etc/x
netboot/overlay: /over
boot/kernel: one
"""
    )
    assert made.machines == ("packages", "kernel-one-tools", "kernel-one", "netboot")
    hook, over, _ = machine(made, "packages")["finish"]
    files = hook["environment"]["FILES"].splitlines()
    assert files == ["/usr/bin/b", "/usr/lib/libb.so.*", "/etc/x"]
    assert over == {"files": "overlay/0"}
    assert made.files["overlay/0/var/lib/cloche/image"] == Copied(Path("/over"))
    seen = variables(made, "kernel-one")
    assert seen["BOOT"] == BOOT
    assert seen["OPTIONS"].splitlines()[-2:] == [
        "--netboot", "--initramfs-overlay=/var/lib/cloche/image",
    ]  # fmt: skip
    assert machine(made, "netboot")["output"]["below"] == "/var/lib/cloche/netboot"


def test_embedded_is_what_is_named_alone() -> None:
    made = project(
        EMBEDDED
        + """\
install_mask: /usr/share/doc
embedded/unmerge: c/d
embedded/rm: /usr/share/man
embedded/empty: /var
"""
    )
    assert made.machines == ("dependencies", "embedded")
    needs, root = machine(made, "dependencies"), machine(made, "embedded")
    assert needs["emerge"] == ["--onlydeps", "--oneshot"]
    assert root["root"] == "own"
    assert root["seed"] == "dependencies"
    assert root["packages"] == ["a/b", "c/d"]
    assert root["emerge"] == ["--oneshot", "--nodeps"]
    assert conf_of(made, "mergeroot") == 'INSTALL_MASK="/usr/share/doc"\n'
    assert "mergeroot" not in needs["portage"]
    kinds = [next(iter(step)) for step in root["finish"]]
    assert kinds == ["unmerge", "remove", "empty", "files"]
