"""Finds the lines of a failed log that show the cause: the compiler's error, not make's trailer.

Pure functions over lines. Errors are recognised by the messages of common tools; the lines after an
error (the source, the caret, a note) and before it (``In function``) belong to it. Later messages
of make, ninja, gcc as ld's driver and Portage only say that something failed, and are left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LIMIT = 15  # lines, about a third of a terminal
REACH = 400  # lines before make's first trailer that are searched for the error
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")

# A tool reports an error.
ERROR = re.compile(
    r"""
    :\ (?:fatal\ |internal\ compiler\ )?error:              # gcc, clang: file:line:col: error:
    | ^(?:fatal\ )?error(?:\[E\d+\])?:                       # rustc, cargo, git, many
    | undefined\ reference\ to | multiple\ definition\ of
    | ld(?:\.\w+)?:\ .*(?:cannot\ find|error:|undefined)     # ld, lld
    | cannot\ find\ -l
    | ^CMake\ Error | ^\S+:\d+:\d+:\ ERROR:                  # cmake; meson
    | ^ERROR:\ (?!.*failed\ \(\w+\ phase\))
    | ^configure:\ error: | ^\S*configure:\ line\ \d+:.*error
    | ^make(?:\[\d+\])?:\ \S+:\ (?:No\ such\ file|Permission\ denied|Command\ not\ found)
    | \*\*\*\ (?:No\ rule\ to\ make | missing\ separator | multiple\ target)
    | :\ command\ not\ found$ | :\ not\ found$ | :\ Permission\ denied$
    | error\ while\ loading\ shared\ libraries
    | ^Hunk\ \#\d+\ FAILED | ^patch:\ \*\*\*\*
    | ^(?:FAIL|XPASS|FAILED|ERROR):?\ +\S | \ \.\.\.\ FAILED$ | ^not\ ok\ \d
    | ^[\w./-]+\.go:\d+:\d+:\ | ^panic:\                     # go
    | ^\S+\ at\ \S+\ line\ \d+\.$                            # perl's die
    | No\ space\ left\ on\ device | Disk\ quota\ exceeded
    | Segmentation\ fault | (?:^|\s)Killed$ | virtual\ memory\ exhausted | ^Assertion\s
    | Could\ not\ resolve\ host | Temporary\ failure\ in\ name\ resolution
    | ^!!!\s
    """,
    re.VERBOSE,
)
# A tool reports that another one failed.
TRAILER = re.compile(
    r"""
    ^g?make(?:\[\d+\])?:\ \*\*\*\ (?:\[.*\ Error\ \d+|.*\ Error\ \d+|Waiting\ for|\[.*\]\ [A-Z]\w+)
    | ^ninja:\ build\ stopped | ^collect2:\ error:
    | ^g?make(?:\[\d+\])?:\ (?:Entering|Leaving)\ directory
    | ^compilation\ terminated
    | ^A\ full\ log\ can\ be\ found\ at | ^===\ cloche:
    | ^>>>\ | ^\ \*\ (?:Package|Repository|Maintainer|Upstream|USE|FEATURES):  # Portage's own words
    """,
    re.VERBOSE,
)
STOP = re.compile(
    r"^g?make(?:\[\d+\])?: \*\*\* .*Error \d+|^ninja: build stopped|^ \* ERROR: \S+ failed"
)
PORTAGE = re.compile(r"^ \* ")  # eerror's lines of die, with the call stack
DIED = re.compile(r"^ \* ERROR: \S+ failed \(\w+ phase\)")
BEFORE = re.compile(r"(?:: |^)In (?:\w+ )*(?:function|constructor)|^In file included|in function `")
AFTER = re.compile(r"^\s*\d* \|( |$)|: note: |^ {2,}\S|^\t")
TRACE = re.compile(r"^\s*Traceback \(most recent call last\):")


def plain(line: str) -> str:
    """A line without colours, and only what follows its last carriage return."""
    return _COLOUR.sub("", line).rstrip("\r\n").rsplit("\r", 1)[-1].rstrip()


def error_lines(log: Sequence[str], limit: int = LIMIT) -> tuple[str, ...]:
    """At most ``limit`` lines that show why a step failed, in the order of the log.

    If no line is recognised as an error: Portage's reason, or the last lines before the trailers.
    """
    lines = [plain(line) for line in log]
    end = next((n for n, line in enumerate(lines) if STOP.search(line)), len(lines))
    blocks = _blocks(lines[max(0, end - REACH) : end]) or _blocks(lines)
    if blocks:
        return _cut([line for block in blocks for line in block], limit)
    return _words_of_die(lines) or tuple(_last_words(lines)[-limit:])


def _blocks(lines: Sequence[str]) -> list[list[str]]:
    """Each error with the lines that belong to it."""
    blocks: list[list[str]] = []
    taken = -1  # the last line that is in a block
    for number, line in enumerate(lines):
        if number <= taken:
            continue
        if TRACE.match(line):
            taken = _trace_end(lines, number)
            blocks.append(_short_trace(lines[number : taken + 1]))
        elif ERROR.search(line) and not TRAILER.search(line) and not PORTAGE.match(line):
            first = number
            while first - 1 > taken and BEFORE.search(lines[first - 1]):
                first -= 1
            taken = number
            while taken + 1 < len(lines) and AFTER.search(lines[taken + 1]):
                taken += 1
            blocks.append(list(lines[first : taken + 1]))
    return blocks


def _trace_end(lines: Sequence[str], start: int) -> int:
    """The line of a Python traceback that names the exception: the first that is not indented."""
    indent = len(lines[start]) - len(lines[start].lstrip())
    for number in range(start + 1, len(lines)):
        line = lines[number]
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            return number
    return len(lines) - 1


def _short_trace(trace: Sequence[str], keep: int = 8) -> list[str]:
    """A traceback: its head, and the end, where it happened."""
    return list(trace) if len(trace) <= keep + 2 else [trace[0], "  …", *trace[-keep:]]


def _cut(lines: Sequence[str], limit: int) -> tuple[str, ...]:
    """The first lines, as errors cause others, and the number of the rest."""
    if len(lines) <= limit:
        return tuple(lines)
    return (*lines[: limit - 1], f"… and {len(lines) - limit + 1} more lines like these")


def _words_of_die(lines: Sequence[str]) -> tuple[str, ...]:
    """The message of an ebuild's ``die``, with the lines just before it."""
    place = next((n for n, line in enumerate(lines) if DIED.match(line)), None)
    if place is None:
        return ()
    before = _last_words(lines[:place])[-4:]
    reason = [line for line in lines[place + 1 : place + 3] if line.startswith(" *   ")]
    return (*before, lines[place], *reason)


def _last_words(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if line.strip() and not TRAILER.search(line)]


# What Portage's `die` writes below the tools' messages.
_DIED = re.compile(r"^ \* ERROR: \S+ failed(?: \((\w+) phase\))?:$", re.MULTILINE)
_FAULT = re.compile(r"\b(?:fatal )?error: |\bError \d+$|: command not found$")
_SENTENCE = re.compile(r"(?<=[.!?]) ")
_NOT_MERGED = re.compile(r"\bNOT merged\b|\b[Aa]bort")
_PROGRESS = (">>> ", " * FAILED ", " * Final size")


def why_it_died(text: str) -> str | None:
    """One line that says why a phase failed: the ebuild's message, or the first error."""
    if died := _DIED.search(text):
        said = text[died.end() :].strip("\n").partition("\n")[0].removeprefix(" *").strip()
        if said and said != "(no error message)":
            return said
        text = text[: died.start()]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(_PROGRESS)]
    if told and told[-1].startswith("*") and (refused := _refusal(text)):
        return refused
    return next((line for line in told if _FAULT.search(line)), told[-1] if told else None)


def _refusal(text: str) -> str | None:
    """Portage's own reason to stop: the sentence that says so, or the first one."""
    lines = (line.strip() for line in text.splitlines())
    said = [line[1:].strip() for line in lines if line == "*" or line.startswith("* ")]
    paragraphs = " ".join(line or "\n" for line in said).split("\n")
    sentences = [each.strip() for p in paragraphs for each in _SENTENCE.split(p) if each.strip()]
    final = [sentence for sentence in sentences if _NOT_MERGED.search(sentence)]
    return next(iter(final or sentences), None)
