"""The project of machines with a root of their own."""

from __future__ import annotations

from pathlib import Path

from tests.support import OWN, Store, project

TOML = """seed = "debian"
root = "own"
profile = "own:default"
portage = ["base"]
packages = {atoms}
{more}
"""

#: More of a minimal machine, whose image leaves out much of glibc.
MINIMAL = """remove = ["/usr/lib/*/gconv", "/usr/lib/*/libmvec*", "/usr/sbin/ldconfig"]

[output.images.greet]
format = "oci"
entrypoint = ["/usr/bin/greet"]
"""

#: A machine of binary packages alone.
BINARY = """root = "minimal"
seed = "debian"
profile = "own:default"
portage = ["base"]
packages = ["sys-apps/baselayout", "app-misc/greet"]
binrepos = ["built"]
emerge = ["--usepkgonly"]
"""


def prepared(store: Store) -> Path:
    """A copy of the project; its packages have no sources."""
    place = project(store, OWN)
    for ebuild in place.glob("repo/*/*/*.ebuild"):
        (ebuild.parent / "Manifest").touch()
    return store.user.own(place)
