"""New directories as they would be anywhere: nothing of the directory around them is inherited."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_ACLS = ("system.posix_acl_access", "system.posix_acl_default")


def make_plain(directory: Path, mode: int = 0o755) -> None:
    """Take from an empty directory what it has from the one that it is in, and set its mode.

    A default ACL and a setgid bit are handed down to all that is made below (acl(5), inode(7)):
    whoever has set them on a store would change the layers that are made in it. Another user's
    directory is left as it is.
    """
    with suppress(PermissionError):
        for name in _ACLS:
            if name in os.listxattr(directory):
                os.removexattr(directory, name)
        os.chown(directory, os.geteuid(), os.getegid())
        directory.chmod(mode)
