"""Keys: how they are read, and what they do."""

import pytest
from replay import folded, many

from cloche.display.controls import press
from cloche.display.frame import Size, View
from cloche.display.keys import Keyboard, parse

SIZE = Size(120, 100)
STATE = folded(many())
RUNNING = STATE.order.names[100]


def typed(*keys, view=None, size=SIZE):
    view, wishes = view or View(), []
    for key in keys:
        answer = press(key, view, STATE, size)
        view = answer.view
        if answer.wish:
            wishes.append((answer.wish, answer.package))
    return view, wishes


@pytest.mark.parametrize(
    ("text", "keys", "rest"),
    [
        ("\x1b[A\x1bOBq", ["up", "down", "q"], ""),
        ("\r\n j", ["enter", "enter", "pagedown", "down"], ""),
        ("\x1b[5~\x1b[1;5Cx", ["pageup", "x"], ""),
        ("\x1b", [], "\x1b"),
        ("a\x1b[", ["a"], "\x1b["),
        ("\x1b[1;", [], "\x1b[1;"),
        ("\x1bq", ["escape", "q"], ""),
    ],
)
def test_bytes_become_keys(text, keys, rest):
    assert parse(text) == (keys, rest)


def test_where_there_is_no_terminal_there_are_no_keys():
    keyboard = Keyboard(-1)
    keyboard.open()
    assert not keyboard.ours
    keyboard.close()


def test_the_first_choice_runs_and_every_shown_package_can_be_chosen():
    view, _ = typed("down")
    assert STATE.node(view.chosen).status == "running"
    view, _ = typed("home", view=view)
    seen = []
    while view.chosen not in seen:
        seen.append(view.chosen)
        view, _ = typed("down", view=view)
    assert set(STATE.order.names[100:130]) <= set(seen)
    assert len(seen) > 30


def test_in_a_small_window_too():
    view, _ = typed("home", "home", size=Size(80, 12))
    seen = {view.chosen}
    for _ in range(40):
        view, _ = typed("down", view=view, size=Size(80, 12))
        seen.add(view.chosen)
    assert seen == set(STATE.order.names[100:130])


def test_enter_opens_the_log_and_q_goes_back():
    log = tuple(map(str, range(200)))
    view = View(mode="log", chosen=RUNNING, log=log)
    assert typed("enter", view=View(chosen=RUNNING))[0].mode == "log"
    assert typed("enter")[0].mode == "graph"
    assert typed("up", "up", "down", view=view)[0].back == 1
    assert typed("home", view=view)[0].back == 200 - 47
    assert typed("pageup", "end", view=view)[0].back == 0
    for key in ("q", "escape"):
        assert typed(key, view=view)[0] == View(chosen=RUNNING)
    assert typed("q", view=View(chosen=RUNNING))[0].chosen is None


def test_stopping_asks_first():
    view, wishes = typed("s", view=View(chosen=RUNNING))
    assert view.ask.startswith("stop dev-libs/package100-100.1?")
    assert wishes == []
    assert typed("n", view=view) == (View(chosen=RUNNING), [])
    assert typed("y", view=view) == (View(chosen=RUNNING), [("stop", RUNNING)])
    assert typed("S", "y")[1] == [("stop all", None)]
    assert typed("S", "q")[1] == []


def test_nothing_is_stopped_without_a_choice_or_when_it_is_over():
    assert typed("s", "y") == (View(), [])
    done = View(chosen=STATE.order.names[0])
    assert typed("s", "y", view=done)[1] == []


def test_help_and_freezing():
    view, _ = typed("?")
    assert view.mode == "help"
    assert typed("x", view=view)[0].mode == "graph"
    assert typed("f")[0].frozen
    assert not typed("f", "f")[0].frozen
