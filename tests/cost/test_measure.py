"""Measurements of a layer: what is counted is exact, what is timed is there and in the right unit."""

import pytest
import torch

from study.cost import decoding, timing
from study.cost.decoding import decode
from study.cost.measure import measure
from study.mixers.attention import Attention
from study.mixers.recurrent import GRU, LSTM
from study.mixers.window import WindowAttention

CPU = torch.device("cpu")


def measured(mixer, points, **keys):
    return measure(
        lambda width, layer: mixer(width, causal=True, layer=layer),
        points=points,
        **{"tokens": 64, "repeats": 1, "device": CPU, **keys},
    )


def test_points_along_length_and_width():
    found = measured(Attention, {"16": (8, 16), "32": (8, 32), "wide": (16, 16)})
    work = {key: cost["counted_multiply_adds"] for key, cost in found.items()}
    assert work == {"16": 4 * 16 * 64 + 2 * 256 * 8, "32": 4 * 32 * 64 + 2 * 1024 * 8, "wide": 4 * 16 * 256 + 2 * 256 * 16}
    assert all(cost["multiply_adds"] == work[key] for key, cost in found.items())
    assert all(cost["hops"] == 1 and cost["seconds"] > 0 and cost["bytes"] > 0 for cost in found.values())
    assert found["32"]["critical_path"] == found["16"]["critical_path"]


def test_costs_are_per_sequence():
    once, often = (measured(GRU, {"16": (8, 16)}, tokens=tokens)["16"]["bytes"] for tokens in (16, 160))
    assert often == pytest.approx(once, rel=0.1)


def test_the_sequences_of_a_call(monkeypatch):
    seen, forward = set(), GRU.forward

    def watched(self, x_BND, mask_BN=None):
        seen.add(tuple(x_BND.shape))
        return forward(self, x_BND, mask_BN)

    monkeypatch.setattr(GRU, "forward", watched)
    alone = {(1, 8, 4), (1, 32, 4)}  # as it is counted
    measured(GRU, {"8": (4, 8), "32": (4, 32)}, tokens=64)
    assert seen == alone | {(8, 8, 4), (2, 32, 4)}
    seen.clear()
    measured(GRU, {"8": (4, 8), "32": (4, 32)}, tokens=16, sequences=3)
    assert seen == alone | {(3, 8, 4), (3, 32, 4)}


def test_too_long_is_refused():
    with pytest.raises(ValueError, match=r"cost.lengths \[128\] exceed cost.tokens=64; raise cost.tokens"):
        measured(LSTM, {"128": (8, 128)})


STATES = [(Attention, lambda t: 2 * t), (WindowAttention, lambda t: 2 * min(t, 9)), (LSTM, lambda t: 2), (GRU, lambda t: 1)]


@pytest.mark.parametrize(("mixer", "kept"), STATES)
def test_the_state_of_decoding_in_floats_per_unit(mixer, kept):
    found = decode(mixer(8, causal=True), positions=[3, 20], repeats=1, device=CPU)
    assert {p: cost["bytes"] for p, cost in found.items()} == {str(t): kept(t) * 8 * 4 for t in (3, 20)}
    assert all(cost["seconds"] > 0 for cost in found.values())


def test_a_step_is_timed_near_its_position(monkeypatch):
    """On a clock that only the step itself moves, by its position: the median of the last 16 steps."""
    now, count = [0.0], [0]
    monkeypatch.setattr(decoding.time, "perf_counter", lambda: now[0])
    mixer = LSTM(8, causal=True)
    start, step = mixer.initial_state, mixer.step

    def slow(x_BD, state):
        count[0] += 1
        now[0] += count[0]
        return step(x_BD, state)

    def restart(*args):
        count[0] = 0
        return start(*args)

    monkeypatch.setattr(mixer, "step", slow)
    monkeypatch.setattr(mixer, "initial_state", restart)
    found = decode(mixer, positions=[4, 40], repeats=2, device=CPU)
    assert found["4"]["seconds"] == 2.5 and found["40"]["seconds"] == 32.5  # of 1..4 and of 25..40


def test_only_a_causal_mixer_decodes():
    with pytest.raises(ValueError, match="steps only when causal"):
        decode(LSTM(8, causal=False), positions=[4], repeats=1, device=CPU)


def test_what_is_compared_takes_turns_and_the_first_round_counts_for_nothing():
    asked, seconds = [], {"a": [100, 3, 1, 2], "b": [0, 5, 9, 7]}

    def side(name):
        def answer():
            asked.append(name)
            return seconds[name][asked.count(name) - 1]

        return answer

    assert timing.medians({name: side(name) for name in seconds}, 3) == {"a": 2, "b": 7}
    assert "".join(asked) == "abababab"


def test_seconds_of_one_of_several_calls(monkeypatch):
    now = [7.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    assert timing.timed(lambda: now.append(now.pop() + 3), CPU, times=5) == 3
