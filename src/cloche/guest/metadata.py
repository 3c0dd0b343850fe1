"""Makes a repository's metadata cache with Portage's egencache."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    __package__ = "guest"

import contextlib
import shutil
import subprocess
import tempfile
from typing import Any

from . import settings as guest_settings
from .protocol import Channel, Failed, serve

INTERVAL = 1.0  # seconds between two progress reports
HIDDEN = "."  # first character of files that egencache has not finished


def main(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Answer a request of the protocol."""
    guest_settings.apply()
    root = configuration()
    cache = Path(request["cache"])
    program = shutil.which("egencache")
    if program is None:
        raise Failed(kind="other", text="the seed's Portage has no egencache")
    process = subprocess.Popen(
        [
            program, "--update", "--tolerant", "--ignore-default-opts",
            f"--config-root={root}", f"--repo={request['repository']}", f"--jobs={request['jobs']}",
            # Only the repository and its masters, without the seed's own configuration.
            f"--repositories-configuration={request['repositories']}",
        ],
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    while process.poll() is None:
        channel.event("progress", done=entries(cache))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(INTERVAL)
    if process.returncode != 0:
        text = f"egencache ended with status {process.returncode}"
        raise Failed(kind="other", text=text)
    return {"entries": entries(cache)}


def configuration() -> Path:
    """A configuration root for egencache, which ignores FEATURES in the environment."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    place = root / "etc/portage"
    place.mkdir(parents=True)
    features = guest_settings.ENVIRONMENT["FEATURES"]
    (place / "make.conf").write_text(f'FEATURES="{features}"\n', encoding="ascii")
    return root


def entries(cache: Path) -> int:
    """The number of entries in the cache."""
    return sum(1 for path in cache.glob("*/*") if not path.name.startswith(HIDDEN))


if __name__ == "__main__":
    serve(main)
