"""What every mixer in conf/mixer must satisfy, causal or not; a new yaml is tested without an edit here."""

import itertools

import pytest
import torch

from study.attention.scoring import SCORES
from study.mixers.base import Mixer
from study.mixers.shared import SHARES
from tests.cases import case, close, made, names

LENGTH = 50  # in training
NAME = pytest.mark.parametrize("name", names("mixer"))
VARIANTS = {  # settings with which a mixer takes another way than with those of its yaml
    "scored": [{"score": score} for score in SCORES],
    "shared": [
        *({"share": share, "projection": projection} for share in SHARES for projection in ("learned", "frozen")),
        {"share": "all", "projection": "identity"},
        {"share": "none", "sees_itself": False},
        {"share": "keys_values", "sees_itself": False},
        {"share": "queries_keys", "sees_itself": True},
    ],
}


def ways(name: str) -> list[dict]:
    """Settings of a mixer and the ways that it may look."""
    return [own | {"causal": causal} for own in VARIANTS.get(name, [{}]) for causal in (True, False)]


def build(name: str, width: int = 16, **keys) -> Mixer:
    return made("mixer", name, width, length=LENGTH, **keys)


def test_some_mixers_are_found():
    assert {"attention", "window", "lstm", "gru", "elman", "convolution", "dilated", "identity"} <= set(names("mixer"))


@NAME
def test_padding_changes_nothing_at_real_positions(name):
    """On the right, on the left and nowhere: neither values nor gradients; no weight is on it, and each row sums to one."""
    lengths = (13, 9, 1, 4)
    right_BN = torch.arange(13) < torch.tensor(lengths)[:, None]
    masks = {"right": right_BN, "left": right_BN.flip(1), "nowhere": torch.ones_like(right_BN)}
    for way, (side, mask_BN) in itertools.product(ways(name), masks.items()):
        with case(way, side):
            mixer, x_BND = build(name, **way), torch.randn(4, 13, 16, requires_grad=True)
            y_BND = mixer(x_BND, mask_BN)
            assert y_BND.shape == x_BND.shape and y_BND.isfinite().all()
            for b in range(len(lengths)):
                close(y_BND[b, mask_BN[b]], mixer(x_BND[b, mask_BN[b]][None])[0])
            (gradient,) = torch.autograd.grad(y_BND[mask_BN].square().sum(), x_BND)
            assert gradient[mask_BN].any() and not gradient[~mask_BN].any()
            if mixer.has_maps:
                weights_BHNN = mixer.maps(x_BND, mask_BN)
                assert not weights_BHNN.masked_select(~mask_BN[:, None, None, :]).any()  # exactly 0
                rows = weights_BHNN.sum(-1).transpose(1, 2)[mask_BN]
                close(rows, torch.ones_like(rows))


@NAME
def test_rows_without_any_real_token_stay_finite(name):
    for way in ways(name):
        with case(way):
            mixer, x_BND = build(name, **way), torch.randn(3, 11, 16, requires_grad=True)
            mask_BN = torch.ones(3, 11, dtype=torch.bool)
            mask_BN[0], mask_BN[1, :5] = False, False
            y_BND = mixer(x_BND, mask_BN)
            y_BND.square().sum().backward()
            assert y_BND.isfinite().all() and x_BND.grad.isfinite().all()
            assert all(p.grad.isfinite().all() for p in mixer.parameters())


@NAME
def test_a_sequence_longer_than_in_training_is_taken_or_refused_as_the_mixer_says(name):
    for causal in (True, False):
        mixer = build(name, causal=causal)
        mixer(torch.randn(1, mixer.longest or 3 * LENGTH, 16))
        if mixer.longest:
            beyond = f"{mixer.longest + 1} positions are more than the {mixer.longest} .* use mixer="
            with case(causal), pytest.raises(ValueError, match=beyond):
                mixer(torch.randn(1, mixer.longest + 1, 16))


@NAME
def test_step_by_step_is_the_parallel_form(name):
    for way in ways(name):
        with case(way):
            mixer, x_BND = build(name, **way), torch.randn(2, 40, 16)
            if not way["causal"]:
                with pytest.raises(ValueError, match="causal"):
                    mixer.initial_state(2)
                continue
            state, outputs = mixer.initial_state(2), []
            for n in range(40):
                y_BD, state = mixer.step(x_BND[:, n], state)
                outputs.append(y_BD)
            for length in (1, 7, 40):
                close(torch.stack(outputs[:length], 1), mixer(x_BND[:, :length]))


@NAME
def test_reach_is_where_the_jacobian_ends(name):
    for causal, layer in itertools.product((True, False), (0, 1)):
        with case(f"causal={causal}", f"layer {layer}"):
            mixer = build(name, causal=causal, layer=layer).double()
            reach = mixer.reach
            N = mixer.longest or 2 * (20 if reach is None else reach) + 5
            x_ND, centre = torch.randn(N, 16, dtype=torch.double), N // 2
            jacobian = torch.autograd.functional.jacobian(lambda x: mixer(x[None])[0, centre], x_ND)  # noqa: B023
            seen_N = jacobian.abs().amax((0, 2)) > 0
            first = 0 if reach is None else centre - reach
            last = centre if causal else N - 1 - first
            n = torch.arange(N)
            at_most_N = (n >= first) & (n <= last)
            assert not seen_N[~at_most_N].any()
            assert seen_N[first] and seen_N[centre] and seen_N[last]


@NAME
def test_autocast_stays_close_to_float32(name):
    mask_BN = torch.arange(19) < torch.tensor([19, 12])[:, None]
    for way in ways(name):
        mixer, x_BND = build(name, **way), torch.randn(2, 19, 16)
        with torch.autocast("cpu", torch.bfloat16):
            y_BND = mixer(x_BND, mask_BN)
        with case(way):
            close(y_BND.float()[mask_BN], mixer(x_BND, mask_BN)[mask_BN], atol=0.05, rtol=0.05)


@NAME
def test_linear_maps_start_from_one_family(name):
    for causal in (True, False):
        for key, parameter in build(name, 32, causal=causal).named_parameters():
            if parameter.ndim > 1:
                bound = parameter[0].numel() ** -0.5
                assert 0.95 * bound < parameter.abs().max() <= bound, key
            else:
                assert parameter.unique().tolist() in ([0.0], [0.0, 1.0]), key
