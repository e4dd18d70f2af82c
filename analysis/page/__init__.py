"""``report.html``: one self-contained page of a tier, opened from a file, with nothing fetched from anywhere."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from analysis import tables, wording
from analysis.claims import READ, Claims
from analysis.figures.forest import CUT, bars
from analysis.figures.style import COLOURS
from analysis.formats import columns
from analysis.results import Results
from analysis.rows import VERDICTS, Row
from analysis.values import measure
from analysis.verdicts import Verdicts
from study.records import Record

TEMPLATES = Path(__file__).with_name("template")
MOST_POINTS = 40  # of a learning curve on the page; the record keeps them all
DASHES = ("", "6 3", "6 2 1 2", "1.5 2.5", "9 3", "3 2 1 2 1 2", "2 2", "8 2 2 2")


def build(
    claims: Claims, judged: Verdicts, studies: Mapping[str, Results], set_aside: Sequence[str], source: str, figures: Path
) -> str:
    """The page. ``figures`` is the folder with the SVG files to put in; one that is not there is left out."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["slug"] = lambda text: re.sub(r"[^a-z0-9]+", "-", text.lower())
    return environment.get_template("report.html").render(
        tier=judged.tier,
        source=source,
        css=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        js=Markup((TEMPLATES / "report.js").read_text(encoding="utf-8")),
        counts=[(word, count) for word in VERDICTS if (count := list(judged.overall.values()).count(word))],
        claims=[_claim(claims, name, judged) for name in claims.claims],
        controls=[_contrast(row) for row in judged.controls],
        forest=_forest(judged.rows),
        experiments=[_experiment(results, judged, claims, figures) for results in studies.values()],
        corrections=claims.corrections,
        set_aside=list(set_aside),
        provenance=_provenance([record for results in studies.values() for record in results.records]),
        runs=_json({name: _curves(results) for name, results in studies.items()}),
    )


def _claim(claims: Claims, name: str, judged: Verdicts) -> dict[str, Any]:
    claim = claims.claims[name]
    rows = judged.of(name)
    return {
        "claim": claim,
        "verdict": judged.overall[name],
        "reading": wording.reading(claim, rows, judged.overall[name]),
        "published": [f"{entry['figure']} ({entry['source']}; {READ[entry['read']]})" for entry in claim.published],
        "contrasts": [_contrast(row) for row in rows if row.contrast],
        "corrections": [entry for entry in claims.corrections if name in entry["claims"]],
    }


def _contrast(row: Row) -> dict[str, Any]:
    level = f"{100 * row.level:.4g} %" if row.level and row.low is not None else ""
    p = "" if row.p_holm is None else f"{row.p_holm:.3f}" if row.p_holm >= 0.001 else "< 0.001"
    return {"row": row, "effect": wording.effect(row), "level": level, "p": p}


def _forest(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Bars in per cent of the plot's width; effects are drawn in units of their margin."""
    lines = []
    for bar in bars(rows):
        low, high, mid = (50 + 50 * value / CUT for value in (bar.low, bar.high, bar.effect))
        width = max(high - low, 0.4)
        lines.append({**_contrast(bar.row), "x": f"{low:.1f}", "width": f"{width:.1f}", "mid": f"{mid:.1f}"})
    return lines


def _one_table(label: str, cells: list[dict[str, str]]) -> dict[str, Any]:
    return {"label": label, "scores": _columns(cells), "costs": None, "floors": "", "published": [], "notes": []}


def _experiment(results: Results, judged: Verdicts, claims: Claims, figures: Path) -> dict[str, Any]:
    experiment = results.experiment
    rows = tables.main_rows(results)
    by_task: list[dict[str, Any]] = []
    for task in results.trained_tasks:
        own = [row for row in rows if row["task"] == task]
        by_task.append(
            {
                "label": experiment.tasks[task].label,
                "scores": _columns([tables.score_cells(row) for row in own]),
                "costs": _columns([tables.cost_cells(row) for row in own]),
                "floors": tables.floors(own),
                "published": tables.published_lines(results, task, claims.published_results),
                "notes": list(dict.fromkeys(f"{row['label']}: {row['out_note']}" for row in own if row["out_note"])),
            }
        )
    by_task += [_one_table(title, cells) for title, cells in tables.further_tables(results).items()]
    failed = [record for record in results.records if record["status"] != "finished"]
    decides = {row.claim for row in judged.rows if row.experiment == experiment.name}
    return {
        "name": experiment.name,
        "title": experiment.title,
        "question": experiment.question,
        "claims": [name for name in claims.claims if name in {*experiment.claims, *decides}],
        "provenance": tables.provenance(results),
        "reading": wording.experiment_reading(experiment.name, judged.rows),
        "summary": results.summary(),
        "main": _image(figures / f"{experiment.name}.svg"),
        "training": _image(figures / f"{experiment.name}_training.svg"),
        "tasks": by_task,
        "failed": [f"{record['name']}: {record['status']}: {record.get('error') or 'no word why'}" for record in failed],
        "missing": [f"{run.task}, {run.arm}: {run.role}, rate {run.rate}, seed {run.seed}" for run in results.missing],
        "untuned": [f"{task}, {arm}" for arm, task in results.untuned],
        "stale": [record["name"] for record in results.stale],
        "trained": any(results.is_trained(record["plan"]["task"]) for record in results.records),
    }


def _columns(rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    names = columns(rows)
    return {"names": names, "rows": [[row.get(name, "") for name in names] for row in rows]}


def _image(path: Path) -> str:
    if not path.is_file():
        return ""
    return "data:image/svg+xml," + quote(path.read_text(encoding="utf-8"), safe=" !$&'()*+,-./:;=?@[]_|~\n")


def _curves(results: Results) -> dict[str, Any]:
    """Learning curves as the page's script reads them: columns, few digits, few points."""
    experiment = results.experiment
    arms, tasks = list(experiment.arms), results.trained_tasks
    runs = []
    grids: dict[tuple[int, ...], int] = {}  # most runs are evaluated at the same steps
    for record in results.records:
        plan = record["plan"]
        if not results.is_trained(plan["task"]):
            continue
        metric = experiment.tasks[plan["task"]].metric
        looked = experiment.tasks[plan["task"]].tuned_on
        rows = _thinned(record.get("curve", []))
        score = measure(record, f"test.{metric}")
        steps = grids.setdefault(tuple(row["step"] for row in rows), len(grids))
        scores = [_digits(row.get(f"validation_{looked}")) for row in rows]
        losses = [_digits(row.get("train_loss"), 3) for row in rows]
        where = [arms.index(plan["arm"]), tasks.index(plan["task"]), plan["role"][0], plan["rate"], plan["seed"]]
        runs.append([record["name"], *where, record["status"], _digits(score), steps, scores, losses])
    return {
        "arms": [
            [experiment.arms[arm].label, COLOURS[i % len(COLOURS)], DASHES[i % len(DASHES)]] for i, arm in enumerate(arms)
        ],
        "tasks": [[experiment.tasks[task].label, experiment.tasks[task].tuned_on.replace("_", " ")] for task in tasks],
        "steps": list(grids),
        "runs": runs,
    }


def _thinned(rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    stride = -(-len(rows) // MOST_POINTS)
    if stride <= 1:
        return rows
    kept = list(rows[::stride])
    return kept if kept[-1] is rows[-1] else [*kept, rows[-1]]


def _digits(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else float(f"{value:.{digits}g}")


def _provenance(records: Sequence[Record]) -> list[dict[str, str]]:
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


def _json(value: Any) -> Markup:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("</", "<\\/").replace("<!--", "<\\!--"))


def _hashes(value: Any) -> str:
    """The start of a file's hash; of several files (by split, or in a list) each one's."""
    if isinstance(value, str):
        return value[:16]
    parts = value.values() if isinstance(value, Mapping) else value
    return " ".join(_hashes(part) for part in parts)
