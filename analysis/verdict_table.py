"""All that stands behind the parts of the claims, a line each: ``tables/verdicts.md``, what fits a printed page ``.tex``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from analysis import wording
from analysis.formats import as_latex, as_markdown
from analysis.rows import Row

HEAD = """# Parts of the claims

Each part is decided by one contrast. The two scores are means over verdict seeds, the effect is that of the paired differences,
with the interval that decides. Solved: runs that solve the task on the test split. Steps: the median taken, of those that a run
may take. Rates: whether the learning rates of both sides are bracketed. Seen: the smallest effect that would have been found
four times in five. Registered: whether the contrast stood as it stands before the runs that it judges.
"""
TEX_HEAD = "% Parts of the claims, each with the contrast that decides it. Needs the package booktabs.\n"
PRINTED = ("claim", "part", "scores", "effect [interval]", "asked", "n", "verdict")


def write(folder: Path, rows: Iterable[Row]) -> None:
    parts = [row for row in rows if row.part]
    first = {row.claim: row.part for row in reversed(parts)}  # which tells the figures that are published of its claim
    cells = [_cells(row) | {"published": row.published * (first[row.claim] == row.part)} for row in parts]
    printed = [{name: each[name] for name in PRINTED} for each in cells]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "verdicts.md").write_text("\n".join([HEAD, *as_markdown(cells), ""]), encoding="utf-8")
    (folder / "verdicts.tex").write_text("\n".join([TEX_HEAD, *as_latex(printed), ""]), encoding="utf-8")


def _cells(row: Row) -> dict[str, str]:
    return {
        "claim": row.claim,
        "part": row.part,
        "it says": row.statement,
        "verdict": wording.verdict(row),
        "scores": wording.levels(row),
        "effect [interval]": wording.effect(row),
        "asked": wording.asked(row),
        "n": "" if row.n is None else str(row.n),
        "solved": row.solved,
        "runs ended": row.ended,
        "collapsed": row.collapsed,
        "steps": f"{row.steps} of {row.cap}" if row.steps else "",
        "parameters": row.parameters,
        "rates": row.rates,
        "seen": wording.seen(row),
        "other sizes": row.stable,
        "registered": row.registered,
        "reason": row.reason,
    }
