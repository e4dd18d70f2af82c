"""What a model attended to: maps of heads, alignments of translations, glimpses of images; a panel for each arm."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from analysis.figures.style import COLOURS, SHARES, Panel, name_rows, named_rows
from analysis.figures.view import View, dots
from study import pictures
from study.metrics import METRICS

LONGEST_NAME = 9  # letters of a token beside an alignment
FOUND_AND_LOST = {
    "gold": "gold edges found by one head",
    "gold_offset": "gold edges at one distance",
    "cut_gold": "accuracy lost: gold edge cut",
    "cut_random": "accuracy lost: another edge cut",
}
DIFFERENCES = {
    "apart": "attention of two heads on different tokens",
    "built_apart": "… of heads made by hand to differ",
    "copies_apart": "… of heads made copies of one",
    "overlap": "overlap of what two heads write",
    "built_overlap": "… of heads made by hand to differ",
    "copies_overlap": "… of heads made copies of one",
    "needed": "heads needed",
}
HOLLOW = ("gold_offset", "built_apart", "copies_apart", "built_overlap", "copies_overlap")  # references, which no model learned


def structure(view: View) -> list[Panel]:
    """How many gold edges a head finds, and what cutting them costs: means with 95 % intervals.

    Of runs with ``evaluation.structure=true``.
    """
    return _shares(view, "structure", FOUND_AND_LOST, "what one head finds")


def differences(view: View) -> list[Panel]:
    """How heads differ, beside heads made by hand (hollow), and how many are needed: means with 95 % intervals.

    Of runs with ``evaluation.heads=true``.
    """
    return _shares(view, "heads", DIFFERENCES, "how heads differ")


def maps(view: View) -> list[Panel]:
    """The chosen head's attention map of one sequence, its gold edges framed; of the first seed that has a map."""
    return [Panel(partial(_map, view=view, arm=arm), view.label(arm)) for arm in view.arms if _have(view, arm, "structure")]


def alignments(view: View) -> list[Panel]:
    """The attention weights of the answer to the test's first source; arms without weights are left out."""
    samples = {arm: _sample(view, arm) for arm in view.arms}
    drawn = {arm: partial(_alignment, view=view, sample=sample) for arm, sample in samples.items() if sample}
    return [Panel(draw, view.label(arm)) for arm, draw in drawn.items()]


def glimpses(view: View) -> list[Panel]:
    """Where each arm looked in the test's first images, from the first place (hollow) to the last."""
    seen = {arm: _seen(view, arm) for arm in view.arms}
    return [Panel(partial(_glimpses, view=view, samples=samples), view.label(arm)) for arm, samples in seen.items() if samples]


def _shares(view: View, field: str, words: Mapping[str, str], what: str) -> list[Panel]:
    rows = [(name, arm) for name in words for arm in (view.arms[:1] if name in HOLLOW else view.arms)]
    draw = partial(_draw_shares, view=view, field=field, words=words, rows=rows)
    return [Panel(draw, what, named_rows(len(rows)))] if any(_have(view, arm, field) for arm in view.arms) else []


def _have(view: View, arm: str, field: str) -> bool:
    return any(record.get(field) for record in view.records(arm))


def _draw_shares(ax: Any, view: View, field: str, words: Mapping[str, str], rows: list[tuple[str, str]]) -> None:
    """Dots with intervals, from top to bottom; hollow, and of one arm alone, what is no model's doing."""
    for y, (name, arm) in enumerate(reversed(rows)):
        mark = {"mfc": "white"} if name in HOLLOW else {"label": view.label(arm)}
        dots(ax, y, view.scores(arm, f"{field}.{name}"), METRICS[name].bounds, view.arm_style(arm), **mark)
        if arm == view.arms[0]:
            ax.axhline(y + 0.78, color="#dddddd", lw=0.5)
    name_rows(ax, [words[name] if arm == view.arms[0] else "" for name, arm in rows])
    ax.set_xlim(-0.05, 1.05)
    ax.set_xticks(SHARES)
    ax.set_xlabel("share (hollow: not a trained model's)")
    ax.set_title(view.declared.label)


def _map(ax: Any, view: View, arm: str) -> None:
    """Queries downwards, keys to the right; the darker, the more weight."""
    examples = [record["structure"]["example"] for record in view.records(arm) if record.get("structure")]
    example = next((one for one in examples if one), None)
    ax.set_title(view.declared.label)
    ax.set_xlabel("key (framed: gold)")
    ax.set_ylabel("query")
    ax.grid(visible=False)
    if example is None:
        ax.text(0.5, 0.5, "sequences too long for a picture", ha="center", fontsize=7, transform=ax.transAxes)
        return
    _weights(ax, np.array(example["map"]) / 100)
    ax.set_anchor("W")  # under its title, which a square in the middle would push out
    for query, key in example["edges"]:
        ax.plot([key], [query], "s", mfc="none", mec=COLOURS[1], mew=0.9, ms=5)


def _weights(ax: Any, weights: Any, aspect: str = "equal") -> None:
    """Attention weights from 0 to 1 with their bar of greys."""
    image = ax.imshow(weights, cmap="Greys", vmin=0, vmax=1, interpolation="nearest", aspect=aspect)
    bar = ax.figure.colorbar(image, cax=ax.inset_axes((1.03, 0, 0.03, 1)), ticks=[0, 0.5, 1])
    bar.ax.set_title("weight", fontsize=6.5, fontweight="normal")
    bar.ax.tick_params(labelsize=6.5)


def _sample(view: View, arm: str) -> Mapping[str, Any] | None:
    """An answer that the arm wrote, with its weights: of the first seed that has one."""
    written = (record.get("written", {}).get("test", {}) for record in view.records(arm))
    samples = (sample for one in written for sample in one.get("samples", [])[:1])
    return next((sample for sample in samples if sample["weights"] and sample["output"]), None)


def _alignment(ax: Any, view: View, sample: Mapping[str, Any]) -> None:
    """What was written downwards, the source to the right; the darker, the more weight."""
    ax.set_title(view.declared.label)
    ax.grid(visible=False)
    _weights(ax, sample["weights"], aspect="auto")
    source, output = ([pictures.label(name[:LONGEST_NAME]) for name in sample[side]] for side in ("source", "output"))
    ax.set_xticks(range(len(source)), source, rotation=90, fontsize=5.5, parse_math=False)
    ax.set_yticks(range(len(output)), output, fontsize=5.5, parse_math=False)


def _seen(view: View, arm: str) -> list[Mapping[str, Any]]:
    """Images and paths of the first seed that has them."""
    written = (record.get("written", {}).get("test", {}) for record in view.records(arm))
    return next((one["glimpses"] for one in written if one.get("glimpses")), [])


def _glimpses(ax: Any, view: View, samples: list[Mapping[str, Any]]) -> None:
    """Images side by side, on each the path of its glimpses."""
    size = len(samples[0]["image"])
    ax.set_title(view.declared.label)
    ax.grid(visible=False)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.imshow(np.hstack([sample["image"] for sample in samples]), cmap="Greys", vmin=0, vmax=160, interpolation="nearest")
    for number, sample in enumerate(samples):
        rows, columns = np.array(sample["path"]).clip(0, size).T
        columns = columns + number * size
        ax.plot(columns - 0.5, rows - 0.5, "-o", color=COLOURS[1], lw=1, ms=3)
        ax.plot(columns[:1] - 0.5, rows[:1] - 0.5, "o", color=COLOURS[1], mfc="white", ms=5)
