"""Which releases of other projects are made for one, with --deps."""

from __future__ import annotations

from tests.autogen.published import Desk


def test_a_dependency_is_the_newest_release_that_has_a_source_archive(desk: Desk) -> None:
    desk.index.release("inner", "1.5")
    desk.index.release("inner", "1.6")
    desk.index.pages["inner"] = [
        each
        for each in desk.index.pages["inner"]
        if "1.6" not in each["filename"] or each["filename"].endswith(".whl")
    ]
    desk.index.release("outer", "1.0", "Requires-Dist: inner>=1.5")
    desk.run("outer", "--deps")
    assert (desk.repository / "dev-python/inner/inner-1.5.ebuild").exists()


def test_where_no_release_meets_all_requirements_each_gets_its_own(desk: Desk) -> None:
    """As greenlet does for httpbin: another for Python 3.12 and later."""
    for version in ("2.0", "2.5", "3.0a1", "3.1"):
        desk.index.release("inner", version)
    desk.index.release(
        "outer",
        "1.0",
        'Requires-Dist: inner<3.0; python_version < "3.13"',
        'Requires-Dist: inner>=3.0.0a1; python_version >= "3.13"',
        "Requires-Dist: inner!=3.1",
    )
    desk.run("outer", "--deps")
    made = (desk.repository / "dev-python/inner").glob("*.ebuild")
    assert sorted(path.name for path in made) == ["inner-2.5.ebuild", "inner-3.0_alpha1.ebuild"]
    before = (desk.repository / "dev-python/outer/outer-1.0.ebuild").read_text()
    desk.run("outer", "--deps")
    assert (desk.repository / "dev-python/outer/outer-1.0.ebuild").read_text() == before
