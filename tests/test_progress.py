"""What a person sees who waits."""

import io
import time

from rich.console import Console

from study import progress
from study.progress import Display, Files, State


def said(display):
    return display.console.file.getvalue()


def test_without_a_terminal_a_line_comes_when_ten_seconds_have_passed_and_something_is_new(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    display = Display(Console(file=io.StringIO()))
    with display.shown():
        for now[0], done in [(1, 1), (9, 2), (10, 3), (15, 4), (21, 4), (40, 4), (41, 5)]:
            display.show(State("tuning", done, 9, "runs", 30.0, "1 failed"))
    lines = [f"tuning: {done} of 9 runs, 1 failed, about 30 s to go" for done in (3, 4, 5)]
    assert said(display).splitlines() == lines


def test_on_a_terminal_there_is_a_bar_until_the_end(monkeypatch):
    display = Display(Console(file=io.StringIO(), force_terminal=True, width=100))
    with display.shown():
        display.show(State("training", 200, 1000, "steps", None, "loss 0.250"))
        display.bar.refresh()
        shown = said(display)
    assert "training" in shown and "200 of 1000 steps, loss 0.250" in shown
    assert said(display).endswith("\x1b[2K")  # and is wiped out then


def test_what_is_watched_is_looked_at_from_time_to_time_and_at_the_end(monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LOOKS", 0.01)
    display, done = Display(Console(file=io.StringIO())), [1]
    with display.shown(), display.watching(lambda: State("grid", done[0], 2, "runs")):
        while "1 of 2" not in said(display):
            time.sleep(0.01)
        done[0] = 2
    assert said(display) == "grid: 1 of 2 runs\ngrid: 2 of 2 runs\n"


def test_files_are_new_once_each_and_only_those_written_since(tmp_path):
    old, fresh, rewritten = (tmp_path / name for name in ("old", "fresh", "rewritten"))
    old.touch(), rewritten.touch()
    files = Files([old, fresh, rewritten])
    assert files.new() == []
    fresh.touch()
    assert files.new() == [fresh]
    rewritten.write_text("again")
    assert files.new() == [rewritten] and files.new() == []


def test_duration():
    expected = {0.4: "0 s", 119: "119 s", 120: "2 min", 7199: "120 min", 7200: "2.0 h", 99000: "27.5 h"}
    assert {seconds: progress.duration(seconds) for seconds in expected} == expected
