"""What the page says of each experiment, and where the runs come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from analysis import drawn, figures, findings, tables
from analysis.cells import best, cost_cells, floors, score_cells, untouched
from analysis.claims import Claims
from analysis.figures.style import COLOURS
from analysis.formats import columns
from analysis.results import Results
from analysis.verdicts import Verdicts
from study.records import Record

DASHES = ((), (6, 3), (6, 2, 1, 2), (2, 3), (9, 3), (3, 2, 1, 2, 1, 2), (2, 2), (8, 2, 2, 2))


def of(results: Results, judged: Verdicts, claims: Claims, drawings: Path) -> dict[str, Any]:
    """An experiment: its question, its answer contrast by contrast, figure, tables, and what is missing."""
    experiment = results.experiment
    rows = tables.main_rows(results)
    trained = [_task(results, task, [row for row in rows if row["task"] == task], claims) for task in results.trained_tasks]
    further = [_one_table(title, cells) for title, cells in tables.further_tables(results).items()]
    decides = {row.claim for row in judged.rows if row.experiment == experiment.name}
    return {
        "name": experiment.name,
        "title": experiment.title,
        "question": experiment.question,
        "claims": [name for name in claims.claims if name in {*experiment.claims, *decides}],
        "provenance": tables.provenance(results),
        "answers": findings.answers(experiment.name, judged.rows),
        "summary": results.summary(),
        "figure": _image(svg) if (svg := drawn.svg(drawings, results)) else "",
        "caption": figures.caption(results) if svg else "",
        "means": tables.MEANS if any(task["scores"] for task in trained) else "",
        "tasks": [*trained, *further],
        "lists": {title: lines for title, lines in _lists(results).items() if lines},
        "has_curves": any(record["curve"] for record in results.records),
    }


def arms(studies: Iterable[Results]) -> dict[str, Any]:
    """How arms and tasks of each experiment are called, and each arm's colour and dashes, the same as in its figure."""
    return {
        results.experiment.name: {
            "arms": {
                name: [arm.label, COLOURS[i % len(COLOURS)], DASHES[i % len(DASHES)]]
                for i, (name, arm) in enumerate(results.experiment.arms.items())
            },
            "tasks": {name: [task.label, task.tuned_on] for name, task in results.experiment.tasks.items()},
        }
        for results in studies
    }


def provenance(records: Sequence[Record]) -> list[dict[str, str]]:
    """One line per way of running, with how many runs it made."""
    ways: Counter[tuple[tuple[str, str], ...]] = Counter()
    for record in records:
        source = record["provenance"]
        versions = ", ".join(f"{name} {version}" for name, version in sorted(source.get("versions", {}).items()))
        revision = (source.get("revision") or "unknown")[:10]
        way = {
            "revision": revision if source.get("clean") else f"{revision} and uncommitted changes",
            "device": ", ".join(str(source[key]) for key in ("device", "device_name") if source.get(key)),
            "arithmetic": ", ".join(str(source[key]) for key in ("dtype", "attention_backend") if source.get(key)),
            "threads": str(source.get("threads", "")),
            "system": str(source.get("system") or source.get("host_os") or ""),
            "versions": versions,
            "data": _hashes((source.get("data") or {}).get("sha256", "")),
        }
        ways[tuple(way.items())] += 1
    return [{"runs": str(count), **dict(way)} for way, count in sorted(ways.items())]


def _lists(results: Results) -> dict[str, list[str]]:
    failed = [record for record in results.records if record["status"] != "finished"]
    return {
        "failed or diverged": [f"{r['name']}: {r['status']}: {r.get('error') or 'no word why'}" for r in failed],
        "missing": [f"{run.task}, {run.arm}: {run.role}, rate {run.rate}, seed {run.seed}" for run in results.missing],
        "no learning rate yet": [f"{task}, {arm}" for arm, task in results.untuned],
        "not planned any more": [record["name"] for record in results.stale],
    }


def _task(results: Results, task: str, rows: Sequence[Mapping[str, Any]], claims: Claims) -> dict[str, Any]:
    """What is said of one task, of whose arms ``rows`` tell."""
    ran = not untouched(rows)
    return {
        "label": results.experiment.tasks[task].label,
        "scores": _columns([score_cells(row) for row in rows], best(rows)) if ran else None,
        "costs": _columns([cost_cells(row) for row in rows]) if ran else None,
        "floors": floors(rows),
        "published": tables.published_lines(results, task, claims.published_results),
        "notes": list(dict.fromkeys(f"{row['label']}: {row['out_note']}" for row in rows if row["out_note"])),
    }


def _one_table(label: str, cells: list[dict[str, str]]) -> dict[str, Any]:
    return {"label": label, "scores": _columns(cells), "costs": None, "floors": "", "published": [], "notes": []}


def _columns(rows: Sequence[Mapping[str, str]], marked: Collection[tuple[int, str]] = ()) -> dict[str, Any]:
    """Names and rows of cells, each cell with whether it is marked as the best."""
    names = columns(rows)
    return {
        "names": names,
        "rows": [[(row.get(name, ""), (i, name) in marked) for name in names] for i, row in enumerate(rows)],
    }


def _image(path: Path) -> str:
    return "data:image/svg+xml," + quote(path.read_text(encoding="utf-8"), safe=" !$&'()*+,-./:;=?@[]_|~\n")


def _hashes(value: Any) -> str:
    """The start of a file's hash; of several files (by split, or in a list) each one's."""
    if isinstance(value, str):
        return value[:16]
    parts = value.values() if isinstance(value, Mapping) else value
    return " ".join(_hashes(part) for part in parts)
