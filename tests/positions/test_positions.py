"""Position encodings; every yaml in conf/position is tested without an edit here."""

import inspect
import math
from pathlib import Path

import pytest
import torch
import yaml
from hydra.utils import get_class

from study.positions.learned import Learned, PositionRangeError
from study.positions.sinusoidal import Sinusoidal, sinusoids

CONF = Path(__file__).parents[2] / "conf" / "position"
POSITIONS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(CONF.glob("*.yaml"))}
NAME = pytest.mark.parametrize("name", POSITIONS)


def settings(name):
    return {key: value for key, value in POSITIONS[name].items() if key != "_target_"}


def build(name, width=16, length=24):
    torch.manual_seed(0)
    return get_class(POSITIONS[name]["_target_"])(width, length=length, **settings(name))


def test_some_positions_are_found():
    assert {"none", "sinusoidal", "learned"} <= set(POSITIONS)


@NAME
def test_yaml_states_and_explains_every_keyword(name):
    parameters = inspect.signature(type(build(name))).parameters.values()
    assert set(settings(name)) == {p.name for p in parameters if p.kind is p.KEYWORD_ONLY} - {"length"}
    for line in (CONF / f"{name}.yaml").read_text().splitlines():
        assert line.startswith("_target_") or "# " in line


@NAME
@pytest.mark.parametrize(("width", "length"), [(8, 5), (16, 24), (32, 1)])
def test_parameter_count_is_the_constructed_one(name, width, length):
    position = build(name, width, length)
    built = sum(p.numel() for p in position.parameters())
    assert built == type(position).parameter_count(width, length, **settings(name))


@NAME
def test_a_later_start_is_a_part_of_the_whole(name):
    position, x_BND = build(name), torch.randn(2, 24, 16)
    whole = position(x_BND)
    torch.testing.assert_close(position(x_BND[:, 9:14], start=9), whole[:, 9:14])
    torch.testing.assert_close(position(x_BND[:, :1]), whole[:, :1])


@NAME
def test_what_is_added_knows_no_token(name):
    position, x_BND = build(name), torch.randn(2, 24, 16)
    torch.testing.assert_close(position(x_BND) - x_BND, position(0 * x_BND), atol=1e-6, rtol=1e-5)


@NAME
def test_encodings_stay_float32_under_autocast(name):
    position, x_BND = build(name), torch.randn(2, 24, 16)
    with torch.autocast("cpu", torch.bfloat16):
        y_BND = position(x_BND)
    assert y_BND.dtype == torch.float32
    torch.testing.assert_close(y_BND, position(x_BND), atol=0, rtol=0)


@pytest.mark.parametrize("name", sorted(set(POSITIONS) - {"none"}))
def test_all_encodings_start_equally_loud(name):
    encoding = build(name, width=64, length=256)(torch.zeros(1, 256, 64))
    assert encoding.square().mean().sqrt().item() == pytest.approx(math.sqrt(1 / 2), rel=0.02)


def test_none_adds_nothing():
    x_BND = torch.randn(2, 24, 16)
    assert torch.equal(build("none")(x_BND), x_BND)


def test_sinusoids_by_hand():
    """Width 4: frequencies 1 and 1/100."""
    expected = [
        [0.0, 1.0, 0.0, 1.0],
        [0.8414709848, 0.5403023059, 0.0099998333, 0.9999500004],
        [0.9092974268, -0.4161468365, 0.0199986667, 0.9998000067],
    ]
    torch.testing.assert_close(sinusoids(3, 4), torch.tensor(expected))
    assert sinusoids(101, 4)[100, 2].item() == pytest.approx(math.sin(1), abs=1e-6)
    assert sinusoids(100001, 4)[100000, 2].item() == pytest.approx(math.sin(1000), abs=1e-6)


@pytest.mark.parametrize("k", [1, 7, 50])
def test_sinusoid_of_p_plus_k_is_linear_in_that_of_p(k):
    """One matrix, fitted on some positions, carries PE(p) to PE(p + k) at all others (Vaswani 2017, 3.5)."""
    table = sinusoids(400, 8).double()
    carry = torch.linalg.lstsq(table[:100], table[k : 100 + k]).solution
    torch.testing.assert_close(table[200:300] @ carry, table[200 + k : 300 + k], atol=1e-4, rtol=0)
    torch.testing.assert_close(carry @ carry.T, torch.eye(8).double(), atol=1e-4, rtol=0)  # a rotation


def test_sinusoidal_goes_past_its_length():
    position = Sinusoidal(16, length=8)
    far = position(torch.zeros(1, 1, 16), start=1000)
    torch.testing.assert_close(far[0, 0], sinusoids(1001, 16)[1000])
    assert position.state_dict() == {}


def test_sinusoidal_needs_an_even_width():
    with pytest.raises(ValueError, match="use 8"):
        Sinusoidal(7, length=4)


def test_learned_refuses_positions_past_its_table():
    position = Learned(16, length=8)
    position(torch.zeros(1, 8, 16))
    with pytest.raises(PositionRangeError, match="position 8 is past the learned table of 8"):
        position(torch.zeros(1, 9, 16))
    with pytest.raises(PositionRangeError, match="position=sinusoidal"):
        position(torch.zeros(1, 1, 16), start=8)


def test_learned_rows_are_trained():
    position = Learned(16, length=8)
    position(torch.zeros(2, 5, 16)).sum().backward()
    assert position.table.weight.grad.sum(1).tolist() == [32.0] * 5 + [0.0] * 3
