"""The variables that catalyst's scripts and a spec's own see: ``clst_*``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from cloche.catalyst.conf import Conf
from cloche.catalyst.keys import TARGETS
from cloche.catalyst.plan import host_files
from cloche.catalyst.spec import Spec

#: Keys that lose the target's prefix.
_SHORT = frozenset({"fsscript", "use", "users", "groups", "ssh_public_keys", "rcadd", "rcdel"})
#: Settings of catalyst.conf that scripts in the root may look at: none is a path of the host.
_CONF = ("repo_basedir", "repo_name", "target_distdir", "target_logdir", "target_pkgdir")
_OTHER = re.compile(r"[./-]")


def environment(spec: Spec, conf: Conf) -> Mapping[str, str]:
    """What a spec's script sees of its settings: words in one line, with one space between.

    Unlike in catalyst, no value is a path on the build host.
    """
    target = TARGETS[spec.text("target")]
    found = {"clst_CHROOT": "chroot", "clst_spec_prefix": target.prefix}
    for option in conf.words("options"):
        found[f"clst_{option.upper()}"] = "true"
    for key in _CONF:
        found[f"clst_{key}"] = conf.text(key)
    paths = host_files(spec, target.prefix)
    for key, setting in spec.settings.items():
        if key in paths:
            continue
        below = key.removeprefix(f"{target.prefix}/")
        name = below if below in _SHORT else key
        found[f"clst_{_OTHER.sub('_', name)}"] = setting.text
    found["clst_target_profile"] = spec.text("profile")
    return dict(sorted(found.items()))
