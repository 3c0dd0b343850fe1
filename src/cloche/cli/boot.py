"""`cloche boot`: starts what was made, in QEMU or systemd-nspawn, and checks it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import click

from cloche.booting import checks, guests
from cloche.booting.choosing import image_of
from cloche.booting.command import DirectKernel
from cloche.booting.console import LEAVING, Console, last_lines
from cloche.booting.errors import BootError, ended
from cloche.booting.guests import Started, Wish
from cloche.booting.png import png
from cloche.booting.shell import Login
from cloche.cli.boot_options import Size, Time
from cloche.cli.complete import complete_boot
from cloche.cli.options import Options, project_or_none, say
from cloche.cli.terminable import terminable
from cloche.cli.usage import NewFile, Number
from cloche.config.boot_tests import BootTests
from cloche.config.machine import Machine
from cloche.config.project import load_project
from cloche.display.boot_checks import as_data, line, summary
from cloche.errors import ClocheError, Exit, unwritable

_AFTER = 30.0  # seconds until a screenshot
_TIMEOUT = 600.0  # seconds that a text on the console may take
_SHOWN = 20  # lines of the console after a failure


_READ = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for besides the machine itself."""

    test: bool
    as_json: bool
    screenshot: Path | None
    after: float | None
    until: str | None
    timeout: float | None
    log: Path | None

    @property
    def interactive(self) -> bool:
        """Whether a person sits at the console."""
        return not (self.test or self.screenshot or self.until)


@click.command(
    epilog="""\b
Examples:
  cloche boot router
  cloche boot router/live --ssh --forward 8080:80
  cloche boot out/router/disk.qcow2 --keep work.qcow2
  cloche boot --test router --json
  cloche boot router --screenshot console.png --until "login:"
  cloche boot --kernel vmlinuz --initrd initramfs.img --kernel-args "quiet"
  cloche boot --nspawn router

\b
Leave the console with Ctrl-] three times within a second, or shut the guest down.
Exit status of --test: 0 if all checks passed, 1 otherwise.
""",
)
@click.argument(
    "what", metavar="[MACHINE[/IMAGE]|FILE]", required=False, shell_complete=complete_boot
)
@click.option("--test", is_flag=True, help="Run the checks of the machine's [test], and end.")
@click.option("--json", "as_json", is_flag=True, help="With --test: print JSON.")
@click.option(
    "--machine", "tested", metavar="MACHINE", help="With --test FILE: whose checks to run."
)
@click.option("--nspawn", is_flag=True, help="Boot in systemd-nspawn instead of QEMU, as root.")
@click.option("--kernel", metavar="FILE", type=_READ, help="Start this kernel, without a loader.")
@click.option("--initrd", metavar="FILE", type=_READ, help="The initramfs of --kernel.")
@click.option(
    "--kernel-args", "arguments", metavar="TEXT", default="", help="Options for the kernel."
)
@click.option(
    "--firmware",
    type=click.Choice(["uefi", "bios", "none"]),
    default=None,
    help="What boots it [default: what fits the image].",
)
@click.option("--ephemeral", is_flag=True, help="Drop all changes of the disk: the default.")
@click.option(
    "--keep",
    metavar="FILE",
    type=NewFile(),
    help="Keep the changed disk in FILE (qcow2), and go on with it if it is there.",
)
@click.option(
    "--ssh", is_flag=True, help="Forward a port to sshd, with a key of this run for root."
)
@click.option(
    "--forward",
    "forwards",
    metavar="HOST:GUEST",
    multiple=True,
    help="Let a port of this host's loopback lead to one of the guest. Repeatable.",
)
@click.option("--network", is_flag=True, help="Let the guest reach the network.")
@click.option("--memory", type=Size(), default=1 << 30, help="Memory [default: 1G].")
@click.option("--cpus", type=Number(1, 256), default=1, show_default=True, help="Processors.")
@click.option(
    "--screenshot",
    metavar="FILE",
    type=NewFile(),
    help="Write the screen as PNG, and end: after --until, --after, the checks.",
)
@click.option(
    "--after",
    type=Time(),
    help="Wait so long, after --until if that is given [default with --screenshot: 30s].",
)
@click.option("--until", metavar="TEXT", help="Wait for this text on the console, and end.")
@click.option("--timeout", type=Time(), help="How long --until waits [default: 10m].")
@click.option(
    "--log",
    metavar="FILE",
    type=NewFile(),
    help="Write what the console shows [default with --test: IMAGE.console.log].",
)
@click.pass_obj
def boot(
    options: Options, /, what: str | None, tested: str | None, nspawn: bool, **given: Any
) -> None:
    """Start an image of MACHINE, or FILE, in QEMU, with its console on this terminal.

    FILE is a disk (raw, qcow2), an ISO, an EFI program or a kernel; with --nspawn a directory, a
    tarball or a raw disk. The image stays as it is: what the guest writes is dropped at the end.
    The guest sees nothing of this host, and no network without --network. See docs/boot.md.
    """
    _check(what, nspawn=nspawn, tested=tested, **given)
    machine, path = _chosen(options, what, nspawn=nspawn, test=given["test"])
    if tested is not None:
        machine = load_project(options.directory).machine(tested)
    names = ("test", "as_json", "screenshot", "after", "until", "timeout", "log")
    asked = Asked(**{name: given[name] for name in names})
    image = path or given["kernel"]
    for target in (asked.log, asked.screenshot):
        if target is not None:
            guests.check_own(target, image)
    tests = _tests(machine) if asked.test else None
    wish = Wish(
        path=path,
        kernel=DirectKernel(given["kernel"], given["initrd"]) if given["kernel"] else None,
        arguments=given["arguments"],
        firmware=given["firmware"] or "",
        keep=given["keep"],
        memory=given["memory"],
        cpus=given["cpus"],
        network=given["network"],
        ssh=given["ssh"],
        forwards=tuple(guests.check_forward(text) for text in given["forwards"]),
        autologin=tests is not None and _login(tests) == Login(),
        reboots=asked.interactive,
    )
    runs = guests.in_nspawn if nspawn else guests.in_qemu
    with terminable(), runs(wish) as started:
        status = _run(started, asked, tests, image)
    sys.exit(status)


def _check(what: str | None, *, nspawn: bool, **given: Any) -> None:
    """See that the options fit each other. Raises `click.UsageError`."""
    wrong = {
        "--json is for --test": given["as_json"] and not given["test"],
        "--machine is for --test": given["tested"] is not None and not given["test"],
        "--after is for --screenshot": bool(given["after"]) and not given["screenshot"],
        "--timeout is for --until": given["timeout"] is not None and given["until"] is None,
        "--until needs a text": given["until"] == "",
        "--initrd is for --kernel": given["initrd"] and not given["kernel"],
        "--keep and --ephemeral contradict each other": given["keep"] and given["ephemeral"],
        "name a machine, an image or --kernel": not what and not given["kernel"],
    }
    if nspawn:
        for name in ("kernel", "keep", "ssh", "forwards", "screenshot", "firmware", "arguments"):
            option = {"forwards": "forward", "arguments": "kernel-args"}.get(name, name)
            wrong[f"--{option} is for QEMU, not for --nspawn"] = bool(given[name])
    for message, is_wrong in wrong.items():
        if is_wrong:
            raise click.UsageError(message)


def _chosen(
    options: Options, what: str | None, *, nspawn: bool, test: bool
) -> tuple[Machine | None, Path | None]:
    """The machine that is meant, if one is, and the file. Raises ClocheError."""
    if what is None:
        return None, None
    name, _, image = what.partition("/")
    project = project_or_none(options)
    if project is not None and name in project.machines:
        machine = project.machine(name)
        wanted = image or (machine.tests.image if test and machine.tests else "")
        return machine, image_of(machine, wanted, nspawn=nspawn)
    path = options.directory / what
    if path.exists():
        return None, path
    known = f"; machines are {', '.join(project.machines)}" if project and project.machines else ""
    raise BootError(f"“{what}” is neither a machine nor a file", todo=f"name one of them{known}")


def _tests(machine: Machine | None) -> BootTests:
    if machine is None:
        raise BootError("a file has no checks of its own", todo="name a machine with --machine")
    if machine.tests is None:
        todo = 'add [test] with units, commands or ready, as units = ["sshd"] (docs/boot.md)'
        raise BootError("the machine has no checks", where=machine.file, todo=todo)
    return machine.tests


def _login(tests: BootTests) -> Login:
    if tests.password_file is None:
        return Login(tests.user)
    try:
        text = tests.password_file.read_text().rstrip("\n")
    except (OSError, UnicodeError) as error:
        what = f"the password cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}"
        raise BootError(what, where=tests.password_file) from error
    return Login(tests.user, text)


def _run(started: Started, asked: Asked, tests: BootTests | None, path: Path) -> int:
    """Do with a guest what was asked for; return the exit status."""
    begun = time.monotonic()
    for words in started.words:
        say(words)
    with _log(asked, path) as (file, place):
        console = Console(started.guest, file, echo=asked.interactive)
        if asked.interactive:
            return _attended(started, console)
        if tests is not None:
            return _tested(started, console, asked, tests, begun, place)
        seconds = _TIMEOUT if asked.timeout is None else asked.timeout
        if asked.until and not console.wait_for(asked.until, seconds):
            how = "; the guest has ended" if console.ended else f" within {seconds:.0f} s"
            raise _unseen(started, console, f"“{asked.until}” was not on the console{how}")
        console.pass_time(asked.after or (0.0 if asked.until else _AFTER))
        _screenshot(started, console, asked.screenshot)
    return Exit.DONE


def _attended(started: Started, console: Console) -> int:
    say(f"leave the console with {LEAVING}")
    console.attend()
    say()
    if console.ended and started.guest.failed():
        raise ended(started.guest.program, started.guest.said())
    return Exit.DONE


def _tested(
    started: Started, console: Console, asked: Asked, tests: BootTests, begun: float, log: Path
) -> int:
    """Run the checks, and show how they went."""

    def told(result: checks.Result) -> None:
        if not asked.as_json:
            click.echo(line(result))

    results = checks.carried_out(tests, console, _login(tests), begun, told)
    _screenshot(started, console, asked.screenshot)
    passed = checks.passed(results)
    if not passed:
        if said := started.guest.said().strip():
            say(said)
        say(f"the end of the console, whose log is {log}:")
        say(last_lines(log.read_bytes(), _SHOWN))
    if asked.as_json:
        click.echo(json.dumps(as_data(results, log), indent=2))
    else:
        click.echo(summary(results))
    return Exit.DONE if passed else Exit.FAILED


def _screenshot(started: Started, console: Console, target: Path | None) -> None:
    """Write the screen as PNG. Raises ClocheError."""
    if target is None:
        return
    picture = started.guest.stage / "screen.ppm"
    try:
        assert started.guest.monitor is not None  # noqa: S101 - systemd-nspawn has no screen
        started.guest.monitor.call("screendump", filename=str(picture))
    except BootError:
        console.pass_time(1.0)
        if console.ended:
            raise _unseen(started, console, "the guest shut down before the screenshot") from None
        raise
    try:
        target.write_bytes(png(picture.read_bytes()))
    except OSError as error:
        raise unwritable(target, error, "choose a file that you may write") from error


def _unseen(started: Started, console: Console, what: str) -> ClocheError:
    """The error for what did not come, with what did."""
    recent = last_lines(console.recent.encode(), _SHOWN)
    if console.ended and started.guest.failed():
        return ended(started.guest.program, started.guest.said(), recent)
    return BootError(what, detail=recent or None, status=Exit.FAILED)


@contextmanager
def _log(asked: Asked, path: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """The file that keeps what the console shows: of tests always, else if one is named."""
    place = asked.log or (Path(f"{path}.console.log") if asked.test else Path(os.devnull))
    try:
        with place.open("wb") as file:
            yield file, place
    except OSError as error:
        if error.filename != str(place):
            raise
        raise unwritable(place, error, "name another file with --log") from error
