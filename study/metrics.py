"""Every quantity that is reported or compared: what it is called, which way is better, and which difference counts.

``margin`` is the smallest difference that counts as one. A new score of a task or of a run has its one entry here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    name: str
    label: str
    margin: float
    better: Literal["higher", "lower"] = "higher"
    percent: bool = False  # shown in points of 100
    unit: str = ""  # said after an effect
    relative: bool = False  # compared as a ratio; the margin is a share
    counted: bool = False  # the same for every seed by construction, so that no chance is in it
    least: float = 0.0  # no score lies below
    most: float = math.inf  # none above; of a share 1

    @property
    def sign(self) -> int:
        """Times a score, more is better."""
        return 1 if self.better == "higher" else -1

    @property
    def bounds(self) -> tuple[float, float]:
        """The ends of its scale."""
        return self.least, 1.0 if self.percent else self.most

    @property
    def best(self) -> float | None:
        """The best value there is, of a share; others have none within reach."""
        return None if not self.percent else float(self.better == "higher")


_ALL = (
    Metric("accuracy", "accuracy", 0.02, percent=True),
    Metric("bits_per_character", "bits per character", 0.01, "lower", unit="bits"),
    Metric("perplexity", "perplexity", 0.02, "lower", relative=True),
    Metric("bleu", "BLEU", 0.5, most=100.0),
    Metric("chrf", "chrF", 0.5, most=100.0),
    Metric("exact", "exact match", 0.01, percent=True),
    Metric("token_accuracy", "accuracy of the tokens written", 0.02, percent=True),
    Metric("word_error_rate", "word error rate", 0.01, "lower", percent=True),
    Metric("phoneme_error_rate", "phoneme error rate", 0.01, "lower", percent=True),
    Metric("alignment", "share of tokens written while attending to their source", 0.02, percent=True),
    Metric("throughput", "throughput", 0.1, relative=True),
    Metric("loss", "loss in nats", 0.01, "lower", unit="nats"),
    Metric("solved", "share of seeds that solve", 0.0, percent=True),
    Metric("steps_to_90", "steps to 90 %", 0.1, "lower", relative=True),
    Metric("steps_to_solve", "steps to solve", 0.1, "lower", relative=True),
    Metric("gold", "share of gold edges found", 0.02, percent=True),
    Metric("gold_offset", "share of gold edges at one distance", 0.02, percent=True),
    Metric("cut_gold", "accuracy lost with the gold edge", 0.02, percent=True, least=-1.0),
    Metric("cut_random", "accuracy lost with another edge", 0.02, percent=True, least=-1.0),
    Metric("needed", "share of heads needed", 0.02, percent=True),
    Metric("apart", "share of their attention that two heads put on different tokens", 0.02, percent=True),
    Metric("overlap", "overlap of what two heads write", 0.02, "lower"),
    Metric("built_apart", "the same of heads made by hand to differ", 0.02, percent=True, counted=True),
    Metric("built_overlap", "the same of heads made by hand to differ", 0.02, "lower", counted=True),
    Metric("copies_apart", "the same of copies of one head, made by hand", 0.02, percent=True, counted=True),
    Metric("copies_overlap", "the same of copies of one head, made by hand", 0.02, "lower", counted=True),
    Metric("multiply_adds_per_token", "multiply-adds per token", 0.1, "lower", relative=True, counted=True),
    Metric("parameters", "parameters", 0.1, "lower", relative=True, counted=True),
    Metric("peak_memory_bytes", "peak memory", 0.1, "lower", relative=True),
    Metric("multiply_adds_per_answer", "multiply-adds per answer", 0.1, "lower", relative=True, counted=True),
    Metric("multiply_adds", "multiply-adds", 0.1, "lower", relative=True, counted=True),
    Metric("bytes", "bytes kept for backward", 0.1, "lower", relative=True, counted=True),
    Metric("counted_multiply_adds", "counted multiply-adds", 0.1, "lower", relative=True, counted=True),
    Metric("critical_path", "operations on the critical path", 0.1, "lower", relative=True, counted=True),
    Metric("hops", "hops from end to end", 0.1, "lower", relative=True, counted=True),
    Metric("seconds", "seconds", 0.1, "lower", relative=True),
    Metric("steps", "steps", 0.1, "lower", relative=True),
    Metric("samples", "samples", 0.1, "lower", relative=True),
    Metric("gradient_ratio", "gradient, first block / last", 0.1, relative=True),
    Metric("gradient", "norm of the gradient that comes back", 0.1, relative=True),
    Metric("effective_rank", "effective rank of the output", 0.1, relative=True),
)


def surely(solved_at: float) -> float:
    """The accuracy at which training may stop: halfway to all right, so that a fresh sample agrees that it is solved."""
    return (1 + solved_at) / 2


METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ALL}
