"""`cloche seed add`: declare a seed in cloche.toml, make it, pin it in cloche.lock."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import click

from cloche.cli.complete import complete_machine
from cloche.cli.options import Options, opened_store
from cloche.cli.seed import FILE, KEYRING, data_of, make_seed, seed
from cloche.cli.usage import Group
from cloche.config.declare import check_declaration, declare_seed
from cloche.config.errors import Origin
from cloche.config.project import SeedSpec, load_project
from cloche.seeds.arch import host_arch
from cloche.session.inputs import SeedOptions

NAME = click.option(
    "--name",
    help="Name of the seed [its type, with the flavour of a stage3; or the name of the machine].",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
PATH = click.Path(exists=True, path_type=Path)


@seed.group(
    cls=Group,
    epilog="""\b
Examples:
  cloche seed add stage3 --arch amd64 --flavour systemd
  cloche seed add stage3 --file stage3-amd64-openrc-20260406T170000Z.tar.xz
  cloche seed add tarball my-root.tar.zst --name mine
  cloche seed add oci image.tar --ref latest
  cloche seed add machine stage1
""",
)
def add() -> None:
    """Declare a seed in cloche.toml, make it, and pin it in cloche.lock."""


@add.command(
    "stage3",
    epilog="""\b
Examples:
  cloche seed add stage3 --arch amd64 --flavour openrc
  cloche seed add stage3 --flavour musl-llvm --mirror https://mirror.example.org/gentoo
  cloche seed add stage3 --arch x86 --flavour i686:openrc
  cloche seed add stage3 --file stage3-amd64-openrc-20260406T170000Z.tar.xz --keyring keys.asc
""",
)
@click.option("--arch", help="Gentoo's ARCH [the host's].")
@click.option(
    "--flavour",
    help="Flavour as on the mirror: openrc, systemd, musl … [openrc]. Use SUBARCH:FLAVOUR if the "
    "name on the mirror has another word than ARCH.",
)
@click.option("--mirror", help="Gentoo mirror [$CLOCHE_GENTOO_MIRROR, Gentoo's default].")
@click.option("--file", type=FILE, help="A local tarball, with its .asc beside it.")
@click.option("--keyring", type=FILE, help=KEYRING)
@NAME
@JSON
@click.pass_obj
def stage3_command(
    options: Options,
    arch: str | None,
    flavour: str | None,
    mirror: str | None,
    file: Path | None,
    keyring: Path | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Use a stage3: the newest one of a mirror, or a local file. It must be signed."""
    arch, flavour = arch or host_arch().gentoo, flavour or "openrc"
    said = {"arch": arch, "flavour": flavour, "mirror": mirror, "file": file, "keyring": keyring}
    own = f"stage3-{arch}-{flavour.replace(':', '-')}"
    _add(options, name or own, "stage3", said, as_json=as_json)


@add.command("tarball", epilog="\b\nExamples:\n  cloche seed add tarball my-root.tar.zst")
@click.argument("path", type=FILE)
@click.option("--sha256", help="The expected SHA-256.")
@NAME
@JSON
@click.pass_obj
def tarball_command(
    options: Options, path: Path, sha256: str | None, name: str | None, as_json: bool
) -> None:
    """Use any tarball of a root with Portage in it, as it is."""
    _add(options, name or "tarball", "tarball", {"path": path, "sha256": sha256}, as_json=as_json)


@add.command(
    "directory",
    epilog="\b\nExamples:\n  cloche seed add directory /srv/root\n  cloche seed add directory /",
)
@click.argument("path", type=PATH)
@NAME
@JSON
@click.pass_obj
def directory_command(options: Options, path: Path, name: str | None, as_json: bool) -> None:
    """Copy a directory that holds a root, or the running system (/), which is not changed."""
    _add(options, name or "directory", "directory", {"path": path}, as_json=as_json)


@add.command(
    "oci",
    epilog="""\b
Examples:
  podman save --format oci-archive -o image.tar localhost/gentoo
  cloche seed add oci image.tar
""",
)
@click.argument("path", type=PATH)
@click.option("--ref", help="Which image to use, if there are several.")
@NAME
@JSON
@click.pass_obj
def oci_command(
    options: Options, path: Path, ref: str | None, name: str | None, as_json: bool
) -> None:
    """Use an OCI image: an image layout, or an OCI archive."""
    _add(options, name or "oci", "oci", {"path": path, "ref": ref}, as_json=as_json)


@add.command(
    "machine",
    epilog="""\b
Examples:
  cloche build stage1 && cloche seed add machine stage1
  cloche seed add machine stage3 --project ../stages
""",
)
@click.argument("machine", shell_complete=complete_machine)
@click.option("--project", type=PATH, help="The project of the machine [this one].")
@NAME
@JSON
@click.pass_obj
def machine_command(
    options: Options, machine: str, project: Path | None, name: str | None, as_json: bool
) -> None:
    """Use a machine that was built here, so that others are built with what it holds.

    The machine must contain bash, Python and Portage.
    """
    said = {"machine": machine, "project": project}
    _add(options, name or machine, "machine", said, as_json=as_json)


def _add(
    options: Options, name: str, kind: str, said: Mapping[str, str | Path | None], *, as_json: bool
) -> None:
    project = load_project(options.directory)
    table = {
        key: _path(value, project.root) if isinstance(value, Path) else value
        for key, value in said.items()
        if value is not None
    }
    spec = SeedSpec(name, kind, table, Origin(project.file))
    check_declaration(project, spec)
    made = make_seed(options, project, spec, SeedOptions())
    declare_seed(project, spec)  # not before: a refused seed may be added in another way
    if as_json:
        with opened_store(options, project) as store:
            click.echo(json.dumps(data_of(store, made), indent=2))


def _path(path: Path, root: Path) -> str:
    """A path as cloche.toml has it: relative to the project if it is inside."""
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - links stay as they are named
    return str(whole.relative_to(root) if whole.is_relative_to(root) else whole)
