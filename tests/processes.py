"""Processes of Python that have torch and Lightning loaded at their start: forked from one that waits with them loaded.

Such a process is one like any other, with a number, a folder, an environment, signals and an exit code of its own. It has
loaded packages that are installed and nothing of this project, which it imports from where it is told to. What a start itself
takes or imports shows only in ``subprocess``.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

LOADED = ("torch", "pytorch_lightning", "hydra", "pandas", "scipy.stats", "matplotlib.figure", "wandb.cli.cli")
# Commands of run.py, one after another in one process; says what each printed and how it ended, then all that is imported.
SAY = """
import contextlib, io, json, runpy, sys
for command in json.loads(sys.argv.pop()):
    sys.argv, said, code = ["run.py", *command.split()], io.StringIO(), 0
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            runpy.run_path("run.py", run_name="__main__")
        except SystemExit as stop:
            code = stop.code
    print(json.dumps([command, said.getvalue(), code if isinstance(code, int) else code + "\\n"]))
print(json.dumps(sorted(sys.modules)))
"""
WIDTH = 12  # of a number that a process tells another


class Process:
    """``python ARGUMENTS``, started; what it says goes to files. ``session``: as the leader of a group of its own."""

    def __init__(
        self, control: socket.socket, arguments: list[str], cwd: Path, env: Mapping[str, str], session: bool, given: str
    ):
        self.args, self.returncode = arguments, None
        self._answer, theirs = os.pipe()
        asked, read, self._out, self._err = (tempfile.TemporaryFile("w+", encoding="utf-8") for _ in range(4))
        with asked, read, os.fdopen(theirs, "w"):
            for file, text in ((asked, json.dumps([arguments, str(cwd), dict(env), session])), (read, given)):
                file.write(text)
                file.seek(0)
            files = [file.fileno() for file in (asked, read, self._out, self._err)]
            socket.send_fds(control, [b"x"], [*files, theirs])
        self.pid = self._read()

    def _read(self) -> int:
        return int(os.read(self._answer, WIDTH) or -signal.SIGKILL)  # nothing, where its keeper is killed too

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; minus the number of the signal that ended it. Raises ``subprocess.TimeoutExpired``."""
        if self.returncode is None:
            if not select.select([self._answer], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = self._read()
            os.close(self._answer)
        return self.returncode

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        self.wait(timeout)
        for stream in (self._out, self._err):
            stream.seek(0)
        return self._out.read(), self._err.read()

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def start(*arguments: str, cwd: Path, session: bool = False, given: str = "", **environment: str) -> Process:
    """``python ARGUMENTS``. Variables of the environment stand beside, or instead of, those of this process."""
    return Process(warm(), list(arguments), cwd, {**os.environ, **environment}, session, given)


def python(*arguments: str, cwd: Path, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """How ``python ARGUMENTS`` ended, with ``given`` to read."""
    process = start(*arguments, cwd=cwd, given=given, **environment)
    try:
        out, err = process.communicate(300)
    finally:
        process.kill()
    return subprocess.CompletedProcess(arguments, process.wait(), out, err)


@functools.cache
def warm() -> socket.socket:
    """The process that waits, started when it is asked first; it ends with this one."""
    control, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, __file__, str(theirs.fileno())]
        waiting = subprocess.Popen(command, pass_fds=[theirs.fileno()], start_new_session=True)
    atexit.register(lambda: (control.close(), waiting.wait()))
    return control


def serve(control: socket.socket) -> list[str]:
    """Fork what is asked for, until nobody asks. Returns in the forked process alone, with the arguments of Python's."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the keepers
    while True:
        message, files, *_ = socket.recv_fds(control, 1, 5)
        if not message:
            sys.exit()
        if os.fork() == 0:
            return keep(control, *files)
        for each in files:
            os.close(each)


def keep(control: socket.socket, asked: int, read: int, out: int, err: int, answer: int) -> list[str]:
    """Fork once more: one of the two waits for the other, and says how it ended. Returns in the other."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    control.close()
    if pid := os.fork():
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.write(answer, f"{code:{WIDTH}}".encode())
        os._exit(0)
    with os.fdopen(asked) as file:
        arguments, cwd, environment, session = json.load(file)
    for stream, number in ((read, 0), (out, 1), (err, 2)):
        os.dup2(stream, number)
        os.close(stream)
    if session:
        os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    os.write(answer, f"{os.getpid():{WIDTH}}".encode())
    os.close(answer)
    return arguments


def carry_out(arguments: list[str]) -> NoReturn:
    """Become ``python ARGUMENTS``, and end as that does, but for taking down what is loaded, which takes two seconds."""
    code: Any = 0
    try:
        become(arguments)
    except SystemExit as stop:
        code = stop.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    threading._shutdown()  # waits for threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1 if isinstance(code, str) else code or 0)


def become(arguments: list[str]) -> None:
    """What ``python ARGUMENTS`` does."""
    what, *rest = arguments
    further = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:1] = [os.path.abspath(os.path.dirname(what)) if what.endswith(".py") else os.getcwd(), *further]
    if what == "-c":
        sys.argv = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    elif what == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(what, run_name="__main__")


if __name__ == "__main__":
    for name in LOADED:
        importlib.import_module(name)
    gc.freeze()
    carry_out(serve(socket.socket(fileno=int(sys.argv[1]))))
