"""Each rule on records whose answer is known; what is missing, gated or of the smoke tier stays open."""

import dataclasses
import math

import pytest

from analysis import rules, values, verdicts, wording
from analysis.claims import Claim, Claims, Control
from analysis.results import Results
from analysis.rows import BY_CONSTRUCTION, CONTRADICTED, EQUAL, INCONCLUSIVE, NOT_RUN, QUALIFIED, REVERSED, SUPPORTED, Row
from analysis.rules import by_construction
from study.experiments import Experiment
from tests.analysis import synthetic
from tests.conftest import WORDS

SEEDS = (0, 1, 2, 3, 4)
EXPERIMENT = Experiment(
    {
        **WORDS,
        "arms": {name: {"set": {"mixer": name}} for name in ("attention", "convolution", "lstm")},
        "tasks": {
            "recall": {"set": {"task": "recall"}},
            "mqar": {"set": {"task": "mqar"}},
            "text": {"set": {"task": "pydoc"}, "metric": "bits_per_character", "margin": 0.01},
            "cost": {"measure": "cost", "set": {"cost.lengths": [64, 128, 256]}},
        },
        "tiers": {
            tier: {"rates": [0.003], "tuning_seeds": [9], "verdict_seeds": list(SEEDS), "further_seeds": further}
            for tier, further in (("smoke", []), ("core", []), ("full", [5, 6]))
        },
    }
)
LEVEL = {"attention": 0.95, "convolution": 0.6, "lstm": 0.8}


def score(run, draw):
    """Of the verdict seeds 0 to 4, each arm has the same five scores, in an order of its own: so differences have a spread."""
    place = {"attention": run.seed, "convolution": 2 * run.seed % 5, "lstm": 4 - run.seed}[run.arm]
    return LEVEL[run.arm] + 0.001 * place


def study(tier="core", change=lambda record: None, drop=lambda record: False):
    made = synthetic.complete(EXPERIMENT, tier, score)
    for record in made:
        change(record)
    return {"tiny": Results(EXPERIMENT, tier, [record for record in made if not drop(record)])}


def contrast(rule="better", name="it", statement="A statement.", part=None, repeats="", **keys):
    """Of attention and lstm on recall, where nothing else is said; a key that is None is left out.

    Where no part is said, it is one of its name.
    """
    keys = {"experiment": "tiny", "task": "recall", "a": "attention", "b": "lstm", **keys}
    keys = {key: value for key, value in keys.items() if value is not None}
    return rules.read(name, {"statement": statement, "part": name if part is None else part, "repeats": repeats, rule: keys})


def judge(*contrasts, controls=(), tier="core", studies=None):
    claims = Claims({"C1": Claim("C1", "甲", "It is so.", "", "", "", (), contrasts)}, tuple(controls))
    return verdicts.judge(claims, studies if studies is not None else study(tier), tier)


def only(*contrasts, **keys) -> Row:
    [row] = judge(*contrasts, **keys).rows
    return row


def test_better_worse_and_within_the_margin():
    row = only(contrast())
    assert row.verdict == SUPPORTED and row.effect == pytest.approx(0.15) and (row.n, row.dropped) == (5, 0)
    assert (row.level, row.decided_by) == (0.95, "t") and row.low > row.margin and row.margin < row.seen < row.effect
    assert only(contrast(a="lstm", b="attention")).verdict == REVERSED
    assert only(contrast(b=0.95)).verdict == EQUAL
    row = only(contrast(a="lstm", b="lstm"))  # without any spread, of which five seeds are too few to say anything
    assert (row.verdict, row.p, row.decided_by, row.low) == (INCONCLUSIVE, 2 / 2**5, "sign", None)


def test_lower_bits_are_better():
    row = only(contrast(task="text"))
    assert row.verdict == SUPPORTED and row.effect == pytest.approx(4.0 * 0.15)
    assert row.margin == 0.01 and row.metric == "test.bits_per_character"


def test_equivalence_where_something_differs():
    assert only(contrast("equivalent", b=0.95, differs="lstm")).verdict == SUPPORTED  # it is .15 off, of a margin of .02
    assert only(contrast("equivalent", b=0.95, differs=["convolution", "attention"])).verdict == SUPPORTED
    assert only(contrast("equivalent")).verdict == CONTRADICTED
    row = only(contrast("equivalent", b=0.95, differs="attention"))
    assert (row.verdict, row.reason) == (INCONCLUSIVE, "nothing known to differ does differ by 5 margins: attention by 0")
    row = only(contrast("equivalent", b=0.95, margin=0.03, differs="lstm"))  # its interval reaches under .15
    assert row.verdict == INCONCLUSIVE and row.reason.endswith("differ by 5 margins: lstm by 5")
    assert only(contrast("equivalent", b=0.95)).reason == "no arm is named that is known to differ (differs)"


def test_scores_on_the_ceiling_are_not_equal_for_that():
    row = only(contrast("equivalent", b=0.95, margin=0.05, differs={"arm": "convolution"}))
    assert (row.verdict, row.reason) == (INCONCLUSIVE, "the scores lie within a margin of the best there is, 1")


def test_runs_that_stop_once_they_have_solved_are_not_equal_for_that():
    def stop(record):
        record["steps_to_solve"], record["steps"] = 500 + record["plan"]["seed"], 600
        if record["plan"]["arm"] == "lstm":
            record["steps_to_solve"], record["steps"] = None, 900 + record["plan"]["seed"]

    studies = study(change=stop)
    row = only(contrast("equivalent", b=0.95, differs="lstm"), studies=studies)
    assert row.verdict == INCONCLUSIVE and row.reason.startswith("5 of 5 runs stop once they have solved the task")
    assert only(contrast("equivalent"), studies=studies).verdict == CONTRADICTED, "they may differ"
    steps = {"metric": "steps_to_solve", "b": 500}
    assert only(contrast("equivalent", **steps, differs="lstm"), studies=studies).verdict == SUPPORTED  # 1.8 > 1.1 ** 5
    assert "attention by 0" in only(contrast("equivalent", **steps, differs="attention"), studies=studies).reason

    def unsolved(record):
        stop(record)
        if record["plan"]["seed"] == 3:
            record["steps_to_solve"] = None

    row = only(contrast("equivalent", **steps, differs="lstm"), studies=study(change=unsolved))
    assert (row.verdict, row.reason) == (INCONCLUSIVE, "1 of 5 runs have no steps to solve")


def test_a_number_or_chance_on_the_other_side():
    assert only(contrast("at_least", b=0.94)).verdict == SUPPORTED
    assert only(contrast("at_least", b=0.96)).verdict == CONTRADICTED
    assert only(contrast("equivalent", b="chance")).effect == pytest.approx(0.952 - 0.125)


def test_ratios_are_compared_as_ratios():
    def slower(record):
        if record["plan"]["arm"] == "lstm":
            record["seconds"] = 30.0 + 0.1 * (record["plan"]["seed"] - 2)

    row = only(contrast(metric="seconds"), studies=study(change=slower))
    assert row.verdict == SUPPORTED and row.effect == pytest.approx(0.5, rel=1e-4) and row.margin == 0.10  # 50 % more
    row = only(contrast(metric="seconds"), studies=study())
    assert row.verdict == INCONCLUSIVE and row.effect == pytest.approx(0.0)


def test_the_margin_of_a_ratio_is_a_share():
    """10.2 % more is beyond a margin of 10 %, though its logarithm, 0.097, is less than 0.1."""

    def slower(record):
        faster = 1 + 1e-4 * (record["plan"]["seed"] % 2)
        record["seconds"] = 11.02 if record["plan"]["arm"] == "lstm" else 10.0 * faster

    assert only(contrast(metric="seconds"), studies=study(change=slower)).verdict == SUPPORTED


def test_perplexity_comes_from_the_loss():
    row = only(contrast(task="text", metric="test.perplexity"))
    assert row.effect == pytest.approx(2 ** (4.0 * 0.15) - 1)


def test_what_has_no_logarithm_leaves_a_gap():
    def spoil(record):
        if (record["plan"]["arm"], record["plan"]["seed"]) == ("lstm", 0):
            record["seconds"] = 0
            record["metrics"]["test"] = {"loss": 800.0}
            record["slices"].get("cost", {}).get("length", {}).get("64", {})["multiply_adds"] = 0

    spoilt = study(change=spoil)
    assert only(contrast(metric="seconds"), studies=spoilt).dropped == 1
    assert only(contrast(task="text", metric="test.perplexity"), studies=spoilt).dropped == 1
    keys = {"task": "cost", "metric": "cost.multiply_adds", "axis": "length"}
    assert only(contrast("slope", a=2.1, b="lstm", **keys), studies=spoilt).effect == pytest.approx(0.1)


def test_an_effect_beyond_every_float_is_cut():
    def extreme(record):
        if record["plan"]["arm"] == "lstm" and record["plan"]["role"] == "verdict":
            record["seconds"] = 1e50 if record["plan"]["seed"] else 1e-50

    few = study(change=extreme, drop=lambda record: record["plan"]["seed"] in (2, 3, 4))  # so a wide interval
    row = only(contrast(metric="seconds"), studies=few)
    assert math.isfinite(row.effect) and row.low == pytest.approx(-1) and row.high > 1e300


def test_within_reach_minus_beyond():
    row = only(contrast("reach", a="convolution", b=None, axis="distance"))
    assert row.verdict == SUPPORTED and row.effect == pytest.approx(0.602 - 0.125)
    assert "reach 8" in row.reason
    row = only(contrast("reach", b=None, axis="distance"))
    assert row.verdict == INCONCLUSIVE and "no bound" in row.reason


def test_a_side_below_its_floor_is_not_compared():
    assert only(contrast(floor=0.9)).verdict == SUPPORTED
    row = only(contrast(floor=0.96))
    assert row.verdict == INCONCLUSIVE and "side a, at 95 %, has not learned enough" in row.reason
    assert row.effect == pytest.approx(0.15)  # shown all the same
    assert only(contrast(floor=0.96, floor_metric="steps")).verdict == SUPPORTED, "the floor is of another metric"
    within = {"a": "convolution", "b": None, "axis": "distance"}
    assert only(contrast("reach", **within, floor=0.5)).verdict == SUPPORTED
    assert only(contrast("reach", **within, floor=0.7)).verdict == INCONCLUSIVE


def test_slices_of_a_term_are_weighted_by_items():
    near, far = ({"distance": [sign]} for sign in ("<= 8", ">= 48"))
    row = only(contrast(a={"arm": "convolution", "slice": near}, b={"arm": "convolution", "slice": far}))
    assert row.effect == pytest.approx(0.602 - 0.125)
    record = {
        "status": "finished",
        "metrics": {},
        "slices": {"test": {"distance": {"1": {"accuracy": 1.0, "items": 30}, "2": {"accuracy": 0.0, "items": 10}}}},
    }
    assert values.measure(record, "test.accuracy", {"distance": ["<= 2"]}) == 0.75
    assert values.measure(record, "test.accuracy", {"distance": ["> 2"]}) is None
    for task in ({"length": 2}, {"max_length": 2, "length": 9}):
        record["config"] = {"task": task}
        assert values.measure(record, "test.accuracy", {"distance": ["> 0.5x trained"]}) == 0.0
        assert values.measure(record, "test.accuracy", {"distance": ["<= 0.5x trained"]}) == 1.0


def test_a_slice_of_subwords_is_weighted_by_their_characters():
    slices = {
        "1": {"bits_per_character": 1.0, "loss": 1.0, "items": 30, "characters": 30},
        "2": {"bits_per_character": 3.0, "loss": 3.0, "items": 30, "characters": 90},
    }
    record = {"status": "finished", "metrics": {}, "slices": {"test": {"position": slices}}}
    assert values.measure(record, "test.bits_per_character", {"position": ["<= 2"]}) == (30 + 270) / 120
    assert values.measure(record, "test.loss", {"position": ["<= 2"]}) == 2.0


def test_best_evaluation_gap_and_parameters():
    evaluations = [(0.1, 3), (0.9, 1), (0.8, 2)]
    curve = [{"step": n, "validation_accuracy": a, "validation_loss": b} for n, (a, b) in enumerate(evaluations)]
    record = {
        "status": "finished",
        "curve": curve,
        "metrics": {"test": {"loss": 2.5}, "train": {"loss": 1.0}},
        "parameters": {"embedding": 30, "other": 70},
    }
    assert values.measure(record, "best.loss") == 1
    assert values.measure(record, "best.accuracy") == 0.9
    assert values.measure(record, "gap.loss") == 1.5
    assert values.measure(record, "parameters") == 100
    assert values.measure(record, "best.bits_per_character") is None
    del record["metrics"]["train"]
    assert values.measure(record, "gap.loss") is None
    assert values.measure({**record, "status": "diverged"}, "best.loss") is None


def test_slope_of_accuracy_over_distance():
    row = only(contrast("slope", a="attention", b="convolution", axis="distance"))
    assert row.verdict == SUPPORTED and row.effect > 0.5
    assert only(contrast("slope", a="convolution", b="attention", axis="distance")).verdict == REVERSED


def test_slope_within_a_part_of_its_axis():
    def scatter(record):
        if "cost" in record["slices"]:  # as n^2 up to 64, and anything beyond
            lengths = {2**k: 4.0**k if k <= 6 else 1.0 for k in range(4, 9)}
            record["slices"]["cost"]["length"] = {str(n): {"items": 1, "multiply_adds": work} for n, work in lengths.items()}

    keys = {"task": "cost", "metric": "cost.multiply_adds", "axis": "length", "a": 2.5, "b": "attention"}
    assert only(contrast("slope", within="<= 64", **keys), studies=study(change=scatter)).effect == pytest.approx(0.5)
    assert only(contrast("slope", **keys), studies=study(change=scatter)).effect > 1


def test_exponent_of_a_cost():
    keys = {"task": "cost", "metric": "cost.multiply_adds", "axis": "length"}
    row = only(contrast("slope", a=2.1, b="attention", **keys))
    assert row.verdict == SUPPORTED and row.effect == pytest.approx(0.1)
    assert row.decided_by == "count" and row.p is row.n is row.low is None and "n = " not in row.scope
    assert only(contrast("slope", a=1.1, b="attention", **keys)).verdict == REVERSED


def test_slope_over_points_of_several_tasks():
    points = {1.0: {"arm": "attention", "task": "recall"}, math.e: {"arm": "attention", "task": "mqar"}}

    def halve(record):
        if record["plan"]["task"] == "mqar" and record["plan"]["role"] == "verdict":
            record["metrics"]["test"]["accuracy"] /= 2 * 1.001 ** (record["plan"]["seed"] - 2)

    row = only(contrast("slope", a=0, b=None, points=points), studies=study(change=halve))
    assert row.effect == pytest.approx(math.log(2)) and row.verdict == SUPPORTED

    def lose_one(record):
        halve(record)
        if record["plan"]["task"] == "mqar" and record["plan"]["seed"] == 0:
            record["metrics"]["test"] = {}

    assert only(contrast("slope", a=0, b=None, points={**points, 1.5: points[1.0]}), studies=study(change=lose_one)).n == 4


def test_interaction():
    sides = {"c": "lstm", "d": "convolution"}
    row = only(contrast("interaction", a="attention", b="convolution", **sides))
    assert row.verdict == SUPPORTED and row.effect == pytest.approx(0.35 - 0.20)


def solve(record):
    solves = record["plan"]["arm"] == "attention"
    record["metrics"]["test"] = {"accuracy": 0.995 if solves else 0.985, "items": 1000}
    record["steps_to_90"] = 100 if solves else None


def test_solve_counts_with_censored_steps():
    row = only(contrast("solves"), studies=study(change=solve))
    assert row.verdict == SUPPORTED and row.p == pytest.approx(2 / 252) and row.margin is None
    assert "solved 5/5 against 0/5" in row.reason and "100 against more than 1200" in row.reason


def test_a_diverged_run_has_not_solved_and_has_no_score():
    def diverge(record):
        solve(record)
        if record["plan"]["arm"] == "attention" and record["plan"]["seed"] in (0, 1):
            record.update(status="diverged", metrics={}, steps_to_90=None)

    studies = study(change=diverge)
    row = only(contrast("solves"), studies=studies)
    assert "solved 3/5 against 0/5" in row.reason and row.verdict == INCONCLUSIVE
    row = only(contrast(), studies=studies)
    assert (row.n, row.dropped) == (3, 2) and "n = 3 of 5" in row.scope


def test_a_field_of_a_record_may_lie_deep():
    record = {"status": "finished", "metrics": {}, "diagnostics": {"start": {"gradient_ratio": 0.5}}}
    assert values.measure(record, "diagnostics.start.gradient_ratio") == 0.5
    assert values.measure(record, "diagnostics.end.gradient_ratio") is None
    assert values.measure({"status": "finished", "metrics": {}}, "diagnostics.start.gradient_ratio") is None
    assert values.measure({**record, "status": "diverged"}, "diagnostics.start.gradient_ratio") is None
    row = only(contrast(metric="diagnostics.start.gradient_ratio"))
    assert row.verdict == SUPPORTED and row.effect == pytest.approx(1.452 / 1.302 - 1, rel=1e-3) and row.margin == 0.1


def test_a_run_solves_its_task_at_the_bar():
    for accuracy, solved in ((0.9, 1.0), (0.899, 0.0)):
        record = {"status": "finished", "solved_at": 0.9, "metrics": {"test": {"accuracy": accuracy}}}
        assert values.measure(record, "solved") == solved


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "0.99", True])
def test_what_is_no_number_never_becomes_one(value):
    def spoil(record):
        if record["plan"]["seed"] == 0 and record["plan"]["role"] == "verdict":
            record["metrics"]["test"] = {"accuracy": value}

    row = only(contrast(), studies=study(change=spoil))
    assert (row.n, row.dropped) == (4, 1) and math.isfinite(row.effect)


def test_pairs_are_made_by_seed():
    def one_each(record):
        plan = record["plan"]
        return plan["role"] == "verdict" and (plan["arm"], plan["seed"]) in {("attention", 0), ("lstm", 1)}

    row = only(contrast(), studies=study(drop=one_each))
    assert row.n == 3 and row.effect == pytest.approx(0.15 + 0.001 * (0 + 2 + 4) / 3)


def test_one_seed_decides_nothing():
    row = only(contrast(), studies=study(drop=lambda r: r["plan"]["role"] == "verdict" and r["plan"]["seed"] > 0))
    assert row.verdict == INCONCLUSIVE and row.n == 1 and row.low is None


def test_without_records_it_is_not_run():
    assert only(contrast(), studies={}).verdict == NOT_RUN
    row = only(contrast(), studies=study(drop=lambda r: r["plan"]["arm"] == "lstm"))
    assert row.verdict == NOT_RUN and "no verdict runs of lstm" in row.reason
    assert only(contrast(task="elsewhere")).verdict == NOT_RUN


def test_the_smoke_tier_decides_nothing():
    row = only(contrast(), tier="smoke")
    assert row.verdict == INCONCLUSIVE and row.effect == pytest.approx(0.15)


def test_the_best_of_arms_is_named():
    row = only(contrast(a={"best_of": ["convolution", "lstm"]}, b="convolution"))
    assert row.verdict == SUPPORTED and row.effect == pytest.approx(0.2) and "best on validation: lstm" in row.reason


@pytest.mark.parametrize(("bar", "verdict"), [(0.90, SUPPORTED), (0.99, INCONCLUSIVE)])
def test_a_positive_control_gates_the_tasks_it_names(bar, verdict):
    control = contrast("at_least", b=bar, task="mqar")
    row = only(contrast(), controls=[Control(control, ("recall",))])
    assert row.verdict == verdict and ("control" in row.reason) == (verdict == INCONCLUSIVE)
    assert only(contrast(task="mqar"), controls=[Control(control, ("recall",))]).verdict == SUPPORTED  # not gated


def test_a_control_that_was_not_run_gates_too():
    control = contrast("at_least", b=0.9, task="elsewhere")
    assert only(contrast(), controls=[Control(control, ("recall",))]).verdict == INCONCLUSIVE


def test_a_named_test_decides_by_construction(tmp_path, monkeypatch):
    monkeypatch.setattr(by_construction, "ROOT", tmp_path)
    (tmp_path / "test_x.py").write_text("def test_a(): pass\n")

    def built(node, **keys):
        return only(rules.read("it", {"statement": "S.", "by_construction": {"node": node, **keys}}), studies={}).verdict

    assert built("test_x.py::test_a") == BY_CONSTRUCTION
    assert built("test_x.py::test_a", holds=False) == CONTRADICTED
    assert built("test_x.py::test_b") == NOT_RUN


def test_a_claim_from_its_contrasts():
    for found, verdict in [
        ([], NOT_RUN),
        ([NOT_RUN, NOT_RUN], NOT_RUN),
        ([SUPPORTED, SUPPORTED], SUPPORTED),
        ([CONTRADICTED, EQUAL, REVERSED], CONTRADICTED),
        ([SUPPORTED, EQUAL], QUALIFIED),
        ([REVERSED, INCONCLUSIVE], INCONCLUSIVE),
        ([SUPPORTED, CONTRADICTED, INCONCLUSIVE], QUALIFIED),
        ([SUPPORTED, INCONCLUSIVE], INCONCLUSIVE),
        ([SUPPORTED, NOT_RUN], INCONCLUSIVE),
        ([CONTRADICTED, INCONCLUSIVE], INCONCLUSIVE),
        ([BY_CONSTRUCTION], BY_CONSTRUCTION),
        ([BY_CONSTRUCTION, SUPPORTED], SUPPORTED),
        ([BY_CONSTRUCTION, CONTRADICTED], QUALIFIED),
    ]:
        rows = [Row("C1", str(i), "", word, part=str(i)) for i, word in enumerate(found)]
        beside = Row("C1", "beside", "", CONTRADICTED)
        assert verdicts.claim_verdict(rows) == verdicts.claim_verdict([*rows, beside]) == verdict, found


def test_contrasts_beside_the_verdict_are_a_family_of_their_own():
    rows = judge(contrast(), contrast(name="beside", part="")).rows
    assert rows[0].p_holm == rows[0].p and rows[1].p_holm == rows[1].p
    rows = judge(contrast(), contrast(name="second")).rows
    assert rows[0].p_holm == pytest.approx(2 * rows[0].p)


def test_analyses_share_the_error_where_two_are_declared():
    once, first = only(contrast()), only(contrast(), studies=study(tier="full"), tier="full")
    assert (once.level, first.level) == (0.95, 0.97) and once.p_holm == once.p == first.p
    assert first.p_holm == pytest.approx(first.p * 5 / 3) and first.low < once.low
    for further, taken in (["attention", "lstm"], (7, 0.98)), (["attention"], (first.n, first.level)):
        made = {}
        for phase in EXPERIMENT.phases("full", made.get, [cell for cell in EXPERIMENT.cells("full") if cell[0] in further]):
            made |= {run: synthetic.record(run, "accuracy", score(run, None)) for run in phase.runs if run.task != "cost"}
        second = only(contrast(), studies={"tiny": Results(EXPERIMENT, "full", made.values())}, tier="full")
        assert (second.n, second.level) == taken and second.p_holm == pytest.approx(second.p * 0.05 / (1 - taken[1]))


def still_improving(record):
    """lstm gains up to its last evaluation, on validation alone."""
    if record["plan"]["arm"] == "lstm":
        for i, row in enumerate(record["curve"]):
            row["validation_accuracy"] = 0.1 * i
    if record["plan"]["arm"] == "attention":
        record["steps_to_solve"] = 400 + record["plan"]["seed"]


def test_a_side_that_still_improves_loses_nothing():
    studies = study(change=still_improving)
    row = only(contrast(), studies=studies)
    assert row.verdict == INCONCLUSIVE and row.effect == pytest.approx(0.15)
    assert row.reason.startswith("lstm is still improving: not within 1000 steps, 2.49 times what the fastest arm needs")
    assert row.ended == "5 solved against 5 still improving"
    assert only(contrast(a="lstm", b="attention"), studies=studies).verdict == INCONCLUSIVE, "nor is it contradicted"
    assert only(contrast(a="lstm", b="convolution"), studies=studies).verdict == SUPPORTED, "it may win"
    assert only(contrast("equivalent"), studies=studies).verdict == INCONCLUSIVE
    stays = only(contrast("equivalent", a="lstm", b=0.8, differs=["attention"]), studies=studies)
    assert stays.reason.startswith("lstm is still improving"), "it need not stay where it is"
    gains = {"a": "attention", "b": "convolution", "c": "lstm", "d": "convolution"}
    assert only(contrast("interaction", **gains), studies=studies).verdict == INCONCLUSIVE
    assert only(contrast("solves"), studies=studies).reason.startswith("lstm is still improving") is False, "there is a tie"
    assert "still improving" not in only(contrast(metric="seconds", a="lstm", b=1), studies=studies).reason, (
        "a cost is no score"
    )


@pytest.mark.parametrize(
    ("late", "winners", "margin", "verdict"),
    [
        (0.06, 0.0, 0.01, SUPPORTED),  # twice 0.06 is less than the 0.14 beyond the margin
        (0.08, 0.0, 0.01, INCONCLUSIVE),
        (0.20, 0.14, 0.01, SUPPORTED),  # twice 0.06 is what it gained on attention
        (0.20, 0.12, 0.01, INCONCLUSIVE),
        (0.20, 0.0, -0.30, SUPPORTED),  # twice 0.20 is less than the 0.45 above -0.30
        (0.24, 0.0, -0.30, INCONCLUSIVE),
    ],
)
def test_where_nothing_can_be_solved_a_side_that_gains_too_little_to_catch_up_loses(late, winners, margin, verdict):
    """Attention has 0.15 bits fewer."""
    gains = {"attention": winners, "lstm": late, "convolution": 0.0}

    def improving(record):
        of_text(record)
        bits = BITS[record["plan"]["arm"]]
        scores = [bits + gains[record["plan"]["arm"]]] * 2 + [bits]
        record["curve"] = [{"step": 100 * (i + 1), "validation_bits_per_character": x} for i, x in enumerate(scores)]

    row = only(contrast(task="text", a="attention", b="lstm", margin=margin), studies=study(change=improving))
    assert row.ended == f"5 {'still improving' if winners else 'flat'} against 5 still improving" and row.verdict == verdict


BITS = {"attention": 2.0, "convolution": 2.5, "lstm": 2.15}


def of_text(record):
    """Scored by what no run can solve."""
    arm, seed = record["plan"]["arm"], record["plan"]["seed"]
    record["metrics"]["test"] = {"bits_per_character": BITS[arm] + 0.001 * seed * (1 + (arm == "lstm"))}
    record |= {"metric": "bits_per_character", "solved_at": None, "steps_to_solve": None}


@pytest.mark.parametrize(("late", "verdict"), [(0.029, SUPPORTED), (0.031, INCONCLUSIVE)])
def test_where_runs_are_validated_by_another_score_a_side_that_gains_less_than_a_margin_of_that_loses(late, verdict):
    """Attention gains 0.0199: twice what lstm gains on that is less than 0.02, the margin of an accuracy, or more."""
    gains = {"attention": 0.0199, "lstm": late, "convolution": 0.0}

    def improving(record):
        of_text(record)
        scores = [0.5, 0.5, 0.5 + gains[record["plan"]["arm"]]]
        curve = [{"step": 100 * (i + 1), "validation_accuracy": x} for i, x in enumerate(scores)]
        record |= {"metric": "accuracy", "curve": curve}

    row = only(contrast(task="text", a="attention", b="lstm"), studies=study(change=improving))
    assert row.ended == "5 flat against 5 still improving" and row.verdict == verdict


def test_rows_tell_the_scores_and_the_runs_of_both_sides():
    def solve(record):
        record["parameters"] = {"embedding": 10, "other": 100 if record["plan"]["arm"] == "lstm" else 90}
        record["config"]["train"]["steps"], record["solved_at"] = 1500, 0.952
        record["steps"] = 1500 if record["plan"]["arm"] == "lstm" else 400 + record["plan"]["seed"]

    row = only(contrast(), studies=study(change=solve))
    assert (row.score_a, row.score_b) == (pytest.approx(0.952), pytest.approx(0.802))
    assert (row.solved, row.steps, row.cap) == ("3/5 against 0/5", "402 against 1,500", "1,500")
    assert (row.parameters, row.rates) == ("100 against 110", "edge: attention, lstm")  # a single rate is tried here
    row = only(contrast("at_least", b=0.5, metric="seconds", margin=0.1))
    assert (row.score_a, row.score_b) == (pytest.approx(20.0), 0.5)
    gains = only(contrast("interaction", c="lstm", b="convolution", d=0.5))
    assert (gains.score_a, gains.score_b) == (pytest.approx(0.35), pytest.approx(0.302))
    assert wording.levels(row) == "20 against 0.5 seconds"
    assert wording.levels(gains) == "gains of +35.0 points against +30.2 points"
    assert wording.levels(only(contrast(b=0.5))) == "95.2 % against 50.0 %"


def test_what_is_counted_says_nothing_of_runs():
    row = only(contrast(metric="parameters"))
    assert (row.solved, row.ended, row.steps, row.rates, row.seen) == ("", "", "", "", None)
    assert wording.levels(row) == "102,400 against 102,400 parameters"


def test_repeats_at_other_sizes_are_judged_alone_and_make_a_part_stable_or_not():
    same, less = contrast(name="same", part="", repeats="it"), contrast(name="less", part="", repeats="it", b=0.94)
    none = contrast(name="none", part="", repeats="it", task="elsewhere")
    rows = {row.contrast: row for row in judge(contrast(), same, less, none, contrast(name="second")).rows}
    assert rows["it"].stable == "1 of 3 other sizes agree" and rows["second"].stable == rows["same"].stable == ""
    assert rows["same"].p_holm == rows["same"].p < rows["it"].p_holm


def test_a_control_may_gate_a_measure():
    failing = contrast(name="built", statement="It passes.", a="lstm", b="attention")
    built = Control(failing, gates_metrics=("test.accuracy",))
    row = only(contrast(), controls=[built])
    assert (row.verdict, row.reason) == (INCONCLUSIVE, "the built control is reversed: It passes")
    assert only(contrast(task="text"), controls=[built]).verdict == SUPPORTED, "by another measure"
    assert only(contrast(), controls=[Control(contrast(), gates_metrics=("test.accuracy",)), built]).verdict == INCONCLUSIVE


def test_runs_that_collapsed_are_named():
    def collapse(record):
        if (record["plan"]["arm"], record["plan"]["seed"]) in {("lstm", 1), ("lstm", 3)}:
            record["metrics"]["test"] = {"accuracy": 0.55}

    row = only(contrast(), studies=study(change=collapse))
    assert row.collapsed == "lstm seed 1 3" and row.n == 5, "and count all the same"


def test_how_a_run_ended():
    for scores, solved, word in [
        ([0.1, 0.5, 0.995], 30, "solved"),
        ([0.1, 0.3, 0.5, 0.6, 0.61, 0.619], None, "flat"),
        ([0.1, 0.3, 0.5, 0.6, 0.61, 0.63], None, "still improving"),
        ([0.1, 0.7, 0.2, 0.3, 0.5, 0.6], None, "flat"),  # the best evaluation so far counts
        ([0.5, 0.56, 0.575, 0.585], None, "flat"),  # two thirds are at 26.7, between 0.56 and 0.575: 0.57
        ([0.1], None, ""),
        ([None, float("nan"), 0.5, None], None, ""),
    ]:
        curve = [{"step": 10 * (i + 1), "validation_accuracy": score} for i, score in enumerate(scores)]
        record = {"status": "finished", "metric": "accuracy", "curve": curve, "steps_to_solve": solved}
        assert values.ended(record, 0.02) == word, scores
        assert values.ended({**record, "status": "diverged"}) == "diverged"


def test_a_margin_told_in_another_score_says_nothing_of_how_a_run_ended():
    """Half a BLEU is no half of the tokens: where accuracy is validated, its own margin of two points counts."""
    curve = [{"step": 10 * (i + 1), "validation_accuracy": score} for i, score in enumerate([0.1, 0.3, 0.4, 0.41, 0.42, 0.45])]
    record = {"status": "finished", "metric": "accuracy", "curve": curve, "steps_to_solve": None}
    task = EXPERIMENT.tasks["recall"]
    assert values.ended_on(record, dataclasses.replace(task, metric="bleu", margin=0.5)) == "still improving"
    assert values.ended_on(record, dataclasses.replace(task, metric="accuracy", margin=0.5)) == "flat"


def test_lower_scores_and_ratios_end_as_well():
    def run(metric, scores):
        curve = [{"step": 10 * (i + 1), f"validation_{metric}": score} for i, score in enumerate(scores)]
        return {"status": "finished", "metric": metric, "curve": curve}

    assert values.ended(run("bits_per_character", [3.0, 2.5, 2.4, 2.4, 2.395, 2.391])) == "flat"
    assert values.ended(run("bits_per_character", [3.0, 2.5, 2.4, 2.4, 2.395, 2.389])) == "still improving"
    assert values.ended(run("perplexity", [300, 110, 100, 100, 99, 98.5])) == "flat"  # 1.5 %, of a margin of 2 %
    assert values.ended(run("perplexity", [300, 110, 100, 100, 99, 97.5])) == "still improving"


def test_what_a_collapse_is():
    def runs(metric, scores, **keys):
        return [{"status": "finished", "metric": metric, "curve": [], "metrics": {"test": {metric: s}}, **keys} for s in scores]

    def where(made, path):
        return [made.index(run) for run in values.collapsed(made, path)]

    assert where(runs("accuracy", [0.9, 0.69, 0.71, 0.95, 0.92]), "test.accuracy") == [1]
    assert where(runs("bleu", [24.4, 4.6, 23.8]), "test.bleu") == [1]
    bits = runs("bits_per_character", [2.4, 2.5, 3.5], chance=6.0)  # a quarter of the way from 2.5 to 6 is 0.875
    assert where(bits, "test.bits_per_character") == [2]
    lost = runs("accuracy", [0.9, 0.9], solved_at=0.99)
    lost[0]["curve"] = [{"step": 1, "validation_accuracy": 0.995}, {"step": 2, "validation_accuracy": 0.9}]
    assert where(lost, "test.accuracy") == [0]
    assert values.collapsed([], "test.accuracy") == []


def test_layers_are_told_of_architectures_that_are_made_of_some():
    def told(**architecture):
        return values.layers({"config": {"model": {"layers": 2}, **architecture}})

    made_of = {name: told(architecture={"name": name}) for name in ("encoder", "last_state", "cnn", "random_glimpses", "gone")}
    assert made_of == {"encoder": 2, "last_state": 2, "cnn": None, "random_glimpses": None, "gone": None}
    assert told() == 2, "the oldest records are of encoders"


def test_rows_name_scope_device_and_revision():
    row = only(contrast())
    assert row.scope == "recall, length 64, 64 wide, 2 layers, n = 5, core tier, cpu"
    assert (row.device, row.revision, row.tier, row.experiment, row.task) == ("cpu", "00000000", "core", "tiny", "recall")
    assert only(contrast(metric="seconds")).scope == row.scope + ", threads: 1"
    dirty = study(change=lambda r: r["provenance"].update(clean=False))
    assert only(contrast(), studies=dirty).revision == "00000000+"
