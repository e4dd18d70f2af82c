"""What the tests of probes share."""

import pytest
import torch

from study.training.build import build_model, build_task
from study.training.module import Training


@pytest.fixture
def module(tiny):
    """module("brackets", ...): an untrained model on a task, as the harness holds it."""

    def built(task, *overrides):
        config = tiny("model.width=16", "mixer.heads=2", *overrides, task=task)
        torch.manual_seed(0)
        task = build_task(config)
        return Training(build_model(config, task), task, config)

    return built
