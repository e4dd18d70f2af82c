"""What an encoder-decoder writes freely, how it is scored, and the command that makes a finished run translate.

B pairs, M source tokens, T target tokens.
"""

import io
import shutil
import sys

import pytest
import torch
from omegaconf import OmegaConf

from study import schema
from study.bleu import bleu
from study.models.seq2seq.base import Step
from study.probes.decoding import aligned, decode_all, longest
from study.tasks.base import IGNORE
from study.training.build import build_task
from study.training.module import Training
from study.training.runner import Path, execute
from study.training.translate import Translator, translate
from tests.training.test_resume import stop_at
from tests.training.test_runner import planted

PAIRS = ["architecture=bahdanau", "model.match=nothing", "task.min_length=2", "trainer.keep_weights=true"]


class Oracle(torch.nn.Module):
    """Writes the right answer, its eye on the token that it writes; with ``slip``, one symbol in each answer is wrong."""

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
    return tiny(*PAIRS, task="reversal")


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


def test_a_finished_run_translates_what_it_is_given(reversal, tmp_path, run_py, monkeypatch):
    outcome = execute(reversal)
    assert outcome.state == "finished", outcome.error
    folder = Path(reversal.runs) / schema.name(reversal)
    record = outcome.record
    assert record["decoded"] == ["exact", "token_accuracy"]
    task = build_task(reversal)
    lines = [b"1 2 3\n", b"15 0\n", b"7"]
    translator = Translator(folder, 1, 0.0)
    answers = list(translator(lines))
    alone = [next(translator([line])) for line in lines]
    assert [answer.best.tokens for answer in answers] == [answer.best.tokens for answer in alone]
    assert all(len(answer.best.tokens) <= longest(task, translator.model) for answer in answers)

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"".join(lines))))
    pictures = tmp_path / "pictures"
    ended = run_py(f"translate.run={folder}", f"translate.pictures={pictures}")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines() == [task.write(answer.best.tokens) for answer in answers]
    assert sorted(path.name for path in pictures.iterdir()) == ["0001.png", "0002.png", "0003.png"]
    assert (pictures / "0001.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_wider_search_is_never_less_likely(reversal):
    execute(reversal)
    folder = Path(reversal.runs) / schema.name(reversal)
    narrow, wide = (next(Translator(folder, beam, 0.0)([b"1 2 3 4"])).best for beam in (1, 50))
    assert wide.score >= narrow.score


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 2, 32])
def test_a_line_that_cannot_be_read_is_named_and_the_others_are_answered(reversal, batch):
    execute(reversal)
    reversal.translate.run = str(Path(reversal.runs) / schema.name(reversal))
    given = [b"1 2\n", b"1 2 x\n", b" \n", b"3 \xff\n", b"1 2 3 4 5 6 7 8 9\n", b"3"]
    answers, complaints = zip(*translate(reversal, given, batch), strict=True)
    assert [answers[0], answers[-1]] == [next(translate(reversal, [line]))[0] for line in (given[0], given[-1])]
    assert answers[1:-1] == ("",) * 4
    assert complaints[1].startswith("line 2: 'x' is no symbol") and complaints[3].startswith("line 4: not UTF-8")
    assert complaints[4].startswith("line 5: 9 symbols") and [complaints[i] for i in (0, 2, 5)] == [None] * 3


def test_unread_lines_are_said_on_the_error_stream_and_by_the_exit_code(reversal, run_py, monkeypatch):
    execute(reversal)
    reversal.translate.run = str(Path(reversal.runs) / schema.name(reversal))
    given = b"1 2\n\nx\n3\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
    ended = run_py(f"translate.run={reversal.translate.run}")
    assert ended.code == 1 and "line 3: 'x' is no symbol" in ended.err and "1 lines could not be read" in ended.err
    assert ended.out == "".join(f"{answer}\n" for answer, _ in translate(reversal, given.splitlines()))


def test_a_byte_order_mark_is_no_text(reversal):
    execute(reversal)
    reversal.translate.run = str(Path(reversal.runs) / schema.name(reversal))
    lines = [b"1 2\n", b"3\n"]
    assert list(translate(reversal, [b"\xef\xbb\xbf" + lines[0], lines[1]])) == list(translate(reversal, lines))
    later = list(translate(reversal, [lines[1], b"\xef\xbb\xbf" + lines[0]]))
    assert later[1][1] is not None, "only where a file begins"


@pytest.mark.slow
@pytest.mark.parametrize("part", ["task", "mixer", "position", "readout", "architecture"])
def test_a_folder_names_parts_of_the_study_or_is_refused(reversal, tmp_path, monkeypatch, part):
    execute(reversal)
    folder = Path(reversal.runs) / schema.name(reversal)
    (tmp_path / "stranger.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\nclass Evil: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = OmegaConf.load(folder / "config.yaml")
    for name in ("stranger.Evil", "os.system", "study.tasks.reversal.os.system", "study.benchmark.harness", None):
        config[part].name = name
        OmegaConf.save(config, folder / "config.yaml")
        with pytest.raises(ValueError, match=f"^{part}={name}: there is none of this name; there are "):
            Translator(folder, 1, 0.0)
    assert not (tmp_path / "ran").exists() and "stranger" not in sys.modules


@pytest.mark.parametrize("given", ["seed=3", "trainer=gpu", "train.rate=1", "task=scan"])
def test_what_a_finished_run_has_by_itself_is_refused(run_py, given):
    ended = run_py("translate.run=runs/some", given, "search.beam=2")
    assert ended.code == 1 and f"error: {given}: a finished run has its own" in ended.err


def test_an_empty_name_of_a_run_trains_nothing(run_py, tmp_path):
    ended = run_py("translate.run=")
    assert ended.code == 1 and ended.err.startswith("error: translate.run is empty: ")


ARCHITECTURES = {
    **dict.fromkeys(("fixed_vector", "last_state", "bahdanau", "luong_general", "luong_local", "transformer"), []),
    "conv_s2s": ["position=learned"],
}


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_translates(tiny, architecture):
    keys = ["model.match=nothing", "task.min_length=2", "trainer.keep_weights=true", *ARCHITECTURES[architecture]]
    config = tiny(f"architecture={architecture}", *keys, task="reversal")
    outcome = execute(config)
    assert outcome.state == "finished", outcome.error
    config.translate.run = outcome.name if Path(outcome.name).is_dir() else str(Path(config.runs) / outcome.name)
    answers = list(translate(config, [b"1 2", b"3 4 5"]))
    assert len(answers) == 2 and all(set(answer.split()) <= set(map(str, range(16))) for answer, _ in answers)
    assert [complaint for _, complaint in answers] == [None, None]


def test_weights_outlive_a_failure_after_training(reversal, monkeypatch):
    monkeypatch.setattr("study.kinds.pairs.decode_all", lambda *_: 1 / 0)
    outcome = execute(reversal)
    assert outcome.state == "failed" and (Path(reversal.runs) / outcome.name / "weights.pt").exists()


def test_weights_that_were_not_kept_are_trained_again_when_asked_for(reversal):
    reversal.trainer.keep_weights = False
    assert execute(reversal).fresh and not execute(reversal).fresh
    reversal.trainer.keep_weights = True
    assert execute(reversal).fresh and not execute(reversal).fresh
    assert (Path(reversal.runs) / schema.name(reversal) / "weights.pt").exists()


@pytest.fixture
def own_text(tiny, tmp_path):
    """(config of a run on files, the files by key)."""
    files = {}
    for split in ("train", "validation", "test"):
        for side, text in {"source": "one two three\nfour five six\n", "target": "three two one\nsix five four\n"}.items():
            files[f"{split}_{side}"] = tmp_path / f"{split}.{side}"
            files[f"{split}_{side}"].write_text(text * 4)
    keys = [f"task.{key}={path}" for key, path in files.items()]
    config = tiny(*PAIRS[:2], PAIRS[3], *keys, "task.vocabulary=40", f"data.cache={tmp_path / 'cache'}", task="parallel_text")
    return config, files


def test_one_table_needs_one_vocabulary_however_large_two_are(own_text):
    config, _ = own_text
    config.architecture = {"name": "transformer", "heads": 2}
    config.task.joint, config.model.tie = False, "three_way"
    task = build_task(config)
    assert task.vocabulary == task.classes, "so that their sizes tell nothing"
    with pytest.raises(ValueError, match="has two here; use model.tie=output"):
        execute(config)
    config.task.joint = True
    assert execute(config).state == "finished"


def test_a_finished_run_needs_its_folder_alone(own_text, tmp_path):
    config, files = own_text
    task = build_task(config)
    folder = Path(config.runs) / execute(config).name
    config.translate.run = str(folder)
    given = [b"one two", b"six", b"zzz"]
    answers = list(translate(config, given))
    folder.rename(tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "cache")
    for path in files.values():
        path.unlink()
    config.translate.run = str(tmp_path / "elsewhere")
    assert list(translate(config, given)) == answers
    kept = Translator(tmp_path / "elsewhere", 1, 0.0).task
    assert kept.read("one two") == task.read("one two") and kept.longest_target == task.longest_target


def test_a_run_without_its_vocabulary_is_told(own_text):
    config, _ = own_text
    folder = Path(config.runs) / execute(config).name
    shutil.rmtree(folder / "vocabulary")
    config.translate.run = str(folder)
    with pytest.raises(FileNotFoundError, match="vocabulary"):
        list(translate(config, [b"one two"]))


@pytest.mark.slow
@pytest.mark.parametrize("key", ["train_source", "test_target"])
def test_a_run_whose_data_have_changed_is_trained_again(own_text, key):
    config, files = own_text
    first = execute(config)
    assert first.fresh and not execute(config).fresh
    files[key].write_text("six five four\n" * 8)
    with pytest.warns(UserWarning, match="its data have changed since"):
        again = execute(config)
    assert again.fresh and again.record["provenance"]["data"] != first.record["provenance"]["data"]
    assert not execute(config).fresh


def test_a_checkpoint_made_on_other_data_is_not_gone_on_from(own_text, monkeypatch):
    config, files = own_text
    config.trainer.checkpoint_every = 1
    with monkeypatch.context() as keyboard, pytest.raises(KeyboardInterrupt):
        stop_at(keyboard, "training_step", 2)
        execute(config)
    files["train_source"].write_text("two one three\nfive four six\n" * 4)
    with pytest.warns(UserWarning, match="last.ckpt was made with other data: starting afresh"):
        outcome = execute(config)
    assert outcome.state == "finished" and outcome.record["resumed"] is False


def test_weights_that_are_none_are_told(reversal, tmp_path):
    reversal.trainer.keep_weights = True
    folder = Path(reversal.runs) / execute(reversal).name
    for damage in (planted(tmp_path / "ran"), (folder / "weights.pt").read_bytes()[:1000]):
        (folder / "weights.pt").write_bytes(damage)
        reversal.translate.run = str(folder)
        with pytest.raises(ValueError, match="weights.pt can't be read.*launch the run again"):
            list(translate(reversal, [b"1 2"]))
    assert not (tmp_path / "ran").exists()


def test_the_right_answer_to_another_source_is_kept_as_a_control(reversal):
    shuffled = execute(reversal).record["written"]["test"]["shuffled"]
    assert shuffled["exact"] < 0.5 and 0 <= shuffled["token_accuracy"] < 0.5


def test_translating_from_a_folder_without_weights_says_what_would_do(reversal, run_py, tmp_path):
    ended = run_py(f"translate.run={tmp_path}")
    assert ended.code == 1 and "trainer.keep_weights=true" in ended.err


def test_a_model_without_attention_has_nothing_to_draw(tiny, tmp_path):
    config = tiny("architecture=fixed_vector", "model.match=nothing", "trainer.keep_weights=true", task="reversal")
    execute(config)
    config.translate.run, config.translate.pictures = str(Path(config.runs) / schema.name(config)), str(tmp_path)
    with pytest.raises(ValueError, match="no attention to draw"):
        list(translate(config, [b"1"]))


def test_tuning_runs_are_not_decoded(tiny):
    record = execute(tiny(*PAIRS, "origin.role=tuning", task="reversal")).record
    assert set(record["metrics"]) == {"validation"} and "written" not in record


def test_statistics_of_sentences_are_kept_apart_from_the_scores(tiny):
    record = execute(tiny("architecture=bahdanau", "model.match=nothing", task="numbers")).record
    test = record["metrics"]["test"]
    assert "statistics" not in test
    assert bleu(record["written"]["test"]["statistics"]) == pytest.approx(test["bleu"])
