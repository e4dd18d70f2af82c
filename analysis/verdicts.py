"""From claims and records to verdicts: each contrast is tested by its own rule, each family corrected, nothing decided by hand.

Contrasts are computed on verdict seeds, paired by seed. Positive effects say that side a is better.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from analysis.claims import Claim, Claims, Control
from analysis.results import Results
from analysis.rows import AGAINST, BY_CONSTRUCTION, NOT_RUN, QUALIFIED, Row
from analysis.rules.base import Evidence, NotRun, Rule
from analysis.settling import Settled, settle
from analysis.statistics import BY_COUNT, CONTRADICTED, INCONCLUSIVE, SUPPORTED
from analysis.values import joined, revisions
from study.records import Record

Registered = Callable[[str, Rule, Sequence[Record]], str]  # (claim, contrast, runs that it judges) -> its registration
SMOKE = "the smoke tier decides nothing"


@dataclass
class Verdicts:
    tier: str
    rows: list[Row]
    controls: list[Row]
    overall: dict[str, str]

    def of(self, claim: str) -> list[Row]:
        return [row for row in self.rows if row.claim == claim]


def judge(claims: Claims, studies: Mapping[str, Results], tier: str, registered: Registered = lambda *_: "") -> Verdicts:
    """Verdict of each contrast and each claim of one tier; controls first, as they gate what may count."""
    gates: list[tuple[Control, Row]] = []
    for control in claims.controls:  # each a precondition of its own, so none is corrected for the others
        [row] = _family("control", [control.contrast], studies, tier, (), registered)
        gates.append((control, row))
    rows, overall = [], {}
    for claim in claims.claims.values():
        parts = [contrast for contrast in claim.contrasts if contrast.part]
        repeats = [[contrast] for contrast in claim.contrasts if contrast.repeats]  # judged alone, each
        beside = [contrast for contrast in claim.contrasts if not contrast.part and not contrast.repeats]
        families = [_family(claim.name, family, studies, tier, gates, registered) for family in (parts, beside, *repeats)]
        by_name = {row.contrast: row for family in families for row in family}
        own = [_with_repeats(by_name[contrast.name], claim, by_name) for contrast in claim.contrasts]
        overall[claim.name] = verdict = claim_verdict(own)
        reason = claim.nothing_to_run or "no contrast declared yet"
        own = own or [Row(claim.name, "", claim.en, NOT_RUN, tier=tier, reason=reason)]
        figures = "; ".join(f"{entry['figure']} ({entry['source']})" for entry in claim.published)
        rows += [dataclasses.replace(row, claim_verdict=verdict, published=figures) for row in own]
    return Verdicts(tier, rows, [row for _, row in gates], overall)


def claim_verdict(rows: Sequence[Row]) -> str:
    """A claim's verdict from those of its parts.

    Supported in one part and contradicted in another: qualified, whatever a third says. Else a part that is open or not run
    leaves the claim open. Equal and reversed contradict.
    """
    verdicts = [CONTRADICTED if row.verdict in AGAINST else row.verdict for row in rows if row.part]
    holds = {SUPPORTED, BY_CONSTRUCTION}
    if not verdicts or all(verdict == NOT_RUN for verdict in verdicts):
        return NOT_RUN
    if CONTRADICTED in verdicts and holds & set(verdicts):
        return QUALIFIED
    if all(verdict == BY_CONSTRUCTION for verdict in verdicts):
        return BY_CONSTRUCTION
    if all(verdict in holds for verdict in verdicts):
        return SUPPORTED
    if all(verdict == CONTRADICTED for verdict in verdicts):
        return CONTRADICTED
    return INCONCLUSIVE


def _with_repeats(row: Row, claim: Claim, by_name: Mapping[str, Row]) -> Row:
    """Says of a part how many of its repeats have the same verdict."""
    verdicts = [by_name[contrast.name].verdict for contrast in claim.contrasts if contrast.repeats == row.contrast]
    if not verdicts or row.verdict == NOT_RUN:
        return row
    return dataclasses.replace(row, stable=f"{verdicts.count(row.verdict)} of {len(verdicts)} other sizes agree")


def _closed(gates: Iterable[tuple[Control, Row]], evidence: Evidence) -> Row | None:
    """The control, if any, whose failure keeps a contrast on this task, or by this measure, open."""
    for control, row in gates:
        if evidence.task in control.gates or evidence.metric in control.gates_metrics:
            if row.verdict not in (SUPPORTED, BY_CONSTRUCTION):
                return row
    return None


def _family(
    owner: str,
    contrasts: Iterable[Rule],
    studies: Mapping[str, Results],
    tier: str,
    gates: Iterable[tuple[Control, Row]],
    registered: Registered,
) -> list[Row]:
    """Contrasts that are held against each other (Holm)."""
    decided = [(contrast, _evidence(contrast, studies, tier)) for contrast in contrasts]
    family = [(each.test, each.reading, each.alpha) for _, each in decided if not each.verdict]
    settled = iter(settle(family))
    rows = []
    for contrast, evidence in decided:
        row = Row(
            owner,
            contrast.name,
            contrast.statement,
            evidence.verdict,
            rule=contrast.rule(),
            scope=evidence.scope,
            experiment=contrast.about,
            tier=tier,
            part=contrast.part,
            reason="; ".join(evidence.notes),
        )
        if not evidence.verdict:
            outcome = next(settled)
            gate = _closed(gates, evidence)
            if tier == "smoke":
                outcome = dataclasses.replace(outcome, verdict=INCONCLUSIVE, reason=SMOKE)
            elif gate is not None:
                reason = f"the {gate.contrast} control is {gate.verdict}: {gate.statement.rstrip('.')}"
                outcome = dataclasses.replace(outcome, verdict=INCONCLUSIVE, reason=reason)
            row = _tested(row, evidence, outcome)
            if contrast.part or owner == "control":
                row = dataclasses.replace(row, registered=registered(owner, contrast, evidence.records))
        rows.append(row)
    return rows


def _evidence(contrast: Rule, studies: Mapping[str, Results], tier: str) -> Evidence:
    try:
        return contrast.evaluate(studies, tier)
    except NotRun as why:
        return Evidence(verdict=NOT_RUN, notes=[str(why)])


def _tested(row: Row, evidence: Evidence, outcome: Settled) -> Row:
    test, counted = evidence.test, evidence.test.by == BY_COUNT

    def shown(value: float | None) -> float | None:
        return None if value is None else evidence.shown(value)

    return dataclasses.replace(
        row,
        verdict=outcome.verdict,
        effect=shown(test.effect),
        low=shown(outcome.low),
        high=shown(outcome.high),
        level=outcome.level,
        p=test.p,
        p_holm=outcome.p,
        decided_by=test.by,
        seen=shown(outcome.seen),
        n=None if counted else test.n,
        dropped=None if counted else evidence.planned - test.n,
        margin=evidence.margin,
        metric=evidence.metric,
        task=evidence.task,
        device=joined({record["provenance"].get("device") for record in evidence.records}),
        revision=revisions(evidence.records),
        score_a=evidence.levels[0],
        score_b=evidence.levels[1],
        reason="; ".join(part for part in (outcome.reason, *evidence.notes) if part),
        **evidence.runs,
    )
