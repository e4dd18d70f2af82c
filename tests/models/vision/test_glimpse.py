"""The sensor against slicing by hand, the model against its plain definition, what trains what, and that it learns to look."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from study.cost.counting import multiply_adds
from study.models.vision.cnn import ConvNet
from study.models.vision.glimpse import CentreGlimpses, LearnedGlimpses, RandomGlimpses, crop, sense
from tests.cases import case

ARMS = pytest.mark.parametrize("arm", [LearnedGlimpses, RandomGlimpses, CentreGlimpses])


def padded_slices(image, row, column, patch, scales):
    """The glimpse around the corner between pixels (row, column), by slicing a padded image and plain loops."""
    margin = patch * 2 ** (scales - 1)
    wide = torch.zeros(image.shape[0] + 2 * margin, image.shape[1] + 2 * margin)
    wide[margin : margin + image.shape[0], margin : margin + image.shape[1]] = image
    glimpse = torch.zeros(scales, patch, patch)
    for scale in range(scales):
        cell = 2**scale
        top, left = (margin + at - patch * cell // 2 for at in (row, column))
        for i, j in itertools.product(range(patch), repeat=2):
            down, right = top + i * cell, left + j * cell
            glimpse[scale, i, j] = wide[down : down + cell, right : right + cell].mean()
    return glimpse


@pytest.mark.parametrize(("height", "width"), [(20, 20), (7, 12)])
def test_the_sensor_is_slicing_by_hand_everywhere(height, width):
    """Corners, edges, middle and all between, at all scales."""
    torch.manual_seed(0)
    image = torch.rand(height, width)
    corners = list(itertools.product(range(height + 1), range(width + 1)))
    locations = torch.tensor([[2 * row / height - 1, 2 * column / width - 1] for row, column in corners])
    seen = sense(image.expand(len(corners), -1, -1), locations, 4, 3)
    by_hand = torch.stack([padded_slices(image, row, column, 4, 3) for row, column in corners])
    torch.testing.assert_close(seen, by_hand, atol=1e-6, rtol=0)


def test_a_crop_by_hand():
    image = torch.arange(1.0, 17).view(1, 4, 4)
    assert crop(image, torch.tensor([[-1.0, -1.0]]), 2)[0].tolist() == [[0, 0], [0, 1]]
    assert crop(image, torch.tensor([[1.0, 1.0]]), 2)[0].tolist() == [[16, 0], [0, 0]]
    assert crop(image, torch.tensor([[-1.0, 0.0]]), 2)[0].tolist() == [[0, 0], [2, 3]], "row first, then column"
    assert crop(image, torch.tensor([[0.0, 0.0]]), 2)[0].tolist() == [[6, 7], [10, 11]]
    assert crop(image, torch.tensor([[0.2, -0.2]]), 2)[0].tolist() == [[6, 7], [10, 11]], "the nearest corner"
    assert crop(image, torch.tensor([[0.3, -0.3]]), 2)[0].tolist() == [[9, 10], [13, 14]]
    assert not crop(image, torch.tensor([[-3.0, 9.0]]), 4).any(), "all outside"


def test_each_image_has_its_own_location():
    torch.manual_seed(0)
    images, locations = torch.rand(6, 10, 10), torch.rand(6, 2) * 2 - 1
    together = sense(images, locations, 4, 2)
    for b in range(6):
        assert torch.equal(together[b : b + 1], sense(images[b : b + 1], locations[b : b + 1], 4, 2))


def model(arm=LearnedGlimpses, **keys):
    torch.manual_seed(0)
    return arm(**({"classes": 5, "width": 12, "glimpses": 3, "patch": 4, "scales": 2} | keys))


def batch(size=7, pixels=14, classes=5):
    torch.manual_seed(1)
    return torch.rand(size, pixels, pixels), torch.randint(classes, (size, 1))


@ARMS
def test_logits_are_the_plain_definition(arm):
    """Equation by equation, with torch.nn.LSTM for the core."""
    net, (images, _) = model(arm).eval(), batch()
    torch.manual_seed(5)
    paths = net.paths(images)
    seen = []
    for g in range(3):
        where = paths[:, g]
        rho = sense(images, where, 4, 2).flatten(1)
        what_h = (rho @ net.what.weight.T + net.what.bias).clamp(min=0)
        where_h = (where @ net.where.weight.T + net.where.bias).clamp(min=0)
        total = what_h @ net.what_seen.weight.T + net.what_seen.bias + where_h @ net.where_seen.weight.T + net.where_seen.bias
        seen.append(F.layer_norm(total, (12,), net.norm.weight, net.norm.bias).clamp(min=0))
    lstm = nn.LSTM(12, 12, batch_first=True)
    with torch.no_grad():
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(lstm, f"{name}_l0").copy_(getattr(net.core, name))
    states = lstm(torch.stack(seen, 1))[0]
    torch.manual_seed(5)
    torch.testing.assert_close(net(images)[:, 0], states[:, -1] @ net.head.weight.T + net.head.bias)
    if arm is LearnedGlimpses:
        before = torch.cat([torch.zeros(7, 1, 12), states[:, :-1]], 1)
        unit = before / before.norm(dim=-1, keepdim=True).clamp(min=1e-9)
        torch.testing.assert_close(paths, (unit @ net.policy.mean.weight.T + net.policy.mean.bias).tanh())


def test_where_each_arm_looks():
    images, _ = batch(size=400)
    assert not model(CentreGlimpses).paths(images).any()
    torch.manual_seed(0)
    random = model(RandomGlimpses).eval().paths(images)
    assert random.shape == (400, 3, 2) and -1 <= random.min() < -0.95 and 0.95 < random.max() <= 1
    assert abs(float(random.mean())) < 4 * (1 / 3 / random.numel()) ** 0.5
    learned = model(spread=0.2)
    learned.eval()
    assert torch.equal(learned.paths(images), learned.paths(images)), "no chance in evaluation"
    mean = learned.paths(images)[:, 0]
    assert mean.std(0).max() == 0, "the first glimpse knows nothing of the image"
    learned.train()
    first = learned.paths(images)[:, 0] - mean
    assert float(first.std()) == pytest.approx(0.2, rel=0.15) and abs(float(first.mean())) < 4 * 0.2 / 800**0.5


def test_weights_start_alike_in_all_arms():
    learned = model().state_dict()
    for arm in (RandomGlimpses, CentreGlimpses):
        for name, value in model(arm).state_dict().items():
            assert torch.equal(value, learned[name]), name
    assert (model().core.bias_ih[12:24] == 1).all() and model().core.bias_ih.sum() == 12, "the forget gate's bias"


def gradients(net, images, targets, seed=3):
    torch.manual_seed(seed)
    net.zero_grad()
    loss = net.loss(images, targets)
    loss.backward()
    return loss.item(), {name: p.grad.clone() for name, p in net.named_parameters()}


def test_what_trains_what():
    """Cross-entropy and REINFORCE written out, at the locations that were drawn."""
    net, (images, targets) = model(glimpses=4, weight=0.7, spread=0.2), batch(size=40)
    value, found = gradients(net, images, targets)
    torch.manual_seed(3)
    paths = net.paths(images).detach()
    state = (torch.zeros(40, 12), torch.zeros(40, 12))
    unit, fitted = [], []
    for g in range(4):
        unit.append(state[0] / state[0].norm(dim=-1, keepdim=True).clamp(min=1e-12))
        fitted.append(net.policy.baseline(state[0].detach())[:, 0])
        state = net.core(net._glimpse(images, paths[:, g]), state)
    logits = net.head(state[0])
    cross_entropy = F.cross_entropy(logits, targets[:, 0])
    reward = (logits.argmax(-1) == targets[:, 0]).float()
    assert 0 < reward.sum() < 40
    policy_loss = 0
    for g in range(4):
        density = torch.distributions.Normal(net.policy.mean(unit[g]).tanh(), 0.2).log_prob(paths[:, g]).sum(-1)
        policy_loss += ((reward - fitted[g]) ** 2 - (reward - fitted[g]).detach() * density).mean()
    assert value == pytest.approx(cross_entropy.item(), rel=1e-6), "what is reported is the cross-entropy"
    by_policy = torch.autograd.grad(policy_loss, net.core.weight_hh, retain_graph=True)[0]
    assert by_policy.abs().max() > 1e-3
    net.zero_grad()
    (cross_entropy + 0.7 * policy_loss).backward()
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, atol=1e-5, rtol=1e-4, msg=name)


def test_no_gradient_passes_through_a_location():
    net, (images, targets) = model(), batch()
    F.cross_entropy(net(images)[:, 0], targets[:, 0]).backward()
    for name, parameter in net.named_parameters():
        assert (parameter.grad is None) == name.startswith("policy."), name


def test_reinforce_is_the_exact_gradient_of_the_expected_reward():
    """One glimpse of one image: whether it ends in the right answer is seen at every pixel, and weighed by the Gaussian."""
    size, spread, samples = 12, 0.3, 40_000
    net = model(glimpses=1, spread=spread, weight=1.0, classes=2)
    image = torch.rand(1, size, size)
    corners = torch.cartesian_prod(torch.arange(-30, 43), torch.arange(-30, 43))  # of pixels, far beyond the image
    bias = torch.tensor([0.2, -0.1], dtype=torch.double, requires_grad=True)
    normal = torch.distributions.Normal(bias.tanh(), spread)
    low, high = (2 * (corners + half) / size - 1 for half in (-0.5, 0.5))
    odds = (normal.cdf(high) - normal.cdf(low)).prod(-1)
    assert odds.sum().item() == pytest.approx(1, abs=1e-9)
    with torch.no_grad():
        net.policy.mean.bias.copy_(bias)
        net.where.weight.zero_()  # so that the answer hangs on the pixels only, which are the same around a corner
        logits = net.head(net.core(net._glimpse(image.expand(len(corners), -1, -1), 2 * corners / size - 1))[0])
        lead, order = (logits[:, 1] - logits[:, 0]).sort()
        half = torch.searchsorted(odds[order].cumsum(0), 0.5)
        threshold = (lead[half] + lead[half + 1]) / 2  # right about half the time
        net.head.bias[0] += threshold
        reward = (logits[:, 1] - logits[:, 0] > threshold).double()
    assert 0.3 < (odds * reward).sum().item() < 0.7
    (exact,) = torch.autograd.grad((odds * reward).sum(), bias)
    estimates = []
    for seed in range(20):
        _, found = gradients(net, image.expand(samples // 20, -1, -1), torch.ones(samples // 20, 1, dtype=torch.long), seed)
        estimates.append(-found["policy.mean.bias"].double())
    estimates = torch.stack(estimates)
    error = estimates.std(0) / 20**0.5
    assert ((estimates.mean(0) - exact).abs() < 4 * error).all()
    assert (exact.abs() > 8 * error).any(), "a gradient of zero would not pass"


@ARMS
def test_multiply_adds_and_parameters(arm):
    """A glimpse: patch and place into 10 each, both into 20, the core's 8 x 20^2, and the policy's own."""
    net = model(arm, width=20, patch=6, scales=3)
    glimpse = (3 * 36 + 2) * 10 + 2 * 10 * 20 + 8 * 20**2 + (2 * 20 if arm is LearnedGlimpses else 0)
    assert multiply_adds(net, torch.zeros(1, 28, 28)) == net.glimpses * glimpse + 20 * 5
    counts = net.parameter_counts()
    assert counts["embedding"] == 21 * 5
    assert sum(counts.values()) == sum(p.numel() for p in net.parameters())


def test_glimpses_cost_the_same_at_every_size_and_a_convolution_costs_more():
    net, cnn = model(), ConvNet(5, channels=(4, 8))
    sizes = (28, 40, 60)
    assert len({multiply_adds(net, torch.zeros(1, size, size)) for size in sizes}) == 1
    costs = [multiply_adds(cnn, torch.zeros(1, size, size)) for size in sizes]
    assert costs[1] / costs[0] == pytest.approx((40 / 28) ** 2, rel=0.01)
    assert costs[2] / costs[0] == pytest.approx((60 / 28) ** 2, rel=0.01)


def test_bad_keys():
    for keys, message in [
        ({"width": 11}, "width=11 must be even, 2 or more; use 12"),
        ({"patch": 5}, "patch=5 must be even, 2 or more; use 6"),
        ({"patch": 0}, "patch=0 must be even, 2 or more; use 2"),
        ({"glimpses": 0}, "glimpses is 0; it must be at least 1"),
        ({"scales": 0}, "scales is 0; it must be at least 1"),
        ({"spread": 0.0}, "spread is 0.0; it must be above 0"),
        ({"weight": -1.0}, "weight is -1.0; it must be above 0"),
    ]:
        with case(keys, message), pytest.raises(ValueError, match=f"^{message}$"):
            model(**keys)


def textures(count, size, generator):
    """One of three textures of 8 x 8 pixels somewhere in an empty image. Averaged over 2 x 2 pixels all three are one gray:
    a coarse scale shows where it is, and only the finest what it is."""
    step = torch.arange(8)
    kinds = torch.stack([(step[:, None] % 2).expand(8, 8), (step % 2).expand(8, 8), (step[:, None] + step) % 2]).float()
    targets = torch.randint(3, (count,), generator=generator)
    corner = torch.randint(size - 7, (count, 2), generator=generator)
    images = torch.zeros(count, size, size)
    for image, kind, (row, column) in zip(images, kinds[targets], corner.tolist(), strict=True):
        image[row : row + 8, column : column + 8] = kind
    return images, targets[:, None]


@pytest.mark.slow
def test_learned_glimpses_beat_random_ones():
    draws = torch.Generator().manual_seed(0)
    images, targets = textures(4000, 24, draws)
    unseen, answers = textures(1000, 24, draws)
    accuracy = {}
    for arm in (LearnedGlimpses, RandomGlimpses):
        torch.manual_seed(0)
        net, steps = arm(3, width=64, glimpses=2), 300
        optimiser = torch.optim.Adam(net.parameters(), 0.01)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(steps):
            some = torch.randint(4000, (64,))
            optimiser.zero_grad()
            net.loss(images[some], targets[some]).backward()
            optimiser.step()
            schedule.step()
        net.eval()
        with torch.no_grad():
            accuracy[arm] = float((net(unseen)[:, 0].argmax(-1) == answers[:, 0]).float().mean())
    assert accuracy[RandomGlimpses] < 0.75
    assert accuracy[LearnedGlimpses] > 0.9
