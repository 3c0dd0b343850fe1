"""The plots that bench writes."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from bench.curves import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Panel, svg

NAMESPACE = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("points", [[(10, 1), (1000, 500)], [(10, 3)], [(1, 0.001), (2, 0.001)]])
def test_every_point_lies_within_its_panel(points: list[tuple[float, float]]) -> None:
    text = svg([Panel("a < b, ms", "layers", {"one & only": points, "other": points})] * 2)
    drawing = ElementTree.fromstring(text)
    groups = drawing.findall(f"{NAMESPACE}g")
    assert len(groups) == 2
    for group in groups:
        circles = group.findall(f"{NAMESPACE}circle")
        assert len(circles) == len(points)
        for circle in circles:
            assert LEFT <= float(circle.attrib["cx"]) <= WIDTH - RIGHT
            assert TOP <= float(circle.attrib["cy"]) <= HEIGHT - BOTTOM
    words = [text.text for text in drawing.iter(f"{NAMESPACE}text")]
    assert words.count("a < b, ms") == 2
    assert words.count("one & only") == 1
