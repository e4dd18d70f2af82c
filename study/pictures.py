"""Pictures whose labels may be in any script, with matplotlib.

A label is drawn with fonts of this machine that have its characters. Where none has one, or it has to be shaped, only an SVG
with its text kept as text can show it: whoever opens it brings the fonts and the shaping.
"""

from __future__ import annotations

import io
import re
import unicodedata
import warnings
from functools import cache
from pathlib import Path
from typing import Any

from study import files

FAMILY = "DejaVu Sans"  # comes with matplotlib
NOT_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")  # has no glyph, or no place in XML


def label(token: str) -> str:
    """A token as it may stand in a picture: with U+FFFD for each control character."""
    return NOT_TEXT.sub("\N{REPLACEMENT CHARACTER}", token)


def fit_fonts(figure: Any) -> bool:
    """Give each text of a figure fonts that have its characters. Whether they show all of it, so that it may become a PNG."""
    from matplotlib.text import Text

    complete = True
    for text in figure.findobj(Text):
        families, left = _families(frozenset(text.get_text()) - _own())
        drawable = not left and not any(map(_shaped, text.get_text()))
        if families or not drawable:
            text.set_family([FAMILY, *families, "sans-serif"])
        complete &= drawable
    return complete


def font_file(text: str) -> tuple[str, frozenset[str]]:
    """A font file, with its characters, for a picture that takes one font for all of its text: that with most of them."""
    from matplotlib.font_manager import findfont

    families, _ = _families(frozenset(text) - _own())
    path = _fonts()[families[0]] if families else findfont(FAMILY)
    return path, _characters(path)


def svg(figure: Any) -> str:
    """A figure as SVG, its text kept as text, without a date, so that the same figure is the same SVG."""
    import matplotlib

    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "attention-study", "font.sans-serif": [FAMILY]}):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from")  # in measuring only: what shows it has its own fonts
            figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def write(figure: Any, path: Path, dpi: int) -> None:
    """Write a figure to ``path``, a PNG, or where that can't show all of its text to the same with .svg."""
    drawn, other = path, path.with_suffix(".svg")
    as_png = fit_fonts(figure)
    if not as_png:
        drawn, other = other, drawn
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(drawn) as temporary:
        if as_png:
            figure.savefig(temporary, format="png", dpi=dpi)
        else:
            temporary.write_text(svg(figure), encoding="utf-8")
    other.unlink(missing_ok=True)  # of an earlier figure of this name


def _shaped(character: str) -> bool:
    """Whether it is written from right to left, joins others or stands on them, for which older matplotlibs lack the means."""
    return unicodedata.bidirectional(character) in ("R", "AL") or unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf")


@cache
def _families(characters: frozenset[str]) -> tuple[list[str], frozenset[str]]:
    """Font families that have the characters, and those that none has."""
    families, left = [], characters
    for family, path in _fonts().items() if characters else ():
        if has := left & _characters(path):
            families.append(family)
            left -= has
    return families, left


@cache
def _own() -> frozenset[str]:
    from matplotlib.font_manager import findfont

    return _characters(findfont(FAMILY)) | {"\n"}


@cache
def _fonts() -> dict[str, str]:
    """A file of each font family, those without serifs first; without colour fonts, of which nothing would be drawn."""
    from matplotlib.font_manager import fontManager

    fonts = [font for font in fontManager.ttflist if not re.search("Emoji|Last ?Resort", font.name)]
    fonts.sort(key=lambda font: ("Sans" not in font.name, "Mono" in font.name, font.fname))
    return {font.name: font.fname for font in fonts}


@cache
def _characters(path: str) -> frozenset[str]:
    """What a font has glyphs for; nothing where it can't be opened, as matplotlib's list may outlive a font."""
    from matplotlib.font_manager import get_font

    try:
        return frozenset(map(chr, get_font(path).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()
