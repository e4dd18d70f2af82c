"""Attention maps as a dashboard shows them."""

import base64
import io

import numpy
import pytest
import torch
from PIL import Image

from study.kinds.base import Maps, kind_of
from study.training import maps
from study.training.build import build_task
from study.training.module import Training


def test_maps_are_drawn_dark_where_the_weight_is_with_their_tokens():
    weights_HTM = numpy.array([[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]], [[0.0, 1.0, 0.0], [0.25, 0.5, 0.25]]])
    drawn = maps.draw(Maps([weights_HTM], ["a", "b"], ["c", "d", "e"]))
    pixels = numpy.array(Image.open(io.BytesIO(base64.b64decode(maps.encoded(drawn)))), int)
    width = pixels.shape[1] // 2
    cells = 3 * maps.CELL
    for head, weights_TM in enumerate(weights_HTM):
        panel = pixels[:, head * width : (head + 1) * width]
        corner = width - 2 - cells, panel.shape[0] - 3 * maps.CELL  # left and above of the map, below which is one cell of air
        for row, column in numpy.ndindex(2, 3):
            x, y = (corner[axis] + (place + 0.5) * maps.CELL for axis, place in enumerate((column, row)))
            assert panel[int(y), int(x)] == pytest.approx(255 * (1 - weights_TM[row, column]), abs=1)
        assert (panel[: corner[1] - 1] < 128).any() and (panel[corner[1] :, : corner[0] - 1] < 128).any()  # names of both sides


def test_long_sequences_are_cut_and_that_is_said():
    names = [str(n) for n in range(maps.MOST + 1)]
    long = Maps([numpy.zeros((1, len(names), len(names)))], names, names)
    assert maps.draw(long).size == maps.draw(Maps([long.layers_HTM[0][:, :-1, :-1]], names[:-1], names[:-1])).size
    assert maps.caption(long).endswith(f"; the first {maps.MOST} tokens")
    assert "first" not in maps.caption(Maps(long.layers_HTM, names[:-1], names[:-1]))


@torch.no_grad()
@pytest.mark.parametrize(("task", "how"), [("reverse", []), ("numbers", ["architecture=bahdanau", "model.match=nothing"])])
def test_each_token_has_its_name(tiny, task, how):
    config = tiny(*how, task=task)
    own = build_task(config)
    kind = kind_of(config, own)
    seen = kind.maps(Training(kind.build().eval(), own, config))
    for weights_HTM in seen.layers_HTM:
        assert weights_HTM.shape[1:] == (len(seen.rows), len(seen.columns))
        numpy.testing.assert_allclose(weights_HTM.sum(-1), 1, atol=1e-5)  # so nothing of a row was cut off
    assert seen.layers_HTM and "<pad>" not in seen.rows + seen.columns


def test_a_token_that_no_font_here_can_draw_is_called_by_its_place(monkeypatch):
    monkeypatch.setattr(maps.pictures, "_fonts", dict)
    weights = [numpy.zeros((1, 1, 2))]
    odd, numbered = (maps.draw(Maps(weights, ["a"], ["b", name])) for name in ("\N{CJK UNIFIED IDEOGRAPH-4E00}", "#2"))
    assert odd.tobytes() == numbered.tobytes()
