"""The name of an interpreter says which programs it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.config.errors import ConfigError, Origin
from cloche.config.interpreters import check_interpreter, cpu_of_interpreter


@pytest.mark.parametrize(
    ("path", "cpu"),
    [
        ("/usr/bin/qemu-aarch64", "aarch64"),
        ("/usr/bin/qemu-arm-static", "arm"),
        ("qemu-mipsn32el", "mipsn32el"),
        ("/usr/bin/qemu-system-arm", None),
        ("/usr/bin/bash", None),
        ("/qemu-arm/x", None),
    ],
)
def test_the_name_says_which_cpu_it_is_for(path: str, cpu: str | None) -> None:
    assert cpu_of_interpreter(path) == cpu


def test_another_name_is_refused_with_its_line() -> None:
    with pytest.raises(ConfigError, match="“/bin/sh” is not called qemu-CPU"):
        check_interpreter("/bin/sh", Origin(Path("x.spec"), 3))
