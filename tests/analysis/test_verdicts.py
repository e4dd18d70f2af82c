"""Each rule on records whose answer is known; what is missing, gated or of the smoke tier stays open."""

import math

import pytest

from analysis import rules, synthetic, values, verdicts, wording
from analysis.claims import Claim, Claims, Control
from analysis.results import Results
from analysis.rows import BY_CONSTRUCTION, CONTRADICTED, INCONCLUSIVE, NOT_RUN, QUALIFIED, SUPPORTED, Row
from analysis.rules import by_construction
from study.experiments import Experiment

SEEDS = (0, 1, 2, 3, 4)
EXPERIMENT = Experiment(
    {
        "name": "tiny",
        "title": "t",
        "question": "q",
        "claims": [],
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
    return LEVEL[run.arm] + 0.001 * run.seed


def study(tier="core", change=lambda record: None, drop=lambda record: False):
    made = synthetic.complete(EXPERIMENT, tier, score)
    for record in made:
        change(record)
    return {"tiny": Results(EXPERIMENT, tier, [record for record in made if not drop(record)])}


def contrast(rule="better", name="it", statement="A statement.", counts=True, **keys):
    """Of attention and lstm on recall, where nothing else is said; a key that is None is left out."""
    keys = {"experiment": "tiny", "task": "recall", "a": "attention", "b": "lstm", **keys}
    keys = {key: value for key, value in keys.items() if value is not None}
    return rules.read(name, {"statement": statement, "counts": counts, rule: keys})


def judge(*contrasts, controls=(), tier="core", studies=None):
    claims = Claims({"C1": Claim("C1", "甲", "It is so.", "", "", "", (), contrasts)}, tuple(controls))
    return verdicts.judge(claims, studies if studies is not None else study(tier), tier)


def only(*contrasts, **keys) -> Row:
    [row] = judge(*contrasts, **keys).rows
    return row


def test_better_worse_and_within_the_margin():
    row = only(contrast())
    assert row.verdict == SUPPORTED and row.effect == pytest.approx(0.15) and (row.n, row.dropped) == (5, 0)
    assert only(contrast(a="lstm", b="attention")).verdict == CONTRADICTED
    assert only(contrast(a="lstm", b="lstm")).verdict == CONTRADICTED  # no better at all


def test_lower_bits_are_better():
    row = only(contrast(task="text"))
    assert row.verdict == SUPPORTED and row.effect == pytest.approx(4.0 * 0.15)
    assert row.margin == 0.01 and row.metric == "test.bits_per_character"


def test_equivalence():
    assert only(contrast("equivalent", b="attention")).verdict == SUPPORTED
    assert only(contrast("equivalent")).verdict == CONTRADICTED


def test_a_number_or_chance_on_the_other_side():
    assert only(contrast("at_least", b=0.94)).verdict == SUPPORTED
    assert only(contrast("at_least", b=0.96)).verdict == CONTRADICTED
    assert only(contrast("equivalent", b="chance")).effect == pytest.approx(0.952 - 0.125)


def test_ratios_are_compared_as_ratios():
    def slower(record):
        if record["plan"]["arm"] == "lstm":
            record["seconds"] = 30.0

    row = only(contrast(metric="seconds"), studies=study(change=slower))
    assert row.verdict == SUPPORTED and row.effect == pytest.approx(0.5) and row.margin == 0.10  # 50 % more
    row = only(contrast(metric="seconds"), studies=study())
    assert row.verdict == CONTRADICTED and row.effect == pytest.approx(0.0)


def test_the_margin_of_a_ratio_is_a_share():
    """10.2 % more is beyond a margin of 10 %, though its logarithm, 0.097, is less than 0.1."""

    def slower(record):
        record["seconds"] = 11.02 if record["plan"]["arm"] == "lstm" else 10.0

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
    assert only(contrast("slope", a="convolution", b="attention", axis="distance")).verdict == CONTRADICTED


def test_exponent_of_a_cost():
    keys = {"task": "cost", "metric": "cost.multiply_adds", "axis": "length"}
    row = only(contrast("slope", a=2.1, b="attention", **keys))
    assert row.verdict == SUPPORTED and row.effect == pytest.approx(0.1) and row.low == row.high
    assert only(contrast("slope", a=1.1, b="attention", **keys)).verdict == CONTRADICTED


def test_slope_over_points_of_several_tasks():
    points = {1.0: {"arm": "attention", "task": "recall"}, math.e: {"arm": "attention", "task": "mqar"}}

    def halve(record):
        if record["plan"]["task"] == "mqar" and record["plan"]["role"] == "verdict":
            record["metrics"]["test"]["accuracy"] /= 2

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


def converge(record):
    """attention in 4 of 6 runs, lstm in 1 of 6, convolution in none; validation says so, the test split says nothing."""
    plan = record["plan"]
    if plan["seed"] == 0 and plan["role"] == "verdict":
        record.update(status="diverged", metrics={}, steps_to_solve=None)
        return
    reached = {"attention": plan["seed"] != 4, "lstm": plan["role"] == "tuning"}.get(plan["arm"], False)
    record["steps_to_solve"] = 300 if reached else None
    record["metrics"]["test"] = {"accuracy": 0.0, "items": 1000}


def test_solve_counts_over_all_runs():
    row = only(contrast("solves", over="all_runs"), studies=study(change=converge))
    assert "converged 4/6 against 1/6" in row.reason and row.effect == pytest.approx(0.5)
    assert (row.n, row.dropped) == (6, 0) and "n = 6" in row.scope

    def fail_one(record):
        converge(record)
        if record["plan"]["arm"] == "attention" and record["plan"]["seed"] == 4:
            record["status"] = "failed"

    row = only(contrast("solves", over="all_runs"), studies=study(change=fail_one))
    assert "converged 4/5 against 1/6" in row.reason and (row.n, row.dropped) == (5, 1)

    more = study(change=converge)  # attention was tuned at one rate more, for which there is no pair
    more["tiny"].planned.append(next(run for run in more["tiny"].planned if run.cell == ("attention", "recall")))
    assert only(contrast("solves", over="all_runs"), studies=more).dropped == 0


def test_all_runs_are_paired_by_role_rate_and_seed():
    sides = {"c": "lstm", "d": "convolution"}
    row = only(
        contrast("interaction", b="convolution", metric="converged", over="all_runs", **sides), studies=study(change=converge)
    )
    assert row.effect == pytest.approx(3 / 6) and row.n == 6  # seeds 1, 2, 3; the tuning run's two sides are equal
    row = only(
        contrast("better", metric="converged", over="all_runs"),
        studies=study(
            change=converge,
            drop=lambda r: r["plan"]["arm"] == "lstm" and r["plan"]["role"] == "verdict" and r["plan"]["seed"] == 1,
        ),
    )
    assert (row.n, row.dropped) == (5, 1) and row.effect == pytest.approx(2 / 5)


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
    assert row.n == 3 and row.effect == pytest.approx(0.15)


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


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([], NOT_RUN),
        ([NOT_RUN, NOT_RUN], NOT_RUN),
        ([SUPPORTED, SUPPORTED], SUPPORTED),
        ([CONTRADICTED], CONTRADICTED),
        ([SUPPORTED, CONTRADICTED, INCONCLUSIVE], QUALIFIED),
        ([SUPPORTED, INCONCLUSIVE], INCONCLUSIVE),
        ([SUPPORTED, NOT_RUN], INCONCLUSIVE),
        ([CONTRADICTED, INCONCLUSIVE], INCONCLUSIVE),
        ([BY_CONSTRUCTION], BY_CONSTRUCTION),
        ([BY_CONSTRUCTION, SUPPORTED], SUPPORTED),
        ([BY_CONSTRUCTION, CONTRADICTED], QUALIFIED),
    ],
)
def test_a_claim_from_its_contrasts(found, verdict):
    rows = [Row("C1", str(i), "", word) for i, word in enumerate(found)]
    beside = Row("C1", "beside", "", CONTRADICTED, counts=False)
    assert verdicts.claim_verdict(rows) == verdicts.claim_verdict([*rows, beside]) == verdict


def test_contrasts_beside_the_verdict_are_a_family_of_their_own():
    rows = judge(contrast(), contrast(name="beside", counts=False)).rows
    assert rows[0].p_holm == rows[0].p and rows[1].p_holm == rows[1].p
    rows = judge(contrast(), contrast(name="second")).rows
    assert rows[0].p_holm == pytest.approx(2 * rows[0].p)


def test_p_is_doubled_where_further_seeds_are_declared():
    once, twice = only(contrast()), only(contrast(), studies=study(tier="full"), tier="full")
    assert once.p_holm == once.p == twice.p and twice.p_holm == pytest.approx(2 * twice.p)


def test_rows_name_scope_device_and_revision():
    row = only(contrast())
    assert row.scope == "recall, length 64, 64 wide, 2 layers, n = 5, core tier, cpu"
    assert (row.device, row.revision, row.tier, row.experiment, row.task) == (
        "cpu",
        "00000000",
        "core",
        "tiny",
        "recall",
    )
    dirty = study(change=lambda r: r["provenance"].update(clean=False))
    assert only(contrast(), studies=dirty).revision == "00000000+"


def test_the_reading_is_made_from_the_rows():
    found = judge(contrast(), contrast(name="second", a="lstm", b="attention"))
    claim = Claim("C1", "", "", "", "", "", ())
    text = wording.reading(claim, found.rows, found.overall["C1"])
    assert text.startswith("C1 is qualified: of 2 contrasts 1 supported, 1 contradicted.")
    assert "Scope: recall, length 64" in text


def test_an_experiments_reading_is_made_from_its_own_rows():
    against = contrast(name="second", statement="LSTM is better.", a="lstm", b="attention")
    beside = contrast(name="third", statement="Beside it.", counts=False)
    rows = judge(contrast(), against, beside).rows
    text = wording.experiment_reading("tiny", rows)
    assert text.startswith("What decides claims here: of 2 contrasts 1 supported, 1 contradicted. Holds: ")
    assert "Does not hold: LSTM is better. Scope: recall, length 64" in text and "Beside it" not in text
    assert wording.experiment_reading("another", rows) == ""
