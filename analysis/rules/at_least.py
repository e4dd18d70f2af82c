from __future__ import annotations

from typing import ClassVar

from analysis.rules.measured import Compared
from analysis.statistics import REACHED, Reading


class AtLeast(Compared):
    """Side a alone is better than a number b, such as 0.99; of a metric of which less is better, it lies below."""

    reading: ClassVar[Reading] = REACHED

    margin: float | None = 0.0
