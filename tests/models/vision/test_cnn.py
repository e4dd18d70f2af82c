"""The plain convolutional classifier against torch.nn's modules, its size and work, and the channels that match."""

from functools import partial

import pytest
import torch
from torch import nn

from study.cost.counting import multiply_adds
from study.models.vision.cnn import TOLERANCE, ConvNet, solve_channels


def test_logits_and_gradients_are_those_of_torchs_modules():
    torch.manual_seed(0)
    net = ConvNet(5, channels=(3, 6))
    plain = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(3, 6, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 5),
    )
    plain.load_state_dict(dict(zip(plain.state_dict(), net.state_dict().values(), strict=True)))
    images, targets = torch.rand(4, 13, 13), torch.randint(5, (4, 1))
    torch.testing.assert_close(net(images)[:, 0], plain(images[:, None]))
    loss = nn.CrossEntropyLoss()(plain(images[:, None]), targets[:, 0])
    torch.testing.assert_close(net.loss(images, targets), loss)
    ours = torch.autograd.grad(net.loss(images, targets), list(net.parameters()))
    for one, other in zip(ours, torch.autograd.grad(loss, list(plain.parameters())), strict=True):
        torch.testing.assert_close(one, other)


def test_an_object_is_named_alike_wherever_it_stands():
    torch.manual_seed(0)
    net = ConvNet(5, channels=(3, 6))
    images = torch.zeros(2, 32, 32)
    images[0, 8:14, 8:14] = images[1, 12:18, 16:22] = torch.rand(6, 6)  # moved by whole cells of the pooling
    torch.testing.assert_close(net(images)[0], net(images)[1])


@pytest.mark.parametrize(("size", "pixels"), [(28, (784, 196, 49)), (33, (1089, 256, 64))])
def test_size_and_work_by_hand(size, pixels):
    net = ConvNet(7, channels=(3, 5, 8))
    assert net.parameter_counts() == {"embedding": 9 * 7, "other": (9 + 1) * 3 + (27 + 1) * 5 + (45 + 1) * 8}
    each = sum(n * 9 * inputs * outputs for n, inputs, outputs in zip(pixels, (1, 3, 5), (3, 5, 8), strict=True))
    assert multiply_adds(net, torch.zeros(1, size, size)) == each + 8 * 7


@pytest.mark.parametrize("target", [3_000, 50_000, 1_000_000])
def test_channels_come_to_what_is_asked_for(target):
    def count(channels):
        return ConvNet(10, channels=channels).parameter_counts()["other"]

    channels = solve_channels(count, target, size=28, what="parameters")
    assert count(channels) == pytest.approx(target, rel=TOLERANCE)
    assert len(channels) == 4 and list(channels) == sorted(channels)


def test_what_cannot_be():
    solve = partial(solve_channels, sum, what="multiply_adds")
    with pytest.raises(ValueError, match="^no channels bring 4 blocks within 2% of 3 multiply_adds; use a wider model"):
        solve(3, size=60)
    with pytest.raises(ValueError, match="^an image of 15 pixels can't be halved 4 times; use 16 pixels, or fewer blocks$"):
        solve(100, size=15)
    with pytest.raises(ValueError, match="^an image of 7 pixels can't be halved 3 times"):
        ConvNet(5, channels=(2, 2, 2))(torch.zeros(1, 7, 9))
