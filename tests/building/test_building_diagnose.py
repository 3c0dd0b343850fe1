"""Reading what failed builds say."""

import pytest
from tests.values import vdb_entry

from cloche.building.diagnose import (
    missing_in,
    needs_newer_c_library,
    no_space,
    owners,
    tried_network,
    was_killed,
)

SAID = {
    "main.c:1:10: fatal error: zlib.h: No such file or directory": "header zlib.h",
    "x.c:3:10: fatal error: event2/event.h: No such file or directory": "header event2/event.h",
    "/usr/bin/ld: cannot find -lncursesw: No such file or directory": "library -lncursesw",
    "No package 'libevent_core' found": "pkg-config module libevent_core",
    "Package libpcre2-8 was not found in the pkg-config search path.": (
        "pkg-config module libpcre2-8"
    ),
    'meson.build:4:0: ERROR: Dependency "expat" not found, tried pkgconfig': (
        "pkg-config module expat"
    ),
    "/var/tmp/x/environment: line 12: ed: command not found": "command ed",
    "make[1]: bison: No such file or directory": "command bison",
    "ModuleNotFoundError: No module named 'yaml.nodes'": "Python module yaml.nodes",
    "Error: Error importing plugin \"xdist\": No module named 'xdist'": "Python module xdist",
    "/usr/bin/python3.13: No module named build": "Python module build",
    "jq: error while loading shared libraries: libonig.so.5: cannot open shared object file": (
        "shared library libonig.so.5"
    ),
}


@pytest.mark.parametrize(("line", "what"), SAID.items())
def test_each_tool_is_understood(line, what):
    assert what in [missing.what for missing in missing_in(f"noise\n{line}\nmore\n")]


def test_a_clean_log_misses_nothing():
    assert missing_in("checking for gcc... gcc\nall well\n") == ()


def test_network_and_disk():
    assert tried_network("curl: (6) Could not resolve host: example.org")
    assert no_space("cp: error writing 'x': No space left on device")
    assert not tried_network("fine")
    assert not no_space("fine")


def test_a_program_for_a_newer_c_library_is_seen() -> None:
    said = "./miniperl: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required"
    assert needs_newer_c_library(said)
    assert not needs_newer_c_library("libz.so.1: version `ZLIB_1.3' not found")


def test_the_owner_is_found_in_a_layers_vdb(tmp_path):
    vdb_entry(
        tmp_path,
        "sys-libs/zlib-1.2.13",
        "dir /usr/include\n"
        "obj /usr/include/zlib.h 0123456789abcdef0123456789abcdef 1700000000\n"
        "obj /usr/lib64/libz.so.1.2.13 0123456789abcdef0123456789abcdef 1700000000\n"
        "sym /usr/lib64/libz.so -> libz.so.1.2.13 1700000000\n",
    )
    (header,) = missing_in("a.c:1: fatal error: zlib.h: No such file or directory")
    (library,) = missing_in("ld: cannot find -lz: No such file")
    assert owners(header, [tmp_path]) == ("sys-libs/zlib-1.2.13",)
    assert owners(library, [tmp_path]) == ("sys-libs/zlib-1.2.13",)
    (other,) = missing_in("ld: cannot find -lzz")
    assert owners(other, [tmp_path]) == ()


def test_a_module_inside_a_package_is_not_the_one_that_is_imported(tmp_path):
    inner = "usr/lib/python3.13/site-packages/pip/_internal/utils/virtualenv.py"
    outer = "usr/local/lib/python3.13/dist-packages/yaml/__init__.py"
    digest = "0123456789abcdef0123456789abcdef 1700000000"
    vdb_entry(tmp_path, "dev-python/both-1", f"obj /{inner} {digest}\nobj /{outer} {digest}\n")
    (missing,) = missing_in("ModuleNotFoundError: No module named 'virtualenv'")
    assert owners(missing, [tmp_path]) == ()
    (missing,) = missing_in("ModuleNotFoundError: No module named 'yaml'")
    assert owners(missing, [tmp_path]) == ("dev-python/both-1",)


def test_killed_processes_are_seen() -> None:
    assert was_killed("x.ebuild: line 19:    91 Killed                  python3 -c")
    assert was_killed("gcc: fatal error: Killed signal terminated program cc1")
    assert not was_killed("test_kill: Killed it")
