from __future__ import annotations

from analysis.rules.measured import Compared


class Better(Compared):
    """Side a is better than side b by more than the margin. A margin below 0 asks whether a is not worse by that much."""
