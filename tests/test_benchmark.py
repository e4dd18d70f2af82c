"""What the benchmarks' command line asks for, and the exponents they tell."""

import pytest
import torch

from study.benchmark import ON_GPU, SECTIONS, asked, exponent

pytestmark = pytest.mark.slow


def test_all_that_this_machine_can_measure_is_asked_for_by_default():
    here = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    assert asked([]) == (here, list(SECTIONS))
    assert asked(["window", "block", "--device", "cpu"]) == (["cpu"], ["window", "block"])


def test_what_cannot_be_measured_is_refused(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for words, said in {
        "blok": f"no section blok; there are {', '.join(SECTIONS)}",
        "--device gpu": "invalid choice: 'gpu'",
        "--device cuda block": "--device cuda: torch sees no CUDA device here",
    }.items():
        with pytest.raises(SystemExit, match="2"):
            asked(words.split())
        assert said in capsys.readouterr().err


def test_a_gpu_alone_measures_what_runs_on_it(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert asked(["--device", "cuda"]) == (["cuda"], list(ON_GPU))
    with pytest.raises(SystemExit, match="2"):
        asked(["sweep", "--device", "cuda"])
    assert f"sweep takes no GPU; name {', '.join(ON_GPU)}" in capsys.readouterr().err


def test_an_exponent_is_the_slope_between_logarithms():
    assert exponent([1, 2, 4], [3, 12, 48]) == pytest.approx(2)
