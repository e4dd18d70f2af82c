"""Records that were changed at random, under checksums that fit: each is used or named, and the analysis goes through.

The records are committed ones of experiments that differ in what they keep: attention maps, glimpses, costs of layers,
sentences. Those of one experiment stay as they are, and so must its tables.
"""

import json
import random
import shutil

import pytest

from analysis import __main__ as command
from analysis import load
from study import experiments, records

pytestmark = pytest.mark.slow

ILL = tuple(name for name in ("structure", "glimpse", "complexity", "translation") if records.committed("core", name).exists())
WHOLE = "speed"
MUTATIONS = 250

NUMBERS = [True, 0, -1, 1, 7, 0.5, -2.5, 1e49, 1e-49, 1e300, 5e-324, 10**12, 2**53, 10**30, -(10**400)]
TEXTS = ["", "x", "0", "1e5", "../..", "/etc", "<script>alert(1)</script>", "$x^$", "a\nb", "\ud800", "NaN"]
LISTS = [[], [0], [[1, 2], [3]], [None]]
OBJECTS = [{}, {"a": 1}, {"1": {"accuracy": 0.5}}, {"test": {}}, {"": None}, {"validation": {"accuracy": None}}, {"../..": 1}]
VALUES = [None, *NUMBERS, *TEXTS, *LISTS, *OBJECTS]


def nested(depth, draw):
    value = draw.choice([0, {}, []])
    for _ in range(depth):
        value = draw.choice([[value], {"a": value}])
    return value


def somewhere(record, draw):
    """A container in the record and a key in it: any field with equal odds, then down to a depth of chance."""
    node, key = record, draw.choice(list(record))
    while isinstance(node[key], dict | list) and node[key] and draw.random() < 0.75:
        node = node[key]
        key = draw.choice(list(node)) if isinstance(node, dict) else draw.randrange(len(node))
    return node, key


def mutate(line, other, draw):
    """The text of a record changed in one to three places, in most cases sealed anew."""
    record, donor = json.loads(line), json.loads(other)
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        node, key = somewhere(record, draw)
        kind = draw.choice(["value", "like", "like", "delete", "nest", "rename", "swap", "donor", "deep"])
        if kind == "value":
            node[key] = draw.choice(VALUES)
        elif kind == "like":
            node[key] = draw.choice([value for value in VALUES if type(value) is type(node[key])] or VALUES)
        elif kind == "delete":
            del node[key]
        elif kind == "nest":
            node[key] = draw.choice([[node[key]], {"a": node[key]}, {key: node[key]}, [node[key], node[key]]])
        elif kind == "rename" and isinstance(node, dict):
            node[draw.choice(["", "x", "-1", "1e999", "nan", "0", "\ud800", "<b>", *node])] = node.pop(key)
        elif kind == "swap":
            others, place = somewhere(record, draw)
            node[key] = json.loads(json.dumps(others[place]))
        elif kind == "donor":
            others, place = somewhere(donor, draw)
            node[key] = others[place]
        elif kind == "deep":
            node[key] = nested(draw.choice([5, 25, 200]), draw)
    if draw.random() < 0.9:
        try:
            record["checksum"] = records.checksum(record)
        except ValueError:
            pass  # half a character: no checksum fits
    text = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
    kind = draw.random()
    if kind < 0.02:
        return text[: draw.randrange(len(text))]
    if kind < 0.04:
        return text.replace(b'"name":', b'"name":"twice","name":', 1)
    if kind < 0.06:
        return text.replace(b":0", draw.choice([b":NaN", b":1e999", b":" + b"9" * 5000, b":" + b"[" * 50_000]), 1)
    if kind < 0.07:
        return text.decode().encode("utf-16-le").replace(b"\n", b"")
    return text


def lines_of(results, name):
    return (results / "core" / "records" / f"{name}.jsonl").read_bytes().splitlines()


@pytest.fixture(scope="module")
def declarations(tmp_path_factory):
    folder = tmp_path_factory.mktemp("declarations")
    for name in (*ILL, WHOLE):
        shutil.copy(experiments.FOLDER / f"{name}.yaml", folder)
    return folder


def test_ill_records_are_used_or_named_and_the_others_count(declarations, tmp_path, capsys):
    draw = random.Random(0)
    whole = {name: lines_of(load.RESULTS, name) for name in ILL}
    lines = {name: list(found) for name, found in whole.items()}
    places = [(name, number) for name in ILL for number in range(len(lines[name]))]
    believed = {}
    for name, number in draw.sample(places, MUTATIONS):
        text = mutate(whole[name][number], draw.choice(whole[draw.choice(ILL)]), draw)
        lines[name][number] = text
        try:
            records.parse(text.decode(errors="surrogateescape"), "there")
            believed[name, number] = True
        except records.RecordError:
            believed[name, number] = False
    assert 0.1 < sum(believed.values()) / len(believed) < 0.6  # some of either kind, or the test tests little

    folder = tmp_path / "results" / "core" / "records"
    folder.mkdir(parents=True)
    for name in ILL:
        (folder / f"{name}.jsonl").write_bytes(b"\n".join(lines[name]) + b"\n")
    shutil.copy(records.committed("core", WHOLE), folder)
    out = tmp_path / "out"
    before = [path for path in sorted(tmp_path.rglob("*")) if out not in (path, *path.parents)]
    arguments = ["--results", str(tmp_path / "results"), "--output", str(out), "--declarations", str(declarations)]

    assert command.main(arguments) == 1
    said = capsys.readouterr().err
    for (name, number), good in believed.items():
        if not good:
            assert f"set aside: {folder / f'{name}.jsonl'}:{number + 1}: " in said
    loaded = load.committed(tmp_path / "results")
    used = {record["checksum"] for record in loaded.by_tier["core"]}
    untouched = [json.loads(lines[name][number]) for name, number in places if (name, number) not in believed]
    gone = [record for record in untouched if record["checksum"] not in used]
    assert len(gone) <= len(loaded.replaced)  # by a changed record that says to be the same run
    for table in (load.RESULTS / "core" / "tables").glob(f"{WHOLE}*"):
        assert (out / "core" / "tables" / table.name).read_bytes() == table.read_bytes()
    assert [path for path in sorted(tmp_path.rglob("*")) if out not in (path, *path.parents)] == before
    assert {path.name for path in out.iterdir()} == {"core", "page.html"}
    assert "<script>alert" not in (out / "page.html").read_text()
