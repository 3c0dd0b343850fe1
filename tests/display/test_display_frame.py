"""Frames: what is on the screen, how much of it, and with which characters."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay import PLAIN, SCENES, SCREENS, Window, folded, many, recorded, replayed

from cloche.display.frame import Size, View, render
from cloche.display.screen import Region
from cloche.display.state import State, fold
from cloche.display.theme import columns, make_theme, theme_for
from cloche.records import events

STATUSES = ("running", "failed", "waiting", "built", "reused", "skipped")


def middle(stream, package):
    """The stream up to and with the failure."""
    for event in stream:
        yield event
        if isinstance(event, events.Done) and event.package.startswith(package):
            return


def with_log(stream, path):
    return [
        events.Done(**{f: getattr(e, f) for f in e.__struct_fields__} | {"log": str(path)})
        if isinstance(e, events.Done) and e.how == "failed"
        else e
        for e in stream
    ]


def test_a_failure_in_the_middle(tmp_path):
    log = tmp_path / "log"
    log.write_text(
        "gcc -c other.c\nother.c:3:1: error: expected declaration\nmake[1]: *** [other.o] Error 1\n"
        "make: *** [all] Error 2\n * ERROR: app-misc/other-1 failed (compile phase):\n * help\n"
    )
    window = replayed(middle(with_log(recorded("failure"), log), "app-misc/other"))
    assert window.lines == [
        "resolve: 0.7 s",
        "tiny: 5 packages in the plan",
        "● [1/5] app-misc/quick-1  6.7 s",
        "✘ [2/5] app-misc/other-1  3.4 s  build failed: phase compile: emake failed",
        "    other.c:3:1: error: expected declaration",
        " ●     app-misc/quick-1  6 s",
        " │ ▶   app-misc/hello-2.10  configure  10 s of ~35 s",
        " ├───○ app-misc/slow-1  ready",
        " ✘   │ app-misc/other-1  build failed: phase compile: emake failed",
        " ·───╯ app-misc/after-1  needs what failed",
        "tiny ━─── 2/5  ▶ 1 running  ✘ 1 failed  ● 1 built  ○ 1 waiting  · 1 not started",
        "10 s so far  ·  ? help",
    ]


@pytest.mark.parametrize(
    ("keep_going", "waiting", "said"),
    [
        (True, "○ 1 waiting  · 2 not started", ("needs what failed", "waits for 1")),
        (False, "· 3 not started", ("needs what failed", "will not be started")),
    ],
)
def test_after_a_failure_nothing_seems_to_wait_that_will_not_come(keep_going, waiting, said):
    names = ("c/bad-1", "c/runs-1", "c/next-1", "c/needs-1", "c/last-1")
    edges = {names[2]: names[1:2], names[3]: names[:1], names[4]: names[3:4]}
    state = folded(
        [
            events.Planned(
                time=0.0, machine="m", packages=names, edges=edges, keep_going=keep_going
            ),
            events.Started(time=1.0, package=names[1], step="build"),
            events.Done(time=2.0, package=names[0], how="failed"),
        ]
    )
    frame = render(state, Size(100, 24), PLAIN, 3.0, View())
    assert frame[-2].endswith(waiting)
    assert [line.partition("-1  ")[2] for line in frame if "c/needs" in line] == [said[0]]
    assert [line.partition("-1  ")[2] for line in frame if "c/next" in line] == [said[1]]


@pytest.mark.parametrize("width", [50, 60, 80, 120])
def test_numbers_are_shown_whole_however_long_the_name_is(width):
    names = tuple(f"c/p{n}-1" for n in range(400))
    state = folded(
        [
            events.Planned(time=0.0, machine="emerge -uDN @world " * 5, packages=names),
            *(events.Done(time=1.0, package=n, how="built") for n in names[:100]),
            *(events.Done(time=1.0, package=n, how="reused") for n in names[100:200]),
            events.Started(time=1.0, package=names[201], step="build"),
            events.Done(time=2.0, package=names[200], how="failed"),
        ]
    )
    totals = render(state, Size(width, 24), PLAIN, 3.0, View())[-2]
    words = width > 80
    assert totals.startswith("emerge -uDN @wo" if words else "emerge ")
    assert totals.endswith("○ 198 waiting" if words else "✘ 1  ● 100  ◌ 100  ○ 198")


def test_of_the_chosen_package_what_it_waits_for_is_shown():
    names = tuple(f"c/p{n}-1" for n in range(40))
    edges = {names[30]: names[20:23], names[1]: names[:1]}
    state = folded(
        [
            events.Planned(time=0.0, machine="m", packages=names, edges=edges),
            events.Started(time=1.0, package=names[0], step="build"),
        ]
    )
    frame = render(state, Size(80, 30), PLAIN, 3.0, View(chosen=names[30]))
    for name in names[20:23]:
        assert any(line.endswith(f"{name}  ready") for line in frame)


def test_a_failure_stays_in_the_picture_to_the_end():
    window = replayed(recorded("failure"))
    assert any("✘" in line and "app-misc/other-1" in line for line in window.frame)
    assert "3 built, 0 reused, 1 failed, 1 not started in 22.0 s" in window.lines


@pytest.mark.parametrize("name", SCENES)
def test_a_recorded_build_looks_as_it_did_when_somebody_looked_at_it(name):
    assert SCENES[name].screen() == (SCREENS / f"{name}.txt").read_text()


@pytest.mark.parametrize("length", [20, 49, 50, 51, 130, 209, 210, 211])
def test_a_long_reason_is_told_whole_above_the_picture(length):
    reason = "".join(chr(ord("a") + n % 26) for n in range(length))
    name = "c/p-1::gentoo"
    stream = [events.Planned(time=0.0, machine="m", packages=(name, "c/q-1::gentoo"))]
    stream.append(events.Done(time=1.0, package=name, how="failed", seconds=1.0, reason=reason))
    stream.append(events.Note(time=1.0, text="a word"))
    window = replayed(stream)
    assert f"✘ [1/2] c/p-1  1.0 s  {reason}a word" in "".join(window.lines)
    assert [line.rstrip() for line in window.frame] == window.lines[-len(window.frame) :]


def test_of_400_packages_with_30_running_each_running_one_is_there():
    window = replayed(many())
    assert len(window.frame) == 12
    assert sum(line.count("▶") for line in window.frame[:-2]) == 30
    for number in range(100, 130):
        assert any(f"package{number}" in line for line in window.frame), number
    assert "▶ 30 running" in window.frame[-2]
    assert "◌ 66 reused" in window.frame[-2]


def test_a_large_window_shows_them_with_their_neighbours():
    window = replayed(many(), Window(120, 100))
    rows = window.frame[:-2]
    assert sum("▶" in row for row in rows) == 30
    assert any("waits for" in row for row in rows)
    assert len(rows) <= 48


def test_what_is_reused_is_a_number_and_no_line():
    names = tuple(f"c/p{n}-1::gentoo" for n in range(50))
    stream = [events.Planned(time=0.0, machine="m", packages=names)]
    stream += [events.Done(time=1.0, package=name, how="reused") for name in names]
    window = replayed(stream)
    assert window.lines == [
        "m: 50 packages in the plan",
        "m ━━━━━━━━━━━━━━━━━━━━ 50/50  ◌ 50 reused",
        "1 s so far  ·  ? help",
    ]


@pytest.mark.parametrize("size", [(60, 24), (80, 12), (132, 50), (80, 60), (30, 6)])
def test_a_resize_leaves_one_picture_and_nothing_of_the_old_one(size):
    window = replayed(many())
    window.resize(*size)
    window.draw(now=101.0)
    seen = "\n".join(window.lines)
    assert seen.count(" so far") <= 1
    assert window.lines[-len(window.frame) :] == [line.rstrip() for line in window.frame]
    assert len(window.frame) <= size[1] // 2


def test_the_old_picture_is_erased_before_the_screen_is():
    """What tmux erases from the top of the window on goes into its history, if it is not empty."""
    region = Region()
    region.update(["a" * 70, "b"], 80)
    begin = "\r\x1b[2A" + "\x1b[B".join(["\x1b[2K"] * 3) + "\x1b[2A\x1b[J"
    assert region.update(["c"], 60, ["gone by"]).startswith(begin + "gone by\r\n")
    assert region.clear(60) == "\r\x1b[2K\x1b[J"


def test_without_colour_no_attribute_is_set():
    assert replayed(many(), Window(theme=make_theme(colour=False))).colours == {"default"}
    assert len(replayed(many(), Window(theme=make_theme())).colours) > 3


def test_ascii_is_ascii():
    theme = make_theme(unicode=False, colour=False)
    window = replayed(with_wide_reason(recorded("failure")), Window(theme=theme))
    assert "".join(window.lines).isascii()
    assert " X" in window.frame[0] + window.frame[1]


def with_wide_reason(stream):
    for event in stream:
        if isinstance(event, events.Done) and event.how == "failed":
            event = events.Done(
                time=event.time, package=event.package, how="failed", reason="日本 é"
            )
        yield event


@pytest.mark.parametrize(
    ("encoding", "environment", "unicode", "colour"),
    [
        ("utf-8", {"TERM": "xterm"}, True, True),
        ("UTF-8", {"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        ("utf-8", {"TERM": "xterm", "NO_COLOR": ""}, True, True),
        ("ANSI_X3.4-1968", {"TERM": "xterm"}, False, True),
        ("utf-8", {"TERM": "linux"}, False, True),
        ("utf-8", {"TERM": "xterm", "LC_ALL": "C"}, False, True),
        ("utf-8", {"TERM": "xterm", "LC_ALL": "C.UTF-8"}, True, True),
        (None, {}, False, True),
    ],
)
def test_the_theme_is_what_terminal_and_user_ask_for(encoding, environment, unicode, colour):
    theme = theme_for(encoding, environment)
    assert (not theme.ascii, bool(theme.styles)) == (unicode, colour)


def test_logs_and_reasons_cannot_move_the_cursor():
    name = "c/p-1::gentoo"
    state = folded(
        [
            events.Planned(time=0.0, machine="m", packages=(name,)),
            events.Done(
                time=1.0, package=name, how="failed", reason="a\x1b[2J\x1b]0;t\x07\rb\x08\x9bHc"
            ),
        ]
    )
    frame = render(state, Size(80, 24), PLAIN, 2.0, View())
    assert any(line.endswith("abHc") for line in frame)
    log = render(state, Size(80, 24), PLAIN, 2.0, View(mode="log", chosen=name, log=("x\x1b[Ay",)))
    assert " xy" in log
    assert all(line.isprintable() for line in (*frame, *log))


@st.composite
def states(draw):
    count = draw(st.integers(0, 90))
    names = tuple(f"cat-{n % 7}/package{n}-{n}.0::gentoo" for n in range(count))
    edges = {
        name: tuple(draw(st.lists(st.sampled_from(names[:n]), max_size=3))) if n else ()
        for n, name in enumerate(names)
    }
    state = fold(State(), events.Planned(time=0.0, machine="m", packages=names, edges=edges))
    for name in names:
        status = draw(st.sampled_from(STATUSES))
        if status == "running":
            state = fold(state, events.Started(time=5.0, package=name, step="build"))
        elif status != "waiting":
            state = fold(state, events.Done(time=5.0, package=name, how=status, reason="é日" * 9))
    return state


@given(states(), st.integers(1, 200), st.integers(1, 100), st.data())
@settings(max_examples=80, deadline=None)
def test_never_more_than_half_of_the_window_and_never_wider(state, width, height, data):
    names = state.order.names
    view = View(
        mode=data.draw(st.sampled_from(["graph", "log", "help"])),
        chosen=data.draw(st.sampled_from([None, *names])),
        log=tuple(data.draw(st.lists(st.text(max_size=100), max_size=30))),
        back=data.draw(st.integers(0, 40)),
        ask=data.draw(st.sampled_from([None, "really?"])),
    )
    frame = render(state, Size(width, height), PLAIN, 100.0, view)
    assert 1 <= len(frame) <= max(1, height // 2)
    assert all(columns(line) <= width for line in frame)
    assert all("\n" not in line for line in frame)


@given(states(), st.sampled_from([(80, 24), (80, 40), (100, 30), (132, 60), (200, 100)]))
@settings(max_examples=50, deadline=None)
def test_every_running_and_failed_package_has_its_mark(state, size):
    frame = render(state, Size(*size), PLAIN, 100.0, View())
    body = "\n".join(frame[:-2])
    busy = state.count("running") + state.count("failed")
    if busy > 64:  # more than fit into half of 80x24: a page, and how many more
        assert "more (" in body or body.count("▶") + body.count("✘") == busy
    else:
        assert body.count("▶") == state.count("running")
        assert body.count("✘") == state.count("failed")


def test_the_log_is_shown_from_its_end_and_scrolls():
    state = folded(many())
    chosen = state.order.names[100]
    view = View(mode="log", chosen=chosen, log=tuple(f"line {n}" for n in range(100)))
    frame = render(state, Size(80, 24), PLAIN, 101.0, view)
    assert frame[0].startswith("dev-libs/package100-100.1  build log")
    assert frame[1:10] == [f" line {n}" for n in range(91, 100)]
    back = View(mode="log", chosen=chosen, log=view.log, back=50)
    assert " line 49" in render(state, Size(80, 24), PLAIN, 101.0, back)
