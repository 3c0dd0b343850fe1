"""Portage's configuration: binrepos.conf, and how packages are fetched."""

from __future__ import annotations

import re
import shlex
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from urllib.parse import quote

from cloche.client.program.enrolment import FETCH, WGETRC, Enrolment, write_file

SECTION = "cloche"


def binrepos_section(enrolment: Enrolment, priority: int) -> str:
    """The entry of binrepos.conf for a target, see portage(5)."""
    lines = [
        f"[{SECTION}]",
        "# Written by cloche-client.",
        f"sync-uri = {binhost(enrolment).replace('%', '%%')}",  # configparser's own sign
        f"priority = {priority}",
        f"verify-signature = {'true' if enrolment.public_key else 'false'}",
        f'fetchcommand = sh {FETCH} "${{URI}}" "${{DISTDIR}}/${{FILE}}"',
        f'resumecommand = sh {FETCH} "${{URI}}" "${{DISTDIR}}/${{FILE}}" -c',
    ]
    return "\n".join(lines) + "\n"


def binhost(enrolment: Enrolment) -> str:
    """The address of a target's index."""
    return f"{enrolment.server}/t/{quote(enrolment.target, safe='')}"


def fetch_script(enrolment: Enrolment, root: Path) -> str:
    """The script with which emerge fetches, so that no command line has the token.

    Portage 3.0.83 ends with a traceback where a fetchcommand gives it no index.
    """
    parts = urllib.parse.urlsplit(binhost(enrolment))
    cache = root / "var/cache/edb/binhost" / str(parts.hostname) / parts.path.lstrip("/")
    return f"""#!/bin/sh
# Written by cloche-client: emerge fetches with it (binrepos.conf). The token is in
# {WGETRC}. Arguments: address, file, and -c to resume.
uri=$1 file=$2
shift 2
case $uri in
*/Packages | */Packages.gz) ;;
*) exec wget --config={WGETRC} "$@" -O "$file" "$uri" ;;
esac
told=$(wget --config={WGETRC} -nv -O "$file" "$uri" 2>&1)
case $?$uri in
0*) exit ;;
8*.gz) exit 1 ;; # the service answers, without it: emerge asks for the other one
esac
printf '%s\\n' "$told" "cloche-client: no index from the service; the last one is used" >&2
{{
    cat {shlex.quote(str(cache / "Packages"))} 2>/dev/null ||
        printf 'PACKAGES: 0\\nTIMESTAMP: 1\\nVERSION: 0\\n\\n'
}} | case $uri in *.gz) gzip ;; *) cat ;; esac >"$file"
"""


def wgetrc(enrolment: Enrolment) -> str:
    """The settings of wget for the script, see wget(1)."""
    lines = [
        "# Written by cloche-client. It has the token of this machine: keep it private.",
        f"header = Authorization: Bearer {enrolment.token}",
        "max_redirect = 0",  # it would take the header along
        "tries = 3",
        "dns_timeout = 5",
        "connect_timeout = 5",
        "read_timeout = 60",
    ]
    lines += [f"ca_certificate = {enrolment.ca}"] if enrolment.ca else []
    return "\n".join(lines) + "\n"


_OURS = re.compile(rf"^\[{SECTION}\]\n(?:[^\[\n].*\n?)*", re.MULTILINE)


def with_section(text: str, section: str) -> str:
    """A binrepos.conf with our entry; the others stay as they are."""
    if _OURS.search(text):
        return _OURS.sub(lambda found: section, text, count=1)
    others = text.rstrip("\n")
    return f"{others}\n\n{section}" if others else section


def without_section(text: str) -> str:
    """A binrepos.conf without our entry."""
    return _OURS.sub("", text).strip("\n")


def binrepos_file(etc: Path) -> Path:
    """Where our entry goes: a file of its own, unless binrepos.conf is a single file."""
    place = etc / "binrepos.conf"
    return place if place.is_file() else place / f"{SECTION}.conf"


def write_binrepos(path: Path, enrolment: Enrolment, priority: int, root: Path) -> None:
    """Write our entry, and what it uses; Portage's group may read the token."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    after = with_section(before, binrepos_section(enrolment, priority))
    write_file(WGETRC, wgetrc(enrolment), 0o640, group_of("portage"))
    write_file(FETCH, fetch_script(enrolment, root), 0o755)
    write_file(path, after, 0o644)


def remove_binrepos(path: Path) -> None:
    """Remove our entry, and its file if nothing else is in it."""
    if path.is_file():
        left = without_section(path.read_text(encoding="utf-8"))
        if left:
            write_file(path, left + "\n", path.stat().st_mode & 0o777, path.stat().st_gid)
        else:
            path.unlink()


def group_of(name: str) -> int:
    """The id of a group; -1 if there is none."""
    import grp

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return -1
