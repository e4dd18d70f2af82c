"""What an encoder-decoder writes freely, and how it is scored.

B pairs, M source tokens, T target tokens.
"""

import pytest
import torch

from study.bleu import bleu
from study.models.seq2seq.base import Step
from study.probes.decoding import aligned, decode_all
from study.tasks.base import IGNORE
from study.training.build import build_task
from study.training.module import Training
from study.training.runner import execute


class Oracle(torch.nn.Module):
    """Writes the right answer and attends to the token that it writes; with ``slip``, one symbol in each answer is wrong."""

    longest_target = None

    def __init__(self, task, slip=False):
        super().__init__()
        self.task, self.slip = task, slip

    def encode(self, source_BM):
        answers = []
        for row in source_BM.tolist():
            answer = self.task.solve(row)
            if self.slip:
                answer[0] = 4 + (answer[0] - 3) % 16
            answers.append(answer + [0] * (source_BM.shape[1] - len(answer)))
        return torch.tensor(answers)

    def start(self, memory_BT):
        return torch.zeros(len(memory_BT), dtype=torch.long)

    def step(self, previous_B, memory_BT, state_B):
        answer_B = memory_BT.gather(1, state_B[:, None].clamp(max=memory_BT.shape[1] - 1))[:, 0]
        logits_BV = torch.nn.functional.one_hot(answer_B, self.task.classes) * 100.0
        return Step(logits_BV, state_B + 1, None)

    def align(self, source_BM, target_BT):
        return None


@pytest.fixture
def reversal(tiny):
    return tiny("architecture=bahdanau", "model.match=nothing", "task.min_length=2", task="reversal")


@pytest.mark.parametrize("slip", [False, True])
def test_scores_are_of_what_is_written(reversal, slip):
    task = build_task(reversal)
    module = Training(Oracle(task, slip), task, reversal)
    scores, slices, written = decode_all(module, task, "test")
    lengths = [int(n) for n in slices["length"]]
    assert set(lengths) <= set(range(2, 7))
    assert scores["exact"] == (0.0 if slip else 1.0)
    if slip:
        assert 1 - 1 / min(lengths) <= scores["token_accuracy"] <= 1 - 1 / max(lengths)
    else:
        assert scores["token_accuracy"] == 1.0
    sample = written["samples"][0]
    assert (" ".join(sample["output"]) == sample["reference"]) is not slip
    assert sample["source"][-1] == "</s>" and "alignment" not in scores


def test_alignment_counts_target_tokens_that_look_most_at_their_own_source():
    weights_BTM = torch.tensor([[[0.6, 0.4, 0.0], [0.2, 0.3, 0.5], [0.1, 0.8, 0.1]]])
    assert aligned(weights_BTM, torch.tensor([[0, 1, IGNORE]])) == (1, 2)
    assert aligned(weights_BTM, torch.tensor([[0, 2, 1]])) == (3, 3)


def test_the_right_answer_to_another_source_is_kept_as_a_control(reversal):
    shuffled = execute(reversal).record["written"]["test"]["shuffled"]
    assert shuffled["exact"] < 0.5 and 0 <= shuffled["token_accuracy"] < 0.5


def test_tuning_runs_are_not_decoded(tiny):
    record = execute(tiny("architecture=bahdanau", "model.match=nothing", "origin.role=tuning", task="reversal")).record
    assert set(record["metrics"]) == {"validation"} and "written" not in record


def test_statistics_of_sentences_are_kept_apart_from_the_scores(tiny):
    record = execute(tiny("architecture=bahdanau", "model.match=nothing", task="numbers")).record
    test = record["metrics"]["test"]
    assert "statistics" not in test
    assert bleu(record["written"]["test"]["statistics"]) == pytest.approx(test["bleu"])
