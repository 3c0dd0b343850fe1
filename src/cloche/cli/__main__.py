"""`python -m cloche.cli`, and where the installed `cloche` starts."""

import os
import sys


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


def run() -> None:
    """Load the command line and run it; Ctrl-C while it loads ends it quietly, too."""
    try:
        open_streams()
        from cloche.cli.main import main
    except KeyboardInterrupt:
        sys.stderr.write("cloche: interrupted\n")
        sys.exit(130)
    main()


if __name__ == "__main__":
    run()
