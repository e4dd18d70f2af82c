"""The bar of a single run tells what the curve tells, and changes nothing."""

import io
import re

import pytest
from rich.console import Console

from study import progress
from study.progress import Display
from study.training import bar
from study.training.runner import execute

pytestmark = pytest.mark.slow


def test_it_tells_steps_loss_validation_and_the_time_left(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(bar, "SECONDS_BETWEEN_UPDATES", 0)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0)
    display = Display(Console(file=io.StringIO(), width=200))
    with display.shown():
        watched = execute(tiny(), watchers=[bar.Bar(display)]).record
    lines = display.console.file.getvalue().splitlines()
    told = re.compile(r"training: (\d) of 4 steps, loss \d\.\d{3}(?:, validation accuracy \d\.\d{3})?, about \d+ s to go")
    assert [told.fullmatch(line)[1] for line in lines[:-1]] == ["1", "2", "3", "4"]
    assert f"validation accuracy {watched['curve'][0]['validation_accuracy']:.3f}, about " in lines[2]
    assert lines[3].endswith(", about 0 s to go") and lines[-1] == "testing: 4 of 4 steps"
    plain = execute(tiny(f"runs={tmp_path / 'plain'}")).record
    assert plain["weights_sha256"] == watched["weights_sha256"] and plain["curve"] == watched["curve"]
