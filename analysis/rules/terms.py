"""The sides of a contrast: whose score, or which number, and over which slice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from analysis.values import CONDITION


def refuse_unknown(node: Any, keys: Iterable[str]) -> None:
    if not isinstance(node, Mapping):
        raise ValueError(f"{node!r} has no keys; known are {', '.join(keys)}")
    if unknown := [key for key in node if key not in keys]:
        raise ValueError(f"unknown {', '.join(map(repr, unknown))}; known are {', '.join(keys)}")


def _conditions(node: Any) -> list[str]:
    conditions = [node] if isinstance(node, str) else list(node)
    for condition in conditions:
        if not CONDITION.fullmatch(str(condition)):
            raise ValueError(f'slice condition {condition!r}; say it as "<= 8" or "> reach"')
    return conditions


# What values of an axis must meet: "<= 8"; [">= 2", "<= 8"] for both at once; "> 1.5x trained" in multiples of the longest
# length trained on; "> reach" beyond the positions that the whole model sees back.
Conditions = Annotated[list[str], BeforeValidator(_conditions)]
Slice = dict[str, Conditions]  # by axis, such as {distance: "<= 8"}


class Term(BaseModel):
    """One side of a contrast: an arm's scores, or a number or the task's chance level to hold them against.

    A name alone is an arm, a number alone a value, and ``chance`` is what guessing scores. ``best_of`` is the arm with the best
    mean validation score on the tuning seeds. Where task, metric or slice are not said, they are the contrast's.
    """

    model_config = ConfigDict(frozen=True)

    arm: str | None = None
    best_of: tuple[str, ...] = ()
    task: str | None = None
    metric: str | None = None
    slice: Slice | None = None
    value: float | None = None
    chance: bool = False


def _term(node: Any) -> Any:
    if isinstance(node, Term):
        return node
    if isinstance(node, str):
        return {"chance": True} if node == "chance" else {"arm": node}
    if isinstance(node, int | float):
        return {"value": node}
    refuse_unknown(node, ("arm", "best_of", "task", "metric", "slice"))
    return node


def _one_or_several(node: Any) -> Any:
    return (node,) if isinstance(node, str) else node


Side = Annotated[Term, BeforeValidator(_term)]
Names = Annotated[tuple[str, ...], BeforeValidator(_one_or_several)]
