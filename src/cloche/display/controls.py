"""What keys do to the view: a pure step, and the wishes that others carry out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cloche.display.frame import Size, View, Wish, layout_of
from cloche.display.state import State
from cloche.plan.names import bare

CONFIRM = "Press y to confirm, any other key to cancel"
CONTINUE = "press any key to continue"


@dataclass(frozen=True, slots=True)
class Answer:
    """The view after a key; ``wish`` is to be done to ``package`` (or to all)."""

    view: View
    wish: Wish | None = None
    package: str | None = None


def press(key: str, view: View, state: State, size: Size) -> Answer:
    """What a key does."""
    if view.ask:
        return _answered(key, view)
    if key == "f":
        return Answer(replace(view, frozen=not view.frozen))
    if key == "S":
        return Answer(replace(view, ask=f"stop the whole build? {CONFIRM}", wish="stop all"))
    if key == "s":
        return Answer(_about_to_stop(view, state))
    if view.mode == "help":
        return Answer(replace(view, mode="graph"))
    if key == "?":
        return Answer(replace(view, mode="help"))
    if view.mode == "log":
        return Answer(_in_log(key, view, size))
    return Answer(_in_graph(key, view, state, size))


def _answered(key: str, view: View) -> Answer:
    after = replace(view, ask=None, wish=None)
    if key != "y" or view.wish is None:
        return Answer(after)
    return Answer(after, view.wish, view.chosen if view.wish == "stop" else None)


def _about_to_stop(view: View, state: State) -> View:
    node = state.node(view.chosen or "")
    if view.chosen is None or node is None:
        return replace(view, ask=f"first select a package with Up and Down; {CONTINUE}")
    name = bare(view.chosen)
    if node.status not in ("running", "waiting"):
        return replace(view, ask=f"{name} has already finished; {CONTINUE}")
    return replace(view, ask=f"stop {name}? {CONFIRM}", wish="stop")


def _in_log(key: str, view: View, size: Size) -> View:
    page = max(1, size.frame - 3)
    most = max(0, len(view.log) - page)
    match key:
        case "q" | "escape" | "enter":
            return replace(view, mode="graph", log=(), back=0)
        case "up":
            return replace(view, back=min(most, view.back + 1))
        case "down":
            return replace(view, back=max(0, view.back - 1))
        case "pageup":
            return replace(view, back=min(most, view.back + page))
        case "pagedown":
            return replace(view, back=max(0, view.back - page))
        case "home":
            return replace(view, back=most)
        case "end":
            return replace(view, back=0)
    return view


def _in_graph(key: str, view: View, state: State, size: Size) -> View:
    if key in ("q", "escape"):
        return replace(view, chosen=None)
    if key == "enter":
        return replace(view, mode="log", back=0) if view.chosen else view
    if key not in ("up", "down", "home", "end", "pageup", "pagedown"):
        return view
    places = layout_of(state, size, view).places
    if not places:
        return view
    at = state.order.index.get(view.chosen or "", -1)
    if at not in places:
        running = [p for p in places if state.set("running") >> p & 1]
        return replace(view, chosen=state.order.names[(running or places)[0]])
    step = {"up": -1, "down": 1, "pageup": -8, "pagedown": 8}.get(key, len(places))
    step = -step if key == "home" else step
    to = min(len(places) - 1, max(0, places.index(at) + step))
    return replace(view, chosen=state.order.names[places[to]])
