"""Further seeds for what the first ones leave open: which cells they decide on, and the command that runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analysis.claims import Claims
from analysis.results import Results, cell_of
from analysis.rows import Row
from analysis.settling import CORRECTED, NEITHER, WITHIN
from analysis.statistics import BY_SIGN, INCONCLUSIVE
from study.declarations import Cell

MORE_MAY_DECIDE = (WITHIN, CORRECTED, NEITHER)  # what keeps a contrast open that more seeds may close; a sign test does, too


def cells(claims: Claims, results: Mapping[str, Results], rows: Sequence[Row], tier: str) -> dict[str, dict[Cell, set[str]]]:
    """By experiment the cells whose further seeds have not run, with the claims of which they may decide a part."""
    rules = {(claim.name, contrast.name): contrast for claim in claims.claims.values() for contrast in claim.contrasts}
    found: dict[str, dict[Cell, set[str]]] = {}
    for row in rows:
        study = results.get(row.experiment)
        if study is None or not study.experiment.sizes(tier).further_seeds:
            continue
        few = row.decided_by == BY_SIGN or any(words in row.reason for words in MORE_MAY_DECIDE)
        if row.part and row.verdict == INCONCLUSIVE and few:
            used = rules[row.claim, row.contrast].evaluate(results, tier).records
            for cell in set(map(cell_of, used)) - study.further:
                found.setdefault(row.experiment, {}).setdefault(cell, set()).add(row.claim)
    return found


def commands(found: Mapping[str, Mapping[Cell, set[str]]], tier: str) -> list[str]:
    """One for the tasks of an experiment that share their open arms, each after a comment that names the claims."""
    lines = []
    for experiment, owners in found.items():
        arms: dict[str, list[str]] = {}
        for arm, task in sorted(owners):
            arms.setdefault(task, []).append(arm)
        for shared in sorted(set(map(tuple, arms.values()))):
            tasks = [task for task, own in arms.items() if tuple(own) == shared]
            claims = sorted({claim for cell, named in owners.items() if cell[1] in tasks for claim in named})
            lines.append(f"# {', '.join(claims)}")
            lines.append(
                f"python run.py -m experiment={experiment} tier={tier} sweep.committed=true sweep.further_seeds=true "
                f"sweep.tasks=[{','.join(tasks)}] sweep.arms=[{','.join(shared)}] hydra/launcher=joblib"
            )
    return lines
