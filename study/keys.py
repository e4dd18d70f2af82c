"""Every key of the base recipe: its default, what it is, what may stand in it, and whether it is part of a run's id.

What belongs to a part - a task, a mixer, ... - is a keyword of the part's class, explained in its yaml (``study.parts``).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from omegaconf import MISSING

from study.declarations import STEPS, TIERS
from study.records import LARGEST, LARGEST_WHOLE


@dataclass(frozen=True)
class Key:
    """What is known of a key, beside its type."""

    default: Any
    words: str
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    one_of: Collection[str] = ()  # a mapping says what each choice means
    in_id: Literal["always", "changed", "never"] = "always"  # changed: where it isn't at its default

    @property
    def bounds(self) -> str:
        """What may stand in it, in words; "" where its type is all."""
        if self.one_of:
            return f"one of {', '.join(self.one_of)}"
        limits = (("at least", self.at_least), ("above", self.above), ("at most", self.at_most), ("below", self.below))
        return " and ".join(f"{word} {limit}" for word, limit in limits if limit is not None)

    def fits(self, value: Any) -> bool:
        """Whether a value, or each of a list, is within the bounds; no number is not."""
        if isinstance(value, list):
            return all(map(self.fits, value))
        if self.one_of:
            return value in self.one_of
        return value is None or (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )


def key(default: Any, words: str, **known: Any) -> Any:
    """A field of the classes below."""
    metadata = {"key": Key(default, words, **known)}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


# A key added when there were records already changes no id while it is at its default, which therefore must not change.
later = functools.partial(key, in_id="changed")
# What can't change a result: places, speed, tracking, and which of the declared runs it is.
neutral = functools.partial(key, in_id="never")


@dataclass
class Model:
    """The size of the model, and how it is put together."""

    width: int = key(64, "D, the width of the residual stream", at_least=1)
    layers: int = key(2, "blocks, each a mixer and a feed-forward net", at_least=1)
    ffn_width: int = key(256, "hidden width of the feed-forward net beside full attention", at_least=1)
    match: str = key(
        "parameters",
        "what the feed-forward width is solved for",
        one_of={
            "parameters": "",
            "multiply_adds": "of full attention",
            "nothing": "",
            "tied": "all parameters, of model.tie=output",
        },
    )
    dropout: float = later(
        0.0, "share of activations dropped after the embedding and after each mixer and feed-forward net", at_least=0, below=1
    )
    arrangement: str = later(
        "pre_norm", "residual and norm around each of them", one_of=("pre_norm", "post_norm", "residual", "norm", "plain")
    )
    tie: str = later(
        "none",
        "which tables are one",
        one_of={
            "none": "",
            "output": "the head's matrix is the (target) embedding",
            "three_way": "and the source embedding, with one vocabulary",
        },
    )


@dataclass
class Train:
    """How it is trained."""

    steps: int = key(STEPS, "optimiser steps at most; 0: the start is evaluated", at_least=0)
    batch: int = key(
        32, "sequences per step (of a corpus of pairs: as many tokens as that many pairs of average length)", at_least=1
    )
    rate: float = key(0.003, "peak learning rate", above=0, at_most=LARGEST)
    warmup: float = key(0.1, "share of the steps in which the rate rises; a cosine to 0 follows", at_least=0, below=1)
    weight_decay: float = key(0.01, "on matrices only, not on norms and biases", at_least=0)
    clip: float = key(1.0, "largest norm of the gradient", above=0)
    evaluate_every: int = key(100, "steps between two evaluations on the validation split", at_least=1)
    stop_when_solved: bool = key(True, "end once the task's validation score reaches its threshold")
    until: float = later(
        1.0,
        "share of the steps after which it ends, on a schedule over all of them; for rates that may yet be dropped",
        above=0,
        at_most=1,
    )
    label_smoothing: float = later(
        0.0, "share of the probability that is spread over all tokens; of tasks of pairs", at_least=0, below=1
    )


@dataclass
class Evaluation:
    """What it is evaluated on."""

    validation_items: int = key(2000, "scored items (at least) per evaluation during training", at_least=1)
    test_items: int = key(10000, "scored items (at least) in the final test, in and out of distribution", at_least=1)
    batch: int = key(128, "sequences per evaluation batch", at_least=1)
    weights: str = later(
        "last",
        "which weights are tested",
        one_of={"last": "those at the end", "best": "those that scored best on validation"},
    )
    structure: bool = later(False, "true: whether heads find the task's gold edges, and what cutting these costs")
    heads: bool = later(False, "true: how heads differ in where they attend and what they write, and how many are needed")
    gradients: bool = later(
        False, "true: how much gradient of the loss at the last scored place comes back over which distance, before and after"
    )
    train: bool = later(
        False, "true: the final test also scores as many items of the training split, to tell how far the model overfits"
    )


@dataclass
class Search:
    """How a decoder's output is searched for, in the final test."""

    beam: int = later(1, "outputs kept side by side; 1: greedy", at_least=1)
    length_penalty: float = later(  # Wu et al. try 0 to 1; far above, nothing but the length of an output counts
        0.0, "exponent of Wu et al. 2016, equation 14; 0: none, so that short outputs win", at_least=0, at_most=10
    )


@dataclass
class Cost:
    """With measure=cost: one layer, forward and backward."""

    lengths: list[int] = later([], "sequence lengths to measure at, model.width wide", at_least=1)
    widths: list[int] = later(
        [], "widths to measure at, instead, at the one length that is given; [] for model.width alone", at_least=1
    )
    positions: list[int] = later([], "positions at which to time a step of decoding, model.width wide; [] for none", at_least=1)
    sizes: list[int] = later(
        [], "of images: pixels a side to measure a whole model at, on train.batch images; [] for none", at_least=1
    )
    tokens: int = later(4096, "tokens per call at every length (so the batch shrinks as the length grows)", at_least=1)
    sequences: int | None = later(
        None, "sequences per call at every length, instead; null: as many as hold the tokens", at_least=1
    )
    repeats: int = later(5, "interleaved repeats; the median counts", at_least=1)


@dataclass
class Data:
    """Where data lie on this machine."""

    root: str = neutral("${oc.env:STUDY_DATA_ROOT,data}", "where real data lie, or are put once downloaded")
    download: bool = neutral(True, "false: never touch the network")
    cache: str = neutral(
        "${oc.env:STUDY_CACHE,.cache}",
        "where vocabularies and tokenised corpora are kept, named by content; safe to delete",
    )


@dataclass
class Trainer:
    """How runs are carried out; trainer=gpu sets these for one GPU."""

    accelerator: str = key("cpu", "what it runs on", one_of=("cpu", "gpu"))
    precision: str = key("32-true", "of matrix products", one_of=("32-true", "bf16-mixed"))
    threads: int = neutral(1, "torch threads of one run", at_least=1)
    checkpoint_every: int = neutral(200, "steps between two checkpoints; a killed run goes on from the last one", at_least=1)
    goes_on_from: str | None = neutral(
        None,
        "name of the run with train.until that this one continues, if it lies in the same folder; filled in by the sweeper",
    )
    keep_weights: bool = neutral(False, "true: leave the trained weights in the run's folder (weights.pt)")
    gpus: float = neutral(
        0.0,
        "of a cluster: what a run asks Slurm or Ray for; 0.25 lets Ray put four runs on a GPU",
        at_least=0,
        at_most=1,
    )


@dataclass
class Tracking:
    """Weights & Biases beside the records. Offline files can be looked at (wandb leet) and uploaded later (wandb sync).

    WANDB_MODE=offline or disabled narrows the mode, WANDB_DIR says where the files go instead of the runs' folder.
    """

    mode: str = neutral(
        "offline", "how", one_of={"offline": "", "online": "offline where the server gives no answer", "off": ""}
    )
    project: str = neutral("attention-study", "W&B project")
    entity: str | None = neutral(None, "W&B user or team; null: the account's default")


@dataclass
class Sweep:
    """With -m experiment=...: narrow the declared sweep."""

    arms: list[str] = neutral([], "these arms only; [] for all")
    tasks: list[str] = neutral([], "these tasks only; [] for all")
    seeds: list[int] = neutral([], "verdict seeds instead of the declared ones, to measure anew; [] for those", at_least=0)
    further_seeds: bool = neutral(False, "true: also the seeds declared for verdicts that the first ones leave open")
    committed: bool = neutral(False, "true: a run whose record is committed in results/ counts as done")
    wait: bool = neutral(True, "false: leave a run that another process trains just now to it, instead of waiting")


@dataclass
class Origin:
    """Which declared run this is; filled in by the sweeper."""

    experiment: str | None = later(None, "its name")
    arm: str | None = neutral(None, "of the experiment")
    task: str | None = neutral(None, "as the experiment calls it")
    role: str = neutral("single", "what it is for", one_of=("single", "tuning", "verdict"))
    claims: list[str] = neutral([], "that the experiment tests")
    digest: str | None = neutral(None, "of all that was asked for")


@dataclass
class Config:
    """The whole config of a run. The parts are chosen by groups of their own."""

    task: dict[str, Any] = MISSING
    mixer: dict[str, Any] = MISSING
    position: dict[str, Any] = MISSING
    readout: dict[str, Any] = MISSING
    architecture: dict[str, Any] = MISSING
    model: Model = field(default_factory=Model)
    train: Train = field(default_factory=Train)
    evaluation: Evaluation = field(default_factory=Evaluation)
    search: Search = field(default_factory=Search)
    cost: Cost = field(default_factory=Cost)
    data: Data = field(default_factory=Data)
    trainer: Trainer = field(default_factory=Trainer)
    tracking: Tracking = field(default_factory=Tracking)
    sweep: Sweep = field(default_factory=Sweep)
    origin: Origin = field(default_factory=Origin)
    experiment: Any = neutral(None, "a declared sweep, several (a,b), or all; only with -m")
    measure: str = later(
        "training",
        "what to do",
        one_of={"training": "train and test a model", "cost": "time, memory and counted work of one mixer layer"},
    )
    tier: str = neutral("core", "the size of it all", one_of=TIERS)
    seed: int = key(0, "decides initial weights, batches and their order", at_least=0, at_most=LARGEST_WHOLE)
    runs: str = neutral("runs", "folder for the runs' records, and for W&B's files")
    retry_failed: bool = neutral(False, "true: train again what is recorded as failed or diverged")


def nodes() -> Mapping[str, type]:
    """The classes above by the key that holds them; "" for the keys that stand by themselves."""
    inner = {each.name: each.default_factory for each in dataclasses.fields(Config)}
    return {"": Config, **{name: owner for name, owner in inner.items() if dataclasses.is_dataclass(owner)}}  # type: ignore[misc]


@functools.cache
def every() -> Mapping[str, Key]:
    """Each key by its dotted name."""
    return {
        f"{node}.{each.name}".lstrip("."): each.metadata["key"]
        for node, owner in nodes().items()
        for each in dataclasses.fields(owner)
        if "key" in each.metadata
    }
