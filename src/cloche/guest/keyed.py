"""Keeps out of builds and merges what a machine's configuration sets and no key covers.

Portage hands every variable of make.conf, the profiles and package.env to the phases. Those that a
package's key leaves out (`variables.py`) would let two machines with one key have two results: an
ebuild can read LESSOPEN or CCACHE_PREFIX, and what it runs obeys them. The files below /etc/portage
stay visible: where a variable or a hook names one, all of them are part of the key
(`cloche.portage.view.names_configuration`), but not where an ebuild reads them by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .variables import stays_out

#: Portage's own names for what make.conf and the profiles' make.defaults say.
_CONFIGURED = ("conf", "defaults")


def only_keyed(settings: Any) -> None:
    """Take such variables from a config of Portage, and from package.env of all configs."""
    for name in _CONFIGURED:
        _drop(settings.configdict[name], frozenset())
    from portage import config

    if not hasattr(config._grab_pkg_env, "original"):
        config._grab_pkg_env = _grabbing(config._grab_pkg_env)


def _grabbing(original: Callable[..., None]) -> Callable[..., None]:
    """Portage's method that adds package.env to ``container``, without such variables."""

    def grab(self: Any, penv: Any, container: dict[str, str], protected_keys: Any = None) -> None:
        before = frozenset(container)
        original(self, penv, container, protected_keys)
        _drop(container, before)

    grab.original = original  # type: ignore[attr-defined]
    return grab


def _drop(variables: dict[str, str], spared: frozenset[str]) -> None:
    for name in [each for each in variables if each not in spared and stays_out(each)]:
        del variables[name]
