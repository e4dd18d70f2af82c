"""The block template: what holds for any mixer and position in conf."""

import itertools

import pytest
import torch
from torch import nn

from study.mixers.base import Mixer
from study.models.encoder import Block, SequenceModel
from study.parts import load
from study.positions.base import InsidePosition
from tests.cases import case, close, names, part

MIXERS, POSITIONS, READOUTS = names("mixer"), names("position"), names("readout")
SIZE = {"width": 16, "layers": 2, "ffn_width": 24}
VOCABULARY, CLASSES, LENGTH = 17, 11, 21
INSIDE = [name for name in POSITIONS if issubclass(load("position", name), InsidePosition)]
TAKING = [name for name in MIXERS if load("mixer", name).attach is not Mixer.attach]
# What is added to the embedding knows nothing of the mixer: one with each, all with attention.
PAIRS = [(m, p) for m in MIXERS for p in POSITIONS if p == "learned" or m == "attention" or (p in INSIDE and m in TAKING)]
BOTH = (True, False)  # causal and bidirectional


def build(
    mixer="attention",
    position="sinusoidal",
    causal=True,
    dropout=0.0,
    arrangement="pre_norm",
    readout="own",
    length=LENGTH,
    **size,
) -> SequenceModel:
    size = SIZE | size
    mixer, position, readout = part("mixer", mixer), part("position", position), part("readout", readout)
    torch.manual_seed(0)
    return SequenceModel(
        VOCABULARY,
        CLASSES,
        causal=causal,
        mixer=lambda layer: mixer(size["width"], causal=causal, layer=layer, length=length),
        position=position(size["width"], length=length),
        readout=readout,
        dropout=dropout,
        arrangement=arrangement,
        **size,
    )


def tokens(B=3, N=LENGTH):
    return torch.randint(VOCABULARY, (B, N), generator=torch.Generator().manual_seed(0))


def test_parameters_by_hand():
    norms = {"pre_norm": 2 * 3 + 1, "post_norm": 2 * 3, "norm": 2 * 3, "residual": 0, "plain": 0}
    own = {"attention": 4 * 16**2, "lstm": 8 * 16**2 + 8 * 16, "identity": 0}
    feeding = 2 * 16 * 24 + 24 + 16
    for arrangement, mixer in itertools.product(norms, own):
        assert build(mixer, layers=3, arrangement=arrangement).parameter_counts() == {
            "embedding": VOCABULARY * 16 + (16 + 1) * CLASSES,
            "other": 3 * (own[mixer] + feeding) + norms[arrangement] * 2 * 16,
        }, (arrangement, mixer)


def test_positions_count_as_embedding_once():
    """Tables of `clip` offsets for each layer, of buckets for all of them, or a row for each position."""
    own = {"relative": 2 * 2 * 33 * 4, "bucket_bias": 32 * 4, "learned": LENGTH * 16, "sinusoidal_trained": LENGTH * 16}
    bare = build(position="none").parameter_counts()
    for position in POSITIONS:
        counts = {"embedding": bare["embedding"] + own.get(position, 0), "other": bare["other"]}
        assert build(position=position).parameter_counts() == counts, position


def test_padding_changes_no_logit_and_no_map():
    lengths = (LENGTH, 8, 1)
    mask_BN = torch.arange(LENGTH) < torch.tensor(lengths)[:, None]
    for (mixer, position), causal in itertools.product(PAIRS, BOTH):
        with case(mixer, position, f"causal={causal}"):
            model, tokens_BN = build(mixer, position, causal), tokens()
            logits_BNV, maps = model(tokens_BN, mask_BN=mask_BN), model.maps(tokens_BN, mask_BN)
            assert logits_BNV.isfinite().all()
            for b, length in enumerate(lengths):
                alone_BN = tokens_BN[b : b + 1, :length]
                close(logits_BNV[b, :length], model(alone_BN)[0])
                for weights_BHNN, alone_BHNN in zip(maps, model.maps(alone_BN), strict=True):
                    close(weights_BHNN[b, :, :length, :length], alone_BHNN[0])


def test_positions_act_inside_attention_and_nothing_else():
    assert set(INSIDE) == {"relative", "rotary", "linear_bias", "bucket_bias"}
    assert "attention" in TAKING and not {"window", "lstm", "convolution", "identity", "static"} & set(TAKING)
    for mixer, position in itertools.product(set(MIXERS) - set(TAKING), INSIDE):
        refusal = f"^position={position} acts inside full attention[^\n]*mixer=attention"
        with case(mixer), pytest.raises(ValueError, match=refusal):
            build(mixer, position)


def test_a_position_inside_changes_logits_and_maps_and_no_other_weight():
    for mixer, position, causal in itertools.product(TAKING, INSIDE, BOTH):
        with case(mixer, position, f"causal={causal}"):
            with_it, without, tokens_BN = build(mixer, position, causal), build(mixer, "none", causal), tokens()
            weights = with_it.state_dict()
            assert all(torch.equal(weights[name], value) for name, value in without.state_dict().items())
            assert (with_it(tokens_BN) - without(tokens_BN)).abs().max() > 1e-2
            for own, plain in zip(with_it.maps(tokens_BN), without.maps(tokens_BN), strict=True):
                assert (own - plain).abs().max() > 1e-2


def test_scored_positions_are_a_part_of_all():
    model, tokens_BN, where_BT = build(), tokens(), torch.tensor([[20, 0], [3, 3], [7, 19]])
    expected = torch.stack([model(tokens_BN)[b, where_BT[b]] for b in range(3)])
    close(model(tokens_BN, where_BT), expected)


def test_reach_is_where_the_jacobian_ends():
    for mixer, causal in itertools.product(MIXERS, BOTH):
        with case(mixer, f"causal={causal}"):
            model = build(mixer, "none", causal, length=45).double()
            reach = 20 if model.reach is None else model.reach
            N = 2 * reach + 5
            centre = N // 2
            x_BND = model.embedding(tokens(1, N)).detach().requires_grad_()
            h_BND = x_BND
            for block in model.blocks:
                h_BND = block(h_BND)
            seen_N = torch.zeros(N, dtype=torch.bool)
            for d in range(SIZE["width"]):
                (gradient,) = torch.autograd.grad(h_BND[0, centre, d], x_BND, retain_graph=True)
                seen_N |= gradient[0].any(-1)
            reach, n = centre if model.reach is None else reach, torch.arange(N)
            assert not seen_N[(n < centre - reach) | (n > (centre if causal else centre + reach))].any()
            assert seen_N[centre - reach] and seen_N[centre]
            assert causal or seen_N[centre + reach]


def test_there_is_a_map_for_each_layer_that_has_one():
    for mixer in MIXERS:
        shapes = [tuple(weights_BHNN.shape) for weights_BHNN in build(mixer).maps(tokens())]
        assert shapes == [(3, 4, LENGTH, LENGTH)] * SIZE["layers"] * load("mixer", mixer).has_maps, mixer


def test_all_but_the_readout_starts_alike():
    """Arms that differ in their readout start from the same weights otherwise; its own are counted."""
    plain = build()
    for readout in READOUTS:
        model = build(readout=readout)
        weights = model.state_dict()
        assert all(torch.equal(weights[name], weight) for name, weight in plain.state_dict().items()), readout
        own = sum(p.numel() for p in model.readout.parameters())
        assert model.parameter_counts()["other"] == plain.parameter_counts()["other"] + own, readout


def test_a_readout_is_given_what_the_blocks_made():
    tokens_BN, where_BT = tokens(), torch.tensor([[20, 0], [3, 3], [7, 19]])
    for readout in READOUTS:
        with case(readout):
            model = build(readout=readout).eval()
            x_BND = model.embed(tokens_BN)
            for block in model.blocks:
                x_BND = block(x_BND)
            expected = model.readout(x_BND, where_BT, None, lambda x: model.head(model.norm(x)))  # noqa: B023
            assert torch.equal(model(tokens_BN, where_BT), expected)
            assert model.reach is None
            assert build("identity", readout=readout).reach == (0 if readout == "own" else None)


def test_dropout_is_off_in_evaluation_and_keeps_the_mean_in_training():
    model, tokens_BN = build(dropout=0.5), tokens()
    plain = build(dropout=0.0)
    assert torch.equal(model.eval()(tokens_BN), plain(tokens_BN))
    embedded = torch.stack([model.train().embed(tokens_BN) for _ in range(400)]).mean(0)
    torch.testing.assert_close(embedded, plain.embed(tokens_BN), atol=1.0, rtol=0)
    assert not torch.equal(model(tokens_BN), plain(tokens_BN))


def test_training_under_autocast_keeps_a_float32_residual():
    mask_BN = torch.arange(LENGTH) < torch.tensor([LENGTH, 8, 1])[:, None]
    for mixer, causal in itertools.product(MIXERS, BOTH):
        with case(mixer, f"causal={causal}"):
            model, tokens_BN, residuals = build(mixer, causal=causal), tokens(), []
            for block in model.blocks:
                block.register_forward_hook(lambda _, __, output, seen=residuals: seen.append(output.dtype))
            with torch.autocast("cpu", torch.bfloat16):
                logits_BNV = model(tokens_BN, mask_BN=mask_BN)
            assert set(residuals) == {torch.float32}
            logits_BNV.float().square().mean().backward()
            assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in model.parameters())
            exact = model(tokens_BN, mask_BN=mask_BN)
            assert (logits_BNV.float() - exact)[mask_BN].abs().mean() < 0.03 * exact[mask_BN].std()


def test_weights_are_a_function_of_the_seed():
    first, second = build().state_dict(), build().state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_token_embedding_starts_standard_normal():
    weight = SequenceModel(
        1000, 2, width=64, layers=0, ffn_width=1, causal=True, mixer=lambda layer: None, position=nn.Identity()
    ).embedding.weight
    assert weight.std().item() == pytest.approx(1, rel=0.02)
    assert weight.mean().item() == pytest.approx(0, abs=0.02)


def test_the_feed_forward_net_is_the_same_at_every_position():
    block = build().blocks[0]
    assert isinstance(block, Block)
    x_BND = torch.randn(2, 5, 16)
    close(block.ffn(x_BND)[:, 3], block.ffn(x_BND[:, 3]))
