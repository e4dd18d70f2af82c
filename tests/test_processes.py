"""A forked process is one like any other."""

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.processes import python, start

SAY = """
import json, os, signal, sys, threading
said = [sys.argv, sys.path[:2], os.getcwd(), os.environ.get("OWN"), sys.stdin.read(), __name__, "study" in sys.modules]
handlers = [signal.getsignal(each) == signal.SIG_DFL for each in (signal.SIGTERM, signal.SIGCHLD)]
print(json.dumps([*said, handlers, threading.active_count()]))
print("an error", file=sys.stderr)
sys.exit(END)
"""


pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("arguments", "end", "code"),
    [
        (["-c", SAY.replace("END", "3"), "x"], "3", 3),
        (["say.py", "x"], "None", 0),
        (["-m", "say", "x"], "'a word'", 1),
        (["say.py"], "1 / 0", 1),
    ],
    ids=["-c", "script", "-m", "error"],
)
def test_it_is_and_ends_as_pythons_own(tmp_path, arguments, end, code):
    (tmp_path / "way").mkdir()
    (tmp_path / "say.py").write_text(SAY.replace("END", end))
    own = {"PYTHONPATH": str(tmp_path / "way"), "OWN": "mine"}
    ours = python(*arguments, cwd=tmp_path, given="text", **own)
    command = [sys.executable, *arguments]
    theirs = subprocess.run(command, cwd=tmp_path, env=os.environ | own, input="text", capture_output=True, text=True)
    assert ours.returncode == theirs.returncode == code
    said, expected = json.loads(ours.stdout), json.loads(theirs.stdout)
    expected[1] = [path or str(tmp_path) for path in expected[1]]  # of -c: "", the folder it is in
    assert said == expected
    ends = [(done.stderr.splitlines()[0], done.stderr.splitlines()[-1]) for done in (ours, theirs)]
    assert ends[0] == ends[1]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_by_a_signal(tmp_path, number):
    process = start("-c", "import time; print('waits', flush=True); time.sleep(60)", cwd=tmp_path, session=True)
    assert process.poll() is None and os.getpgid(process.pid) == process.pid != os.getpgid(0)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    os.killpg(process.pid, number)
    process.communicate(60)
    assert process.returncode == process.poll() == -number


def test_it_has_loaded_torch_before_it_starts(tmp_path):
    assert python("-c", "import sys; print('torch' in sys.modules)", cwd=tmp_path).stdout == "True\n"
