"""The checks of a machine that boots: what is asked, and how each of them went."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from cloche.booting.console import Console
from cloche.booting.errors import BootError
from cloche.booting.shell import Login, Shell
from cloche.config.boot_tests import BootTests

PASSED, FAILED, SKIPPED = "passed", "failed", "not run"

#: Waits for a unit that is still starting. OpenRC has started its services before it asks for a
#: login; with systemd the console may be there before.
_UNIT = (
    "U={unit}; if [ -d /run/systemd/system ]; then n=0; "
    '[ "$(systemctl show -p LoadState --value $U)" != not-found ] || '
    "{{ echo unit $U not found; exit 4; }}; "
    "until systemctl -q is-active $U || systemctl -q is-failed $U || [ $n -ge 30 ]; "
    "do n=$((n+1)); sleep 1; done; systemctl -q is-active $U && exit 0; "
    "systemctl --no-pager -n 5 status $U; exit 1; "
    "elif [ -d /run/openrc ]; then rc-service $U status; "
    "else echo neither systemd nor OpenRC runs here; exit 127; fi"
)
_TOLD = 2000  # characters of a command's output that are kept


@dataclass(frozen=True, slots=True)
class Result:
    """How a check went. ``kind`` is "boot", "unit" or "command"; ``why`` is empty if it passed."""

    kind: str
    name: str
    state: str = SKIPPED
    seconds: float = 0.0
    why: str = ""
    output: str = ""


def planned(tests: BootTests) -> tuple[Result, ...]:
    """The checks of a machine, none of them run."""
    boot = Result("boot", f"“{tests.ready}” on the console" if tests.ready else "a shell")
    units = (Result("unit", name) for name in tests.units)
    return (boot, *units, *(Result("command", text) for text in tests.commands))


def carried_out(
    tests: BootTests,
    console: Console,
    login: Login,
    started: float,
    told: Callable[[Result], None],
) -> tuple[Result, ...]:
    """Run the checks; each is ``told`` as it ends. ``started`` is the time of power on."""
    results = []
    for each in _results(tests, Shell(console, login), console, started):
        told(each)
        results.append(each)
    return tuple(results)


def passed(results: Sequence[Result]) -> bool:
    """Whether all checks passed."""
    return all(each.state == PASSED for each in results)


def _results(tests: BootTests, shell: Shell, console: Console, started: float) -> Iterator[Result]:
    end = started + tests.timeout
    boot, *others = planned(tests)
    try:
        _booted(tests, shell, console, end)
    except BootError as error:
        why = f"{error.what}; {error.todo}" if error.todo else error.what
        yield replace(boot, state=FAILED, seconds=time.monotonic() - started, why=why)
        yield from others
        return
    yield replace(boot, state=PASSED, seconds=time.monotonic() - started)
    for number, each in enumerate(others):
        result = _checked(each, shell, end)
        yield result
        if result.why == _LATE:  # the shell is still busy with it
            yield from others[number + 1 :]
            return


def _booted(tests: BootTests, shell: Shell, console: Console, end: float) -> None:
    if tests.ready and not console.wait_for(tests.ready, end - time.monotonic()):
        how = "the guest ended before that" if console.ended else _LATE
        raise BootError(how)
    if tests.units or tests.commands:
        shell.reach(end)


_LATE = "not within the timeout"


def _checked(each: Result, shell: Shell, end: float) -> Result:
    command = _UNIT.format(unit=each.name) if each.kind == "unit" else each.name
    ran = shell.run(command, end)
    result = replace(each, seconds=ran.seconds, output=ran.output[-_TOLD:])
    if ran.status == 0:
        return replace(result, state=PASSED)
    last = next((line for line in reversed(ran.output.splitlines()) if line.strip()), "")
    why = _LATE if ran.status is None else f"status {ran.status}{f': {last}' if last else ''}"
    return replace(result, state=FAILED, why=why)
