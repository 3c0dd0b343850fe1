"""Ctrl-C and its like count also while a program is being started."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import os, signal
from cloche.cli.terminable import terminable
from cloche.trees import programs

# What comes right after the fork comes while Python runs the hooks of its modules.
os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGTERM))
with terminable():
    try:
        programs.output_of(("git", "--version"), request=None)
    except KeyboardInterrupt:
        print("ended")
    else:
        print("went on")
"""


def test_a_signal_right_after_the_fork_is_not_lost() -> None:
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("ended\n", "")
