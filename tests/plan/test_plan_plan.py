"""Plans as a whole: the one in which builds see everything."""

from __future__ import annotations

from tests.values import edge, package, plan_of

from cloche.plan.plan import widened


def test_a_widened_build_sees_all_others() -> None:
    plan = plan_of(package("a"), package("b"), package("c"))
    (a, b, c) = (each.id for each in plan.packages)
    wide = widened(plan, [a])
    assert set(wide.visible[a].build) == {b, c}
    assert wide.visible[b] == plan.visible[b]
    assert [each.id for each in wide.packages] == [b, c, a]


def test_what_waits_for_it_is_not_seen() -> None:
    a = package("a")
    plan = plan_of(a, package("b", edge("a", "buildtime")), package("c"))
    (_, b, c) = (each.id for each in plan.packages)
    wide = widened(plan, [a.id])
    assert wide.visible[a.id].build == (c,)
    assert wide.visible[b].build == (a.id,)
    assert [each.id for each in wide.packages] == [c, a.id, b]


def test_two_wide_builds_see_the_rest_and_what_they_need() -> None:
    a = package("a")
    plan = plan_of(a, package("b", edge("a", "buildtime")), package("c"))
    (_, b, c) = (each.id for each in plan.packages)
    wide = widened(plan, [a.id, b])
    assert wide.visible[a.id].build == (c,)
    assert set(wide.visible[b].build) == {a.id, c}
