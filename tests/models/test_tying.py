"""One table for input and output: storage, gradients, start, size and memory."""

import pytest
import torch
from torch.nn import functional as F

from study.cost.memory import training_bytes
from study.mixers.attention import Attention
from study.models.encoder import SequenceModel
from study.positions.learned import Learned
from study.positions.sinusoidal import Sinusoidal

V, D, N = 50, 32, 12


def build(tie, vocabulary=V, classes=V, width=D, position=Sinusoidal, ffn_width=40):
    torch.manual_seed(0)
    return SequenceModel(
        vocabulary,
        classes,
        width=width,
        layers=2,
        ffn_width=ffn_width,
        causal=True,
        mixer=lambda layer: Attention(width, causal=True, layer=layer, heads=2),
        position=position(width, length=N),
        tie=tie,
    )


def tokens(vocabulary=V):
    return torch.randint(vocabulary, (4, N + 1), generator=torch.Generator().manual_seed(0))


def loss(model, vocabulary=V):
    tokens_BM = tokens(vocabulary)
    return F.cross_entropy(model(tokens_BM[:, :-1]).flatten(0, 1), tokens_BM[:, 1:].flatten())


def table(module):
    return module.weight.untyped_storage().data_ptr()


def test_tied_tables_are_one_storage_and_untied_ones_two():
    tied, untied = build("output"), build("none")
    assert table(tied.embedding) == table(tied.head)
    assert table(untied.embedding) != table(untied.head)
    names = [name for name, _ in tied.named_parameters()]
    assert len(names) == len([name for name, _ in untied.named_parameters()]) - 1


def test_the_gradient_is_the_sum_of_both_uses():
    """Against an untied model with the tied one's numbers."""
    tied, untied = build("output"), build("none")
    untied.load_state_dict(tied.state_dict())
    torch.testing.assert_close(tied(tokens()), untied(tokens()))
    loss(tied).backward()
    loss(untied).backward()
    expected_VD = untied.head.weight.grad + untied.embedding.weight.grad
    assert untied.embedding.weight.grad.abs().max() > 1e-4 and untied.head.weight.grad.abs().max() > 1e-4
    torch.testing.assert_close(tied.head.weight.grad, expected_VD, rtol=1e-4, atol=1e-7)


def test_a_checkpoint_restores_one_table():
    first, second = build("output"), build("output")
    with torch.no_grad():
        first.head.weight.add_(1)
    second.load_state_dict(first.state_dict())
    assert torch.equal(second(tokens()), first(tokens())) and table(second.embedding) == table(second.head)


def test_tying_moves_no_other_weight():
    tied, untied = build("output").state_dict(), build("none").state_dict()
    assert tied.keys() == untied.keys()
    for name in tied.keys() - {"embedding.weight", "head.weight"}:
        assert torch.equal(tied[name], untied[name]), name


@pytest.mark.parametrize(("vocabulary", "width"), [(65, 64), (1024, 64), (1024, 128)])
def test_rows_have_a_norm_of_one_and_the_first_loss_is_about_that_of_guessing(vocabulary, width):
    tied = build("output", vocabulary=vocabulary, classes=vocabulary, width=width)
    assert tied.head.weight.norm(dim=1).mean().item() == pytest.approx(1, rel=0.03)
    x_MD = F.layer_norm(torch.randn(500, width), (width,))
    assert tied.head(x_MD).std().item() == pytest.approx(1, rel=0.05)  # D weights of variance 1 / D
    assert loss(tied, vocabulary).item() < 1.2 * torch.tensor(float(vocabulary)).log().item()


def test_a_step_of_adam_moves_what_is_read_as_far_as_in_a_table_of_its_own():
    moved = []
    for tie in ("output", "none"):
        model = build(tie)
        before_BND = model.embedding(tokens()).detach()
        loss(model).backward()
        torch.optim.Adam(model.parameters(), lr=0.01).step()
        moved.append((model.embedding(tokens()) - before_BND).abs().max().item())
    assert moved == pytest.approx([0.01, 0.01], rel=0.01)


@pytest.mark.parametrize(("position", "rows"), [(Sinusoidal, 0), (Learned, N)])
def test_the_table_is_counted_once(position, rows):
    tied, untied = build("output", position=position).parameter_counts(), build("none", position=position).parameter_counts()
    assert tied["embedding"] == V * D + V + rows * D
    assert untied == {"embedding": tied["embedding"] + V * D, "other": tied["other"]}


@pytest.mark.parametrize("vocabulary", [65, 256, 1024])
def test_memory_saved_is_the_table_its_gradient_and_its_two_moments(vocabulary):
    """In a whole training step; what backward keeps beside the parameters is the same."""
    held = []
    for tie in ("none", "output"):
        model = build(tie, vocabulary, vocabulary)
        held.append(training_bytes(model.parameters(), lambda model=model: loss(model, vocabulary)))
        optimizer = torch.optim.AdamW(model.parameters())
        loss(model, vocabulary).backward()
        optimizer.step()
        state = sum(v.numel() for s in optimizer.state.values() for v in s.values() if v.ndim) * 4
        weights = sum(p.numel() + p.grad.numel() for p in model.parameters()) * 4
        held.append(state + weights)
    expected = vocabulary * D * 4 * (1 + 1 + 2)
    assert held[0] - held[2] == held[1] - held[3] == expected


def test_inputs_that_are_not_outputs_are_refused():
    with pytest.raises(ValueError, match="model.tie=output needs .* not 50 tokens and 7 classes; use model.tie=none"):
        build("output", classes=7)
