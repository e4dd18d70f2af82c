"""Contrasts on fresh seeds beside the committed ones."""

import pytest

from analysis import again, claims
from analysis.claims import Claim, Claims
from study.experiments import Experiment
from tests.analysis import synthetic
from tests.analysis.test_registration import DECLARATION, WINS

PROTOCOL = {"core": {"rates": [0.003], "tuning_seeds": [9], "verdict_seeds": [0, 1, 2, 3, 4]}}
TINY = Experiment(DECLARATION, protocol=PROTOCOL)
OTHER = {"statement": "They differ.", "part": "differ", "better": {**WINS["better"], "experiment": "elsewhere"}}
CLAIM = Claim("C1", "zh", "en", "t", "o", "e", (), tuple(claims.contrasts({"wins": WINS, "other": OTHER}).values()))


def score(run, draw):
    return {"attention": 0.9, "lstm": 0.4 + run.seed * 7 % 5 / 1000}[run.arm]


def made(experiment, seeds=None):
    records = synthetic.complete(experiment, "core", score)
    return records if seeds is None else [r for r in records if r["plan"]["role"] == "verdict"]


def test_a_contrast_is_measured_on_the_fresh_seeds_alone():
    fresh = made(TINY.narrowed(seeds=[20, 21, 22]), seeds=[20, 21, 22])
    [(was, now)] = again.pairs(Claims({"C1": CLAIM}), {"tiny": TINY}, fresh, made(TINY), "core")
    assert (was.claim, was.contrast, was.n, now.n) == ("C1", "wins", 5, 3)
    assert was.effect == pytest.approx(0.5 - 0.002) and now.effect == pytest.approx(0.5 - 0.002)  # seeds 20 21 22: 0 2 4
    assert {was.verdict, now.verdict} == {"supported"}


def test_declared_seeds_are_no_new_measurement():
    assert not again.pairs(Claims({"C1": CLAIM}), {"tiny": TINY}, made(TINY), made(TINY), "core")


def test_seeds_that_serve_tuning_are_refused():
    with pytest.raises(ValueError, match=r"sweep.seeds: \[9\] choose learning rates in the core tier of tiny; take others"):
        TINY.narrowed(seeds=[9, 20])
