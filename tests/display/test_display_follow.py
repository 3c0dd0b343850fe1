"""The end of a log that is looked at, whatever became of its file."""

from pathlib import Path

from cloche.display.follow import Follower, last_lines
from cloche.records.logs import compress


def test_a_log_is_read_on_after_it_was_compressed(tmp_path: Path) -> None:
    log = tmp_path / "a-build.log"
    log.write_text("".join(f"line {n}\n" for n in range(5000)))
    follower = Follower(2)
    assert follower.look(str(log)) == ("line 4998", "line 4999")
    compress(log)
    assert follower.look(str(log)) == ("line 4998", "line 4999")
    assert last_lines(str(log), 3, reach=25) == ("line 4998", "line 4999")


def test_a_log_that_is_gone_says_nothing(tmp_path: Path) -> None:
    assert last_lines(str(tmp_path / "x.log"), 3) == ()
    assert Follower(3).look(None) == ()
