"""Figures of an experiment as PNG and SVG, drawn from records as its declaration asks; matplotlib comes in here only.

``figure`` of a declaration: ``kind`` (one, or a list; default arms) is how each task is drawn:
    arms     each arm's score with its interval, each seed a dash
    slices   score against the values of ``slice`` (distance, length, position, ...; of a list the first that a task
             has), for ``task`` (one, or a list) or every task that has them; ``reach: true`` draws each arm's
             theoretical reach in, ``over_reach: true`` divides the axis by it, ``trained: true`` goes on past the
             longest training length and marks it
    tags     score against the arms' tag ``x``, one curve per value of their tag ``series``; ``shared: {arm: [values]}``
             lets an arm stand on further curves, too
    splits   score against the arms' tag ``x``, one curve per entry of ``splits: {split: words}``: test, train, validation, or
             best, the best look at validation on the way
    shares   the share of a cell's runs that converge, tuning runs at every rate included, against the same two tags
    structure  how many gold edges a head finds, and what cutting them costs (of runs with ``evaluation.structure=true``)
    maps     the chosen head's attention map of one sequence, its gold edges framed: a panel for each task and arm
    alignments  where each arm's attention looked while it wrote an answer to the test's first source; arms without one left out
    glimpses  where each arm looked in the test's first images, from the first place (hollow) to the last
    to_samples | to_multiply_adds | to_seconds | to_steps   what each run took to the task's target; hollow: it never got there
Measurements of cost are drawn against what they vary, with their exponents: ``quantities`` (default: multiply_adds,
seconds) of a layer, the time of a step of decoding; a ring marks where ``against`` (an arm) starts or ceases to cost less.
Further keys: ``metric`` (default: the task's; for tags also the path of a record's field), ``x_label``, ``x_scale``
(linear | log), ``arms`` (draw these only), ``cost: true`` (a panel of counted multiply-adds). What can't be drawn as
asked, and with ``task`` every other task, is drawn as arms, so an experiment needs no figure code.
The same input gives the same bytes.
"""

from __future__ import annotations

import math
import multiprocessing
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from analysis.claims import Metric
from analysis.effort import QUANTITIES, effort
from analysis.results import Results as Study
from analysis.statistics import crossings, growth, mean_interval, ratio_interval, share_interval
from analysis.tables import AXES, CUT, margin_unit, measured_rows, slices, tells_chance
from analysis.values import measure
from analysis.verdicts import Verdicts
from study import pictures
from study.experiments import Experiment
from study.records import Record

Panel = Callable[[Any], None]  # draws into the axes it is given

COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#000000",
    "#e69f00",
    "#56b4e9",
    "#7a7a7a",
    "#8b5a2b",
    "#6a3d9a",
    "#b22222",
    "#556b2f",
)
LONGEST_NAME = 9  # letters of a token beside an alignment
NAME_HEIGHT = 0.055  # of a curve's name, as a share of its panel
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
MARKERS = "osD^vPX*<>ph"
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (5, 2, 1, 2)), (0, (8, 2)), (0, (2, 2)))
VERDICT_COLOURS = {"supported": "#1b7f4d", "contradicted": "#b3261e", "inconclusive": "#7a7a7a"}
KEYS = {
    "kind",
    "task",
    "slice",
    "metric",
    "reach",
    "over_reach",
    "trained",
    "x",
    "series",
    "shared",
    "x_label",
    "x_scale",
    "arms",
    "cost",
    "splits",
    "quantities",
    "against",
}

RC = {
    "font.family": pictures.FAMILY,
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titley": 1.0,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.bottom": False,
    "ytick.left": False,
    "path.simplify": True,
}


def main(study: Study, metrics: Mapping[str, Metric]) -> Any | None:
    """The figure made for the experiment's question; None where nothing has been run."""
    panels = _panels(study, metrics)
    if not panels:
        return None
    keys = study.experiment.figure
    arms = _arms_to_show(study, keys)
    if _kinds(keys) == ["splits"]:  # curves have names of their own
        return _assemble(study, panels, [], entries=len(keys["splits"]))
    if set(_kinds(keys)) <= {"tags", "shares"}:
        return _assemble(study, panels, [], entries=len({name for arm in arms for name in _series(study, arm, keys)}))
    return _assemble(study, panels, arms)


def training(study: Study, metrics: Mapping[str, Metric]) -> Any | None:
    """Two rows: validation score against learning rate (the chosen one filled), and learning curves."""
    tasks = [task for task in study.trained_tasks if _run_arms(study, task, tuning=True)]
    if not tasks:
        return None
    columns = min(len(tasks), 3)
    panels: list[Panel | None] = []
    for first in range(0, len(tasks), columns):
        row = tasks[first : first + columns]
        for draw in (_draw_rates, _draw_curves):
            panels += [
                partial(draw, study=study, task=task, metric=metrics[study.experiment.tasks[task].tuned_on]) for task in row
            ]
            panels += [None] * (columns - len(row))
    return _assemble(study, panels, list(study.experiment.arms), columns)


def forest(verdicts: Verdicts, metrics: Mapping[str, Metric]) -> Any | None:
    """Effects of the contrasts that decide claims, in units of their margin, claim by claim."""
    rows = [row for row in verdicts.rows if row.low is not None and row.counts]
    if not rows:
        return None
    with _style():
        figure, ax = _figure(1, 1, 10.0, 0.8 + 0.21 * len(rows), left=0.6, right=0.97, top_in=0.35, bottom_in=0.45)
        ax = ax[0]
        for y, row in enumerate(reversed(rows)):
            unit = margin_unit(row, metrics)
            low, high, mid = (max(-CUT, min(CUT, value / unit)) for value in (row.low or 0, row.high or 0, row.effect or 0))
            colour = VERDICT_COLOURS.get(row.verdict, "#7a7a7a")
            ax.plot([low, high], [y, y], color=colour, lw=1.6, solid_capstyle="butt")
            marker = {"supported": "o", "contradicted": "X"}.get(row.verdict, "D")
            ax.plot([mid], [y], marker, color=colour, ms=4.5, mfc=colour if row.verdict != "inconclusive" else "white")
        ax.set_yticks(range(len(rows)), [_short(f"{row.claim}  {row.statement}", 105) for row in reversed(rows)], fontsize=7)
        ax.set_ylim(-0.7, len(rows) - 0.3)
        ax.set_xlim(-1.05 * CUT, 1.05 * CUT)
        ax.axvspan(-1, 1, color="#000000", alpha=0.07, lw=0)
        ax.axvline(0, color="#000000", lw=0.7)
        ax.grid(axis="y", visible=False)
        ax.set_xlabel(f"effect in units of its margin (grey: within the margin; cut at {CUT:g})")
        ax.set_title("● supported   ✖ contradicted   ◇ inconclusive", fontsize=8, fontweight="normal")
    return figure


def save(figure: Any, path: Path) -> None:
    """``path`` with .svg and, where it can show all text, .png, without dates, so that the same figure is the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _style():
        shows_all = pictures.fit_fonts(figure)
        short = re.sub(r"<[^>]*>", _shortened, pictures.svg(figure))
        path.with_suffix(".svg").write_text(short, encoding="utf-8")
        if shows_all:
            figure.savefig(path.with_suffix(".png"), format="png", dpi=110, metadata={"Software": None})
        else:
            path.with_suffix(".png").unlink(missing_ok=True)


def write(folder: Path, study: Study, metrics: Mapping[str, Metric]) -> list[Path]:
    """``<experiment>`` and ``<experiment>_training``; returns the SVG files written."""
    written = []
    for suffix, draw in (("", main), ("_training", training)):
        if (figure := draw(study, metrics)) is not None:
            path = folder / f"{study.experiment.name}{suffix}"
            save(figure, path)
            written.append(path.with_suffix(".svg"))
    return written


def write_all(folder: Path, studies: Sequence[Study], metrics: Mapping[str, Metric], verdicts: Verdicts | None = None) -> None:
    """``write`` for each study, and ``verdicts`` as a forest where they are given.

    In two processes where the system can fork: drawing is most of the analysis' time.
    """
    jobs: list[Callable[[], object]] = [partial(write, folder, study, metrics) for study in studies]
    if verdicts is not None:
        jobs.insert(0, partial(_write_forest, folder, verdicts, metrics))  # the longest first
    if len(jobs) < 3 or "fork" not in multiprocessing.get_all_start_methods():
        for job in jobs:
            job()
        return
    import matplotlib.backends.backend_agg
    import matplotlib.backends.backend_svg
    import matplotlib.figure  # noqa: F401 (loaded once, before the fork)

    with multiprocessing.get_context("fork").Pool(2, _inherit, (jobs,)) as pool:
        pool.map(_do, range(len(jobs)), chunksize=1)


_inherited: list[Callable[[], object]] = []


def _inherit(jobs: list[Callable[[], object]]) -> None:
    """Takes over the jobs with all their records in a forked process, where nothing has to be pickled."""
    _inherited[:] = jobs


def _do(index: int) -> None:
    _inherited[index]()


def _write_forest(folder: Path, verdicts: Verdicts, metrics: Mapping[str, Metric]) -> None:
    if (figure := forest(verdicts, metrics)) is not None:
        save(figure, folder / "verdicts")


def check(experiment: Experiment) -> None:
    """Refuse a ``figure`` that nothing can be drawn from. Raises ``ValueError`` naming the keys that would do."""
    node, where = experiment.figure, f"{experiment.source}: figure"
    if unknown := [key for key in node if key not in KEYS]:
        raise ValueError(f"{where}: unknown {', '.join(map(repr, unknown))}; known are {', '.join(sorted(KEYS))}")
    for kind in _kinds(node):
        if kind not in PANELS:
            raise ValueError(f"{where}.kind {kind!r}; known are {', '.join(PANELS)}")
        if kind == "slices" and "slice" not in node:
            raise ValueError(f"{where}.kind slices needs figure.slice, such as distance")
        if kind in ("tags", "shares") and not {"x", "series"} <= node.keys():
            raise ValueError(f"{where}.kind {kind} needs figure.x and figure.series, two tags of the arms")
        if kind == "splits" and not {"x", "splits"} <= node.keys():
            raise ValueError(f"{where}.kind splits needs figure.x, a tag of the arms, and figure.splits, {{test: words}}")


def _kinds(node: Mapping[str, Any]) -> list[str]:
    kind = node.get("kind", "arms")
    return [kind] if isinstance(kind, str) else list(kind)


def _panels(study: Study, metrics: Mapping[str, Metric]) -> list[Panel]:
    check(study.experiment)
    keys = study.experiment.figure
    panels: list[Panel] = []
    for task in study.trained_tasks:
        if not _run_arms(study, task):
            continue
        named = keys.get("task", task)
        meant = task in ([named] if isinstance(named, str) else named)
        axis = _axis(study, task, keys.get("slice", []))
        kinds = [kind if meant and (kind != "slices" or axis) else "arms" for kind in _kinds(keys)]
        own = study.experiment.tasks[task].metric
        asked = keys.get("metric", own)
        shown = {"shares": "converged", "tags": asked.rpartition(".")[2]}
        other = own if "." in asked else asked
        for kind in dict.fromkeys(kinds):
            measured = metrics[shown.get(kind, other)]
            view = {**keys, "slice": axis}
            views = [view]
            if kind in ("maps", "alignments", "glimpses"):
                shown_by: dict[str, Callable[..., Any]] = {"alignments": _written, "glimpses": _looked}
                arms = [arm for arm in _run_arms(study, task) if kind == "maps" or shown_by[kind](study, arm, task)]
                views = [{**view, "arms": [arm]} for arm in arms]
            panels += [partial(PANELS[kind], study=study, task=task, keys=view, metric=measured) for view in views]
    if keys.get("cost") and panels:
        panels.append(partial(_draw_cost, study=study, keys=keys))
    panels += _measured_panels(study, keys)
    return panels


def _measured_panels(study: Study, keys: Mapping[str, Any]) -> list[Panel]:
    """One per task, axis and quantity that a measurement of cost has, where the axis moves any arm's at all."""
    curves: dict[tuple[str, tuple[str, str], str], list[Mapping[str, Any]]] = {}
    for row in measured_rows(study):
        quantities = keys.get("quantities", ("multiply_adds", "seconds")) if row["split"] == "cost" else ("seconds",)
        for quantity in quantities:
            if row[quantity]:
                curves.setdefault((row["task"], (row["split"], row["axis"]), quantity), []).append(row)
    against = keys.get("against")
    return [
        partial(_draw_measured, study=study, rows=rows, axis=axis, quantity=quantity, against=against)
        for (_, axis, quantity), rows in curves.items()
        if len({(row["arm"], row[quantity]) for row in rows}) > len({row["arm"] for row in rows})
    ]


def _draw_arms(ax: Any, study: Study, task: str, keys: Mapping[str, Any], metric: Metric) -> None:
    arms = [arm for arm in _arms_to_show(study, keys) if arm in study.experiment.tasks[task].arms]
    labels = []
    for y, arm in enumerate(reversed(arms)):
        scores = _scores(study, arm, task, f"test.{metric.name}")
        mean, low, high = mean_interval(scores)
        label = study.experiment.arms[arm].label + ("" if scores else ": no score")
        labels.append((y, mean, label))
        if mean is None:
            continue
        colour, marker, _ = _look(study, arm)
        ax.plot(scores, [y] * len(scores), "|", color=colour, ms=6, alpha=0.6)
        if low is not None:
            ax.plot([low, high], [y, y], color=colour, lw=1.6)
        ax.plot([mean], [y], marker, color=colour, ms=5.5)
    ax.set_yticks([])
    ax.set_ylim(-0.8, len(arms) - 0.4)
    if metric.percent:
        ax.set_xlim(-0.03, 1.03)
        ax.set_xticks(SHARES)
    chance = _chance(study, task)
    if chance is not None and ax.get_xlim()[0] <= chance <= ax.get_xlim()[1]:
        ax.axvline(chance, color="#555555", lw=0.9, ls=(0, (1, 2)))
        ax.text(chance, 0, " chance", transform=ax.get_xaxis_transform(), fontsize=7, va="bottom", color="#555555")
    middle = sum(ax.get_xlim()) / 2
    for y, mean, label in labels:  # inside the panel, on the side where the dot is not
        left = mean is None or mean > middle
        at, side = (0.01, "left") if left else (0.99, "right")
        ax.text(at, y, label, transform=ax.get_yaxis_transform(), fontsize=7, color="#333333", ha=side, va="center")
    ax.set_xlabel(_score_label(metric))
    ax.set_title(study.experiment.tasks[task].label)


def _draw_slices(ax: Any, study: Study, task: str, keys: Mapping[str, Any], metric: Metric) -> None:
    axis, relative = keys["slice"], keys.get("over_reach", False)
    splits = ["test", "out"] if keys.get("trained") else ["test"]
    longest, reaches = 0.0, {}
    for arm in _arms_to_show(study, keys):
        records = list(study.seeds((arm, task)).values())
        found = slices(records, metric.name)
        reach = next((r.get("reach") for r in records if r["status"] == "finished"), None)
        values: dict[float, list[float]] = {}
        for split in splits:
            values |= {x: v for x, v in found.get((split, axis), {}).items() if x not in values}
        longest = max([longest, *found.get(("test", axis), {})])
        if not values:
            continue
        if reach is not None and not relative:
            reaches[arm] = reach
        divisor = 1
        if relative:
            if not reach:
                mean = mean_interval(_scores(study, arm, task, f"test.{metric.name}"))[0]
                colour, _, line = _look(study, arm)
                if mean is not None:  # no reach to divide by: its score at any distance
                    ax.axhline(mean, color=colour, ls=line, lw=1.2)
                continue
            divisor = reach
        xs = [x / divisor for x in values]
        stats = [mean_interval(scores) for scores in values.values()]
        colour, marker, line = _look(study, arm)
        every = max(1, len(xs) // 8)
        offset = list(study.experiment.arms).index(arm) % every
        ax.plot(xs, [s[0] for s in stats], color=colour, ls=line, marker=marker, markevery=(offset, every))
        if all(s[1] is not None for s in stats) and len(xs) > 1:
            ax.fill_between(xs, [s[1] for s in stats], [s[2] for s in stats], color=colour, alpha=0.13, lw=0)
    if keys.get("x_scale", "log" if relative or axis == "position" else "linear") == "log":
        ax.set_xscale("log", base=2)
        ax.minorticks_off()
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}" if x >= 1 else f"1/{1 / x:g}")
    _frame(ax, study, task, metric)
    if not metric.percent:
        ax.set_ylim(bottom=max(0.0, ax.get_ylim()[0]))  # no score is negative, whatever its interval
    if keys.get("reach"):
        _reaches(ax, study, reaches)
    if relative:
        ax.axvline(1, color="#000000", lw=0.8)
        ax.text(1, 1.0, " reach", transform=ax.get_xaxis_transform(), va="top", fontsize=7.5)
    if len(splits) > 1:
        ax.axvline(longest, color="#000000", lw=0.8, ls=(0, (4, 3)))
        ax.text(longest, 1.0, " longest in training", transform=ax.get_xaxis_transform(), va="top", fontsize=7.5)
    shown = keys.get("x_label") or (f"{axis} / reach" if relative else axis)
    ax.set_xlabel(f"{shown} (upright lines: theoretical reach)" if keys.get("reach") and reaches else shown)


def _draw_tags(ax: Any, study: Study, task: str, keys: Mapping[str, Any], metric: Metric) -> None:
    path = keys.get("metric", "")
    path = path if "." in path else f"test.{metric.name}"
    scores = {arm: _scores(study, arm, task, path) for arm in _arms_to_show(study, keys)}
    _draw_curves_of_tags(ax, study, task, keys, metric, scores, ratio_interval if metric.relative else mean_interval)


def _draw_shares(ax: Any, study: Study, task: str, keys: Mapping[str, Any], metric: Metric) -> None:
    arms = {arm: study.all_runs((arm, task)).values() for arm in _arms_to_show(study, keys)}
    found = {arm: [measure(record, metric.name) for record in records] for arm, records in arms.items()}
    shares = {arm: [value for value in values if value is not None] for arm, values in found.items()}
    _draw_curves_of_tags(ax, study, task, keys, metric, shares, share_interval)


def _draw_curves_of_tags(
    ax: Any,
    study: Study,
    task: str,
    keys: Mapping[str, Any],
    metric: Metric,
    found: Mapping[str, list[float]],
    interval: Callable[[Sequence[float]], tuple[float | None, float | None, float | None]],
) -> None:
    curves: dict[str, dict[float, list[float]]] = {}
    for arm, scores in found.items():
        tags = study.experiment.arms[arm].tags
        if keys["x"] in tags and scores:
            for series in _series(study, arm, keys):
                curves.setdefault(series, {})[float(tags[keys["x"]])] = scores
    _plot_curves(ax, study, task, keys, metric, curves, interval)


def _draw_splits(ax: Any, study: Study, task: str, keys: Mapping[str, Any], metric: Metric) -> None:
    arms = [arm for arm in _arms_to_show(study, keys) if keys["x"] in study.experiment.arms[arm].tags]
    curves: dict[str, dict[float, list[float]]] = {}
    for split, words in keys["splits"].items():
        for arm in arms:
            if scores := _scores(study, arm, task, f"{split}.{metric.name}"):
                curves.setdefault(words, {})[float(study.experiment.arms[arm].tags[keys["x"]])] = scores
    _plot_curves(ax, study, task, keys, metric, curves, mean_interval)


def _plot_curves(
    ax: Any,
    study: Study,
    task: str,
    keys: Mapping[str, Any],
    metric: Metric,
    curves: Mapping[str, dict[float, list[float]]],
    interval: Callable[[Sequence[float]], tuple[float | None, float | None, float | None]],
) -> None:
    log = keys.get("x_scale", "log") == "log"
    ticks = sorted({x for points in curves.values() for x in points})
    aside = 0.0 if log or not ticks else 0.01 * (ticks[-1] - ticks[0])
    for index, (series, points) in enumerate(curves.items()):
        xs = sorted(points)
        shown = [x * (1 + 0.04 * index) if log else x + aside * index for x in xs]  # side by side where curves share an x
        means = []
        for x, at in zip(xs, shown, strict=True):
            mean, low, high = interval(points[x])
            means.append(mean)
            ax.plot([at] * len(points[x]), points[x], "_", color=COLOURS[index], ms=7, alpha=0.6)
            if low is not None:
                ax.plot([at, at], [low, high], color=COLOURS[index], lw=1.2)
        ax.plot(shown, means, color=COLOURS[index], ls=LINES[index], marker=MARKERS[index], label=series)
    if log:
        ax.set_xscale("log", base=2)
        ax.minorticks_off()
    ax.set_xticks(ticks, [f"{x:g}" for x in ticks])
    _frame(ax, study, task, metric)
    ax.set_xlabel(keys.get("x_label", keys["x"]))


def _series(study: Study, arm: str, keys: Mapping[str, Any]) -> list[str]:
    """Names of the curves on which an arm stands."""
    return [str(study.experiment.arms[arm].tags.get(keys["series"], "")), *map(str, keys.get("shared", {}).get(arm, ()))]


def _draw_structure(ax: Any, study: Study, task: str, keys: Mapping[str, Any], metric: Metric) -> None:
    """Dots with intervals: first what is found, then what is lost."""
    words = {
        "gold": "gold edges found by one head",
        "gold_offset": "gold edges at one distance",
        "cut_gold": "accuracy lost: gold edge cut",
        "cut_random": "accuracy lost: another edge cut",
    }
    arms = [arm for arm in _arms_to_show(study, keys) if arm in study.experiment.tasks[task].arms]
    rows = [(name, arm) for name in words for arm in (arms[:1] if name == "gold_offset" else arms)]  # no model's doing
    for y, (name, arm) in enumerate(reversed(rows)):
        scores = _scores(study, arm, task, f"structure.{name}")
        mean, low, high = mean_interval(scores)
        colour, marker, _ = _look(study, arm)
        if mean is not None:
            ax.plot(scores, [y] * len(scores), "|", color=colour, ms=6, alpha=0.6)
            ax.plot([mean], [y], marker, color=colour, ms=5.5, mfc="white" if name == "gold_offset" else colour)
        if low is not None:
            ax.plot([low, high], [y, y], color=colour, lw=1.6)
        if arm == arms[0]:
            ax.text(0.5, y + 0.3, words[name], fontsize=7, color="#333333", ha="center", va="bottom")
    ax.set_yticks([])
    ax.set_ylim(-0.8, len(rows) + 0.2)
    ax.set_xlim(-0.05, 1.05)
    ax.set_xticks(SHARES)
    ax.set_xlabel("share")
    ax.set_title(study.experiment.tasks[task].label)


def _draw_map(ax: Any, study: Study, task: str, keys: Mapping[str, Any], metric: Metric) -> None:
    """One arm's. Queries downwards, keys to the right; the darker, the more weight. Of the first seed that has a map."""
    [arm] = keys["arms"]
    found = [(record.get("structure") or {}).get("example") for record in study.seeds((arm, task)).values()]
    example = next((one for one in found if one), None)
    ax.set_title(f"{task}, {study.experiment.arms[arm].label}")
    ax.set_xlabel("key (framed: gold)")
    ax.set_ylabel("query")
    ax.grid(visible=False)
    if example is None:
        ax.text(0.5, 0.5, "sequences too long for a picture", ha="center", fontsize=7, transform=ax.transAxes)
        return
    ax.imshow(example["map"], cmap="Greys", vmin=0, vmax=100, interpolation="nearest")
    for query, key in example["edges"]:
        ax.plot([key], [query], "s", mfc="none", mec=COLOURS[1], mew=0.9, ms=5)


def _written(study: Study, arm: str, task: str) -> Mapping[str, Any] | None:
    """An answer that the arm wrote, and where it looked: of the first seed that has one with weights."""
    written = (record.get("written", {}).get("test", {}) for record in study.seeds((arm, task)).values())
    samples = (sample for one in written for sample in one.get("samples", [])[:1])
    return next((sample for sample in samples if sample["weights"] and sample["output"]), None)


def _draw_alignment(ax: Any, study: Study, task: str, keys: Mapping[str, Any], metric: Metric) -> None:
    """One arm's. What it wrote downwards, the source to the right; the darker, the more weight."""
    [arm] = keys["arms"]
    sample = _written(study, arm, task)
    assert sample is not None
    ax.set_title(f"{task}, {study.experiment.arms[arm].label}", fontsize=8)
    ax.grid(visible=False)
    ax.imshow(sample["weights"], cmap="Greys", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    source, output = ([pictures.label(name[:LONGEST_NAME]) for name in sample[side]] for side in ("source", "output"))
    ax.set_xticks(range(len(source)), source, rotation=90, fontsize=5.5, parse_math=False)
    ax.set_yticks(range(len(output)), output, fontsize=5.5, parse_math=False)


def _looked(study: Study, arm: str, task: str) -> list[Mapping[str, Any]]:
    """Images and paths of the first seed that has them."""
    written = (record.get("written", {}).get("test", {}) for record in study.seeds((arm, task)).values())
    return next((one["glimpses"] for one in written if one.get("glimpses")), [])


def _draw_glimpses(ax: Any, study: Study, task: str, keys: Mapping[str, Any], metric: Metric) -> None:
    """One arm's: its images side by side, on each the path of its glimpses."""
    [arm] = keys["arms"]
    samples = _looked(study, arm, task)
    size = len(samples[0]["image"])
    ax.set_title(study.experiment.arms[arm].label)
    ax.grid(visible=False)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.imshow(np.hstack([sample["image"] for sample in samples]), cmap="Greys", vmin=0, vmax=160, interpolation="nearest")
    for number, sample in enumerate(samples):
        rows, columns = np.array(sample["path"]).clip(0, size).T
        columns = columns + number * size
        ax.plot(columns - 0.5, rows - 0.5, "-o", color=COLOURS[1], lw=1, ms=3)
        ax.plot(columns[:1] - 0.5, rows[:1] - 0.5, "o", color=COLOURS[1], mfc="white", ms=5)


def _draw_cost(ax: Any, study: Study, keys: Mapping[str, Any]) -> None:
    task = study.trained_tasks[0]
    arms = [arm for arm in _arms_to_show(study, keys) if study.seeds((arm, task))]
    for y, arm in enumerate(reversed(arms)):
        values = _scores(study, arm, task, "multiply_adds_per_token")
        ax.text(
            0.01,
            y + 0.18,
            study.experiment.arms[arm].label,
            transform=ax.get_yaxis_transform(),
            fontsize=7,
            color="#333333",
        )
        if values:
            colour, marker, _ = _look(study, arm)
            ax.plot([0, values[0] / 1e3], [y, y], color=colour, lw=1)
            ax.plot([values[0] / 1e3], [y], marker, color=colour)
    ax.set_yticks([])
    ax.set_ylim(-0.5, len(arms) - 0.2)
    ax.set_xlim(left=0)
    ax.set_xlabel("thousand multiply-adds per token, counted")
    ax.set_title("Cost")


def _draw_measured(
    ax: Any, study: Study, rows: Sequence[Mapping[str, Any]], axis: tuple[str, str], quantity: str, against: str | None
) -> None:
    """A cost against what it was measured over, both on log axes; each curve ends in its exponent."""
    name, letter, quantities = AXES[axis]
    words, scale, unit = quantities[quantity]
    curves = {arm: {row["value"]: row[quantity] * scale for row in rows if row["arm"] == arm} for arm in study.experiment.arms}
    ends = []
    for arm, curve in curves.items():
        if not curve:
            continue
        colour, marker, line = _look(study, arm)
        xs, ys = list(curve), list(curve.values())
        ax.plot(xs, ys, color=colour, ls=line, marker=marker)
        if grows := growth(letter, xs, ys, may_be_log=quantity == "hops"):
            ends.append((ys[-1], xs, grows, colour))
        if against in curves and arm != against and curves[against].keys() == curve.keys():
            for at in crossings(xs, list(curves[against].values()), ys):
                y = math.exp(np.interp(math.log(at), np.log(xs), np.log(ys)))
                ax.plot([at], [y], "o", ms=9, mfc="none", color=colour)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.minorticks_off()
    ax.xaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_major_formatter("{x:g}")
    _name_ends(ax, ends)
    whole = name == "size"  # of a model that sees images, not of a layer
    ax.set_xlabel(f"{ {'length': 'sequence ', 'size': 'image '}.get(name, '') }{name} {letter}{' in pixels' if whole else ''}")
    per = f"{unit} per {'image' if whole else 'sequence'}"
    ax.set_ylabel(unit if quantity in ("hops", "critical_path") or axis[0] == "decoding" else per)
    ax.set_title(f"{words[0].upper()}{words[1:]}, {'one image' if whole else 'one layer'}")


def _name_ends(ax: Any, ends: Sequence[tuple[float, Sequence[float], str, str]]) -> None:
    """Beside the end of each curve (its last y, its xs) on log axes what it is to be called; names keep off each other."""
    if not ends:
        return
    low, high = np.log(ax.get_ylim())
    first, reached = min(xs[0] for _, xs, _, _ in ends), max(xs[-1] for _, xs, _, _ in ends)
    ends = sorted(ends, key=lambda end: end[0])
    heights = [(math.log(y) - low) / (high - low) for y, *_ in ends]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + NAME_HEIGHT)
    heights[-1] = min(heights[-1], 1.0)
    for i in range(len(heights) - 2, -1, -1):
        heights[i] = min(heights[i], heights[i + 1] - NAME_HEIGHT)
    for height, (_, xs, name, colour) in zip(heights, ends, strict=True):
        at = (xs[-1], math.exp(low + height * (high - low)))
        ax.annotate(name, at, (6, 0), textcoords="offset points", fontsize=7, va="center", color=colour)
    ax.set_xticks([x for x in ax.get_xticks() if first <= x <= reached])
    ax.set_xlim(right=reached * (reached / first) ** 0.25)  # room for the names


def _draw_effort(ax: Any, study: Study, task: str, keys: Mapping[str, Any], metric: Metric, quantity: str) -> None:
    """What each run took to the task's target; one that never got there stands hollow where it ended."""
    from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator

    target = study.experiment.tasks[task].target
    arms = [arm for arm in _arms_to_show(study, keys) if arm in study.experiment.tasks[task].arms]
    for y, arm in enumerate(reversed(arms)):
        colour, marker, _ = _look(study, arm)
        records = study.seeds((arm, task)).values()
        for found in (effort(record, target, quantity) for record in records if target is not None):
            if found is not None:
                ax.plot([found.value], [y], marker, color=colour, mfc=colour if found.reached else "white")
        ax.text(0.01, y + 0.3, study.experiment.arms[arm].label, transform=ax.get_yaxis_transform(), fontsize=7)
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    ax.xaxis.set_major_locator(LogLocator() if high > 10 * low else MaxNLocator(4))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.minorticks_off()
    ax.set_yticks([])
    ax.set_ylim(-0.5, len(arms) - 0.2)
    found_by = (record.get("metric") for arm in arms for record in study.seeds((arm, task)).values())
    own = next(filter(None, found_by), metric.name)
    label = metric.label if own == metric.name else f"validation {own.replace('_', ' ')}"
    ax.set_xlabel(f"{quantity.replace('_', '-')} to {label} {target:g}\n(hollow: never reached)" if target else quantity)
    ax.set_title(study.experiment.tasks[task].label)


def _shortened(tag: re.Match[str]) -> str:
    """An SVG tag with its coordinates cut to hundredths of a point; text between tags stays as it is."""
    return re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0])


def _draw_rates(ax: Any, study: Study, task: str, metric: Metric) -> None:
    for arm in study.experiment.tasks[task].arms:
        by_rate: dict[float, list[float]] = {}
        for record in study.tuning.get((arm, task), []):
            score = measure(record, f"validation.{metric.name}")
            if score is not None:
                by_rate.setdefault(record["plan"]["rate"], []).append(score)
        if not by_rate:
            continue
        rates = sorted(by_rate)
        means = [sum(by_rate[rate]) / len(by_rate[rate]) for rate in rates]
        colour, marker, line = _look(study, arm)
        ax.plot(rates, means, color=colour, ls=line, marker=marker, mfc="white", lw=1.2)
        choice = study.choices.get((arm, task))
        if choice is not None and choice.rate in by_rate:
            ax.plot([choice.rate], [means[rates.index(choice.rate)]], marker, color=colour, ms=6)
    ax.set_xscale("log")
    ax.minorticks_off()
    rates = sorted({r["plan"]["rate"] for arm in study.experiment.tasks[task].arms for r in study.tuning.get((arm, task), [])})
    ax.set_xticks(rates, [f"{rate:g}" for rate in rates])
    _frame(ax, study, task, metric)
    ax.set_xlabel("learning rate (filled: chosen)")
    ax.set_ylabel(f"validation {_score_label(metric)}")


def _draw_curves(ax: Any, study: Study, task: str, metric: Metric) -> None:
    """Mean over verdict seeds; a run that stopped when it had solved the task keeps its last score."""
    key = f"validation_{metric.name}"
    for arm in study.experiment.tasks[task].arms:
        curves = [
            {row["step"]: row[key] for row in record.get("curve", []) if row.get(key) is not None}
            for record in study.seeds((arm, task)).values()
        ]
        curves = [curve for curve in curves if curve]
        if not curves:
            continue
        steps = sorted({step for curve in curves for step in curve})
        means = []
        for step in steps:
            held = [curve[max(s for s in curve if s <= step)] for curve in curves if min(curve) <= step]
            means.append(sum(held) / len(held))
        colour, marker, line = _look(study, arm)
        every = max(1, len(steps) // 6)
        ax.plot(steps, means, color=colour, ls=line, lw=1.2, marker=marker, ms=3.5, markevery=(0, every))
    _frame(ax, study, task, metric)
    ax.xaxis.get_major_locator().set_params(nbins=5)
    ax.set_title("")
    ax.set_xlabel("training steps")
    ax.set_ylabel(f"validation {_score_label(metric)}")


PANELS: dict[str, Callable[..., None]] = {
    "arms": _draw_arms,
    "slices": _draw_slices,
    "tags": _draw_tags,
    "splits": _draw_splits,
    "shares": _draw_shares,
    "structure": _draw_structure,
    "maps": _draw_map,
    "alignments": _draw_alignment,
    "glimpses": _draw_glimpses,
    **{f"to_{quantity}": partial(_draw_effort, quantity=quantity) for quantity in QUANTITIES},
}


def _assemble(
    study: Study, panels: Sequence[Panel | None], arms: Sequence[str], columns: int | None = None, entries: int = 0
) -> Any:
    """Panels in a grid over one legend: of the arms, or of the ``entries`` that the panels name by themselves."""
    columns = columns or (2 if len(panels) == 4 else min(len(panels), 3))
    rows = -(-len(panels) // columns)
    run = {arm for task in study.experiment.tasks for arm in _run_arms(study, task, tuning=True)}
    shown = [arm for arm in arms if arm in run]
    width = max(0.4 + 3.7 * columns, 5.4)
    entries = len(shown) or max(entries, 1)
    legend_columns = min(entries, int(width / 2.4))
    legend_height = 0.2 * -(-entries // legend_columns)
    with _style():
        from matplotlib.lines import Line2D

        figure, axes = _figure(rows, columns, width, 2.9 * rows + legend_height, bottom_in=0.5 + legend_height)
        for index, (ax, panel) in enumerate(zip_longest(axes, panels)):
            if panel is None:
                ax.set_visible(False)
                continue
            panel(ax)
            first = axes[index - index % columns]
            if ax is not first and ax.get_ylabel() == first.get_ylabel() and tuple(ax.get_yticks()) == SHARES:
                ax.set_ylabel("")  # said once a row
                ax.set_yticklabels([])
            box = ax.get_position()
            ax.xaxis.set_label_coords(0.5, -0.3 / (box.height * figure.get_figheight()))
            ax.yaxis.set_label_coords(-0.42 / (box.width * figure.get_figwidth()), 0.5)
        handles = []
        for arm in shown:
            colour, marker, line = _look(study, arm)
            handles.append(Line2D([], [], color=colour, marker=marker, ls=line, label=study.experiment.arms[arm].label))
        handles = handles or axes[0].get_legend_handles_labels()[0]
        if handles:
            figure.legend(handles=handles, loc="lower center", ncols=legend_columns, handlelength=3.5)
    return figure


def _figure(
    rows: int,
    columns: int,
    width: float,
    height: float,
    left: float | None = None,
    right: float | None = None,
    top_in: float = 0.3,
    bottom_in: float = 0.75,
) -> tuple[Any, list[Any]]:
    """A plain Figure (no pyplot, no state), its axes placed by inches: much faster than a layout engine."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    grid = figure.subplots(
        rows,
        columns,
        squeeze=False,
        gridspec_kw={
            "left": 0.62 / width if left is None else left,
            "right": 1 - 0.5 / width if right is None else right,
            "top": 1 - top_in / height,
            "bottom": bottom_in / height,
            "wspace": 0.32,
            "hspace": 0.45,
        },
    )
    return figure, list(grid.flat)


def _style() -> Any:
    import matplotlib

    return matplotlib.rc_context(RC)  # type: ignore[arg-type]


def _look(study: Study, arm: str) -> tuple[str, str, Any]:
    """Colour, marker and line of an arm: the same in every figure of its experiment, told apart in grey too."""
    index = list(study.experiment.arms).index(arm)
    return (
        COLOURS[index % len(COLOURS)],
        MARKERS[index % len(MARKERS)],
        LINES[(index + index // len(COLOURS)) % len(LINES)],
    )


def _reaches(ax: Any, study: Study, reaches: Mapping[str, int]) -> None:
    """A tick on the upper edge and a thin line where each arm's reach ends."""
    low, high = ax.get_xlim()
    for arm, reach in reaches.items():
        if low <= reach <= high:
            colour, marker, line = _look(study, arm)
            ax.axvline(reach + 0.5, color=colour, ls=line, lw=0.9, alpha=0.8)
            ax.plot([reach + 0.5], [1.0], marker, color=colour, transform=ax.get_xaxis_transform(), clip_on=False, ms=5)


def _frame(ax: Any, study: Study, task: str, metric: Metric) -> None:
    """Title, score axis and chance level of a panel with the score upright."""
    if metric.percent:
        ax.set_ylim(-0.03, 1.06)
        ax.set_yticks(SHARES)
    elif metric.relative:
        ax.set_yscale("log")
        ax.minorticks_off()
    else:
        ax.yaxis.get_major_locator().set_params(nbins=5)
    chance = _chance(study, task) if metric.name == study.experiment.tasks[task].metric else None
    low, high = ax.get_ylim()
    if chance is not None and low <= chance <= high:
        ax.axhline(chance, color="#555555", lw=0.9, ls=(0, (1, 2)))
        ax.text(1.01, chance, "chance", transform=ax.get_yaxis_transform(), fontsize=7, va="center", color="#555555")
    ax.set_ylabel(_score_label(metric))
    ax.set_title(study.experiment.tasks[task].label)


def _chance(study: Study, task: str) -> float | None:
    records = [r for arm in study.experiment.tasks[task].arms for r in study.seeds((arm, task)).values()]
    metric = study.experiment.tasks[task].metric
    return next((r["chance"] for r in records if r.get("chance") is not None and tells_chance(r, metric)), None)


def _scores(study: Study, arm: str, task: str, path: str) -> list[float]:
    return [value for record in study.seeds((arm, task)).values() if (value := measure(record, path)) is not None]


def _axis(study: Study, task: str, wanted: str | Sequence[str]) -> str | None:
    """The first of the slices wanted that a task's records have."""
    records: list[Record] = [r for arm in study.experiment.tasks[task].arms for r in study.seeds((arm, task)).values()]
    found = {axis for record in records for axes in record.get("slices", {}).values() for axis in axes}
    return next((axis for axis in ([wanted] if isinstance(wanted, str) else wanted) if axis in found), None)


def _run_arms(study: Study, task: str, tuning: bool = False) -> list[str]:
    """Arms with verdict records on a task (or, with ``tuning``, any records)."""
    arms = study.experiment.tasks[task].arms
    return [arm for arm in arms if study.seeds((arm, task)) or (tuning and study.tuning.get((arm, task)))]


def _arms_to_show(study: Study, keys: Mapping[str, Any]) -> list[str]:
    return [arm for arm in keys.get("arms", study.experiment.arms) if arm in study.experiment.sizes(study.tier).arms]


def _score_label(metric: Metric) -> str:
    return metric.label if metric.better == "higher" else f"{metric.label} (lower is better)"


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
