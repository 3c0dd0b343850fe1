"""The variables that catalyst's scripts and a spec's own see: ``clst_*``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from cloche.catalyst.conf import Conf
from cloche.catalyst.hostpaths import path_keys
from cloche.catalyst.keys import TARGETS
from cloche.catalyst.makeconf import building_use, flag_values
from cloche.catalyst.paths import compression_mode, subpath, unversioned
from cloche.catalyst.spec import Spec
from cloche.catalyst.subarchs import Subarch

#: Keys that lose the target's prefix.
_SHORT = frozenset({"fsscript", "fsops", "fstype", "groups", "rcadd", "rcdel", "use", "users"})
#: Settings of catalyst.conf that scripts in the root may look at: none is a path of the host.
_CONF = (
    *("binhost", "digest_format", "repo_basedir", "repo_name"),
    *("target_distdir", "target_logdir", "target_pkgdir"),
)
#: Places in the root. The root of a stage is always `/` for its scripts.
_PLACES = {
    "binrepos_conf": "/etc/portage/binrepos.conf",
    "make_conf": "/etc/portage/make.conf",
    "port_conf": "/etc/portage",
    "port_tmpdir": "/var/tmp/portage",  # noqa: S108 - PORTAGE_TMPDIR inside of the root
    "repos_conf": "/etc/portage/repos.conf",
    "root_path": "",
}
#: Set to an empty value if the spec lacks them.
_EMPTY = ("groups", "ssh_public_keys", "use", "users")
_OTHER = re.compile(r"[./-]")


def environment(spec: Spec, conf: Conf, subarch: Subarch) -> Mapping[str, str]:
    """The variables of a spec's script: the words of a value in one line, with one space between.

    Unlike in catalyst, no value is a path on the build host or depends on that host.
    """
    found = {f"clst_{_OTHER.sub('_', key)}": text for key, text in _values(spec, conf, subarch)}
    found["PORTAGE_LOGDIR"] = conf.text("target_logdir")
    return dict(sorted(found.items()))


def _values(spec: Spec, conf: Conf, subarch: Subarch) -> Iterator[tuple[str, str]]:
    """Names and values; of two with one name the last counts."""
    target = TARGETS[spec.text("target")]
    yield from (("CHROOT", "chroot"), ("spec_prefix", target.prefix))
    yield from ((option.upper(), "true") for option in conf.words("options"))
    yield from ((key, conf.text(key)) for key in _CONF)
    yield from _PLACES.items()
    yield "pkgdir", conf.text("target_pkgdir")
    yield from ((key, "") for key in _EMPTY)
    yield from flag_values(spec, subarch).items()
    yield "hostarch", spec.text("subarch")
    # Most tables of x86 CPUs lack CHOST.
    yield "buildarch", (spec.text("cbuild") or subarch.chost or "x86_64").partition("-")[0]
    yield "catalyst_use", " ".join(building_use(spec, conf))
    yield "fstype", "squashfs"
    treeish = spec.text("snapshot_treeish")
    yield "iso_volume_id", spec.text(f"{target.prefix}/volid") or f"catalyst {treeish}"
    yield from (
        ("target_subpath", subpath(spec)),
        ("target_subpath_unversioned", unversioned(spec)),
    )
    yield "compression_mode", compression_mode(spec, conf)
    yield from _of_spec(spec, target.prefix)
    yield "target_profile", spec.text("profile")


def _of_spec(spec: Spec, prefix: str) -> Iterator[tuple[str, str]]:
    """The keys of the spec that do not name files of the host."""
    paths = path_keys(spec)
    for key, setting in spec.settings.items():
        if key not in paths:
            below = key.removeprefix(f"{prefix}/")
            yield below if below in _SHORT else key, setting.text
