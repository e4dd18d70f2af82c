"""Pictures of attention maps for a dashboard: every head of a layer, with the tokens that attend and are attended to."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy
from PIL import Image, ImageDraw, ImageFont

from study import pictures
from study.kinds.base import Maps

MOST = 48  # tokens shown along each side
CELL = 14  # pixels
ACROSS = 4  # heads beside each other
PAPER, INK, LINE = 255, 0, 200


def draw(maps: Maps) -> Image.Image:
    """Each head of each layer, dark where a weight is large: 0 is white and 1 black. A layer begins on a line of its own."""
    path, drawable = pictures.font_file("".join(maps.rows + maps.columns))
    font = ImageFont.truetype(path, CELL - 3)
    rows, columns = (
        [name if drawable.issuperset(name) else f"#{place}" for place, name in enumerate(names[:MOST], 1)]
        for names in (maps.rows, maps.columns)
    )
    lines = []
    for layer, weights_HTM in enumerate(maps.layers_HTM, 1):
        weights_HTM = numpy.asarray(weights_HTM)[:, :MOST, :MOST]
        panels = [_panel(f"{layer}.{head}", map_TM, rows, columns, font) for head, map_TM in enumerate(weights_HTM, 1)]
        lines += [panels[start : start + ACROSS] for start in range(0, len(panels), ACROSS)]
    width, height = lines[0][0].size
    picture = Image.new("L", (max(map(len, lines)) * width, len(lines) * height), PAPER)
    for down, line in enumerate(lines):
        for across, panel in enumerate(line):
            picture.paste(panel, (across * width, down * height))
    return picture


def caption(maps: Maps) -> str:
    """How to read them."""
    cut = max(len(maps.rows), len(maps.columns)) > MOST
    return "layer.head; rows attend to columns; white is weight 0, black 1" + f"; the first {MOST} tokens" * cut


def encoded(picture: Image.Image) -> str:
    """As PNG, in base64."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _panel(title: str, weights_TM: Any, rows: list[str], columns: list[str], font: Any) -> Image.Image:
    T, M = weights_TM.shape
    left, above = (2 * CELL + round(max(map(font.getlength, names), default=0)) for names in (rows, columns))
    panel = Image.new("L", (left + M * CELL + 2, above + T * CELL + CELL), PAPER)
    pen = ImageDraw.Draw(panel)
    pen.text((2, 1), title, INK, font)
    for place, name in enumerate(rows):
        pen.text((left - 4, above + (place + 0.5) * CELL), name, INK, font, anchor="rm")
    for place, name in enumerate(columns):
        panel.paste(_upright(name, font), (left + place * CELL, above - 4 - round(font.getlength(name))))
    pixels = PAPER - numpy.uint8(numpy.rint(PAPER * weights_TM.clip(0, 1)))
    panel.paste(Image.fromarray(pixels).resize((M * CELL, T * CELL), Image.Resampling.NEAREST), (left, above))
    pen.rectangle((left - 1, above - 1, left + M * CELL, above + T * CELL), outline=LINE)
    return panel


def _upright(text: str, font: Any) -> Image.Image:
    """Text that is read from below."""
    image = Image.new("L", (max(1, round(font.getlength(text))), CELL), PAPER)
    ImageDraw.Draw(image).text((0, CELL / 2), text, INK, font, anchor="lm")
    return image.rotate(90, expand=True)
