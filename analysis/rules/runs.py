"""How the runs behind a contrast ended. One whose losing side still improves is open: its budget was too small, not its arm."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from analysis.formats import whole
from analysis.results import cell_of
from analysis.rules.base import Unit
from analysis.rules.scores import Scores
from analysis.rules.terms import Term
from analysis.statistics import ABOVE, BELOW, EQUAL, WITHIN, Reading, Test
from analysis.values import IMPROVING, SCORED, collapsed, ended_on, endings, joined, late_gain, measure
from study.declarations import TaskVariant
from study.metrics import METRICS
from study.records import Record


def of_sides(scores: Scores, sides: Sequence[Sequence[Term]]) -> dict[str, str]:
    """Columns of a contrast's row: how the trainings of each side went, the arms of a side apart."""

    def told(say: Callable[[Sequence[Record]], str]) -> str:
        each = [[say(list(scores.runs(term).values())) for term in _trained(scores, terms)] for terms in sides]
        return " against ".join(filter(None, (", ".join(filter(None, words)) for words in each)))

    arms = [term for terms in sides for term in _trained(scores, terms)]
    runs = [run for term in arms for run in scores.runs(term).values()]
    cells = dict.fromkeys(map(cell_of, runs))
    choices = [(arm, scores.study.choices[arm, task]) for arm, task in cells if (arm, task) in scores.study.choices]
    edges = dict.fromkeys(arm for arm, choice in choices if choice.further is not None or len(choice.curve) == 1)
    return {
        "solved": told(_solved),
        "ended": told(lambda records: endings(records, scores.study.experiment.tasks[records[0]["plan"]["task"]])),
        "collapsed": _collapsed(scores, arms),
        "cap": joined(whole(run["config"]["train"]["steps"]) for run in runs),
        "steps": told(_steps),
        "parameters": told(lambda records: joined(filter(None, (whole(measure(run, "parameters")) for run in records)))),
        "rates": f"edge: {', '.join(edges)}" if edges else "bracketed" if choices else "",
    }


def _solved(records: Sequence[Record]) -> str:
    hits = [value for record in records if (value := measure(record, "solved")) is not None]
    return f"{sum(hits):.0f}/{len(hits)}" if hits else ""


def _steps(records: Sequence[Record]) -> str:
    taken = [run["steps"] for run in records if run.get("steps")]
    return whole(statistics.median(taken)) if taken else ""


def _collapsed(scores: Scores, arms: Sequence[Term]) -> str:
    found = []
    for term in arms:
        if (term.metric or scores.path).partition(".")[0] not in SCORED:
            continue
        plans = [run["plan"] for run in collapsed(scores.runs(term).values(), term.metric or scores.path)]
        if plans:
            found.append(f"{plans[0]['arm']} seed {' '.join(str(plan['seed']) for plan in plans)}")
    return ", ".join(dict.fromkeys(found))


def held_open(scores: Scores, test: Test, reading: Reading, sides: Sequence[Sequence[Term]], unit: Unit | None) -> str:
    """Why a finding must not stand: at least half of the runs of an arm that loses by it still improve. Empty if it may.

    An arm that is said to be at a number, such as chance, loses by that as well.

    It may, too, where a score can't be solved, such as bits per character, and twice what such a run gained on the other side
    in its last third is less than it lacks: such scores improve by less and less, and those of both sides do. ``unit`` is that
    of an effect not told in the score itself.
    """
    gains, losses = sides
    within = gains if reading.get(WITHIN) == EQUAL or not _arms(scores, losses) else ()
    losing = {ABOVE: losses, BELOW: gains, WITHIN: within}.get(test.place or "", ())
    others = _arms(scores, gains if losing is losses else losses)
    for term in _arms(scores, losing):
        runs = scores.runs(term).values()
        late = [run for run in runs if ended_on(run, _task(scores, term)) == IMPROVING]
        if 2 * len(late) >= max(1, len(runs)) and (unit is not None or not _far_behind(scores, test, late, others)):
            steps = max(run["config"]["train"]["steps"] for run in runs)
            fastest = _fastest(scores, term.task or scores.task)
            times = f", {steps / fastest:.3g} times what the fastest arm needs" if fastest else ""
            return f"{next(iter(runs))['plan']['arm']} is still improving: not within {steps} steps{times}"
    return ""


def _far_behind(scores: Scores, test: Test, late: Sequence[Record], others: Sequence[Term]) -> bool:
    """Whether these runs would not reach the margin by gaining twice what they gained on the other side's in the last third.

    Where runs are validated by another score than the contrast's, as translations are by the share of right tokens, they must
    not gain a margin of that.
    """
    assert test.effect is not None
    if any(run.get("solved_at") is not None for run in late):
        return False
    if (metric := late[0]["metric"]) == scores.metric.name:
        lacking = {ABOVE: test.effect - test.margin, BELOW: -test.effect - abs(test.margin)}.get(test.place or "", 0.0)
    else:
        lacking = METRICS[metric].margin
    ahead = [run for term in others for run in scores.runs(term).values()]
    own, others_gain = (statistics.median([late_gain(run) or 0.0 for run in runs] or [0.0]) for runs in (late, ahead))
    return 2 * (own - others_gain) < lacking


def _trained(scores: Scores, terms: Sequence[Term]) -> list[Term]:
    """Sides that are trained models."""
    arms = [term for term in terms if term.arm or term.best_of]
    return [term for term in arms if _task(scores, term).measure == "training"]


def _arms(scores: Scores, terms: Sequence[Term]) -> list[Term]:
    """Sides that are scores of trained models."""
    scored = (*SCORED, "solved")
    return [term for term in _trained(scores, terms) if (term.metric or scores.path).partition(".")[0] in scored]


def _task(scores: Scores, term: Term) -> TaskVariant:
    return scores.study.experiment.tasks[term.task or scores.task]


def _fastest(scores: Scores, task: str) -> float | None:
    """Median steps to solve of the arm that solves a task in the fewest, of those of which every run solves it."""
    found = []
    for arm in scores.study.experiment.tasks[task].arms:
        steps = [record.get("steps_to_solve") for record in scores.study.seeds((arm, task)).values()]
        if steps and None not in steps:
            found.append(float(statistics.median(filter(None, steps))))
    return min(found, default=None)
