"""What further seeds are asked for: those of the cells of open parts, until they are there."""

from analysis import second_looks
from analysis.claims import Claim, Claims
from analysis.results import Results
from tests.analysis import synthetic
from tests.analysis.test_verdicts import EXPERIMENT, contrast, judge


def noisy(run, draw):
    """Attention is better than lstm by far; against the convolution seeds disagree."""
    return {"attention": 0.8, "lstm": 0.4, "convolution": 0.78}[run.arm] + draw.gauss(0, 0.05)


def test_open_parts_ask_for_the_further_seeds_of_their_cells():
    contrasts = [contrast(name="clear"), contrast(name="open", b="convolution"), contrast(name="shown", a="lstm", part="")]
    claims = Claims({"C1": Claim("C1", "甲", "It is so.", "", "", "", (), contrasts)}, ())
    made = synthetic.complete(EXPERIMENT, "full", noisy)
    results = {"tiny": Results(EXPERIMENT, "full", made)}
    judged = judge(*contrasts, tier="full", studies=results)
    found = second_looks.cells(claims, results, judged.rows, "full")
    assert found == {"tiny": {("attention", "recall"): {"C1"}, ("convolution", "recall"): {"C1"}}}
    [claims_named, command] = second_looks.commands(found, "full")
    assert claims_named == "# C1"
    assert command == (
        "python run.py -m experiment=tiny tier=full sweep.committed=true sweep.further_seeds=true "
        "sweep.tasks=[recall] sweep.arms=[attention,convolution] hydra/launcher=joblib"
    )
    once = [
        run for run in EXPERIMENT.verdict_runs("full", {cell: 0.003 for cell in found["tiny"]}, found["tiny"]) if run.seed == 5
    ]
    further = [synthetic.record(run, "accuracy", 0.8) for run in once if run.arm == "attention"]
    results = {"tiny": Results(EXPERIMENT, "full", [*made, *further])}
    assert second_looks.cells(claims, results, judged.rows, "full") == {"tiny": {("convolution", "recall"): {"C1"}}}
