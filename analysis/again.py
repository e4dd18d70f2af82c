"""Claims measured anew: the same contrasts on other seeds, at the learning rates that the committed tuning runs led to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from analysis import verdicts
from analysis.claims import Claims
from analysis.results import Results
from analysis.rows import Row
from study.experiments import Experiment
from study.records import Record


def pairs(
    claims: Claims, declared: Mapping[str, Experiment], fresh: Sequence[Record], committed: Sequence[Record], tier: str
) -> list[tuple[Row, Row]]:
    """(committed, anew) of each contrast of which both sides have fresh runs on seeds that the study doesn't declare."""
    found = []
    for name, experiment in declared.items():
        if tier not in experiment.tiers:
            continue
        sizes = experiment.sizes(tier)
        own = [record for record in fresh if record["plan"]["experiment"] == name and record["plan"]["role"] == "verdict"]
        seeds = {record["plan"]["seed"] for record in own} - {*sizes.verdict_seeds, *sizes.further_seeds}
        if not seeds:
            continue
        before = [record for record in committed if record["plan"]["experiment"] == name]
        again = Results(experiment.narrowed(seeds=sorted(seeds)), tier, [*before, *own])
        about = {
            key: replace(claim, contrasts=tuple(contrast for contrast in claim.contrasts if contrast.about == name))
            for key, claim in claims.claims.items()
        }
        only = replace(claims, claims={key: claim for key, claim in about.items() if claim.contrasts}, controls=())
        old, new = (verdicts.judge(only, {name: each}, tier).rows for each in (Results(experiment, tier, before), again))
        found += [(was, now) for was, now in zip(old, new, strict=True) if now.n and now.decided_by and was.n]
    return found
