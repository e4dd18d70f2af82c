"""What the page says of the claims: the findings, then each claim with what its verdict rests on."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from analysis import bars, findings, registration, wording
from analysis.claims import READ, Claims
from analysis.rows import DECIDED, NOT_RUN, VERDICTS, Row
from analysis.verdicts import Verdicts

WIDTH, HEIGHT = 220, 16  # of a bar of a forest plot, in pixels
AXIS = 0.94  # of the width; the rest is for arrows
# Fields of a row that its line of the table has, or that every line of a claim would repeat.
SAID_ELSEWHERE = set(
    """claim contrast statement verdict part effect low high level p p_holm decided_by n margin reason claim_verdict tier rule
    score_a score_b published experiment metric seen task revision device registered""".split()
)
LABELS = {"dropped": "pairs without a score", "cap": "steps at most", "rates": "learning rates", "ended": "runs ended"}


def of(claims: Claims, judged: Verdicts, run: Container[str]) -> dict[str, Any]:
    """What the page says of one tier, in which the experiments ``run`` have records."""
    return {
        "all": wording.counts(judged.overall.values()),
        "sentences": findings.sentences(claims, judged),
        "counts": [(word, count) for word in VERDICTS if (count := list(judged.overall.values()).count(word))],
        "claims": [_claim(claims, name, judged, run) for name in claims.claims],
        "controls": [contrast(row) for row in judged.controls],
    }


def decided(judged: Verdicts) -> int:
    """Contrasts that records decide."""
    return sum(row.verdict in DECIDED and row.effect is not None for row in judged.rows)


def contrast(row: Row) -> dict[str, Any]:
    """A line of a claim's table, with its bar and all else that the row says."""
    level = f"{100 * row.level:.4g} %" if row.level and row.low is not None else ""
    p = "" if row.p_holm is None else f"{row.p_holm:.3f}" if row.p_holm >= 0.001 else "< 0.001"
    return {
        "row": row,
        "effect": wording.effect(row),
        "size": wording.size(row),
        "level": level,
        "p": p,
        "bar": bar(row),
        "facts": _facts(row),
    }


def bar(row: Row) -> dict[str, Any] | None:
    """A line of a forest plot in pixels, with the band of the margin."""
    found = bars.bar(row)
    if found is None:
        return None
    low, effect, high, least, most = map(_pixels, (found.low, found.effect, found.high, -bars.place(1), bars.place(1)))
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "low": low,
        "effect": effect,
        "high": max(high, low + 1),
        "margin": (least, round(most - least, 1)),
        "cut_low": found.cut_low,
        "cut_high": found.cut_high,
    }


def _pixels(place: float) -> float:
    return round(WIDTH / 2 * (1 + AXIS * place), 1)


def _claim(claims: Claims, name: str, judged: Verdicts, run: Container[str]) -> dict[str, Any]:
    claim, rows = claims.claims[name], judged.of(name)
    verdict = judged.overall[name]
    counted = [row for row in rows if row.part and row.contrast]
    return {
        "claim": claim,
        "verdict": verdict,
        "in_short": _in_short(counted),
        "nothing": claim.nothing_to_run if verdict == NOT_RUN else "",
        "published": [f"{entry['figure']} ({entry['source']}; {READ[entry['read']]})" for entry in claim.published],
        "measured": [_measured(row) for row in counted if row.effect is not None],
        "contrasts": [contrast(row) for row in rows if row.contrast],
        "experiments": sorted({row.experiment for row in rows if row.experiment in run}),
        "corrections": [entry for entry in claims.corrections if name in entry["claims"]],
        "searched": _searched(name, [claim.en, claim.zh, claim.topic, *(row.statement for row in rows)]),
    }


def _in_short(counted: Sequence[Row]) -> list[tuple[str, str]]:
    """A claim's headline: what came of each part, by its name where there are several; [] where the verdict says it all."""
    if all(row.effect is None for row in counted) and len({row.verdict for row in counted}) <= 1:
        return []
    return [(row.part if len(counted) > 1 else "", wording.plainly(row)) for row in counted]


def _measured(row: Row) -> str:
    return "; ".join(filter(None, (f"{row.part}: {wording.levels(row)}", wording.effect(row), row.scope)))


def _facts(row: Row) -> list[tuple[str, str]]:
    """What else a row says, by the names of its fields."""
    values: Mapping[str, Any] = vars(row)
    names = [field.name for field in fields(Row) if field.name not in SAID_ELSEWHERE]
    said = [(LABELS.get(name, name), str(values[name])) for name in names if values[name] not in (None, "", 0)]
    said += [(row.registered, registration.MEANING[row.registered])] if row.registered else []
    return [*([("scores", wording.levels(row))] if wording.levels(row) else []), *said]


def _searched(name: str, texts: Iterable[str]) -> str:
    return " ".join([name, *texts]).lower()
