"""ConvS2S against plain loops over positions, channels and taps."""

import math

import pytest
import torch

from study.cost.counting import multiply_adds
from study.models.seq2seq.base import shifted
from study.models.seq2seq.conv_s2s import ConvS2S
from study.positions.learned import Learned
from study.positions.none import NoPosition
from study.positions.relative import Relative
from study.tokens import PAD

V, W, D, C = 11, 13, 6, 5


def build(position=Learned, layers=2, kernel=3, **keys):
    torch.manual_seed(0)
    model = ConvS2S(
        V,
        W,
        width=D,
        layers=layers,
        hidden=C,
        kernel=kernel,
        source_length=30,
        target_length=30,
        position=lambda length: position(D, length=length),
        **keys,
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) / 4)
    return model.double()


def gated(convolution, rows, n, first):
    """One output of a convolution of `rows` (a list of lists) at position n, its first tap on n + first."""
    weight, bias = convolution.convolution.weight.tolist(), convolution.convolution.bias.tolist()
    channels = len(rows[0])
    sums = list(bias)
    for o in range(2 * channels):
        for i in range(channels):
            for tap in range(len(weight[0][0])):
                if 0 <= (m := n + first + tap) < len(rows):
                    sums[o] += weight[o][i][tap] * rows[m][i]
    return [sums[c] / (1 + math.exp(-sums[channels + c])) for c in range(channels)]


def mapped(layer, row):
    weight, bias = layer.weight.tolist(), layer.bias.tolist()
    return [b + sum(w * x for w, x in zip(line, row, strict=True)) for line, b in zip(weight, bias, strict=True)]


def halved(*rows):
    return [math.sqrt(0.5) * sum(numbers) for numbers in zip(*rows, strict=True)]


def plainly(model, source, previous):
    """Logits and mean weights of one pair without padding; nothing but Python's numbers."""
    k = model.kernel

    def embedded(tokens, table, position):
        return [
            [a + b for a, b in zip(table.weight[t].tolist(), position.table.weight[n].tolist(), strict=True)]
            for n, t in enumerate(tokens)
        ]

    source_rows = embedded(source, model.source_embedding, model.source_position)
    x = [mapped(model.encoder.into, row) for row in source_rows]
    for convolution in model.encoder.convolutions:
        x = [halved(x[n], gated(convolution, x, n, -(k // 2))) for n in range(len(x))]
    keys = [mapped(model.encoder.out, row) for row in x]
    values = [halved(key, row) for key, row in zip(keys, source_rows, strict=True)]

    target_rows = embedded(previous, model.target_embedding, model.target_position)
    x = [mapped(model.into, row) for row in target_rows]
    mean = [[0.0] * len(keys) for _ in x]
    for block in model.decoder:
        after = []
        for t in range(len(x)):
            h = gated(block.convolution, x, t, -(k - 1))
            query = halved(mapped(block.query, h), target_rows[t])
            powers = [math.exp(sum(q * z for q, z in zip(query, key, strict=True))) for key in keys]
            weights = [power / sum(powers) for power in powers]
            context = [
                math.sqrt(len(keys)) * sum(a * value[d] for a, value in zip(weights, values, strict=True)) for d in range(D)
            ]
            after.append(halved(x[t], halved(h, mapped(block.out, context))))
            for m, a in enumerate(weights):
                mean[t][m] += a / len(model.decoder)
        x = after
    return [mapped(model.head, mapped(model.out, row)) for row in x], mean


@pytest.mark.parametrize(("layers", "kernel"), [(1, 3), (2, 5)])
def test_it_is_the_papers_equations_in_plain_loops(layers, kernel):
    """One of the pairs is padded; the loops know it without padding."""
    model = build(layers=layers, kernel=kernel)
    source_BM, target_BT = torch.randint(4, V, (2, 7)), torch.randint(4, W, (2, 6))
    source_BM[1, 4:] = PAD
    found = model.decode(shifted(target_BT), model.encode(source_BM))
    for b, length in enumerate((7, 4)):
        logits, weights = plainly(model, source_BM[b, :length].tolist(), shifted(target_BT)[b].tolist())
        torch.testing.assert_close(found.logits_BTV[b], torch.tensor(logits, dtype=torch.float64))
        torch.testing.assert_close(found.weights_BTM[b, :, :length], torch.tensor(weights, dtype=torch.float64))


@pytest.mark.parametrize(("layers", "kernel"), [(1, 3), (2, 3), (3, 3), (2, 5), (4, 1)])
def test_a_token_sees_just_so_many_before_it_as_kernel_and_layers_say(layers, kernel):
    """By the Jacobian of one logit with respect to the embeddings of what the decoder was given."""
    model, target_BT = build(NoPosition, layers, kernel), torch.randint(4, W, (1, 20))
    rows = {}
    model.target_embedding.register_forward_hook(lambda _, __, row_BTD: rows.setdefault(0, row_BTD))
    logits_BTV = model(torch.randint(4, V, (1, 6)), target_BT)
    (gradient,) = torch.autograd.grad(logits_BTV[0, 15].square().sum(), rows[0])
    reached = (gradient[0] != 0).any(-1).nonzero().flatten().tolist()
    assert reached == list(range(15 - layers * (kernel - 1), 16))


def test_the_encoder_hears_a_share_of_the_gradient_and_the_embedding_all_of_it():
    """Against the same pass with that scaling undone by hand."""
    layers = 3
    model = build(layers=layers)
    source_BM, target_BT = torch.randint(4, V, (2, 7)), torch.randint(4, W, (2, 6))
    model(source_BM, target_BT).square().sum().backward()
    scaled = model.encoder.out.weight.grad.clone(), model.source_embedding.weight.grad.clone()

    embedded_BMD = model.source_position(model.source_embedding(source_BM)).detach().requires_grad_()
    through_encoder = embedded_BMD.detach().clone().requires_grad_()
    keys_BMD = model.encoder(through_encoder, source_BM != PAD)
    memory = model.encode(source_BM)._replace(keys_BMD=keys_BMD, values_BMD=(keys_BMD + embedded_BMD) * math.sqrt(0.5))
    weight = model.encoder.out.weight
    unscaled, directly, through = torch.autograd.grad(
        model.decode(shifted(target_BT), memory).logits_BTV.square().sum(), [weight, embedded_BMD, through_encoder]
    )
    assert unscaled.abs().max() > 1e-3
    torch.testing.assert_close(scaled[0], unscaled / layers)
    expected_VD = torch.zeros_like(scaled[1]).index_add_(0, source_BM.flatten(), (directly + through / layers).flatten(0, 1))
    torch.testing.assert_close(scaled[1], expected_VD)


@pytest.mark.parametrize(("M", "T", "L"), [(9, 8, 2), (3, 7, 3)])
def test_multiply_adds_by_hand(M, T, L):
    """Also when the weights are asked for."""
    model, tokens = build(layers=L), (torch.randint(4, V, (1, M)), torch.randint(4, W, (1, T)))
    expected = (M + T) * (2 * D * C + L * 2 * 3 * C**2) + L * T * (2 * C * D + 2 * M * D) + T * D * W
    assert multiply_adds(model, *tokens) == multiply_adds(model.align, *tokens) == expected


def test_an_even_kernel_is_refused():
    with pytest.raises(ValueError, match="kernel=4 must be odd"):
        build(kernel=4)


def test_a_position_that_acts_inside_attention_is_refused():
    with pytest.raises(ValueError, match="position=relative.*position=sinusoidal, learned or none"):
        build(Relative)
