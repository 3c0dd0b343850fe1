"""The paths of the host that a spec names, and where relative ones begin."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from cloche.catalyst.keys import TARGETS
from cloche.catalyst.plan import host_files
from cloche.catalyst.spec import Setting, Spec

#: Keys whose words are USER=FILE.
_OF_USERS = "ssh_public_keys"
_CACHES = {"kerncache_path": "kernel cache", "pkgcache_path": "package cache"}

#: Kinds of paths that are not inputs, and the kind of those behind USER=.
CACHES = tuple(_CACHES.values())
PUBLIC_KEY = "public key"


def path_keys(spec: Spec) -> Mapping[str, str]:
    """The keys of a spec whose words are, or end in, paths of the host, with the kinds of files."""
    prefix = TARGETS[spec.text("target")].prefix
    found = {**host_files(spec, prefix), **_CACHES, f"{prefix}/{_OF_USERS}": PUBLIC_KEY}
    return {key: kind for key, kind in found.items() if key in spec.settings}


def rooted(spec: Spec, here: Path) -> Spec:
    """A spec whose relative paths of the host are made absolute, from ``here``.

    In catalyst they begin at the directory where it is started, except portage_confdir, which has
    to be absolute.
    """
    if spec.text("target") not in TARGETS:
        return spec
    settings = dict(spec.settings)
    for key in path_keys(spec).keys() - {"portage_confdir"}:
        settings[key] = _rooted(settings[key], here)
    return replace(spec, settings=settings)


def _rooted(setting: Setting, here: Path) -> Setting:
    words = tuple(_path(setting.key, word, here) for word in setting.words)
    value = setting.value
    if isinstance(value, str):
        value = words[0]
    elif value is not None:
        value = words
    return replace(setting, value=value)


def _path(key: str, word: str, here: Path) -> str:
    user, equals, path = word.partition("=") if key.endswith(_OF_USERS) else ("", "", word)
    if not path or path[0] in "/@":  # the value of such a token is an absolute path
        return word
    return f"{user}{equals}{os.path.normpath(here / path)}"
