"""The claims as data: complete, consistent with the declared experiments, and refused when misspelt."""

import pytest
import yaml

from analysis import claims, synthetic, values, verdicts
from analysis.results import Results
from study import experiments

CLAIMS = claims.read()
CONTRASTS = [
    pytest.param(contrast, id=f"{name}-{contrast.name}")
    for name, claim in CLAIMS.claims.items()
    for contrast in claim.contrasts
] + [pytest.param(control, id=f"control-{control.name}") for control in CLAIMS.controls]


@pytest.fixture(scope="module")
def studies():
    """Every declared experiment of the core tier, complete, with made-up records."""
    declared = {name: experiments.load(name) for name in experiments.names()}
    return {
        name: Results(experiment, "core", synthetic.complete(experiment, "core"))
        for name, experiment in declared.items()
        if "core" in experiment.tiers
    }


def test_every_claim_of_the_notes_has_its_row():
    assert list(CLAIMS.claims) == [f"C{number}" for number in range(1, 41)]
    for claim in CLAIMS.claims.values():
        assert any("一" <= letter <= "鿿" for letter in claim.zh), claim.name
        assert claim.en.endswith(".") and claim.expect and claim.origin


def test_margins_are_the_declared_ones():
    margins = {name: metric.margin for name, metric in CLAIMS.metrics.items()}
    expected = {"accuracy": 0.02, "bits_per_character": 0.01, "perplexity": 0.02, "bleu": 0.5, "exact": 0.01}
    assert expected.items() <= margins.items() and margins["throughput"] == 0.10
    assert CLAIMS.metrics["perplexity"].relative and CLAIMS.metrics["throughput"].relative


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_contrast_can_be_computed_or_its_test_exists(contrast, studies):
    """Arms, tasks, metrics and slices it names are there; a complete sweep leaves nothing of it not run."""
    if contrast.rule == "by_construction":
        assert claims.node_exists(contrast.node, verdicts.ROOT)
        return
    found = verdicts.evaluate(contrast, CLAIMS.metrics, studies, "core")
    if contrast.metric == "steps_to_90":  # made-up records need not reach 90 %, and a censored run is no number
        assert found.planned > 0
        return
    assert found.test.n == found.planned > 0, found.test.note
    assert found.test.effect is not None


@pytest.mark.parametrize("name", experiments.names())
def test_experiment_and_contrasts_name_the_same_claims(name):
    """A claim that an experiment says it bears on has a contrast there, or is decided by construction."""
    bears_on = {
        claim.name
        for claim in CLAIMS.claims.values()
        if any(contrast.experiment == name or contrast.rule == "by_construction" for contrast in claim.contrasts)
    }
    assert set(experiments.load(name).claims) <= bears_on


def test_published_results_belong_to_declared_experiments():
    for entry in CLAIMS.published_results:
        assert entry["task"] in experiments.load(entry["experiment"]).tasks


def test_correction_sums():
    text = " ".join(entry["notes"] + entry["correct"] for entry in CLAIMS.corrections)
    assert 512 * 20000 == 1.024e7 and "1.024 x 10^7" in text
    assert round(1e8 / 512, -3) == 195000 and "195,000" in text
    assert len(CLAIMS.corrections) == 8


def test_node_exists_is_strict(tmp_path):
    (tmp_path / "test_x.py").write_text("class TestA:\n    def test_b(self): pass\ndef test_c(): pass\n")
    for node in ("test_x.py::test_c", "test_x.py::TestA::test_b", "test_x.py::test_c[case-1]"):
        assert claims.node_exists(node, tmp_path)
    for node in ("test_x.py", "test_x.py::test_d", "test_y.py::test_c", "test_x.py::TestA::test_c"):
        assert not claims.node_exists(node, tmp_path)


@pytest.mark.parametrize(
    ("conditions", "value", "reach", "inside"),
    [
        (["<= 8"], 8, None, True),
        (["< 8"], 8, None, False),
        (["<= reach"], 16, 16, True),
        (["> reach"], 17, 16, True),
        (["> reach"], 1000, None, False),
        ([">= 2", "<= 4"], 5, None, False),
        (["== 3"], 3, None, True),
        (["<= 1.5x trained"], 30, None, True),
        (["> 1.5x trained"], 30, None, False),
        (["> 1x trained", "<= 2x trained"], 41, None, False),
    ],
)
def test_slices_are_selected(conditions, value, reach, inside):
    assert values.selects(conditions, value, reach, trained=20) is inside


def broken(change) -> dict:
    data = yaml.safe_load(claims.FILE.read_text(encoding="utf-8"))
    change(data["claims"]["C13"]["contrasts"]["few_mqar"])
    return data


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(rule="beter"), "known are better"),
        (lambda c: c.update(margn=0.1), "unknown 'margn'"),
        (lambda c: c.update(over="runs"), "known are verdict_runs, all_runs"),
        (lambda c: c.update(b={"arm": "split_1", "slise": {}}), "unknown 'slise'"),
        (lambda c: c.update(slice={"distance": "less than 8"}), 'say it as "<= 8"'),
        (lambda c: c.update(rule="slope"), "needs slice"),
    ],
)
def test_a_misspelt_entry_is_refused(change, words, tmp_path):
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump(broken(change), allow_unicode=True), encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        claims.read(path)


def test_an_unknown_arm_is_refused(studies):
    contrast = next(c for c in CLAIMS.claims["C22"].contrasts if c.rule == "equivalent")
    wrong = claims.Contrast(**{**contrast.__dict__, "b": claims.Term(arm="sinusoid")})
    with pytest.raises(ValueError, match="no arm 'sinusoid'"):
        verdicts.evaluate(wrong, CLAIMS.metrics, studies, "core")
