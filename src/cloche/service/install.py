"""The service as a service of systemd or OpenRC."""

from __future__ import annotations

from dataclasses import dataclass
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


def text(kind: Kind, project: Path, store: Path, words: tuple[str, ...]) -> str:
    """The unit file, or the init script. ``words`` are the options of `cloche serve`."""
    return unit_text(kind, Unit("serve", words, store, project))


def install(
    kind: Kind | None, project: Path, store: Path, words: tuple[str, ...], root: Path = Path("/")
) -> Installed:
    """Write the unit file or init script. Raises ClocheError."""
    kind = kind or kind_of(root)
    place, mode, command = _PLACES[kind]
    path = root / place
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, text(kind, project, store, words).encode())
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
