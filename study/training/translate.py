"""What a finished run's model answers to lines of text, with a picture of where it looked.

Shapes: B lines, M source tokens, T target tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from study import records, schema
from study.models.seq2seq.search import Hypothesis, search
from study.tasks.pairs import PairTask, padded
from study.training.build import build_model, build_task
from study.training.decoding import longest
from study.training.runner import WEIGHTS


class Translator:
    """The model of a finished run, in ``folder``, and the search for what it writes.

    Raises ``ValueError`` where the folder holds no such run, or its task is none of pairs.
    """

    def __init__(self, folder: Path, beam: int, length_penalty: float, data: DictConfig):
        if not (folder / WEIGHTS).is_file():
            raise ValueError(
                f"no {WEIGHTS} in {folder}: name the folder of a finished run that was trained with trainer.keep_weights=true"
            )
        loaded = OmegaConf.load(folder / "config.yaml")
        assert isinstance(loaded, DictConfig)
        config = OmegaConf.merge(OmegaConf.structured(schema.Config), loaded)
        assert isinstance(config, DictConfig)
        for key in ("root", "download", "cache"):  # where data lie on this machine
            if key in config.task:
                config.task[key] = data[key]
        task = build_task(config)
        if not isinstance(task, PairTask):
            raise ValueError(f"{folder} was trained on a task of {task.kind}; only tasks of pairs can be written out")
        self.task, self.beam, self.length_penalty = task, beam, length_penalty
        self.model = build_model(config, task).eval()
        trained_on = records.read(folder / records.NAME)["provenance"]["data"]
        if trained_on != task.provenance():
            raise ValueError(f"the data of {folder} have changed since, so its tokens mean something else: train it again")
        self.model.load_state_dict(torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True))

    @torch.no_grad()
    def __call__(self, lines: Iterable[str], batch: int = 32) -> Iterator[tuple[list[int], Hypothesis]]:
        """The source and the best output of each line, in order.

        Raises ``ValueError`` naming the first line that can't be read, once those before it are answered.
        """
        numbered = enumerate(lines, 1)
        unread: ValueError | None = None
        while unread is None and (part := list(itertools.islice(numbered, batch))):
            sources: list[list[int]] = []
            for number, line in part:
                try:
                    sources.append(self.task.read(line))
                except ValueError as error:
                    unread = ValueError(f"line {number}: {error}")
                    break
            if not sources:
                break
            source_BM = padded(sources, torch.device("cpu"))
            limit = longest(self.task)
            found = search(self.model, source_BM, beam=self.beam, length_penalty=self.length_penalty, longest=limit)
            yield from zip(sources, (best for best, *_ in found), strict=True)
        if unread is not None:
            raise unread


def translate(config: DictConfig, lines: Iterable[str]) -> Iterator[str]:
    """Answers to ``lines`` by the run that ``translate.run`` names; pictures into the folder ``translate.pictures``, if any."""
    translator = Translator(Path(config.translate.run), config.search.beam, config.search.length_penalty, config.data)
    task, folder = translator.task, config.translate.pictures
    if folder and not translator.model.aligns:
        raise ValueError("this model has no attention to draw: leave translate.pictures at null")
    for number, (source, best) in enumerate(translator(line.rstrip("\n") for line in lines), 1):
        if folder:
            assert best.weights_TM is not None
            names = task.source_names(source), task.target_names(best.tokens)
            draw(best.weights_TM[: len(best.tokens), : len(source)], *names, Path(folder) / f"{number:04}.png")
        yield task.write(best.tokens)


def draw(weights_TM: Any, source: list[str], target: list[str], path: Path) -> None:
    """An alignment as a picture: a row for each target token, a column for each source token, dark is weight 1."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 + 0.3 * len(source), 1.5 + 0.3 * len(target)), layout="constrained")
    axes = figure.add_subplot()
    if target:
        axes.imshow(weights_TM, cmap="Greys", vmin=0, vmax=1)
    axes.set_xticks(range(len(source)), source, rotation=90)
    axes.set_yticks(range(len(target)), target)
    axes.set_xlabel("source")
    axes.set_ylabel("target")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
