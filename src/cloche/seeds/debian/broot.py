"""What a whole Debian seed stands for where it only is the ground that a root is built on.

A machine with a root of its own has nothing of the seed in its result, so that all of the seed can
count for BDEPEND and IDEPEND, libraries as well: nothing is left out that the machine would need.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from cloche.seeds.debian.packages import Installed
from cloche.seeds.debian.provided import (
    DATA_BROOT,
    REVISION,
    Provided,
    Rule,
    Rules,
    provided_packages,
    rules,
)
from cloche.seeds.debian.versions import upstream

_PYTHON = "python3-"
# What Debian splits off its Python, and what is not a module.
_NOT_MODULES = frozenset(
    {"dbg", "dev", "distutils", "doc", "examples", "gdbm", "lib2to3", "minimal", "tk", "venv"}
)
_PORTAGE = "usr/lib/python3/dist-packages/portage-*.dist-info"
_ACCOUNTS = (("acct-group", "etc/group"), ("acct-user", "etc/passwd"))
# Libraries are asked for with the flag of the ABI that is built for (multilib-build.eclass).
_ABIS = {"amd64": "abi_x86_64", "i386": "abi_x86_32", "x32": "abi_x86_x32"}
_NAME = re.compile(r"[A-Za-z_][\w-]*")


def broot_packages(tree: Path, packages: Iterable[Installed]) -> tuple[Provided, ...]:
    """The Gentoo packages that a Debian tree stands for, besides the virtuals of its perl."""
    packages = tuple(packages)
    known = broot_rules(packages)
    found = (*provided_packages(packages, known), *_accounts(tree), *_portage(tree))
    abis = {_ABIS[package.arch] for package in packages if package.arch in _ABIS}
    return tuple(sorted(_with_flags(each, abis) for each in found))


def _with_flags(known: Provided, abis: Iterable[str]) -> Provided:
    """With the flags that dependencies on libraries name (`abi_x86_64(-)?`, `static-libs?`)."""
    return replace(
        known,
        use=tuple(sorted({*known.use, *abis})),
        off=tuple(sorted({*known.off, "static-libs"})),
    )


def broot_rules(packages: Iterable[Installed]) -> Rules:
    """Both data files, the one for such machines first, and a rule for each module of Python."""
    table = {debian: dict(named) for debian, named in rules().items()}
    for debian, named in rules(DATA_BROOT).items():
        table.setdefault(debian, {}).update(named)
    for package in packages:
        if name := _python_module(package.name):
            table.setdefault(package.name, {f"dev-python/{name}": Rule(python=True)})
    return table


def _python_module(debian: str) -> str:
    """Gentoo's name of a module, which is that of the Python index (PEP 503); "" for others."""
    name = re.sub(r"[-_.]+", "-", debian.removeprefix(_PYTHON)).lower()
    return name if debian.startswith(_PYTHON) and name not in _NOT_MODULES else ""


def _accounts(tree: Path) -> Iterator[Provided]:
    """Users and groups that the tree has."""
    for category, file in _ACCOUNTS:
        for line in (tree / file).read_text(encoding="utf-8", errors="replace").splitlines():
            name = line.partition(":")[0]
            if _NAME.fullmatch(name) and not re.search(r"-\d", name):  # a valid PN (PMS 3.1.2)
                yield Provided(category, f"{name}-0-{REVISION}", "0", (), "base-passwd")


def _portage(tree: Path) -> Iterator[Provided]:
    """The seed's own Portage, which is not one of Debian's packages."""
    for place in tree.glob(_PORTAGE):
        if version := upstream(place.name.removeprefix("portage-")):
            yield Provided("sys-apps", f"portage-{version}-{REVISION}", "0", (), "python3")
