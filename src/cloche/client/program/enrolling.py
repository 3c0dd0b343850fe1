"""The commands describe, enrol and leave."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import gzip
import json
import os
import socket
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cloche.client.program.binrepos import (
    SECTION,
    binrepos_file,
    binrepos_section,
    remove_binrepos,
    write_binrepos,
)
from cloche.client.program.description import collect, encode
from cloche.client.program.enrolment import (
    CERTIFICATE,
    FETCH,
    STATE,
    WGETRC,
    Enrolment,
    load_enrolment,
    save_state,
    write_file,
)
from cloche.client.program.keyring import distrust, trust
from cloche.client.program.problem import PROGRAM, Problem
from cloche.client.program.reading import Memory, load_portage, portage_places
from cloche.client.program.refreshing import send_changes
from cloche.client.program.service import (
    GONE,
    WORD,
    Refusal,
    Service,
    Unreachable,
    fetch_certificate,
    is_exposed,
    not_ours,
    renewal,
    server_url,
)
from cloche.client.program.shared import answer, enrolled, notes_of, service_of
from cloche.client.program.text import counted, warn


def describe(options: argparse.Namespace) -> int:
    """Print the description of this machine."""
    collected = collect(Memory(), savedconfig=options.savedconfig)
    warn(collected.notes)
    sys.stdout.buffer.write(encode(collected.description) + b"\n")
    sys.stdout.buffer.flush()
    return 0


def enrol(options: argparse.Namespace) -> int:
    """Make this machine a target of a service, and the service a binary package host of emerge."""
    server = server_url(options.server)
    known = load_enrolment(options.config)
    if known and known.server != server and not options.again:
        what = f"this machine is enrolled with {known.server}"
        todo = f"{PROGRAM} leave, or give --again to enrol it with another service"
        raise Problem(what, todo, status=2)
    if is_exposed(server) and not options.allow_http:
        what = f"{server}: others on the way can read the token, and change packages"
        raise Problem(what, "use https://, or give --allow-http", status=2)
    etc, home = portage_places()
    path = binrepos_file(etc)
    if options.pretend:
        return show_enrolment(options, server, path, home)
    check_writable(options, etc)
    before = known if known and known.server == server else None
    ca = certificates(options, server) or (before.ca if before else "")
    enrolment, notes = enrolled_with(options, Service(server, given_token(options), ca), before)
    enrolment = with_keys(enrolment, known, home, drop=options.drop_old_keys)
    write_file(options.config, json.dumps(asdict(enrolment), indent=1) + "\n", 0o600)
    if enrolment.public_key:
        trust(enrolment.public_key, home)
    write_binrepos(path, enrolment, options.priority, Path(load_portage()[1]["EROOT"]))
    data: dict[str, Any] = {"server": server, "target": enrolment.target, "name": enrolment.name}
    data |= {"level": enrolment.level, "signed": bool(enrolment.public_key), "binrepos": str(path)}
    text = (
        f"This machine is {enrolment.name} ({enrolment.target}) at {server}, "
        f"level {enrolment.level}.\n"
        f"emerge --getbinpkg takes packages from there ({path}).\n"
        f"To have some built: {PROGRAM} want ATOM"
    )
    return answer(options, {**data, "notes": notes}, text)


def with_keys(
    enrolment: Enrolment, known: Enrolment | None, home: Path, *, drop: bool
) -> Enrolment:
    """An enrolment that knows all keys in Portage's keyring; to ``drop`` is to distrust the old."""
    keys = dict.fromkeys((*known.former_keys, known.public_key) if known else ())
    former = [each for each in keys if each not in ("", enrolment.public_key)]
    if drop:
        for each in former:
            distrust(each, home, but=enrolment.public_key)
        former = []
    return replace(enrolment, former_keys=former)


def check_writable(options: argparse.Namespace, etc: Path) -> None:
    """See that this user may change what enrolment wrote. Raises Problem."""
    for place in (options.config.parent, etc):
        if not os.access(place, os.W_OK):
            what = f"{place} cannot be written"
            raise Problem(what, f"run {PROGRAM} {options.command} as root", status=3)


def leave(options: argparse.Namespace) -> int:
    """Leave the service: it forgets this machine, and its files here are removed."""
    enrolment = enrolled(options)
    etc, home = portage_places()
    path = binrepos_file(etc)
    files = [options.config, FETCH, WGETRC, STATE, CERTIFICATE]
    there = [str(each) for each in files if each.exists()]
    data = {"server": enrolment.server, "target": enrolment.target, "files": there}
    lines = [f"remove {each}" for each in there]
    lines.insert(0, f"remove [{SECTION}] from {path}")
    keys = [each for each in (enrolment.public_key, *enrolment.former_keys) if each]
    if keys:
        lines.append(f"remove {counted(len(keys), 'key')} of the service from {home}")
    if not options.local:
        lines.insert(0, f"delete {enrolment.name} ({enrolment.target}) at {enrolment.server}")
    if options.pretend:
        text = "\n".join(["It would:", *(f"  {line}" for line in lines)])
        return answer(options, {**data, "removed": False}, text)
    check_writable(options, etc)
    if not options.local:
        delete_at(service_of(enrolment), enrolment.target)
    remove_binrepos(path)
    for key in keys:
        distrust(key, home)
    for each in files:
        with contextlib.suppress(FileNotFoundError):
            each.unlink()
    text = f"This machine has left {enrolment.server}. Installed packages stay."
    return answer(options, {**data, "removed": True}, text)


def delete_at(service: Service, target: str) -> None:
    """Let the service forget a target; it may have done so before. Raises Problem."""
    try:
        service.call("DELETE", f"/api/v1/targets/{quote(target)}", repeat=False)
    except Refusal as error:
        if error.code not in GONE:
            raise
        if error.code == 401:
            what = "the service does not take this machine's token, and may still have the target"
            warn([f"{what} {target}: its administrator can remove it"])
    except Unreachable as error:
        todo = f"try again later, or only remove the files here: {PROGRAM} leave --local"
        raise Problem(error.what, todo, status=3) from None


def show_enrolment(options: argparse.Namespace, server: str, path: Path, home: Path) -> int:
    """Say what `enrol` would do."""
    collected = collect(Memory(), savedconfig=options.savedconfig)
    text = encode(collected.description)
    example = Enrolment(server, "ID", "TOKEN", "", ca=options.ca or "")
    data: dict[str, Any] = {
        "bytes": len(text), "sent": len(gzip.compress(text, 6)),
        "packages": len(collected.description["packages"]), "notes": list(collected.notes),
        "files": {
            str(options.config): "the service's address, the target's id and token; mode 0600",
            str(path): binrepos_section(example, options.priority),
            str(FETCH): "the script with which emerge fetches",
            str(WGETRC): "the token, for that script; mode 0640, group portage",
            str(home): "the service's public key, if it signs its packages",
            str(STATE): "the description that the service has",
        },
    }  # fmt: skip
    lines = [
        f"It would send {data['sent']} bytes to {server}: "
        f"{counted(data['packages'], 'package')}, "
        f"{counted(len(collected.description['files']), 'file')} of /etc/portage.",
        f"To see them: {PROGRAM} describe",
        "It would write:",
    ]
    for name, content in data["files"].items():
        lines += [f"  {name}", *(f"    {line}" for line in content.splitlines())]
    return answer(options, data, "\n".join(lines))


def enrolled_with(
    options: argparse.Namespace, service: Service, known: Enrolment | None
) -> tuple[Enrolment, list[str]]:
    """The enrolment, and notes: as the target that the token is for, as before, or as a new one."""
    if not options.again:
        made = as_target_of(options, service, known)
        if made is None and known:
            made = enrolled_before(options, replace(known, ca=service.ca))
        if made:
            return made
    try:
        enrolment, notes = newly_enrolled(options, service)
    except Refusal as error:
        if error.code != 401 or service.token:
            raise
        if not sys.stdin.isatty():
            what = f"{service.server} needs a token to enrol"
            todo = "give one with --token-file FILE or in $CLOCHE_TOKEN; `cloche serve token add` "
            todo = renewal(known.server, known.target) if known else f"{todo}there prints one"
            raise Problem(what, todo, status=2) from None
        token = checked_token(getpass.getpass(f"Token for {service.server}: "))
        if not token:
            raise
        return enrolled_with(options, replace(service, token=token), known)
    if known and not options.again:
        notes.append(
            f"the service does not take the token of {known.target} any more: a new target"
        )
    return enrolment, notes


def as_target_of(
    options: argparse.Namespace, service: Service, known: Enrolment | None
) -> tuple[Enrolment, list[str]] | None:
    """The enrolment as the target that a given token is for; None if it is for none.

    So a machine gets a new token, or becomes again what it was before its files were lost.
    """
    if not service.token:
        return None
    try:
        found = service.call("GET", "/api/v1/token")
    except Refusal as error:
        if error.code in GONE:  # or the service is an older one
            return None
        raise
    target = found.get("target") or ""
    if found.get("role") != "request" or not WORD.fullmatch(target):
        return None
    if known and known.target != target:
        what = f"the token is for the target {target}, and this machine is {known.target}"
        raise Problem(what, f"to become that one: {PROGRAM} leave --local", status=2)
    own = known or Enrolment(service.server, target, "", "", savedconfig=options.savedconfig)
    return enrolled_before(options, replace(own, token=service.token, ca=service.ca))


def newly_enrolled(options: argparse.Namespace, service: Service) -> tuple[Enrolment, list[str]]:
    """Send the description for the first time; the enrolment, and notes. Raises Problem."""
    collected = collect(Memory(), savedconfig=options.savedconfig)
    name = options.name or socket.gethostname() or "target"
    data = {"name": name, "description": collected.description}
    if options.level:
        data["level"] = options.level
    found = service.call("POST", "/api/v1/targets", data, repeat=False)
    if not WORD.fullmatch(found.get("id") or "") or not WORD.fullmatch(found.get("token") or ""):
        raise not_ours()
    enrolment = Enrolment(
        server=service.server, target=found["id"], token=found["token"], name=name,
        level=found.get("level") or "", ca=service.ca, savedconfig=options.savedconfig,
        public_key=found.get("public_key") or "",
    )  # fmt: skip
    save_state(STATE, enrolment, collected.description, collected.memory)
    return enrolment, [*collected.notes, *notes_of(found)]


def enrolled_before(
    options: argparse.Namespace, known: Enrolment
) -> tuple[Enrolment, list[str]] | None:
    """An enrolment that the service still has, brought up to date; None if it has not."""
    service, path = service_of(known), f"/api/v1/targets/{quote(known.target)}"
    try:
        found = service.call("GET", path)
    except Refusal as error:
        if error.code in GONE:
            return None
        raise
    wished = {"name": options.name, "level": options.level}
    changed = {key: value for key, value in wished.items() if value and value != found.get(key)}
    if changed:
        found = service.call("PATCH", path, changed)
    enrolment = replace(
        known,
        name=found.get("name") or known.name,
        level=found.get("level") or known.level,
        public_key=found.get("public_key") or "",
        savedconfig=known.savedconfig or options.savedconfig,
    )
    refreshed = send_changes(enrolment, whole=False)
    return enrolment, list(refreshed.notes)


def given_token(options: argparse.Namespace) -> str:
    """The token of a file, standard input or the environment; empty if there is none."""
    if options.token_file == "-":  # noqa: S105 - standard input
        return checked_token(sys.stdin.readline())
    if options.token_file:
        return checked_token(Path(options.token_file).read_text("utf-8", "replace"))
    return checked_token(os.environ.get("CLOCHE_TOKEN", ""))


def checked_token(text: str) -> str:
    """A token that was given; it may be empty. Raises Problem."""
    token = text.strip()
    if token and not WORD.fullmatch(token):
        raise Problem("this is not a token", "give what `cloche serve token add` printed", status=2)
    return token


def certificates(options: argparse.Namespace, server: str) -> str:
    """The file with the certificates to trust; empty for the system's."""
    if options.ca:
        return str(Path(options.ca).resolve())
    if not options.fingerprint:
        return ""
    write_file(CERTIFICATE, fetch_certificate(server, options.fingerprint), 0o644)
    return str(CERTIFICATE)
