"""What the analysis says in the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import pandas as pd
from rich.console import Console
from rich.table import Table

from analysis import tables, wording
from analysis.claims import Claims
from analysis.registration import MEANING, Registration
from analysis.results import Results
from analysis.rows import AGAINST, INCONCLUSIVE, NOT_RUN, QUALIFIED, SUPPORTED, Row
from analysis.verdicts import Verdicts

NAMED = 5  # of what is missing; check names all
COLOURS = {SUPPORTED: "green", **dict.fromkeys(AGAINST, "red"), QUALIFIED: "yellow", "by construction": "blue"}


def say(console: Console, lines: Iterable[str], style: str = "") -> None:
    """As they are: not wrapped, nothing in them read as markup."""
    for line in lines:
        console.print(line, style=style, markup=False, soft_wrap=True)


def summaries(results: Iterable[Results], console: Console) -> None:
    for one in results:
        console.print(f"[bold]{one.experiment.name}[/bold] ({one.tier}): {one.summary()}")


def gaps(results: Iterable[Results], command: str, console: Console) -> None:
    """The first few of what is missing, and the command that names all."""
    lines = [f"{one.experiment.name}: {gap}" for one in results for gap in one.gaps()]
    more = f"and {len(lines) - NAMED} more; " if len(lines) > NAMED else ""
    say(console, (f"  {line}" for line in [*lines[:NAMED], f"{more}all of it: {command}"] if lines))


def all_gaps(results: Iterable[Results], console: Console) -> bool:
    """Each experiment with all that is missing, failed or diverged. Whether they are complete."""
    complete = True
    for one in results:
        summaries([one], console)
        diverged = [f"diverged: {record['name']}: {record['error']}" for record in one.with_status("diverged")]
        say(console, (f"  {line}" for line in [*diverged, *one.gaps()]))
        complete &= not one.gaps()
    return complete


def costs(table: pd.DataFrame, tier: str, console: Console) -> None:
    """Hours, experiment by experiment, and their sums; a dash where no run has shown yet how long a step takes."""
    grid = Table(title=f"Hours of one process, {tier} tier")
    for column in ("experiment", "cells", "runs", "all", "spent", "left"):
        grid.add_column(column, justify="left" if column == "experiment" else "right")
    total = {"experiment": "all", **table.drop(columns="experiment").sum(), "own": table["own"].all()}
    for row in [*table.to_dict("records"), total]:
        about = "" if row["own"] else "~"
        whole, left = ("-" if pd.isna(row[key]) else f"{about}{row[key]:.2f}" for key in ("all", "left"))
        grid.add_row(row["experiment"], f"{row['cells']:.0f}", f"{row['runs']:.0f}", whole, f"{row['spent']:.2f}", left)
    console.print(grid)
    if not table["own"].all():
        say(console, ["~: no run of its own yet, so at the pace of the others"])


def registered(registration: Registration, console: Console) -> None:
    """Each contrast's state, with what was changed after its first run; then how many there are of each."""
    grid = Table(title=f"Registration, {registration.tier} tier")
    for column in ("claim", "contrast", "state", "first run", "revision", "changed since"):
        grid.add_column(column, overflow="fold")
    for found in registration.found:
        grid.add_row(found.claim, found.contrast, found.state, found.first_run, found.revision, found.changes)
    console.print(grid)
    counts = Counter(found.state for found in registration.found)
    say(console, (f"{count} {state}: {MEANING[state]}" for state, count in counts.items()))


def again(pairs: Sequence[tuple[Row, Row]], console: Console) -> None:
    """Contrasts as committed and as measured anew."""
    grid = Table(title="Measured anew, on this machine and on other seeds")
    for column in ("claim", "what is compared", "committed [interval]", "n", "verdict", "anew [interval]", "n", "verdict"):
        grid.add_column(column, overflow="fold")
    for was, now in pairs:
        cells = (
            cell
            for row in (was, now)
            for cell in (wording.effect(row).replace("[", "\\["), str(row.n or ""), _coloured(row.verdict))
        )
        grid.add_row(was.claim, was.statement, *cells)
    console.print(grid)


def rates(results: Results, console: Console) -> None:
    grid = Table(title=f"{results.experiment.name}, {results.tier} tier: mean validation score of the tuning seeds")
    for column in ("task", "arm", "learning rate", "mean", "seeds", "failed", "chosen"):
        grid.add_column(column)
    for row in tables.rate_rows(results):
        mean = "-" if row["mean_validation"] is None else f"{row['mean_validation']:.4f}"
        failed = str(row["diverged"] + row["failed"] or "")
        chosen = "chosen" if row["chosen"] else ""
        grid.add_row(row["task"], row["arm"], f"{row['rate']:g}", mean, str(row["seeds"]), failed, chosen)
    console.print(grid)


def verdicts(judged: Verdicts, claims: Claims, only: Sequence[str], console: Console) -> None:
    """Claims with their contrasts; with ``only``, contrasts of these experiments."""
    grid = Table(title=f"Verdicts, {judged.tier} tier", show_lines=False, expand=False)
    for column in ("claim", "what it says", "verdict", "effect [interval]", "n"):
        grid.add_column(column, overflow="fold")
    waiting = []
    for claim in claims.claims.values():
        rows = [row for row in judged.of(claim.name) if row.contrast and (not only or row.experiment in only)]
        verdict = judged.overall[claim.name]
        if not rows or verdict == NOT_RUN:
            waiting.append(claim.name)
            continue
        grid.add_section()
        grid.add_row(f"[bold]{claim.name}[/bold]", f"[bold]{claim.en}[/bold]", _coloured(verdict, "bold "))
        for row in rows:
            words = row.statement if row.part else f"({row.statement})"
            effect = wording.effect(row).replace("[", "\\[")
            grid.add_row("", words, _coloured(row.verdict), effect, str(row.n or row.decided_by))
    console.print(grid)
    if judged.tier != "smoke":
        failed = [control for control in judged.controls if control.verdict != SUPPORTED]
        say(console, (f"control {row.contrast}: {row.verdict}: {row.statement}" for row in failed), "yellow")
        if reasons := {row.reason for row in judged.rows if row.verdict == INCONCLUSIVE and "control" in row.reason}:
            console.print(f"{len(reasons)} reason(s) for contrasts kept open by a control; see the page", style="yellow")
    console.print(f"not run: {' '.join(waiting)}" if waiting else "every claim has been run")


def _coloured(verdict: str, style: str = "") -> str:
    colour = COLOURS.get(verdict)
    return f"[{style}{colour}]{verdict}[/]" if colour else verdict
