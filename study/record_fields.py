"""What a record holds: the fields that the sweep and the analysis rely on, each with the type of what may stand in it.

``check`` is asked of every record that is read or written. Fields that are not declared here may hold anything that is not
deeply nested, as nobody reads them. This module imports pydantic, so ``study.records`` imports it when it reads the first one.
"""

from __future__ import annotations

import reprlib
from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import CoreSchema
from typing_extensions import TypedDict

from study.declarations import NAME
from study.metrics import METRICS
from study.records import LARGEST, LARGEST_WHOLE, RUN_NAME

DEEPEST = 20  # nesting of what is not declared


def _shallow(value: Any, depth: int = DEEPEST) -> Any:
    if type(value) in (dict, list):
        if not depth:
            raise ValueError("nested too deeply")
        for item in value.values() if type(value) is dict else value:
            _shallow(item, depth - 1)
    return value


def _even(rows: list[list[Any]]) -> list[list[Any]]:
    if len({len(row) for row in rows}) > 1:
        raise ValueError("rows must be equally long")
    return rows


def _known(metric: str) -> str:
    if metric not in METRICS:
        raise ValueError(f"must be one of {', '.join(METRICS)}")
    return metric


def _of_one_height(glimpses: list[Any]) -> list[Any]:
    if len({len(sample["image"]) for sample in glimpses}) > 1:
        raise ValueError("images must be of one height")
    return glimpses


class Checked:
    """``Annotated[X, Checked(Y)]`` is X to mypy and is checked as Y: for what is read by the names of metrics and the like."""

    def __init__(self, shape: Any):
        self.shape = shape

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler.generate_schema(self.shape)


Object = dict[str, Any]
Undeclared = Annotated[Any, AfterValidator(_shallow)]
Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
RunName = Annotated[str, Field(pattern=f"^{RUN_NAME.pattern}$")]
Numeral = Annotated[str, Field(pattern="^[0-9]{1,15}$")]
Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Score = Number | None
Share = Annotated[float, Field(ge=-1e-9, le=1 + 1e-9)] | None
Work = Annotated[float, Field(ge=0, le=LARGEST)]
Amount = Work | None
Whole = Annotated[int, Field(ge=-LARGEST_WHOLE, le=LARGEST_WHOLE)]
Count = Annotated[int, Field(ge=0, le=LARGEST_WHOLE)]
Length = Count | None
Matrix = Annotated[list[Annotated[list[Number], Field(min_length=1)]], Field(min_length=1), AfterValidator(_even)]
Hashes = str | list[str] | dict[str, str | list[str]]  # of one file, or of several


class Scores(TypedDict, total=False, extra_items=Score):  # type: ignore[call-arg]
    accuracy: Share
    token_accuracy: Share
    exact: Share
    alignment: Share
    items: Count
    characters: Count
    tokens: Count
    seconds: Amount
    bytes: Amount
    multiply_adds: Amount
    counted_multiply_adds: Amount
    critical_path: Amount
    hops: Amount


class Plan(TypedDict):
    experiment: Name | None
    tier: Literal["smoke", "core", "full"]
    arm: Name | None
    task: Name | None
    role: Name
    rate: Annotated[float, Field(gt=0, le=LARGEST)] | None
    seed: Whole
    digest: Name | None


class TaskConfig(TypedDict, total=False, extra_items=Undeclared):  # type: ignore[call-arg]
    length: Length
    max_length: Length


class PartConfig(TypedDict, extra_items=Undeclared):  # type: ignore[call-arg]
    name: str


class ModelConfig(TypedDict, extra_items=Undeclared):  # type: ignore[call-arg]
    width: Count
    layers: Count
    match: NotRequired[str]


class TrainConfig(TypedDict, extra_items=Undeclared):  # type: ignore[call-arg]
    batch: Count
    steps: Count


class CostConfig(TypedDict, total=False, extra_items=Undeclared):  # type: ignore[call-arg]
    lengths: list[Count]
    widths: list[Count]
    positions: list[Count]
    sizes: list[Count]


class Config(TypedDict, extra_items=Undeclared):  # type: ignore[call-arg]
    measure: NotRequired[Literal["training", "cost"]]
    task: TaskConfig
    architecture: NotRequired[PartConfig]
    model: ModelConfig
    train: TrainConfig
    cost: NotRequired[CostConfig]


class Data(TypedDict, total=False, extra_items=Undeclared):  # type: ignore[call-arg]
    sha256: Hashes


class Provenance(TypedDict, extra_items=Undeclared):  # type: ignore[call-arg]
    data: Data
    revision: NotRequired[str | None]
    clean: NotRequired[bool | None]
    versions: NotRequired[dict[str, str]]
    device: NotRequired[str | None]
    device_name: NotRequired[str | None]
    dtype: NotRequired[str | None]
    attention_backend: NotRequired[str | None]
    system: NotRequired[str | None]
    started: NotRequired[str | None]
    threads: NotRequired[Count]


class Heuristic(TypedDict):
    name: str
    score: Score


class CurveRow(TypedDict, extra_items=Score):  # type: ignore[call-arg]
    step: Count


class Example(TypedDict, extra_items=Undeclared):  # type: ignore[call-arg]
    map: Matrix
    edges: list[Annotated[list[Whole], Field(min_length=2, max_length=2)]]


class Structure(TypedDict, total=False, extra_items=Score):  # type: ignore[call-arg]
    example: Example | None
    head: list[Count]


class Sample(TypedDict, extra_items=Undeclared):  # type: ignore[call-arg]
    """One translation; ``weights`` has a row for each token of ``output``, which may be none."""

    source: list[str]
    output: list[str]
    weights: Matrix | Annotated[list[Any], Field(max_length=0)] | None


class Glimpses(TypedDict, extra_items=Undeclared):  # type: ignore[call-arg]
    image: Annotated[list[Annotated[list[Count], Field(min_length=1)]], Field(min_length=1), AfterValidator(_even)]
    path: Annotated[list[Annotated[list[Number], Field(min_length=2, max_length=2)]], Field(min_length=1)]


class Written(TypedDict, total=False, extra_items=Undeclared):  # type: ignore[call-arg]
    samples: list[Sample]
    statistics: Annotated[list[Annotated[list[Count], Field(min_length=10, max_length=10)]], Field(min_length=1)]
    shuffled: dict[str, Score]
    glimpses: Annotated[list[Glimpses], AfterValidator(_of_one_height)]


class Record(TypedDict, extra_items=Undeclared):  # type: ignore[call-arg]
    """One run. What a finished run and a training must hold beside these: ``FINISHED`` and ``TRAINED``."""

    schema: Whole
    id: Name
    name: RunName
    status: Literal["finished", "diverged", "failed"]
    error: str | None
    plan: Annotated[Object, Checked(Plan)]
    claims: list[str]
    kind: Name  # of its task
    config: Annotated[Object, Checked(Config)]
    provenance: Annotated[Object, Checked(Provenance)]
    metrics: Annotated[Object, Checked(dict[str, Scores])]  # by split
    slices: Annotated[Object, Checked(dict[str, dict[str, dict[Numeral, Scores]]])]  # by split, axis and value
    notes: dict[str, str]
    curve: list[Annotated[Object, Checked(CurveRow)]]
    checksum: NotRequired[str]  # sha256 of all the rest
    weights_sha256: NotRequired[str | None]
    command: NotRequired[str | None]
    metric: NotRequired[Annotated[str, AfterValidator(_known)]]
    decoded: NotRequired[list[Name]]
    solved_at: NotRequired[Score]
    chance: NotRequired[Score]
    heuristic: NotRequired[Annotated[Object, Checked(Heuristic)] | None]
    steps: NotRequired[Count]
    tested_at: NotRequired[Count]
    steps_to_90: NotRequired[Length]
    steps_to_solve: NotRequired[Length]
    parameters: NotRequired[dict[str, Count]]
    reach: NotRequired[Length]
    tokens_seen: NotRequired[Count]
    ffn_width: NotRequired[Length]
    hidden: NotRequired[Length]
    peak_memory_bytes: NotRequired[Length]
    multiply_adds_per_token: NotRequired[Work]
    multiply_adds_per_answer: NotRequired[Work]
    seconds: NotRequired[Amount]
    train_seconds: NotRequired[Amount]
    step_seconds: NotRequired[Amount]
    diagnostics: NotRequired[Annotated[Object, Checked(dict[str, dict[str, Score]])]]
    structure: NotRequired[Annotated[Object, Checked(Structure)]]
    heads: NotRequired[dict[str, Score]]
    written: NotRequired[Annotated[Object, Checked(dict[str, Written])]]


FINISHED = ("metric", "seconds")
TRAINED = (
    "solved_at",
    "chance",
    "heuristic",
    "steps",
    "steps_to_90",
    "steps_to_solve",
    "parameters",
    "peak_memory_bytes",
    "tokens_seen",
    "multiply_adds_per_token",
)
_RECORD = TypeAdapter(Record)
_brief = reprlib.Repr()  # one line, however large the value
_brief.maxlevel = 1


def check(record: Any) -> Record:
    """The record as it is. Raises ``ValueError``, one line: the field, what belongs there, and what is there."""
    try:
        _RECORD.validate_python(record, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(_brief.repr(part).strip("'\"") for part in first["loc"])
        found = "" if first["type"] == "missing" else f", and is {_brief.repr(first['input'])}"
        raise ValueError(f"{place or 'the record'}: {first['msg'].removeprefix('Value error, ')}{found}") from None
    if record["status"] == "finished":
        trained = record["config"].get("measure", "training") == "training"
        for key in (*FINISHED, *(TRAINED if trained else ())):
            if key not in record:
                raise ValueError(f"{key}: Field required where status is finished")
    return record
