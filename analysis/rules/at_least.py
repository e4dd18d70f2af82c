from __future__ import annotations

from analysis import statistics
from analysis.rules.measured import Compared


class AtLeast(Compared):
    """Side a alone is better than a number b, such as 0.99; of a metric of which less is better, it lies below."""

    decide = statistics.better

    margin: float | None = 0.0
