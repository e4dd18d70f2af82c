"""The Transformer against torch.nn.Transformer with the same weights."""

import pytest
import torch
from torch import nn

from study.cost.counting import multiply_adds
from study.mixers.attention import Attention
from study.mixers.convolution import Convolution
from study.models.seq2seq.base import shifted
from study.models.seq2seq.transformer import Transformer
from study.positions.bucket_bias import BucketBias
from study.positions.none import NoPosition
from study.positions.relative import Relative
from study.positions.sinusoidal import Sinusoidal
from study.tokens import END, PAD

pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor")
V, W, D, F, H, L = 13, 17, 12, 20, 3, 2


def build(mixer=None, position=Sinusoidal, **keys):
    torch.manual_seed(0)
    sizes = {"width": D, "layers": L, "hidden": F, "source_length": 9, "target_length": 8, "heads": H} | keys
    model = Transformer(
        V,
        W,
        position=lambda length: position(D, length=length),
        mixer=mixer or (lambda causal, layer: Attention(D, causal=causal, heads=H, layer=layer)),
        **sizes,
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:  # norms and biases start at 1 and 0, which would hide a confusion
                parameter.add_(torch.randn_like(parameter) / 4)
    return model.double()


def theirs_and_twins(model):
    """torch's Transformer with the model's weights, and (its parameter, ours that make it up) of all that is not 0."""
    theirs = nn.Transformer(D, H, L, L, F, dropout=0, norm_first=True, batch_first=True, dtype=torch.float64)
    twins = []

    def attention(module, *projections, out):
        twins.extend([(module.in_proj_weight, projections), (module.out_proj.weight, [out.weight])])
        nn.init.zeros_(module.in_proj_bias)
        nn.init.zeros_(module.out_proj.bias)

    def like(module, ours):
        twins.extend([(module.weight, [ours.weight]), (module.bias, [ours.bias])])

    for side, blocks, theirs_side in (("encoder", model.encoder, theirs.encoder), ("decoder", model.decoder, theirs.decoder)):
        for block, layer in zip(blocks, theirs_side.layers, strict=True):
            attention(layer.self_attn, block.mixer.qkv.weight, out=block.mixer.out)
            like(layer.norm1, block.mixer_norm)
            like(layer.linear1, block.ffn[0])
            like(layer.linear2, block.ffn[2])
            if side == "encoder":
                like(layer.norm2, block.ffn_norm)
            else:
                cross = block.cross
                attention(layer.multihead_attn, cross.query.weight, cross.key_value.weight, out=cross.out)
                like(layer.norm2, block.cross_norm)
                like(layer.norm3, block.ffn_norm)
    like(theirs.encoder.norm, model.encoder_norm)
    like(theirs.decoder.norm, model.decoder_norm)
    with torch.no_grad():
        for parameter, ours in twins:
            parameter.copy_(torch.cat(list(ours)))
    return theirs, twins


def test_it_is_torchs_transformer_in_values_and_gradients():
    model = build()
    theirs, twins = theirs_and_twins(model)
    assert sum(p.numel() for _, ours in twins for p in ours) == model.parameter_counts()["other"]
    source_BM, target_BT = torch.randint(4, V, (3, 9)), torch.randint(4, W, (3, 8))
    source_BM[1, 5:], source_BM[2, 1:] = PAD, PAD
    padding_BM = source_BM == PAD
    logits_BTV = model(source_BM, target_BT)
    before_BTD = model.target_position(model.target_embedding(shifted(target_BT)))
    expected_BTD = theirs(
        model.source_position(model.source_embedding(source_BM)),
        before_BTD,
        tgt_mask=nn.Transformer.generate_square_subsequent_mask(8, dtype=torch.float64),
        src_key_padding_mask=padding_BM,
        memory_key_padding_mask=padding_BM,
        tgt_is_causal=True,
    )
    expected_BTV = model.head(expected_BTD)
    torch.testing.assert_close(logits_BTV, expected_BTV)
    direction_BTV = torch.randn_like(logits_BTV)
    tables = [model.source_embedding.weight, model.target_embedding.weight, model.head.weight]
    ours = [p for _, parts in twins for p in parts]
    found = torch.autograd.grad((logits_BTV * direction_BTV).sum(), [*tables, *ours])
    wanted = torch.autograd.grad((expected_BTV * direction_BTV).sum(), [*tables, *(p for p, _ in twins)])
    found = dict(zip(map(id, [*tables, *ours]), found, strict=True))
    for (_, parts), expected in zip([(None, [t]) for t in tables] + twins, wanted, strict=True):
        assert expected.abs().max() > 1e-4
        torch.testing.assert_close(torch.cat([found[id(part)] for part in parts]), expected)


def test_alignment_is_the_mean_of_the_weights_of_heads_and_layers():
    """Against torch's decoder layers, each asked for its weights."""
    model = build()
    theirs, _ = theirs_and_twins(model)
    source_BM, target_BT = torch.randint(4, V, (2, 6)), torch.randint(4, W, (2, 8))
    seen = []
    for layer in theirs.decoder.layers:
        attend = layer.multihead_attn.forward

        def noted(*args, attend=attend, **keys):
            y, weights = attend(*args, **keys | {"need_weights": True})
            seen.append(weights)
            return y, None

        layer.multihead_attn.forward = noted
    theirs(
        model.source_position(model.source_embedding(source_BM)),
        model.target_position(model.target_embedding(shifted(target_BT))),
        tgt_mask=nn.Transformer.generate_square_subsequent_mask(8, dtype=torch.float64),
    )
    assert len(seen) == L
    torch.testing.assert_close(model.align(source_BM, target_BT), sum(seen) / L)


def test_keys_and_values_of_the_memory_are_projected_once():
    model, calls = build(), []
    for block in model.decoder:
        block.cross.key_value.register_forward_hook(lambda *_: calls.append(1))
    memory = model.encode(torch.randint(4, V, (2, 6)))
    state = model.start(memory)
    for _ in range(5):
        state = model.step(torch.full((2,), END), memory, state).state
    assert len(calls) == L


@pytest.mark.parametrize(("M", "T", "L", "F"), [(9, 8, 2, 20), (3, 7, 3, 5)])
def test_multiply_adds_by_hand(M, T, L, F):
    """Also when the weights are asked for, which the fused kernel does not give."""
    model, tokens = build(layers=L, hidden=F), (torch.randint(4, V, (1, M)), torch.randint(4, W, (1, T)))
    own, feeding = 4 * (M + T) * D**2 + 2 * (M**2 + T**2) * D, 2 * (M + T) * D * F
    crossing = 2 * (M + T) * D**2 + 2 * M * T * D
    assert multiply_adds(model, *tokens) == multiply_adds(model.align, *tokens) == L * (own + feeding + crossing) + T * D * W


def test_positions_inside_attention_count_as_embedding_and_their_work():
    """Keys and values of 2 x 16 + 1 offsets in each layer of each side, whose products each token makes; or a table a side."""
    plain, relative, buckets = (build(position=each) for each in (NoPosition, Relative, BucketBias))
    counts = plain.parameter_counts()
    for model, own in ((relative, 2 * L * 2 * 33 * D // H), (buckets, 2 * 32 * H)):
        assert model.parameter_counts() == {"embedding": counts["embedding"] + own, "other": counts["other"]}
    tokens = torch.full((1, 9), END), torch.full((1, 8), END)
    assert multiply_adds(relative, *tokens) - multiply_adds(plain, *tokens) == L * (9 + 8) * 2 * D * 33


def test_what_is_not_full_attention_is_refused():
    with pytest.raises(ValueError, match="not by mixer=convolution; use mixer=attention"):
        build(mixer=lambda causal, layer: Convolution(D, causal=causal, layer=layer))
