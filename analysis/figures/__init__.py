"""Figures of an experiment as PNG and SVG, drawn from records as its declaration asks; matplotlib is imported here only.

``figure`` of a declaration names how each task is drawn: ``kind`` is one or a list of the public functions of
``analysis.figures.kinds`` (default: ``arms``). What such a function takes by keyword is written beside the kind:

    figure: {kind: [slices, alignments], slice: length}

Further keys: ``task`` (one, or a list: others are drawn as ``arms``), ``arms`` (draw these only), ``metric`` (default: the
task's). A task that no kind named can draw (it has no such slice) is drawn as arms, so an experiment needs no figure code.
Measurements of cost have panels of their own, with the keys of ``costs.costs``.

A new kind is one function in a module of ``kinds``: from the ``View`` of a task it makes the ``Panel``s to draw. The first line
of its docstring is the caption.
The same input gives the same bytes.
"""

from __future__ import annotations

import importlib
import inspect
import multiprocessing
import pkgutil
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from analysis import drawn
from analysis.figures import kinds
from analysis.figures.costs import costs
from analysis.figures.forest import forest
from analysis.figures.style import Panel, assemble, in_rows, save
from analysis.figures.training import training
from analysis.figures.view import View
from analysis.results import Results
from analysis.verdicts import Verdicts
from study.experiments import Experiment

COMMON = ("kind", "task", "arms", "metric")

Kind = Callable[..., list[Panel]]


@cache
def known() -> Mapping[str, Kind]:
    """The kinds of figure by name."""
    by_name: dict[str, Kind] = {}
    for module in pkgutil.iter_modules(kinds.__path__, f"{kinds.__name__}."):
        functions = inspect.getmembers(importlib.import_module(module.name), inspect.isfunction)
        by_name |= {name: kind for name, kind in functions if kind.__module__ == module.name and not name.startswith("_")}
    return by_name


def main(results: Results) -> Any | None:
    """The figure made for the experiment's question; None where nothing has been run."""
    check(results.experiment)
    _check_slices(results)
    groups = [[panel for _, panel in group] for group in _groups(results)]
    return assemble(results.experiment, in_rows(groups)) if groups else None


def caption(results: Results) -> str:
    """What ``main`` shows: the first lines of the docstrings of all that draws in it."""
    drawing = [draws for group in _groups(results) for draws, _ in group]
    return " ".join(dict.fromkeys((inspect.getdoc(draws) or "").partition("\n")[0] for draws in drawing))


def _groups(results: Results) -> list[list[tuple[Kind, Panel]]]:
    """The panels of each task, and each of costs, with what made them."""
    node = results.experiment.figure
    only = tuple(node.get("arms", ()))
    groups: list[list[tuple[Kind, Panel]]] = []
    for task in results.trained_tasks:
        view = View(results, task, node.get("metric", ""), only)
        if any(view.records(arm) for arm in view.declared.arms):
            asked = _listed(node, "kind", "arms") if task in _listed(node, "task", task) else []
            made = [known()[name] for name in asked]
            found = [(kind, panel) for kind in made for panel in kind(view, **_keys(kind, node))]
            found = found or [(known()["arms"], panel) for panel in known()["arms"](view)]
            groups.append(found if len(found) > 1 else [(kind, replace(panel, what="")) for kind, panel in found])
    return groups + [[(costs, panel)] for panel in costs(results, **_keys(costs, node))]


def _check_slices(results: Results) -> None:
    """Once all has run, refuse a slice that no run has. Raises ``ValueError`` naming those that runs have."""
    if results.missing:
        return
    had = {axis for record in results.records for slices in record["slices"].values() for axis in slices}
    if unknown := [name for name in _listed(results.experiment.figure, "slice", ()) if name not in had]:
        where = f"{results.experiment.source}: figure.slice {unknown[0]!r}"
        raise ValueError(f"{where}; the runs of {results.experiment.name} have {', '.join(sorted(had))}")


def check(experiment: Experiment) -> None:
    """Refuse a ``figure`` that nothing can be drawn from. Raises ``ValueError`` naming the keys allowed."""
    node, where = experiment.figure, f"{experiment.source}: figure"
    allowed = [*COMMON, *_parameters(costs)]
    for kind in _listed(node, "kind", "arms"):
        if kind not in known():
            raise ValueError(f"{where}.kind {kind!r}; known are {', '.join(known())}")
        needed = [key for key, default in _parameters(known()[kind]).items() if default is inspect.Parameter.empty]
        if missing := [key for key in needed if key not in node]:
            raise ValueError(f"{where}.kind {kind} needs {' and '.join(f'figure.{key}' for key in missing)}")
        allowed += _parameters(known()[kind])
    if unknown := [key for key in node if key not in allowed]:
        raise ValueError(f"{where}: unknown {', '.join(map(repr, unknown))}; known are {', '.join(dict.fromkeys(allowed))}")
    for key, names in (("task", experiment.tasks), ("arms", experiment.arms)):
        if unknown := [name for name in _listed(node, key, ()) if name not in names]:
            raise ValueError(f"{where}.{key} {unknown[0]!r}; {experiment.name} has {', '.join(names)}")


def write(folder: Path, results: Results) -> list[Path]:
    """``<experiment>`` and ``<experiment>_training``; returns the SVG files written."""
    written = []
    for suffix, draw in (("", main), ("_training", training)):
        if (figure := draw(results)) is not None:
            path = folder / f"{results.experiment.name}{suffix}"
            save(figure, path)
            written.append(path.with_suffix(".svg"))
    if written:
        drawn.note(folder, results)
    return written


def write_all(
    folder: Path, all_results: Sequence[Results], verdicts: Verdicts | None = None, said: Mapping[str, str] | None = None
) -> None:
    """``write`` for each experiment, and ``verdicts`` as a forest where they are given, under what the claims say.

    In two processes where the system can fork: drawing is most of the analysis' time. Raises ``OSError`` if one is killed.
    """
    jobs: list[Callable[[], object]] = [partial(write, folder, results) for results in all_results]
    if verdicts is not None:
        jobs.insert(0, partial(_write_forest, folder, verdicts, said or {}))  # the longest first
    if len(jobs) < 3 or "fork" not in multiprocessing.get_all_start_methods():
        for job in jobs:
            job()
        return
    import matplotlib.backends.backend_agg
    import matplotlib.backends.backend_svg
    import matplotlib.figure  # noqa: F401 (loaded once, before the fork)

    try:
        with ProcessPoolExecutor(2, multiprocessing.get_context("fork"), _inherit, (jobs,)) as pool:
            list(pool.map(_do, range(len(jobs))))
    except BrokenProcessPool:
        raise OSError("a process that drew figures was killed: is there memory enough? Run it again for the rest") from None


_inherited: list[Callable[[], object]] = []


def _inherit(jobs: list[Callable[[], object]]) -> None:
    """Takes over the jobs with all their records in a forked process, where nothing has to be pickled."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # by which the pool ends it; a handler would be inherited, too
    _inherited[:] = jobs


def _do(index: int) -> None:
    _inherited[index]()


def _write_forest(folder: Path, verdicts: Verdicts, said: Mapping[str, str]) -> None:
    if (figure := forest(verdicts, said)) is not None:
        save(figure, folder / "verdicts")


def _parameters(kind: Kind) -> dict[str, Any]:
    """Keys of a kind with their defaults."""
    parameters = inspect.signature(kind).parameters.values()
    return {one.name: one.default for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY}


def _keys(kind: Kind, node: Mapping[str, Any]) -> dict[str, Any]:
    return {key: node[key] for key in _parameters(kind) if key in node}


def _listed(node: Mapping[str, Any], key: str, default: Any) -> Sequence[str]:
    value = node.get(key, default)
    return (value,) if isinstance(value, str) else tuple(value)
