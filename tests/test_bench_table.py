"""What the file of `make bench` says, for numbers that are given."""

import sys
from pathlib import Path

import pytest

from cloche.display.frame import View
from cloche.display.frame import render as render_frame
from cloche.display.theme import make_theme

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bench import display
from bench.table import Aim, Beside, Report, Row, figure, median_row, render


def report(*rows):
    return render(Report("Benchmarks", [("kernel", "Linux 6.18")], rows, [], ["A note."]))


def line(row):
    (found,) = (text for text in report(row).splitlines() if text.startswith(f"| {row.what}"))
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_a_row_says_what_was_measured_against_what_and_whether_that_is_good_enough():
    row = Row("cold build", 105.0, "s", Beside(100.0, "emerge"), Aim(1.10))
    assert line(row) == ["cold build", "105 s", "100 s: emerge", "1.05", "≤ 1.10", "yes"]


def test_a_missed_aim_stands_out():
    row = Row("cold build", 150.0, "s", Beside(100.0, "emerge"), Aim(1.10))
    assert line(row)[-1] == "**no**"


def test_an_aim_may_be_a_figure_of_its_own():
    row = Row("memory", 149.0, "MB", Beside(9.0, "Python"), Aim(150, of="value"))
    assert row.met
    assert line(row)[-2:] == ["≤ 150 MB", "yes"]


def test_what_could_not_be_compared_is_neither_met_nor_missed():
    row = median_row("start", [3.0, 1.0, 2.0], "ms", ([], "a tool that is not there"), Aim(1))
    assert row.cloche == 2.0
    assert row.met is None
    assert line(row)[2:] == ["—", "—", "≤ 1.00", "—"]


def test_the_number_of_measurements_is_told():
    assert "start (median of 3)" in report(median_row("start", [1.0, 2.0, 3.0], "ms"))


def test_a_bar_in_a_text_does_not_break_the_table():
    assert "tar \\| zstd" in report(Row("pack", 1.0, "s", Beside(1.0, "tar | zstd")))


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (171.4, "s", "171 s"),
        (17.14, "s", "17.1 s"),
        (1.714, "s", "1.71 s"),
        (0.0084, "s", "0.008 s"),
        (1, "packages", "1 package"),
        (3, "packages", "3 packages"),
        (0.938, "%", "0.94 %"),
    ],
)
def test_figures_have_three_digits_that_count(value, unit, text):
    assert figure(value, unit) == text


def test_the_display_is_measured_with_the_packages_that_its_rows_name():
    state = display.loaded()
    assert len(state.nodes) == display.PACKAGES == 1000
    assert (state.count("running"), state.count("failed")) == (display.RUNNING, 1) == (64, 1)
    frame = render_frame(state, display.SIZES[0], make_theme(), 100.0, View())
    assert sum(line.count("▶") for line in frame[:-2]) == 64
