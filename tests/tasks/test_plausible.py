"""What can't be meant as two files of a corpus is named, and nothing else is."""

import os
import random
import re
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from study.tasks import plausible
from study.tasks.numbers import words
from study.tasks.parallel import aligned
from study.tasks.parallel_text import ParallelText
from study.tasks.scan import pairs
from study.tasks.vocabulary import Pair

SOURCE, TARGET = Path("a.de"), Path("a.en")
WORDS = "ein zwei drei vier fünf sechs sieben acht neun zehn Donaudampfschiff und".split()
DATA = Path(os.environ.get("STUDY_DATA_ROOT", "data"))


def judged(source, target):
    given = [Pair(ours, theirs, (theirs,)) for ours, theirs in zip(source, target, strict=True)]
    assert list(plausible.plausible(iter(given), SOURCE, TARGET)) == given


def sentences(count, seed=0):
    """Lines of 3 to 30 words, and what stands for their translation: other words, and now and then one more or less."""
    draw = random.Random(seed)
    lines = [[draw.choice(WORDS) for _ in range(draw.randint(3, 30))] for _ in range(count)]
    others = [[word[::-1] + "e" * draw.randint(0, 3) for word in line if draw.random() < 0.9] or ["x"] for line in lines]
    return [" ".join(line) for line in lines], [" ".join(line) for line in others]


TABLES = {
    "tab": ("{}\t{}", "a.de: lines of 2 columns with a tab between; put each in a file of its own"),
    "comma": ("{},{}", "a.de: lines of 2 columns with a comma between"),
    "quoted": ('"{}","{}"', "a.de: lines of 2 columns with a comma between"),
    "semicolon": ("{};{};1", "a.de: lines of 3 columns with a semicolon between"),
    "bars": ("{} ||| {}", "a.de: lines of 2 columns with a | between"),
}


@pytest.mark.parametrize("table", TABLES)
def test_columns_are_no_text(table):
    form, said = TABLES[table]
    source, target = sentences(200)
    lines = [form.format(ours, theirs) for ours, theirs in zip(source, target, strict=True)]
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        judged(lines, target)
    with pytest.raises(ValueError, match=f"^{re.escape(said.replace('a.de', 'a.en'))}"):
        judged(source, lines)


NO_TABLES = {
    "commas of prose": ["Ja, gut", "Nein, nie", "Wer, ich"] * 20,
    "thousands": [f"{number:,}" for number in range(1000, 999_000, 9001)],
    "some tabs": ["eins\tzwei", "drei", "vier", "fünf"] * 20,
    "one tab": ["eins\tzwei"],
    "scripts": ["日本語,テスト", "日本語", "一,二,三"] * 20,
}


@pytest.mark.parametrize("lines", NO_TABLES.values(), ids=NO_TABLES)
def test_what_holds_a_divider_is_no_table_yet(lines):
    judged(lines, ["e" * len(line) for line in lines])


def test_the_same_lines_twice():
    source, target = sentences(30)
    with pytest.raises(ValueError, match="^a.de and a.en hold the same lines: name the other side's file as the "):
        judged(source, source)
    judged(source, [*source[:-1], target[-1]])  # names and numbers stay as they are
    judged(["Amen"], ["Amen"])


def test_a_few_like_lines_at_the_end_are_no_file_named_twice(monkeypatch):
    monkeypatch.setattr(plausible, "CHUNK", 100)
    source, target = sentences(100)
    judged([*source, "Taxi", "Hotel"], [*target, "Taxi", "Hotel"])


@pytest.mark.parametrize("count", [60, 1000])
def test_lines_that_do_not_belong_together(count):
    source, target = sentences(count)
    judged(source, target)
    others = {"shifted": target[1:] + target[:1], "shuffled": random.Random(1).sample(target, count), "sorted": sorted(target)}
    for how, lines in others.items():
        with pytest.raises(ValueError, match="^a.de and a.en, lines 1 to .*: their lengths don't go together") as caught:
            judged(source, lines)
        assert "task.unchecked=true" in str(caught.value) and "\n" not in str(caught.value), how


def test_a_line_lost_in_the_middle_is_found_where_it_is(monkeypatch):
    monkeypatch.setattr(plausible, "CHUNK", 500)
    source, target = sentences(2000)
    with pytest.raises(ValueError, match="a.de and a.en, lines 1001 to 1500: "):
        judged(source, target[:1100] + target[1101:] + ["end"])


def test_lengths_that_tell_nothing_are_no_reason():
    source, target = sentences(2000)
    by_length = sorted(zip(source, target, strict=True), key=lambda pair: len(pair[0]))
    for start in range(0, 2000, 100):  # among lines of one length, what is left of it is noise
        judged(*zip(*by_length[start : start + 100], strict=True))
    judged(["drei", "vier", "fünf"] * 100, ["three", "four", "five"] * 100)
    judged(["gleich lang"] * 99 + ["gleich"], ["same size"] * 100)


def test_what_is_asked_of_lengths_is_rarely_met_by_chance():
    """The comment's odds, by the t distribution of a correlation."""
    t = plausible.RELATED * np.sqrt((plausible.FEWEST - 2) / (1 - plausible.RELATED**2))
    assert scipy.stats.t.sf(t, plausible.FEWEST - 2) == pytest.approx(1 / 500, rel=0.05)


def multi30k():
    for split in ("train", "val", "test_2016_flickr"):
        files = (DATA / "multi30k" / f"{split}.{side}.gz" for side in ("de", "en"))
        yield [(pair.source, pair.target) for pair in aligned(*files)]


def scan():
    for kind in ("simple", "length"):
        data = (DATA / "scan" / f"{kind}_split" / f"tasks_train_{kind}.txt").read_bytes()
        yield [(pair.source, pair.target) for pair in pairs(data)]


def numbers():
    draw = random.Random(0)
    chosen = [draw.randrange(10 ** draw.randint(1, 6)) for _ in range(3000)]
    yield [(" ".join(words(number)), " ".join(str(number))) for number in chosen]
    yield [(f"{number:,}", " ".join(words(number))) for number in chosen]


@pytest.mark.slow
@pytest.mark.parametrize("corpus", [multi30k, scan, numbers])
def test_real_corpora_are_plausible_and_their_shuffled_lines_are_not(corpus):
    try:
        splits = list(corpus())
    except FileNotFoundError as error:
        pytest.skip(f"no file of {corpus.__name__} (STUDY_DATA_ROOT names the folder of real data): {error}")
    for lines in splits:
        source, target = zip(*lines, strict=True)
        judged(source, target)
        judged(target, source)
        with pytest.raises(ValueError, match="their lengths don't go together"):
            judged(source, random.Random(0).sample(target, len(target)))


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_task_names_them_before_anything_is_learned(own_files, tmp_path, split):
    keys = own_files | {f"{split}_target": own_files[f"{split}_source"]}
    with pytest.raises(ValueError, match=f"{split}.source and .*{split}.source hold the same lines"):
        ParallelText(**keys, cache=str(tmp_path / "cache"))
    assert len(list((tmp_path / "cache").iterdir())) == {"train": 0, "validation": 2, "test": 3}[split], "what is plausible"


def test_what_was_not_looked_at_serves_no_run_that_asks_for_it(own_files, tmp_path):
    keys = own_files | {"test_target": own_files["test_source"], "cache": str(tmp_path / "cache")}
    ParallelText(**keys, unchecked=True)
    with pytest.raises(ValueError, match="hold the same lines"):
        ParallelText(**keys)


@pytest.mark.parametrize(("longest", "odd", "refused"), [(19, 6, False), (21, 4, False), (21, 6, True)])
def test_a_pair_is_odd_at_more_than_twice_the_usual_ratio_of_lengths(longest, odd, refused):
    """Lengths of 10 and 14 in all four orders: those of a pair are unrelated, and their usual ratio is 1."""
    lengths = [(10, 10), (10, 14), (14, 10), (14, 14)] * 25
    source, target = ["a" * length for length, _ in lengths], ["b" * length for _, length in lengths]
    for i in [i for i, (length, _) in enumerate(lengths) if length == 10][:odd]:
        target[i] = "b" * longest
    with pytest.raises(ValueError, match="lengths don't go together") if refused else nullcontext():
        judged(source, target)
