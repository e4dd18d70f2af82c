"""What every mixer in conf/mixer must satisfy; a new yaml is tested without an edit here."""

from pathlib import Path

import pytest
import torch
import yaml

from study import parts
from study.mixers.base import Mixer

CONF = Path(__file__).parents[2] / "conf" / "mixer"
MIXERS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(CONF.glob("*.yaml"))}
LENGTH = 50  # in training
CAUSAL = pytest.mark.parametrize("causal", [True, False], ids=["causal", "bidirectional"])
NAME = pytest.mark.parametrize("name", MIXERS)


def settings(name: str) -> dict:
    return {key: value for key, value in MIXERS[name].items() if key != "name"}


def build(name: str, causal: bool, width: int = 16, layer: int = 0) -> Mixer:
    torch.manual_seed(0)
    return parts.load("mixer", name)(width, causal=causal, layer=layer, length=LENGTH, **settings(name))


def close(actual, expected, **tolerance):
    torch.testing.assert_close(actual, expected, **({"atol": 1e-5, "rtol": 1e-4} | tolerance))


def test_some_mixers_are_found():
    assert {"attention", "window", "lstm", "gru", "elman", "convolution", "dilated", "identity"} <= set(MIXERS)


@NAME
@CAUSAL
@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_changes_nothing_at_real_positions(name, causal, side):
    mixer = build(name, causal)
    x_BND = torch.randn(4, 13, 16)
    lengths = (13, 9, 1, 4)
    mask_BN = torch.arange(13) < torch.tensor(lengths)[:, None]
    if side == "left":
        mask_BN = mask_BN.flip(1)
    x_BND = x_BND.requires_grad_()
    y_BND = mixer(x_BND, mask_BN)
    assert y_BND.shape == x_BND.shape and y_BND.isfinite().all()
    for b in range(len(lengths)):
        close(y_BND[b, mask_BN[b]], mixer(x_BND[b, mask_BN[b]][None])[0])
    (gradient,) = torch.autograd.grad(y_BND[mask_BN].square().sum(), x_BND)
    assert gradient[mask_BN].any() and not gradient[~mask_BN].any()


@NAME
@CAUSAL
def test_rows_without_any_real_token_stay_finite(name, causal):
    mixer = build(name, causal)
    x_BND = torch.randn(3, 11, 16, requires_grad=True)
    mask_BN = torch.ones(3, 11, dtype=torch.bool)
    mask_BN[0], mask_BN[1, :5] = False, False
    y_BND = mixer(x_BND, mask_BN)
    y_BND.square().sum().backward()
    assert y_BND.isfinite().all() and x_BND.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in mixer.parameters())


@NAME
@CAUSAL
def test_a_mask_of_real_tokens_is_no_mask(name, causal):
    mixer, x_BND = build(name, causal), torch.randn(3, 19, 16)
    close(mixer(x_BND, torch.ones(3, 19, dtype=torch.bool)), mixer(x_BND))


@NAME
@CAUSAL
def test_a_sequence_longer_than_in_training_is_taken_or_refused_as_the_mixer_says(name, causal):
    mixer = build(name, causal)
    mixer(torch.randn(1, mixer.longest or 3 * LENGTH, 16))
    if mixer.longest:
        with pytest.raises(ValueError, match=f"{mixer.longest + 1} positions are more than the {mixer.longest} .* use mixer="):
            mixer(torch.randn(1, mixer.longest + 1, 16))


@NAME
@pytest.mark.parametrize("length", [1, 7, 40])
def test_step_by_step_is_the_parallel_form(name, length):
    mixer, x_BND = build(name, causal=True), torch.randn(2, length, 16)
    state, outputs = mixer.initial_state(2), []
    for n in range(length):
        y_BD, state = mixer.step(x_BND[:, n], state)
        outputs.append(y_BD)
    close(torch.stack(outputs, 1), mixer(x_BND))


@NAME
def test_only_causal_mixers_step(name):
    with pytest.raises(ValueError, match="causal"):
        build(name, causal=False).initial_state(2)


@NAME
@CAUSAL
@pytest.mark.parametrize("layer", [0, 1])
def test_reach_is_where_the_jacobian_ends(name, causal, layer):
    mixer = build(name, causal, layer=layer).double()
    reach = mixer.reach
    N = mixer.longest or 2 * (20 if reach is None else reach) + 5
    x_ND, centre = torch.randn(N, 16, dtype=torch.double), N // 2
    seen_N = torch.autograd.functional.jacobian(lambda x: mixer(x[None])[0, centre], x_ND).abs().amax((0, 2)) > 0
    first = 0 if reach is None else centre - reach
    last = centre if causal else N - 1 - first
    n = torch.arange(N)
    at_most_N = (n >= first) & (n <= last)
    assert not seen_N[~at_most_N].any()
    assert seen_N[first] and seen_N[centre] and seen_N[last]


@NAME
@CAUSAL
def test_autocast_stays_close_to_float32(name, causal):
    mixer, x_BND = build(name, causal), torch.randn(2, 19, 16)
    mask_BN = torch.arange(19) < torch.tensor([19, 12])[:, None]
    with torch.autocast("cpu", torch.bfloat16):
        y_BND = mixer(x_BND, mask_BN)
    close(y_BND.float()[mask_BN], mixer(x_BND, mask_BN)[mask_BN], atol=0.05, rtol=0.05)


@NAME
@CAUSAL
def test_linear_maps_start_from_one_family(name, causal):
    for key, parameter in build(name, causal, width=32).named_parameters():
        if parameter.ndim > 1:
            bound = parameter[0].numel() ** -0.5
            assert 0.95 * bound < parameter.abs().max() <= bound, key
        else:
            assert parameter.unique().tolist() in ([0.0], [0.0, 1.0]), key
