"""What README and ``VERDICTS.md`` say of the verdicts, written from them and never by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from analysis import findings, wording
from analysis.claims import Claims
from analysis.rows import DECIDED, NOT_RUN, Row
from analysis.statistics import ALPHA
from analysis.verdicts import Verdicts
from study.experiments import Experiment

BEGIN, END = "<!-- findings:begin -->", "<!-- findings:end -->"
HOURS = "<!-- hours:begin -->", "<!-- hours:end -->"  # where a file says what the tiers cost
RULES = "<!-- rules:begin -->", "<!-- rules:end -->"  # where a file says how often the rules err
LEGEND = """Each part of a claim: the mean scores of both sides; the effect with the interval that decides it; what was asked of
that (`> 2`: to lie above 2; `± 2`: to lie within) and what came of it. n counts seeds. [METHOD.md](../METHOD.md) says how.
More: [all behind each part](tables/verdicts.md), [numbers](verdicts.csv),
[published directions](tables/published_directions.md).
"""
SIZES = "Sizes that tasks and parts are named by are those of the core tier; the scope of each number has its own."
TIERS = ("full", "core")  # a claim's verdict is that of the first tier that decides it; the smoke tier decides none


def summary(claims: Claims, by_tier: Mapping[str, Verdicts]) -> str:
    """For README: how many claims have each verdict, those that tell most in sentences, and the picture of all parts."""
    deciding = {name: _deciding(name, by_tier) for name in claims.claims}
    overall = {name: judged.overall[name] if judged else NOT_RUN for name, judged in deciding.items()}
    waiting = sum(_waits(deciding[name], name) and not claim.nothing_to_run for name, claim in claims.claims.items())
    wait = f" {waiting} claims wait for runs, some of a part alone: `python -m analysis check` names these, `cost` the hours."
    lines = [f"{wording.counts(overall.values())} {chance(by_tier)}{wait if waiting else ''}", ""]
    for tier in TIERS:
        if tier in by_tier and (told := _bullets(claims, by_tier[tier])):
            lines += told
            lines += ["", f"![Parts of claims, in units of their margins](results/{tier}/figures/verdicts.png)"]
            break
    return "\n".join(lines).rstrip()


def table(claims: Claims, judged: Verdicts, declared: Mapping[str, Experiment]) -> str:
    """``VERDICTS.md`` of a tier: a line per claim that has been run, one that names the rest; corrections; experiments."""
    lines = ["| claim | it says | verdict | its parts: scores, effect [interval] | n | registered | scope |", f"|{7 * '---|'}"]
    waiting: list[str] = []
    for claim in claims.claims.values():
        if judged.overall[claim.name] == NOT_RUN:
            waiting.append(claim.name + (f" ({claim.nothing_to_run})" if claim.nothing_to_run else ""))
            continue
        named = [row for row in judged.of(claim.name) if row.part]
        rows = [row for row in named if row.verdict != NOT_RUN]
        parts, verdict = "<br>".join(map(_part, named)), f"**{judged.overall[claim.name]}**"
        registered = ", ".join(dict.fromkeys(row.registered for row in rows if row.registered))
        cells = [claim.name, claim.en, verdict, parts, _counts(rows), registered, _scope(rows, declared)]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    told = _bullets(claims, judged)
    lines = [
        f"# Verdicts of the {judged.tier} tier",
        "",
        wording.counts(judged.overall.values()),
        "",
        *told,
        "",
        LEGEND,
        *([] if judged.tier == "core" else [f"{SIZES}\n"]),
        *lines,
    ]
    if waiting:
        lines += ["", f"Not run: {', '.join(waiting)}."]
    lines += ["", "Where the notes are mistaken:", "", "| the notes | correct is | source | claims |", "|---|---|---|---|"]
    for entry in claims.corrections:
        cells = [entry["notes"], entry["correct"], entry["source"], " ".join(entry["claims"])]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "| experiment | asks | claims | measured |", "|---|---|---|---|"]
    for experiment in declared.values():
        ran = any(row.experiment == experiment.name and row.n for row in judged.rows)
        name = f"[{experiment.name}](../../conf/experiment/{experiment.name}.yaml)"
        link = f"[tables](tables/{experiment.name}.md)" if ran else ""
        lines.append(f"| {name} | {experiment.question} | {' '.join(experiment.claims)} | {link} |")
    made = sorted({word for row in judged.rows for word in row.revision.replace("/", " ").split()})
    if made:
        marked = " (+: with changes that no commit held)" if any(word.endswith("+") for word in made) else ""
        lines += ["", f"Records of revision {', '.join(made)}{marked}."]
    return "\n".join([*lines, ""])


def chance(by_tier: Mapping[str, Verdicts]) -> str:
    """How many false verdicts are to be expected, at most: ``ALPHA`` of the claims with a contrast that random runs decide."""
    rows = [row for found in by_tier.values() for row in found.rows if row.part and row.p is not None]
    decided = [row for row in rows if row.verdict in DECIDED]
    claims = len({row.claim for row in decided})
    return (
        f"{len(decided)} parts of {claims} claims are decided by runs on random seeds. A claim has a false verdict in one of "
        f"its parts with a probability of at most {100 * ALPHA:g} %, so among these at most {ALPHA * claims:.1f} such claims "
        "are to be expected."
    )


def hours(budgets: Mapping[str, pd.DataFrame]) -> str:
    """What each tier that has runs costs, by its ``budget.table``."""
    told = [
        f"Hours of one process: {table['all'].sum():.0f} for all of the {tier} tier, of which its {table['runs'].sum():,} "
        f"committed runs took {table['spent'].sum():.1f}"
        for tier, table in budgets.items()
        if table["runs"].sum()
    ]
    unknown = [tier for tier in TIERS if tier not in budgets or not budgets[tier]["runs"].sum()]
    none = [f"no run of the {tier} tier is committed, so its hours are not known" for tier in unknown]
    return f"{'; '.join([*told, *none])}."


def put(path: Path, text: str, check: bool = False, markers: tuple[str, str] = (BEGIN, END)) -> bool:
    """Put ``text`` between the markers of ``path``; with ``check`` only look. Returns whether the file was up to date.

    Raises ``ValueError`` where the file or its markers are missing.
    """
    begin, end = markers
    if not path.is_file():
        raise ValueError(f"{path}: no such file; make one with the lines {begin} and {end}")
    old = path.read_text(encoding="utf-8")
    if old.count(begin) != 1 or old.count(end) != 1 or old.index(begin) > old.index(end):
        raise ValueError(f"{path}: needs the lines {begin} and {end}, once each and in this order")
    new = old[: old.index(begin)] + f"{begin}\n{text}\n{end}" + old[old.index(end) + len(end) :]
    if new != old and not check:
        path.write_text(new, encoding="utf-8")
    return new == old


def _deciding(claim: str, by_tier: Mapping[str, Verdicts]) -> Verdicts | None:
    tiers = [by_tier[tier] for tier in TIERS if tier in by_tier]
    for wanted in (DECIDED, None):
        for judged in tiers:
            if wanted is None and judged.overall[claim] != NOT_RUN or wanted and judged.overall[claim] in wanted:
                return judged
    return None


def _waits(judged: Verdicts | None, claim: str) -> bool:
    return judged is None or any(row.part and row.verdict == NOT_RUN for row in judged.of(claim))


def _part(row: Row) -> str:
    """What was found of one part, such as "recalls more: 97.0 % against 81.5 %, +15.5 points [+12.0, +19.0] (> 2: supported)".

    A part that is named by one word is told by its statement.
    """
    name = row.part if " " in row.part else row.statement.rstrip(".")
    found = ", ".join(filter(None, (wording.levels(row), wording.effect(row))))
    verdict = ": ".join(filter(None, (wording.asked(row), wording.verdict(row))))
    because = f"({verdict}; {row.stable})" if row.stable else f"({verdict})"
    return f"{name}: {found} {because}" if found else f"{name}: {verdict}"


def _bullets(claims: Claims, judged: Verdicts) -> list[str]:
    return [f"- {said.claim}: {said.text}" for said in findings.sentences(claims, judged)]


def _counts(rows: Sequence[Row]) -> str:
    counts = sorted({row.n for row in rows if row.n is not None})
    return "" if not counts else f"{counts[0]}" if len(counts) == 1 else f"{counts[0]}-{counts[-1]}"


def _scope(rows: Sequence[Row], declared: Mapping[str, Experiment]) -> str:
    """Where the rows hold, in short: page and verdicts.csv have each one's full scope."""
    measured = [row for row in rows if row.task]
    tests = len(rows) - len(measured)
    parts = list(dict.fromkeys(declared[row.experiment].tasks[row.task].label for row in measured))
    parts += [f"{tier} tier, {device}" for tier, device in dict.fromkeys((row.tier, row.device) for row in measured)]
    return "; ".join(filter(None, [*parts, f"{tests} test{'s' * (tests > 1)}" * bool(tests)]))
