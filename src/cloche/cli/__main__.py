"""`python -m cloche.cli`, and where the installed `cloche` starts."""

# ruff: noqa: E402 - imports take time, during which Ctrl-C would show a traceback

import _signal  # type: ignore[import-not-found]  # the part of it that Python has loaded

#: Whether Ctrl-C is ours to take; otherwise it is ignored.
OURS = _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler
if OURS:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

import atexit
import contextlib
import gc
import os
import signal
import sys

#: Objects made before Python looks for garbage: with its own 700 it goes through all that is loaded
#: again and again, for a twentieth of a short command.
GARBAGE = 100_000


def open_streams() -> None:
    """Give a standard stream that the caller closed to /dev/null.

    The first file that is opened would get its number, and be written to or handed to commands.
    """
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
            setattr(sys, name, open(fd, mode, closefd=False))  # noqa: SIM115


def olm() -> None:
    """Run the same as `olm`, which has the commands of `cloche overlay`."""
    run("olm")


def run(program: str = "cloche") -> None:
    """Load the command line and run it; Ctrl-C ends it quietly even while it loads.

    Not by an exception: a module being imported might catch it, or Python only print it.
    """
    if OURS:
        signal.signal(signal.SIGINT, _interrupted)
    open_streams()
    gc.set_threshold(GARBAGE)
    from cloche.cli.main import main

    status: object = 0
    try:
        if OURS:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        main(program)
    except SystemExit as end:
        status = end.code or 0
    except KeyboardInterrupt:
        _interrupted()
    _end(status)


def _end(status: object) -> None:
    """End at once: freeing a large plan would take a tenth of the command's time."""
    if isinstance(status, int):
        with contextlib.suppress(OSError, ValueError):  # which Python reports when it ends
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    sys.exit(status)  # type: ignore[arg-type]


def _interrupted(*_: object) -> None:
    os.write(2, b"cloche: interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    run()
