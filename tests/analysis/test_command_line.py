"""The command line, whole: a golden sweep worked out by hand (golden/README.md), bad input, what it imports."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import load, readme
from analysis.__main__ import main
from analysis.arguments import PARTS
from analysis.terminal import NAMED
from study import experiments, records
from tests.analysis import synthetic

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[2]
INPUT = ["--declarations", str(GOLDEN / "declarations"), "--claims", str(GOLDEN / "claims")]


def golden(output: Path, *arguments: str) -> int:
    """The exit code: 1 where all goes well, as two of the golden records are ill."""
    return main([*arguments, "--results", str(GOLDEN / "results"), *INPUT, "--output", str(output)])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """All that the command makes of the golden sweep."""
    folder = tmp_path_factory.mktemp("made")
    assert golden(folder) == 1
    return folder / "core"


def test_golden_sweep(made):
    assert (made / "verdicts.csv").read_text() == (GOLDEN / "verdicts.csv").read_text()
    assert (made / "controls.csv").read_text() == (GOLDEN / "controls.csv").read_text()


def test_golden_files_say_what_the_hand_says():
    """The committed expectation itself, against the formulas of golden/README.md."""
    rows = {(row["claim"], row["contrast"]): row for row in csv.DictReader((GOLDEN / "verdicts.csv").open())}
    better, equal = rows["C1", "better"], rows["C1", "equal"]
    half = 4.302653 * 0.01 / 3**0.5
    assert float(better["effect"]) == pytest.approx(0.1)
    assert float(better["low"]) == pytest.approx(0.1 - half, rel=1e-5)
    assert float(better["high"]) == pytest.approx(0.1 + half, rel=1e-5)
    assert float(better["p"]) == pytest.approx(1 - (0.08 / (0.01 / 3**0.5)) / 194**0.5, rel=1e-4)
    assert float(equal["p"]) == pytest.approx(1 - 25.9807621 / 677**0.5, rel=1e-4)
    assert float(equal["p_holm"]) == pytest.approx(2 * float(equal["p"]), rel=1e-4)
    assert float(equal["high"]) == pytest.approx(6.205347 * 0.001 / 3**0.5, rel=1e-5) and equal["level"] == "0.975"
    assert rows["C2", "better"]["verdict"] == "reversed" and rows["C2", "better"]["p"] == better["p"]
    assert float(rows["C2", "solves"]["p"]) == pytest.approx(2 / 20)
    assert (rows["C3", "gated"]["n"], rows["C3", "gated"]["dropped"]) == ("2", "1")
    overall = {claim: row["claim_verdict"] for (claim, _), row in rows.items()}
    assert overall == {"C1": "supported", "C2": "qualified", "C3": "inconclusive", "C4": "not run", "C5": "not run"}


def test_same_records_give_the_same_bytes(made, tmp_path):
    assert golden(tmp_path) == 1
    files = sorted(path.relative_to(made.parent) for path in made.parent.rglob("*") if path.is_file())
    assert files and Path("page.html") in files and Path("core/figures/tiny.png") in files
    for file in files:
        assert (tmp_path / file).read_bytes() == (made.parent / file).read_bytes(), file


def test_bad_records_are_named_and_set_aside(tmp_path, capsys):
    assert golden(tmp_path, "check") == 1
    found = capsys.readouterr()
    assert "tiny.jsonl:31: its checksum does not fit" in found.err
    assert "tiny.jsonl:32: not a whole JSON record" in found.err
    assert "36 planned, 34 finished, 1 diverged, 1 missing, 1 stale" in found.out
    assert "missing: copy, b, verdict, rate 0.001, seed 2" in found.out
    assert "tiny-recall-a-verdict" in found.out.split("stale:")[1]


def test_what_is_missing_is_named_with_the_command_that_names_all(tmp_path, capsys):
    assert golden(tmp_path, "tables") == 1
    said = capsys.readouterr().out
    assert "tiny: missing: copy, b, verdict, rate 0.001, seed 2" in said and "tiny: stale: " in said
    assert "all of it: python -m analysis check --tier core" in said and "more;" not in said
    fresh(tmp_path / "runs")
    for folder in sorted((tmp_path / "runs").iterdir())[:9]:
        shutil.rmtree(folder)
    where = ["--source", str(tmp_path / "runs"), "--results", str(tmp_path / "results"), *INPUT]
    assert main(["verdicts", *where]) == 0  # nothing that is there was set aside
    said = capsys.readouterr().out
    assert said.count("tiny: missing: ") + said.count("tiny: no learning rate yet: ") == NAMED
    assert f"more; all of it: python -m analysis check --tier core --source {tmp_path / 'runs'}" in said
    assert main(["check", *where]) == 1
    assert capsys.readouterr().out.count("  missing: ") + len(said) > NAMED


def test_parts_make_their_part(tmp_path):
    assert golden(tmp_path, "tables") == 1
    assert {path.name for path in (tmp_path / "core").iterdir()} == {"tables"}
    assert golden(tmp_path, "verdicts") == 1
    made = {"VERDICTS.md", "verdicts.csv", "controls.csv", "registered.csv"}
    assert {path.name for path in (tmp_path / "core").iterdir()} == {"tables", *made}


def test_all_that_stands_behind_a_part_is_in_one_table(made):
    lines = (made / "tables" / "verdicts.md").read_text().splitlines()
    [head, line] = [[cell.strip() for cell in row.split("|")] for row in lines if row.startswith(("| claim", "| C1 | better "))]
    cells = dict(zip(head, line, strict=True))
    assert (cells["scores"], cells["solved"]) == ("91.0 % against 81.0 %", "3/3 against 0/3")
    assert (cells["steps"], cells["rates"], cells["seen"]) == ("200 against 200 of 200", "bracketed", "5.3")


def test_a_page_needs_neither_its_folder_nor_a_figure(tmp_path):
    """Nothing can be drawn of runs that failed."""
    made = synthetic.complete(experiments.load("tiny", GOLDEN / "declarations"), "core")
    failed = [record | {"status": "failed", "error": "out of memory"} for record in made if record["plan"]["role"] == "tuning"]
    failed = [record | {"checksum": records.checksum(record)} for record in failed]
    records.write_lines(tmp_path / "results" / "core" / "records" / "tiny.jsonl", failed)
    arguments = ["page", "--results", str(tmp_path / "results"), *INPUT, "--output", str(tmp_path / "new")]
    assert main(arguments) == 0
    assert "out of memory" in (tmp_path / "new" / "page.html").read_text()


def test_chosen_rates_are_printed(tmp_path, capsys):
    assert golden(tmp_path, "rates") == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if "chosen" in line and "0.001" in line]
    assert len(lines) == 6 and all("0.7000" in line for line in lines)


def test_help_names_every_part_and_is_the_same_for_each(capsys):
    shown = []
    for words in (["--help"], ["tables", "--help"]):
        with pytest.raises(SystemExit) as exit_:
            main(words)
        shown.append(capsys.readouterr().out)
        assert exit_.value.code == 0
    assert shown[0] == shown[1] and all(f"  {part} " in shown[0] for part in PARTS) and "--source" in shown[0]


def test_options_may_stand_before_the_part_and_check_goes_with_readme(tmp_path, capsys):
    assert golden(tmp_path, "--tier", "core", "rates") == 1
    assert "chosen" in capsys.readouterr().out
    assert golden(tmp_path, "tables", "--check") == 2
    assert "--check goes with readme" in capsys.readouterr().err


def test_no_records_says_what_would_do(tmp_path, capsys):
    assert main(["--results", str(tmp_path), *INPUT]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "no records" in error and "python run.py -m experiment=" in error


def test_a_tier_without_records_names_those_with(capsys, tmp_path):
    assert golden(tmp_path, "--tier", "full") == 1
    assert "there are records of: core" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--source", "nowhere"], "no such folder"),
        (["--experiment", "tinny"], "there are tiny"),
        (["collect", "--experiment", "tinny"], "there are tiny"),
        (["registered", "--experiment", "tiny"], "--experiment: registered is of all experiments; leave it out"),
    ],
)
def test_wrong_arguments_say_what_would_do(arguments, words, tmp_path, capsys):
    assert golden(tmp_path, *arguments) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "words"),
    [("--declarations", "no experiment (*.yaml) there"), ("--claims", "no claims (C1.yaml and so on) there")],
)
def test_what_is_not_there_is_told_and_nothing_is_written(option, words, tmp_path, capsys):
    inputs = dict(zip(INPUT[::2], INPUT[1::2], strict=True)) | {option: str(tmp_path / "given")}
    arguments = [part for pair in inputs.items() for part in pair]
    assert main(["--results", str(GOLDEN / "results"), "--output", str(tmp_path / "out"), *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def fresh(folder: Path, tier: str = "core") -> list[dict]:
    """A folder of fresh runs of the tiny experiment."""
    made = synthetic.complete(experiments.load("tiny", GOLDEN / "declarations"), tier)
    for record in made:
        synthetic.write_run(folder, record)
    return made


def test_straight_from_fresh_runs(tmp_path, capsys):
    fresh(tmp_path / "runs", "smoke")
    assert main(["--source", str(tmp_path / "runs"), "--tier", "smoke", "--results", str(tmp_path / "results"), *INPUT]) == 0
    made = tmp_path / "runs" / "results"
    rows = list(csv.DictReader((made / "smoke" / "verdicts.csv").open()))
    assert {row["verdict"] for row in rows if row["rule"] in ("better", "equivalent", "solves")} <= {"inconclusive", "not run"}
    assert all("smoke tier decides nothing" in row["reason"] for row in rows if row["verdict"] == "inconclusive")
    assert f"page: {made / 'page.html'}" in capsys.readouterr().out.replace("\n", "")
    assert not (tmp_path / "results").exists(), "committed results stay what the committed records say"


def test_single_runs_have_a_page_of_their_own(tmp_path, capsys):
    """Plain grids belong to no experiment: nothing is judged, all of them are in the table of runs."""
    made = synthetic.complete(experiments.load("tiny", GOLDEN / "declarations"), "core")[:3]
    for record in made:
        record["plan"] |= dict.fromkeys(("experiment", "arm", "task", "digest"))
        synthetic.write_run(tmp_path / "runs", record)
    assert main(["page", "--source", str(tmp_path / "runs"), "--output", str(tmp_path / "out"), *INPUT]) == 0
    assert '{"count":3,' in (tmp_path / "out" / "page.html").read_text()
    assert "page: " in capsys.readouterr().out


def test_serving_asks_for_a_folder_of_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)  # the checkout may well have its runs
    for arguments in (["page", "--serve"], ["tables", "--source", str(ROOT), "--serve"]):
        assert main([*arguments, *INPUT]) == 2
        assert "--serve goes with page and a folder of runs" in capsys.readouterr().err


HOSTILE = ["../../planted", "/planted", "..", "<script>alert(1)</script>", "a/b", "a\nb", "\x1b[2J"]


def planted(folder: Path) -> int:
    """Fresh runs with each hostile text in each field that is a name; how many."""
    made = synthetic.complete(experiments.load("tiny", GOLDEN / "declarations"), "core")
    fields = [(None, "name"), (None, "id"), *(("plan", key) for key in ("experiment", "tier", "arm", "task", "role", "digest"))]
    cases = [(node, key, text) for node, key in fields for text in HOSTILE]
    for number, (node, key, text) in enumerate(cases):
        record = {**made[0], "plan": {**made[0]["plan"]}}
        (record[node] if node else record)[key] = text
        (folder / str(number)).mkdir(parents=True)
        sealed = {"schema": records.SCHEMA, **record}  # by hand: records.write would refuse it
        sealed["checksum"] = records.checksum(sealed)
        (folder / str(number) / records.NAME).write_text(json.dumps(sealed))
    return len(cases)


@pytest.mark.parametrize("part", ["all", "collect"])
def test_names_in_a_record_lead_nowhere(part, tmp_path, capsys):
    ours = tmp_path / "deep" / "er"
    number = planted(ours / "runs")
    made = fresh(ours / "runs")
    before = sorted(tmp_path.rglob("*"))
    options = ["--source", str(ours / "runs"), "--results", str(ours / "results"), "--output", str(ours / "out"), *INPUT]
    assert main([*([part] if part != "all" else []), *options]) == 1
    assert capsys.readouterr().err.count("set aside: ") == number
    results = {"all": ours / "out", "collect": ours / "results"}[part]
    written = [path for path in sorted(tmp_path.rglob("*")) if path not in before]
    assert written and all(path == results or results in path.parents for path in written)
    assert sorted(path.name for path in results.iterdir()) == (["core"] if part == "collect" else ["core", "page.html"])
    if part == "collect":
        assert len(load.committed(results).by_tier["core"]) == len(made)
    else:
        page = (results / "page.html").read_text()
        assert "<script>alert" not in page and "&lt;script&gt;alert" in page


@pytest.mark.parametrize("place", ["folder", "link"])
def test_what_is_no_file_is_set_aside_and_the_rest_is_used(place, tmp_path, capsys):
    made = fresh(tmp_path / "runs")
    ill = [tmp_path / "runs" / made[-1]["name"] / records.NAME, tmp_path / "results" / "core" / "records" / "other.jsonl"]
    ill[0].unlink()
    ill[1].parent.mkdir(parents=True)
    for path in ill:
        path.mkdir() if place == "folder" else path.symlink_to("nowhere")
    for source, path, found in ((str(tmp_path / "runs"), ill[0], len(made) - 1), ("committed", ill[1], len(made))):
        records.write_lines(ill[1].with_name("tiny.jsonl"), made)
        assert main(["check", "--source", source, "--results", str(tmp_path / "results"), *INPUT]) == 1
        said = capsys.readouterr()
        assert f"set aside: {path}: no file" in said.err and f"{found} finished" in said.out


def test_records_of_what_is_not_declared_are_named(tmp_path, capsys):
    made = fresh(tmp_path / "runs")
    for name in ("declared_nowhere", "tiny"):
        tier = "core" if name != "tiny" else "full"
        record = {**made[0], "name": name, "plan": {**made[0]["plan"], "experiment": name, "tier": tier}}
        (tmp_path / "runs" / name).mkdir()
        records.write(tmp_path / "runs" / name, record)
    arguments = ["verdicts", "--source", str(tmp_path / "runs"), "--results", str(tmp_path / "results"), *INPUT]
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert "set aside: core: records of declared_nowhere, an experiment that is not declared" in said
    assert "set aside: full: records of tiny, which declares no full tier" in said


def test_collect_gathers_once_and_then_nothing_new(tmp_path, capsys):
    made = fresh(tmp_path / "runs")
    arguments = ["collect", "--source", str(tmp_path / "runs"), "--results", str(tmp_path / "results")]
    assert main(arguments) == 0
    path = tmp_path / "results" / "core" / "records" / "tiny.jsonl"
    first = path.read_bytes()
    assert f"core/tiny: {len(made)} new records" in capsys.readouterr().out
    assert main(arguments) == 0
    assert "core/tiny: 0 new records" in capsys.readouterr().out
    assert path.read_bytes() == first
    assert len(load.committed(tmp_path / "results").by_tier["core"]) == len(made)


def test_imports_neither_torch_nor_lightning_nor_wandb(tmp_path):
    code = (
        "import sys; from analysis.__main__ import main\n"
        f"assert main({['--results', str(GOLDEN / 'results'), *INPUT, '--output', str(tmp_path)]}) == 1\n"
        "heavy = {'torch', 'pytorch_lightning', 'lightning', 'wandb', 'hydra', 'requests'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_verdicts_are_told_claim_by_claim(tmp_path):
    assert golden(tmp_path, "verdicts") == 1
    text = (tmp_path / "core" / "VERDICTS.md").read_text()
    assert "| C1 | First claim. | **supported** |" in text and "Not run: C4, C5." in text
    assert "named by are those of the core tier" not in text
    first = "Arm a beats arm b on recall: 91.0 % against 81.0 %, +10.0 points [+7.5, +12.5] (> 2: supported)"
    assert f"{first}<br>Arms a and c are equal on recall: 91.0 % against 91.0 %" in text


@pytest.mark.parametrize("part", ["check", "rates", "cost"])
def test_what_needs_no_verdicts_makes_none(part, tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError(f"{part} needs no verdicts")

    monkeypatch.setattr("analysis.verdicts.judge", refuse)
    assert golden(tmp_path, part) == 1, "the exit code of the golden records, of which some are set aside"


def test_readme_findings_are_written_and_checked(tmp_path, capsys):
    path = tmp_path / "README.md"
    hours = "\n".join(readme.HOURS)
    path.write_text(f"before\n{readme.BEGIN}\nstale words\n{readme.END}\nbetween\n{hours}\nafter\n")
    assert golden(tmp_path, "readme", "--readme", str(path), "--check") == 1
    assert "stale" in capsys.readouterr().out and "stale words" in path.read_text()
    assert golden(tmp_path, "readme", "--readme", str(path)) == 1
    text = path.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "stale words" not in text
    assert "Hours of one process: 0 for all of the core tier, of which its 35 committed runs took 0.2" in text
    assert "- C1: “First claim” holds. " in text and "results/core/figures/verdicts.png" in text
    assert "3 parts of 2 claims are decided by runs" in text and "at most 0.1 such claims" in text
    assert golden(tmp_path, "readme", "--readme", str(path), "--check") == 1
    assert "up to date" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["no markers", f"{readme.END}\n{readme.BEGIN}"])
def test_readme_without_markers_is_refused(text, tmp_path, capsys):
    path = tmp_path / "README.md"
    path.write_text(text)
    assert golden(tmp_path, "readme", "--readme", str(path)) == 2
    assert readme.BEGIN in capsys.readouterr().err and path.read_text() == text


def test_the_readme_of_the_study_is_fresh():
    """Fails when records, claims or rules have changed and README.md has not: run python -m analysis readme."""
    assert main(["readme", "--check"]) == 0


def test_committed_verdicts_are_fresh(tmp_path):
    """Fails when results/<tier>/verdicts.csv is not what the committed records give: run python -m analysis."""
    tiers = [path.parent for path in load.RESULTS.glob("*/records") if any(path.glob("*.jsonl"))]
    for folder in tiers:
        assert main(["verdicts", "--tier", folder.name, "--output", str(tmp_path)]) == 0
        assert (tmp_path / folder.name / "verdicts.csv").read_text() == (folder / "verdicts.csv").read_text()


def test_narrowing_to_an_experiment_leaves_other_files_alone(tmp_path):
    shutil.copytree(GOLDEN / "declarations", tmp_path / "declarations")
    text = (GOLDEN / "declarations" / "tiny.yaml").read_text().replace("name: tiny", "name: other")
    (tmp_path / "declarations" / "other.yaml").write_text(text)
    for name in ("tiny", "other"):
        made = synthetic.complete(experiments.load(name, tmp_path / "declarations"), "core")
        records.write_lines(tmp_path / "results" / "core" / "records" / f"{name}.jsonl", made)
    where = ["--results", str(tmp_path / "results"), "--claims", INPUT[3], "--declarations", str(tmp_path / "declarations")]
    assert main(["tables", *where, "--experiment", "tiny"]) == 0
    written = {path.name for path in (tmp_path / "results" / "core" / "tables").iterdir()}
    assert written == {"tiny.csv", "tiny.md", "tiny.tex", "tiny_rates.csv", "tiny_slices.csv"}
    assert main(["figures", *where, "--experiment", "tiny"]) == 0
    written = {path.name for path in (tmp_path / "results" / "core" / "figures").glob("*.svg")}
    assert written == {"tiny.svg", "tiny_training.svg", "verdicts.svg"}
