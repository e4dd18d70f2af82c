"""Which part may know of which: read from the import statements, and seen in what a process has loaded."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STANDARD = sys.stdlib_module_names

# part -> what its files may import beside the standard library and itself; the first entry that fits a file counts
MAY_IMPORT = {
    "study/attention": "torch",
    "study/mixers": "torch study.attention study.parts study.positions.base",
    "study/positions": "torch",
    "study/readouts": "torch study.mixers.base",
    "study/tasks": "torch tokenizers numpy sacrebleu rapidfuzz sklearn study.bleu study.files study.seeding study.tokens",
    "study/models": "torch study.attention study.mixers study.parts study.positions study.readouts study.tokens",
    "study/cost": "torch study.mixers",
    "study/probes": "torch omegaconf study.mixers study.models study.parts study.seeding study.tasks study.tokens",
    "study/kinds": """
        torch omegaconf study.cost study.files study.mixers study.models study.parts study.probes study.tasks study.readouts
        study.tokens
    """,
    "study/translate": """
        torch omegaconf matplotlib study.keys study.kinds study.models study.pictures study.probes study.schema study.tasks
        study.training
    """,
    "study/tokens.py": "",
    "study/seeding.py": "",
    "study/interrupts.py": "",
    "study/bleu.py": "sacrebleu",
    "study/records.py": "study.files study.record_fields",
    "study/record_fields.py": "pydantic pydantic_core typing_extensions study.declarations study.metrics study.records",
    "study/files.py": "",
    "study/yamls.py": "yaml",
    "study/pictures.py": "matplotlib study.files",
    "study/declarations.py": "study.metrics study.yamls",
    "study/experiments.py": "study.choosing study.declarations study.yamls",
    "study/choosing.py": "study.metrics",
    "study/metrics.py": "",
    "study/parts.py": "",
    "study/keys.py": "omegaconf study.declarations study.records",
    "study/schema.py": "omegaconf hydra study.declarations study.keys study.parts study.records",
    "study/composing.py": "omegaconf hydra study.experiments study.parts study.schema",
    "study/forecast.py": "study.declarations study.experiments study.metrics study.progress",
    "study/progress.py": "rich",
    "study/grid.py": "omegaconf rich study.progress study.records study.schema",
    "study/wandb_sweep.py": "hydra yaml study.composing study.help study.sweeping",
    "study/wandb_views.py": """
        hydra wandb_workspaces study.composing study.experiments study.help study.metrics study.parts
        study.training.mirrored study.training.tracking
    """,
    "study/launching.py": "omegaconf",
    "study/help.py": "omegaconf hydra study.keys study.launching",
}
TORCH_FREE = """
    study.bleu study.composing study.keys study.parts study.schema study.experiments study.metrics study.records study.seeding
    study.sweeping study.forecast study.progress study.grid study.wandb_sweep study.interrupts study.files study.pictures
    study.help hydra_plugins.study_sweeper
""".split()
HEAVY = ["torch", "pytorch_lightning", "lightning_fabric", "wandb"]
SLOW = [*HEAVY, "pydantic"]  # what takes a tenth of a second or more to import


def imports(path, top_level_only=False):
    """Dotted names that a file imports, in functions too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name, packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def files(part):
    path = ROOT / part
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_a_part_knows_only_what_it_may(part):
    itself = part.removesuffix(".py").replace("/", ".")
    for path in files(part):
        for name in imports(path):
            if name.split(".")[0] not in STANDARD:
                assert within(name, {itself, *MAY_IMPORT[part].split()}), f"{path.relative_to(ROOT)} imports {name}"


def test_every_part_stands_behind_a_wall_or_is_meant_to_know_all():
    parts = {path.name for path in (ROOT / "study").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    walled = {part.removeprefix("study/") for part in MAY_IMPORT}
    assert parts - walled == {"__init__.py", "training", "sweeping.py", "benchmark.py"}


def test_analysis_reads_records_and_declarations_and_nothing_else_of_the_study():
    known = "bleu declarations experiments choosing forecast metrics parts records pictures progress files yamls".split()
    for path in files("analysis"):
        for name in imports(path):
            if name.startswith("study"):
                assert within(name, {f"study.{part}" for part in known}), f"{path.name} imports {name}"
            assert not within(name, {"torch", "pytorch_lightning", "hydra"}), f"{path.name} imports {name}"
        assert not any(within(name, {"wandb"}) for name in imports(path, top_level_only=True)), path.name


def test_the_study_knows_nothing_of_its_analysis():
    for path in [*files("study"), *files("hydra_plugins"), ROOT / "run.py"]:
        assert not any(within(name, {"analysis"}) for name in imports(path)), path


def test_only_training_and_the_benchmark_know_lightning_and_wandb():
    for path in [*files("study"), ROOT / "run.py"]:
        if "training" not in path.parts and path.name != "benchmark.py":
            assert not any(within(name, set(HEAVY) - {"torch"}) for name in imports(path)), path


def loaded_after(code):
    """Which slow packages a fresh process has loaded after ``code``."""
    script = f"{code}\nimport sys; print(*[name for name in {SLOW} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


def test_the_ground_is_free_of_torch():
    """It is imported at every start, also for --help, for a mistaken key and in the analysis."""
    assert loaded_after("\n".join(f"import {name}" for name in TORCH_FREE)) == []


def test_the_help_of_translating_needs_no_torch():
    assert loaded_after("import study.translate.__main__ as door\ntry: door.main(['--help'])\nexcept SystemExit: pass") == []


def test_each_wall_can_be_hit(tmp_path):
    """The reader of imports sees what stands in functions and under ``from``."""
    path = tmp_path / "part.py"
    path.write_text("import torch\ndef f():\n    from study.models import encoder\n    import wandb.sdk\n")
    assert set(imports(path)) == {"torch", "study.models.encoder", "wandb.sdk"}
    assert set(imports(path, top_level_only=True)) == {"torch"}
    assert not within("study.mixersandmore", {"study.mixers"})
