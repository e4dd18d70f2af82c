"""The verdict table between the markers of README.md, written from the verdicts and never by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis import wording
from analysis.claims import Claims
from analysis.rows import DECIDED, NOT_RUN, VERDICTS, Row
from analysis.statistics import ALPHA
from analysis.verdicts import Verdicts
from study.experiments import Experiment

BEGIN, END = "<!-- verdicts:begin -->", "<!-- verdicts:end -->"
RULES = "<!-- rules:begin -->", "<!-- rules:end -->"  # where a file says how often the rules err
TIERS = ("full", "core")  # a claim's verdict is that of the first tier that decides it; the smoke tier decides none


def table(claims: Claims, by_tier: Mapping[str, Verdicts], declared: Mapping[str, Experiment]) -> str:
    """Markdown: a line per claim that has been run, one that names the rest; the corrections; the experiments."""
    lines = ["| claim | it says | verdict | its parts: scores, effect [interval] | n | registered | scope |", f"|{7 * '---|'}"]
    waiting: list[str] = []
    verdicts: Counter[str] = Counter()
    for claim in claims.claims.values():
        judged = _deciding(claim.name, by_tier)
        verdicts[judged.overall[claim.name] if judged else NOT_RUN] += 1
        if judged is None or judged.overall[claim.name] == NOT_RUN:
            waiting.append(claim.name + (f" ({claim.nothing_to_run})" if claim.nothing_to_run else ""))
            continue
        rows = [row for row in judged.of(claim.name) if row.part and row.verdict != NOT_RUN]
        parts, verdict = "<br>".join(map(_part, rows)), f"**{judged.overall[claim.name]}**"
        registered = ", ".join(dict.fromkeys(row.registered for row in rows if row.registered))
        cells = [claim.name, claim.en, verdict, parts, _counts(rows), registered, _scope(rows)]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    counts = ", ".join(f"{verdicts[word]} {word}" for word in VERDICTS if verdicts[word])
    lines = [f"Of {len(claims.claims)} claims: {counts}.", "", chance(by_tier), "", *lines]
    if waiting:
        lines += ["", f"Not run: {', '.join(waiting)}."]
    lines += ["", "Where the notes are mistaken:", "", "| the notes | correct is | source | claims |", "|---|---|---|---|"]
    for entry in claims.corrections:
        cells = [entry["notes"], entry["correct"], entry["source"], " ".join(entry["claims"])]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "| experiment | asks | claims | measured |", "|---|---|---|---|"]
    for experiment in declared.values():
        ran = [tier for tier, judged in by_tier.items() if any(r.experiment == experiment.name and r.n for r in judged.rows)]
        name = f"[{experiment.name}](conf/experiment/{experiment.name}.yaml)"
        links = ", ".join(f"[{tier}](results/{tier}/tables/{experiment.name}.md)" for tier in TIERS if tier in ran)
        lines.append(f"| {name} | {experiment.question} | {' '.join(experiment.claims)} | {links} |")
    for tier in TIERS:
        if tier in by_tier and any(row.effect is not None for row in by_tier[tier].rows):
            folder = f"results/{tier}"
            made = sorted({word for row in by_tier[tier].rows for word in row.revision.replace("/", " ").split()})
            lines += [
                "",
                f"Every part of a claim in the {tier} tier, with its interval, in units of its margin ([all that stands behind "
                f"them]({folder}/tables/verdicts.md), [numbers]({folder}/verdicts.csv), [tables]({folder}/tables), [published "
                f"directions]({folder}/tables/published_directions.md)); records of "
                f"revision {', '.join(made)}:",
                "",
                f"![Contrasts of the {tier} tier]({folder}/figures/verdicts.png)",
            ]
    return "\n".join(lines)


def chance(by_tier: Mapping[str, Verdicts]) -> str:
    """How many false verdicts are to be expected, at most: ``ALPHA`` of the claims with a contrast that random runs decide."""
    rows = [row for found in by_tier.values() for row in found.rows if row.part and row.p is not None]
    decided = [row for row in rows if row.verdict in DECIDED]
    claims = len({row.claim for row in decided})
    return (
        f"{len(decided)} parts of {claims} claims are decided by runs on random seeds. As each claim is held to "
        f"{100 * ALPHA:g} % for a false verdict in any of its parts, at most {ALPHA * claims:.1f} claims with one are to "
        "be expected."
    )


def has_rules(path: Path) -> bool:
    return RULES[0] in path.read_text(encoding="utf-8")


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


def _part(row: Row) -> str:
    """What was found of one part, such as "recall: 97.0 % against 81.5 %, +15.5 points [+12.0, +19.0] (> 2: supported)"."""
    found = ", ".join(filter(None, (wording.levels(row), wording.effect(row))))
    verdict = ": ".join(filter(None, (wording.asked(row), wording.verdict(row))))
    because = f"({verdict}; {row.stable})" if row.stable else f"({verdict})"
    return f"{row.part}: {found} {because}" if found else f"{row.part}: {verdict}"


def _counts(rows: Sequence[Row]) -> str:
    counts = sorted({row.n for row in rows if row.n is not None})
    return "" if not counts else f"{counts[0]}" if len(counts) == 1 else f"{counts[0]}-{counts[-1]}"


def _scope(rows: Sequence[Row]) -> str:
    """Where the rows hold, in short: report and verdicts.csv have each one's full scope."""
    measured = [row for row in rows if row.task]
    tests = len(rows) - len(measured)
    parts = [", ".join(dict.fromkeys(row.task for row in measured))]
    parts += [f"{tier} tier, {device}" for tier, device in dict.fromkeys((row.tier, row.device) for row in measured)]
    return "; ".join(filter(None, [*parts, f"{tests} test{'s' * (tests > 1)}" * bool(tests)]))
