"""A Python package whose module is written in Rust, with a crate, is built under glass.

The crate is the tests' own, for no registry can be asked; cargo and rustc are Debian's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.autogen.crates import Registry, manifest
from tests.autogen.published import served, tarball
from tests.support import ROOT

PROJECT = Path(__file__).parent / "project"
STORE = Path(os.environ.get("AUTOGEN_STORE", ROOT / ".cache/autogen/store"))
OWN = '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n'
BACKEND = """\
import pathlib, subprocess, zipfile
def build_wheel(directory, config_settings=None, metadata_directory=None):
    subprocess.run(["cargo", "build", "--release", "--offline", "--locked"], check=True)
    file = "hello-1.2-cp313-cp313-linux_x86_64.whl"
    with zipfile.ZipFile(pathlib.Path(directory, file), "w") as wheel:
        wheel.write("target/release/libhello.so", "hello.so")
        about = "Metadata-Version: 2.1\\nName: hello\\nVersion: 1.2\\n"
        wheel.writestr("hello-1.2.dist-info/METADATA", about)
    return file
"""
# The stable ABI of CPython (PEP 384) by hand: without the crates that others use for it.
MODULE = """\
use std::os::raw::{c_char, c_int, c_long, c_void};

#[repr(C)]
struct Head { references: isize, kind: *mut c_void, init: *mut c_void, index: isize,
              copy: *mut c_void }
#[repr(C)]
struct Method { name: *const c_char,
                call: Option<extern "C" fn(*mut c_void, *mut c_void) -> *mut c_void>,
                flags: c_int, text: *const c_char }
#[repr(C)]
struct Module { head: Head, name: *const c_char, text: *const c_char, size: isize,
                methods: *mut Method, slots: *mut c_void, traverse: *mut c_void,
                clear: *mut c_void, free: *mut c_void }
extern "C" {
    fn PyModule_Create2(module: *mut Module, api: c_int) -> *mut c_void;
    fn PyLong_FromLong(value: c_long) -> *mut c_void;
}
extern "C" fn answer(_: *mut c_void, _: *mut c_void) -> *mut c_void {
    unsafe { PyLong_FromLong(arith::twice(21) as c_long) }
}
#[no_mangle]
pub extern "C" fn PyInit_hello() -> *mut c_void {
    let none = std::ptr::null_mut();
    let methods = Box::leak(Box::new([
        Method { name: c"answer".as_ptr(), call: Some(answer), flags: 4, text: std::ptr::null() },
        Method { name: std::ptr::null(), call: None, flags: 0, text: std::ptr::null() },
    ]));
    let module = Box::leak(Box::new(Module {
        head: Head { references: 1, kind: none, init: none, index: 0, copy: none },
        name: c"hello".as_ptr(), text: std::ptr::null(), size: -1, methods: methods.as_mut_ptr(),
        slots: none, traverse: none, clear: none, free: none,
    }));
    unsafe { PyModule_Create2(module, 1013) }
}
"""
TEST = """\
import unittest
import hello
class Test(unittest.TestCase):
    def test_it(self):
        self.assertEqual(hello.answer(), 42)
"""


@pytest.mark.real
@pytest.mark.proof(name="autogen")
def test_a_package_with_a_crate_is_built_and_imported(tmp_path: Path) -> None:
    place = tmp_path / "project"
    shutil.copytree(PROJECT, place)
    (place / "repo/metadata/license-mapping.conf").write_text(
        "[spdx-to-ebuild]\nMIT = MIT\nApache-2.0 = Apache-2.0\n"
    )

    def cloche(*words: str | Path) -> str:
        command = [sys.executable, "-m", "cloche", "-C", place, "--store", STORE, *words]
        done = subprocess.run(
            command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    cloche("seed", "bootstrap", "trixie")
    with served() as index:
        registry = Registry(index)
        library = {"Cargo.toml": f'{manifest("arith", "0.3.0")}edition = "2021"\n',
                   "src/lib.rs": "pub fn twice(n: i64) -> i64 { 2 * n }\n"}  # fmt: skip
        registry.publish("arith", "0.3.0", tarball("arith-0.3.0", library))
        lock = registry.lock.replace(
            'version = "1.2.0"\n', 'version = "1.2.0"\ndependencies = [\n "arith",\n]\n'
        )
        cargo = (f'{manifest("hello", "1.2.0")}edition = "2021"\n[lib]\ncrate-type = ["cdylib"]\n'
                 '[dependencies]\narith = "0.3"\n')  # fmt: skip
        files = {"pyproject.toml": OWN, "own.py": BACKEND, "Cargo.toml": cargo, "Cargo.lock": lock,
                 "src/lib.rs": MODULE, "tests/__init__.py": "",
                 "tests/test_hello.py": TEST}  # fmt: skip
        index.release("hello", "1.2", files=files, tag="cp313-cp313-manylinux_x86_64")
        address = ("--index-url", f"{index.address}/simple/", "--crates-url", registry.address)
        cloche("autogen", "pypi", "hello", "--deps", "--distdir", tmp_path / "dist",
                      "--build", "sixty", *address)  # fmt: skip
    ebuild = (place / "own/dev-python/hello/hello-1.2.ebuild").read_text()
    assert 'CRATES="\n\tarith@0.3.0\n"' in ebuild
    logs = STORE / "logs/dev-python/hello-1.2"
    assert "hello: imported" in sorted(logs.glob("*-import.log"))[-1].read_text()
