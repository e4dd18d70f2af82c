"""Positions that act inside attention: against double loops over the papers' equations, and against other libraries.

Other libraries take seconds to import: only the tests that compare with them do.
"""

import itertools
import math

import pytest
import torch

from study.cost.counting import multiply_adds
from study.mixers.attention import Attention
from study.positions.base import offsets
from study.positions.bucket_bias import BucketBias, bucket
from study.positions.linear_bias import LinearBias, slopes
from study.positions.relative import Relative
from study.positions.rotary import Rotary
from tests.cases import case, close

B, N, D, H = 3, 11, 12, 2
K = D // H
LENGTHS = (11, 6, 1)
CAUSAL = pytest.mark.parametrize("causal", [True, False], ids=["causal", "bidirectional"])
POSITIONS = {
    "both": lambda: Relative(D, length=N, clip=3),
    "keys": lambda: Relative(D, length=N, values=False, clip=3),
    "values": lambda: Relative(D, length=N, keys=False, clip=3),
    "no_distance": lambda: Relative(D, length=N, clip=0),
    "far": lambda: Relative(D, length=N, clip=40),
    "rotary": lambda: Rotary(D, length=N),
    "linear_bias": lambda: LinearBias(D, length=N),
    "bucket_bias": lambda: BucketBias(D, length=N, buckets=8, max_distance=9),
}
POSITION = pytest.mark.parametrize("name", POSITIONS)
WAYS = list(itertools.product(POSITIONS, (True, False)))
MASK_BN = torch.arange(N) < torch.tensor(LENGTHS)[:, None]


def build(name, causal, heads=H):
    torch.manual_seed(0)
    mixer = Attention(D, causal=causal, heads=heads)
    mixer.attach(POSITIONS[name]())
    return mixer


# --- the papers' equations, one pair of positions at a time ----------------------------------------------------------


def clipped(offset, k):
    return max(-k, min(k, offset))


def shaw(inside, q, k, i, j, h):
    """Equation 4: e_ij = q_i (k_j + a^K_ij) / sqrt(d_z)."""
    a = 0 if inside.keys_RK is None else inside.keys_RK[clipped(j - i, inside.clip) + inside.clip]
    return (q * (k + a)).sum() / math.sqrt(K)


def rotated(x, p):
    """Equation 15, column by column."""
    out = []
    for c in range(0, K, 2):
        angle = p / 10000 ** (c / K)
        cosine, sine = math.cos(angle), math.sin(angle)
        out += [x[c] * cosine - x[c + 1] * sine, x[c] * sine + x[c + 1] * cosine]
    return torch.stack(out)


def roformer(inside, q, k, i, j, h):
    return (rotated(q, i) * rotated(k, j)).sum() / math.sqrt(K)


def alibi(inside, q, k, i, j, h):
    return (q * k).sum() / math.sqrt(K) - 2.0 ** (-8 * (h + 1) / H) * abs(i - j)


def t5_bucket(offset, buckets, max_distance, causal):
    """The rule in words: half the buckets of a side are single distances, the rest equal steps of the logarithm."""
    if causal:
        side, distance, first = buckets, max(0, -offset), 0
    else:
        side, distance, first = buckets // 2, abs(offset), buckets // 2 if offset > 0 else 0
    single = side // 2
    if distance < single:
        return first + distance
    step = (max_distance / single) ** (1 / (side - single))
    wide = 0
    while wide < side - single - 1 and distance >= single * step ** (wide + 1) * (1 - 1e-9):
        wide += 1
    return first + single + wide


def t5(causal):
    def score(inside, q, k, i, j, h):
        row = t5_bucket(j - i, inside.buckets, inside.max_distance, causal)
        return (q * k).sum() / math.sqrt(K) + inside.table.weight[row, h]

    return score


def looped(mixer, x_BND, lengths, causal):
    """Attention (B, N, D) by loops over sequences, heads, queries and keys; zero at padding."""
    inside, rows = mixer.inside, []
    score = {"RelativeTables": shaw, "Rotation": roformer, "LinearPenalty": alibi, "BucketTable": t5(causal)}[
        type(inside).__name__
    ]
    for x_ND, n in zip(x_BND, lengths, strict=True):
        queries, keys, values = (x_ND @ mixer.qkv.weight.T).chunk(3, -1)
        for i in range(N):
            if i >= n:
                rows.append(torch.zeros(D))
                continue
            seen = range(i + 1 if causal else n)
            heads = []
            for h in range(H):
                own = slice(h * K, (h + 1) * K)
                scores = [score(inside, queries[i, own], keys[j, own], i, j, h) for j in seen]
                weights = torch.stack(scores).softmax(0)
                z = torch.zeros(K)
                for weight, j in zip(weights, seen, strict=True):
                    a = 0
                    if getattr(inside, "values_RK", None) is not None:  # equation 3
                        a = inside.values_RK[clipped(j - i, inside.clip) + inside.clip]
                    z = z + weight * (values[j, own] + a)
                heads.append(z)
            rows.append(torch.cat(heads) @ mixer.out.weight.T)
    return torch.stack(rows).view(B, N, D)


@POSITION
@CAUSAL
def test_values_and_gradients_are_those_of_the_double_loop(name, causal):
    mixer = build(name, causal)
    x_BND = torch.randn(B, N, D, requires_grad=True)
    actual = mixer(x_BND, MASK_BN) * MASK_BN[..., None]
    expected = looped(mixer, x_BND, LENGTHS, causal)
    close(actual, expected)
    weight = torch.randn(B, N, D)
    inputs = [x_BND, *mixer.parameters()]
    ours, theirs = (torch.autograd.grad((y * weight).sum(), inputs, allow_unused=True) for y in (actual, expected))
    for a, e in zip(ours, theirs, strict=True):
        close(a, e, atol=1e-4)


def test_only_offsets_matter_and_no_mask_hides_nothing():
    """The same tokens behind padding on the left give the same: no position counts by itself."""
    for name, causal in WAYS:
        with case(name, f"causal={causal}"):
            mixer, x_BND = build(name, causal), torch.randn(B, N, D)
            y_BND = mixer(x_BND)
            close(mixer(x_BND, torch.ones(B, N, dtype=torch.bool)), y_BND)
            behind_BND = torch.cat([torch.randn(B, 4, D), x_BND], 1)
            close(mixer(behind_BND, torch.arange(N + 4).expand(B, -1) >= 4)[:, 4:], y_BND)


def test_step_by_step_is_forward_far_past_the_training_length():
    for name in POSITIONS:
        with case(name):
            mixer, x_BND = build(name, causal=True), torch.randn(B, 5 * N, D)
            state, steps = mixer.initial_state(B), []
            for n in range(5 * N):
                y_BD, state = mixer.step(x_BND[:, n], state)
                steps.append(y_BD)
            close(torch.stack(steps, 1), mixer(x_BND))


def test_maps_are_the_weights_that_forward_uses():
    for name, causal in WAYS:
        with case(name, f"causal={causal}"):
            mixer, x_BND = build(name, causal), torch.randn(B, N, D)
            weights_BHNN = mixer.maps(x_BND, MASK_BN)
            close(weights_BHNN.sum(-1), torch.ones(B, H, N))
            assert not weights_BHNN.masked_select(~MASK_BN[:, None, None, :]).any()
            y_BHNK = weights_BHNN @ mixer.project(x_BND)[2]
            added_BHNK = mixer.inside.values(weights_BHNN)
            y_BHNK = y_BHNK if added_BHNK is None else y_BHNK + added_BHNK
            close(mixer(x_BND, MASK_BN)[MASK_BN], mixer.out(y_BHNK.transpose(1, 2).flatten(2))[MASK_BN])


def test_positions_and_softmax_stay_float32_under_autocast():
    """In bfloat16 a bias or an angle would lose more than the products do."""
    for name, causal in WAYS:
        inside = build(name, causal).inside
        q_BHNK = torch.randn(B, H, 300, K).bfloat16()
        weights_BHNN = torch.rand(B, H, 300, 300)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = [inside.bias(q_BHNK, 300), inside.values(weights_BHNN), inside.rotate(q_BHNK)]
        exact = [inside.bias(q_BHNK.float(), 300), inside.values(weights_BHNN), inside.rotate(q_BHNK.float()).bfloat16()]
        with case(name, f"causal={causal}"):
            for mine, full in zip(rounded, exact, strict=True):
                if full is not None:
                    assert mine.dtype == full.dtype
                    torch.testing.assert_close(mine, full, atol=1e-6, rtol=1e-5)


def test_what_positions_add_to_the_work_by_hand():
    """A product with each row of each table, for every token."""
    bare, x_BND = Attention(D, causal=True, heads=H), torch.randn(B, N, D)
    rows = {"both": 2 * 7, "keys": 7, "values": 7, "no_distance": 2, "far": 2 * 81}
    for name in POSITIONS:
        added = multiply_adds(build(name, True), x_BND) - multiply_adds(bare, x_BND)
        assert added == B * N * D * rows.get(name, 0), name


def test_each_layer_has_relative_tables_of_its_own_and_all_share_the_buckets():
    relative, buckets = Relative(D, length=N), BucketBias(D, length=N)
    assert relative.inside(H, K, causal=True) is not relative.inside(H, K, causal=True)
    assert buckets.inside(H, K, causal=True) is buckets.inside(H, K, causal=True)


def test_tables_start_as_loud_as_encodings_that_are_added():
    tables = Relative(64, length=64, clip=200).inside(4, 64, causal=True)
    for table in (tables.keys_RK, tables.values_RK):
        assert table.square().mean().sqrt().item() == pytest.approx(math.sqrt(1 / 2), rel=0.02)


# --- other libraries and the papers' numbers -------------------------------------------------------------------------


def test_rotary_is_rotary_embedding_torchs():
    from rotary_embedding_torch import RotaryEmbedding

    theirs = RotaryEmbedding(dim=16)
    inside = Rotary(64, length=8).inside(4, 16, causal=True)
    x_BHNK = torch.randn(2, 4, 50, 16, requires_grad=True)
    weight = torch.randn(2, 4, 50, 16)
    for start in (0, 7, 1000):
        actual = inside.rotate(x_BHNK, start)
        expected = theirs.rotate_queries_or_keys(x_BHNK, offset=start)
        close(actual, expected, atol=1e-4)
        (mine,), (other,) = (torch.autograd.grad((y * weight).sum(), x_BHNK) for y in (actual, expected))
        close(mine, other, atol=1e-4)


def test_rotary_needs_pairs_of_columns():
    with pytest.raises(ValueError, match="a head of width 3 has no pairs .* even head_width"):
        Rotary(12, length=8).inside(4, 3, causal=True)


def test_slopes_of_8_heads_are_the_papers():
    assert slopes(8) == [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256]
    assert slopes(4) == [1 / 4, 1 / 16, 1 / 64, 1 / 256]
    assert slopes(1) == [1 / 256]


def test_slopes_of_6_and_12_heads_fill_up_from_the_power_of_two_above():
    assert slopes(6) == [1 / 4, 1 / 16, 1 / 64, 1 / 256, 1 / 2, 1 / 8]
    assert slopes(12) == pytest.approx([2**-i for i in range(1, 9)] + [2 ** -(i + 0.5) for i in range(4)], rel=1e-12)


def test_buckets_are_those_of_the_papers_rule():
    offset = torch.arange(-300, 301)
    for (buckets, farthest), causal in itertools.product([(32, 128), (8, 9), (16, 50), (4, 1000)], (True, False)):
        with case(f"{buckets} buckets", f"up to {farthest}", f"causal={causal}"):
            expected = [t5_bucket(o, buckets, farthest, causal) for o in offset.tolist()]
            assert bucket(offset, buckets, farthest, causal).tolist() == expected
            assert set(expected) == set(range(buckets)) - (set() if causal else {buckets // 2})  # no key after at distance 0


def test_impossible_settings_are_refused():
    for build, message in [
        (lambda: Relative(D, length=N, keys=False, values=False), "use position=none"),
        (lambda: Relative(D, length=N, clip=-1), "clip=-1 must be at least 0"),
        (lambda: BucketBias(D, length=N, buckets=6), "buckets=6 must be a multiple of 4, and at least 4; use 4"),
        (lambda: BucketBias(D, length=N, buckets=0), "use 4"),
        (lambda: BucketBias(D, length=N, max_distance=16), "max_distance=16 must be more than buckets / 2; use 17"),
    ]:
        with case(build, message), pytest.raises(ValueError, match=message):
            build()


def test_offsets_are_key_minus_query():
    assert offsets(2, 4, start=2).tolist() == [[-2, -1, 0, 1], [-3, -2, -1, 0]]
