"""The commands want and status."""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from cloche.client.program.description import collect, digest
from cloche.client.program.drawing import Screen, watch
from cloche.client.program.emerge import (
    NEEDS_BUILDING,
    emerge_if_ready,
    for_resolving,
    installable,
    missing_packages,
    with_category,
)
from cloche.client.program.enrolment import STATE, Enrolment, load_state
from cloche.client.program.events import Progress, Step, is_over
from cloche.client.program.problem import PROGRAM, Problem
from cloche.client.program.reading import load_portage
from cloche.client.program.refreshing import send_changes
from cloche.client.program.service import Service
from cloche.client.program.shared import answer, enrolled, notes_of, service_of
from cloche.client.program.text import counted, short, shown, warn


def want(options: argparse.Namespace) -> int:
    """Ask for packages, and watch them being built."""
    atoms = [word for word in options.words if not word.startswith("-")]
    flags = [word for word in options.words if word.startswith("-")]
    if not atoms:
        raise Problem("nothing is asked for", f"name packages: {PROGRAM} want ATOM", status=2)
    enrolment = enrolled(options)
    warn(send_changes(enrolment, whole=False).notes)
    defaults = default_options()
    resolving = for_resolving([*defaults, *flags])
    command = ["emerge", "--getbinpkg", "--usepkgonly", *flags, *atoms]
    if options.emerge:
        status, missing = emerge_if_ready(defaults, flags, atoms)
        if status != NEEDS_BUILDING:
            return status
    else:
        missing = missing_packages(resolving, atoms)
    built: dict[str, Any] = {}
    if missing:
        built = ask_for(options, enrolment, atoms, resolving, missing)
        if built["state"] not in ("done", "ready"):
            return answer(options, {**built, "command": command}, "", status=1)
    if options.emerge:
        sys.stdout.flush()
        os.execvp(command[0], command)  # noqa: S606 - emerge takes over
    missing = missing and missing_packages(resolving, atoms)
    if missing and not installable(resolving, atoms):
        what = f"emerge does not take what was built, and would build {' '.join(missing)}"
        raise Problem(what, f"see why: {shlex.join([*command, '--pretend'])}")
    text = f"All is ready. To install: {shlex.join(command)}"
    return answer(options, {**built, "command": command}, text)


def default_options() -> list[str]:
    """The options that the user gives to every emerge."""
    _, settings = load_portage()
    given = os.environ.get("EMERGE_DEFAULT_OPTS", settings.get("EMERGE_DEFAULT_OPTS", ""))
    return shlex.split(given)


def ask_for(
    options: argparse.Namespace,
    enrolment: Enrolment,
    atoms: Sequence[str],
    resolving: Sequence[str],
    missing: Sequence[str],
) -> dict[str, Any]:
    """Have packages built; return what came of it. Raises Problem."""
    service = service_of(enrolment)
    request = {
        "atoms": list(map(with_category, atoms)),
        "options": list(resolving),
        "packages": list(missing),
    }
    if options.level:
        request["level"] = options.level
    path = f"/api/v1/targets/{quote(enrolment.target)}/wants"
    found = service.call("POST", path, request)
    warn(notes_of(found))
    if not found.get("build"):
        return {"state": "ready"}
    build = found["build"]
    screen = Screen(io.StringIO() if options.json else sys.stdout)
    if found.get("position"):
        screen.say(f"Build {build}: {found['position']} before it")
    try:
        events = path_of(service, str(found.get("events") or f"/api/v1/builds/{build}/events"))
        progress = watch(service, build, events, screen)
    except KeyboardInterrupt:
        note = f"build {build} goes on: `{PROGRAM} status` shows it, the same command watches it"
        print(f"\n{PROGRAM}: detached; {shown(note)}", file=sys.stderr)
        raise
    result = progress.result or service.call("GET", f"/api/v1/builds/{quote(build)}")
    report(service, build, progress, result)
    kept = ("state", "packages", "refused", "error")
    return {"build": build, **{name: result.get(name) for name in kept}}


def path_of(service: Service, url: str) -> str:
    """The part of a URL of the service below its address; it may be a path alone."""
    path = url[len(service.server) :] if url.startswith(service.server) else url
    return f"/{path.lstrip('/')}"


def report(service: Service, build: str, progress: Progress, result: Mapping[str, Any]) -> None:
    """Say what a build did not give, and why."""
    failed = {id: step for id, step in progress.steps.items() if step.state == "failed"}
    for id, step in failed.items():
        show_failure(service, build, id, step)
    told = {id.partition("::")[0] for id in failed}
    notes = [
        f"{each.get('cpv')} is not built: {each.get('words')}"
        for each in result.get("refused") or ()
        if each.get("cpv") not in told
    ]
    notes += [
        f"{each.get('cpv')} was built, but emerge does not take it: {each.get('words')}"
        for each in result.get("packages") or ()
        if each.get("accepted") is False
    ]
    if error := result.get("error"):
        notes += [*str(error.get("detail") or "").splitlines(), str(error.get("what"))]
        notes += [str(error["todo"])] if error.get("todo") else []
    elif result.get("state") != "done" and not notes and not failed:
        notes.append(f"build {build}: {result.get('state')}")
    for note in notes:
        for line in note.splitlines():
            print(f"{PROGRAM}: {shown(line)}", file=sys.stderr)


def show_failure(service: Service, build: str, id: str, step: Step) -> None:
    """Why a package failed: the reason, the lines that explain it or the end of its log."""
    path = path_of(service, step.log or f"/api/v1/builds/{quote(build)}/log/{quote(id)}")
    lines: Sequence[str] = step.lines
    if not lines:
        with contextlib.suppress(Problem, OSError), service.open("GET", path) as response:
            last = collections.deque(iter(lambda: response.readline(10_000), b""), maxlen=20)
            lines = [line.decode("utf-8", "replace").rstrip() for line in last]
    for line in lines:
        print(f"  {shown(line)}", file=sys.stderr)
    print(f"{PROGRAM}: {short(id)} failed: {shown(step.reason)}", file=sys.stderr)
    print(f"  the whole log: {service.server}{shown(path)}", file=sys.stderr)


def status(options: argparse.Namespace) -> int:
    """What the service has for this machine."""
    enrolment = enrolled(options)
    service = service_of(enrolment)
    target = service.call("GET", f"/api/v1/targets/{quote(enrolment.target)}")
    builds = service.call("GET", f"/api/v1/builds?target={quote(enrolment.target)}")
    collected = collect(load_state(STATE, enrolment).memory, savedconfig=enrolment.savedconfig)
    stale = target.get("digest") != digest(collected.description)
    under_way = [each for each in builds.get("builds") or () if not is_over(each)]
    data = {"server": enrolment.server, "target": target, "stale": stale, "builds": under_way}
    lines = [
        f"{enrolment.name} ({enrolment.target}) at {enrolment.server}, "
        f"level {target.get('level') or enrolment.level}",
        "What the service knows of this machine is "
        + (f"out of date: {PROGRAM} refresh" if stale else "up to date."),
    ]
    if isinstance(target.get("packages"), int):
        lines.append(f"Ready: {counted(target['packages'], 'package')}.")
    lines += [
        f"Build {each.get('id')}: {each.get('state')}: {' '.join(each.get('atoms') or ())}"
        for each in under_way
    ]
    return answer(options, data, "\n".join(lines))
