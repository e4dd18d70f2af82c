"""What was found elsewhere beside what is found here: ``tables/published_directions`` (.md, .tex, .csv), from the verdicts.

Each entry of ``claims/published_directions.yaml`` is a direction that was published, and the contrast that tests it::

    - published: One head translates worse than eight.
      source: Vaswani et al. 2017, table 3 (A)
      contrast: C13.few_one        # claim.contrast
      expects: supported           # the verdict, or the verdicts, that would agree
      note: here by steps, not by BLEU  # if the test is another one than theirs
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis import wording
from analysis.formats import as_csv, as_latex, as_markdown
from analysis.rows import DECIDED, VERDICTS, Row
from analysis.rules.terms import refuse_unknown

AGREES, REVERSED, UNTESTED = "agrees", "reversed", "untested"
KEYS = ("published", "source", "contrast", "expects", "note")
COLUMNS = ("published", "source", "contrast", "expected", "measured", "outcome", "reason")


def compared(entries: Iterable[Mapping[str, Any]], rows: Iterable[Row]) -> list[dict[str, str]]:
    """A line per entry. Reversed is what the verdict decides otherwise, untested what it leaves open.

    Raises ``ValueError`` for a contrast or a verdict that there is not.
    """
    by_name = {f"{row.claim}.{row.contrast}": row for row in rows}
    return [_compared(entry, by_name) for entry in entries]


def write(folder: Path, lines: Sequence[Mapping[str, str]]) -> None:
    """No file where there are no lines."""
    if not lines:
        return
    folder.mkdir(parents=True, exist_ok=True)
    counts = Counter(line["outcome"] for line in lines)
    told = ", ".join(f"{counts[word]} {word}" for word in (AGREES, REVERSED, UNTESTED) if counts[word])
    head = f"Of {len(lines)} directions found elsewhere: {told}. Reversed: decided otherwise here. Untested: left open here."
    texts = {
        "md": ["# Published directions", "", head, "", *as_markdown(lines), ""],
        "tex": [f"% Published directions. {head} Needs the package booktabs.", "", *as_latex(lines), ""],
    }
    for ending, text in texts.items():
        (folder / f"published_directions.{ending}").write_text("\n".join(text), encoding="utf-8")
    (folder / "published_directions.csv").write_text(as_csv(lines, COLUMNS), encoding="utf-8")


def _compared(entry: Mapping[str, Any], by_name: Mapping[str, Row]) -> dict[str, str]:
    refuse_unknown(entry, KEYS)
    name, expects = entry["contrast"], entry["expects"]
    expected = [expects] if isinstance(expects, str) else list(expects)
    if name not in by_name:
        raise ValueError(f"published_directions.yaml: there is no contrast {name!r}; say claim.contrast, as C13.few_one")
    if unknown := [word for word in expected if word not in VERDICTS]:
        raise ValueError(f"published_directions.yaml: {name} expects {unknown[0]!r}; known are {', '.join(VERDICTS)}")
    row = by_name[name]
    outcome = AGREES if row.verdict in expected else REVERSED if row.verdict in DECIDED else UNTESTED
    why = row.reason.split("; ")[0] if outcome == UNTESTED else "" if outcome == AGREES else wording.verdict(row)
    reasons = (f"{row.verdict}: {why}" if outcome == UNTESTED and why else why, entry.get("note", ""))
    return {
        "published": entry["published"],
        "source": entry["source"],
        "contrast": name,
        "expected": " or ".join(expected),
        "measured": "; ".join(filter(None, (wording.levels(row), wording.effect(row)))),
        "outcome": outcome,
        "reason": "; ".join(filter(None, reasons)),
    }
