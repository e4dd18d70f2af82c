"""Any two line-aligned files, from the files to the scores."""

import gzip
import hashlib
from pathlib import Path

import pytest
import sacrebleu
import torch

from study.tasks.parallel_text import ParallelText
from study.tokens import END, UNKNOWN
from tests.cases import case
from tests.tasks.conftest import generator


def lines(path):
    return Path(path).read_text().splitlines()


@pytest.fixture
def task(own_files, cache):
    return ParallelText(**own_files, vocabulary=80, cache=cache)


@pytest.fixture
def change(own_files, tmp_path):
    """change("test_target", data, ".gz"): the keys of the small corpus, one file's content another."""

    def changed(key, data, suffix=""):
        path = tmp_path / (key + suffix)
        path.write_bytes(data)
        return own_files | {key: str(path)}

    return changed


def test_an_evaluation_is_the_files_line_by_line(task, own_files):
    batch = task.evaluation_batch(0, 100, generator(), "test")
    assert len(batch.target_BT) == 20
    for source, target, references, ours, theirs in zip(
        batch.source_BM.tolist(),
        batch.target_BT.tolist(),
        batch.references,
        lines(own_files["test_source"]),
        lines(own_files["test_target"]),
        strict=True,
    ):
        assert references == [theirs] and task.write(target[: target.index(END)]) == theirs
        assert "".join(task.source_names(source[: source.index(END)])).replace("▁", " ").strip() == ours
        assert task.read(ours) == source[: source.index(END) + 1]


def test_a_gzip_is_the_same_corpus(task, own_files, change, cache):
    data = Path(own_files["train_source"]).read_bytes()
    other = ParallelText(**change("train_source", gzip.compress(data), ".gz"), vocabulary=80, cache=cache)
    assert torch.equal(other.batch(8, generator()).source_BM, task.batch(8, generator()).source_BM)


def test_the_vocabulary_is_learned_on_training_alone(task, change, cache):
    more = "один two 3\n".encode() * 20
    other = ParallelText(**change("test_source", more), vocabulary=80, cache=cache)
    assert other.vocabulary == task.vocabulary
    assert UNKNOWN in other.evaluation_batch(0, 1, generator(), "test").source_BM
    assert UNKNOWN not in other.batch(64, generator()).source_BM


def test_keys_reach_the_vocabulary(own_files, cache):
    joint, separate = (ParallelText(**own_files, vocabulary=60, joint=joint, cache=cache) for joint in (True, False))
    assert joint.vocabulary == joint.classes == 60
    assert joint.source_vocabulary.encode(["one"]) == joint.target_vocabulary.encode(["one"])
    assert separate.source_vocabulary.encode(["one"]) != separate.target_vocabulary.encode(["one"])
    lower = ParallelText(**own_files, vocabulary=60, lowercase=True, cache=cache)
    assert lower.read("ONE") == lower.read("one") != joint.read("ONE")


def test_tokenize_is_a_name_of_sacrebleus(own_files, cache):
    assert "tok:zh" in ParallelText(**own_files, vocabulary=80, tokenize="zh", cache=cache).provenance()["signature"]["bleu"]
    with pytest.raises(ValueError, match="tokenize is words; use one of 13a, intl, zh, char"):
        ParallelText(**own_files, vocabulary=80, tokenize="words", cache=cache)


@pytest.mark.parametrize("lowercase", [False, True])
def test_bleu_is_that_of_the_files(own_files, change, cache, lowercase):
    """The reference is the line as it stands, not what the vocabulary makes of it."""
    references = [line.replace("one", "One  日") for line in lines(own_files["test_target"])]
    keys = change("test_target", "".join(f"{line}\n" for line in references).encode())
    task = ParallelText(**keys, vocabulary=80, lowercase=lowercase, cache=cache)
    batches = [task.evaluation_batch(i, 7, generator(), "test") for i in range(3)]
    outputs = [row[: row.index(END)][: 6 + number] for batch in batches for number, row in enumerate(batch.target_BT.tolist())]
    scores, slices = task.judge(outputs, batches)
    written = [task.write(output) for output in outputs]
    assert scores["bleu"] == pytest.approx(sacrebleu.corpus_bleu(written, [references], lowercase=lowercase).score, rel=1e-12)
    assert 5 < scores["bleu"] < 95 and len(scores["statistics"]) == 20
    source_sizes = [len(task.read(line)) - 1 for line in lines(own_files["test_source"])]
    assert slices["length"].keys() == {str(-(-size // 10) * 10) for size in source_sizes}
    assert ("case:lc" if lowercase else "case:mixed") in task.provenance()["signature"]["bleu"]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends before line 1, but"),
        (b"one\n\n" * 60, "line 2: empty; give it text"),
        (b"one\n\xff\n", "line 2: not UTF-8"),
        (b"one\n" * 3, "ends before line 4, but"),
    ],
)
def test_a_bad_file_is_named_with_its_line(change, tmp_path, split, data, message):
    keys = change(f"{split}_target", data)
    with pytest.raises(ValueError, match=message) as error:
        ParallelText(**keys, cache=str(tmp_path / "cache"))
    assert keys[f"{split}_target"] in str(error.value) and "\n" not in str(error.value)
    assert not list((tmp_path / "cache").glob(".part-*")), "nothing is left half made"


def test_an_empty_split(own_files, tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    keys = own_files | dict.fromkeys(["validation_source", "validation_target"], str(tmp_path / "empty"))
    with pytest.raises(ValueError, match="empty and .*empty are empty; a split needs pairs$"):
        ParallelText(**keys, cache=str(tmp_path / "cache"))


def test_a_missing_file(own_files, tmp_path):
    with pytest.raises(FileNotFoundError, match="^nowhere.gz is missing: name the file of the test split$"):
        ParallelText(**own_files | {"test_source": "nowhere.gz"}, cache=str(tmp_path))
    with pytest.raises(ValueError, match="^no file of the test split's source: set task.test_source=FILE, plain text or .gz$"):
        ParallelText(**own_files | {"test_source": None}, cache=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_bad_values(own_files, cache):
    for key, value, message in [
        ("vocabulary", 4, "vocabulary is 4; it must be at least 5"),
        ("longest", 1, "longest is 1; it must be at least 2"),
        ("longest", 2, "longest is 2, and every training pair has more tokens; use more"),
    ]:
        with case(key, value), pytest.raises(ValueError, match=f"^{message}$"):
            ParallelText(**own_files | {key: value}, cache=cache)


def test_provenance_knows_the_content_of_each_file(task, own_files):
    provenance = task.provenance()
    for split in ("train", "validation", "test"):
        files = [Path(own_files[f"{split}_{side}"]).read_bytes() for side in ("source", "target")]
        assert provenance["sha256"][split] == [hashlib.sha256(data).hexdigest() for data in files]
    assert provenance["pairs"] == {"train": 120, "validation": 20, "test": 20} and provenance["left_out"] == 0
