"""What a finished run's model answers to lines of text, with a picture of what it attended to.

Shapes: B lines, M source tokens, T target tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from study import pictures, schema
from study.keys import Config
from study.kinds.base import part
from study.kinds.pairs import VOCABULARY
from study.models.seq2seq.search import Hypothesis, search
from study.probes.decoding import longest
from study.tasks.pairs import PairTask, padded
from study.training import weights
from study.training.build import build_model

BATCH = 32  # lines answered together
CELL = 0.3  # inches of an alignment's picture to a token


class Answer(NamedTuple):
    source: list[int]  # tokens; empty where the line is blank or can't be read
    best: Hypothesis | None  # None to a blank line, and to one that can't be read
    complaint: str | None = None  # why it can't, with the line's number


class Translator:
    """The model of a finished run, in ``folder``, and the search for what it writes; the folder is all it needs.

    Raises ``ValueError`` where the folder holds no such run, or its task is none of pairs.
    """

    def __init__(self, folder: Path, beam: int = 1, length_penalty: float = 0.0):
        if not (folder / weights.NAME).is_file():
            raise ValueError(
                f"no {weights.NAME} in {folder}: name the folder of a finished run trained with trainer.keep_weights=true"
            )
        config = _config(folder / "config.yaml")
        task, keys = part(config, "task")
        if not issubclass(task, PairTask):
            raise ValueError(f"{folder} was trained on a task of {task.kind}; only tasks of pairs can be translated")
        self.task, self.beam, self.length_penalty = task.kept(folder / VOCABULARY, **keys), beam, length_penalty
        self.model = build_model(config, self.task).eval()
        try:
            self.model.load_state_dict(weights.load(folder))
        except Exception as error:  # of many types, and none that promises to be all
            raise ValueError(
                f"{folder / weights.NAME} can't be read, or is no model of its config.yaml ({type(error).__name__}); "
                "launch the run again"
            ) from None

    @torch.no_grad()
    def __call__(self, lines: Iterable[bytes], batch: int = BATCH) -> Iterator[Answer]:
        """One answer to each line, in order."""
        numbered = enumerate(lines, 1)
        while some := list(itertools.islice(numbered, batch)):
            answers = [self._read(number, line) for number, line in some]
            if sources := [answer.source for answer in answers if answer.source]:
                searched = search(
                    self.model,
                    padded(sources, torch.device("cpu")),
                    beam=self.beam,
                    length_penalty=self.length_penalty,
                    longest=longest(self.task, self.model),
                )
                best = (hypotheses[0] for hypotheses in searched)
                answers = [answer._replace(best=next(best)) if answer.source else answer for answer in answers]
            yield from answers

    def write(self, lines: Iterable[bytes], folder: Path | None = None, batch: int = BATCH) -> Iterator[tuple[str, str | None]]:
        """To each line (UTF-8) its answer as text, and None; "" to a blank one. Pictures go into ``folder``, if any.

        A line that can't be read gets "" and what is wrong with it. Raises ``ValueError`` where there is nothing to draw.
        """
        if folder and not self.model.aligns:
            raise ValueError("this model has no attention to draw: leave --pictures out")
        for number, (source, best, complaint) in enumerate(self(lines, batch), 1):
            if folder and best is not None:
                assert best.weights_TM is not None
                names = self.task.source_names(source), self.task.target_names(best.tokens)
                draw(best.weights_TM[: len(best.tokens), : len(source)], *names, folder / f"{number:04}.png")
            yield "" if best is None else self.task.write(best.tokens), complaint

    def _read(self, number: int, line: bytes) -> Answer:
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()  # a byte order mark is no text
            source = self.task.read(text) if text else []
            if (room := self.model.longest_source) and len(source) > room:
                raise ValueError(f"{len(source)} tokens, and the model has positions for {room}; cut it in two")
        except UnicodeDecodeError as error:
            return Answer([], None, f"line {number}: not UTF-8 ({error.reason})")
        except ValueError as error:
            return Answer([], None, f"line {number}: {error}")
        return Answer(source, None)


def _config(path: Path) -> DictConfig:
    """The config of a run. Raises ``ValueError`` where the folder holds none, as a user may name any folder."""
    try:
        config: Any = OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.load(path))
    except OmegaConfBaseException as error:
        line = str(error).splitlines()[0]
        raise ValueError(f"{path} is no config of this version of the study ({line}); launch the run again") from None
    schema.check_parts(config)
    return config


def draw(weights_TM: Any, source: list[str], target: list[str], path: Path) -> None:
    """An alignment as a picture: a row for each target token, a column for each source token, dark is weight 1.

    ``path`` is that of a PNG; tokens that a PNG can't show make it an SVG, with that suffix.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    columns, rows = ([pictures.label(token) for token in tokens] for tokens in (source, target))
    with rc_context({"font.family": pictures.FAMILY, "savefig.bbox": "tight"}):  # the labels lie around cells of one size
        figure = Figure(figsize=(CELL * len(source), CELL * max(1, len(target))))
        axes = figure.add_axes((0, 0, 1, 1))
        if target:
            axes.imshow(weights_TM, cmap="Greys", vmin=0, vmax=1)
        axes.set_xticks(range(len(source)), columns, parse_math=False, rotation=90)
        for name in axes.get_xticklabels():
            name.set(rotation_mode="anchor", ha="right", va="center")  # so that it ends at its tick in any font
        axes.set_yticks(range(len(target)), rows, parse_math=False)
        axes.set_xlabel("source")
        axes.set_ylabel("target")
        pictures.write(figure, path, dpi=120)
