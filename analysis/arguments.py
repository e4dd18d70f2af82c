"""The words of ``python -m analysis``."""

from __future__ import annotations

import argparse
from pathlib import Path

from analysis import claims, load
from study import declarations
from study.declarations import TIERS

PARTS = {
    "all": "everything below but collect (the default)",
    "collect": "gather fresh records (--source) into results/<tier>/records/*.jsonl, to be committed",
    "check": "what is planned, finished, diverged, failed, missing, stale or set aside; exit code 1 unless complete",
    "cost": "hours that each experiment may take, has taken, and may yet take",
    "registered": "which contrasts stood as they stand before the runs that they judge, from git; registered.csv",
    "again": "claims whose runs were made anew on other seeds (sweep.seeds), from --source, beside the committed verdicts",
    "open": "the commands that run further seeds of what a part still needs that the first ones leave open",
    "rates": "the chosen learning rates, with the validation score at each rate",
    "verdicts": "VERDICTS.md, verdicts.csv, and every contrast in the terminal",
    "tables": "tables/<experiment>.csv, .md, .tex, _rates.csv, _slices.csv, _cost.csv; verdicts and published_directions",
    "figures": "figures/<experiment>.svg and .png, and their learning-rate and learning curves",
    "page": "page.html: findings, experiments and all runs, with the figures of these records (drawn where there are none)",
    "readme": "findings in README.md, how often rules err in results/METHOD.md; with --check only whether they are up to date",
}
DESCRIPTION = f"""\
Rebuild every table, figure, verdict and the page from run records. Needs no torch, no GPU and no network.

parts:
{"".join(f"  {name:11}{text}{chr(10)}" for name, text in PARTS.items())}"""
EPILOG = """\
exit code: 0; 1 where records were set aside, there are none, or a check does not hold; 2 where nothing could be done

examples:
  python -m analysis                                     all tiers with committed records
  python -m analysis --source runs --tier smoke          straight from fresh runs
  python -m analysis page --source runs --serve          follow a sweep while it trains
  python -m analysis tables --tier core --experiment heads
  python -m analysis collect --source runs --tier core   then commit results/core/records
  python -m analysis --source wandb:entity/project --output /tmp/results
"""
OPTIONS = {  # option: (default, metavar, help)
    "results": (load.RESULTS, "FOLDER", "where committed records lie (default: results)"),
    "declarations": (declarations.FOLDER, "FOLDER", "experiments (default: conf/experiment)"),
    "claims": (claims.FOLDER, "FOLDER", "claims (default: analysis/claims)"),
    "readme": (load.ROOT / "README.md", "FILE", "file with the markers of the findings"),
    "output": (None, "FOLDER", "write to FOLDER/<tier> (default: results/<tier>; of fresh runs: runs/results/<tier>)"),
}
AGAIN = "make some with python run.py -m experiment=NAME tier={tier} sweep.committed=true sweep.seeds=[20,21,22]"
PORT = 8765
SOURCE = "committed (results/<tier>/records), a folder of fresh runs such as runs, or wandb:entity/project"


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m analysis",
        usage="python -m analysis [PART] [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("part", nargs="?", choices=PARTS, default="all", metavar="PART", help="one of the parts above")
    made.add_argument("--tier", action="append", choices=TIERS, help="this tier; may be repeated (default: all with records)")
    made.add_argument("--experiment", action="append", metavar="NAME", help="this one; may be repeated (default: all)")
    made.add_argument("--source", default="committed", metavar="WHERE", help=SOURCE)
    for name, (default, metavar, text) in OPTIONS.items():
        made.add_argument(f"--{name}", type=Path, default=default, metavar=metavar, help=text)
    serve = f"with page: follow runs that train, at http://127.0.0.1:PORT (default {PORT}), until Ctrl-C"
    made.add_argument("--serve", nargs="?", type=int, const=PORT, metavar="PORT", help=serve)
    made.add_argument("--check", action="store_true", help="with readme: change nothing; exit code 1 when the table is stale")
    return made
