"""Tasks that name what an image shows."""

from __future__ import annotations

import inspect
from typing import Any, get_args

import torch

from study.cost.images import measure_images
from study.kinds.base import Judged, Kind, part, sketched
from study.models.vision.cnn import ConvNet, Match, solve_channels
from study.models.vision.glimpse import LearnedGlimpses, RecurrentAttention
from study.probes.base import Subject
from study.tasks.images import ImageTask

SHOWN = 3  # images whose glimpses are kept


class Images(Kind):
    """Answered by glimpse models, and by a convolutional net of their size or work."""

    task: ImageTask
    costs = ("sizes",)

    def build(self) -> RecurrentAttention | ConvNet:
        task, model = self.task, self.config.model
        architecture, keys = part(self.config, "architecture")
        if "channels" not in inspect.signature(architecture).parameters:
            if model.match != "parameters":
                raise ValueError(f"model.match={model.match}: others are matched to glimpse models; leave it at parameters")
            return architecture(task.classes, width=model.width, **keys)
        if model.match not in get_args(Match):
            raise ValueError(f"model.match={model.match} has no meaning for images; use parameters or multiply_adds")
        with sketched():
            like = LearnedGlimpses(task.classes, width=model.width)
        channels = solve_channels(model.match, like, classes=task.classes, size=task.size)
        return architecture(task.classes, channels=channels, **keys)

    def work(self, model: Any) -> dict[str, Any]:
        image = model.multiply_adds(self.task.size)
        return {"multiply_adds_per_token": image, "multiply_adds_per_answer": image}

    def judge(self, subject: Subject, task: ImageTask, split: str) -> Judged:
        """The test's first images, in hundredths, and where a model looked at each: pixels (row, column) from the corner."""
        if split != "test":
            return Judged()
        images_BHW = subject.draw_for_evaluation(task, split, 0).images_BHW[:SHOWN]
        subject.eval()
        with torch.no_grad():
            locations_BG2 = subject.model.paths(images_BHW)
        if locations_BG2 is None:
            return Judged()
        pixels_BG2 = (locations_BG2 + 1) / 2 * task.size
        images = [(100 * image_HW).round().int().tolist() for image_HW in images_BHW]
        paths = [[[round(x, 1) for x in place] for place in path_G2] for path_G2 in pixels_BG2.tolist()]
        return Judged(written={"glimpses": [{"image": image, "path": path} for image, path in zip(images, paths, strict=True)]})

    def measure(self, **repeated: Any) -> dict[str, Any]:
        cost = measure_images(self.build(), sizes=self.config.cost.sizes, images=self.config.train.batch, **repeated)
        return {"cost": {"size": cost}}
