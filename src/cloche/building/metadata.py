"""Metadata caches for repositories without one: made once, used when Portage resolves.

Without ``metadata/md5-cache`` (PMS 14) Portage starts a bash for every ebuild that it looks at. So
its own egencache makes a cache in a sandbox over the seed, once for a repository and its masters,
and the store keeps it. After a change only its new parts are made: egencache compares the digests
of ebuilds and eclasses in the entries. No build sees a cache.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from cloche.building.context import BuildContext, Repo
from cloche.layers import commit
from cloche.portage.etc import REPOS
from cloche.records.events import Note, Progress, Stage
from cloche.records.logs import compress_finished, found_log, new_log
from cloche.roots import unions
from cloche.sandbox.base import Bind, Sandbox
from cloche.store import Key, Outcome, Store, make_key, remember
from cloche.tasks.errors import (
    GuestError,
)
from cloche.tasks.guestcall import GUEST, Call, Message, call
from cloche.tasks.worker import make_directory

CACHE = "metadata/md5-cache"
LEAST = 100
"""Ebuilds: with fewer, sourcing those that Portage looks at takes seconds at most."""
_KIND = "metadata"


def shown_repositories(context: BuildContext) -> tuple[Bind, ...]:
    """Binds of every whole repository, with a cache if it has none of its own."""
    return tuple(bind for repo in context.inputs.repos.values() for bind in _shown(context, repo))


def remembered_caches(context: BuildContext) -> frozenset[str]:
    """Ids of the caches of the machine's repositories, which gc keeps."""
    actions = (
        context.store.action(_key(context, repo).digest) for repo in context.inputs.repos.values()
    )
    return frozenset(action.outputs["tree"] for action in actions if action is not None)


def cache_entries(context: BuildContext, repo: Repo) -> Mapping[str, str]:
    """The entries of a repository's cache by cpv, made anew after a change, whether the repository
    has a cache or not. Raises GuestError."""
    key = _key(context, repo)
    total = sum(1 for _ in repo.path.glob("*/*/*.ebuild"))
    done = remember(context.store, key, repo.name, lambda: _made(context, repo, key, total))
    cache = context.store.tree(done.action.outputs["tree"]).path
    files = sorted(path for path in cache.glob("*/*") if path.is_file())
    return {str(path.relative_to(cache)): path.read_text() for path in files}


def _shown(context: BuildContext, repo: Repo) -> Iterator[Bind]:
    cache = _cache_of(context, repo)
    if cache is None:
        yield Bind(repo.path, f"{REPOS}/{repo.name}")
    else:
        yield from _binds(repo, Bind(cache, f"{REPOS}/{repo.name}/{CACHE}"))


def _binds(repo: Repo, cache: Bind) -> Iterator[Bind]:
    """Bind a repository in parts: a whole one is read-only and has no mount point for a cache."""
    metadata = repo.path / "metadata"
    parts = [path for path in repo.path.iterdir() if path != metadata]
    if metadata.is_dir():
        parts += [path for path in metadata.iterdir() if path != repo.path / CACHE]
    for part in sorted(parts):
        if part.exists():  # false for a dangling symbolic link
            yield Bind(part, f"{REPOS}/{repo.name}/{part.relative_to(repo.path)}")
    yield cache


def _cache_of(context: BuildContext, repo: Repo) -> Path | None:
    """The path of the repository's cache in the store; None if it needs none."""
    if _ships_one(repo.path):
        return None
    key = _key(context, repo)
    total = 0
    if context.store.action(key.digest) is None:  # counting takes longer than the lookup
        total = sum(1 for _ in repo.path.glob("*/*/*.ebuild"))
        if total < LEAST:
            return None
    try:
        done = remember(context.store, key, repo.name, lambda: _made(context, repo, key, total))
    except GuestError as error:
        text = f"no metadata cache for {repo.name}: {error.what}"
        context.bus(Note(text=text))
        return None
    return context.store.tree(done.action.outputs["tree"]).path


def _ships_one(repository: Path) -> bool:
    try:
        return any((repository / CACHE).iterdir())
    except FileNotFoundError:
        return False


def _key(context: BuildContext, repo: Repo) -> Key:
    seed = context.inputs.base[0]
    masters = {f"master {each.name}": each.tree for each in _masters(context, repo)}
    parts = {"repository": repo.tree, "seed": seed.id, "guest": _guest()}
    return make_key(_KIND, {**parts, **masters, **context.inputs.key_emulated})


def _guest() -> str:
    """Digest of our own code that makes caches."""
    files = (GUEST / "metadata.py", GUEST / "settings.py")
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _masters(context: BuildContext, repo: Repo) -> tuple[Repo, ...]:
    """The repositories whose eclasses it may inherit, and those that these name."""
    found: dict[str, Repo] = {}
    names = list(repo.masters)
    while names:
        name = names.pop()
        if name not in found and name != repo.name:
            found[name] = context.inputs.repos[name]
            names.extend(found[name].masters)
    return tuple(found.values())


def _made(context: BuildContext, repo: Repo, key: Key, total: int) -> Outcome:
    """Make the cache. Raises GuestError."""
    began = time.monotonic()
    name = f"metadata of {repo.name}"
    context.bus(Stage(name=name, state="start"))
    place = context.inputs.log_name
    log = new_log(context.store, place, _KIND)
    try:
        with context.store.workspace(_KIND) as workspace:
            cache = make_directory(workspace, "cache")
            _begin_with_the_last(context.store, repo, key, cache)
            _run(context, repo, workspace, log, _progress_reporter(context, name, total))
            _normalise(cache)
            layer = commit(context.store, cache, kind=_KIND, label=repo.name, rules={})
    finally:
        compress_finished(context.store, place, log)
        context.bus(Stage(name=name, state="end", seconds=time.monotonic() - began))
    return Outcome({"tree": layer.id}, str(found_log(log).relative_to(context.store.logs)))


def _progress_reporter(context: BuildContext, stage: str, total: int) -> Callable[[Message], None]:
    """A function that reports egencache's progress as events."""

    def report(message: Message) -> None:
        done = message.get("done")
        if message.get("event") == "progress" and isinstance(done, int):
            context.bus(Progress(stage=stage, done=min(done, total), of=total))

    return report


def _begin_with_the_last(store: Store, repo: Repo, key: Key, cache: Path) -> None:
    """Start with the last cache for a repository of this name, made by the same seed and code."""
    last = store.last_action(_KIND, repo.name)
    same = last is not None and all(last.parts[n] == key.parts[n] for n in ("seed", "guest"))
    if last is not None and same and store.has_tree(last.outputs["tree"]):
        tree = store.tree(last.outputs["tree"]).path
        copy = partial(shutil.copyfile, follow_symlinks=False)
        shutil.copytree(tree, cache, symlinks=True, copy_function=copy, dirs_exist_ok=True)


def _run(
    context: BuildContext, repo: Repo, workspace: Path, log: Path, report: Callable[[Message], None]
) -> None:
    """Run egencache over what is in ``workspace``. Raises GuestError."""
    cache = workspace / "cache"
    masters = _masters(context, repo)
    target = f"{REPOS}/{repo.name}/{CACHE}"
    sandbox = Sandbox(
        lowers=unions.lowers(context.store, context.inputs.base[:1], ()),
        upper=make_directory(workspace, "root"),
        binds=(
            *(Bind(master.path, f"{REPOS}/{master.name}") for master in masters),
            *_binds(repo, Bind(cache, target, writable=True)),
        ),
        tmpfs=(REPOS,),
        limits=context.policy.limits,
        emulators=context.emulators,
    )
    request = {
        "repository": repo.name,
        "repositories": _conf(repo, masters),
        "cache": target,
        "jobs": context.policy.cores,
    }
    wanted = Call(_KIND, request, sandbox, workspace, log, {}, context.policy.phase_seconds)
    result, _ = call(context.engine, context.running, wanted, report)
    if result.get("status") != "ok":
        raise GuestError(f"{result.get('text')}; see {log}")


def _conf(repo: Repo, masters: Sequence[Repo]) -> str:
    """A repos.conf of these repositories; without masters a repository has the main one."""
    main = repo.masters[-1] if repo.masters else repo.name
    places = [
        f"[{name}]\nlocation = {REPOS}/{name}" for name in (repo.name, *(m.name for m in masters))
    ]
    return "\n".join([f"[DEFAULT]\nmain-repo = {main}", *places, ""])


def _normalise(cache: Path) -> None:
    """Set fixed owners and modes, which differ between seeds, and remove links."""
    for directory, directories, names in os.walk(cache):
        Path(directory).chmod(0o755)
        os.chown(directory, 0, 0)
        for name in (*names, *(each for each in directories if Path(directory, each).is_symlink())):
            path = Path(directory, name)
            if name.startswith(".") or path.is_symlink() or not path.is_file():
                path.unlink()  # an entry that was not finished, or no entry
                continue
            path.chmod(0o644)
            os.chown(path, 0, 0)
