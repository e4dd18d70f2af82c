"""What a record says of a model beside its scores: its size and work, where it looked, its maps for the dashboard."""

from __future__ import annotations

from typing import Any

import torch
from omegaconf import DictConfig

from study.models.sizing import multiply_adds
from study.tasks.base import Task
from study.tasks.images import ImageTask
from study.tasks.pairs import PairTask
from study.training.build import ffn_width, part
from study.training.module import Training


def size(config: DictConfig, task: Task, model: Any) -> dict[str, Any]:
    """Parameters, counted work, reach, and what scores on the task are held against."""
    return {
        "parameters": model.parameter_counts(),
        **_work(config, task, model),
        "metric": task.metric,
        "solved_at": task.solved_at,
        "chance": task.chance,
        "heuristic": None if task.heuristic is None else dict(zip(("name", "score"), task.heuristic, strict=True)),
    }


def _work(config: DictConfig, task: Task, model: Any) -> dict[str, Any]:
    if isinstance(task, PairTask):
        pair = model.multiply_adds(task.mean_source, task.length)
        size = {"hidden": model.hidden, "decoded": list(task.decoded)}
        return {"multiply_adds_per_token": pair / task.length, "multiply_adds_per_answer": pair, **size}
    if isinstance(task, ImageTask):
        image = model.multiply_adds(task.size)
        return {"multiply_adds_per_token": image, "multiply_adds_per_answer": image}
    mixer, settings = part(config.mixer)
    readout, readout_keys = part(config.readout)
    hidden = ffn_width(config, task)
    work = multiply_adds(
        width=config.model.width,
        layers=config.model.layers,
        ffn_width=hidden,
        length=task.length,
        causal=task.causal,
        mixer=mixer,
        settings=settings,
    )
    return {
        "ffn_width": hidden,
        "multiply_adds_per_token": work + model.inside_multiply_adds,
        "multiply_adds_per_answer": readout.multiply_adds(config.model.width, task.length, task.classes, **readout_keys),
        "reach": model.reach,
    }


def glimpses(module: Training, images: int = 3) -> list[dict[str, Any]]:
    """The test's first images, in hundredths, and where the model looked at each, in pixels (row, column) from the corner."""
    module.eval()
    batch = module.draw_for_evaluation(module.task, "test", 0)
    images_BHW = batch.images_BHW[:images]
    size = images_BHW.shape[-1]
    with torch.no_grad():
        pixels_BG2 = (module.model.paths(images_BHW) + 1) / 2 * size
    return [
        {"image": (100 * image_HW).round().int().tolist(), "path": [[round(x, 1) for x in place] for place in path_G2.tolist()]}
        for image_HW, path_G2 in zip(images_BHW, pixels_BG2, strict=True)
    ]


def maps(module: Training) -> list[Any]:
    """Attention weights (H, N, N) of each layer on one sequence of the test; of a decoder (1, T, M), over its source."""
    module.eval()
    model = module.model
    with torch.no_grad():
        if isinstance(module.task, PairTask):
            batch = module.draw_for_evaluation(module.task, "test", 0)
            weights_BTM = model.align(batch.source_BM[:1], batch.target_BT[:1])
            layers = [] if weights_BTM is None else [weights_BTM[:, None]]
        elif isinstance(module.task, ImageTask):
            layers = []
        else:
            batch = module.draw(module.task, "test", 0, 1)
            layers = model.maps(batch.tokens_BN, batch.mask_BN)
    return [weights_BHNN[0].float().cpu().numpy() for weights_BHNN in layers]
