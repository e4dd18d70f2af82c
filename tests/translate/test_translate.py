"""What makes a finished run translate: its folder alone, line by line, with one line for every mistake."""

import functools
import io
import shutil
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from study.probes.decoding import longest
from study.training.build import build_task
from study.training.runner import execute
from study.translate.__main__ import main
from study.translate.translator import Translator
from tests.conftest import SMALL, Ended, short
from tests.training.test_runner import planted

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(compose, tmp_path_factory):
    """finished("architecture=bahdanau", ...): (folder, config) of a run on reversal, which is trained once for all tests."""
    keys = ["architecture=bahdanau", "model.match=nothing", "task.min_length=2", "trainer.keep_weights=true"]

    @functools.cache
    def made(*overrides):
        runs = f"runs={tmp_path_factory.mktemp('runs')}"
        config = compose("task=reversal", *short("reversal"), *SMALL, runs, *keys, *overrides)
        outcome = execute(config)
        assert outcome.state == "finished", outcome.error
        return Path(config.runs) / outcome.name, config

    return made


@pytest.fixture
def trained(finished, tmp_path):
    """trained("architecture=bahdanau", ...): (folder, config) of a finished run on reversal; the folder is the test's own."""

    def made(*overrides):
        folder, config = finished(*overrides)
        return Path(shutil.copytree(folder, tmp_path / "trained")), config

    return made


@pytest.fixture
def door(capsys, monkeypatch):
    """door(b"1 2", "--run", ...): the command, in this process, given a text."""

    def command(given, *arguments):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
        code = 0
        try:
            main(list(map(str, arguments)))
        except SystemExit as stop:
            code = stop.code
        out, err = capsys.readouterr()
        return Ended(1, out, f"{err}{code}\n") if isinstance(code, str) else Ended(code, out, err)

    return command


def test_each_line_is_answered_and_drawn(trained, door, tmp_path):
    folder, config = trained()
    task, translator = build_task(config), Translator(folder)
    lines = [b"1 2 3\n", b"15 0\n", b"7"]
    answers = list(translator(lines))
    alone = [next(translator([line])) for line in lines]
    assert [answer.best.tokens for answer in answers] == [answer.best.tokens for answer in alone]
    assert all(len(answer.best.tokens) <= longest(task, translator.model) for answer in answers)

    ended = door(b"".join(lines), "--run", folder, "--pictures", tmp_path / "pictures")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines() == [task.write(answer.best.tokens) for answer in answers]
    pictures = sorted((tmp_path / "pictures").iterdir())
    assert [path.name for path in pictures] == ["0001.png", "0002.png", "0003.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)


@pytest.mark.parametrize("architecture", ["transformer", "conv_s2s", "luong_local"])
def test_every_way_of_decoding_translates(trained, architecture):
    folder, _ = trained(f"architecture={architecture}", "position=learned" if architecture == "conv_s2s" else "seed=0")
    answers = list(Translator(folder, beam=2).write([b"1 2", b"3 4 5"]))
    assert len(answers) == 2 and all(set(answer.split()) <= set(map(str, range(16))) for answer, _ in answers)
    assert [complaint for _, complaint in answers] == [None, None]


def test_a_wider_search_is_never_less_likely(trained, door):
    folder, _ = trained()
    narrow, wide = (next(Translator(folder, beam)([b"1 2 3 4"])).best for beam in (1, 50))
    assert wide.score >= narrow.score
    assert door(b"1 2 3 4", "--run", folder, "--beam", 50).out == next(Translator(folder, 50).write([b"1 2 3 4"]))[0] + "\n"
    assert door(b"1 2", "--run", folder, "--beam", 3, "--length-penalty", 0.6).code == 0


@pytest.mark.parametrize("batch", [1, 2, 32])
def test_a_line_that_cannot_be_read_is_named_and_the_others_are_answered(trained, batch):
    translator = Translator(trained()[0])
    given = [b"1 2\n", b"1 2 x\n", b" \n", b"3 \xff\n", b"1 2 3 4 5 6 7 8 9\n", b"3"]
    answers, complaints = zip(*translator.write(given, batch=batch), strict=True)
    assert [answers[0], answers[-1]] == [next(translator.write([line]))[0] for line in (given[0], given[-1])]
    assert answers[1:-1] == ("",) * 4
    assert complaints[1].startswith("line 2: 'x' is no symbol") and complaints[3].startswith("line 4: not UTF-8")
    assert complaints[4].startswith("line 5: 9 symbols") and [complaints[i] for i in (0, 2, 5)] == [None] * 3


def test_unread_lines_are_said_on_the_error_stream_and_by_the_exit_code(trained, door):
    folder, _ = trained()
    given = b"1 2\n\nx\n3\n"
    ended = door(given, "--run", folder)
    assert ended.code == 1 and "line 3: 'x' is no symbol" in ended.err and "1 lines could not be read" in ended.err
    assert ended.out == "".join(f"{answer}\n" for answer, _ in Translator(folder).write(given.splitlines()))


def test_a_byte_order_mark_is_no_text(trained):
    translator, lines = Translator(trained()[0]), [b"1 2\n", b"3\n"]
    assert list(translator.write([b"\xef\xbb\xbf" + lines[0], lines[1]])) == list(translator.write(lines))
    later = list(translator.write([lines[1], b"\xef\xbb\xbf" + lines[0]]))
    assert later[1][1] is not None, "only where a file begins"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--run", "nowhere"], "argument --run: nowhere: no such folder; name that of a finished run, runs/NAME"),
        (["--run", ""], "argument --run: : no such folder"),
        (["--beam", "5"], "the following arguments are required: --run"),
        (["--run", ".", "--beam", "0"], "argument --beam: 0: must be a whole number, at least 1"),
        (["--run", ".", "--length-penalty", "nan"], "argument --length-penalty: nan: must be a number from 0 to 10"),
        (["--run", ".", "seed=3"], "unrecognized arguments: seed=3"),
        (["--run", "conf"], "no weights.pt in conf: name the folder of a finished run trained with trainer.keep_weights=true"),
    ],
)
def test_a_mistake_is_answered_in_one_line(door, arguments, said):
    ended = door(b"", *arguments)
    assert ended.code == 1 and ended.err.startswith(f"error: {said}") and ended.err.count("\n") == 1 and not ended.out


def test_a_task_of_another_kind_has_nothing_to_translate(tiny, door):
    config = tiny("trainer.keep_weights=true")
    folder = Path(config.runs) / execute(config).name
    assert "was trained on a task of tokens; only tasks of pairs can be translated" in door(b"", "--run", folder).err


def test_a_model_without_attention_has_nothing_to_draw(trained, tmp_path):
    folder, _ = trained("architecture=fixed_vector")
    with pytest.raises(ValueError, match="no attention to draw"):
        list(Translator(folder).write([b"1"], tmp_path))


# --- the folder, which a user names -------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["task", "mixer", "position", "readout", "architecture"])
def test_a_folder_names_parts_of_the_study_or_is_refused(trained, tmp_path, monkeypatch, part):
    folder, _ = trained()
    (tmp_path / "stranger.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\nclass Evil: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = OmegaConf.load(folder / "config.yaml")
    for name in ("stranger.Evil", "os.system", "study.tasks.reversal.os.system", "study.benchmark.harness", None):
        config[part].name = name
        OmegaConf.save(config, folder / "config.yaml")
        with pytest.raises(ValueError, match=f"^{part}={name}: there is none of this name; there are "):
            Translator(folder)
    assert not (tmp_path / "ran").exists() and "stranger" not in sys.modules


def test_a_config_of_another_version_is_told(trained):
    folder, _ = trained()
    (folder / "config.yaml").write_text((folder / "config.yaml").read_text() + "further: 1\n")
    with pytest.raises(ValueError, match="is no config of this version of the study .*; launch the run again"):
        Translator(folder)


def test_weights_that_are_none_are_told(trained, tmp_path):
    folder, _ = trained()
    for damage in (planted(tmp_path / "ran"), (folder / "weights.pt").read_bytes()[:1000]):
        (folder / "weights.pt").write_bytes(damage)
        with pytest.raises(ValueError, match="weights.pt can't be read.*launch the run again"):
            Translator(folder)
    assert not (tmp_path / "ran").exists()


def test_a_finished_run_needs_its_folder_alone(own_text, tmp_path):
    config, files = own_text
    task = build_task(config)
    folder = Path(config.runs) / execute(config).name
    given = [b"one two", b"six", b"zzz"]
    answers = list(Translator(folder).write(given))
    folder.rename(tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "cache")
    for path in files.values():
        path.unlink()
    moved = Translator(tmp_path / "elsewhere")
    assert list(moved.write(given)) == answers
    assert moved.task.read("one two") == task.read("one two") and moved.task.longest_target == task.longest_target
    shutil.rmtree(tmp_path / "elsewhere" / "vocabulary")
    with pytest.raises(FileNotFoundError, match="vocabulary"):
        Translator(tmp_path / "elsewhere")
