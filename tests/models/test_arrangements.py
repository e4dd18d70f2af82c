"""Residual and norm in all five arrangements, against formulas and against torch's own layer."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from study import keys
from study.mixers.attention import Attention
from study.models.arrangements import ARRANGEMENTS
from study.models.encoder import Block, SequenceModel
from study.positions.none import NoPosition

WIDTH, FFN_WIDTH = 16, 24
NAMES = pytest.mark.parametrize("arrangement", ARRANGEMENTS)
FORMULAS = {
    "pre_norm": lambda x, f, norm: x + f(norm(x)),
    "post_norm": lambda x, f, norm: norm(x + f(x)),
    "residual": lambda x, f, norm: x + f(x),
    "norm": lambda x, f, norm: norm(f(x)),
    "plain": lambda x, f, norm: f(x),
}


def block(arrangement):
    torch.manual_seed(0)
    made = Block(Attention(WIDTH, causal=False, heads=4), FFN_WIDTH, 0.0, arrangement)
    for parameter in made.parameters():  # so that no norm is the one that it starts as
        if parameter.ndim == 1:
            nn.init.normal_(parameter)
    return made


def model(arrangement, layers=3, causal=True):
    torch.manual_seed(0)
    return SequenceModel(
        7,
        5,
        width=WIDTH,
        layers=layers,
        ffn_width=FFN_WIDTH,
        causal=causal,
        arrangement=arrangement,
        mixer=lambda layer: Attention(WIDTH, causal=causal, layer=layer),
        position=NoPosition(WIDTH, length=9),
    )


@NAMES
def test_a_block_is_its_formula(arrangement):
    """Values and gradients; the sublayers are written out with the block's weights."""
    ours, formula = block(arrangement), FORMULAS[arrangement]
    theirs = copy.deepcopy(ours)
    x_BND = torch.randn(3, 9, WIDTH)

    def norm(layer):
        if isinstance(layer, nn.Identity):
            return lambda x: x

        def normalise(x):
            centred = x - x.mean(-1, keepdim=True)
            return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * layer.weight + layer.bias

        return normalise

    def ffn(x):
        first, last = theirs.ffn[0], theirs.ffn[2]
        return (x @ first.weight.T + first.bias).clamp(min=0) @ last.weight.T + last.bias

    expected = formula(x_BND, theirs.mixer, norm(theirs.mixer_norm))
    expected = formula(expected, ffn, norm(theirs.ffn_norm))
    actual = ours(x_BND)
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-4)
    weight_BND = torch.randn_like(x_BND)
    mine = torch.autograd.grad((actual * weight_BND).sum(), list(ours.parameters()))
    for a, e in zip(mine, torch.autograd.grad((expected * weight_BND).sum(), list(theirs.parameters())), strict=True):
        torch.testing.assert_close(a, e, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("arrangement", "norm_first"), [("pre_norm", True), ("post_norm", False)])
def test_a_block_is_torchs_encoder_layer_with_copied_weights(arrangement, norm_first):
    """Values and gradients against nn.TransformerEncoderLayer."""
    ours = block(arrangement)
    theirs = nn.TransformerEncoderLayer(WIDTH, 4, FFN_WIDTH, dropout=0.0, batch_first=True, norm_first=norm_first)
    pairs = {
        ours.mixer.qkv: theirs.self_attn.in_proj_weight,
        ours.mixer.out: theirs.self_attn.out_proj.weight,
        ours.ffn[0]: theirs.linear1,
        ours.ffn[2]: theirs.linear2,
        ours.mixer_norm: theirs.norm1,
        ours.ffn_norm: theirs.norm2,
    }
    with torch.no_grad():
        theirs.self_attn.in_proj_bias.zero_()
        theirs.self_attn.out_proj.bias.zero_()
        for mine, other in pairs.items():
            if isinstance(other, nn.Module):
                other.load_state_dict(mine.state_dict())
            else:
                other.copy_(mine.weight)
    x_BND = torch.randn(3, 13, WIDTH, requires_grad=True)
    mask_BN = torch.arange(13) < torch.tensor([13, 13, 5])[:, None]
    actual, expected = ours(x_BND, mask_BN), theirs(x_BND, src_key_padding_mask=~mask_BN)
    torch.testing.assert_close(actual[mask_BN], expected[mask_BN], atol=1e-5, rtol=1e-4)
    weight = torch.randn(WIDTH)
    inputs = [x_BND, ours.mixer.qkv.weight, ours.ffn[0].weight, ours.ffn[2].bias, ours.mixer_norm.weight]
    other = [x_BND, pairs[ours.mixer.qkv], theirs.linear1.weight, theirs.linear2.bias, theirs.norm1.weight]
    mine = torch.autograd.grad((actual[mask_BN] * weight).sum(), inputs)
    for a, e in zip(mine, torch.autograd.grad((expected[mask_BN] * weight).sum(), other), strict=True):
        torch.testing.assert_close(a, e, atol=1e-4, rtol=1e-4)


@NAMES
def test_maps_follow_the_arrangement(arrangement):
    built = model(arrangement)
    tokens_BN = torch.randint(7, (2, 9))
    seen = []
    for mixer in built.mixers:
        mixer.register_forward_pre_hook(lambda mixer, given: seen.append(given[0]))
    maps = built.maps(tokens_BN)
    for mixer, x_BND, map_BHNN in zip(built.mixers, seen, maps, strict=True):
        torch.testing.assert_close(map_BHNN, mixer.maps(x_BND))


def test_all_arrangements_start_from_the_same_weights():
    states = [model(arrangement).state_dict() for arrangement in ARRANGEMENTS]
    for key, value in states[list(ARRANGEMENTS).index("plain")].items():
        assert all(torch.equal(state[key], value) for state in states)


def test_the_feed_forward_net_is_two_convolutions_of_kernel_one():
    """C38: the same values and the same gradients, with copied weights."""
    ours = block("pre_norm")
    first, last = nn.Conv1d(WIDTH, FFN_WIDTH, 1), nn.Conv1d(FFN_WIDTH, WIDTH, 1)
    pairs = [(ours.ffn[0], first), (ours.ffn[2], last)]
    with torch.no_grad():
        for linear, convolution in pairs:
            convolution.weight.copy_(linear.weight[..., None])
            convolution.bias.copy_(linear.bias)
    x_BND = torch.randn(4, 11, WIDTH, requires_grad=True)
    actual, expected = ours.feed_forward(x_BND), last(F.relu(first(x_BND.mT))).mT
    torch.testing.assert_close(actual, expected, atol=1e-6, rtol=1e-5)
    weight_BND = torch.randn_like(x_BND)
    inputs = [x_BND, *(p for linear, _ in pairs for p in (linear.weight, linear.bias))]
    others = [x_BND, *(p for _, convolution in pairs for p in (convolution.weight, convolution.bias))]
    mine = torch.autograd.grad((actual * weight_BND).sum(), inputs)
    for a, e in zip(mine, torch.autograd.grad((expected * weight_BND).sum(), others), strict=True):
        torch.testing.assert_close(a, e.view_as(a), atol=1e-5, rtol=1e-5)


def test_the_config_offers_all_arrangements():
    assert set(keys.every()["model.arrangement"].one_of) == set(ARRANGEMENTS)
