"""What a package's build sees of the repositories and of /etc/portage, and digests of it.

A build step sees profiles, layouts, the eclasses that its ebuild inherits and the package's own
directory, with a single ebuild. So an ebuild cannot read what its key does not cover, and a change
elsewhere in a repository rebuilds nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cloche.config.errors import Origin
from cloche.portage.cpv import Cpv
from cloche.portage.etc import REPOS, Content, Symlink
from cloche.portage.repository import RepositoryError

# What Portage reads of every repository at startup, and the QA checks of `install` and `postinst`
# (bin/misc-functions.sh).
_COMMON: Final = ("profiles", "metadata/layout.conf")
_CHECKS: Final = (
    "metadata/install-qa-check.d", "metadata/preinst-qa-check.d", "metadata/postinst-qa-check.d",
)  # fmt: skip
_PROFILES_LIMIT: Final = 500  # of one machine; the deepest of Gentoo's has about 30
SUIDCTL: Final = "suidctl.conf"
PATCHES: Final = "patches/"
_OF_PACKAGE: Final = ("files", "Manifest", "metadata.xml")

#: How variables and hooks name files of the configuration.
_NAMED: Final = ("/etc/portage", "PORTAGE_CONFIGROOT")
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

Binds = tuple[tuple[Path, str], ...]


def package_view(
    snapshots: Mapping[str, Path],
    masters: Mapping[str, Iterable[str]],
    repo: str,
    cpv: Cpv,
    inherited: Iterable[str],
) -> Binds:
    """The binds (source on the host, target inside) that a build of one package needs.

    ``snapshots`` has each repository's tree, ``masters`` each one's masters (`Repository.masters`);
    ``inherited`` is the ebuild's INHERITED. Raises `RepositoryError`.
    """
    binds = list(common_view(snapshots))
    binds.extend((path, f"{REPOS}/{at}") for at, path in _checks(snapshots, masters, repo))
    for eclass in sorted(set(inherited)):
        owner, source = _eclass(snapshots, masters, repo, eclass)
        binds.append((source, f"{REPOS}/{owner}/eclass/{eclass}.eclass"))
    place = cpv.cp
    ebuild = _ebuild(snapshots[repo], cpv)
    binds.append((ebuild, f"{REPOS}/{repo}/{place}/{ebuild.name}"))
    for part in _OF_PACKAGE:
        source = snapshots[repo] / place / part
        if source.exists():
            binds.append((source, f"{REPOS}/{repo}/{place}/{part}"))
    return tuple(binds)


def common_view(snapshots: Mapping[str, Path]) -> Binds:
    """The binds that every step needs, merges included: profiles and layouts."""
    return tuple(
        (root / part, f"{REPOS}/{name}/{part}")
        for name, root in snapshots.items()
        for part in _COMMON
        if (root / part).exists()
    )


def _eclass(
    snapshots: Mapping[str, Path], masters: Mapping[str, Iterable[str]], repo: str, eclass: str
) -> tuple[str, Path]:
    """An eclass and the repository it comes from: the package's own, else the last master's.

    That is Portage's order (portage(5), ``masters``). There are no eclass-overrides, as cloche
    writes repos.conf without them. Raises `RepositoryError`.
    """
    order = tuple(dict.fromkeys((repo, *reversed(tuple(masters.get(repo, ()))))))
    for name in order:
        source = snapshots[name] / "eclass" / f"{eclass}.eclass"
        if source.is_file():
            return name, source
    raise RepositoryError(Origin(snapshots[repo]), f"no eclass “{eclass}” in {', '.join(order)}")


def _ebuild(root: Path, cpv: Cpv) -> Path:
    """The path of an ebuild. Raises `RepositoryError`."""
    ebuild = root / cpv.category / cpv.pn / f"{cpv.pf}.ebuild"
    if not ebuild.is_file():
        raise RepositoryError(Origin(ebuild), f"no ebuild for {cpv}")
    return ebuild


class Digests:
    """Digests of what the builds of one machine read; shared files are read once.

    Arguments as for `package_view`; ``etc`` is the machine's `portage_tree`, ``profile`` its
    repository and path.
    """

    def __init__(
        self,
        snapshots: Mapping[str, Path],
        masters: Mapping[str, Iterable[str]],
        etc: Mapping[str, Content],
        profile: tuple[str, str],
    ) -> None:
        self._snapshots, self._etc = snapshots, etc
        self._bashrcs = {
            f"profile-bashrc/{label}": _of_file(path)
            for label, path in _profile_bashrcs(snapshots, *profile)
        }
        self._checks = cache(
            lambda repo: {
                f"checks/{label}": _of_directory(path)
                for label, path in _checks(snapshots, masters, repo)
            }
        )
        self._whole = cache(lambda: _sha(repr(sorted(etc.items())).encode()))
        self._eclass = cache(
            lambda repo, name: _of_file(_eclass(snapshots, masters, repo, name)[1])
        )

    def inputs(
        self,
        repo: str,
        cpv: Cpv,
        inherited: Iterable[str],
        slot: str,
        variables: Mapping[str, str] = NOTHING,
    ) -> dict[str, str]:
        """SHA-256 (hex) of each part a build reads, by name, for its action key.

        Names: ``ebuild``, ``eclass/NAME``, ``files``, ``patch/N-NAME`` (in the order they are
        applied), ``savedconfig/…``, ``bashrc``, ``env/…``, ``suidctl.conf``, ``profile-bashrc/…``,
        ``checks/REPO/…``, ``etc/portage`` (see `names_configuration`). Distfiles and the effective
        ``variables`` come from the depgraph. Raises `RepositoryError`.
        """
        digests = {"ebuild": _of_file(_ebuild(self._snapshots[repo], cpv))}
        for eclass in sorted(set(inherited)):
            digests[f"eclass/{eclass}"] = self._eclass(repo, eclass)
        files = self._snapshots[repo] / cpv.category / cpv.pn / "files"
        if files.is_dir():
            digests["files"] = _of_directory(files)
        for index, (name, content) in enumerate(user_patches(self._etc, cpv, slot), 1):
            digests[f"patch/{index:03}-{name}"] = _sha(content)
        saved = saved_config(self._etc, cpv)
        return {**digests, **saved, **self.hooks(cpv, slot, variables), **self._checks(repo)}

    def hooks(self, cpv: Cpv, slot: str, variables: Mapping[str, str] = NOTHING) -> dict[str, str]:
        """Those of `inputs` that run at a merge, too: the user's and the profile's code."""
        named = names_configuration(self._etc, cpv, slot, variables)
        whole = {"etc/portage": self._whole()} if named else {}
        return {**_user_hooks(self._etc, cpv, slot), **self._bashrcs, **whole}


def _checks(
    snapshots: Mapping[str, Path], masters: Mapping[str, Iterable[str]], repo: str
) -> Iterator[tuple[str, Path]]:
    """The directories of QA checks that run for a repository's packages, as REPO/PART and path."""
    for name in dict.fromkeys((*masters.get(repo, ()), repo)):
        for part in _CHECKS:
            if (snapshots[name] / part).is_dir():
                yield f"{name}/{part}", snapshots[name] / part


def user_code(etc: Mapping[str, Content], cpv: Cpv, slot: str) -> dict[str, str]:
    """The digests of what the user's own code does to a package: patches, shell code, settings."""
    patches = {f"patches/{name}": _sha(text) for name, text in user_patches(etc, cpv, slot)}
    return {**patches, **saved_config(etc, cpv), **_user_hooks(etc, cpv, slot)}


def names_configuration(
    etc: Mapping[str, Content], cpv: Cpv, slot: str, variables: Mapping[str, str]
) -> bool:
    """Whether a package's variables or hooks name files below /etc/portage, which a build can read.

    ``CFLAGS="-include /etc/portage/x.h"``: any file of it may be meant, or named in one that is.
    """
    texts = [*variables.values()]
    for name in _user_hooks(etc, cpv, slot):
        content = etc[name]
        texts.append(content.decode("latin-1") if isinstance(content, bytes) else "")
    return any(word in text for word in _NAMED for text in texts)


def saved_config(etc: Mapping[str, Content], cpv: Cpv) -> dict[str, str]:
    """The digests of what savedconfig.eclass would read for a package, by name.

    It looks below ``savedconfig/``, ``savedconfig/CTARGET/`` and the like for CATEGORY/PF, P, PN.
    """
    names = {cpv.pn, cpv.p, cpv.pf}
    found = {}
    for name, content in etc.items():
        parts = name.split("/")
        if parts[0] == "savedconfig" and any(
            category == cpv.category and below in names for category, below in pairwise(parts[1:])
        ):
            found[name] = _sha(content if isinstance(content, bytes) else repr(content).encode())
    return found


def _user_hooks(etc: Mapping[str, Content], cpv: Cpv, slot: str) -> Mapping[str, str]:
    """The digests of shell code in /etc/portage that runs inside a package's build.

    suidctl.conf is among it: at a merge it decides on modes.
    """
    own = ("bashrc", SUIDCTL, *env_files(cpv, slot))
    of_profile = ("profile/profile.bashrc", "profile/package.bashrc", "profile/bashrc/")
    all_packages = ("hooks/install/", *of_profile)
    return {
        name: _sha(content)
        for name, content in etc.items()
        if (name in own or name.startswith(all_packages)) and isinstance(content, bytes) and content
    }


def user_patches(etc: Mapping[str, Content], cpv: Cpv, slot: str) -> tuple[tuple[str, bytes], ...]:
    """The user patches of a package by base name, in the order of application.

    As in ``eapply_user`` (bin/phase-helpers.sh): the more specific directory wins for a base name,
    an empty file removes a patch, and patches are sorted by the bytes of their names.
    """
    named = ((name.rpartition("/")[2], etc[name]) for name in user_patch_files(etc, cpv, slot))
    return tuple((name, text) for name, text in named if isinstance(text, bytes))


def user_patch_files(etc: Mapping[str, Content], cpv: Cpv, slot: str) -> tuple[str, ...]:
    """The files of `user_patches`, by their paths below /etc/portage."""
    main_slot = slot.split("/")[0]
    names = patches_of(etc, cpv)
    chosen: dict[str, str] = {}
    for stem in _patch_stems(cpv):
        for suffix in ("", f":{main_slot}"):
            place = f"{PATCHES}{cpv.category}/{stem}{suffix}/"
            for name in names:
                base = name.removeprefix(place)
                content = etc[name]
                if base == name or "/" in base or isinstance(content, Symlink):
                    continue
                if not base.endswith((".patch", ".diff")):
                    continue
                if content:
                    chosen[base] = name
                else:
                    chosen.pop(base, None)
    return tuple(chosen[base] for base in sorted(chosen, key=os.fsencode))


def patches_of(etc: Mapping[str, Content], cpv: Cpv) -> tuple[str, ...]:
    """All files among the user patches that are for a package in any slot, sorted by path."""
    within = f"{PATCHES}{cpv.category}/"
    stems = _patch_stems(cpv)
    names = sorted(name for name in etc if name.startswith(within))
    return tuple(
        name for name in names if name[len(within) :].partition("/")[0].partition(":")[0] in stems
    )


def _patch_stems(cpv: Cpv) -> tuple[str, ...]:
    return (cpv.pn, cpv.p, f"{cpv.p}-{cpv.pr}")


def env_files(cpv: Cpv, slot: str) -> tuple[str, ...]:
    """Names below /etc/portage that are sourced for this package only (bin/ebuild.sh)."""
    stems = (cpv.pn, f"{cpv.pn}:{slot.split('/')[0]}", cpv.p, cpv.pf)
    return tuple(dict.fromkeys(f"env/{cpv.category}/{stem}" for stem in stems))


def profile_chain(snapshots: Mapping[str, Path], repo: str, path: str) -> tuple[Path, ...]:
    """The directories of a profile, parents first (PMS 5.2.1), each once.

    A parent may be ``REPO:PATH`` (portage(5), profile-formats portage-2). Missing ones are left
    out: Portage reports them.
    """
    found: dict[Path, None] = {}
    entered: set[Path] = set()

    def enter(directory: Path, owner: str) -> None:
        # `parent` is untrusted; nothing outside of the repositories is read.
        inside = any(directory.is_relative_to(root / "profiles") for root in snapshots.values())
        if not inside or directory in entered or not directory.is_dir():
            return
        if len(entered) >= _PROFILES_LIMIT:
            return
        entered.add(directory)
        parent = directory / "parent"
        lines = parent.read_text(errors="replace").splitlines() if parent.is_file() else []
        for line in (text.strip() for text in lines):
            if not line or line.startswith("#"):
                continue
            name, colon, below = line.partition(":")
            if not colon:
                enter(Path(os.path.normpath(directory / line)), owner)
            elif (name or owner) in snapshots:
                target = snapshots[name or owner] / "profiles" / below
                enter(Path(os.path.normpath(target)), name or owner)
        found[directory] = None

    enter(snapshots[repo] / "profiles" / path, repo)
    return tuple(found)


def _profile_bashrcs(
    snapshots: Mapping[str, Path], repo: str, path: str
) -> Iterator[tuple[str, Path]]:
    """The bashrc files that profiles add to every build."""
    for index, directory in enumerate(profile_chain(snapshots, repo, path)):
        for name in ("profile.bashrc", "package.bashrc"):
            if (directory / name).is_file():
                yield f"{index:02}-{name}", directory / name
        if (directory / "bashrc").is_dir():
            for file in sorted((directory / "bashrc").iterdir()):
                yield f"{index:02}-bashrc/{file.name}", file


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _of_file(path: Path) -> str:
    """The digest of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _of_directory(top: Path) -> str:
    """The digest of a directory: names, kinds, the executable bit, contents."""
    lines = []
    for directory, below, files in os.walk(top):
        for name in (*files, *below):
            path = Path(directory) / name
            label = path.relative_to(top)
            if path.is_symlink():
                lines.append(f"l {label}\0{path.readlink()}")
            elif path.is_file():
                mode = "x" if path.stat().st_mode & 0o111 else "f"
                lines.append(f"{mode} {label}\0{_of_file(path)}")
            else:
                lines.append(f"d {label}")
    return _sha("\0\0".join(sorted(lines)).encode(errors="surrogateescape"))
