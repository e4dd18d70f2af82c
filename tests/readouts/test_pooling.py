"""Max pooling, gated sum and mean against plain loops."""

import pytest
import torch

from study.readouts.gate import Gate
from study.readouts.max import Max
from study.readouts.mean import Mean
from study.readouts.soft import Soft

MASK = torch.tensor([[True] * 5, [True, False, True, True, False]])
WHERE = torch.tensor([[4, 1], [3, 0]])


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("kind", [Max, Mean, Gate])
def test_values(kind, causal):
    torch.manual_seed(0)
    readout = kind(3, causal=causal).double().requires_grad_(False)
    x_BND = torch.randn(2, 5, 3, dtype=torch.double)
    found_BTD = readout.read(x_BND, WHERE, MASK).detach()
    for b in range(2):
        for t in range(2):
            rows = [x_BND[b, i] for i in range(5) if MASK[b, i] and (i <= WHERE[b, t] or not causal)]
            for d in range(3):
                values = [float(row[d]) for row in rows]
                if kind is Max:
                    expected = max(values)
                elif kind is Mean:
                    expected = sum(values) / len(values)
                else:
                    gates = [torch.sigmoid(readout.gate(torch.nn.functional.layer_norm(row, (3,)))) for row in rows]
                    expected = sum(float(gate[d]) * value for gate, value in zip(gates, values, strict=True))
                assert float(found_BTD[b, t, d]) == pytest.approx(expected, abs=1e-12)


def test_pooling_does_not_know_who_asks_and_query_attention_does():
    x_BND = torch.randn(1, 6, 4)
    for kind in (Max, Mean, Gate, Soft):
        answers_TD = kind(4, causal=False).read(x_BND, None, None)[0]
        differ = (answers_TD - answers_TD[:1]).abs().amax(-1)[1:]
        assert (differ.gt(1e-3) if kind is Soft else differ.lt(1e-6)).all(), kind
