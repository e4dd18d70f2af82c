"""Multi30k: the true files where they are there, and small ones in their place."""

import gzip
import hashlib

import pytest

from study.tasks import multi30k
from study.tasks.multi30k import Multi30k
from study.tokens import END, UNKNOWN
from tests.cases import case
from tests.tasks.conftest import generator


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Keys of a Multi30k of a few lines: "the N-th" word by word."""
    folder = tmp_path / "multi30k"
    folder.mkdir()
    hashes = {}
    for name, count in {"train": 40, "val": 5, "test_2016_flickr": 6}.items():
        for language, words in {"de": "Hier ist Satz", "en": "This is sentence"}.items():
            data = gzip.compress("".join(f"{words} {number} of {count}.\n" for number in range(count)).encode())
            (folder / f"{name}.{language}.gz").write_bytes(data)
            hashes[f"{name}.{language}.gz"] = hashlib.sha256(data).hexdigest()
    monkeypatch.setattr(multi30k, "SHA256", hashes)
    return {"root": str(tmp_path), "download": False, "cache": str(tmp_path / "cache")}


def first(task, split):
    batch = task.evaluation_batch(0, 1, generator(), split)
    return task.source_names(batch.source_BM[0].tolist()), task.write(batch.target_BT[0].tolist()[:-1])


def test_both_directions(small):
    there, back = Multi30k(**small), Multi30k(source="en", target="de", **small)
    assert "▁Hier" in first(there, "test")[0] and first(there, "test")[1] == "This is sentence 0 of 6."
    assert "▁This" in first(back, "test")[0] and first(back, "test")[1] == "Hier ist Satz 0 of 6."
    assert first(there, "validation")[1].endswith("of 5.") and first(there, "train")[1].endswith("of 40.")
    assert there.provenance()["pairs"] == {"train": 40, "validation": 5, "test": 6}


def test_bad_languages(small):
    for languages in [("de", "de"), ("de", "fr"), ("cs", "en")]:
        with case(languages), pytest.raises(ValueError, match="^source is .. and target ..; use de and en, or en and de$"):
            Multi30k(source=languages[0], target=languages[1], **small)


@pytest.mark.slow
def test_published_sizes(published):
    task = published("multi30k")
    assert task.provenance()["pairs"] == {"train": 29_000, "validation": 1_014, "test": 1_000}
    assert task.vocabulary == task.classes == 4000 and task.left_out == 0
    separate = published("multi30k", joint=False, vocabulary=2000)
    assert (separate.vocabulary, separate.classes) == (2000, 2000)


@pytest.mark.slow
def test_published_lines(published):
    task = published("multi30k")
    batch = task.evaluation_batch(0, 1000, generator(), "test")
    assert batch.references[0] == ["A man in an orange hat starring at something."]
    sources = ["".join(task.source_names(row[: row.index(END)])).replace("▁", " ") for row in batch.source_BM.tolist()]
    assert sources[0].strip() == "Ein Mann mit einem orangefarbenen Hut, der etwas anstarrt."
    unknown = sum(UNKNOWN in row for row in batch.source_BM.tolist() + batch.target_BT.tolist())
    assert unknown <= 5, "subwords say nearly everything"


@pytest.mark.slow
def test_published_targets_are_the_lines_but_for_white_space(published):
    task = published("multi30k")
    batch = task.evaluation_batch(0, 1000, generator(), "test")
    for row, (reference,) in zip(batch.target_BT.tolist(), batch.references, strict=True):
        assert UNKNOWN in row or task.write(row[: row.index(END)]) == " ".join(reference.split())


@pytest.mark.slow
def test_published_copies_score_as_copies_do(published):
    """The source as it stands is a translation to compare with: names and numbers alone are right."""
    task = published("multi30k")
    batch = task.evaluation_batch(0, 1000, generator(), "test")
    outputs = [[t for t in row[: row.index(END)] if t != UNKNOWN] for row in batch.source_BM.tolist()]
    scores, slices = task.judge(outputs, [batch])
    assert scores["items"] == 1000 and 0 < scores["bleu"] < 5 and len(scores["statistics"]) == 1000
    assert len(slices["length"]) >= 4
