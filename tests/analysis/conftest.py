"""Made-up results of every experiment, and of one with gaps, made once for all tests."""

import pytest

from analysis.results import Results
from study import experiments
from tests.analysis import synthetic

NAMES = [name for name in experiments.names() if "core" in experiments.load(name).tiers]


@pytest.fixture(scope="session")
def studies():
    return {
        name: Results(experiment, "core", synthetic.complete(experiment, "core"))
        for name, experiment in ((name, experiments.load(name)) for name in NAMES)
    }


@pytest.fixture(scope="session")
def gaps():
    """`positions` with a missing, a failed and a diverged run, and one cell that was never tuned."""
    experiment = experiments.load("positions")
    made = [r for r in synthetic.complete(experiment, "core") if r["plan"]["arm"] != "random"]
    kept = []
    for record in made:
        plan = record["plan"]
        if (plan["role"], plan["arm"], plan["task"]) == ("verdict", "learned", "reverse"):
            if plan["seed"] == 0:
                continue
            if plan["seed"] in (1, 2):
                record.update(status="failed" if plan["seed"] == 1 else "diverged", metrics={}, slices={}, curve=[], error="x")
        if plan["arm"] == "learned" and plan["role"] == "verdict":
            record["metrics"].pop("out", None)
            record["notes"] = {"out": "position 20 is past the learned table"}
        kept.append(record)
    return Results(experiment, "core", kept)


@pytest.fixture(scope="session")
def written():
    """Results of an experiment whose verdict records, but for one arm's, keep what was written or attended to."""

    def make(name, **kept):
        experiment = experiments.load(name)
        made = synthetic.complete(experiment, "core")
        for record in made:
            if record["plan"]["role"] == "verdict" and record["plan"]["arm"] != "fixed_vector":
                record["written"] = {"test": kept}
        return Results(experiment, "core", made)

    return make
