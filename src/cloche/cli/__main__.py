"""`python -m cloche.cli`, and where the installed `cloche` starts."""

import sys


def run() -> None:
    """Load the command line and run it; Ctrl-C while it loads ends it quietly, too."""
    try:
        from cloche.cli.main import main
    except KeyboardInterrupt:
        sys.stderr.write("cloche: interrupted\n")
        sys.exit(130)
    main()


if __name__ == "__main__":
    run()
