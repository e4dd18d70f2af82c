"""Labels in any script: readable in a PNG with a font that has them, else text in an SVG; never a box, never a warning."""

import copy
import warnings
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from matplotlib.figure import Figure
from PIL import Image

from analysis.figures import style
from study import pictures
from study.translate.translator import draw

GOTHIC = "𐌲𐌿𐍄𐌰𐍂"  # stands for any script that has a font on one machine and none on another
SHAPED = {"Arabic": "القطط", "Hebrew": "חתולים", "Hindi": "बिल्लियाँ", "an accent apart": "e\u0301", "joined emoji": "👩\u200d👧"}


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """A machine with matplotlib's own fonts alone, on which each warning is an error."""
    own = [font for font in font_manager.fontManager.ttflist if "mpl-data" in font.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    forget = (pictures._families, pictures._own, pictures._fonts, pictures._characters)
    for cached in forget:
        cached.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    for cached in forget:
        cached.cache_clear()


@pytest.fixture
def with_font(tmp_path, bare):
    """The same with a font for ``GOTHIC``, each of whose letters is a black square."""
    pen = TTGlyphPen(None)
    for command, point in (("moveTo", (0, 0)), ("lineTo", (0, 1000)), ("lineTo", (1000, 1000)), ("lineTo", (1000, 0))):
        getattr(pen, command)(point)
    pen.closePath()
    glyph, names = pen.glyph(), [".notdef", *(f"letter{i}" for i in range(len(GOTHIC)))]
    font = FontBuilder(1000)
    font.setupGlyphOrder(names)
    font.setupCharacterMap(dict(zip(map(ord, GOTHIC), names[1:], strict=True)))
    font.setupGlyf({name: copy.deepcopy(glyph) for name in names})
    font.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    font.setupHorizontalHeader(ascent=1000, descent=0)
    font.setupNameTable({"familyName": "Gothic Squares Sans", "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    font.save(tmp_path / "squares.ttf")
    font_manager.fontManager.addfont(tmp_path / "squares.ttf")


def texts(path):
    found = ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")
    return {node.text: node.attrib["style"] for node in found}


def drawn(source, target, folder):
    """The one file that an alignment was drawn to."""
    draw(np.zeros((len(target), len(source))), source, target, folder / "0001.png")
    [path] = folder.glob("0001.*")
    return path


def test_what_no_font_has_is_text_in_an_svg(tmp_path):
    path = drawn(["我", GOTHIC, "🎉"], ["я", "<&>"], tmp_path)
    assert path.suffix == ".svg"
    found = texts(path)
    assert {"我", GOTHIC, "🎉", "я", "<&>"} <= found.keys()
    assert found["我"].endswith("font-family: 'DejaVu Sans', sans-serif; text-anchor: end")


def test_what_a_font_has_is_drawn_with_it(tmp_path, with_font):
    inked = []
    for token in (GOTHIC, "b" * len(GOTHIC)):
        path = drawn([token], ["a"], tmp_path)
        assert path.suffix == ".png"
        inked.append((np.asarray(Image.open(path).convert("L")) < 128).sum())
    square = (10 / 72 * 120) ** 2  # 10 points at 120 dots an inch
    assert inked[0] - inked[1] > 0.5 * len(GOTHIC) * square  # a box in its place is hollow


@pytest.mark.parametrize("token", SHAPED.values(), ids=SHAPED.keys())
def test_what_has_to_be_shaped_is_left_to_who_opens_it(token, tmp_path):
    path = drawn([token, "b"], ["a"], tmp_path)
    assert path.suffix == ".svg" and token in texts(path)


def test_a_picture_takes_the_place_of_an_earlier_one(tmp_path):
    assert [drawn([token], ["a"], tmp_path).suffix for token in ("b", "我", "b")] == [".png", ".svg", ".png"]


def test_tokens_are_no_formulas_and_control_characters_no_xml(tmp_path):
    path = drawn(["$x_2$", "a\x01\n", "我"], ["\t"], tmp_path)
    assert {"$x_2$", "a\ufffd\ufffd", "\ufffd"} <= texts(path).keys()


def test_figures_keep_text_that_no_font_has_in_their_svg(tmp_path):
    for title, suffixes in (("plain", {".png", ".svg"}), ("我", {".svg"})):
        figure = Figure()
        figure.add_subplot().set_title(title)
        style.save(figure, tmp_path / "one")
        assert {path.suffix for path in tmp_path.iterdir()} == suffixes
        assert title in texts(tmp_path / "one.svg")
