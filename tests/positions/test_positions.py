"""Position encodings; every yaml in conf/position is tested without an edit here."""

import math

import pytest
import torch

from study.parts import load
from study.positions.base import InsidePosition
from study.positions.learned import Learned, PositionRangeError
from study.positions.random import Random
from study.positions.sinusoidal import Sinusoidal, sinusoids
from study.positions.sinusoidal_trained import SinusoidalTrained
from tests.cases import made, names

POSITIONS = names("position")
NAME = pytest.mark.parametrize("name", POSITIONS)
ADDED = [name for name in POSITIONS if not issubclass(load("position", name), InsidePosition)]


def build(name, width=16, length=24):
    return made("position", name, width, length=length)


def test_some_positions_are_found():
    assert {"none", "sinusoidal", "learned"} <= set(POSITIONS)


@NAME
def test_a_later_start_is_a_part_of_the_whole_and_what_is_added_knows_no_token_and_stays_float32(name):
    position, x_BND = build(name), torch.randn(2, 24, 16)
    whole = position(x_BND)
    torch.testing.assert_close(position(x_BND[:, 9:14], start=9), whole[:, 9:14])
    torch.testing.assert_close(position(x_BND[:, :1]), whole[:, :1])
    torch.testing.assert_close(whole - x_BND, position(0 * x_BND), atol=1e-6, rtol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(position(x_BND), whole) and whole.dtype == torch.float32


@pytest.mark.parametrize("name", sorted(set(ADDED) - {"none"}))
def test_all_encodings_start_equally_loud(name):
    encoding = build(name, width=64, length=256)(torch.zeros(1, 256, 64))
    assert encoding.square().mean().sqrt().item() == pytest.approx(math.sqrt(1 / 2), rel=0.02)


@pytest.mark.parametrize("name", ["none", *sorted(set(POSITIONS) - set(ADDED))])
def test_nothing_is_added(name):
    x_BND = torch.randn(2, 24, 16)
    assert torch.equal(build(name)(x_BND), x_BND)


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


def smallest_distance(codes_ND):
    """Between any two different rows."""
    codes_ND = codes_ND.double()
    distance_NN = torch.cdist(codes_ND, codes_ND, compute_mode="use_mm_for_euclid_dist")
    return distance_NN.fill_diagonal_(math.inf).min().item()


def distinct(codes_ND):
    return len({row.tobytes() for row in (codes_ND + 0.0).numpy()})  # + 0.0: -0 is 0


@pytest.mark.slow
@pytest.mark.parametrize("width", [8, 16, 32, 64, 128, 256, 512])
def test_sinusoids_give_each_position_a_code_of_its_own(width):
    """The two nearest of 2,000 codes are where the angles say, far apart; and no two of 100,000 are the same."""
    frequency = 10000 ** (-torch.arange(0, width, 2).double() / width)
    apart = (2 - 2 * torch.cos(torch.arange(1, 2000).double()[:, None] * frequency)).sum(1).sqrt().min().item()
    assert apart > 0.6
    assert smallest_distance(sinusoids(2000, width)) == pytest.approx(apart, abs=1e-5)
    if width <= 64:
        assert distinct(sinusoids(100_000, width)) == 100_000


@pytest.mark.slow
@pytest.mark.parametrize("width", [4, 8, 16, 32, 64, 128, 256, 512])
def test_codes_stay_distinct_when_rounded_to_bfloat16(width):
    rounded = sinusoids(2000, width).bfloat16()
    assert distinct(rounded.float()) == 2000
    assert smallest_distance(rounded) > 0.04
    if 8 <= width <= 64:
        assert distinct(sinusoids(100_000, width).bfloat16().float()) == 100_000


@pytest.mark.slow
def test_codes_collide_in_bfloat16_where_the_width_is_2_or_the_angle_itself_is_rounded():
    """Where uniqueness ends: two columns; 300,000 positions in eight; positions counted in bfloat16."""
    assert distinct(sinusoids(2000, 2)) == 2000
    assert distinct(sinusoids(2000, 2).bfloat16().float()) < 1000
    assert distinct(sinusoids(300_000, 8).bfloat16().float()) < 300_000
    counted = torch.arange(2000).bfloat16()
    assert distinct(sinusoids(2001, 64)[counted.long()]) < 700  # 256 and 257 are one number


@pytest.mark.parametrize("k", [1, 7, 50, 1000])
@pytest.mark.parametrize("width", [8, 64])
def test_sinusoid_of_p_plus_k_is_linear_in_that_of_p(width, k):
    """Each pair of columns turns by the angle k / 10000^(2i / D), whatever p is (Vaswani 2017, 3.5)."""
    table = sinusoids(3000 + k, width).double()
    carry = torch.zeros(width, width).double()
    for i in range(0, width, 2):
        angle = k / 10000 ** (i / width)
        carry[i, i], carry[i, i + 1] = math.cos(angle), math.sin(angle)
        carry[i + 1, i], carry[i + 1, i + 1] = -math.sin(angle), math.cos(angle)
    torch.testing.assert_close(table[:3000] @ carry.T, table[k:], atol=1e-6, rtol=0)


def test_sinusoidal_goes_past_its_length():
    position = Sinusoidal(16, length=8)
    far = position(torch.zeros(1, 1, 16), start=1000)
    torch.testing.assert_close(far[0, 0], sinusoids(1001, 16)[1000])
    assert position.state_dict() == {}


def test_sinusoids_can_start_a_table_that_is_trained():
    position, fixed = SinusoidalTrained(16, length=8), Sinusoidal(16, length=8)
    x_BND = torch.randn(2, 8, 16)
    assert torch.equal(position(x_BND), fixed(x_BND))
    position(x_BND).square().sum().backward()
    assert position.table.weight.grad.abs().min() > 0
    with pytest.raises(PositionRangeError):
        position(torch.zeros(1, 9, 16))


def test_random_rows_are_frozen_and_the_same_in_whatever_order_they_are_asked_for():
    def rows(*ends, seed=0):
        torch.manual_seed(seed)
        position = Random(16, length=8)
        return position, [position(torch.zeros(1, end, 16))[0] for end in ends][-1]

    position, whole = rows(50)
    assert not list(position.parameters())
    assert torch.equal(rows(3, 9, 30, 50)[1], whole)
    assert not torch.equal(rows(50, seed=1)[1], whole)
    assert distinct(whole) == 50
    assert whole.std().item() == pytest.approx(math.sqrt(1 / 2), rel=0.1)


def test_random_rows_come_back_with_a_checkpoint():
    torch.manual_seed(0)
    saved, other = Random(16, length=8), Random(16, length=8)
    x_BND = torch.zeros(1, 20, 16)
    assert not torch.equal(saved(x_BND), other(x_BND))
    other.load_state_dict(saved.state_dict())
    assert torch.equal(saved(x_BND), other(x_BND))


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


@pytest.mark.parametrize("position_class", [Learned, SinusoidalTrained])
def test_past_clip_gives_the_last_row_to_all_that_lies_past_the_table(position_class):
    torch.manual_seed(0)
    position = position_class(16, length=8, past="clip")
    rows = position(torch.zeros(1, 20, 16))[0]
    assert torch.equal(rows[:8], position.table.weight) and torch.equal(rows[8:], rows[7].expand(12, 16))
    assert torch.equal(position(torch.zeros(1, 2, 16), start=7)[0], rows[7:9])
    assert torch.equal(position(torch.zeros(1, 1, 16), start=99)[0], rows[7:8])
    rows[10:].sum().backward()
    assert position.table.weight.grad.sum(1).tolist() == [0.0] * 7 + [160.0]


def test_past_is_one_of_two():
    with pytest.raises(ValueError, match="past=wrap must be one of error, clip"):
        Learned(16, length=8, past="wrap")


def test_learned_rows_are_trained():
    position = Learned(16, length=8)
    position(torch.zeros(2, 5, 16)).sum().backward()
    assert position.table.weight.grad.sum(1).tolist() == [32.0] * 5 + [0.0] * 3
