"""How numbers and tables are written: CSV, Markdown, a score with its interval."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from study.metrics import Metric


def as_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] = ()) -> str:
    """With a line of column names: those given, else those of the first row."""
    listed = list(rows)
    text = io.StringIO()
    if names := list(columns) or list(listed[0] if listed else ()):
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_csv_cell(row[name]) for name in names] for row in listed)
    return text.getvalue()


def as_markdown(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Lines of a table. Columns that no row fills are left out."""
    if not rows:
        return ["Nothing planned."]
    names = columns(rows)
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return lines + ["| " + " | ".join(_escaped(row.get(name, "")) for name in names) + " |" for row in rows]


def columns(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Names of the columns that some row fills, and the arm's."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [name for name in names if name == "arm" or any(row.get(name) for row in rows)]


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


def whole(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def three_digits(value: float) -> str:
    """At least three, and no exponent above."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _csv_cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value != value:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
