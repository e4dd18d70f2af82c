"""The plain convolutional classifier against torch.nn's modules, its closed forms, and the channels that match."""

import pytest
import torch
from torch import nn

from study.cost.operations import counted_multiply_adds
from study.models.vision.cnn import TOLERANCE, ConvNet, solve_channels
from study.models.vision.glimpse import LearnedGlimpses


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


@pytest.mark.parametrize("size", [28, 33, 60])
def test_closed_forms(size):
    net = ConvNet(7, channels=(3, 5, 8))
    assert net.multiply_adds(size) == counted_multiply_adds(lambda: net(torch.zeros(1, size, size)))
    counts = net.parameter_counts()
    assert counts == {"embedding": 9 * 7, "other": sum(p.numel() for p in net.convolutions.parameters())}


@pytest.mark.parametrize("width", [64, 128])
@pytest.mark.parametrize("size", [28, 40, 60])
@pytest.mark.parametrize("match", ["parameters", "multiply_adds"])
def test_channels_match_the_glimpses(match, size, width):
    with torch.device("meta"):
        like = LearnedGlimpses(10, width=width)
        channels = solve_channels(match, like, classes=10, size=size)
        net = ConvNet(10, channels=channels)
    cost = {
        "parameters": lambda model: model.parameter_counts()["other"],
        "multiply_adds": lambda model: model.multiply_adds(size),
    }[match]
    assert cost(net) == pytest.approx(cost(like), rel=TOLERANCE)
    assert len(channels) == 4 and list(channels) == sorted(channels)


def test_what_cannot_be():
    like = LearnedGlimpses(10, width=8, patch=2, scales=1, glimpses=1)
    with pytest.raises(ValueError, match="^match='size' must be one of parameters, multiply_adds$"):
        solve_channels("size", like, classes=10, size=28)
    with pytest.raises(ValueError, match="^no channels bring 4 blocks within 2% of .* multiply_adds; use a wider model"):
        solve_channels("multiply_adds", like, classes=10, size=60)
    with pytest.raises(ValueError, match="^an image of 15 pixels can't be halved 4 times; use 16 pixels, or fewer blocks$"):
        solve_channels("parameters", like, classes=10, size=15)
    with pytest.raises(ValueError, match="^blocks is 1; it must be at least 2$"):
        solve_channels("parameters", like, classes=10, size=28, blocks=1)
    with pytest.raises(ValueError, match="^an image of 7 pixels can't be halved 3 times"):
        ConvNet(5, channels=(2, 2, 2))(torch.zeros(1, 7, 9))
