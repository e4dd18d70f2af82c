"""What a run on images leaves to look at."""

import pytest

from study.kinds.base import kind_of
from study.training.build import build_model, build_task
from study.training.module import Training


def test_glimpses_are_told_in_pixels_from_the_corner(compose):
    """Whoever never looks away from the middle looks at half the height and half the width."""
    config = compose("task=clutter", "architecture=centre_glimpses", "model.width=16", "evaluation.batch=4")
    task = build_task(config)
    module = Training(build_model(config, task), task, config)
    kind = kind_of(config, task)
    shown = kind.judge(module, task, "test").written["glimpses"]
    assert len(shown) == 3
    for one in shown:
        assert len(one["image"]) == len(one["image"][0]) == task.size
        assert max(map(max, one["image"])) == pytest.approx(100, abs=5) and min(map(min, one["image"])) >= 0
        assert one["path"] == [[task.size / 2, task.size / 2]] * len(one["path"]) != []
    assert kind.judge(module, task, "validation").written == {}
