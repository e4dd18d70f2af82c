"""What was found, in words a reader understands: sentences from verdicts, and each claim with what its verdict rests on."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import chain, zip_longest
from typing import Any

from analysis import rules, wording
from analysis.claims import READ, Claims
from analysis.figures.forest import CUT
from analysis.formats import number
from analysis.rows import BY_CONSTRUCTION, DECIDED, NOT_RUN, QUALIFIED, VERDICTS, Row
from analysis.statistics import CONTRADICTED, EQUAL, INCONCLUSIVE, REVERSED, SUPPORTED
from analysis.verdicts import Verdicts
from study.metrics import METRICS

MOST_SENTENCES = 8
MEANINGS = {
    SUPPORTED: "holds",
    EQUAL: "no meaningful difference",
    REVERSED: "the other way round",
    CONTRADICTED: "does not hold",
    QUALIFIED: "holds in part",
    INCONCLUSIVE: "left open",
    BY_CONSTRUCTION: "true by construction",
    NOT_RUN: "not measured",
}
TALLY = {SUPPORTED: "hold", CONTRADICTED: "do not hold", QUALIFIED: "hold in part", INCONCLUSIVE: "are left open"}
TALLY |= {BY_CONSTRUCTION: "are true by construction", NOT_RUN: "are not measured"}
WIDTH, HEIGHT = 220, 16  # of a bar of a forest plot
# Fields of a row that its line of the table has, or that every line of a claim would repeat.
SAID_ELSEWHERE = set(
    """claim contrast statement verdict part effect low high level p p_holm decided_by n margin reason claim_verdict tier rule
    score_a score_b published experiment metric seen task revision device""".split()
)
LABELS = {"dropped": "pairs without a score", "cap": "steps at most", "rates": "learning rates"}


def of(claims: Claims, judged: Verdicts, run: Container[str]) -> dict[str, Any]:
    """What the page says of one tier, in which the experiments ``run`` have records."""
    return {
        "sentences": sentences(claims, judged),
        "counts": [(word, count) for word in VERDICTS if (count := list(judged.overall.values()).count(word))],
        "claims": [_claim(claims, name, judged, run) for name in claims.claims],
        "controls": [contrast(row) for row in judged.controls],
    }


def decided(judged: Verdicts) -> int:
    """Contrasts that records decide."""
    return sum(row.verdict in DECIDED and row.effect is not None for row in judged.rows)


def sentences(claims: Claims, judged: Verdicts) -> list[dict[str, str]]:
    """Five to eight, where there is that much: a count of all, then findings with their numbers, the clearest first."""
    tally = {word: list(judged.overall.values()).count(word) for word in VERDICTS}
    found = ", ".join(f"{count} {TALLY.get(word, MEANINGS[word])}" for word, count in tally.items() if count)
    told = [{"claim": "", "text": f"Of {len(claims.claims)} claims {found}."}]
    parts = [row for row in judged.rows if row.part and row.effect is not None and row.verdict in DECIDED]
    clearest = sorted(parts, key=lambda row: -abs(row.effect or 0) / wording.margin_unit(row))
    one_each = list({row.claim: row for row in reversed(clearest)}.values())[::-1]
    against = [row for row in one_each if row.verdict != SUPPORTED]
    held = [row for row in one_each if row.verdict == SUPPORTED]
    mixed = [row for row in chain.from_iterable(zip_longest(held, against)) if row is not None]
    return told + [
        {"claim": row.claim, "text": f"{row.statement.rstrip('.')}: {plainly(row)}."} for row in mixed[: MOST_SENTENCES - 1]
    ]


def plainly(row: Row) -> str:
    """A contrast's verdict, as "no meaningful difference: +0.0 points, less than the 2 that would count"."""
    meaning = MEANINGS[row.verdict]
    if row.effect is None:
        return meaning
    unit = rules.known()[row.rule].unit(METRICS.get(row.metric.rpartition(".")[2]))
    effect = f"{unit.factor * row.effect:+.{unit.digits}f}{unit.words}"
    if not row.margin:
        return f"{meaning}: {effect}"
    bar = f"{abs(unit.factor * row.margin):g}"
    within = f"less than the {bar} that would count"
    beyond = f"more than the {bar} that count"
    same = rules.known()[row.rule].asks == "±"
    ends = {
        SUPPORTED: within if same else beyond if row.margin > 0 else f"at most {bar} less was allowed",
        EQUAL: within,
        REVERSED: beyond,
        CONTRADICTED: beyond if same else "",
        INCONCLUSIVE: f"{bar} would count",
    }
    return f"{meaning}: {', '.join(filter(None, (effect, ends.get(row.verdict, ''))))}"


def contrast(row: Row) -> dict[str, Any]:
    """A line of a claim's table, with its bar and all else that the row says."""
    level = f"{100 * row.level:.4g} %" if row.level and row.low is not None else ""
    p = "" if row.p_holm is None else f"{row.p_holm:.3f}" if row.p_holm >= 0.001 else "< 0.001"
    return {
        "row": row,
        "effect": wording.effect(row),
        "plainly": plainly(row),
        "level": level,
        "p": p,
        "bar": bar(row),
        "facts": _facts(row),
    }


def bar(row: Row) -> dict[str, Any] | None:
    """A line of a forest plot in units of the margin, in pixels of ``WIDTH``; arrows where it is cut."""
    if row.effect is None or row.low is None or row.high is None:
        return None
    unit = wording.margin_unit(row)
    scaled = [value / unit for value in (row.low, row.effect, row.high)]
    low, effect, high = (WIDTH / 2 * (1 + 0.94 * max(-1, min(1, value / CUT))) for value in scaled)
    margin = WIDTH / 2 * 0.94 / CUT
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "low": round(low, 1),
        "effect": round(effect, 1),
        "high": round(max(high, low + 1), 1),
        "margin": (round(WIDTH / 2 - margin, 1), round(2 * margin, 1)),
        "cut_low": scaled[0] < -CUT,
        "cut_high": scaled[2] > CUT,
    }


def _claim(claims: Claims, name: str, judged: Verdicts, run: Container[str]) -> dict[str, Any]:
    claim, rows = claims.claims[name], judged.of(name)
    verdict = judged.overall[name]
    counted = [row for row in rows if row.part and row.contrast]
    return {
        "claim": claim,
        "verdict": verdict,
        "meaning": MEANINGS[verdict],
        "in_short": _in_short(counted),
        "reading": wording.reading(claim, rows, verdict),
        "published": [f"{entry['figure']} ({entry['source']}; {READ[entry['read']]})" for entry in claim.published],
        "measured": [_measured(row) for row in counted if row.effect is not None],
        "contrasts": [contrast(row) for row in rows if row.contrast],
        "experiments": sorted({row.experiment for row in rows if row.experiment in run}),
        "corrections": [entry for entry in claims.corrections if name in entry["claims"]],
        "searched": _searched(name, [claim.en, claim.zh, claim.topic, *(row.statement for row in rows)]),
    }


def _in_short(counted: Sequence[Row]) -> str:
    """The verdict's number for a claim's headline: that of its only part, or what each part says."""
    if len(counted) == 1:
        return plainly(counted[0])
    if len({row.verdict for row in counted}) == 1:
        return MEANINGS[counted[0].verdict]
    return "; ".join(f"{row.part}: {MEANINGS[row.verdict]}" for row in counted)


def _measured(row: Row) -> str:
    return "; ".join(filter(None, (f"{row.part}: {scores(row)}", wording.effect(row), row.scope)))


def scores(row: Row) -> str:
    """Those of both sides, "99.1 % against 31.2 %"."""
    metric = METRICS.get(row.metric.rpartition(".")[2])
    if metric is None or rules.known()[row.rule].own_unit is not None:
        return ""
    sides = [score for score in (row.score_a, row.score_b) if score is not None]
    return " against ".join(number(score, metric) if metric.percent else f"{score:,.4g}" for score in sides)


def _facts(row: Row) -> list[tuple[str, str]]:
    """What else a row says, by the names of its fields."""
    values: Mapping[str, Any] = vars(row)
    names = [field.name for field in fields(Row) if field.name not in SAID_ELSEWHERE]
    said = [(LABELS.get(name, name), str(values[name])) for name in names if values[name] not in (None, "", 0)]
    return [*([("scores", scores(row))] if scores(row) else []), *said]


def _searched(name: str, texts: Iterable[str]) -> str:
    return " ".join([name, *texts]).lower()
