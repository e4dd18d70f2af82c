"""CONTRIBUTING.md, word for word: its files put into a copy of the project, its commands run there."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import python

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"(?:`([\w/.]+)`:\n\n)?```(\w+)\n(.*?)```", re.S)
COPIED = ("study", "conf", "analysis", "hydra_plugins", "tests", "run.py", "pyproject.toml", "Makefile", "constraints.txt")


def blocks() -> list[tuple[str, str, str]]:
    """(file or "", language, text) of each code block."""
    return BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    (folder / "results").symlink_to(ROOT / "results")
    shutil.copy(ROOT / "README.md", folder)
    return folder


def test_what_it_says_is_so(copy):
    for name, language, text in blocks():
        assert bool(name) == (language != "sh"), f"a {language} block without the name of its file"
        if name:
            assert not (copy / name).exists(), f"{name} is there already"
            (copy / name).write_text(text, encoding="utf-8")
            continue
        for command in text.splitlines():
            words = shlex.split(command)
            if words[0] == "make":  # these very tests
                words.append("--dry-run")
            if words[0] == "python":
                done = python(*words[1:], cwd=copy, WANDB_MODE="disabled")  # its files: tests/training/test_tracking.py
            else:
                done = subprocess.run(words, cwd=copy, capture_output=True, text=True)
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert "C41" in (copy / "verdicts" / "smoke" / "verdicts.csv").read_text(encoding="utf-8")
    style = [str(Path(sys.executable).with_name("ruff")), "check", "study/mixers/average.py"]
    for arguments in (style, [style[0], "format", "--check", style[-1]]):
        done = subprocess.run(arguments, cwd=copy, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_it_is_one_page():
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 150
