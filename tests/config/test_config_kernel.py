"""What a machine's file says of its kernel."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from cloche.config.errors import ConfigError
from cloche.config.kernel import PACKAGE, Kernel, read_kernel
from cloche.config.table import load

SOURCES = 'sources = "sys-kernel/gentoo-sources"'


def kernel(text: str, root: Path) -> Kernel | None:
    file = root / "machine.toml"
    file.write_text(f"{text}\n")
    return read_kernel(load(file, root), root)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    place = tmp_path / "kernel"
    place.mkdir()
    (place / "web.config").write_text("CONFIG_64BIT=y\n# CONFIG_PCI is not set\n")
    (place / "net.config").write_text("# Networks.\n\nCONFIG_NET=y\n")
    (place / "none.config").write_text("CONFIG_64BIT=y\n# CONFIG_NET is not set\n")
    return tmp_path


def test_a_machine_need_not_have_a_kernel(tmp_path: Path) -> None:
    assert kernel('seed = "debian"', tmp_path) is None


def test_a_kernel_of_sources_is_a_package_of_its_own(project: Path) -> None:
    found = kernel(
        f'[kernel]\n{SOURCES}\nconfig = "kernel/web.config"\nfragments = ["kernel/net.config"]',
        project,
    )
    assert found
    assert found.package.atom == PACKAGE
    assert found.sources
    assert found.sources.atom == "sys-kernel/gentoo-sources"
    assert found.config
    assert found.config.name == "kernel/web.config"
    assert [each.name for each in found.fragments] == ["kernel/net.config"]
    assert not found.keep_sources


@pytest.mark.parametrize(
    ("line", "target"), [("", "defconfig"), ('config = "tinyconfig"', "tinyconfig")]
)
def test_without_a_file_a_target_of_the_kernel_begins(
    line: str, target: str, project: Path
) -> None:
    found = kernel(f"[kernel]\n{SOURCES}\n{line}", project)
    assert found
    assert (found.target, found.config) == (target, None)


def test_a_distribution_kernel_is_the_package_itself(tmp_path: Path) -> None:
    found = kernel('[kernel]\ndist = "sys-kernel/gentoo-kernel:6.12"', tmp_path)
    assert found
    assert found.package.atom == "sys-kernel/gentoo-kernel:6.12"


def certificate(project: Path, *kind: str) -> None:
    words = ["openssl", "req", "-new", "-x509", "-newkey", *(kind or ("rsa:2048",))]
    words += ["-nodes", "-subj", "/CN=t"]
    words += ["-keyout", str(project / "modules.key"), "-out", str(project / "kernel/modules.pem")]
    subprocess.run(words, check=True, capture_output=True)


SIGNING = 'signing = { file = "~/modules.key", certificate = "kernel/modules.pem" }'


def test_a_key_of_modules_is_named_and_not_read(project: Path) -> None:
    certificate(project)
    found = kernel(f"[kernel]\n{SOURCES}\n{SIGNING}", project)
    assert found
    assert found.signing
    assert found.signing.key.file == Path("~/modules.key").expanduser()
    assert found.signing.certificate.content.startswith(b"-----BEGIN CERTIFICATE-----")
    (fragment,) = found.merged
    assert b'CONFIG_SYSTEM_TRUSTED_KEYS="certs/cloche.pem"' in fragment.content
    assert found.fragments == ()
    found = kernel(f'[kernel]\ndist = "sys-kernel/gentoo-kernel"\n{SIGNING}', project)
    assert found
    assert found.merged == ()  # its own configuration has to trust the certificate


def test_a_fragment_that_is_against_signing_is_an_error_with_both_places(project: Path) -> None:
    certificate(project)
    (project / "kernel/net.config").write_text("CONFIG_NET=y\n# CONFIG_MODULE_SIG is not set\n")
    with pytest.raises(ConfigError) as caught:
        kernel(f'[kernel]\n{SOURCES}\n{SIGNING}\nfragments = ["kernel/net.config"]', project)
    assert str(caught.value.where) == f"{project}/kernel/net.config:2"
    assert "CONFIG_MODULE_SIG is “n” here, and “y” by [kernel.signing]" in str(caught.value)
    assert f"or [kernel.signing] in {project}/machine.toml:3" in str(caught.value)


@pytest.mark.parametrize("key", ["config", "fragments"])
def test_a_kernel_without_modules_has_none_to_sign(key: str, project: Path) -> None:
    certificate(project)
    off, on = project / "kernel/net.config", project / "kernel/on.config"
    off.write_text("CONFIG_NET=y\n# CONFIG_MODULES is not set\n")
    on.write_text("CONFIG_MODULES=y\n")
    names = '"kernel/net.config"' if key == "config" else '["kernel/net.config"]'
    text = f"[kernel]\n{SOURCES}\n{SIGNING}\n{key} = {names}"
    with pytest.raises(ConfigError) as caught:
        kernel(text, project)
    assert "CONFIG_MODULES is off, so there are no modules to sign" in str(caught.value)
    assert str(caught.value.where) == f"{project}/kernel/net.config:2"
    if key == "config":
        assert kernel(f'{text}\nfragments = ["kernel/on.config"]', project)


@pytest.mark.parametrize(
    "kind", [("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), ("ed25519",), ("rsa-pss",)]
)
def test_a_key_whose_signatures_differ_each_time_is_refused(
    kind: tuple[str, ...], project: Path
) -> None:
    certificate(project, *kind)
    with pytest.raises(ConfigError) as caught:
        kernel(f"[kernel]\n{SOURCES}\n{SIGNING}", project)
    assert "kernel/modules.pem is of a key that is not RSA" in str(caught.value)
    assert str(caught.value.where) == f"{project}/machine.toml:3"


@pytest.mark.parametrize("length", [0, 1, 2, 5, 20, 300])
def test_what_is_cut_off_is_no_certificate(length: int, project: Path) -> None:
    certificate(project)
    file = project / "kernel/modules.pem"
    der = ssl.PEM_cert_to_DER_cert(file.read_text().strip())
    file.write_text(ssl.DER_cert_to_PEM_cert(der[:length]))
    with pytest.raises(ConfigError, match="is not a certificate in PEM"):
        kernel(f"[kernel]\n{SOURCES}\n{SIGNING}", project)


@pytest.mark.parametrize(
    ("key", "line"),
    [("config", "CONFIG_MODULE_COMPRESS_XZ=y"), ("fragments", "CONFIG_MODULE_COMPRESS=y")],
)
def test_compressed_modules_cannot_be_signed(key: str, line: str, project: Path) -> None:
    certificate(project)
    (project / "kernel/net.config").write_text(f"{line}\n")
    names = '"kernel/net.config"' if key == "config" else '["kernel/net.config"]'
    with pytest.raises(ConfigError) as caught:
        kernel(f"[kernel]\n{SOURCES}\n{SIGNING}\n{key} = {names}", project)
    assert "compressed modules cannot be signed" in str(caught.value)
    assert str(caught.value.where) == f"{project}/kernel/net.config:1"


def test_a_certificate_holds_no_private_key(project: Path) -> None:
    certificate(project)
    both = (project / "modules.key").read_text() + (project / "kernel/modules.pem").read_text()
    (project / "kernel/modules.pem").write_text(both)
    with pytest.raises(ConfigError) as caught:
        kernel(f"[kernel]\n{SOURCES}\n{SIGNING}", project)
    assert "holds a private key" in str(caught.value)
    assert "MII" not in str(caught.value)


def test_an_initramfs_asks_for_the_program_that_makes_it(project: Path) -> None:
    options = 'initramfs = "dracut"\ndracut_options = ["--add", "lvm"]'
    found = kernel(f"[kernel]\n{SOURCES}\n{options}", project)
    assert found
    assert [each.atom for each in found.packages] == [PACKAGE, "sys-kernel/dracut"]
    assert found.options == ("--add", "lvm")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[kernel]", 1, "neither “sources” nor “dist”"),
        (f'[kernel]\n{SOURCES}\ndist = "a/b"', 1, "both “sources” and “dist”"),
        ('[kernel]\nsources = "gentoo-sources"', 2, "the category is missing"),
        ('[kernel]\ndist = "a/b"\nconfig = "tinyconfig"', 3, "no effect on a distribution"),
        (f'[kernel]\n{SOURCES}\nconfig = "kernel/wbe.config"', 3, "no such file"),
        (f'[kernel]\n{SOURCES}\nfragments = ["/etc/fstab"]', 3, "cannot be the name"),
        (f'[kernel]\n{SOURCES}\nfragments = ["kernel/../../x"]', 3, "cannot be the name"),
        (f'[kernel]\n{SOURCES}\nfragments = ["a b"]', 3, "cannot be the name"),
        (f'[kernel]\n{SOURCES}\ninitramfs = "dracutt"', 3, "did you mean “dracut”"),
        (f'[kernel]\n{SOURCES}\ndracut_options = ["-a"]', 3, "only has an effect with an init"),
        (f'[kernel]\n{SOURCES}\nsigning = {{ key = "k" }}', 3, "unknown key “kernel.signing.key”"),
        (f'[kernel]\n{SOURCES}\nsigning = {{ file = "k" }}', 3, "certificate"),
        (f'[kernel]\n{SOURCES}\nsigning = {{ certificate = "kernel/web.config" }}', 3, "source"),
        (
            f"[kernel]\n{SOURCES}\n{SIGNING.replace('modules.pem', 'web.config')}",
            3,
            "is not a certificate in PEM",
        ),
        (f"[kernel]\n{SOURCES}\n{SIGNING.replace('modules.pem', 'no.pem')}", 3, "no such file"),
        (f"[kernel]\n{SOURCES}\nfragment = []", 3, "did you mean “fragments”"),
    ],
)
def test_bad_input_is_named_with_its_line(text: str, line: int, words: str, project: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        kernel(text, project)
    assert words in str(caught.value)
    assert str(caught.value.where) == f"{project}/machine.toml:{line}"


def test_what_the_kernels_scripts_would_pass_over_is_an_error(project: Path) -> None:
    (project / "kernel/net.config").write_text("CONFIG_NET=y\nINET=y\n")
    with pytest.raises(ConfigError) as caught:
        kernel(f'[kernel]\n{SOURCES}\nfragments = ["kernel/net.config"]', project)
    assert str(caught.value.where) == f"{project}/kernel/net.config:2"


def test_fragments_that_disagree_are_an_error_and_the_first_configuration_may(
    project: Path,
) -> None:
    (project / "kernel/pci.config").write_text("CONFIG_PCI=y\n")
    assert kernel(
        f'[kernel]\n{SOURCES}\nconfig = "kernel/web.config"\nfragments = ["kernel/pci.config"]',
        project,
    )
    with pytest.raises(ConfigError) as caught:
        kernel(
            f'[kernel]\n{SOURCES}\nfragments = ["kernel/net.config", "kernel/none.config"]', project
        )
    assert str(caught.value.where) == f"{project}/kernel/none.config:2"
    assert f"{project}/kernel/net.config:3" in str(caught.value)
