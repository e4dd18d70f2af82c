from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

from analysis.load import ROOT
from analysis.results import Results
from analysis.rows import BY_CONSTRUCTION
from analysis.rules.base import Evidence, NotRun, Rule
from analysis.statistics import CONTRADICTED


class ByConstruction(Rule):
    """A test decides it, no training: the pytest ``node``. ``holds: false`` where the test decides against the statement."""

    node: str
    holds: bool = True

    def evaluate(self, studies: Mapping[str, Results], tier: str) -> Evidence:
        if not node_exists(self.node, ROOT):
            raise NotRun(f"the test {self.node} does not exist")
        verdict = BY_CONSTRUCTION if self.holds else CONTRADICTED
        return Evidence(verdict=verdict, scope=self.node, notes=["decided by a test, no training"])


def node_exists(node: str, root: Path) -> bool:
    """Whether the test is there."""
    path, *names = node.split("[")[0].split("::")
    if not names or not (root / path).is_file():
        return False
    body: list[ast.stmt] = ast.parse((root / path).read_text(encoding="utf-8")).body
    for name in names:
        matching = [item for item in body if isinstance(item, ast.FunctionDef | ast.ClassDef) and item.name == name]
        if not matching:
            return False
        body = matching[0].body
    return True
