"""Tasks that name what an image shows."""

from __future__ import annotations

from typing import Any

import torch

from study.cost.counting import multiply_adds, sketched
from study.cost.images import measure_images
from study.kinds.base import Judged, Kind, part
from study.models.vision.cnn import ConvNet, solve_channels
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
        if not architecture.takes_channels:
            if model.match != "parameters":
                raise ValueError(f"model.match={model.match}: others are matched to glimpse models; leave it at parameters")
            return architecture(task.classes, width=model.width, **keys)
        if model.match not in ("parameters", "multiply_adds"):
            raise ValueError(f"model.match={model.match} has no meaning for images; use parameters or multiply_adds")
        by_work = model.match == "multiply_adds"

        def count(model: RecurrentAttention | ConvNet) -> int:
            return self.image_work(model) if by_work else model.parameter_counts()["other"]

        with sketched("cpu" if by_work else "meta"):
            channels = solve_channels(
                lambda channels: count(architecture(task.classes, channels=channels, **keys)),
                count(LearnedGlimpses(task.classes, width=model.width)),
                size=task.size,
                what=model.match,
            )
        return architecture(task.classes, channels=channels, **keys)

    def work(self, model: Any) -> dict[str, Any]:
        return dict.fromkeys(("multiply_adds_per_token", "multiply_adds_per_answer"), self.image_work(model))

    def image_work(self, model: Any) -> int:
        """Multiply-adds of one image."""
        return multiply_adds(model, torch.zeros(1, self.task.size, self.task.size, device=model.head.weight.device))

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
