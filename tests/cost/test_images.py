"""Cost of a model against the size of its images: flat through glimpses, with the area for a convolution."""

import pytest
import torch

from study.cost.images import measure_images
from study.models.vision.cnn import ConvNet
from study.models.vision.glimpse import LearnedGlimpses

SIZES = (32, 64)
COMMON = {"sizes": SIZES, "images": 3, "repeats": 2, "device": torch.device("cpu")}


def test_work_and_memory_of_glimpses_do_not_grow_with_the_image_and_those_of_a_convolution_do():
    glimpses = measure_images(LearnedGlimpses(10, width=16, glimpses=2, patch=4, scales=2), **COMMON)
    net = measure_images(ConvNet(10, channels=(2, 4)), **COMMON)
    for found in (glimpses, net):
        for cost in found.values():
            assert cost["multiply_adds"] == cost["counted_multiply_adds"] and cost["seconds"] > 0
    small, large = (str(size) for size in SIZES)
    for key in ("multiply_adds", "bytes"):
        assert glimpses[large][key] == glimpses[small][key]
        assert net[large][key] == pytest.approx(4 * net[small][key], rel=0.1)
