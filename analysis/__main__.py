"""Records in; verdicts, tables, figures, report and README's verdict table out. See ``python -m analysis --help``."""

from __future__ import annotations

import argparse
import gc
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from analysis import claims as claims_module
from analysis import load, tables, verdicts
from analysis.claims import Claims
from analysis.results import Results
from analysis.verdicts import CONTRADICTED, INCONCLUSIVE, NOT_RUN, QUALIFIED, SUPPORTED, Verdicts
from study import experiments
from study.experiments import TIERS

PARTS = {
    "all": "everything below but collect (the default)",
    "collect": "gather fresh records (--source) into results/<tier>/records/*.jsonl, to be committed",
    "check": "what is planned, finished, diverged, failed, missing, stale or set aside; exit code 1 unless complete",
    "rates": "the chosen learning rates, with the validation score at each rate",
    "verdicts": "verdicts.csv, and every contrast in the terminal",
    "tables": "tables/<experiment>.csv and .md, _rates.csv, _slices.csv",
    "figures": "figures/<experiment>.svg and .png, and their learning-rate and learning curves",
    "report": "report.html, from the figures that are there (missing ones are drawn)",
    "readme": "the verdict table in README.md; with --check only say whether it is up to date",
}
NAMED = 5  # of what is missing; check names all
EPILOG = """\
exit code: 0; 1 where records were set aside, there are none, or a check does not hold; 2 where nothing could be done

examples:
  python -m analysis                                     all tiers with committed records
  python -m analysis --source runs --tier smoke          straight from fresh runs
  python -m analysis tables --tier core --experiment heads
  python -m analysis collect --source runs --tier core   then commit results/core/records
  python -m analysis --source wandb:entity/project --output /tmp/results
"""
COLOURS = {SUPPORTED: "green", CONTRADICTED: "red", QUALIFIED: "yellow", "by construction": "blue"}


@dataclass
class Tier:
    """All that is known of one tier: its studies hold all experiments, ``chosen`` those that were asked for."""

    name: str
    studies: dict[str, Results]
    chosen: dict[str, Results]
    found: Verdicts
    folder: Path


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    errors = Console(stderr=True, highlight=False)
    try:
        return run(options, console, errors)
    except (ValueError, OSError) as error:
        errors.print(f"analysis: {error}", style="red", markup=False, soft_wrap=True)
        return 2


def parser() -> argparse.ArgumentParser:
    def common(default: bool) -> argparse.ArgumentParser:
        """Options, valid before and after the part's name; only before it do they have defaults."""
        shared = argparse.ArgumentParser(add_help=False)
        where = shared.add_argument_group("what to read and where to write")

        def option(*names: str, value: object = None, **keys: object) -> None:
            where.add_argument(*names, default=value if default else argparse.SUPPRESS, **keys)  # type: ignore[arg-type]

        option(
            "--tier",
            action="append",
            choices=TIERS,
            help="this tier only; may be repeated (default: all that have records)",
        )
        option("--experiment", action="append", metavar="NAME", help="this experiment only; may be repeated (default: all)")
        option(
            "--source",
            value="committed",
            metavar="WHERE",
            help="committed (results/<tier>/records), a folder of fresh runs such as runs, or wandb:entity/project",
        )
        option("--output", type=Path, metavar="FOLDER", help="write to FOLDER/<tier> (default: results/<tier>)")
        option(
            "--results",
            type=Path,
            value=load.RESULTS,
            metavar="FOLDER",
            help="where committed records lie (default: results)",
        )
        option(
            "--declarations",
            type=Path,
            value=experiments.FOLDER,
            metavar="FOLDER",
            help="experiments (default: conf/experiment)",
        )
        option(
            "--claims",
            type=Path,
            value=claims_module.FILE,
            metavar="FILE",
            help="claims (default: analysis/claims.yaml)",
        )
        option("--readme", type=Path, value=load.ROOT / "README.md", metavar="FILE", help="file with the table's markers")
        return shared

    top = argparse.ArgumentParser(
        prog="python -m analysis",
        description="Rebuild every table, figure, verdict and the report from run records. "
        "Needs no torch, no GPU and no network.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common(True)],
    )
    parts = top.add_subparsers(dest="part", metavar="PART", title="parts")
    for name, text in PARTS.items():
        part = parts.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", parents=[common(False)])
        if name == "readme":
            part.add_argument("--check", action="store_true", help="change nothing; exit code 1 when the table is stale")
    top.set_defaults(part="all", check=False)
    return top


def run(options: argparse.Namespace, console: Console, errors: Console) -> int:
    """The exit code."""
    if options.part == "collect":
        return _collect(options, console, errors)
    claims = claims_module.read(options.claims)
    loaded = load.load(options.source, options.results)
    declared = _declared(options)
    names = [tier for tier in loaded.by_tier if not options.tier or tier in options.tier]
    if options.part == "readme" and not names:
        names = ["core"]  # what is decided by construction stands without a record
    tiers = [_tier(name, declared, loaded, claims, options) for name in names]
    _say_set_aside(loaded.set_aside, errors)
    for line in loaded.replaced:
        errors.print(line, style="yellow", markup=False, soft_wrap=True)
    code = 1 if loaded.set_aside else 0
    if not names:
        errors.print(_nothing(options, loaded), style="red", markup=False, soft_wrap=True)
        return 1
    for tier in sorted(set(options.tier or ()) - set(names)):
        errors.print(f"no records of the {tier} tier in {_source_words(options)}", style="yellow", markup=False, soft_wrap=True)
    if options.part == "check":
        return max(code, _check(tiers, console))
    if options.part == "rates":
        for tier in tiers:
            _print_rates(tier, console)
        return code
    if options.part == "readme":
        return max(code, _readme(options, claims, tiers, declared, console))
    for tier in tiers:
        _write(tier, claims, [*loaded.set_aside, *loaded.replaced], options, console)
    narrowed = options.tier or options.experiment or options.output or options.source != "committed"
    if options.part == "all" and not narrowed:
        _readme(options, claims, tiers, declared, console)
    return code


def _say_set_aside(lines: Iterable[str], errors: Console) -> None:
    for line in lines:
        errors.print(f"set aside: {line}", style="yellow", markup=False, soft_wrap=True)


def _declared(options: argparse.Namespace) -> dict[str, experiments.Experiment]:
    names = sorted(path.stem for path in options.declarations.glob("*.yaml"))
    if not names:
        raise ValueError(f"--declarations {options.declarations}: no experiment (*.yaml) there")
    if unknown := [name for name in options.experiment or () if name not in names]:
        raise ValueError(f"--experiment {unknown[0]}: not declared; there are {', '.join(names)}")
    return {name: experiments.load(name, options.declarations) for name in names}


def _tier(
    name: str,
    declared: dict[str, experiments.Experiment],
    loaded: load.Loaded,
    claims: Claims,
    options: argparse.Namespace,
) -> Tier:
    records = loaded.by_tier.get(name, [])
    present = {record["plan"]["experiment"] for record in records}
    for unknown in sorted(present - declared.keys()):
        loaded.set_aside.append(f"{name}: records of {unknown}, an experiment that is not declared")
    of_tier = {key: experiment for key, experiment in declared.items() if name in experiment.tiers}
    for without in sorted((present & declared.keys()) - of_tier.keys()):
        loaded.set_aside.append(f"{name}: records of {without}, which declares no {name} tier")
    studies = {key: Results(experiment, name, records) for key, experiment in of_tier.items() if key in present}
    found = verdicts.judge(claims, studies, name)
    chosen = {key: study for key, study in studies.items() if not options.experiment or key in options.experiment}
    return Tier(name, studies, chosen, found, (options.output or options.results) / name)


def _write(tier: Tier, claims: Claims, set_aside: list[str], options: argparse.Namespace, console: Console) -> None:
    part, folder = options.part, tier.folder
    everything = part == "all"
    folder.mkdir(parents=True, exist_ok=True)
    if everything or part == "verdicts":
        verdicts.write(folder / "verdicts.csv", tier.found.rows)
        verdicts.write(folder / "controls.csv", tier.found.controls)
    if everything or part == "tables":
        for study in tier.chosen.values():
            reading = verdicts.experiment_reading(study.experiment.name, tier.found.rows)
            tables.write(folder / "tables", study, claims.metrics, claims.published_results, reading)
    if everything or part in ("figures", "report"):
        from analysis import figures

        wanted = [
            study
            for name, study in tier.studies.items()
            if (part != "report" and name in tier.chosen) or not (folder / "figures" / f"{name}.svg").exists()
        ]
        redraw = part != "report" or not (folder / "figures" / "verdicts.svg").exists()
        figures.write_all(folder / "figures", wanted, claims.metrics, tier.found if redraw else None)
    if everything or part == "report":
        from analysis import report

        page = report.build(claims, tier.found, tier.studies, set_aside, _source_words(options), folder / "figures")
        (folder / "report.html").write_text(page, encoding="utf-8")
    if everything or part == "verdicts":
        _print_verdicts(tier, claims, console, options.experiment or ())
    for study in tier.chosen.values():
        console.print(f"[bold]{study.experiment.name}[/bold] ({tier.name}): {study.summary()}")
    _name_gaps(tier, options, console)
    written = folder / "report.html" if everything or part == "report" else folder
    console.print(f"{'report' if written.suffix else 'written to'}: {written.resolve()}", markup=False, soft_wrap=True)


def _name_gaps(tier: Tier, options: argparse.Namespace, console: Console) -> None:
    """The first few of what is missing, and the command that names all."""
    gaps = [f"{name}: {gap}" for name, study in tier.chosen.items() for gap in study.gaps()]
    for gap in gaps[:NAMED]:
        console.print(f"  {gap}", markup=False, soft_wrap=True)
    if gaps:
        source = "" if options.source == "committed" else f" --source {shlex.quote(options.source)}"
        more = f"and {len(gaps) - NAMED} more; " if len(gaps) > NAMED else ""
        console.print(f"  {more}all of it: python -m analysis check --tier {tier.name}{source}", markup=False, soft_wrap=True)


def _collect(options: argparse.Namespace, console: Console, errors: Console) -> int:
    source = "runs" if options.source == "committed" else options.source
    said, set_aside = load.collect(source, options.results, options.tier or (), options.experiment or ())
    for line in said or [f"no records of declared experiments in {source}"]:
        console.print(line, markup=False, soft_wrap=True)
    _say_set_aside(set_aside, errors)
    return 0 if said and not set_aside else 1


def _check(tiers: Iterable[Tier], console: Console) -> int:
    complete = True
    for tier in tiers:
        for study in tier.chosen.values():
            console.print(f"[bold]{study.experiment.name}[/bold] ({tier.name}): {study.summary()}")
            diverged = [f"diverged: {record['name']}: {record['error']}" for record in study.with_status("diverged")]
            for line in [*diverged, *study.gaps()]:
                console.print(f"  {line}", markup=False, soft_wrap=True)
            complete &= not study.gaps()
    return 0 if complete else 1


def _print_rates(tier: Tier, console: Console) -> None:
    for study in tier.chosen.values():
        grid = Table(title=f"{study.experiment.name}, {tier.name} tier: mean validation score of the tuning seeds")
        for column in ("task", "arm", "rate", "mean", "seeds", "lost", "chosen"):
            grid.add_column(column)
        for row in tables.rate_rows(study):
            mean = "-" if row["mean_validation"] is None else f"{row['mean_validation']:.4f}"
            lost = str(row["diverged"] + row["failed"] or "")
            grid.add_row(
                row["task"],
                row["arm"],
                f"{row['rate']:g}",
                mean,
                str(row["seeds"]),
                lost,
                "chosen" if row["chosen"] else "",
            )
        console.print(grid)


def _print_verdicts(tier: Tier, claims: Claims, console: Console, only: Sequence[str]) -> None:
    grid = Table(title=f"Verdicts, {tier.name} tier", show_lines=False, expand=False)
    for column in ("claim", "what it says", "verdict", "effect [interval]", "n"):
        grid.add_column(column, overflow="fold")
    waiting = []
    for claim in claims.claims.values():
        rows = [row for row in tier.found.of(claim.name) if row.contrast and (not only or row.experiment in only)]
        verdict = tier.found.overall[claim.name]
        if not rows or verdict == NOT_RUN:
            waiting.append(claim.name)
            continue
        grid.add_section()
        grid.add_row(f"[bold]{claim.name}[/bold]", f"[bold]{claim.en}[/bold]", _coloured(verdict, "bold "))
        for row in rows:
            words = row.statement if row.counts else f"({row.statement})"
            grid.add_row(
                "",
                words,
                _coloured(row.verdict),
                tables.effect(row, claims.metrics).replace("[", "\\["),
                str(row.n or ""),
            )
    console.print(grid)
    reasons = {row.reason for row in tier.found.rows if row.verdict == INCONCLUSIVE and "control" in row.reason}
    for control in tier.found.controls:
        if tier.name != "smoke" and control.verdict != SUPPORTED:
            console.print(f"control {control.contrast}: {control.verdict}: {control.statement}", style="yellow", markup=False)
    if reasons and tier.name != "smoke":
        console.print(f"{len(reasons)} reason(s) for contrasts kept open by a control; see report", style="yellow")
    console.print(f"not run: {' '.join(waiting)}" if waiting else "every claim has been looked at")


def _coloured(verdict: str, style: str = "") -> str:
    colour = COLOURS.get(verdict)
    return f"[{style}{colour}]{verdict}[/]" if colour else verdict


def _readme(
    options: argparse.Namespace,
    claims: Claims,
    tiers: Iterable[Tier],
    declared: dict[str, experiments.Experiment],
    console: Console,
) -> int:
    from analysis import readme

    text = readme.table(claims, {tier.name: tier.found for tier in tiers}, declared)
    fresh = readme.put(options.readme, text, options.check)
    if options.check:
        words = "up to date" if fresh else "stale; python -m analysis readme writes it anew"
        console.print(f"{options.readme}: verdict table {words}", markup=False, soft_wrap=True)
        return 0 if fresh else 1
    console.print(f"{options.readme}: verdict table {'was up to date' if fresh else 'written'}", markup=False, soft_wrap=True)
    return 0


def _nothing(options: argparse.Namespace, loaded: load.Loaded) -> str:
    wanted = f" of tier {' or '.join(options.tier)}" if options.tier else ""
    others = f" (there are records of: {', '.join(loaded.by_tier)})" if loaded.by_tier else ""
    tier = (options.tier or ["core"])[0]
    mend = f"launch python run.py -m experiment=heads tier={tier}, then python -m analysis --source runs --tier {tier}"
    return f"analysis: no records{wanted} in {_source_words(options)}{others}; {mend}"


def _source_words(options: argparse.Namespace) -> str:
    if options.source == "committed":
        return "the committed records"
    return f"the runs in {options.source}" if not options.source.startswith(load.WANDB) else options.source


if __name__ == "__main__":
    gc.disable()  # records are trees without cycles: to go over them again and again would find nothing and take seconds
    sys.exit(main())
