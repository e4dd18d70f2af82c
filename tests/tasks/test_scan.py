"""SCAN: the true files where they are there, and small ones in their place."""

import hashlib

import pytest

from study.tasks import scan
from study.tasks.scan import Scan
from study.tokens import END
from tests.tasks.conftest import generator

LINES = {
    "train": [
        f"IN: walk {turn} {often} {number} OUT: I_WALK I_TURN_{turn.upper()}"
        for turn in ("left", "right")
        for often in ("once", "twice")
        for number in range(50)
    ]
    + ["IN: jump OUT: I_JUMP"] * 30,
    "test": ["IN: jump left OUT: I_TURN_LEFT I_JUMP", "IN: walk right once 3 OUT: I_WALK I_TURN_RIGHT I_JUMP"],
}


@pytest.fixture
def small(tmp_path, monkeypatch):
    files = []
    for name, lines in LINES.items():
        data = "".join(f"{line}\n" for line in lines).encode()
        (tmp_path / "scan").mkdir(exist_ok=True)
        (tmp_path / "scan" / name).write_bytes(data)
        files.append((name, hashlib.sha256(data).hexdigest()))
    monkeypatch.setattr(scan, "FILES", {"simple": tuple(files)})
    return Scan(root=str(tmp_path), download=False, cache=str(tmp_path / "cache"))


def pairs(task, split):
    store = task.stores[split]
    for row in range(len(store)):
        source, target = (side[row].tolist()[:-1] for side in (store.source, store.target))
        yield " ".join(task.source_names(source)), task.write(target)


def test_training_is_cut_and_the_test_is_whole(small):
    train, validation = list(pairs(small, "train")), list(pairs(small, "validation"))
    lines = [tuple(line.removeprefix("IN: ").split(" OUT: ")) for line in LINES["train"]]
    assert sorted(train + validation) == sorted(lines)
    assert not set(train) & set(validation), "equal lines are on one side"
    assert 2 <= len(validation) <= 25
    assert train.count(("jump", "I_JUMP")) == 30, "a command of one word trains, as often as it is published"
    assert [" ".join(row) for row in pairs(small, "test")] == [
        "jump left I_TURN_LEFT I_JUMP",
        "walk right once 3 I_WALK I_TURN_RIGHT I_JUMP",
    ]


def test_judged_by_hand(small):
    batch = small.evaluation_batch(0, 2, generator(), "test")
    (left, jump, *_), (walk, right, *_) = batch.target_BT.tolist()
    scores, slices = small.judge([[left, jump], [walk, jump]], [batch])
    assert scores == {"items": 2, "exact": 0.5, "token_accuracy": 3 / 5, "tokens": 5}
    assert slices["length"] == {"4": {"items": 2, "exact": 0.5, "token_accuracy": 3 / 5, "tokens": 5}}


def test_read(small):
    assert small.source_names(small.read("jump  left")) == ["jump", "left", "</s>"]
    for text, word in {"jump high": "high", "</s>": "</s>", "jump <pad> left": "<pad>"}.items():
        with pytest.raises(ValueError, match=f"^'{word}' is no word of a command here$"):
            small.read(text)


def test_bad_split(tmp_path):
    with pytest.raises(ValueError, match="^split is around; use one of simple, length, jump$"):
        Scan(split="around", root=str(tmp_path), download=False, cache=str(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("split", "train", "test"), [("simple", 16_728, 4_182), ("length", 16_990, 3_920), ("jump", 14_670, 7_706)]
)
def test_published(published, split, train, test):
    task = published("scan", split=split)
    sizes = task.provenance()["pairs"]
    assert sizes["train"] + sizes["validation"] == train and sizes["test"] == test
    assert sizes["validation"] == pytest.approx(train / 20, rel=0.15)
    assert (task.vocabulary, task.classes, task.longest_target) == (4 + 13, 4 + 6, 49)
    assert task.target_length == (23 if split == "length" else 49)
    assert not set(pairs(task, "train")) & set(pairs(task, "validation"))
    jumping = {source for source, _ in pairs(task, "train") if "jump" in source}
    assert jumping == {"jump"} if split == "jump" else len(jumping) > 1
    trained = max(len(target.split()) for _, target in pairs(task, "train"))
    tested = min(len(target.split()) for _, target in pairs(task, "test"))
    assert (trained, tested) == (22, 24) if split == "length" else trained == 48
    overlap = {source for source, _ in pairs(task, "train")} & {source for source, _ in pairs(task, "test")}
    assert not overlap, "no test command trains"


def interpret(command):
    """What a command means, by the grammar of Lake & Baroni (2018), supplement figure 6: no code shared with the files."""
    for joint, swap in ((" and ", False), (" after ", True)):
        if joint in command:
            one, other = (interpret(part) for part in command.split(joint))
            return other + one if swap else one + other
    words = command.split()
    if words[-1] in ("twice", "thrice"):
        return interpret(" ".join(words[:-1])) * (2 if words[-1] == "twice" else 3)
    act = [] if words[0] == "turn" else [f"I_{words[0].upper()}"]
    if len(words) == 1:
        return act
    turn = [f"I_TURN_{words[-1].upper()}"]
    if words[1] == "around":
        return (turn + act) * 4
    return turn * (2 if words[1] == "opposite" else 1) + act


@pytest.mark.slow
@pytest.mark.parametrize("split", ["simple", "length", "jump"])
def test_published_pairs_follow_the_grammar(published, split):
    task = published("scan", split=split)
    for name in ("validation", "test"):
        for source, target in pairs(task, name):
            assert interpret(source) == target.split()
    batch = task.evaluation_batch(0, 50, generator(), "test")
    for source, target in zip(batch.source_BM.tolist(), batch.target_BT.tolist(), strict=True):
        names = task.source_names(source[: source.index(END)])
        assert task.target_names(target[: target.index(END)]) == interpret(" ".join(names))
