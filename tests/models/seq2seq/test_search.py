"""Search against enumeration of all there is, against plain loops, and against scoring in parallel."""

import itertools
import math

import pytest
import torch

from study.mixers.attention import Attention
from study.models.seq2seq.base import EncoderDecoder, Step, shifted
from study.models.seq2seq.conv_s2s import ConvS2S
from study.models.seq2seq.recurrent import Bahdanau, FixedVector, LuongGeneral
from study.models.seq2seq.search import Hypothesis, search
from study.models.seq2seq.transformer import Transformer
from study.positions.sinusoidal import Sinusoidal
from study.tokens import END, PAD, START
from tests.cases import case

V = 6  # END, and 3, 4, 5 to write
LETTERS = [3, 4, 5]


class Table(EncoderDecoder):
    """Logits from a table: of the source's first token, the step, and the token before."""

    def __init__(self, logits_SLVV):
        super().__init__(1, 1, width=1)
        self.table = logits_SLVV

    def encode(self, source_BM):
        return {"first": source_BM[:, 0], "same for all": "text"}

    def start(self, memory):
        return 0

    def step(self, previous_B, memory, state):
        return Step(self.table[memory["first"], state, previous_B], state + 1, None)


def random_table(seed, spread=1.5, sources=4, longest=4):
    generator = torch.Generator().manual_seed(seed)
    return Table(spread * torch.randn(sources, longest, V, V, generator=generator))


def everything(model, source, longest):
    """All hypotheses of one source: those that end within `longest`, then those cut off; by plain loops."""
    log_p = model.table.double().log_softmax(-1)[source]
    ended, cut_off = [], []
    for length in range(longest + 1):
        for letters in itertools.product(LETTERS, repeat=length):
            tokens = [*letters] if length == longest else [*letters, END]
            steps = enumerate(itertools.pairwise([START, *tokens]))
            score = sum(log_p[step, previous, token].item() for step, (previous, token) in steps)
            (cut_off if length == longest else ended).append(Hypothesis([*letters], score, length < longest, None))
    return ended, cut_off


def value(hypothesis, alpha):
    return hypothesis.score / ((5 + len(hypothesis.tokens) + hypothesis.finished) / 6) ** alpha


def assert_same(actual, expected):
    assert (actual.tokens, actual.finished) == (expected.tokens, expected.finished)
    assert actual.score == pytest.approx(expected.score, abs=1e-4, rel=1e-5)


def test_a_beam_with_room_for_all_finds_the_best_of_all():
    for seed, alpha in itertools.product(range(6), (0.0, 0.6, 1.0, 3.0)):
        model = random_table(seed)
        found = search(model, torch.arange(4)[:, None].clamp(min=1), beam=130, length_penalty=alpha, longest=4)
        for source, hypotheses in zip([1, 1, 2, 3], found, strict=True):
            with case(f"seed {seed}", f"alpha {alpha}", f"source {source}"):
                ended, _ = everything(model, source, 4)
                assert_same(hypotheses[0], max(ended, key=lambda each: value(each, alpha)))  # noqa: B023
                by_tokens = {tuple(each.tokens): each for each in ended}
                for hypothesis in hypotheses:
                    assert_same(hypothesis, by_tokens[tuple(hypothesis.tokens)])
                values = [value(each, alpha) for each in hypotheses]
                assert values == sorted(values, reverse=True)
                assert len({tuple(each.tokens) for each in hypotheses}) == len(hypotheses)


def test_the_penalty_can_change_what_is_best():
    best = [search(random_table(1), torch.tensor([[1]]), beam=130, length_penalty=a, longest=4)[0][0] for a in (0.0, 3.0)]
    assert len(best[0].tokens) < len(best[1].tokens)


def test_all_that_end_at_once_come_in_order():
    model = random_table(1)
    model.table[:, :3, :, END] = -math.inf
    ended, _ = everything(model, 2, 4)
    expected = sorted((each for each in ended if len(each.tokens) == 3), key=lambda each: -each.score)
    found = search(model, torch.tensor([[2]]), beam=130, longest=4)[0]
    assert len(found) == len(expected) == 27
    for pair in zip(found, expected, strict=True):
        assert_same(*pair)


def test_what_has_not_ended_is_given_where_nothing_has():
    model = random_table(2)
    model.table[2, :, :, END] = -math.inf  # the second source's never end
    found = search(model, torch.tensor([[1], [2]]), beam=130, longest=4)
    assert all(hypothesis.finished for hypothesis in found[0])
    expected = sorted(everything(model, 2, 4)[1], key=lambda each: -each.score)
    for pair in zip(found[1], expected, strict=True):
        assert_same(*pair)


@pytest.mark.parametrize(("beam", "ended"), [(1, 1), (2, 1), (5, 2), (40, 10), (130, 27)])
def test_of_equals_the_lower_tokens_come_first(beam, ended):
    """All that is as long is as likely; only three letters may be followed by an end, or by three others as well."""
    table = torch.zeros(2, 4, V, V)
    table[:, :3, :, END] = -math.inf
    found = search(Table(table), torch.tensor([[1]]), beam=beam, longest=4)[0]
    assert [each.tokens for each in found] == [list(each) for each in itertools.product(LETTERS, repeat=3)][:ended]


def plain_beam(model, source, beam, alpha, longest):
    """The rule in `search`, with lists."""
    log_p = model.table.log_softmax(-1)[source]
    live, ended = [([], 0.0)], []
    for step in range(longest):
        options = []
        for tokens, score in live:
            previous = tokens[-1] if tokens else START
            options += [([*tokens, token], score + log_p[step, previous, token].item()) for token in [END, *LETTERS]]
        options = sorted(options, key=lambda option: -option[1])[: beam - len(ended)]
        ended += [Hypothesis(tokens[:-1], score, True, None) for tokens, score in options if tokens[-1] == END]
        live = [option for option in options if option[0][-1] != END]
        if not live:
            break
        best = max((value(each, alpha) for each in ended), default=-math.inf)
        if max(score for _, score in live) / ((5 + longest) / 6) ** alpha <= best:
            break
    ended = ended or [Hypothesis(tokens, score, False, None) for tokens, score in live]
    return sorted(ended, key=lambda each: -value(each, alpha))


def test_small_beams_are_those_of_plain_lists():
    model = random_table(3, sources=12, longest=6)
    model.table[..., END] -= 2  # so that it takes a while
    for beam, alpha in itertools.product((1, 2, 3, 5), (0.0, 1.0)):
        found = search(model, torch.arange(12)[:, None].clamp(min=1), beam=beam, length_penalty=alpha, longest=6)
        for source, hypotheses in zip([1, *range(1, 12)], found, strict=True):
            with case(f"beam {beam}", f"alpha {alpha}", f"source {source}"):
                for pair in zip(hypotheses, plain_beam(model, source, beam, alpha, 6), strict=True):
                    assert_same(*pair)


PLACED = {"source_length": 5, "target_length": 9, "position": lambda length: Sinusoidal(6, length=length)}
OWN = {  # what each is made with beside its sizes
    FixedVector: {"cell": "gru"},
    Bahdanau: {"cell": "lstm"},
    LuongGeneral: {"cell": "lstm"},
    ConvS2S: PLACED,
    Transformer: PLACED | {"heads": 2, "mixer": lambda causal, layer: Attention(6, causal=causal, heads=2, layer=layer)},
}
KINDS = pytest.mark.parametrize("kind", OWN)
SOURCES = torch.tensor([[4, 5, 6, 7, END], [8, END, PAD, PAD, PAD], [5, 5, END, PAD, PAD], [6, 4, 8, END, PAD]])


def untrained(kind):
    """A model with large random weights, from a seed with which some hypotheses end soon, others late or never."""
    torch.manual_seed({FixedVector: 3}.get(kind, 1))
    model = kind(9, 9, width=6, layers=2, hidden=7, **OWN[kind]).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
        model.head.bias[[PAD, START]] = 1.0  # it would otherwise write these
    return model


@KINDS
def test_beam_one_is_greedy(kind):
    model = untrained(kind)
    plain, found = (search(model, SOURCES, beam=1, length_penalty=alpha, longest=9) for alpha in (0.0, 1.0))
    assert [one[0][:3] for one in plain] == [one[0][:3] for one in found]
    for source, (hypothesis,) in zip(SOURCES, found, strict=True):
        memory = model.encode(source[None])
        state, tokens, score = model.start(memory), [START], 0.0
        while len(tokens) <= 9 and tokens[-1] != END:
            logits_BV, state, _ = model.step(torch.tensor(tokens[-1:]), memory, state)
            log_p_V = logits_BV[0].detach().log_softmax(-1)
            allowed = [token for token in range(9) if token not in (PAD, START)]
            tokens.append(max(allowed, key=lambda token: log_p_V[token].item()))  # noqa: B023
            score += log_p_V[tokens[-1]].item()
        finished = tokens[-1] == END
        assert hypothesis[:1] + hypothesis[2:3] == (tokens[1 : len(tokens) - finished], finished)
        assert hypothesis.score == pytest.approx(score, abs=1e-4, rel=1e-5)


@KINDS
def test_scores_and_weights_are_those_of_teacher_forcing(kind):
    """So each hypothesis went on with its own state, whichever place it had."""
    model = untrained(kind)
    moved = 0
    for source, hypotheses in zip(SOURCES, search(model, SOURCES, beam=4, longest=8), strict=True):
        source = source[source != PAD]
        assert 1 <= len(hypotheses) <= 4
        for hypothesis in hypotheses:
            target_1T = torch.tensor([hypothesis.tokens + [END] * hypothesis.finished])
            decoded = model.decode(shifted(target_1T), model.encode(source[None]))
            log_p_T = decoded.logits_BTV[0].log_softmax(-1).gather(1, target_1T.T)
            assert hypothesis.score == pytest.approx(log_p_T.sum().item(), abs=1e-4, rel=1e-5)
            T = len(hypothesis.tokens)
            if kind.aligns:
                torch.testing.assert_close(hypothesis.weights_TM, decoded.weights_BTM[0, :T], atol=1e-5, rtol=1e-4)
                assert hypothesis.weights_TM.shape == (T, len(source))
            else:
                assert hypothesis.weights_TM is None
            moved += T > 1
            assert not {PAD, START, END} & set(hypothesis.tokens)
    assert moved


@KINDS
def test_a_batch_is_its_rows_one_by_one(kind):
    model = untrained(kind)
    together = search(model, SOURCES, beam=3, length_penalty=0.6, longest=8)
    for source, hypotheses in zip(SOURCES, together, strict=True):
        alone = search(model, source[None, source != PAD], beam=3, length_penalty=0.6, longest=8)[0]
        for pair in zip(hypotheses, alone, strict=True):
            assert_same(*pair)
            if kind.aligns:
                torch.testing.assert_close(pair[0].weights_TM, pair[1].weights_TM, atol=1e-5, rtol=1e-4)


def test_it_stops_when_nothing_can_overtake():
    """An end as good as certain after one token: no second step."""
    table = torch.zeros(2, 30, V, V)
    table[:, 1:, :, END] = 20.0
    table[:, 0, :, END] = -20.0
    model = Table(table)
    steps = []
    model.step = lambda *given: steps.append(1) or Table.step(model, *given)
    assert [len(each.tokens) for each in search(model, torch.tensor([[1], [1]]), beam=3, longest=30)[0]] == [1] * 3
    assert len(steps) == 2
    steps.clear()
    table[:, 1] = 0.0
    table[:, 1, :, END] = 3.0  # with three letters living on, none of which can catch up
    assert search(model, torch.tensor([[1]]), beam=5, longest=30)[0][0].tokens == [3]
    assert len(steps) == 2


@pytest.mark.parametrize("key", ["beam", "length_penalty", "longest"])
def test_mistakes_are_told(key):
    given = {"longest": 4} | {key: -1}
    with pytest.raises(ValueError, match=f"{key} is -1"):
        search(random_table(0), torch.tensor([[1]]), **given)
