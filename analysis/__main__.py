"""Records in; verdicts, tables, figures, page and README's findings out. See ``python -m analysis --help``."""

from __future__ import annotations

import argparse
import gc
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from analysis import (
    budget,
    directions,
    drawn,
    findings,
    load,
    readme,
    rows,
    second_looks,
    tables,
    terminal,
    verdict_table,
    verdicts,
)
from analysis import claims as claims_module
from analysis.arguments import AGAIN, parser
from analysis.claims import Claims
from analysis.registration import Registration
from analysis.registration import read as registered_before
from analysis.results import Results
from analysis.verdicts import Verdicts
from study import experiments
from study.declarations import TIERS
from study.experiments import Experiment

Declared = Mapping[str, Experiment]  # by name
Of = TypeVar("Of")


@dataclass
class Tier:
    """All that is known of one tier: its results hold all experiments, ``chosen`` those that were asked for."""

    name: str
    results: dict[str, Results]
    chosen: dict[str, Results]
    folder: Path
    judge: Callable[[], tuple[Verdicts, Registration]]

    @cached_property
    def _judged(self) -> tuple[Verdicts, Registration]:
        return self.judge()  # once, and only where a part of the analysis asks for verdicts

    @property
    def judged(self) -> Verdicts:
        return self._judged[0]

    @property
    def registration(self) -> Registration:
        return self._judged[1]


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_intermixed_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False, emoji=False)
    errors = Console(stderr=True, highlight=False, emoji=False)
    try:
        return run(options, console, errors)
    except (ValueError, OSError) as error:
        terminal.say(errors, [f"analysis: {error}"], "red")
        return 2


def run(options: argparse.Namespace, console: Console, errors: Console) -> int:
    """The exit code."""
    if options.experiment and options.part in ("again", "page", "readme", "registered"):
        raise ValueError(f"--experiment: {options.part} is of all experiments; leave it out")
    if options.output is None and options.source != "committed":  # committed results stay what the committed records say
        options.output = Path("runs" if options.source.startswith(load.WANDB) else options.source) / load.RESULTS.name
    if options.check and options.part != "readme":
        raise ValueError("--check goes with readme; python -m analysis check says what is missing")
    if options.part == "again":
        return _again(options, console, errors)
    if options.serve is not None:
        return _serve(options, console)
    if options.part == "collect":
        return _collect(options, console, errors)
    claims = claims_module.read(options.claims)
    loaded = load.load(options.source, options.results)
    declared = _declared(options)
    names = [tier for tier in loaded.by_tier if not options.tier or tier in options.tier]
    if options.part in ("readme", "cost") and not names:
        names = options.tier or ["core"]  # what is decided by construction stands without a record
    tiers = [_tier(name, declared, loaded, claims, options) for name in names]
    terminal.say(errors, [*(f"set aside: {line}" for line in loaded.set_aside), *loaded.replaced], "yellow")
    if not names and loaded.singles and options.part in ("all", "page"):
        _page(tiers, loaded, claims, options, console)
        return 1 if loaded.set_aside else 0
    if not names:
        terminal.say(errors, [_nothing(options, loaded)], "red")
        return 1
    for absent in sorted(set(options.tier or ()) - set(names)):
        terminal.say(errors, [f"no records of the {absent} tier in {_source_words(options)}"], "yellow")
    code = 1 if loaded.set_aside else 0
    if options.part == "check":
        complete = [terminal.all_gaps(tier.chosen.values(), console) for tier in tiers]
        return code if all(complete) else 1
    if options.part == "cost":
        for tier in tiers:
            terminal.costs(budget.table(_asked(declared, options).values(), tier.name, tier.results), tier.name, console)
        return code
    if options.part == "registered":
        for tier in tiers:
            terminal.registered(tier.registration, console)
            tier.registration.write(tier.folder)
        return code
    if options.part == "open":
        for tier in tiers:
            found = second_looks.cells(claims, tier.chosen, tier.judged.rows, tier.name)
            nothing = [f"{tier.name}: no part that more seeds may decide"]
            terminal.say(console, second_looks.commands(found, tier.name) or nothing)
        return code
    if options.part == "rates":
        for results in (results for tier in tiers for results in tier.chosen.values()):
            terminal.rates(results, console)
        return code
    if options.part == "readme":
        return max(code, _readme(options, claims, declared, tiers, console))
    for tier in tiers:
        _write(tier, claims, declared, options, console)
    if options.part in ("all", "page"):
        _page(tiers, loaded, claims, options, console)
    narrowed = options.tier or options.experiment or options.output
    if options.part == "all" and not narrowed:
        _readme(options, claims, declared, tiers, console)
    return code


def _declared(options: argparse.Namespace) -> dict[str, Experiment]:
    names = sorted(path.stem for path in options.declarations.glob("*.yaml"))
    if not names:
        raise ValueError(f"--declarations {options.declarations}: no experiment (*.yaml) there")
    if unknown := [name for name in options.experiment or () if name not in names]:
        raise ValueError(f"--experiment {unknown[0]}: not declared; there are {', '.join(names)}")
    return {name: experiments.load(name, options.declarations) for name in names}


def _asked(by_name: Mapping[str, Of], options: argparse.Namespace) -> dict[str, Of]:
    """What is of the experiments that ``--experiment`` names, else all of it."""
    return {name: one for name, one in by_name.items() if not options.experiment or name in options.experiment}


def _tier(name: str, declared: Declared, loaded: load.Loaded, claims: Claims, options: argparse.Namespace) -> Tier:
    records = loaded.by_tier.get(name, [])
    present = {record["plan"]["experiment"] for record in records}
    for unknown in sorted(present - declared.keys()):
        loaded.set_aside.append(f"{name}: records of {unknown}, an experiment that is not declared")
    of_tier = {key: experiment for key, experiment in declared.items() if name in experiment.tiers}
    for without in sorted((present & declared.keys()) - of_tier.keys()):
        loaded.set_aside.append(f"{name}: records of {without}, which declares no {name} tier")
    results = {key: Results(experiment, name, records) for key, experiment in of_tier.items() if key in present}

    def judge() -> tuple[Verdicts, Registration]:
        found = Registration(name, options.claims, options.declarations, committed=registered_before(options.results / name))
        return verdicts.judge(claims, results, name, found), found

    return Tier(name, results, _asked(results, options), (options.output or options.results) / name, judge)


def _write(tier: Tier, claims: Claims, declared: Declared, options: argparse.Namespace, console: Console) -> None:
    folder, chosen = tier.folder, tier.chosen.values()
    parts = [part for part in ("verdicts", "tables", "figures", "page") if options.part in ("all", part)]
    count = sum(len(results.records) for results in chosen)
    terminal.say(console, [f"{tier.name} tier: {', '.join(parts)} from {count} records of {len(chosen)} experiments ..."])
    folder.mkdir(parents=True, exist_ok=True)
    if "verdicts" in parts:
        rows.write(folder / "verdicts.csv", tier.judged.rows)
        (folder / "VERDICTS.md").write_text(readme.table(claims, tier.judged, declared), encoding="utf-8")
        rows.write(folder / "controls.csv", tier.judged.controls)
        tier.registration.write(folder)
    if "tables" in parts:
        for results in chosen:
            answers = findings.answers(results.experiment.name, tier.judged.rows)
            tables.write(folder / "tables", results, claims.published_results, answers)
        if not options.experiment:
            verdict_table.write(folder / "tables", tier.judged.rows)
            directions.write(folder / "tables", directions.compared(claims.published_directions, tier.judged.rows))
    _draw(tier, claims, parts)
    if "verdicts" in parts:
        terminal.verdicts(tier.judged, claims, options.experiment or (), console)
    terminal.summaries(chosen, console)
    source = "" if options.source == "committed" else f" --source {shlex.quote(options.source)}"
    terminal.gaps(chosen, f"python -m analysis check --tier {tier.name}{source}", console)
    if options.part != "page":
        terminal.say(console, [f"written to: {folder.resolve()}"])


def _page(tiers: Sequence[Tier], loaded: load.Loaded, claims: Claims, options: argparse.Namespace, console: Console) -> None:
    from analysis import page

    shown = [page.Shown(tier.judged, tier.results, tier.folder / "figures") for tier in tiers]
    path = (options.output or options.results) / page.NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page.build(claims, shown, loaded, _source_words(options)), encoding="utf-8")
    terminal.say(console, [f"page: {path.resolve()}"])


def _serve(options: argparse.Namespace, console: Console) -> int:
    """Until Ctrl-C. The page is made anew when there are new records; its figures are those that are there."""
    from analysis import page
    from analysis.page import live

    source = "runs" if options.source == "committed" else options.source
    if options.part != "page" or not Path(source).is_dir():
        raise ValueError("--serve goes with page and a folder of runs: python -m analysis page --source runs --serve")
    declared = _declared(options)

    def made(loaded: load.Loaded) -> str:
        claims = claims_module.read(options.claims)
        names = [tier for tier in loaded.by_tier if not options.tier or tier in options.tier]
        tiers = [_tier(name, declared, loaded, claims, options) for name in names]
        shown = [page.Shown(tier.judged, tier.results, tier.folder / "figures") for tier in tiers]
        return page.build(claims, shown, loaded, f"the runs in {source}", live=True)

    return live.serve(Path(source), declared, made, options.serve, console)


def _draw(tier: Tier, claims: Claims, parts: Sequence[str]) -> None:
    """Figures of the experiments chosen; for the page any other, too, that is not there yet or shows other records."""
    folder, anew, page = tier.folder / "figures", "figures" in parts, "page" in parts
    due = [one for name, one in tier.results.items() if anew and name in tier.chosen or page and drawn.svg(folder, one) is None]
    verdicts = anew or page and not (folder / "verdicts.svg").exists()
    if due or verdicts:
        from analysis import figures

        said = {name: claim.en for name, claim in claims.claims.items()}
        figures.write_all(folder, due, tier.judged if verdicts else None, said)


def _collect(options: argparse.Namespace, console: Console, errors: Console) -> int:
    source = "runs" if options.source == "committed" else options.source
    _declared(options)
    said, set_aside = load.collect(source, options.results, options.tier or (), options.experiment or ())
    terminal.say(console, said or [f"no records of declared experiments in {source}"])
    terminal.say(errors, (f"set aside: {line}" for line in set_aside), "yellow")
    return 0 if said and not set_aside else 1


def _again(options: argparse.Namespace, console: Console, errors: Console) -> int:
    from analysis import again

    if options.source == "committed":
        raise ValueError("again holds fresh runs against the committed ones: name their folder, e.g. --source runs")
    claims, declared = claims_module.read(options.claims), _declared(options)
    fresh, committed = load.load(options.source, options.results), load.committed(options.results)
    pairs = [
        pair
        for tier in options.tier or TIERS
        for pair in again.pairs(claims, declared, fresh.by_tier.get(tier, ()), committed.by_tier.get(tier, ()), tier)
    ]
    if not pairs:
        fix = AGAIN.format(tier=(options.tier or ["core"])[0])
        terminal.say(errors, [f"analysis: {options.source} has no runs of a contrast on seeds of their own; {fix}"], "red")
        return 1
    terminal.again(pairs, console)
    return 0


def _readme(options: argparse.Namespace, claims: Claims, declared: Declared, tiers: Sequence[Tier], console: Console) -> int:
    from analysis import simulation

    fresh = readme.put(options.readme, readme.summary(claims, {tier.name: tier.judged for tier in tiers}), options.check)
    method = options.results / "METHOD.md"
    if method.is_file():
        rows = [row for tier in tiers for row in tier.judged.rows if row.part]
        fresh &= readme.put(method, simulation.sentence(rows), options.check, readme.RULES)
    if options.readme.is_file() and readme.HOURS[0] in options.readme.read_text(encoding="utf-8"):
        budgets = {tier.name: budget.table(declared.values(), tier.name, tier.results) for tier in tiers}
        fresh &= readme.put(options.readme, readme.hours(budgets), options.check, readme.HOURS)
    if options.check:
        words = "up to date" if fresh else "stale; python -m analysis readme writes it anew"
    else:
        words = "was up to date" if fresh else "written"
    terminal.say(console, [f"{options.readme}: findings {words}"])
    return 1 if options.check and not fresh else 0


def _nothing(options: argparse.Namespace, loaded: load.Loaded) -> str:
    wanted = f" of tier {' or '.join(options.tier)}" if options.tier else ""
    others = f" (there are records of: {', '.join(loaded.by_tier)})" if loaded.by_tier else ""
    tier = (options.tier or ["core"])[0]
    if loaded.singles:
        others += f"; {len(loaded.singles)} belong to no experiment: analysis.results.frame has them"
    trainer = " trainer=gpu" if tier == "full" else ""
    fix = f"launch python run.py -m experiment=heads tier={tier}{trainer}, then python -m analysis --source runs --tier {tier}"
    return f"analysis: no records{wanted} in {_source_words(options)}{others}; {fix}"


def _source_words(options: argparse.Namespace) -> str:
    if options.source == "committed":
        return "the committed records"
    return f"the runs in {options.source}" if not options.source.startswith(load.WANDB) else options.source


if __name__ == "__main__":
    gc.disable()  # records have no cycles, and searching them for some takes seconds
    sys.exit(main())
