"""Mutation testing: small mistakes are put into copies of the sources, and the tests are to find each.

    python -m tests.mutants                # 60 mistakes, drawn with seed 0; prints how many were found, and those that weren't
    python -m tests.mutants --count 10 --seed 1 study/tasks

A mistake is one edit at one place of the syntax tree: another operator, comparison or number, a condition turned round, two
arguments exchanged, a mask that is dropped. It counts as found when a test fails (or hangs): of those named like the file,
else of those in the folder that mirrors the file's, the quick ones first, else of all that are quick.
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
WHERE = ["study", "analysis"]
DISPLAY = (
    "analysis/figures",
    "analysis/page",
    "study/pictures.py",
    "study/help.py",
)  # sizes and colours, of which none is wrong
SWAPS = {
    "operator": {ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.FloorDiv: "*", ast.Mod: "//"},
    "comparison": {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==", ast.In: "not in"},
    "condition": {ast.And: "or", ast.Or: "and"},
}
MASKS = ("masked_fill", "masked_fill_", "where")
NAMED = {"__main__": "command_line"}  # files whose tests are called otherwise
SECONDS = 600  # that tests may take; those of a loop without an end fail


class Mutant(NamedTuple):
    kind: str
    path: str
    line: int
    text: str  # of the line, as it is and as it becomes
    source: str  # of the whole file, with the mistake


def mutants(path: Path) -> Iterator[Mutant]:
    """All mistakes that one file can hold."""
    source = path.read_text(encoding="utf-8")
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    raw = source.encode()

    def span(node: ast.AST) -> tuple[int, int]:
        return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]

    def code(node: ast.AST) -> str:
        start, stop = span(node)
        return raw[start:stop].decode()

    def between(kind: str, left: ast.AST, operator: ast.AST, right: ast.AST) -> Iterator[tuple[str, tuple[int, int], str]]:
        if other := SWAPS[kind].get(type(operator)):
            start, stop = span(left)[1], span(right)[0]
            brackets = "".join(c for c in raw[start:stop].decode() if c in "()")
            closing, opening = brackets.count(")"), brackets.count("(")
            yield kind, (start, stop), ")" * closing + f" {other} " + "(" * opening

    def edits(node: ast.AST) -> Iterator[tuple[str, tuple[int, int], str]]:
        match node:
            case ast.BinOp(left, operator, right) if "Path" not in code(node) and not isinstance(right, ast.JoinedStr):
                yield from between("operator", left, operator, right)
            case ast.Compare(left, [operator], [right]):
                yield from between("comparison", left, operator, right)
            case ast.BoolOp(operator, [left, right, *_]):
                yield from between("condition", left, operator, right)
            case ast.UnaryOp(ast.USub() | ast.Not() | ast.Invert(), operand):
                yield "sign", span(node), f"({code(operand)})"
            case ast.Constant(value) if type(value) is int:
                yield "number", span(node), str(value + 1)
            case ast.Call(ast.Attribute(value, name), [_, _]) if name in MASKS:
                yield "mask", span(node), code(value)
            case ast.Call(_, [first, second, *_]) if not any(isinstance(a, ast.Starred) for a in (first, second)):
                if code(first) != code(second):
                    yield "arguments", (span(first)[0], span(second)[1]), f"{code(second)}, {code(first)}"

    for node in running(ast.parse(source)):
        for kind, (start, stop), new in edits(node):
            changed = (raw[:start] + new.encode() + raw[stop:]).decode()
            line = node.lineno  # type: ignore[attr-defined]
            shown = f"{code(node)}  ->  {new}".replace("\n", " ")
            yield Mutant(kind, str(path.relative_to(ROOT)), line, " ".join(shown.split())[:160], changed)


def running(tree: ast.AST) -> Iterator[ast.AST]:
    """Nodes that do something when the code runs: no types, no texts, no messages, no defaults that a yaml repeats."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "type_comment", "bases", "decorator_list", "defaults", "kw_defaults"):
            continue
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.AST) and not isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert):
                yield node
                yield from running(node)


def draw(where: list[str], count: int, seed: int) -> list[Mutant]:
    """As many of each kind, at most one a line."""
    files = sorted(file for part in where for file in ([ROOT / part] if part.endswith(".py") else (ROOT / part).rglob("*.py")))
    known = [mutant for file in files if not str(file.relative_to(ROOT)).startswith(DISPLAY) for mutant in mutants(file)]
    random.Random(seed).shuffle(known)
    kinds = sorted({mutant.kind for mutant in known})
    queues = {kind: iter([mutant for mutant in known if mutant.kind == kind]) for kind in kinds}
    chosen: dict[tuple[str, int], Mutant] = {}
    while len(chosen) < count and queues:
        for kind in list(queues):
            mutant = next(queues[kind], None)
            if mutant is None:
                del queues[kind]
            elif len(chosen) < count:
                chosen.setdefault((mutant.path, mutant.line), mutant)
    return sorted(chosen.values(), key=lambda mutant: (mutant.path, mutant.line))


def stages(path: str) -> Iterator[list[str]]:
    """The tests that concern a file, the nearest first."""
    file = Path(path)
    folder = Path("tests", *file.parent.parts[1:]) if file.parts[0] == "study" else Path("tests", *file.parent.parts)
    named = sorted((ROOT / "tests").rglob(f"test_{NAMED.get(file.stem, file.stem)}.py"))
    if named:
        yield [str(test.relative_to(ROOT)) for test in named]
    while not list((ROOT / folder).glob("test_*.py")):
        folder = folder.parent
    if folder != Path("tests"):
        yield ["-m", "not slow", str(folder)]
        yield ["-m", "slow", str(folder)]
    yield ["-m", "not slow", "tests"]


def found(mutant: Mutant, copies: "Queue[Path]", passing: dict[str, bool]) -> bool:
    """Whether tests fail that pass without the mistake; `passing` keeps which do."""
    copy = copies.get()
    file = copy / mutant.path
    before = file.read_text(encoding="utf-8")
    try:
        for tests in stages(mutant.path):
            if str(tests) not in passing:
                passing[str(tests)] = not fails(copy, tests)
            if passing[str(tests)]:
                file.write_text(mutant.source, encoding="utf-8")
                if fails(copy, tests):
                    return True
                file.write_text(before, encoding="utf-8")
            else:
                print(f"these fail without a mistake: {tests}", file=sys.stderr)
        return False
    finally:
        file.write_text(before, encoding="utf-8")
        copies.put(copy)


def fails(copy: Path, tests: list[str]) -> bool:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        return subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=SECONDS).returncode == 1
    except subprocess.TimeoutExpired:
        return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("where", nargs="*", default=WHERE, help="folders or files (default: study analysis)")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="copies that are tested at once")
    parser.add_argument("--list", action="store_true", help="say what would be tried")
    options = parser.parse_args()
    chosen = draw(options.where, options.count, options.seed)
    if options.list:
        print(*(f"{m.path}:{m.line} [{m.kind}] {m.text}" for m in chosen), sep="\n")
        return
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
        copies: Queue[Path] = Queue()
        for number in range(options.jobs):
            copy = Path(folder, str(number))
            shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", "runs"))
            copies.put(copy)
        killed, passing = 0, dict[str, bool]()
        for mutant, bitten in zip(chosen, pool.map(lambda m: found(m, copies, passing), chosen), strict=True):
            killed += bitten
            print(
                f"{'found   ' if bitten else 'SURVIVES'} {mutant.path}:{mutant.line} [{mutant.kind}] {mutant.text}", flush=True
            )
    print(f"{killed} of {len(chosen)} found")


if __name__ == "__main__":
    main()
