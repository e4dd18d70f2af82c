"""What every rule has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from analysis.results import Results
from analysis.statistics import ALPHA, BETTER, Reading, Test
from study.metrics import Metric
from study.records import Record


class NotRun(Exception):
    """No records to compute a contrast from; the message says why."""


@dataclass(frozen=True)
class Unit:
    """What an effect is written in: times ``factor``, with so many ``digits``, and words after it."""

    factor: float
    digits: int
    words: str = ""


@dataclass
class Evidence:
    """What a contrast rests on: a test on runs, or what has a ``verdict`` without one.

    ``shown`` makes what is shown of an effect on the test's scale: a share of a logarithm. ``planned`` counts pairs;
    ``alpha`` is what this analysis of the seeds may spend.
    """

    test: Test = Test()
    verdict: str = ""
    scope: str = ""
    notes: list[str] = field(default_factory=list)
    task: str = ""
    metric: str = ""
    margin: float | None = None
    planned: int = 0
    alpha: float = ALPHA
    reading: Reading = field(default_factory=lambda: BETTER)
    shown: Callable[[float], float] = float
    levels: tuple[float | None, float | None] = (None, None)  # mean scores of the two sides
    runs: Mapping[str, str] = field(default_factory=dict)  # column of a row -> how the runs of the two sides went
    records: list[Record] = field(default_factory=list)


class Rule(BaseModel, ABC):
    """One contrast of a claim, with the rule that decides it.

    The fields of a rule's class, beside those here, are its keys in a claim's file, typed; others are refused. A rule says
    how its effect is written by its class attributes, which hold for all of its contrasts.
    """

    model_config = ConfigDict(frozen=True)

    own_unit: ClassVar[Unit | None] = None  # of its effects, where that is not the metric's
    gains: ClassVar[str] = ""  # what its two sides are where these are no scores, such as slopes; told in its unit
    sameness: ClassVar[bool] = False  # whether the interval has to lie within the margin, rather than beyond it

    name: str
    statement: str  # what is so if it is supported
    part: str = ""  # of the claim, which this contrast decides; without one it is shown beside the verdict
    repeats: str = ""  # the contrast of the same claim that this one repeats at another size

    @abstractmethod
    def evaluate(self, studies: Mapping[str, Results], tier: str) -> Evidence:
        """What it rests on in one tier. Raises ``NotRun`` where there is nothing to go by."""

    @property
    def about(self) -> str:
        """The experiment whose runs decide it, if any."""
        return ""

    @classmethod
    def rule(cls) -> str:
        """As a claim's file names it."""
        return cls.__module__.rpartition(".")[2]

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """Its own keys in a claim's file."""
        return tuple(key for key in cls.model_fields if key not in Rule.model_fields)

    @classmethod
    def unit(cls, metric: Metric | None) -> Unit:
        """Points of 100 for shares, % for ratios, else the metric's own unit."""
        if cls.own_unit is not None:
            return cls.own_unit
        if metric is not None and (metric.relative or metric.percent):
            return Unit(100.0, 1, " %" if metric.relative else " points")
        return Unit(1.0, 3, f" {metric.unit}" if metric is not None and metric.unit else "")
