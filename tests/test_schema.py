"""What is refused before anything is trained, and what a run's id is made of."""

import dataclasses
import inspect
import itertools
import json
import re
import shlex
import tempfile

import pytest
import yaml

from study import keys, parts, records, schema
from study.experiments import Experiment
from study.help import explain
from study.training.build import validate
from tests.cases import CONF, case, names
from tests.conftest import WORDS

MATCHES = ("parameters", "multiply_adds", "tied")
REFUSED = [
    # unknown keys and choices
    ("train.stepz=3", "no key train.stepz here; did you mean train.steps?"),
    ("trakcing.mode=off", "did you mean tracking.mode?"),
    ("+train.extra=3", "no key train.extra here; known: train.steps, "),
    ("+extra=3", "no key extra here; known: task, mixer, "),
    ("+mixer.extra=3", "mixer.extra: mixer=attention has no such key; it has heads, head_width"),
    ("mixer=lsmt", "no mixer=lsmt; did you mean lstm? there are attention, "),
    ("tier=huge", "there are core, full, smoke"),
    ("tracking.mode=sometimes", "tracking.mode=sometimes: must be one of offline, online, off"),
    ("model.match=size", "must be one of parameters, multiply_adds, nothing"),
    ("trainer.precision=16", "must be one of 32-true, bf16-mixed"),
    ("trainer.accelerator=tpu", "must be one of cpu, gpu"),
    *((f"trainer.gpus={gpus}", ": must be at least 0 and at most 1") for gpus in (-1, 2, "nan")),
    # wrong types and values
    ("seed=abc", "seed=abc: Value 'abc' of type 'str' could not be converted to Integer"),
    ("train.steps=0.5", "train.steps=0.5: "),
    ("train.rate=fast", "could not be converted to Float"),
    ("mixer.heads=two", "mixer.heads=two: must be of type int"),
    ("mixer.heads=2.5", "mixer.heads=2.5: must be of type int"),
    ("mixer.heads=null", "mixer.heads=None: must be of type int"),
    ("seed=-1", "seed=-1: must be at least 0"),
    ("train.steps=-1", "train.steps=-1: must be at least 0"),
    ("train.warmup=1", "train.warmup=1.0: must be at least 0 and below 1"),
    ("train.rate=0", "train.rate=0.0: must be above 0 and at most 1e+150"),
    ("train.rate=nan", "train.rate=nan: must be above 0"),
    ("train.rate=inf", "train.rate=inf: must be above 0"),
    ("train.clip=-1", "train.clip=-1.0: must be above 0"),
    ("train.weight_decay=-1", "train.weight_decay=-1.0: must be at least 0"),
    ("model.dropout=1", "model.dropout=1.0: must be at least 0 and below 1"),
    ("task.length=1", "length is 1; it must be at least 2"),
    # contradictions
    ("mixer.heads=5", "heads=5 does not divide width=64; use one of 1, 2, 4, 8, 16, 32, 64, or set head_width"),
    ("mixer.window=3", "the chosen mixer has no window; mixer=window has"),
    ("task.pairs=[2]", "the chosen task has no pairs; task=mqar has"),
    ("position.length=9", "no key position.length here"),
    ("mixer=window task=reverse mixer.window=3", "window=3 must be even"),
    ("mixer=convolution task=reverse mixer.kernel=4", "kernel=4 must be odd"),
    ("position=rotary mixer=lstm", "position=rotary acts inside full attention, not in mixer=lstm; use mixer=attention, or"),
    ("position=relative mixer=window", "not in mixer=window; use mixer=attention"),
    ("position=rotary mixer.head_width=7", "use an even head_width"),
    ("position=learned position.past=wrap", "past=wrap must be one of error, clip"),
    ("task=reverse task.short=2", "short is 2.0; it must be a share from 0 to 1"),
    ("task=mqar task.pairs=[4] task.length=9", "length"),
    ("mixer=lstm model.ffn_width=8", " to be matched; use model.match=nothing, a larger model.ffn_width"),
    ("mixer=window model.match=size", "must be one of parameters, "),
    ("readout=gumbel readout.temperature=0", "temperature=0.0 must be above 0"),
    ("readout=soft readout.temperature=2", "the chosen readout has no temperature; readout=gumbel has"),
    ("readout=soft model.match=multiply_adds", "use it with readout=own"),
    ("experiment=heads", "launch it with python run.py -m experiment=NAME"),
    ("measure=cost", "cost.lengths=[64,128,256]"),
    ("cost.lengths=[64]", "cost.lengths asks for costs, which measure=cost measures: say that too"),
    ("measure=cost cost.lengths=[5000]", "cost.lengths [5000] exceed cost.tokens=4096; raise cost.tokens"),
    ("sweep.arms=[attention]", "launch one by python run.py -m experiment=NAME"),
    ("sweep.further_seeds=true", "sweep.further_seeds is of a declared experiment"),
    ("model.match=tied", "model.match=tied needs a task whose inputs are its outputs"),
    ("measure=cost cost.lengths=[8,16] cost.widths=[8]", "cost.widths are measured at one length; give one"),
    ("measure=cost cost.lengths=[8] cost.sequences=0", "cost.sequences=0: must be at least 1"),
    ("measure=cost cost.lengths=[8,0]", "cost.lengths=[8, 0]: must all be at least 1"),
    ("measure=cost cost.lengths=[8] cost.widths=[8,9]", "heads=4 does not divide width=9"),
    ("measure=cost task=reverse cost.positions=[8]", "decoding, which is causal; use a causal task"),
    # no number, too small, too large, twice, empty
    ("search.length_penalty=nan", "search.length_penalty=nan: must be at least 0 and at most 10"),
    ("search.length_penalty=inf", "search.length_penalty=inf: must be at least 0 and at most 10"),
    ("search.length_penalty=1000", "search.length_penalty=1000.0: must be at least 0 and at most 10"),
    ("search.length_penalty=-0.1", "search.length_penalty=-0.1: must be at least 0 and at most 10"),
    ("model.dropout=nan", "model.dropout=nan: must be at least 0 and below 1"),
    ("train.warmup=nan", "train.warmup=nan: must be at least 0 and below 1"),
    ("train.weight_decay=inf", "train.weight_decay=inf: must be a finite number"),
    ("train.label_smoothing=nan", "train.label_smoothing=nan: must be at least 0 and below 1"),
    ("readout=gumbel readout.temperature=inf", "readout.temperature=inf: must be a finite number"),
    ("task=copy task.short=nan", "task.short=nan: must be a finite number"),
    ("task=clutter architecture=learned_glimpses architecture.spread=nan", "architecture.spread=nan: must be a finite number"),
    ("cost.repeats=0", "cost.repeats=0: must be at least 1"),
    ("cost.tokens=-5", "cost.tokens=-5: must be at least 1"),
    ("seed=9007199254740993", "must be at least 0 and at most 9007199254740992"),
    ("measure=cost cost.lengths=[8,16,8]", "cost.lengths=[8, 16, 8]: each is measured once; name none twice"),
    ("measure=cost cost.lengths=[8] cost.widths=[8,8]", "cost.widths=[8, 8]: each is measured once"),
    ("measure=cost cost.positions=[8,8]", "cost.positions=[8, 8]: each is measured once"),
    ("runs=", "runs is empty: give it a value, or leave it out for its default"),
    ("data.root=", "data.root is empty"),
    ("tracking.entity=", "tracking.entity is empty"),
    ("task=parallel_text architecture=transformer task.train_source=", "task.train_source is empty"),
    ("~train", "train is missing: every key of the base recipe needs a value"),
    ("~mixer", "mixer is missing: choose one by name, mixer=NAME; there are attention, "),
    # what a run's folder is named by
    ("origin.arm=../../..", "origin.experiment and origin.task not given beside the rest of origin"),
    ("origin.experiment=heads", "origin.arm and origin.task not given"),
    ("origin.experiment=heads origin.task=mqar origin.arm=../../..", "origin.arm=../../..: must be of letters, digits"),
    ("origin.experiment=.. origin.task=mqar origin.arm=a", "origin.experiment=..: must be of letters, digits"),
    ("origin.experiment=heads origin.task=a/b origin.arm=a", "origin.task=a/b: must be of letters, digits"),
    ("origin.claims=[C1,'<b>']", "origin.claims=<b>: must be of letters, digits"),
    ("origin.digest='../x'", "origin.digest=../x: must be of letters, digits"),
    # parts
    ("mixer.name=os.system", "mixer=os.system: there is none of this name; there are attention, "),
    ("mixer.name=Mixer", "mixer=Mixer: there is none of this name; there are attention, "),
    ("mixer.name=recall", "mixer=recall: there is none of this name; there are attention, "),
    ("mixer.name=[lstm]", "mixer=['lstm']: there is none of this name; there are attention, "),
    ("mixer.name=lstm", "mixer.heads: mixer=lstm has no such key; it has none"),
    ("task.name=null", "task=None: there is none of this name; there are agreement, "),
    ("architecture=transformer", "architecture=transformer answers pairs, but task=recall is a task of tokens: use "),
    ("task=multi30k", "architecture=encoder answers tokens, but task=multi30k is a task of pairs: use architecture=bah"),
    ("task=clutter", "use architecture=centre_glimpses or cnn or learned_glimpses or random_glimpses"),
    *(
        (
            f"task=reversal architecture=transformer mixer={mixer}",
            f"architecture=transformer attends to all tokens, which mixer={mixer} does not: use mixer=attention",
        )
        for mixer in parts.classes("mixer")
        if mixer != "attention"
    ),
    # wider than any sequence
    ("mixer=window mixer.window=1000", "mixer.window=1000: reaches 1000 positions away, and no sequence here has more than 64"),
    ("mixer=window mixer.window=65", "and no sequence here has more than 64; use less, or mixer=attention"),
    ("mixer=window mixer.window=98 task=reverse", "reaches 49 positions away, and no sequence here has more than"),
    ("mixer=window mixer.window=64 measure=cost cost.lengths=[8,63]", "no sequence here has more than 63"),
    ("mixer=convolution mixer.kernel=3 mixer.dilation=40", "mixer.kernel=3, mixer.dilation=40: reaches 80 positions away"),
    (
        "task=reversal architecture=luong_local architecture.window=1000",
        "architecture.window=1000: reaches 1000 positions away, and no sequence here has more than 41; use less, or "
        "architecture=luong_general",
    ),
    # names of the config, not of classes
    ("evaluation.gradients=true task=reversal architecture=bahdanau", "evaluation.gradients reads the layers of architecture="),
    ("evaluation.structure=true task=ngram", "evaluation.structure needs gold edges, and task=ngram has none"),
    ("evaluation.structure=true task=reverse mixer=lstm", "evaluation.structure needs edges to cut, and mixer=lstm has none"),
    ("task=numbers architecture=transformer model.tie=three_way", "and task=numbers has two here; use model.tie=output"),
    ("task=recall evaluation.structure=true", "task=recall has none; use task=reverse, brackets or agreement"),
    ("task=reverse evaluation.structure=true mixer=identity", "mixer=identity has none; use mixer=attention"),
    ("task=reverse evaluation.heads=true mixer=window", "full attention, not of mixer=window; use mixer=attention"),
    # what an architecture or a task has no use for
    ("task=reversal architecture=bahdanau position=none", "architecture=bahdanau has no position: leave it at its default"),
    ("task=reversal architecture=bahdanau mixer=lstm", "architecture=bahdanau has no mixer: leave it at its default"),
    ("task=reversal architecture=transformer model.arrangement=plain", "architecture=transformer has no model.arrangement"),
    ("task=reversal architecture=transformer evaluation.structure=true", "reads the layers of architecture=encoder"),
    ("task=reversal architecture=transformer model.match=multiply_adds", "architecture=encoder; use parameters or nothing"),
    ("task=clutter architecture=cnn mixer=lstm", "architecture=cnn has no mixer: leave it at its default"),
    ("task=clutter architecture=random_glimpses model.match=nothing", "others are matched to glimpse models"),
    ("task=recall train.label_smoothing=0.1", "architecture=encoder smooths no labels: leave train.label_smoothing at 0"),
    ("task=recall search.beam=5", "architecture=encoder writes no sequences: leave search.beam at 1 and "),
    ("task=recall model.tie=three_way", "use model.tie=output where there is no source"),
    ("task=mqar model.tie=output", "model.tie=output needs a task whose inputs are its outputs, not "),
    ("task=pydoc model.tie=both", "model.tie=both: must be one of none, output"),
    ("task=pydoc model.tie=output model.match=tied", "model.match=tied brings an untied model to a tied one's size"),
    *((f"mixer=convolution model.ffn_width=16 model.match={match}", "even ffn_width=1 has ") for match in MATCHES),
    ("task=pydoc task.share=0", "share is 0.0; it must be above 0 and at most 1, the whole training split"),
    ("task=pydoc_subwords task.vocabulary=96", "vocabulary is 96; it must be above 96, the text's characters, "),
]
CLASSES = {path.rpartition(".")[2] for group in parts.GROUPS for path in parts.classes(group).values()} - {"Transformer"}


def test_refused_in_one_line_that_says_what_would_do(compose):
    for overrides, fix in REFUSED:
        with case(overrides):
            with pytest.raises(Exception) as caught:  # noqa: B017 (of Hydra or of the study; users see it through explain)
                validate(compose(*overrides.split()))
            said = explain(caught.value)
            assert said.startswith("error: ") and "\n" not in said
            assert fix in said
            assert not CLASSES & set(re.findall(r"[\w=]+", said)), "a config knows no classes"


def test_the_base_recipe_online_tracking_and_a_window_as_wide_as_the_longest_sequence_are_not_refused(compose):
    window = ["mixer=window", "mixer.window=64"]
    for overrides in ([], ["tracking.mode=online"], window, ["task=copy", *window]):
        validate(compose(*overrides))


def test_a_folder_that_cant_be_written_to_is_named_by_its_key(compose, tmp_path):
    (tmp_path / "file").touch()
    for runs, reason in {
        tmp_path / "file": f"{tmp_path / 'file'} is a file",
        tmp_path / "file" / "runs": f"{tmp_path / 'file'} is a file",
        "/proc/runs": "/proc takes no new folder (No such file or directory)",
    }.items():
        with pytest.raises(ValueError) as caught:
            schema.check_folder(compose(f"runs={runs}"))
        assert str(caught.value) == f"runs={runs}: {reason}; name a folder that can be written to, runs=FOLDER"
    schema.check_folder(compose(f"runs={tmp_path / 'new' / 'runs'}"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"], "nothing is left behind"


def test_a_folder_that_holds_the_run_may_be_read_only(compose, tmp_path, monkeypatch):
    config = compose(f"runs={tmp_path}")
    (tmp_path / schema.name(config)).mkdir()
    (tmp_path / schema.name(config) / records.NAME).touch()

    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", refuse)
    schema.check_folder(config, schema.name(config))
    with pytest.raises(ValueError, match=r"takes no new folder \(Permission denied\)"):
        schema.check_folder(config, "another")


NEUTRAL = """
    runs=elsewhere retry_failed=true tracking.mode=off tracking.project=other tracking.entity=team data.root=elsewhere
    data.download=false trainer.threads=2 trainer.checkpoint_every=7 trainer.keep_weights=true sweep.wait=false sweep.arms=[a]
    origin.arm=a origin.task=b origin.claims=[C1] origin.digest=abc origin.role=verdict
""".split()
MOVING = """
    seed=1 train.rate=0.001 train.steps=999 train.batch=16 train.warmup=0.2 train.clip=2 train.weight_decay=0.1
    train.evaluate_every=50 train.stop_when_solved=false model.width=128 model.layers=3 model.ffn_width=128 model.match=nothing
    model.dropout=0.1 mixer=window mixer.heads=8 position=learned readout=soft task=ngram task.length=65 evaluation.test_items=1
    trainer.precision=bf16-mixed origin.experiment=heads
""".split()


@pytest.mark.slow
def test_identity_moves_with_what_can_change_a_result_and_with_nothing_else(compose):
    base = schema.identity(compose())
    assert {o: schema.identity(compose(o)) for o in NEUTRAL} == dict.fromkeys(NEUTRAL, base)
    moved = [schema.identity(compose(o)) for o in MOVING]
    assert len({base, *moved}) == 1 + len(moved)


def test_data_folder_of_a_text_task_does_not_move_its_id(compose):
    ids = {schema.identity(compose("task=shakespeare", f"data.root={root}")) for root in ("a", "b")}
    assert len(ids) == 1


def test_a_new_key_at_its_default_moves_no_id(compose, monkeypatch):
    """What lets later work add a key to a mixer without orphaning the records there are."""
    before = compose()
    old = schema.identity(before)
    keywords = parts.keywords
    sink = inspect.Parameter("sink", inspect.Parameter.KEYWORD_ONLY, default=0, annotation=int)
    monkeypatch.setattr(parts, "keywords", lambda group, name: {**keywords(group, name), "sink": sink})
    assert schema.identity(before) == old
    assert schema.identity(compose("+mixer.sink=0")) == old
    assert schema.identity(compose("+mixer.sink=1")) != old


def test_ids_do_not_depend_on_the_order_of_keys(compose):
    assert schema.identity(compose("mixer.heads=8", "seed=3")) == schema.identity(compose("seed=3", "mixer.heads=8"))


def declared(compose, run):
    """The config of a planned run, as the sweeper composes it."""
    origin = {"experiment": run.experiment, "arm": run.arm, "task": run.task, "role": run.role}
    return compose(*run.overrides, *(f"origin.{key}={value}" for key, value in origin.items()))


def test_ids_never_move_by_accident(compose):
    """Should the id of a declared run move, a sweep would train all committed ones again."""
    experiment = Experiment(
        {
            **WORDS,
            "name": "positions",
            "arms": {"none": {"set": {"position": "none"}}},
            "tasks": {"reverse": {"set": {"task": "reverse", "train.steps": 800, "train.evaluate_every": 50}}},
            "tiers": {"core": {"rates": [0.001], "tuning_seeds": [100], "verdict_seeds": [0]}},
        }
    )
    [run] = experiment.tuning_runs("core")
    assert run.digest == "e1e9a115ea9a6417"
    assert schema.name(declared(compose, run)) == "positions-reverse-none-tuning-lr0.001-s100-48484e5a78b9"


COMMITTED = sorted(records.RESULTS.glob("*/records/*.jsonl"))


@pytest.mark.slow
@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_committed_records_still_answer_their_commands(path, compose):
    """A record whose command composes to another config today is stale: launch its experiment again."""
    with path.open() as lines:
        for line in itertools.islice(lines, 0, None, 20):
            record = json.loads(line)
            config = compose(*shlex.split(record["command"])[2:])
            assert (schema.identity(config), schema.name(config)) == (record["id"], record["name"])


def test_names(compose):
    single = compose("task=copy", "mixer=lstm", "position=none", "train.rate=0.01", "seed=7")
    assert schema.name(single) == f"copy-lstm-none-lr0.01-s7-{schema.identity(single)}"
    assert len(schema.identity(single)) == 12


def test_checking_gives_values_their_types(compose):
    config = compose("mixer.heads=8", "task=mqar", "task.pairs=[1,2]", "train.rate=1")
    schema.check(config)
    assert config.mixer.heads == 8 and isinstance(config.mixer.heads, int)
    assert list(config.task.pairs) == [1, 2]
    assert isinstance(config.train.rate, float)


def test_a_yaml_gives_every_key_of_its_part_its_default_and_words():
    for group, name in ((each, name) for each in parts.GROUPS for name in names(each)):
        with case(f"{group}={name}"):
            text = (CONF / group / f"{name}.yaml").read_text()
            node = yaml.safe_load(text)
            assert node.pop("name") == name
            assert list(node) == list(parts.keywords(group, name))
            for key, default in parts.defaults(group, name).items():
                assert default == node[key] or default is inspect.Parameter.empty or str(node[key]).startswith("${"), key
            assert all("# " in line for line in text.splitlines() if not line.startswith("name:"))


def test_every_key_of_the_base_recipe_is_declared_with_words():
    assert all(key.words for key in keys.every().values())
    declared = {f"{node}.{each.name}" for node, owner in keys.nodes().items() if node for each in dataclasses.fields(owner)}
    assert declared == {name for name in keys.every() if "." in name}
