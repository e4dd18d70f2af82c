"""What holds for every task on images: found from conf/task, so that a new one is tested at once."""

import torch


def test_shapes_types_and_ranges(image_task):
    batch = image_task.batch(500, torch.Generator().manual_seed(0))
    assert batch.images_BHW.shape == (500, image_task.size, image_task.size) and batch.images_BHW.dtype == torch.float32
    assert batch.images_BHW.min() == 0 and 0.9 < batch.images_BHW.max() <= 1
    assert set(batch.targets_BT.flatten().tolist()) == set(range(image_task.classes))
    assert batch.slices
    for values in (batch.targets_BT, *batch.slices.values()):
        assert values.shape == (500, 1) and values.dtype == torch.long and values.min() >= 0
    assert batch.centres_B2 is None or batch.centres_B2.abs().max() < 1
    assert list(batch.inputs()) == ["images_BHW"]
