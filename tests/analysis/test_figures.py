"""Figures: what is drawn is what the records say, as the declaration asks, and nothing else."""

import os
import signal
from functools import partial

import pytest

from analysis import figures
from analysis.figures import style
from analysis.figures.forest import forest
from analysis.figures.style import arm_style
from analysis.figures.training import training
from analysis.figures.view import View
from analysis.formats import as_math
from analysis.results import Results
from analysis.rows import Row
from analysis.values import measure
from analysis.verdicts import Verdicts
from study import experiments
from study.experiments import Experiment
from tests.analysis import synthetic
from tests.cases import case
from tests.conftest import WORDS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", experiments.names())
def test_every_declared_experiment_has_its_figures(name, studies):
    if name not in studies:
        pytest.skip("has no core tier")
    results = studies[name]
    titles = " ".join(" ".join(ax.get_title(loc="left").split()) for ax in figures.main(results).axes)
    own = {results.experiment.tasks[task].label for task in results.trained_tasks}
    assert all(as_math(label) in titles for label in own) and (own or "layer" in titles)
    assert (training(results) is not None) == bool(results.trained_tasks)


def test_a_figure_is_written_as_svg_and_png(studies, tmp_path):
    written = figures.write(tmp_path, studies["tying"])
    assert [path.name for path in written] == ["tying.svg", "tying_training.svg"]
    for path in written:
        assert path.read_text().count("bits per character") and path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")
def test_a_drawing_process_that_is_killed_ends_it_with_a_reason(studies, tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "write", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(OSError, match="a process that drew figures was killed"):
        figures.write_all(tmp_path, [studies[name] for name in ("tying", "window", "skew")])


def test_reach_is_drawn_in(studies, tmp_path):
    figure = figures.main(studies["distance"])
    axes = figure.axes[0]
    upright = {line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1 and len(line.get_xdata()) == 2}
    reaches = {r["reach"] for seeds in studies["distance"].verdict.values() for r in seeds.values()} - {None}
    assert {reach + 0.5 for reach in reaches} <= upright


def test_a_curve_per_split_where_asked_for(studies):
    """Training text, test text and the best evaluation, each with the numbers of its records."""
    study = studies["dropout"]
    ax = figures.main(study).axes[0]
    lines = {line.get_label(): list(line.get_ydata()) for line in ax.get_lines() if not line.get_label().startswith("_")}
    assert list(lines) == list(study.experiment.figure["splits"].values())
    arms = study.experiment.arms
    for (split, _), drawn in zip(study.experiment.figure["splits"].items(), lines.values(), strict=True):
        for arm, y in zip(arms, drawn, strict=True):
            records = study.seeds((arm, "share_5")).values()
            values = [measure(record, f"{split}.bits_per_character") for record in records]
            assert y == pytest.approx(sum(values) / len(values))


def test_arms_differ_in_more_than_colour(studies):
    styles = [arm_style(studies["window"].experiment, arm) for arm in studies["window"].experiment.arms]
    assert len({(marker, str(line)) for _, marker, line in styles}) == len(styles)


def test_alignments_are_drawn_for_arms_that_have_them(written):
    sample = {"source": ["a", "b"], "reference": "b a", "output": ["b", "a"], "weights": [[0.1, 0.9], [0.8, 0.2]]}
    study = written("alignment", samples=[sample])
    drawn = [ax for ax in figures.main(study).axes if ax.images]
    label = {name: arm.label for name, arm in study.experiment.arms.items()}
    arms = {ax.get_title(loc="left").splitlines()[-1] for ax in drawn}
    assert label["bahdanau"] in arms and label["fixed_vector"] not in arms
    assert all(ax.images[0].get_array().tolist() == sample["weights"] for ax in drawn)


def test_paths_of_glimpses_are_drawn_over_their_images(written):
    glimpse = {"image": [[0, 100], [50, 0]], "path": [[1.0, 1.0], [0.5, 2.5]]}
    study = written("glimpse", glimpses=[glimpse, glimpse])
    axes = next(ax for ax in figures.main(study).axes if ax.images)
    assert axes.images[0].get_array().tolist() == [[0, 100, 0, 100], [50, 0, 50, 0]]
    paths = [line.get_xydata().tolist() for line in axes.lines if len(line.get_xdata()) == 2]
    assert paths == [[[0.5, 0.5], [1.5, 0.0]], [[2.5, 0.5], [3.5, 0.0]]]  # column and row; what lies outside, at the edge


def test_a_new_experiment_needs_no_figure_code(tmp_path):
    experiment = Experiment(
        {
            **WORDS,
            "name": "new",
            "arms": {"a": {"set": {"mixer": "x"}}, "b": {"set": {"mixer": "y"}}},
            "tasks": {"something": {"set": {"task": "z"}}},
            "tiers": {"core": {"rates": [0.001], "tuning_seeds": [9], "verdict_seeds": [0, 1]}},
        }
    )
    study = Results(experiment, "core", synthetic.complete(experiment, "core"))
    assert len(figures.write(tmp_path, study)) == 2


def test_of_several_slices_each_task_is_drawn_over_the_first_it_has(studies):
    for name, axes in (("distance", ["distance", "position"]), ("heads", ["position", "length"])):
        study = studies[name]
        for task in study.trained_tasks:
            cell = study.experiment.tasks[task].arms[0], task
            had = {axis for record in study.verdict[cell].values() for axis in record["slices"]["test"]}
            assert View(study, task).axis(axes) == next((axis for axis in axes if axis in had), None)
            assert View(study, task).axis("nothing") is None


def test_how_heads_differ_is_drawn_beside_heads_made_by_hand(studies):
    """These once, hollow; what was not measured, the edges of lookups, not at all."""
    study = studies["structure"]
    label = study.experiment.tasks["lookups"].label
    drawn = [ax for ax in figures.main(study).axes if ax.get_title(loc="left").startswith(label)]
    means = [line for line in drawn[0].lines if line.get_marker() not in ("|", "None")]
    hollow = [line.get_xdata()[0] for line in means if line.get_markerfacecolor() == "white"]
    assert len(drawn) == 1 and hollow == [1.0, 0.0, 0.0, 1.0]
    assert len(means) == len(hollow) + 3 * len(study.experiment.arms)


def test_a_figure_that_can_not_be_drawn_is_refused():
    experiment = experiments.load("text")
    for figure, words in [
        ({"knd": "arms"}, "unknown 'knd'; known are kind, task, arms, metric"),
        ({"kind": "pie"}, "figure.kind 'pie'; known are .*arms, slices"),
        ({"kind": ["arms", "arm_style"]}, "figure.kind 'arm_style'"),  # a function of another module is no kind
        ({"kind": "slices"}, "needs figure.slice"),
        ({"kind": "tags", "x": "layers"}, "tags needs figure.series"),
        ({"kind": "arms", "slice": "length"}, "unknown 'slice'"),  # a key of another kind
        ({"task": "wikitext3"}, "figure.task 'wikitext3'; text has "),
        ({"arms": ["lstmm"]}, "figure.arms 'lstmm'; text has "),
    ]:
        experiment.figure = figure
        with case(figure), pytest.raises(ValueError, match=f"^[^\n]*{words}[^\n]*$"):
            figures.check(experiment)


def test_a_slice_that_no_run_has_is_refused(studies):
    study = studies["distance"]
    declared = dict(study.experiment.figure)
    study.experiment.figure = {**declared, "slice": "distnace"}
    try:
        with pytest.raises(ValueError, match=r"figure.slice 'distnace'; the runs of distance have .*distance"):
            figures.main(study)
    finally:
        study.experiment.figure = declared


def test_what_a_target_took_is_drawn_for_tasks_that_have_one(studies):
    study = studies["text"]
    titles = " ".join(" ".join(ax.get_title(loc="left").split()) for ax in figures.main(study).axes)
    for task in (study.experiment.tasks[name] for name in study.trained_tasks):
        assert (f"{task.label} seconds to the target" in titles) == (task.target is not None)


def test_every_kind_says_what_it_draws():
    assert {"arms", "slices", "tags", "splits", "structure", "maps", "alignments"} <= figures.known().keys()
    assert all(kind.__doc__ for kind in figures.known().values())


def _points(figure, ax):
    """Where the marks of a panel lie in the picture."""
    figure.canvas.draw()
    lines = [line for line in ax.lines if line.get_marker() not in ("None", "|")]
    return [tuple(line.get_transform().transform(xy)) for line in lines for xy in line.get_xydata()]


@pytest.mark.parametrize("spread", [0.0, 0.5, 1.0])
def test_names_of_rows_keep_off_what_they_name(spread):
    """Wherever the marks lie, whichever are first."""
    names = [f"an arm with a long name, number {i}" for i in range(10)]

    def draw(ax):
        for y in range(len(names)):
            ax.plot([spread * y / 10], [y], "o", ms=5.5)
        style.name_rows(ax, names)
        ax.set_xlim(-0.03, 1.03)

    figure = style.assemble(experiments.load("tying"), [[style.Panel(draw, height=style.named_rows(len(names)))]])
    ax, points = figure.axes[0], _points(figure, figure.axes[0])
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == len(names) and not any(box.padded(2).contains(x, y) for box in boxes for x, y in points)
    assert all(up.y0 >= down.y1 for up, down in zip(boxes, boxes[1:], strict=False))


@pytest.mark.parametrize(("low", "high"), [(0.81, 0.83), (1, 3), (2, 90), (1e3, 1e12)])
def test_a_logarithmic_axis_has_numbers_however_little_it_spans(low, high):
    def draw(ax):
        ax.plot([1, 2], [low, high])
        ax.set_yscale("log")
        style.log_ticks(ax.yaxis)

    figure = style.assemble(experiments.load("tying"), [[style.Panel(draw)]])
    figure.canvas.draw()
    bottom, top = figure.axes[0].get_ylim()
    ticks = zip(figure.axes[0].get_yticks(), figure.axes[0].get_yticklabels(), strict=True)
    shown = [label.get_text() for at, label in ticks if bottom <= at <= top]
    assert len(shown) >= 2 and len(set(shown)) == len(shown) and all(shown)


def test_the_legend_names_the_curves_that_are_drawn_and_no_others():
    experiment = experiments.load("tying")
    [first, second] = [arm.label for arm in experiment.arms.values()][:2]
    panels = [style.Panel(lambda ax: ax.plot([1], [1], label=second)), style.Panel(lambda ax: ax.plot([1], [1], label=first))]
    [legend] = style.assemble(experiment, [panels]).legends
    assert [text.get_text() for text in legend.get_texts()] == [first, second]


def test_each_panel_has_its_own_legend_where_one_shows_few_of_all_curves():
    experiment = experiments.load("tying")
    labels = [arm.label for arm in experiment.arms.values()][:3]

    def draw(ax, names):
        for name in names:
            ax.plot([1], [1], label=name)

    shown = [labels, labels[2:], []]
    figure = style.assemble(experiment, [[style.Panel(partial(draw, names=names)) for names in shown]])
    legends = [ax.get_legend() for ax in figure.axes]
    assert not figure.legends and legends[2] is None
    assert [[text.get_text() for text in legend.get_texts()] for legend in legends[:2]] == shown[:2]
    figure.canvas.draw()
    boxes = [(legend.get_window_extent(), ax.xaxis.get_label()) for legend, ax in zip(legends[:2], figure.axes, strict=False)]
    assert all(0 <= box.y0 and box.y1 <= label.get_window_extent().y0 for box, label in boxes)


def test_panels_that_belong_together_start_a_row():
    for groups, rows in [
        ("a b c d", "ab cd"),
        ("a b c d e", "abc de"),
        ("abcd efgh i j k", "ab cd ef gh ij k"),
        ("abcde f gh", "abc de f gh"),
    ]:
        assert style.in_rows([list(group) for group in groups.split()]) == [list(row) for row in rows.split()]


def test_costs_have_ticks_where_they_were_measured_and_powers_raised(studies):
    study = studies["window"]
    measured = {
        float(x)
        for seeds in study.verdict.values()
        for r in seeds.values()
        for x in r["slices"].get("cost", {}).get("length", {})
    }
    ax = next(ax for ax in figures.main(study).axes if ax.get_title(loc="left") == "Time, one layer")
    assert measured and set(ax.get_xticks()) == measured
    assert {text.get_text() for text in ax.texts} == {"$n^{1.00}$", "$n^{2.00}$"}


def test_a_panel_without_learning_rates_says_whose_it_takes(studies):
    study = studies["keyvalue"]
    tasks = study.experiment.tasks
    said = [" ".join(text.get_text().split()) for ax in training(study).axes for text in ax.texts]
    assert said.count(f"the rates chosen for {tasks['mqar'].label}") == sum(task.rate_of == "mqar" for task in tasks.values())


def test_a_task_without_verdict_runs_shows_its_learning_rates(studies):
    study = studies["translation"]
    rates, _, curves, _ = training(study).axes
    assert study.trained_tasks == ["de_en"] and list(study.experiment.tasks)[0] == "third"
    chosen = [line for line in rates.lines if line.get_markerfacecolor() != "white"]
    assert len(chosen) == len(study.experiment.sizes("core").arms)
    assert not curves.lines and [text.get_text() for text in curves.texts] == ["learning rates are chosen\nhere, no more"]


def row(claim, part, effect, low, high, verdict="supported"):
    """A row of a contrast that is measured in hundredths."""
    found = {"effect": effect, "low": low, "high": high, "margin": 0.01}
    return Row(claim, part, part, verdict, part, **found, metric="test.accuracy", rule="better")


def test_the_forest_fits_a_page_and_has_arrows_where_it_is_cut():
    rows = [
        row(f"C{i // 4}", f"part {i} of its claim, in some more words than one line holds", 0.02, 0.01, 0.03) for i in range(60)
    ]
    rows[0] = row("C0", "far", 5.0, 0.01, 9.0)
    rows[1] = row("C0", "wide", 0.0, -5.0, 5.0, "inconclusive")
    figure = forest(Verdicts("core", rows, [], {}), {"C7": "What the seventh says."})
    assert figure.get_figwidth() * 110 <= 900 and len(figure.axes) == 2
    arrows = [line.get_marker() for ax in figure.axes for line in ax.lines if line.get_marker() in ("<", ">")]
    assert arrows == [">", "<", ">"]
    names = " ".join(text.get_text() for ax in figure.axes for text in ax.texts)
    assert all(f"part {i} of its claim" in names for i in range(2, 60)) and "holds" in names and "…" not in names
    assert "C7  What the seventh says." in names
