"""Binary packages of a binary package host, as its index describes them."""

from __future__ import annotations

from typing import Any

from .describe import common
from .protocol import Failed

#: Metadata that a package must share with the index that Portage resolved with.
METADATA = (
    "DEFINED_PHASES", "EAPI", "IDEPEND", "PDEPEND", "PROVIDES", "RDEPEND", "REQUIRES", "SLOT",
    "USE", "repository",
)  # fmt: skip
DIGESTS = ("MD5", "SHA1")


def describe_binary(package: Any, settings: Any, bintree: Any) -> dict[str, Any]:
    """The package's fields in the answer, except those that need the graph. Raises Failed."""
    said = bintree._remotepkgs[bintree.dbapi._instance_key(package.cpv)]
    path = said.get("PATH", "")
    if not path.endswith(".gpkg.tar") or not said.get("SIZE", "").isdigit():
        text = f"{package.cpv}: not a GPKG, or the index has no size for it: {path}"
        raise Failed(kind="other", atom=f"={package.cpv}", text=text)
    return {
        **common(package, settings),
        "ebuild": "",
        "binary": {
            "host": said["BASE_URI"].rstrip("/").rpartition("/")[2],
            "path": path,
            "size": int(said["SIZE"]),
            "digests": {kind: said[kind] for kind in DIGESTS if said.get(kind)},
            "metadata": {key: plain(said.get(key, "")) for key in METADATA},
        },
    }


def plain(text: str) -> str:
    """A value with its words sorted: their order and spacing mean nothing."""
    return " ".join(sorted(text.split()))


def differing(own: dict[str, str], said: dict[str, str]) -> list[str]:
    """Names of the values in which a package differs from its index entry."""
    return [key for key in METADATA if key in said and plain(own.get(key, "")) != said[key]]
