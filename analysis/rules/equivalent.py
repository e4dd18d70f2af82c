from __future__ import annotations

from typing import ClassVar

from analysis import statistics
from analysis.rules.measured import Compared


class Equivalent(Compared):
    """Sides a and b differ by less than the margin, either way."""

    asks: ClassVar[str] = "±"
    decide = statistics.equivalent
