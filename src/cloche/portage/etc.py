"""``/etc/portage`` of a machine: the user's files, and what cloche itself decides.

The result lies over a seed and hides the seed's own ``/etc/portage`` from builds, with one
exception: ``mirrors``, which only says where to download from.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloche.config.fragments import STACKED, machine_files
from cloche.config.machine import Machine
from cloche.config.project import Project, RepoSpec
from cloche.portage.repository import main_repository
from cloche.portage.snapshot import EPOCH

REPOS: Final = "/var/db/repos"
_OPAQUE: Final = "user.overlay.opaque"  # overlayfs with userxattr: nothing below shows through
_MAIN_PRIORITY: Final = -1000  # Portage's own default for the main repository (portage(5))

# Directories and files that hide the seed's, even if the machine has none.
_HIDDEN_DIRECTORIES: Final = (STACKED - {"make.conf"}) | {
    "env", "hooks", "modules", "patches", "profile", "savedconfig", "sets", "binrepos.conf",
    "postsync.d", "repo.postsync.d",
}  # fmt: skip
_HIDDEN_FILES: Final = ("bashrc", "license_groups", "categories")


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link with its target as text."""

    target: str


Content = bytes | Symlink


def portage_tree(machine: Machine, project: Project) -> Mapping[str, Content]:
    """All files of a machine's ``/etc/portage``: relative path to content. Raises `ConfigError`."""
    tree: dict[str, Content] = dict(machine_files(machine))
    profile = machine.profile
    # Relative, so that it works in any root: /etc/portage is two levels down.
    tree["make.profile"] = Symlink(f"../..{REPOS}/{profile.repo}/profiles/{profile.path}")
    main = main_repository(project.repos, profile.repo)
    # A file, not a directory: it replaces what the seed has under the name.
    tree["repos.conf"] = repos_conf(project.repos, main).encode()
    if machine.chost is not None:  # after the files of fragments, which begin with a number
        text = f'# Written by cloche: `chost` of the machine.\nCHOST="{machine.chost}"\n'
        tree["make.conf/zz-chost"] = text.encode()
    for name in _HIDDEN_FILES:
        tree.setdefault(name, b"")
    if not any(name.startswith("make.conf/") for name in tree):
        tree["make.conf/00-empty"] = b"# No fragment of this machine has a make.conf.\n"
    return dict(sorted(tree.items()))


def repos_conf(repos: Mapping[str, RepoSpec], main: str) -> str:
    """The text of repos.conf (portage(5)): later repositories in cloche.toml come first."""
    lines = ["# Written by cloche from cloche.toml.", "[DEFAULT]", f"main-repo = {main}", ""]
    for index, (name, spec) in enumerate(repos.items(), 1):
        default = _MAIN_PRIORITY if name == main else index * 10
        priority = default if spec.priority is None else spec.priority
        lines += [f"[{name}]", f"location = {REPOS}/{name}", f"priority = {priority}",
                  "auto-sync = no", ""]  # fmt: skip
    return "\n".join(lines)


def write_tree(
    tree: Mapping[str, Content], directory: Path, *, opaque: Iterable[str] | None = None
) -> None:
    """Write a machine's ``/etc/portage`` into ``directory``, which is made if it is missing.

    Files get mode 0644, directories 0755, all the caller's owner (root, for cloche) and the time
    `EPOCH`. The directories in ``opaque`` (by default those of /etc/portage) are marked opaque, so
    that an overlay shows nothing of a lower layer in them. Raises OSError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    marked = set(_HIDDEN_DIRECTORIES if opaque is None else opaque)
    if opaque is None:
        marked |= {name.split("/")[0] for name in tree if "/" in name}
        marked -= {name for name in tree if "/" not in name}
    made = {directory}
    for name in sorted(marked):
        (directory / name).mkdir()
        os.setxattr(directory / name, _OPAQUE, b"y")
        made.add(directory / name)
    for name, content in tree.items():
        path = directory / name
        missing = [parent for parent in path.parents if parent.is_relative_to(directory)]
        for parent in reversed(missing):  # from the top down
            parent.mkdir(exist_ok=True)
            made.add(parent)
        if isinstance(content, Symlink):
            path.symlink_to(content.target)
        else:
            path.write_bytes(content)
            path.chmod(0o644)
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)
    for path in sorted(made, reverse=True):
        path.chmod(0o755)
        os.utime(path, (EPOCH, EPOCH))
