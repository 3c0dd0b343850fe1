"""Carries out a machine's ``[[finish]]``: each part is a layer over the finished root.

Files are copied and removed by the guest's Python, in a process whose root is the machine's. Hooks,
and the programs that add users and services, are the machine's own: they run in its root, as on the
running system, without network.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from cloche.archives.tarball import import_directory
from cloche.building.context import BuildContext
from cloche.building.finish_checks import check_before
from cloche.building.finish_commands import HOOK, commands
from cloche.building.finish_root import root_of
from cloche.building.stages import data_of, once, stage_call, stage_command, stage_failed
from cloche.config.errors import ConfigError
from cloche.config.finish_steps import FinishStep
from cloche.errors import Exit
from cloche.layers import PORTAGE_RULES, Layer, capture, commit
from cloche.plan.keys import layer_parts
from cloche.portage.etc import REPOS
from cloche.records.events import Note
from cloche.records.logs import log_lines, new_log
from cloche.roots import unions
from cloche.sandbox.base import Bind, Command, Sandbox
from cloche.sandbox.errors import ProgramError
from cloche.store import Outcome, make_key
from cloche.tasks.guestcall import ENVIRONMENT, GUEST, call, describe, tail_of
from cloche.tasks.worker import make_directory

#: Kinds that the guest does by itself; all others are commands of the root.
BY_GUEST = frozenset(
    {"files", "owners", "remove", "empty", "unmerge", "group", "user", "ssh_keys"}
    | {"permission", "hostname", "timezone", "locales", "presets", "minimal"}
)
#: The code by which it does so.
SCRIPTS = ("finish_steps.py", "accounts.py", "identity.py", "minimal.py")
FORMAT = "2"  # raise it when steps are done in another way
SIGNALLED = 128
#: What the guest writes before a path or an atom that matches nothing.
NOTHING = "nothing there: "
NO_EFFECT = "without effect"  # in the data of an action
#: What programs say where there is no network.
NETWORK = re.compile(
    r"could not resolve|name resolution|network is unreachable|unable to resolve"
    r"|name or service not known|bad address|no address associated",
    re.IGNORECASE,
)
FILES = "/run/cloche/files"
INPUTS = "/run/cloche/inputs"
# Files that commands leave behind and that do not belong in a finished system.
LEFT_BEHIND = (
    *("run", "tmp", "var/tmp", "etc/.pwd.lock", "var/cache/ldconfig"),
    *("var/log/emerge.log", "var/log/emerge-fetch.log"),  # with the times of the build
)


@dataclass(frozen=True, slots=True)
class _Part:
    """Steps that are done together: several of the guest's, or one that runs in the root.

    ``files`` has for each step the layer of its directory, if it has one.
    """

    steps: tuple[FinishStep, ...]
    files: tuple[Layer | None, ...]

    @property
    def by_guest(self) -> bool:
        """Whether the guest does it."""
        return self.steps[0].kind in BY_GUEST

    @property
    def where(self) -> str:
        """The lines of its steps in the machine's file."""
        first, last = self.steps[0].origin, self.steps[-1].origin
        return str(first) if first == last else f"{first} to line {last.line}"

    @property
    def title(self) -> str:
        """A short description of the steps."""
        kinds = dict.fromkeys(step.kind for step in self.steps)
        first = self.steps[0]
        if first.kind == "hook" and first.path is not None:
            return f"hook {first.path.name}"
        return ", ".join(kinds) if self.by_guest else f"{first.kind} {' '.join(first.words)}"


def finish_steps(
    context: BuildContext,
    steps: Sequence[FinishStep],
    layers: Sequence[Layer],
    copied: dict[Path, Layer],
) -> tuple[Layer, ...]:
    """The layers that a machine's steps make over its ``layers``.

    ``copied`` gets the layers of the project's directories; what it has is not read again. Raises
    StepError, and `ConfigError` where the root lacks what a step needs.
    """
    check_before(context, steps, layers)
    made: list[Layer] = []
    for by_guest, found in groupby(steps, lambda step: step.kind in BY_GUEST):
        row = tuple(found)
        for each in [row] if by_guest else [(step,) for step in row]:
            below = (*layers, *made)
            if each[0].kind == "localedef" and not _has_commands(context, each[0], below):
                continue
            files = tuple(_stored(context, step, copied) for step in each)
            made.append(_made(context, _Part(each, files), below))
    return tuple(made)


def _has_commands(context: BuildContext, step: FinishStep, layers: Sequence[Layer]) -> bool:
    """Whether there is something to do: what runs nothing makes no layer."""
    root = root_of([layer.path for layer in (*context.inputs.bottom, *layers)])
    return any(True for _ in commands(step, root))


def _stored(context: BuildContext, step: FinishStep, copied: dict[Path, Layer]) -> Layer | None:
    """A step's directory in the store."""
    if step.directory is None:
        return None
    if step.directory not in copied:
        copied[step.directory] = stored_directory(context, step.directory)
    return copied[step.directory]


def stored_directory(context: BuildContext, path: Path) -> Layer:
    """A directory of the project as a layer, with root as the owner of everything."""
    with context.store.workspace("files") as workspace:
        tree = workspace / "tree"
        import_directory(path, tree)
        for each in (tree, *tree.rglob("*")):
            mode = each.lstat().st_mode
            os.chown(each, 0, 0, follow_symlinks=False)
            if stat.S_ISREG(mode):
                each.chmod(stat.S_IMODE(mode))  # chown(2) takes setuid and setgid away
        return commit(context.store, tree, kind="files", label=context.inputs.machine, rules={})


def _made(context: BuildContext, part: _Part, layers: Sequence[Layer]) -> Layer:
    """The layer of a part; the store remembers it."""
    inputs = context.inputs
    steps = [
        {
            "kind": step.kind,
            "words": step.words,
            "script": hashlib.sha256(step.script).hexdigest(),
            "environment": dict(sorted(step.environment.items())),
            "files": files.id if files else "",
        }
        for step, files in zip(part.steps, part.files, strict=True)
    ]
    sees_repositories = part.steps[0].kind == "hook" or any(
        step.kind == "unmerge" for step in part.steps
    )
    trees = inputs.repos.values() if sees_repositories else ()
    key = make_key(
        "finish step",
        {
            **inputs.key_base,
            **{f"repository {repo.name}": repo.tree for repo in trees},
            "format": FORMAT,
            "config": inputs.base[-1].id,
            "result's config": str(inputs.base[-1] in inputs.bottom),
            **layer_parts([(layer.label, layer.id) for layer in layers]),
            "steps": json.dumps(steps),
            "guest": _digest_of_guest(),
        },
    )
    do = _by_guest if part.by_guest else _in_root
    outputs = once(context, "finish", key, lambda: do(context, part, layers), part.title)
    _tell_without_effect(context, part, frozenset(data_of(context, key).get(NO_EFFECT, ())))
    return context.layer(outputs["layer"])


def _digest_of_guest() -> str:
    found = hashlib.sha256()
    for name in SCRIPTS:
        found.update((GUEST / name).read_bytes())
    return found.hexdigest()


def _by_guest(context: BuildContext, part: _Part, layers: Sequence[Layer]) -> Outcome:
    log = new_log(context.store, context.inputs.log_name, "finish")
    unmerges = any(step.kind == "unmerge" for step in part.steps)
    steps, binds = [], list(context.whole_repositories() if unmerges else ())
    for number, (step, files) in enumerate(zip(part.steps, part.files, strict=True)):
        if files:
            binds.append(Bind(files.path, f"{FILES}/{number}"))
        steps.append({"kind": step.kind, "words": [str(number)] if files else list(step.words)})
    own = (*context.inputs.bottom, *layers) if context.inputs.own_root else ()
    with context.store.workspace("finish") as workspace:
        request = {"steps": steps}
        wanted = stage_call(
            context, "finish_steps", request, workspace, log, layers=own or layers, binds=binds
        )
        result, _ = call(context.engine, context.running, wanted)
        if result.get("status") != "ok":
            text, at = str(result.get("text") or "the guest failed"), result.get("step")
            there = isinstance(at, int) and 0 <= at < len(part.steps)
            wrong = part.steps[at] if isinstance(at, int) and there else None
            if wrong and result.get("kind") == "input":
                raise ConfigError(wrong.origin, text)
            where = str(wrong.origin) if wrong else part.where
            raise stage_failed(context, "finish", f"{where}: {text}", log)
        below = [layer.path for layer in own] or [Path(each) for each in wanted.sandbox.lowers]
        top = workspace / "root/top" / context.root.lstrip("/")
        # A minimal root loses files in /tmp and the like, too; nothing of this step's lies there.
        least = any(step.kind == "minimal" for step in part.steps)
        drop = () if least else LEFT_BEHIND
        made = _captured(context, top, below, workspace / "layer", log, drop)
        return replace(made, data={NO_EFFECT: _without_effect(part, log)})


def _without_effect(part: _Part, log: Path) -> list[str]:
    """Words that matched nothing in the root, as the guest wrote into its log."""
    said = set(log_lines(log))
    words = {word for step in part.steps for word in step.words if f"{NOTHING}{word}\n" in said}
    return sorted(words)


def _tell_without_effect(context: BuildContext, part: _Part, words: frozenset[str]) -> None:
    """Warn of words that matched nothing, also of a part that was done by an earlier build."""
    for step in part.steps:
        missed = [word for word in step.words if word in words]
        if missed:
            text = f"{step.origin}: nothing of the root matches {', '.join(missed)}"
            context.bus(Note(text=text, level="warning"))


def _in_root(context: BuildContext, part: _Part, layers: Sequence[Layer]) -> Outcome:
    log = new_log(context.store, context.inputs.log_name, "finish")
    (step,), (files,), bottom = part.steps, part.files, context.inputs.bottom
    with context.store.workspace("finish") as workspace:
        binds: tuple[Bind, ...] = ()
        if step.kind == "hook":  # the keys of the other kinds leave the repositories out
            script = workspace / "hook"
            script.write_bytes(step.script)
            script.chmod(0o755)
            binds = (*context.whole_repositories(), Bind(script, HOOK))
            binds += (Bind(files.path, INPUTS),) if files else ()
        upper = make_directory(workspace, "root")
        lowers = unions.lowers(context.store, bottom, layers)
        sandbox = Sandbox(
            lowers,
            upper,
            binds,
            (REPOS,),
            limits=context.policy.limits,
            emulators=context.emulators,
        )
        root = root_of([layer.path for layer in (*bottom, *layers)])
        for argv in commands(step, root):
            _run(context, sandbox, argv, step, log)
        below = [layer.path for layer in (*bottom, *layers)]
        return _captured(context, upper / "top", below, workspace / "layer", log)


def _run(
    context: BuildContext, sandbox: Sandbox, argv: tuple[str, ...], step: FinishStep, log: Path
) -> None:
    """Run one command in the root. Raises StepError."""
    environment = {
        **ENVIRONMENT,
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        **context.inputs.environment,
        # As in a build, the number of jobs is not part of the key.
        **({"MAKEOPTS": f"-j{context.policy.cores}"} if step.kind == "hook" else {}),
        **step.environment,
    }
    command = Command(argv, environment, timeout=context.policy.phase_seconds)
    with log.open("ab") as stream:
        stream.write(f"=== cloche: {' '.join(argv)}\n".encode())
    what = f"{step.origin}: {step.path.name if step.path else ' '.join(argv)}"
    try:
        ended = stage_command(context, "finish", sandbox, command, log)
    except ProgramError as error:  # the root has no such program, or not a hook's interpreter
        raise stage_failed(context, "finish", f"{what}: {error.message}", log) from error
    if not ended.ok:
        by_itself = not (ended.timed_out or ended.killed or ended.status > SIGNALLED)
        tried = step.kind == "hook" and NETWORK.search(tail_of(log))
        text = f"{what}: {describe(ended)}{'; a hook has no network' if tried else ''}"
        status = Exit.BAD_INPUT if by_itself else None  # what the user wrote does not work
        raise stage_failed(context, "finish", text, log, status)


def _captured(
    context: BuildContext,
    top: Path,
    below: Sequence[Path],
    tree: Path,
    log: Path,
    drop: Sequence[str] = LEFT_BEHIND,
) -> Outcome:
    """What a part changed, as a layer of the store, but for what matches ``drop``."""
    capture(top, below, tree, drop=drop)
    machine = context.inputs.machine
    layer = commit(context.store, tree, kind="finish", label=machine, rules=PORTAGE_RULES)
    return Outcome({"layer": layer.id}, str(log.relative_to(context.store.logs)))
