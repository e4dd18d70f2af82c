"""Keys that a task cannot have, and files that are not there, are refused in one line that says what would do."""

from pathlib import Path

import pytest
import yaml

from study import parts
from tests.cases import case, made, names

BAD = [  # task, keys, what is said; ... stands for any further words
    ("agreement", "most: -1", "most is -1; it must be at least 0"),
    ("agreement", "nouns: 0", "nouns is 0; it must be at least 1"),
    ("agreement", "adverbs: 0", "adverbs is 0; it must be at least 1"),
    ("agreement", "length: 9", "length is 9; it must be at least 10"),
    ("brackets", "length: 1", "length is 1; it must be at least 2"),
    ("brackets", "types: 1", "types is 1; it must be at least 2"),
    ("brackets", "depth: 0", "depth is 0; it must be at least 1"),
    ("clutter", "size: 15", "size is 15; it must be at least 16"),
    ("clutter", "digit: 7", "digit is 7; it must be at least 8"),
    ("clutter", "distractors: -1", "distractors is -1; it must be at least 0"),
    *(
        (task, keys, said)
        for task in ("copy", "reverse")
        for keys, said in (
            ("min_length: 0", "min_length is 0; it must be at least 1"),
            ("max_length: 3", "max_length is 3; it must be at least 4"),
            ("short: 1.5", "short is 1.5; it must be a share from 0 to 1, or null..."),
            ("min_length: 9, max_length: 9, short: 0.5", "short is 0.5, but all lengths are 9; use null..."),
            ("symbols: 1", "symbols is 1; it must be at least 2"),
            ("max_length: 9, out_length: 9", "out_length is 9, no longer than max_length (9); use more than 9..."),
        )
    ),
    ("copy_memory", "items: 0", "items is 0; it must be at least 1"),
    ("copy_memory", "symbols: 1", "symbols is 1; it must be at least 2"),
    ("copy_memory", "length: 7", "length is 7; it must be at least 8"),
    ("copy_memory", "distance: 3", "distance is 3; it must be 4 (items) to 44, or null for all"),
    ("copy_memory", "distance: 45", "distance is 45; it must be 4 (items) to 44, or null for all"),
    ("largest", "length: 2", "length is 2; it must be at least 3"),
    ("largest", "saliences: 14", "saliences is 14; it must be at least 15"),
    ("largest", "window: 14", "window is 14; it must be at least 15"),
    ("largest", "saliences: 20, window: 21", "window is 21, more than the 20 saliences; take null for all of them"),
    ("largest", "symbols: 1", "symbols is 1; it must be at least 2"),
    ("lookup", "length: 1", "length is 1; it must be at least 2"),
    ("lookup", "keys: 14", "keys is 14; it must be at least 15"),
    ("lookup", "values: 1", "values is 1; it must be at least 2"),
    ("lookups", "keys: 3", "keys is 3; it must be at least 4"),
    ("lookups", "values: 1", "values is 1; it must be at least 2"),
    ("lookups", "lookups: 0", "lookups is 0; it must be at least 1"),
    ("lookups", "values: 9", "values ** lookups is 6561; lower either, to at most 4096 classes"),
    ("mqar", "pairs: []", "pairs is empty; give..."),
    ("mqar", "pairs: [4, 0]", "pairs is 0; it must be at least 1"),
    ("mqar", "pairs: [4, 20]", "keys is 16; it must be at least 20"),
    ("mqar", "pairs: [20], keys: 20", "values is 16; it must be at least 20"),
    ("mqar", "pairs: [1], values: 1", "values is 1; it must be at least 2"),
    ("mqar", "length: 11", "length is 11; it must be at least 12"),
    ("mqar", "out_length: 64", "out_length is 64, no longer than length (64); use more than 64..."),
    ("mqar", "out_pairs: [8]", "out_pairs needs an out_length..."),
    ("mqar", "out_length: 96, out_pairs: [17]", 'evaluation "out" ...: keys is 16; it must be at least 17'),
    ("ngram", "symbols: 1", "symbols is 1; it must be at least 2"),
    ("ngram", "order: 0", "order is 0; it must be at least 1"),
    ("ngram", "classes: 1", "classes is 1; it must be at least 2"),
    ("ngram", "length: 2", "length is 2; it must be at least 3"),
    ("ngram", "order: 7", "symbols ** order is 2097152; lower either..."),
    ("numbers", "digits: 0", "digits is 0; it must be at least 1"),
    ("numbers", "digits: 7", "digits is 7; it must be at most 6"),
    ("offset", "distance: 0", "distance is 0; it must be at least 1"),
    ("offset", "length: 8", "length is 8; it must be at least 9"),
    ("offset", "symbols: 1", "symbols is 1; it must be at least 2"),
    ("offset", "out_length: 32", "out_length is 32, no longer than length (32)..."),
    ("parity", "length: 0", "length is 0; it must be at least 1"),
    ("parity", "out_length: 32", "out_length is 32, no longer than length (32); ... null for 64, or 0..."),
    ("parity", "out_length: -1", "out_length is -1, no longer than length (32); use more than 32..."),
    *(
        (task, keys, said)
        for task in ("permutation", "reversal")
        for keys, said in (
            ("min_length: 0", "min_length is 0; it must be at least 1"),
            ("max_length: 4", "max_length is 4; it must be at least 5"),
            ("symbols: 1", "symbols is 1; it must be at least 2"),
            ("out_length: 40", "out_length is 40, no longer than max_length (40); use more than 40..."),
        )
    ),
    ("recall", "length: 1", "length is 1; it must be at least 2"),
    ("recall", "symbols: 1", "symbols is 1; it must be at least 2"),
    ("recall", "length: 9, distances: [4, 0]", "distances has 0; each must be 1 to 8 (length - 1)"),
    ("recall", "length: 9, distances: [4, 9]", "distances has 9; each must be 1 to 8 (length - 1)"),
]


def test_keys_that_cannot_be():
    for task, keys, said in BAD:
        with case(task, keys):
            with pytest.raises(ValueError) as caught:
                made("task", task, **yaml.safe_load(f"{{{keys}}}"))
            start, *further = said.split("...")
            assert str(caught.value).startswith(start) and all(words in str(caught.value) for words in further)
            assert further or str(caught.value) == said
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("task", [name for name in names("task") if "root" in parts.keywords("task", name)])
def test_published_files_are_named_where_they_are_missing_and_no_others_are_taken(task, tmp_path):
    keys = {"root": str(tmp_path), "download": False}
    if "cache" in parts.keywords("task", task):
        keys["cache"] = str(tmp_path / "cache")
    with pytest.raises(FileNotFoundError) as missing:
        made("task", task, **keys)
    path, _, fix = str(missing.value).partition(" is missing: ")
    assert fix.startswith("set data.download=true, or put https://") and "\n" not in fix
    assert path.startswith(str(tmp_path)) and list(tmp_path.iterdir()) == [], "nothing is made"
    Path(path).parent.mkdir(parents=True)
    Path(path).write_text("other")
    with pytest.raises(ValueError, match=f"^{path} is not the published file .*https://[^\n]*$"):
        made("task", task, **keys | {"download": True})
    assert Path(path).read_text() == "other"
