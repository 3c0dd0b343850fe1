"""What tools and ebuilds write."""

from __future__ import annotations

from cloche.building import diagnose
from cloche.display.text import visible
from cloche.records import errorlines
from cloche.watch import emergelog


def error_lines_of(data: bytes) -> object:
    lines = data.decode(errors="replace").splitlines()
    return errorlines.error_lines(lines), [visible(line) for line in lines]


def diagnosis(data: bytes) -> object:
    log = data.decode(errors="replace")
    return (
        diagnose.missing_in(log),
        errorlines.why_it_died(log),
        diagnose.tried_network(log),
        diagnose.was_killed(log),
        diagnose.no_space(log),
    )


def emerge_log(data: bytes) -> object:
    lines = data.decode(errors="replace").splitlines()
    return emergelog.read_run(lines, 1.0), emergelog.earlier_seconds(lines, 9e9)


PARSERS = (error_lines_of, diagnosis, emerge_log)
VALID = (
    (
        b"x.c: In function 'f':\nx.c:1:2: error: no\n  1 | x\n    | ^\n"
        b"make[1]: *** [x] Error 1\nTraceback (most recent call last):\n  File\nValueError\n",
    ),
    (
        b"x.c:1:10: fatal error: zlib.h: No such file or directory\n * ERROR: a/b-1::l failed "
        b"(compile phase):\n *   emake failed\n/usr/bin/ld: cannot find -lz\n",
    ),
    (
        b"1:  >>> emerge (1 of 3) a/b-1 to /\n2:  === (1 of 3) Merging (a/b-1::x)\n"
        b"3:  ::: completed emerge (1 of 3) a/b-1 to /\n4:  *** terminating.\n",
    ),
)
