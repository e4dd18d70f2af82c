"""Task and model of a config."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from study import schema
from study.cost.counting import sketched
from study.kinds.base import kind_of, part
from study.tasks.base import Task


def build_task(config: DictConfig) -> Task:
    task_class, keys = part(config, "task")
    return task_class(**keys)


def build_model(config: DictConfig, task: Task) -> Any:
    """The model of ``config`` on ``task``. Raises ``ValueError`` where choices contradict each other."""
    return kind_of(config, task).build()


def validate(config: DictConfig) -> Task:
    """Refuse what could not be carried out, before anything is; gives the task, whose data are at hand then.

    Raises ``ValueError``, one line with the fix.
    """
    schema.check(config)
    task = build_task(config)
    with sketched():
        model = build_model(config, task)
    kind_of(config, task).check(model)
    return task
