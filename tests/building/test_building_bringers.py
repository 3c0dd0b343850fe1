"""Where the seed has what a root lacks."""

from __future__ import annotations

from pathlib import Path

from tests import values

from cloche.building.bringers import in_seed
from cloche.store import Store


def test_a_program_is_not_a_directory_of_its_name(tmp_path: Path) -> None:
    """Debian has /usr/lib/TRIPLET/perl and /usr/lib/TRIPLET/ruby for modules."""
    triplet = "usr/lib/x86_64-linux-gnu"
    files = (f"{triplet}/perl/5.36/B.pm", f"{triplet}/ruby/x.so", f"{triplet}/libz.so.1")
    with Store.open(tmp_path / "store") as store:
        programs = dict.fromkeys((*files, "usr/bin/perl", "usr/bin/python3"), "")
        seed = values.stored(store, "seed", "seed", **programs)
        context = values.context(store, own_root=True, base=(seed,))
        assert in_seed(context, "perl") == "/usr/bin/perl"
        assert in_seed(context, "ruby") is None
        assert in_seed(context, "libz.so.1") == f"/{triplet}/libz.so.1"
        assert in_seed(context, "/usr/bin/python3") == "/usr/bin/python3"
