"""From claims and records to verdicts, by the rules that each contrast names; nothing is decided by hand.

Contrasts are computed on verdict seeds, paired by seed. Positive effects say that side a is better.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis import statistics
from analysis.claims import Claim, Claims, Contrast, Metric, Term, node_exists
from analysis.effort import effort, steps_to_90
from analysis.formats import as_csv
from analysis.load import ROOT
from analysis.results import Results as Study
from analysis.statistics import CONTRADICTED, INCONCLUSIVE, SUPPORTED, Test
from analysis.values import MOST_NATS, counted, measure, trained_length
from study.records import Record

BY_CONSTRUCTION, NOT_RUN, QUALIFIED = "by construction", "not run", "qualified"
VERDICTS = (SUPPORTED, CONTRADICTED, QUALIFIED, INCONCLUSIVE, BY_CONSTRUCTION, NOT_RUN)
DECIDED = (SUPPORTED, CONTRADICTED, QUALIFIED, BY_CONSTRUCTION)
SMOKE = "the smoke tier decides nothing"


@dataclass(frozen=True)
class Row:
    """A contrast with its outcome: one line of ``verdicts.csv``. Effects of relative metrics are shares."""

    claim: str
    contrast: str
    statement: str
    verdict: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    p: float | None = None
    p_holm: float | None = None
    n: int | None = None
    dropped: int | None = None  # planned pairs without a score on both sides
    margin: float | None = None
    metric: str = ""
    rule: str = ""
    scope: str = ""
    experiment: str = ""
    task: str = ""
    tier: str = ""
    device: str = ""
    revision: str = ""
    counts: bool = True
    reason: str = ""
    claim_verdict: str = ""


@dataclass
class Verdicts:
    tier: str
    rows: list[Row]
    controls: list[Row]
    overall: dict[str, str]

    def of(self, claim: str) -> list[Row]:
        return [row for row in self.rows if row.claim == claim]


class NotRun(Exception):
    """A contrast has no records to be computed from; says why."""


@dataclass
class Evidence:
    """What a contrast was computed from."""

    test: Test
    metric: Metric | None = None
    path: str = ""
    margin: float | None = None
    task: str = ""
    planned: int = 0
    looks: int = 1  # two, where further seeds are declared for what the first leave open
    records: list[Record] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def judge(claims: Claims, studies: Mapping[str, Study], tier: str, root: Path = ROOT) -> Verdicts:
    """Verdict of each contrast and each claim of one tier; controls first, as they gate what may be believed."""
    controls = [  # each a precondition of its own, so none is corrected for the others
        row for control in claims.controls for row in _judge_family("control", [control], claims, studies, tier, {}, root)
    ]
    held = {row.contrast: row for row in controls}
    gates = {task: held[control.name] for control in claims.controls for task in control.gates}
    rows, overall = [], {}
    for claim in claims.claims.values():
        deciding = [contrast for contrast in claim.contrasts if contrast.counts]
        beside = [contrast for contrast in claim.contrasts if not contrast.counts]
        found = {
            row.contrast: row
            for family in (deciding, beside)
            for row in _judge_family(claim.name, family, claims, studies, tier, gates, root)
        }
        own = [found[contrast.name] for contrast in claim.contrasts]
        overall[claim.name] = verdict = claim_verdict(own)
        reason = claim.nothing_to_run or "no contrast declared yet"
        own = own or [Row(claim.name, "", claim.en, NOT_RUN, tier=tier, reason=reason)]
        rows += [dataclasses.replace(row, claim_verdict=verdict) for row in own]
    return Verdicts(tier, rows, controls, overall)


def claim_verdict(rows: Sequence[Row]) -> str:
    """A claim's verdict from those of the contrasts that count.

    Supported in one part and contradicted in another: qualified, whatever a third says. Else a part that is open or not run
    leaves the claim open.
    """
    found = [row.verdict for row in rows if row.counts]
    holds = {SUPPORTED, BY_CONSTRUCTION}
    if not found or all(verdict == NOT_RUN for verdict in found):
        return NOT_RUN
    if CONTRADICTED in found and holds & set(found):
        return QUALIFIED
    if all(verdict == BY_CONSTRUCTION for verdict in found):
        return BY_CONSTRUCTION
    if all(verdict in holds for verdict in found):
        return SUPPORTED
    if all(verdict == CONTRADICTED for verdict in found):
        return CONTRADICTED
    return INCONCLUSIVE


def write(path: Path, rows: Iterable[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [field.name for field in dataclasses.fields(Row)]
    path.write_text(as_csv(map(vars, rows), columns), encoding="utf-8")


def reading(claim: Claim, rows: Sequence[Row], verdict: str) -> str:
    """The verdict in sentences made from its rows: what was found, where it holds and fails, and how far it goes."""
    counted = [row for row in rows if row.counts and row.contrast]
    if verdict == NOT_RUN:
        return f"Not run: {claim.nothing_to_run or 'no record bears on this claim yet'}."
    lead = f"{claim.name} is {verdict}" if verdict != INCONCLUSIVE else f"{claim.name} stays inconclusive"
    sentences = [f"{lead}: {tally(counted)}."]
    if against := _statements(counted, CONTRADICTED):
        sentences.append(f"Against it: {against} - not so.")
    if opened := [row for row in counted if row.verdict == INCONCLUSIVE]:
        sentences.append(f"Open, since {'; '.join(dict.fromkeys(row.reason.split('; ')[0] for row in opened))}.")
    return " ".join([*sentences, *_scopes(counted)])


def experiment_reading(experiment: str, rows: Iterable[Row]) -> str:
    """What an experiment's own contrasts say, in three sentences made from them: how many, which hold and fail, how far."""
    own = [row for row in rows if row.experiment == experiment and row.counts and row.verdict != NOT_RUN]
    if not own:
        return ""
    parts = [f"Holds: {held}." if (held := _statements(own, SUPPORTED)) else ""]
    parts += [f"Does not hold: {against}." if (against := _statements(own, CONTRADICTED)) else ""]
    parts += [f"Open: {opened}." if (opened := _statements(own, INCONCLUSIVE)) else ""]
    return " ".join([f"What decides claims here: {tally(own)}.", *filter(None, parts), *_scopes(own)])


def tally(rows: Iterable[Row]) -> str:
    """How many contrasts came out how, in words."""
    rows = list(rows)
    counts = {word: sum(row.verdict == word for row in rows) for word in VERDICTS}
    found = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"of {len(rows)} contrasts {found}" if len(rows) > 1 else f"one contrast, {found.removeprefix('1 ')}"


def _statements(rows: Sequence[Row], verdict: str) -> str:
    return "; ".join(row.statement.rstrip(".") for row in rows if row.verdict == verdict)


def _scopes(rows: Sequence[Row]) -> list[str]:
    scopes = "; ".join(dict.fromkeys(row.scope for row in rows if row.scope))
    return [f"Scope: {scopes}."] if scopes else []


def _judge_family(
    owner: str,
    contrasts: Sequence[Contrast],
    claims: Claims,
    studies: Mapping[str, Study],
    tier: str,
    gates: Mapping[str, Row],
    root: Path,
) -> list[Row]:
    """Evaluate contrasts that are held against each other (Holm)."""
    evidence: dict[str, Evidence] = {}
    rows: dict[str, Row] = {}
    for contrast in contrasts:
        blank = Row(
            owner,
            contrast.name,
            contrast.statement,
            NOT_RUN,
            rule=contrast.rule,
            tier=tier,
            experiment=contrast.experiment,
            counts=contrast.counts,
        )
        try:
            if contrast.rule == "by_construction":
                rows[contrast.name] = _constructed(contrast, blank, root)
            else:
                rows[contrast.name] = blank
                evidence[contrast.name] = evaluate(contrast, claims.metrics, studies, tier)
        except NotRun as why:
            rows[contrast.name] = dataclasses.replace(blank, reason=str(why))
    settled = statistics.settle([found.test for found in evidence.values()], [found.looks for found in evidence.values()])
    for (name, found), (verdict, adjusted, reason) in zip(evidence.items(), settled, strict=True):
        contrast = next(contrast for contrast in contrasts if contrast.name == name)
        if tier == "smoke":
            verdict, reason = INCONCLUSIVE, SMOKE
        elif (gate := gates.get(found.task)) is not None and gate.verdict != SUPPORTED:
            verdict, reason = (
                INCONCLUSIVE,
                f"the {gate.contrast} control is {gate.verdict}: {gate.statement.rstrip('.')}",
            )
        rows[name] = _row(rows[name], contrast, found, verdict, adjusted, reason, tier)
    return [rows[contrast.name] for contrast in contrasts]


def _constructed(contrast: Contrast, blank: Row, root: Path) -> Row:
    if not node_exists(contrast.node, root):
        raise NotRun(f"the test {contrast.node} does not exist")
    verdict = BY_CONSTRUCTION if contrast.holds else CONTRADICTED
    return dataclasses.replace(blank, verdict=verdict, scope=contrast.node, reason="decided by a test, no training")


def evaluate(contrast: Contrast, metrics: Mapping[str, Metric], studies: Mapping[str, Study], tier: str) -> Evidence:
    """The statistic of one contrast on the verdict seeds. Raises ``NotRun`` where it has nothing to go by."""
    if contrast.tiers and tier not in contrast.tiers:
        raise NotRun(f"belongs to the {' and '.join(contrast.tiers)} tier")
    study = studies.get(contrast.experiment)
    if study is None:
        raise NotRun(f"no records of {contrast.experiment}")
    tasks = study.experiment.sizes(tier).tasks
    task = next((task for task in contrast.task if task in tasks), None)
    if task is None:
        raise NotRun(f"{contrast.experiment} has no task {' or '.join(contrast.task)} in the {tier} tier")
    return _Evaluation(contrast, metrics, study, task).run()


class _Evaluation:
    def __init__(self, contrast: Contrast, metrics: Mapping[str, Metric], study: Study, task: str):
        self.contrast = contrast
        self.study = study
        self.task = task
        declared = study.experiment.tasks[task]
        self.path = contrast.metric or contrast.a.metric or f"test.{declared.metric}"
        name = self.path.rpartition(".")[2]
        if name not in metrics:
            raise ValueError(f"contrast {contrast.name}: no metric {name!r} in study.metrics; known are {', '.join(metrics)}")
        self.metric = metrics[name]
        margin = contrast.margin
        if margin is None:
            margin = 0.0 if contrast.rule in ("slope", "at_least") else self.metric.margin
            if contrast.rule not in ("slope", "at_least") and name == declared.metric and declared.margin is not None:
                margin = declared.margin
        looks = 2 if study.experiment.sizes(study.tier).further_seeds else 1
        self.found = Evidence(Test(), self.metric, self.path, margin, task, planned=len(study.planned_seeds), looks=looks)
        self.margin = math.log1p(margin) if self.metric.relative else margin
        self.cells: list[int] = []  # how many runs are planned in each cell that all runs are asked of

    def run(self) -> Evidence:
        """The test of the contrast; one whose side a is below the floor speaks for nothing."""
        self._test()
        floor = self.contrast.floor
        if floor is not None and self.found.test.leaning is not None:
            a = self.contrast.a
            if self.contrast.rule == "reach":
                a = self._within(a)
            if self.contrast.floor_metric:
                a = dataclasses.replace(a, metric=self.contrast.floor_metric)
            mean, *_ = statistics.mean_interval(_minus(self._values(a), 0.0))
            if mean is not None and mean < floor:
                note = f"side a, at {100 * mean:.0f} %, has not learned enough to be compared"
                self.found.test = dataclasses.replace(self.found.test, leaning=None, note=note)
        return self.found

    def _test(self) -> None:
        rule, a, b = self.contrast.rule, self.contrast.a, self.contrast.b
        if rule == "solves":
            self.found.test = self._solves(a, b)
        elif rule == "sooner":
            self.found.test = self._sooner(a, b)
        elif rule == "slope":
            self.found.test = statistics.bootstrapped(_minus(self._slopes(a), self._slopes(b)), self.margin)
        elif rule == "interaction":
            effects = _paired(self._values(a), self._values(b))
            others = _paired(self._values(self.contrast.c), self._values(self.contrast.d))
            both = [effects[seed] - others[seed] for seed in sorted(effects.keys() & others.keys())]
            self.found.test = statistics.bootstrapped(both, self.margin)
        elif rule == "reach":
            within = self._values(self._within(a))
            beyond = self._values(dataclasses.replace(a, slice={self.contrast.axis: ["> reach"]}))  # type: ignore[dict-item]
            self.found.test = statistics.better(_minus(within, beyond), self.margin)
            self._explain_reach()
        else:
            decide = statistics.equivalent if rule == "equivalent" else statistics.better
            self.found.test = decide(_minus(self._values(a), self._values(b)), self.margin)
            if self.path.endswith("accuracy") and all(r.get("steps_to_solve") is not None for r in self.found.records):
                self.found.notes.append("every run solves the task and stops there")

    def _within(self, term: Term) -> Term:
        return dataclasses.replace(term, slice={self.contrast.axis: ["<= reach"]})  # type: ignore[dict-item]

    def _records(self, term: Term) -> Mapping[Any, Record]:
        """Records of a term's cell by seed, or by what else pairs them (``over``); failed ones apart."""
        task = term.task or self.task
        arm = term.arm
        if term.best_of:
            arm = self.study.best_arm(task, term.best_of)
            if arm is None:
                raise NotRun(f"not every one of {', '.join(term.best_of)} has a chosen rate on {task}")
            note = f"best on validation: {arm}"
            if note not in self.found.notes:
                self.found.notes.append(note)
        if arm is None or arm not in self.study.experiment.arms:
            raise ValueError(f"contrast {self.contrast.name}: {self.study.experiment.name} has no arm {arm!r}")
        records: Mapping[Any, Record]
        if self.contrast.over == "all_runs":
            records = self.study.all_runs((arm, task))
            self.cells.append(sum(run.cell == (arm, task) for run in self.study.planned))
            self.found.planned = min(self.cells)
        else:
            records = self.study.seeds((arm, task))
        if not records:
            raise NotRun(f"no verdict runs of {arm} on {task}")
        known = {record["name"] for record in self.found.records}
        self.found.records += [record for record in records.values() if record["name"] not in known]
        return records

    def _values(self, term: Term) -> dict[Any, float] | float | None:
        """Oriented scores by seed: larger is better, ratios as logarithms. A number holds for every seed."""
        if term.value is not None:
            return self._oriented(term.value)
        if term.chance:
            chances = {seed: r.get("chance") for seed, r in self._records(self.contrast.a).items()}
            return self._all_oriented(chances)
        path, sliced = term.metric or self.path, term.slice or self.contrast.slice
        values = {seed: measure(record, path, sliced) for seed, record in self._records(term).items()}
        return self._all_oriented(values)

    def _all_oriented(self, values: Mapping[Any, float | None]) -> dict[Any, float]:
        """Those that are there, and of a ratio those that have a logarithm."""
        known = {seed: value for seed, value in values.items() if value is not None}
        return {seed: self._oriented(value) for seed, value in known.items() if value > 0 or not self.metric.relative}

    def _oriented(self, value: float) -> float:
        value = math.log(value) if self.metric.relative else value
        return -value if self.metric.better == "lower" else value

    def _slopes(self, term: Term) -> dict[int, float] | float | None:
        """Slope by seed over the log of a slice's values, or of points: of logit(accuracy), else of log scores."""
        if term == Term():
            return 0.0
        if term.value is not None:
            return term.value
        if self.contrast.points:
            series: dict[int, list[tuple[float, float]]] = {}
            for x, point in self.contrast.points:
                merged = dataclasses.replace(point, arm=point.arm or term.arm)
                for seed, record in self._records(merged).items():
                    y = measure(record, point.metric or self.path)
                    if y is not None and y > 0:
                        series.setdefault(seed, []).append((math.log(x), math.log(y)))
            series = {seed: points for seed, points in series.items() if len(points) == len(self.contrast.points)}
        else:
            split, _, name = (term.metric or self.path).rpartition(".")
            series = {}
            for seed, record in self._records(term).items():
                bins = record.get("slices", {}).get(split, {}).get(self.contrast.axis, {})
                series[seed] = [
                    (math.log(float(x)), y)
                    for x, scores in bins.items()
                    if float(x) > 0 and (y := _linear(name, scores)) is not None
                ]
        slopes = {seed: statistics.slope(*zip(*points, strict=True)) for seed, points in series.items() if points}
        return {seed: value for seed, value in slopes.items() if value is not None}

    def _solves(self, a: Term, b: Term) -> Test:
        """Diverged runs count as unsolved; steps to 90 % beside, unsolved runs censored."""
        counts, medians = [], []
        solves = "converged" if self.contrast.over == "all_runs" else "solved"
        for term in (a, b):
            records = self._records(term)
            solved = [value for r in records.values() if (value := measure(r, solves)) is not None]
            counts += [int(sum(solved)), len(solved)]
            median = steps_to_90(records.values())
            medians.append("" if median is None else f"{'' if median.reached else 'more than '}{median.value}")
        self.found.notes.append(f"{solves} {counts[0]}/{counts[1]} against {counts[2]}/{counts[3]}")
        self.found.notes.append(f"median steps to 90 %: {medians[0]} against {medians[1]}")
        self.found.margin = None
        return statistics.more_solved(*counts)

    def _sooner(self, a: Term, b: Term) -> Test:
        """What each side took to the task's target, as ratios. Where a run never got there, what it spent is a lower bound.

        Such a bound can speak against its own side only; a finding that would need more than the bound stays open.
        """
        target, quantity = self.study.experiment.tasks[self.task].target, self.path.removeprefix("to_target.")
        if target is None:
            raise ValueError(f"contrast {self.contrast.name}: {self.study.experiment.name} gives {self.task} no target")
        took = [
            {seed: found for seed, r in self._records(term).items() if (found := effort(r, target, quantity)) is not None}
            for term in (a, b)
        ]
        values = [self._all_oriented({seed: found.value for seed, found in side.items()}) for side in took]
        test = statistics.better(_minus(*values), self.margin)
        never = [  # diverged runs among them
            sum(seed not in side or not side[seed].reached for seed in self._records(term))
            for term, side in zip((a, b), took, strict=True)
        ]
        if any(never):
            counts = " and ".join(map(str, never))
            self.found.notes.append(f"{counts} runs of the sides never reach {target:g}: the effect is a bound")
        if test.leaning is not None and never[0 if test.leaning == SUPPORTED else 1]:
            test = dataclasses.replace(test, leaning=None, note="the side it speaks for has runs that never reach the target")
        return test

    def _explain_reach(self) -> None:
        reaches = {record.get("reach") for record in self.found.records if record["status"] == "finished"}
        if reaches == {None}:
            self.found.test = Test(note="its reach has no bound")
        elif not self.found.test.n:
            self.found.test = Test(note=f"no {self.contrast.axis} on both sides of its reach of {_join(reaches)}")
        else:
            self.found.notes.append(f"reach {_join(reaches)}")


def _row(row: Row, contrast: Contrast, found: Evidence, verdict: str, adjusted: float | None, reason: str, tier: str) -> Row:
    test = found.test
    assert found.metric is not None
    shown = _as_share if found.metric.relative and contrast.rule not in ("slope", "solves") else float
    effect, low, high = (None if value is None else shown(value) for value in (test.effect, test.low, test.high))
    return dataclasses.replace(
        row,
        verdict=verdict,
        effect=effect,
        low=low,
        high=high,
        level=test.level,
        p=test.p,
        p_holm=adjusted,
        n=test.n,
        dropped=found.planned - test.n,
        margin=found.margin,
        metric=found.path,
        task=found.task,
        scope=scope(contrast, found, tier),
        device=_join({record["provenance"].get("device") for record in found.records}),
        revision=revisions(found.records),
        reason="; ".join(part for part in (reason, *found.notes) if part),
    )


def scope(contrast: Contrast, found: Evidence, tier: str) -> str:
    """How far a result goes, in one line: task, slice, lengths, size, seeds, tier, device."""
    configs = [record["config"] for record in found.records]
    parts = [f"{found.task}"]
    if contrast.slice:
        parts += [f"{axis} {' and '.join(conditions)}" for axis, conditions in contrast.slice.items()]
    cost = [r["config"].get("cost", {}) for r in found.records if r["config"].get("measure") == "cost"]
    measured = {length for node in cost for length in node.get("positions") or node.get("lengths", ())}
    if lengths := measured or {trained_length(record) for record in found.records} - {None}:
        parts.append(f"length {_join(lengths)}")
    model = [config.get("model", {}) for config in configs]
    blocks = [record["config"].get("model", {}) for record in found.records if record["kind"] != "images"]
    widths = {node.get("width") for node in model} - {None}
    if widths := {width for node in cost for width in node.get("widths", ())} or widths:
        parts.append(f"{_join(widths)} wide")
    if layers := {node.get("layers") for node in blocks} - {None}:
        parts.append(f"{_join(layers)} layers" if layers != {1} else "1 layer")
    dropped = found.planned - found.test.n
    seeds = f"n = {found.test.n}" + (f" of {found.planned}" if dropped else "")
    devices = _join({record["provenance"].get("device") for record in found.records})
    return ", ".join(part for part in (*parts, seeds, f"{tier} tier", devices) if part)


def revisions(records: Iterable[Record]) -> str:
    """Short git revisions of records; + marks a tree with changes that no commit holds."""
    found = set()
    for record in records:
        provenance = record["provenance"]
        if revision := provenance.get("revision"):
            found.add(revision[:8] + ("" if provenance.get("clean") else "+"))
    return _join(found)


def _linear(name: str, scores: Mapping[str, Any]) -> float | None:
    """A score on the scale on which trends are straight: log odds of a share of right answers, else the logarithm.

    None where it is not there, or has no logarithm.
    """
    score = scores.get(name)
    if score is not None and name in ("accuracy", "token_accuracy", "exact"):
        return statistics.empirical_logit(score, counted(name, scores))
    return math.log(score) if score is not None and score > 0 else None


def _as_share(log_ratio: float) -> float:
    return math.expm1(min(log_ratio, MOST_NATS))


def _paired(a: Any, b: Any) -> dict[Any, float]:
    if a is None or b is None:
        return {}
    if not isinstance(a, dict):
        assert isinstance(b, dict), "one side of a contrast must be an arm"
        a = dict.fromkeys(b, a)
    if not isinstance(b, dict):
        b = dict.fromkeys(a, b)
    return {seed: a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())}


def _minus(a: Any, b: Any) -> list[float]:
    return list(_paired(a, b).values())


def _join(values: Iterable[Any]) -> str:
    return "/".join(str(value) for value in sorted(value for value in values if value is not None))
