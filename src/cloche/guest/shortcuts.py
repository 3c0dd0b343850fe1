"""Skips steps of Portage that do nothing, or does them without a new process.

Each start of Portage's shell costs 30 ms of processor time, each of its Python helpers 20 ms. This
relies on the content of the files whose digests are below. If a root has other versions, or if a
user's file runs in every shell of Portage, Portage does all steps itself.
"""

from __future__ import annotations

import gc
import os
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

#: SHA-256 of Portage's files (3.0.83), by name.
KNOWN = {
    "ebuild.sh": {"cf4858a35b9eb0762e3aea7db33346291b00331715303649045d96e81fb2efd3"},
    "filter-bash-environment.py": {
        "e6fc13fba3341957813d4af457091b2b8427ce11c50651eaed337023b692bade"
    },
    "misc-functions.sh": {"7114276198143d9705691d0ea4777ebb6cb4f1d65d7d462c1c0fea6d6cb14a3f"},
    "phase-functions.sh": {"d663d7d2a9293622b66a529b0928f26d47a08d12f3eaad7708c9a1b73f393d9b"},
}
PYTHON = Path(__file__).with_name("bin") / "portage-python"
PACKER = PYTHON.with_name("packer")
#: Work that install does; without these FEATURES, instprep does it.
AT_INSTALL = frozenset(("binpkg-docompress", "binpkg-dostrip"))
MASKING = frozenset(("nodoc", "noinfo", "noman"))


def take() -> None:
    """Make Portage use the shortcuts, if its files have the known digests."""
    import portage

    # This process is short-lived, and a collection would copy the pages that its forks share.
    gc.disable()
    files = Path(portage.const.PORTAGE_BIN_PATH)
    for name, digests in KNOWN.items():
        file = files / name
        if not file.is_file() or sha256(file.read_bytes()).hexdigest() not in digests:
            return
    portage._python_interpreter = str(PYTHON)

    from _emerge.EbuildProcess import EbuildProcess
    from _emerge.MiscFunctionsProcess import MiscFunctionsProcess

    _ask_libraries_of_programs_alone()
    _without_process(EbuildProcess, lambda task: done_phase(task.phase, task.settings))
    _without_process(
        MiscFunctionsProcess, lambda task: idle_functions(task.commands, task.settings)
    )


def interpreter() -> str:
    """PORTAGE_PYTHON of the package phase: with all shortcuts, or only with the fixed clock."""
    import portage

    return str(PYTHON if portage._python_interpreter == str(PYTHON) else PACKER)


def _ask_libraries_of_programs_alone() -> None:
    """Run the QA check of sonames, which reads the whole VDB, only for packages that need any."""
    from _emerge.EbuildPhase import _PostPhaseCommands

    check = _PostPhaseCommands._soname_deps_qa

    async def _soname_deps_qa(self: Any) -> None:
        if Path(self.settings["PORTAGE_BUILDDIR"], "build-info/REQUIRES").exists():
            await check(self)

    _PostPhaseCommands._soname_deps_qa = _soname_deps_qa


def _without_process(kind: Any, done: Any) -> None:
    """Let tasks of this kind succeed at once if ``done`` returns true."""
    start = kind._start

    def _start(self: Any) -> None:
        if done(self):
            self.returncode = os.EX_OK
            self._async_wait()
        else:
            start(self)

    kind._start = _start


def done_phase(phase: str, settings: Any) -> bool:
    """Do a phase that runs no code of the ebuild; False if this is not such a phase."""
    if phase not in ("clean", "instprep") or has_hooks(settings):
        return False
    directory = Path(settings["PORTAGE_BUILDDIR"])
    if phase == "clean":
        if not settings.features.isdisjoint(("chflags", "keeptemp", "keepwork")):
            return False
        shutil.rmtree(directory, ignore_errors=True)
        return True
    if not settings.features >= AT_INSTALL or "chflags" in settings.features:
        return False
    (directory / ".instprepped").touch()
    return True


def idle_functions(commands: list[str], settings: Any) -> bool:
    """Whether these functions of misc-functions.sh would do nothing."""
    if has_hooks(settings):
        return False
    if commands == ["preinst_mask"]:
        return not settings.get("INSTALL_MASK") and settings.features.isdisjoint(MASKING)
    if commands == ["success_hooks"]:
        saved = Path(settings["T"], "environment")
        return saved.is_file() and b"EBUILD_SUCCESS_HOOKS" not in saved.read_bytes()
    return False


def has_hooks(settings: Any) -> bool:
    """Whether a bashrc of the user or a profile runs in every shell (portage(5))."""
    own = Path(settings["PM_EBUILD_HOOK_DIR"], settings["CATEGORY"])
    return (
        bool(settings.get("PORTAGE_BASHRC_FILES"))
        or Path(settings["PORTAGE_BASHRC"]).exists()
        or own.exists()
    )
