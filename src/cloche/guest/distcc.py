"""Compiles on other hosts: distcc(1) before the compilers of a build, in all phases.

The sandbox has no network. A port of its loopback leads to a socket that the host has bound into
it; what the host connects to it compiles with the same compilers. So nothing here changes a
result, and this file is in no key.

distcc's messages are dropped: a test of a build's may look at what a compiler says. What fails
elsewhere is compiled here by ``send``: distcc itself would use no host meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import ccache

SOCKET = "/run/cloche/distcc"
PLACE = Path("/var/tmp/portage/.cloche-distcc")  # noqa: S108 - a directory of the sandbox
#: Options of compiles that are done here: they write or read other files than distcc knows of, or
#: their result has columns of the source, which a preprocessed source has not: debug information,
#: sanitizers, std::source_location of C++20.
_HERE = "|".join((
    "-save-temps*", "--save-temps*",
    "-fstack-usage", "-gsplit-dwarf", "-fdump-*", "-fcallgraph-info*", "-fplugin*",
    "-B*", "-m*=native", "-wrapper", "-aux-info", "-fcompare-debug*", "-specs*", "--specs*", "@*",
    "-flto*", "-g*", "-fsanitize*", "-frecord*", "-std=*++[2-8]*", "-x*",
    "--std*", "--debug*", "--language*", "--prefix*", "--dump*", "-Wa,*-g*", "-Xassembler*",
    "-ftime-trace*", "-fverbose-asm", "-*coverage",
    "-fmodules*", "-fprofile-*", "-fopt-info*", "-d*", "-fsave-optimization*",
    "-fdiagnostics-format=*", "-Xclang", "-include-pch", "-fauto-profile*", "-fembed-bitcode*",
))  # fmt: skip
_SEND = """\
#!/bin/bash
# A compile here has one of as many locks as there are cores; one that it runs itself needs none.
here() {{
	[[ $CLOCHE_COMPILES_HERE ]] && exec "$@"
	local number lock
	export CLOCHE_COMPILES_HERE=1
	for number in {{1..{cores}}}; do
		exec {{lock}}< {locks}/$number
		{flock} -n $lock && exec "$@"
		exec {{lock}}<&-
	done
	exec {{lock}}< {locks}/$(( $$ % {cores} + 1 ))
	{flock} $lock
	exec "$@"
}}
[[ $COMPILER_PATH$GCC_EXEC_PREFIX$GCC_COMPARE_DEBUG$CCC_OVERRIDE_OPTIONS ]] && here "$@"
for word in "${{@:2}}"; do
	case $word in {here}) here "$@" ;; esac
	case $1$word in {modern}) here "$@" ;; esac
done
unset -v "${{!DISTCC_@}}"
export DISTCC_DIR={directory}/$UID DISTCC_HOSTS={hosts} DISTCC_BACKOFF_PERIOD=2
export DISTCC_NO_REWRITE_CROSS=1 DISTCC_SKIP_LOCAL_RETRY=1
[[ -d $DISTCC_DIR ]] || mkdir -p "$DISTCC_DIR"
{{ said=$({program} "$@" 2>&1 >&3 3>&-); }} 3>&1
status=$?
if (( status )) && [[ $said =~ "ERROR: compile ".*" on 127.0.0.1:".*" failed" ]]; then here "$@"; fi
[[ $said ]] && while IFS= read -r line; do
	[[ $line == "distcc["+([0-9])"] "* ]] || printf '%s\\n' "$line"
done <<< "$said" >&2
exit $status
"""
#: C++, by the name of the compiler or of a source.
_CXX = "*++*|*.cc|*.cpp|*.cxx|*.C|*.CPP|*.mm|*.M"
_WRAPPER = '#!/bin/bash\nexec {send} {compiler} "$@"\n'


class Sender:
    """Compiles go out through it, ``slots`` at once: what ``send``, a script, has after it."""

    def __init__(self, program: str, slots: int) -> None:
        self.program, self.slots = program, slots
        self.wrappers, self.send = PLACE / "bin", PLACE / "send"
        self.answered = 0
        self._lock = threading.Lock()

    def open(self, settings: Any) -> None:
        """Listen; put wrappers of the compilers in PATH before them."""
        shutil.rmtree(PLACE, ignore_errors=True)
        directory, locks = PLACE / "own", PLACE / "locks"
        open_to_all = {PLACE: 0o755, self.wrappers: 0o755, locks: 0o755, directory: 0o1777}
        for each, mode in open_to_all.items():
            each.mkdir(parents=True)
            each.chmod(mode)  # phases run as root and as portage
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        cores = len(os.sched_getaffinity(0))
        hosts = (
            f"127.0.0.1:{listener.getsockname()[1]}/{self.slots} localhost/{cores} "
            f"--localslots={cores} --localslots_cpp={cores + self.slots}"
        )
        for number in range(1, cores + 1):
            self._write(locks / str(number), "")
        flock = shutil.which("flock", path=settings["PATH"]) or "true"
        words = {"directory": directory, "hosts": hosts, "program": self.program, "locks": locks,
                 "flock": flock}  # fmt: skip
        quoted = {name: shlex.quote(str(word)) for name, word in words.items()}
        modern = _CXX if is_modern(settings["PATH"]) else "-"
        self._write(self.send, _SEND.format(here=_HERE, modern=modern, cores=cores, **quoted))
        for name, compiler in ccache.compilers_in(settings["PATH"]).items():
            if compiler.startswith("/usr/"):
                text = _WRAPPER.format(send=self.send, compiler=shlex.quote(compiler))
                self._write(self.wrappers / name, text)
        settings["PATH"] = f"{self.wrappers}:{settings['PATH']}"

    def close(self, settings: Any) -> None:
        """Take them away again; the log says their use."""
        settings["PATH"] = settings["PATH"].removeprefix(f"{self.wrappers}:")
        sys.stdout.write(f"cloche: distcc: {self.answered} compiled elsewhere\n")

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # no descriptor is left, or the like
                time.sleep(0.2)
                continue
            with contextlib.suppress(OSError, RuntimeError), contextlib.ExitStack() as stack:
                stack.callback(client.close)
                server = stack.enter_context(socket.socket(socket.AF_UNIX))
                server.connect(SOCKET)
                for source, target, back in ((client, server, False), (server, client, True)):
                    words = (source, target, back)
                    threading.Thread(target=self._copy, args=words, daemon=True).start()
                stack.pop_all()

    def _copy(self, source: socket.socket, target: socket.socket, back: bool) -> None:
        """Copy one way. What is left is the other way's, unless the host has ended."""
        counted, over = not back, back
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
                if not counted:
                    with self._lock:
                        self.answered += 1
                    counted = True
        except OSError:
            over = True
        # distcc must not go on writing to a connection that nobody reads any more.
        ends = ((source, socket.SHUT_RDWR), (target, socket.SHUT_RDWR))
        for end, how in ends if over else ((target, socket.SHUT_WR),):
            with contextlib.suppress(OSError):
                end.shutdown(how)


def is_modern(path: str) -> bool:
    """Whether C++ is C++20 or later if nothing else is said; True where that is not known."""
    compiler = shutil.which("g++", path=path)
    if compiler is None:
        return True
    words = [compiler, "-x", "c++", "-E", "-P", "-"]
    asked = subprocess.run(words, input="__cplusplus", capture_output=True, text=True, check=False)
    found = asked.stdout.strip().rstrip("L")
    return not found.isdigit() or int(found) >= 202000


@contextlib.contextmanager
def used(wanted: dict[str, Any] | None, settings: Any) -> Iterator[Sender | None]:
    """Send compiles out during a block, if a request says so; None where it does not."""
    program = shutil.which("distcc", path=settings["PATH"]) if wanted else None
    if wanted is None or program is None:
        yield None
        return
    sender = Sender(program, int(wanted["slots"]))
    try:
        sender.open(settings)
        yield sender
    finally:
        shutil.rmtree(PLACE, ignore_errors=True)
