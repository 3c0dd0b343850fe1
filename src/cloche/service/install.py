"""The service as a service of systemd or OpenRC."""

from __future__ import annotations

import pwd
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloche.cluster.units import Kind, Unit, unit_text
from cloche.errors import ClocheError, Exit, unwritable
from cloche.service import files

NAME = "cloche-serve"
_PLACES: dict[Kind, tuple[str, int, str]] = {
    "systemd": (
        f"etc/systemd/system/{NAME}.service",
        0o644,
        f"systemctl daemon-reload && systemctl enable --now {NAME}",
    ),
    "openrc": (f"etc/init.d/{NAME}", 0o755, f"rc-update add {NAME} && rc-service {NAME} start"),
}


@dataclass(frozen=True, slots=True)
class Installed:
    """A file that was written, and the command that starts the service."""

    path: Path
    command: str


@dataclass(frozen=True, slots=True)
class Setup:
    """What is started: ``words`` are the options of `cloche serve`, ``user`` is who runs it."""

    project: Path
    store: Path
    words: tuple[str, ...]
    user: str = "root"
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = 8080


def owner_of(place: Path) -> str:
    """The user whose project it is, who is to run the service. Raises ClocheError."""
    number = place.stat().st_uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        what = f"the owner of the project, {number}, is not a user of this host"
        raise ClocheError(what, where=place, todo="name one with --user") from None


def data_of(user: str) -> Path:
    """The directory for data of a user, in which the store is unless it is named.

    Raises ClocheError.
    """
    try:
        return Path(pwd.getpwnam(user).pw_dir, ".local/share")
    except KeyError:
        raise ClocheError(f"unknown user “{user}”", todo="see `getent passwd`") from None


def text(kind: Kind, setup: Setup) -> str:
    """The unit file, or the init script."""
    unit = Unit(
        "serve",
        setup.words,
        setup.store,
        setup.project,
        user=None if setup.user == "root" else setup.user,
        environment=setup.environment,
        low_port=0 < setup.port < 1024,
    )
    return unit_text(kind, unit)


def install(kind: Kind | None, setup: Setup, root: Path = Path("/")) -> Installed:
    """Write the unit file or init script. Raises ClocheError."""
    kind = kind or kind_of(root)
    place, mode, command = _PLACES[kind]
    path = root / place
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, text(kind, setup).encode())
        path.chmod(mode)
    except OSError as error:
        raise unwritable(path, error, "run it as root, or use --print") from error
    return Installed(path, command)


def kind_of(root: Path = Path("/")) -> Kind:
    """What starts services on a host. Raises ClocheError."""
    if (root / "run/systemd/system").is_dir():
        return "systemd"
    if (root / "sbin/openrc-run").exists():
        return "openrc"
    raise ClocheError(
        "neither systemd nor OpenRC runs here",
        todo="use `--print systemd` or `--print openrc`",
        status=Exit.HOST,
    )
