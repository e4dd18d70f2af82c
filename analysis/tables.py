"""Tables of an experiment: scores, training costs, learning rates, slices. One set of rows serves CSV, Markdown and the page.

Means only, each with its 95 % t interval over the verdict seeds, cut where the score's scale ends; nothing is selected on what
is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf, log
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import cost_tables, findings
from analysis.bleu import sentence_tables
from analysis.cells import best, cost_cells, floors, score_cells, untouched
from analysis.effort import QUANTITIES, Effort, effort, median, steps_to_90
from analysis.formats import as_csv, as_latex, as_markdown
from analysis.results import Cell, Results
from analysis.statistics import mean_interval
from analysis.values import collapsed, endings, layers, measure, revisions
from study.metrics import METRICS, Metric
from study.records import Record

TableRow = dict[str, Any]
Tables = dict[str, list[dict[str, str]]]  # cells by title

MATCHING = {
    "parameters": "arms match in parameters outside embeddings",
    "multiply_adds": "arms match in counted multiply-adds per token",
    "tied": "arms match in all parameters, embeddings included",
    "nothing": "arms are not matched",
}
NO_RUNS = "No runs on verdict seeds yet."
MEANS = "Means over verdict seeds with 95 % t intervals where these differ, cut where the scale ends; the best score in bold."
COSTS = ("peak_memory_bytes", "tokens_seen", "seconds")  # that vary from seed to seed


def main_rows(results: Results) -> list[TableRow]:
    """One row per (task, arm) of the tier, in the order of the declaration, also where nothing has been run."""
    return [_cell_row(results, cell) for cell in results.experiment.cells(results.tier) if results.is_trained(cell[1])]


def rate_rows(results: Results) -> list[TableRow]:
    """One row per (task, arm, learning rate): mean validation score of the tuning seeds, and which rate was chosen."""
    rows = []
    tuned = dict.fromkeys([*results.experiment.tuned_cells(results.tier), *results.tuning])
    for arm, task in tuned:
        metric = results.experiment.tasks[task].tuned_on
        choice = results.choices.get((arm, task))
        tuning = [
            (record["plan"]["rate"], record["status"], measure(record, f"validation.{metric}"))
            for record in results.tuning.get((arm, task), [])
        ]
        for rate, runs in pd.DataFrame(tuning, columns=["rate", "status", "score"]).groupby("rate"):
            scores = runs["score"].dropna().tolist()
            row: TableRow = {"task": task, "arm": arm, "rate": rate, "metric": metric}
            row |= {"mean_validation": mean_interval(scores)[0], "seeds": len(scores)}
            row |= {status: sum(runs["status"] == status) for status in ("diverged", "failed")}
            rows.append({**row, "chosen": choice is not None and choice.rate == rate})
    return rows


def slice_rows(results: Results) -> list[TableRow]:
    """One row per (task, arm, split, slice, value): the numbers behind the figures."""
    rows = []
    for arm, task in results.experiment.cells(results.tier):
        metric = results.experiment.tasks[task].metric
        records = results.seeds((arm, task)).values() if results.is_trained(task) else ()
        for (split, name), values in slice_scores(records, metric).items():
            for value, scores in values.items():
                row = {"task": task, "arm": arm, "split": split, "slice": name, "value": value, "metric": metric}
                rows.append({**row, **_interval("", scores, METRICS[metric]), "seeds": len(scores)})
    return rows


def slice_scores(records: Iterable[Record], metric: str) -> dict[tuple[str, str], dict[float, list[float]]]:
    """{(split, slice): {value: scores, one per run}} of finished runs."""
    found: dict[tuple[str, str], dict[float, list[float]]] = {}
    for record in records:
        for split, axes in record.get("slices", {}).items() if record["status"] == "finished" else ():
            for name, values in axes.items():
                for value, scores in values.items():
                    if scores.get(metric) is not None:
                        found.setdefault((split, name), {}).setdefault(float(value), []).append(scores[metric])
    return {key: dict(sorted(values.items())) for key, values in found.items()}


def provenance(results: Results) -> dict[str, str]:
    """What every table names: tier, seeds, device, revision, matching."""
    records = [record for seeds in results.verdict.values() for record in seeds.values()] or results.records
    devices = {_device(record["provenance"]) for record in records}
    return {
        "tier": results.tier,
        "seeds": " ".join(map(str, results.planned_seeds())),
        "tuning_seeds": " ".join(map(str, results.experiment.sizes(results.tier).tuning_seeds)),
        "device": " / ".join(sorted(filter(None, devices))),
        "revision": revisions(records),
        "matching": results.experiment.matching or _matching(records),
    }


def write(
    folder: Path, results: Results, published: Sequence[Mapping[str, Any]] = (), answers: Sequence[findings.Said] = ()
) -> None:
    """``<experiment>.csv``, ``.tex`` and ``.md`` (with the answers), and ``_rates``, ``_slices`` and ``_cost.csv``."""
    folder.mkdir(parents=True, exist_ok=True)
    source = provenance(results)
    named = {key: source[key] for key in ("tier", "device", "revision", "matching")}
    rows = main_rows(results)
    sheets: dict[str, Sequence[Mapping[Any, Any]]] = {"": rows, "_rates": rate_rows(results), "_slices": slice_rows(results)}
    if results.cost_tasks:
        sheets["_cost"] = cost_tables.measured(results).to_dict("records")
    for suffix, sheet in sheets.items():
        same = named | ({"tuning_seeds": source["tuning_seeds"]} if suffix == "_rates" else {})
        path = folder / f"{results.experiment.name}{suffix}.csv"
        path.write_text(as_csv({**row, **same} for row in sheet), encoding="utf-8")
    further = further_tables(results)
    texts = {"md": markdown(results, rows, further, published, answers), "tex": latex(results, rows, further)}
    for ending, text in texts.items():
        (folder / f"{results.experiment.name}.{ending}").write_text(text, encoding="utf-8")


def markdown(
    results: Results,
    rows: Sequence[TableRow],
    further: Tables,
    published: Sequence[Mapping[str, Any]],
    answers: Sequence[findings.Said],
) -> str:
    experiment, source = results.experiment, provenance(results)
    lines = [f"# {experiment.title}", "", experiment.question, ""]
    lines += [*(f"- **{answer.verdict}** ({answer.claim}): {answer.text}" for answer in answers), ""]
    lines += ["Made from these runs:", ""]
    lines += [f"- {key.replace('_', ' ')}: {value}" for key, value in source.items() if value]
    lines += [f"- runs: {results.summary()}", "", MEANS, ""]
    for task in results.trained_tasks:
        own = [row for row in rows if row["task"] == task]
        lines += [f"## {experiment.tasks[task].label}", ""]
        if untouched(own):
            lines += [NO_RUNS, "", *published_lines(results, task, published), ""]
            continue
        lines += as_markdown([score_cells(row) for row in own], best(own))
        lines += ["", floors(own), ""] if floors(own) else [""]
        lines += published_lines(results, task, published)
        lines += ["", *as_markdown([cost_cells(row) for row in own]), ""]
    for title, cells in further.items():
        lines += [f"## {title}", "", *as_markdown(cells), ""]
    return "\n".join(lines).replace("\n\n\n", "\n\n")


def latex(results: Results, rows: Sequence[TableRow], further: Tables) -> str:
    """The tables of ``markdown``, each under a comment that names it."""
    lines = [f"% {results.experiment.title}. {MEANS} Needs the package booktabs."]
    for task in results.trained_tasks:
        own = [row for row in rows if row["task"] == task]
        lines += ["", f"% {results.experiment.tasks[task].label}"]
        if untouched(own):
            lines += [f"% {NO_RUNS}"]
            continue
        lines += as_latex([score_cells(row) for row in own], best(own))
        lines += ["", *as_latex([cost_cells(row) for row in own])]
    for title, cells in further.items():
        lines += ["", f"% {title}", *as_latex(cells)]
    return "\n".join([*lines, ""])


def further_tables(results: Results) -> Tables:
    """What an experiment has to show beside its trained tasks, by title."""
    measured = {results.experiment.tasks[task].label: cost_tables.measured_cells(results, task) for task in results.cost_tasks}
    return measured | cost_tables.tables(results) | sentence_tables(results)


def tells_chance(record: Record, metric: str) -> bool:
    """Whether the chance level and the heuristic, said in the record's own metric, can be held against ``metric``."""
    own = record.get("metric")
    return metric == own or (metric, own) == ("token_accuracy", "accuracy")


def published_lines(results: Results, task: str, published: Sequence[Mapping[str, Any]]) -> list[str]:
    """Figures from elsewhere for one task of this tier, converted to its unit; then the size of the runs beside them."""
    lines: list[str] = []
    for entry in published:
        if (entry["experiment"], entry["task"]) == (results.experiment.name, task):
            value = f"{entry['value']:g} {entry['unit']}"
            if entry["unit"] == "nats per character":
                value = f"{entry['value'] / log(2):.2f} bits per character ({value})"
            lines.append(f"Published elsewhere, under its own recipe: {value}: {entry['setting']} ({entry['source']}).")
    return [*lines, sizes_line(results, task)] if lines else []


def sizes_line(results: Results, task: str) -> str:
    """How large the models of a task are here, and how long they train: what else sets them apart from published ones."""
    sizes = set()
    for arm in results.experiment.tasks[task].arms:
        for record in results.seeds((arm, task)).values():
            model, train = record["config"]["model"], record["config"]["train"]
            trained = f"at most {train['steps']} steps of {train['batch']} sequences"
            deep = "" if (count := layers(record)) is None else f"{count} layer{'s' * (count != 1)}, "
            sizes.add(f"{model['width']} wide, {deep}{trained}")
    return f"The size of the runs here: {'; '.join(sorted(sizes)) or 'none yet'}."


def _cell_row(results: Results, cell: Cell) -> TableRow:
    arm, task = cell
    experiment = results.experiment
    metric = experiment.tasks[task].metric
    records = list(results.verdict.get(cell, {}).values())
    test, out = _measured(records, f"test.{metric}"), _measured(records, f"out.{metric}")
    notes = sorted({r["notes"]["out"] for r in records if "out" in r.get("notes", {})})
    teacher_forced = [r for r in records if metric not in r.get("decoded", ())]  # which is what "solved" goes by
    solved = _measured(teacher_forced, "solved")
    ran: Any = next((r for r in records if r["status"] == "finished"), {})
    known: Mapping[str, Any] = ran
    if ran and not tells_chance(ran, metric):
        shuffled = ran.get("written", {}).get("test", {}).get("shuffled", {}).get(metric)
        known = {"heuristic": {"name": "the right answer to another source", "score": shuffled}} if shuffled is not None else {}
    heuristic = known.get("heuristic") or {}
    choice = results.choices.get(cell)
    row: TableRow = {"task": task, "arm": arm, "label": experiment.arms[arm].label, "metric": metric}
    row |= {"seeds": len(test), "planned": len(results.planned_seeds([cell])), **_interval("", test, METRICS[metric])}
    row |= {"out_seeds": len(out), **_interval("out_", out, METRICS[metric]), "out_note": " / ".join(notes)}
    row |= {
        "chance": known.get("chance"),
        "heuristic": heuristic.get("name", ""),
        "heuristic_score": heuristic.get("score"),
        "solved": int(sum(solved)),
        "of": len(solved),
        "steps_to_90": _median(steps_to_90(records), str) if solved else "",
        "parameters_embedding": ran.get("parameters", {}).get("embedding"),
        "parameters_other": ran.get("parameters", {}).get("other"),
        "ffn_width": ran.get("ffn_width"),
        "reach": ran.get("reach"),
    }
    row["multiply_adds_per_token"] = mean_interval(_measured(records, "multiply_adds_per_token"))[0]
    for key in COSTS:
        middle, low, high = mean_interval(_measured(records, key), bounds=(0.0, inf))
        row |= {key: middle, f"{key}_low": low, f"{key}_high": high}
    if any(declared.target is not None for declared in experiment.tasks.values()):
        row |= _effort(experiment.tasks[task].target, records)
    row["rate"] = choice.rate if choice else None
    row["rate_on_edge"] = choice is not None and choice.further is not None
    row |= {status: sum(record["status"] == status for record in records) for status in ("diverged", "failed")}
    row["missing"] = row["planned"] - len(records)
    row["ended"] = endings(records, experiment.tasks[task])
    row["collapsed"] = " ".join(str(record["plan"]["seed"]) for record in collapsed(records, f"test.{metric}"))
    row["tuning_failed"] = sum(r["status"] != "finished" for r in results.tuning.get(cell, []))
    row["differs"] = experiment.arms[arm].differs
    return row


def _measured(records: Iterable[Record], path: str) -> list[float]:
    return [value for record in records if (value := measure(record, path)) is not None]


def _interval(prefix: str, values: Sequence[float], metric: Metric) -> TableRow:
    found = mean_interval(values, bounds=metric.bounds)
    return dict(zip((f"{prefix}mean", f"{prefix}low", f"{prefix}high"), found, strict=True))


def _effort(target: float | None, records: Sequence[Record]) -> TableRow:
    """Medians of what it took to the target."""
    row: TableRow = {"target": target, "validated": next((r["metric"] for r in records if "metric" in r), "score")}
    for quantity in QUANTITIES:
        found = [] if target is None else [e for r in records if (e := effort(r, target, quantity)) is not None]
        row["reached"] = f"{sum(each.reached for each in found)} of {len(found)}" if found else ""
        row[f"{quantity}_to_target"] = _median(median(found), "{:.6g}".format)
    return row


def _median(middle: Effort | None, text: Callable[[float], str]) -> str:
    """``> x`` where fewer than half of the runs got there within x."""
    return "" if middle is None else f"{'' if middle.reached else '> '}{text(middle.value)}"


def _matching(records: Sequence[Record]) -> str:
    found = {record["config"].get("model", {}).get("match") for record in records} - {None}
    return " / ".join(MATCHING.get(word, word) for word in sorted(found))


def _device(source: Mapping[str, Any]) -> str:
    return ", ".join(str(source[key]) for key in ("device", "device_name", "dtype") if source.get(key))
