"""Tables of an experiment: scores, costs, learning rates, slices. One set of rows serves CSV, Markdown and the report.

Means only, each with its 95 % t interval over the verdict seeds; nothing is selected on what is reported.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from math import log
from pathlib import Path
from typing import Any

from analysis.bleu import paired_bootstrap
from analysis.claims import Metric
from analysis.effort import QUANTITIES, effort, median
from analysis.results import Cell
from analysis.results import Results as Study
from analysis.statistics import censored_median, crossings, growth, mean_interval
from analysis.values import measure
from analysis.verdicts import Row, as_cell, revisions
from study.records import Record

TableRow = dict[str, Any]

MATCHING = {
    "parameters": "arms match in parameters outside embeddings",
    "multiply_adds": "arms match in counted multiply-adds per token",
    "tied": "arms match in all parameters, embeddings included",
    "nothing": "arms are not matched",
}
MEASURED = {  # of one layer, per sequence, forward and backward or (what is counted) forward: words, scale, unit
    "multiply_adds": ("multiply-adds in closed form", 1e-6, "million"),
    "counted_multiply_adds": ("counted multiply-adds", 1e-6, "million"),
    "critical_path": ("critical path", 1, "operations"),
    "hops": ("hops", 1, "layers or steps"),
    "seconds": ("time", 1e3, "ms"),
    "bytes": ("memory kept for backward", 1e-6, "MB"),
}
DECODED = {  # of one step of one sequence
    "seconds": ("time of a step", 1e6, "microseconds"),
    "bytes": ("state", 1e-3, "kB"),
}
IMAGES = {key: MEASURED[key] for key in ("multiply_adds", "counted_multiply_adds", "seconds", "bytes")}  # of a model, per image
AXES = {  # of what is measured: how a slice is called, its letter, and its quantities
    ("cost", "length"): ("length", "n", MEASURED),
    ("cost", "width"): ("width", "d", MEASURED),
    ("cost", "size"): ("size", "s", IMAGES),
    ("decoding", "position"): ("position", "t", DECODED),
}
COSTS = ("multiply_adds_per_token", "peak_memory_bytes", "tokens_seen", "seconds")


def main_rows(study: Study) -> list[TableRow]:
    """One row per (task, arm) of the tier, in the order of the declaration, also where nothing has been run."""
    return [_cell_row(study, cell) for cell in study.experiment.cells(study.tier) if study.is_trained(cell[1])]


def measured_rows(study: Study) -> list[TableRow]:
    """One row per (task, arm, axis, value) of a measurement of cost: means over the seeds, which repeat it."""
    rows = []
    for arm, task in study.experiment.cells(study.tier):
        if study.is_trained(task):
            continue
        found = {key: slices(study.seeds((arm, task)).values(), key) for key in MEASURED}
        for axis in AXES:
            for value in found["seconds"].get(axis, {}):
                row: TableRow = {"task": task, "arm": arm, "label": study.experiment.arms[arm].label}
                row |= {"split": axis[0], "axis": axis[1], "value": int(value)}
                for key in MEASURED:
                    values = found[key].get(axis, {}).get(value, [])
                    row[key], row[f"{key}_low"], row[f"{key}_high"] = mean_interval(values)
                row["seeds"] = len(found["seconds"][axis][value])
                rows.append(row)
    return rows


def measured_cells(study: Study, task: str) -> list[dict[str, str]]:
    """What a layer costs at the largest value of each axis, and how that grows along it, one line per arm."""
    lines = []
    own = [row for row in measured_rows(study) if row["task"] == task]
    for label in dict.fromkeys(row["label"] for row in own):
        cells = {"arm": label, "seeds": str(max(row["seeds"] for row in own if row["label"] == label))}
        for (split, axis), (_, letter, quantities) in AXES.items():
            rows = [row for row in own if (row["label"], row["split"], row["axis"]) == (label, split, axis)]
            for key, (words, scale, unit) in quantities.items() if rows else ():
                if rows[-1][key] is not None:
                    value = f"{_shown(rows[-1][key] * scale)} {unit}"
                    grows = ", ".join(filter(None, (value, _grows(rows, letter, key))))
                    cells[f"{words} at {letter} = {rows[-1]['value']}"] = grows
        lines.append(cells)
    return lines


def growth_cells(study: Study) -> list[dict[str, str]]:
    """How each cost of a layer grows with length n and width d, over all tasks that measure it, one line per arm."""
    lines = []
    measured = measured_rows(study)
    for label in dict.fromkeys(row["label"] for row in measured):
        cells = {"arm": label}
        for key, (words, _, _) in MEASURED.items():
            grows = []
            for (split, axis), (_, letter, _) in AXES.items():
                along = [row for row in measured if (row["label"], row["split"], row["axis"]) == (label, split, axis)]
                if split == "cost" and (grown := _grows(along, letter, key)):
                    grows.append(grown if grown != "constant" else f"{letter}^0")
            cells[words] = "; ".join(grows)
        lines.append(cells)
    return lines


def crossover_cells(study: Study, arm: str) -> list[dict[str, str]]:
    """Where along length and width ``arm`` costs less than each other arm, in operations and in time."""
    lines = []
    curves: dict[tuple, dict[int, float]] = {}
    for row in measured_rows(study):
        for key in ("counted_multiply_adds", "seconds"):
            if row[key]:
                curves.setdefault((row["split"], row["axis"], key, row["arm"]), {})[row["value"]] = row[key]
    for other, label in {other: declared.label for other, declared in study.experiment.arms.items() if other != arm}.items():
        cells = {"arm": label}
        for (split, axis), (_, letter, quantities) in AXES.items():
            for key in ("counted_multiply_adds", "seconds"):
                own, others = (curves.get((split, axis, key, side), {}) for side in (arm, other))
                if len(at := sorted(own.keys() & others.keys())) > 1:
                    along = f"{quantities[key][0]}, along {letter}"
                    cells[along] = _where(letter, at, [own[x] for x in at], [others[x] for x in at])
        lines += [cells] if len(cells) > 1 else []
    return lines


def further_tables(study: Study) -> dict[str, list[dict[str, str]]]:
    """What an experiment has to show beside its arms task by task, by title."""
    return {**layer_tables(study), **sentence_tables(study)}


def layer_tables(study: Study) -> dict[str, list[dict[str, str]]]:
    """Tables over all measurements of cost together, by title; none where costs are measured along one axis only."""
    found = {}
    if len({row["axis"] for row in measured_rows(study) if row["split"] == "cost"}) > 1:
        found["Growth of a layer's costs with length n and width d"] = growth_cells(study)
    if (arm := study.experiment.figure.get("against")) and study.cost_tasks:
        found[f"Where {study.experiment.arms[arm].label} costs less"] = crossover_cells(study, arm)
    return found


def rate_rows(study: Study) -> list[TableRow]:
    """One row per (task, arm, learning rate): mean validation score of the tuning seeds, and which rate was chosen."""
    rows = []
    for cell in study.experiment.cells(study.tier):
        arm, task = cell
        metric = study.experiment.tasks[task].tuned_on
        choice = study.choices.get(cell)
        by_rate: dict[float, list[Record]] = {}
        for record in study.tuning.get(cell, []):
            by_rate.setdefault(record["plan"]["rate"], []).append(record)
        for rate, records in sorted(by_rate.items()):
            scores = [score for r in records if (score := measure(r, f"validation.{metric}")) is not None]
            rows.append(
                {
                    "task": task,
                    "arm": arm,
                    "rate": rate,
                    "metric": metric,
                    "mean_validation": mean_interval(scores)[0],
                    "seeds": len(scores),
                    "diverged": _count(records, "diverged"),
                    "failed": _count(records, "failed"),
                    "chosen": choice is not None and choice.rate == rate,
                }
            )
    return rows


def slice_rows(study: Study) -> list[TableRow]:
    """One row per (task, arm, split, slice, value): the numbers behind the figures."""
    rows = []
    for arm, task in study.experiment.cells(study.tier):
        if not study.is_trained(task):
            continue
        metric = study.experiment.tasks[task].metric
        for (split, name), values in slices(study.seeds((arm, task)).values(), metric).items():
            for value, scores in values.items():
                mean, low, high = mean_interval(scores)
                rows.append(
                    {
                        "task": task,
                        "arm": arm,
                        "split": split,
                        "slice": name,
                        "value": value,
                        "metric": metric,
                        "mean": mean,
                        "low": low,
                        "high": high,
                        "seeds": len(scores),
                    }
                )
    return rows


def slices(records: Iterable[Record], metric: str) -> dict[tuple[str, str], dict[float, list[float]]]:
    """{(split, slice): {value: scores, one per run}} of finished runs."""
    found: dict[tuple[str, str], dict[float, list[float]]] = {}
    for record in records:
        if record["status"] != "finished":
            continue
        for split, axes in record.get("slices", {}).items():
            for name, values in axes.items():
                for value, scores in values.items():
                    if scores.get(metric) is not None:
                        found.setdefault((split, name), {}).setdefault(float(value), []).append(scores[metric])
    return {key: dict(sorted(values.items())) for key, values in found.items()}


def provenance(study: Study) -> dict[str, str]:
    """What every table names: tier, seeds, device, revision, matching."""
    records = [record for seeds in study.verdict.values() for record in seeds.values()] or study.records
    sizes = study.experiment.sizes(study.tier)
    devices = {_device(record["provenance"]) for record in records}
    return {
        "tier": study.tier,
        "seeds": " ".join(map(str, study.planned_seeds)),
        "tuning_seeds": " ".join(map(str, sizes.tuning_seeds)),
        "device": " / ".join(sorted(filter(None, devices))),
        "revision": revisions(records),
        "matching": study.experiment.matching or _matching(records),
    }


def write(
    folder: Path,
    study: Study,
    metrics: Mapping[str, Metric],
    published: Sequence[Mapping[str, Any]] = (),
    reading: str = "",
) -> None:
    """``<experiment>.csv`` and ``.md`` (with a reading), ``<experiment>_rates.csv`` and ``<experiment>_slices.csv``."""
    folder.mkdir(parents=True, exist_ok=True)
    name = study.experiment.name
    source = provenance(study)
    rows = main_rows(study)
    named = {key: source[key] for key in ("tier", "device", "revision", "matching")}
    _write(folder / f"{name}.csv", as_csv({**row, **named} for row in rows))
    _write(folder / f"{name}.md", markdown(study, rows, metrics, published, reading))
    rates = {**named, "tuning_seeds": source["tuning_seeds"]}
    _write(folder / f"{name}_rates.csv", as_csv({**row, **rates} for row in rate_rows(study)))
    _write(folder / f"{name}_slices.csv", as_csv({**row, **named} for row in slice_rows(study)))
    if study.cost_tasks:
        _write(folder / f"{name}_cost.csv", as_csv({**row, **named} for row in measured_rows(study)))


def markdown(
    study: Study,
    rows: Sequence[TableRow],
    metrics: Mapping[str, Metric],
    published: Sequence[Mapping[str, Any]] = (),
    reading: str = "",
) -> str:
    source = provenance(study)
    lines = [f"# {study.experiment.title}", "", study.experiment.question, "", reading, ""]
    lines += [f"- {key.replace('_', ' ')}: {value}" for key, value in source.items() if value]
    lines += [f"- runs: {study.summary()}", "", "Means over the verdict seeds with 95 % t intervals.", ""]
    for task in study.trained_tasks:
        own = [row for row in rows if row["task"] == task]
        lines += [f"## {study.experiment.tasks[task].label}", ""]
        lines += _markdown_table([score_cells(row, metrics) for row in own])
        lines += ["", f"{floors(own, metrics)}", ""] if floors(own, metrics) else [""]
        lines += published_lines(study, task, published)
        lines += ["", *_markdown_table([cost_cells(row) for row in own]), ""]
    for task in study.cost_tasks:
        lines += [f"## {study.experiment.tasks[task].label}", "", *_markdown_table(measured_cells(study, task)), ""]
    for title, cells in further_tables(study).items():
        lines += [f"## {title}", "", *_markdown_table(cells), ""]
    return "\n".join(lines).replace("\n\n\n", "\n\n")


def score_cells(row: TableRow, metrics: Mapping[str, Metric]) -> dict[str, str]:
    """The cells of a score table as a person reads them."""
    metric = metrics[row["metric"]]
    cells = {
        "arm": row["label"],
        "seeds": f"{row['seeds']} of {row['planned']}",
        f"{metric.label}": with_interval(row["mean"], row["low"], row["high"], metric),
    }
    if row["out_mean"] is not None or row["out_note"]:
        scored = with_interval(row["out_mean"], row["out_low"], row["out_high"], metric)
        cells["longer than trained on"] = scored if row["out_mean"] is not None else "can't be scored"
    if row["of"]:
        cells["solved"] = f"{row['solved']} of {row['of']}"
        cells["median steps to 90 %"] = row["steps_to_90"] or "-"
    cells["lost runs"] = lost(row)
    cells["differs"] = row["differs"]
    return cells


def cost_cells(row: TableRow) -> dict[str, str]:
    to_target = {}
    if row.get("target") is not None:
        to_target = {f"reached validation {str(row['validated']).replace('_', ' ')} {row['target']:g}": row["reached"]}
        to_target |= {f"median {name.replace('_', '-')} to it": row[f"{name}_to_target"] for name in QUANTITIES}
    return {
        "arm": row["label"],
        "parameters (embedding + other)": _pair(row["parameters_embedding"], row["parameters_other"]),
        "feed-forward width": _whole(row["ffn_width"]),
        "multiply-adds per token": _whole(row["multiply_adds_per_token"]),
        "peak memory, MB": "" if row["peak_memory_bytes"] is None else f"{row['peak_memory_bytes'] / 1e6:.1f}",
        "tokens seen": _whole(row["tokens_seen"]),
        "seconds": "" if row["seconds"] is None else f"{row['seconds']:.1f}",
        "learning rate": "" if row["rate"] is None else f"{row['rate']:g}" + (" (edge)" if row["rate_on_edge"] else ""),
        **to_target,
    }


def _grows(rows: Sequence[TableRow], letter: str, key: str) -> str:
    known = [row for row in rows if row[key]]
    return growth(letter, [row["value"] for row in known], [row[key] for row in known], may_be_log=key == "hops")


def _where(letter: str, x: Sequence[int], a: Sequence[float], b: Sequence[float]) -> str:
    """Where ``a`` lies below ``b``, in words."""
    below, parts = a[0] < b[0], []
    for at in crossings(x, a, b):
        parts.append(f"up to {letter} = {at:.0f}" if below else f"from {letter} = {at:.0f}")
        below = not below
    return ", ".join(parts) or f"{'everywhere' if below else 'nowhere'} from {x[0]} to {x[-1]}"


def lost(row: TableRow) -> str:
    found = [f"{row[word]} {word}" for word in ("diverged", "failed", "missing") if row[word]]
    return ", ".join(found) or "none"


def floors(rows: Sequence[TableRow], metrics: Mapping[str, Metric]) -> str:
    """Chance level and trivial heuristic of a task, in one sentence."""
    known = next((row for row in rows if row["chance"] is not None or row["heuristic"]), None)
    if known is None:
        return ""
    metric, said = metrics[known["metric"]], []
    if known["chance"] is not None:
        said.append(f"Chance: {number(known['chance'], metric)}.")
    if known["heuristic"]:
        said.append(f"Trivial heuristic ({known['heuristic']}): {number(known['heuristic_score'], metric)}.")
    return " ".join(said)


def tells_chance(record: Record, metric: str) -> bool:
    """Whether the chance level and the heuristic, said in the record's own metric, can be held against ``metric``."""
    own = record.get("metric")
    return metric == own or (metric, own) == ("token_accuracy", "accuracy")


def sentence_tables(study: Study) -> dict[str, list[dict[str, str]]]:
    """Of each task whose records keep statistics of sentences: each arm's BLEU against that of the arm best on validation."""
    found = {}
    for task in study.trained_tasks:
        kept: dict[str, dict[int, Any]] = {}
        for arm in study.experiment.tasks[task].arms:
            for seed, record in study.seeds((arm, task)).items():
                if rows := record.get("written", {}).get("test", {}).get("statistics"):
                    kept.setdefault(arm, {})[seed] = rows
        if len(kept) < 2:
            continue
        best = study.best_arm(task, list(kept))
        if best is None:
            continue
        label = study.experiment.arms[best].label
        lines = []
        for arm in kept:
            if arm == best:
                continue
            cells = {"arm": study.experiment.arms[arm].label}
            for seed in sorted(kept[arm].keys() & kept[best].keys()):
                if len(kept[arm][seed]) != len(kept[best][seed]):
                    cells[f"seed {seed}"] = "scored on other sentences"
                    continue
                test = paired_bootstrap(kept[arm][seed], kept[best][seed])
                cells[f"seed {seed}"] = f"{test.difference:+.2f} [{test.low:+.2f}, {test.high:+.2f}], p = {test.p:.3f}"
            lines.append(cells)
        title = f"{study.experiment.tasks[task].label}: BLEU less that of {label}, sentences of the test resampled"
        found[title] = lines
    return found


def published_lines(study: Study, task: str, published: Sequence[Mapping[str, Any]]) -> list[str]:
    """Figures from elsewhere for one task of this tier, converted to its unit; then the size of the runs beside them."""
    lines: list[str] = []
    for entry in published:
        if (entry["experiment"], entry["task"]) == (study.experiment.name, task):
            value = f"{entry['value']:g} {entry['unit']}"
            if entry["unit"] == "nats per character":
                value = f"{nats_to_bits(entry['value']):.2f} bits per character ({value})"
            lines.append(f"Published elsewhere, under its own recipe: {value}: {entry['setting']} ({entry['source']}).")
    return [*lines, sizes_line(study, task)] if lines else []


def sizes_line(study: Study, task: str) -> str:
    """How large the models of a task are here, and how long they train: what else sets them apart from published ones."""
    sizes = set()
    for arm in study.experiment.tasks[task].arms:
        for record in study.seeds((arm, task)).values():
            model, train = record["config"]["model"], record["config"]["train"]
            trained = f"at most {train['steps']} steps of {train['batch']} sequences"
            layers = "" if record["kind"] == "images" else f"{model['layers']} layer{'s' * (model['layers'] != 1)}, "
            sizes.add(f"{model['width']} wide, {layers}{trained}")
    return f"The size of the runs here: {'; '.join(sorted(sizes)) or 'none yet'}."


def nats_to_bits(nats: float) -> float:
    return nats / log(2)


def number(value: float | None, metric: Metric) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f} %" if metric.percent else f"{value:.3f}"


def with_interval(mean: float | None, low: float | None, high: float | None, metric: Metric) -> str:
    if mean is None:
        return "-"
    if low is None or high is None:
        return number(mean, metric)
    scale, digits = (100, 1) if metric.percent else (1, 3)
    return f"{number(mean, metric)} [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"


def effect(row: Row, metrics: Mapping[str, Metric]) -> str:
    """A contrast's effect with its interval: points of 100 for shares, % for ratios, else the metric's own unit."""
    if row.effect is None:
        return ""
    scale, digits, unit = _unit(row, metrics)
    text = f"{scale * row.effect:+.{digits}f}{unit}"
    if row.low is not None and row.high is not None:
        text += f" [{scale * row.low:+.{digits}f}, {scale * row.high:+.{digits}f}]"
    return text


def asked(row: Row, metrics: Mapping[str, Metric]) -> str:
    """What the interval has to do for the contrast to hold: exceed a margin ("> 2"), or lie within it ("± 2")."""
    if row.margin is None or row.effect is None:
        return ""
    scale, *_ = _unit(row, metrics)
    return f"{'±' if row.rule == 'equivalent' else '>'} {scale * row.margin:g}"


def _unit(row: Row, metrics: Mapping[str, Metric]) -> tuple[float, int, str]:
    """(factor, digits, unit) that an effect is written with."""
    metric = metrics.get(row.metric.rpartition(".")[2])
    if row.rule == "solves":
        return 100.0, 0, " points"
    if row.rule == "slope":
        return 1.0, 2, ""
    if metric is not None and metric.relative:
        return 100.0, 1, " %"
    if metric is not None and metric.percent:
        return 100.0, 1, " points"
    return 1.0, 3, f" {metric.unit}" if metric is not None and metric.unit else ""


CUT = 6.0  # margins at which a plot of effects ends


def margin_unit(row: Row, metrics: Mapping[str, Metric]) -> float:
    """What an effect is measured in where effects of several metrics stand on one axis: its margin, else a tenth."""
    if row.margin:
        return abs(row.margin)
    metric = metrics.get(row.metric.rpartition(".")[2])
    return 0.1 if row.rule in ("slope", "solves") or metric is None else metric.margin or 0.1


def as_csv(rows: Iterable[TableRow]) -> str:
    listed = list(rows)
    text = io.StringIO()
    if listed:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(listed[0])
        writer.writerows([as_cell(value) for value in row.values()] for row in listed)
    return text.getvalue()


def _cell_row(study: Study, cell: Cell) -> TableRow:
    arm, task = cell
    experiment = study.experiment
    metric = experiment.tasks[task].metric
    records = list(study.verdict.get(cell, {}).values())
    planned = len(study.planned_seeds)
    test = [value for r in records if (value := measure(r, f"test.{metric}")) is not None]
    out = [value for r in records if (value := measure(r, f"out.{metric}")) is not None]
    notes = sorted({r["notes"]["out"] for r in records if "out" in r.get("notes", {})})
    teacher_forced = [r for r in records if metric not in r.get("decoded", ())]  # which is what "solved" goes by
    solved = [value for r in teacher_forced if (value := measure(r, "solved")) is not None]
    mean, low, high = mean_interval(test)
    out_mean, out_low, out_high = mean_interval(out)
    ran = next((r for r in records if r["status"] == "finished"), None)
    known: Mapping[str, Any] = ran or {}
    if ran and not tells_chance(ran, metric):
        shuffled = ran.get("written", {}).get("test", {}).get("shuffled", {}).get(metric)
        known = {"heuristic": {"name": "the right answer to another source", "score": shuffled}} if shuffled is not None else {}
    heuristic = known.get("heuristic") or {}
    choice = study.choices.get(cell)
    row: TableRow = {
        "task": task,
        "arm": arm,
        "label": experiment.arms[arm].label,
        "metric": metric,
        "seeds": len(test),
        "planned": planned,
        "mean": mean,
        "low": low,
        "high": high,
        "out_seeds": len(out),
        "out_mean": out_mean,
        "out_low": out_low,
        "out_high": out_high,
        "out_note": " / ".join(notes),
        "chance": known.get("chance"),
        "heuristic": heuristic.get("name", ""),
        "heuristic_score": heuristic.get("score"),
        "solved": int(sum(solved)),
        "of": len(solved),
        "steps_to_90": _median_steps(records) if solved else "",
        "parameters_embedding": (ran or {}).get("parameters", {}).get("embedding"),
        "parameters_other": (ran or {}).get("parameters", {}).get("other"),
        "ffn_width": (ran or {}).get("ffn_width"),
        "reach": (ran or {}).get("reach"),
    }
    for key in COSTS:
        row[key] = mean_interval([value for r in records if (value := measure(r, key)) is not None])[0]
    if any(declared.target is not None for declared in experiment.tasks.values()):
        row |= _effort(experiment.tasks[task].target, records)
    row["rate"] = choice.rate if choice else None
    row["rate_on_edge"] = choice is not None and choice.rate in (min(choice.curve), max(choice.curve)) and len(choice.curve) > 1
    row["diverged"] = _count(records, "diverged")
    row["failed"] = _count(records, "failed")
    row["missing"] = planned - len(records)
    row["tuning_lost"] = sum(r["status"] != "finished" for r in study.tuning.get(cell, []))
    row["differs"] = experiment.arms[arm].differs
    return row


def _effort(target: float | None, records: Sequence[Record]) -> TableRow:
    """Medians of what it took to the target, ``> x`` where fewer than half of the runs reached it within x."""
    row: TableRow = {"target": target, "validated": next((r["metric"] for r in records if "metric" in r), "score")}
    for quantity in QUANTITIES:
        found = [] if target is None else [e for r in records if (e := effort(r, target, quantity)) is not None]
        middle = median(found)
        row["reached"] = f"{sum(each.reached for each in found)} of {len(found)}" if found else ""
        row[f"{quantity}_to_target"] = "" if middle is None else f"{'' if middle.reached else '> '}{_shown(middle.value)}"
    return row


def _median_steps(records: Sequence[Record]) -> str:
    """Unsolved runs are censored at their last step."""
    counted = [r for r in records if r["status"] != "failed"]
    median = censored_median([r.get("steps_to_90") for r in counted])
    if median is not None:
        return str(median)
    return f"> {max((r.get('steps') or 0 for r in counted), default=0)}"


def _matching(records: Sequence[Record]) -> str:
    found = {record["config"].get("model", {}).get("match") for record in records} - {None}
    return " / ".join(MATCHING.get(word, word) for word in sorted(found))


def _device(source: Mapping[str, Any]) -> str:
    return ", ".join(str(source[key]) for key in ("device", "device_name", "dtype") if source.get(key))


def _count(records: Iterable[Record], status: str) -> int:
    return sum(record["status"] == status for record in records)


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _shown(value: float) -> str:
    """Three digits at least, and no exponent above."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _pair(embedding: int | None, other: int | None) -> str:
    return "" if embedding is None or other is None else f"{embedding:,} + {other:,}"


def _markdown_table(rows: Sequence[Mapping[str, str]]) -> list[str]:
    if not rows:
        return ["Nothing planned."]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    columns = [column for column in columns if column == "arm" or any(row.get(column) for row in rows)]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_escaped(row.get(column, "")) for column in columns) + " |" for row in rows]
    return lines


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
