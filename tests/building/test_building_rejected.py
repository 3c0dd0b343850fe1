"""A user's patch that does not apply is named with its hunks, and not Portage's place of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import values

from cloche.building.hints import explain
from cloche.building.rejected import Refused, refused, user_patches
from cloche.errors import Exit
from cloche.store import Store
from cloche.tasks.errors import StepError

NAME = "patches/app-misc/greeting/0001-friendlier.patch"
LOG = f"""\
 * Applying 0001-friendlier.patch ...
patching file src/greeting.c
Hunk #2 FAILED at 15.
1 out of 2 hunks FAILED -- saving rejects to file src/greeting.c.rej
 [ !! ]
 * ERROR: app-misc/greeting-2::local failed (prepare phase):
 *   patch -p1  failed with /etc/portage/{NAME}
"""
OWN = LOG.replace(f"/etc/portage/{NAME}", "/var/tmp/portage/app-misc/greeting-2/files/own.patch")


def test_a_users_patch_is_told_from_one_of_the_ebuild() -> None:
    assert user_patches(LOG) == (NAME,)
    assert user_patches(OWN) == ()
    assert refused(LOG) == (Refused("src/greeting.c", 2, 15),)


def test_an_excerpt_that_begins_in_a_file_names_hunks_of_others_alone() -> None:
    excerpt = LOG.partition("patching file src/greeting.c\n")[2]
    assert refused(excerpt + LOG) == (Refused("src/greeting.c", 2, 15),)
    assert str(*refused(excerpt)) == "hunk 2 (line 15)"


@pytest.mark.real
def test_the_error_names_the_patch_and_what_helps(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        context = values.context(store)
        package = values.package("app-misc/greeting-2")

        def failed(text: str) -> StepError:
            log = store.logs / "build.log"
            log.write_text(text)
            detail = {"log": str(log), "phase": "prepare", "detail": text}
            error = StepError(package.id, "build", "phase prepare: patch -p1 failed", **detail)
            explain(context, package, error)
            return error

        ours = failed(LOG)
        assert ours.what == f"{NAME} does not apply: src/greeting.c, hunk 2 (line 15)"
        assert ours.status == Exit.BAD_INPUT
        assert "`cloche patch rebase app-misc/greeting 2`" in str(ours.todo)
        theirs = failed(OWN)
        assert (theirs.status, theirs.what.startswith("build failed")) == (Exit.FAILED, True)


def test_an_option_that_signing_needs_is_named_with_the_machines_file(tmp_path: Path) -> None:
    package = values.package("sys-kernel/cloche-kernel-6", repo=f"kernel-{'0' * 12}")
    what = "CONFIG_MODULE_SIG is “n”, not “y”; it depends on MODULES"
    with Store.open(tmp_path / "store") as store:
        for place, wanted in (
            ("[kernel.signing]", "machines/m.toml, [kernel.signing]"),
            ("kernel/x.config:3", "kernel/x.config:3"),
        ):
            error = StepError(package.id, "build", f"{place}: {what}", phase="configure")
            explain(values.context(store), package, error)
            assert error.status == Exit.BAD_INPUT
            assert f"{wanted}: {what}" in error.what
            assert error.what.count(place) == 1
