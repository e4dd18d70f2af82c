"""How numbers and tables are written: CSV, Markdown, LaTeX, a score with its interval."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from study.metrics import Metric

NOTHING = ("", "-", "none")
POWER = re.compile(r"(\b(?:[a-z]\^|log_)-?\w+(?:\.\d+)?)")  # n^1.64, log_3.4
TEX = {character: f"\\{character}" for character in "#$%&_{}"}
TEX |= {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": "$<$", ">": "$>$", "±": r"$\pm$"}


def as_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] = ()) -> str:
    """With a line of column names: those given, else those of the first row."""
    listed = list(rows)
    text = io.StringIO()
    if names := list(columns) or list(listed[0] if listed else ()):
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_csv_cell(row[name]) for name in names] for row in listed)
    return text.getvalue()


def as_markdown(rows: Sequence[Mapping[str, str]], best: Collection[tuple[int, str]] = ()) -> list[str]:
    """Lines of a table, ``best``, its cells by (row, column), in bold. Columns that no row fills are left out."""
    if not rows:
        return ["Nothing planned."]
    names = columns(rows)
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for i, row in enumerate(rows):
        cells = [f"**{row[name]}**" if (i, name) in best else row.get(name, "") for name in names]
        lines.append("| " + " | ".join(map(_escaped, cells)) + " |")
    return lines


def as_latex(rows: Sequence[Mapping[str, str]], best: Collection[tuple[int, str]] = ()) -> list[str]:
    """As ``as_markdown``, a tabular with the rules of the package booktabs."""
    if not rows:
        return ["Nothing planned."]
    names = columns(rows)
    lines = [rf"\begin{{tabular}}{{{'l' * len(names)}}}", r"\toprule", f"{' & '.join(map(_tex, names))} \\\\", r"\midrule"]
    for i, row in enumerate(rows):
        cells = [rf"\textbf{{{_tex(row[name])}}}" if (i, name) in best else _tex(row.get(name, "")) for name in names]
        lines.append(f"{' & '.join(cells)} \\\\")
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def columns(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Names of the columns that some row fills with more than a word for nothing, and the arm's."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [name for name in names if name == "arm" or any(row.get(name, "") not in NOTHING for row in rows)]


def number(value: float | None, metric: Metric) -> str:
    if value is None:
        return "-"
    return f"{100 * value:z.1f} %" if metric.percent else f"{value:z.{_decimals(metric)}f}"


def with_interval(mean: float | None, low: float | None, high: float | None, metric: Metric) -> str:
    """To the digits that the interval supports: two of its half width, but no finer than ``number``."""
    if mean is None:
        return "-"
    if low is None or high is None:
        return number(mean, metric)
    scale, unit = (100, " %") if metric.percent else (1, "")
    digits = supported(scale * mean, scale * low, scale * high, _decimals(metric))
    return f"{scale * mean:z.{digits}f}{unit} [{scale * low:z.{digits}f}, {scale * high:z.{digits}f}]"


def supported(middle: float, low: float, high: float, most: int) -> int:
    """Digits after the point that an interval supports: two of its half width, but ``most`` at most."""
    half = float(f"{max(middle - low, high - middle):.2g}")
    return min(most, max(0, 1 - math.floor(math.log10(half)))) if half > 0 else most


def as_math(text: str) -> str:
    """Powers and logarithms raised and lowered, in the notation that matplotlib shares with LaTeX."""
    return POWER.sub(lambda found: _math(found[1]), text)


def short(value: float | None) -> str:
    """Three digits at most, with a letter for thousands (k), millions (M), 1e9 (G) or 1e12 (T)."""
    if value is None:
        return ""
    power = max(0, min(4, math.floor(math.log10(float(f"{abs(value):.3g}")) / 3))) if value else 0
    return f"{float(f'{value:.3g}') / 1000**power:g}{' kMGT'[power].strip()}"


def whole(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def three_digits(value: float) -> str:
    """Three digits; from a hundred to a million all digits before the decimal point, and none after it."""
    return short(value) if value >= 1e6 else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def measured(mean: float, low: float | None, high: float | None, scale: float = 1, unit: str = "") -> str:
    """``three_digits`` with its unit, and with its interval where it has spread, to the digits that this supports."""
    words = f" {unit}".rstrip()
    mean *= scale
    if low is None or high is None or not low < high or mean >= 1e6:
        return three_digits(mean) + words
    low, high = scale * low, scale * high
    digits = supported(mean, low, high, max(0, 2 - math.floor(math.log10(mean))))
    return f"{mean:,.{digits}f}{words} [{low:,.{digits}f}, {high:,.{digits}f}]"


def _csv_cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value != value:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value


def _decimals(metric: Metric) -> int:
    return 1 if metric.percent or metric.margin >= 0.1 else 3


def _tex(text: str) -> str:
    parts = POWER.split(text.replace("\n", " "))  # every other one a power
    return "".join(_math(part) if i % 2 else "".join(TEX.get(c, c) for c in part) for i, part in enumerate(parts))


def _math(power: str) -> str:
    base, sign, script = re.split(r"([\^_])", power, maxsplit=1)
    name = base if sign == "^" else f"\\{base}"
    return f"${name}{sign}{{{script}}}$"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
