"""What of a kernel's configuration did not survive, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.guest import kernel_config

KCONFIG = """\
mainmenu "Linux"
config NET
	bool "Networking support"
	help
		config OLD is not an option: this is a help text.

menuconfig PCI
	bool "PCI support"
	depends on NET
	depends on !UML # for now

config CC_VERSION_TEXT
	string
	default "$(CC_VERSION_TEXT)"

if NET
config INET
	tristate 'TCP/IP'
endif
config MODULE_SIG_KEY
	string "Key"
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "linux"
    for name, text in {
        "Kconfig": KCONFIG,
        "arch/x86/Kconfig": 'config X86\n\tbool "x86"\n',
        "arch/arm/Kconfig": 'config ARM\n\tbool "arm"\n',
        "tools/Kconfig": 'config TOOL\n\tbool "not of the kernel"\n',
    }.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    return top


def wrong(tree: Path, made: str, base: str = "", fragment: str = "") -> list[str]:
    options = kernel_config.declared(tree, "x86")
    config = kernel_config.said(made, ".config")
    over = kernel_config.said(fragment, "net.config")
    return list(kernel_config.faults(config, kernel_config.said(base, "web.config"), over, options))


def test_options_are_those_of_this_cpu(tree: Path) -> None:
    options = kernel_config.declared(tree, "x86")
    assert sorted(options) == ["CC_VERSION_TEXT", "INET", "MODULE_SIG_KEY", "NET", "PCI", "X86"]
    assert not options["CC_VERSION_TEXT"].prompt
    assert options["INET"].prompt


def test_what_is_as_it_was_asked_for_is_right(tree: Path) -> None:
    fragment = "# CONFIG_PCI is not set\nCONFIG_NET=y\n# CONFIG_INET is not set\n"
    assert wrong(tree, "CONFIG_NET=y\n# CONFIG_PCI is not set\n", "", fragment) == []


def test_an_option_that_did_not_survive_is_named_with_what_it_depends_on(tree: Path) -> None:
    assert wrong(tree, "# CONFIG_NET is not set\n", "", "# Why\nCONFIG_PCI=y\n") == [
        "net.config:2: CONFIG_PCI is “n”, not “y”; it depends on NET && !UML"
    ]


def test_an_option_that_is_not_there_gets_the_nearest_name(tree: Path) -> None:
    assert wrong(tree, "CONFIG_NET=y\n", "", "CONFIG_INTE=y\n") == [
        "net.config:1: this kernel has no option CONFIG_INTE; did you mean CONFIG_INET?"
    ]
    assert "no option CONFIG_INTE" in wrong(tree, "", "", "# CONFIG_INTE is not set\n")[0]


def test_a_whole_configuration_may_have_what_only_the_kernel_sets(tree: Path) -> None:
    made = 'CONFIG_CC_VERSION_TEXT="gcc 14"\nCONFIG_NET=y\n'
    base = 'CONFIG_CC_VERSION_TEXT="gcc 12"\nCONFIG_NET=y\n# CONFIG_GONE is not set\n'
    assert wrong(tree, made, base) == []
    assert "only other options set it" in wrong(tree, made, "", 'CONFIG_CC_VERSION_TEXT="g"\n')[0]
    assert "no option CONFIG_GONE" in wrong(tree, made, "CONFIG_GONE=y\n")[0]


def test_a_fragment_overrides_the_whole_configuration(tree: Path) -> None:
    assert wrong(tree, "CONFIG_NET=y\n", "# CONFIG_NET is not set\n", "CONFIG_NET=y\n") == []
    base = "CONFIG_NET=y\nCONFIG_INET=y\n"
    assert wrong(tree, "", base, "# CONFIG_NET is not set\n") == []
    assert len(wrong(tree, "", base)) == 2


def test_a_key_made_at_random_is_refused(tree: Path) -> None:
    made = 'CONFIG_MODULE_SIG_KEY="certs/signing_key.pem"\n'
    (found,) = wrong(tree, made)
    assert found.startswith("the configuration: with CONFIG_MODULE_SIG_KEY=")
    assert found.endswith('write CONFIG_MODULE_SIG_KEY=""')


def test_the_program_says_it_in_one_line(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".config").write_text("CONFIG_NET=y\n")
    fragment = tmp_path / "x.config"
    fragment.write_text("CONFIG_NET=y\n")
    arguments = (str(tree), "x86", str(tmp_path / ".config"), "", str(fragment))
    assert kernel_config.main(*arguments) == 0
    fragment.write_text("CONFIG_NTE=y\nCONFIG_PCI=y\n")
    assert kernel_config.main(*arguments) == 1
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "did you mean CONFIG_NET? (and 1 more, see the log)" in out


def test_places_are_those_of_the_project_and_of_the_machines_table(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # FILESDIR
    (tmp_path / ".config").write_text("CONFIG_MODULES=y\n")
    (tmp_path / "project/kernel").mkdir(parents=True)
    (tmp_path / "project/kernel/x.config").write_text("CONFIG_NTE=y\n")
    (tmp_path / "cloche.signing").write_text("CONFIG_NET=y\n")
    for file, said in (
        ("project/kernel/x.config", "kernel/x.config:1: this kernel has no option CONFIG_NTE"),
        ("cloche.signing", "[kernel.signing]: CONFIG_NET is “n”, not “y”"),
    ):
        assert kernel_config.main(str(tree), "x86", ".config", "", file) == 1
        assert capsys.readouterr().out.startswith(said)
    (tmp_path / ".config").write_text("CONFIG_NET=y\n")
    assert kernel_config.main(str(tree), "x86", ".config", "", "cloche.signing") == 1
    assert capsys.readouterr().out.startswith("[kernel.signing]: CONFIG_MODULES is off, so")


def test_changes_are_what_a_user_sets(tree: Path) -> None:
    options = kernel_config.declared(tree, "x86")
    before = kernel_config.said('CONFIG_NET=y\nCONFIG_INET=m\nCONFIG_CC_VERSION_TEXT="1"\n', "a")
    after = kernel_config.said('CONFIG_PCI=y\nCONFIG_INET=m\nCONFIG_CC_VERSION_TEXT="2"\n', "b")
    assert list(kernel_config.changes(before, after, options)) == [
        "# CONFIG_NET is not set",
        "CONFIG_PCI=y",
    ]


def test_what_a_new_version_lacks_is_gone(tree: Path) -> None:
    options = kernel_config.declared(tree, "x86")
    base = kernel_config.said("CONFIG_NET=y\nCONFIG_INTE=m\n# CONFIG_OLD is not set\n", "a")
    assert list(kernel_config.gone(base, options)) == ["CONFIG_INTE=m; did you mean CONFIG_INET?"]
