"""The page of runs that train, on this machine alone: what is planned, running, done and failed, read from the runs' folder.

It only reads, and takes no run's lock, so that starting and stopping it changes nothing for the runs.
"""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from analysis.load import Loaded
from analysis.results import Results
from study import records
from study.experiments import Experiment
from study.records import Record, RecordError

QUIET = 300  # seconds without a sign of life after which a run is not taken as running
Make = Callable[[Loaded], str]


@dataclass
class Folder:
    """What a folder of runs says, read anew where a file has changed."""

    path: Path
    declared: Mapping[str, Experiment]
    found: dict[Path, tuple[int, Record | RecordError]] = field(default_factory=dict)
    configs: dict[Path, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    committed: dict[tuple[str, str], list[Record]] = field(default_factory=dict)

    def look(self) -> None:
        for run in self._folders():
            self._again(run / records.NAME, self.found, _record)
            self._again(run / "config.yaml", self.configs, _config)

    def loaded(self) -> Loaded:
        return Loaded().add(found for _, found in self.found.values()).finish()

    def version(self) -> str:
        """Another one whenever there is another record."""
        return f"{len(self.found)} {max((changed for changed, _ in self.found.values()), default=0)}"

    def state(self) -> dict[str, Any]:
        """How far the runs are, for the page's script."""
        running = list(self._running())
        under_way: dict[str, int] = defaultdict(int)
        for run in running:
            under_way[run["experiment"]] += 1
        lines, seconds = [], 0.0
        kept = [record for _, record in self.found.values() if not isinstance(record, RecordError)]
        for (name, tier), narrow in self._sweeps().items():
            own = [record for record in kept if (record["plan"]["experiment"], record["plan"]["tier"]) == (name, tier)]
            results = Results(narrow, tier, [*self._committed(name, tier), *own])
            lines.append(_line(results, f"{name}, {tier}", under_way[name]))
            seconds += _seconds_left(results)
        if alone := [record for record in kept if record["plan"]["experiment"] is None]:
            failed = sum(record["status"] != "finished" for record in alone)
            count = len(alone) + under_way[""]
            lines.append(_counts("single runs and grids", count, len(alone) - failed, under_way[""], failed))
        totals = {key: sum(line[key] for line in lines) for key in ("planned", "done", "failed", "left")}
        left = seconds / max(1, len(running))
        return {
            "records": self.version(),
            **totals,
            "running": running,
            "experiments": lines,
            "time_left": _duration(left) if left else "",
            "folder": str(self.path),
            "at": time.strftime("%H:%M:%S"),
        }

    def _folders(self) -> list[Path]:
        return sorted(run for run in self.path.iterdir() if run.is_dir())

    def _again(self, path: Path, known: dict[Path, tuple[int, Any]], read: Callable[[Path], Any]) -> None:
        try:
            changed = path.stat().st_mtime_ns
            if path not in known or known[path][0] != changed:
                known[path] = (changed, read(path))
        except OSError:
            known.pop(path, None)

    def _running(self) -> Iterator[dict[str, Any]]:
        """Runs that have begun and have no record, of which something was heard lately."""
        for path, (_, config) in self.configs.items():
            if path.with_name(records.NAME) in self.found:
                continue
            history = path.with_name("history.jsonl")
            heard = max((file.stat().st_mtime for file in (path, history) if file.exists()), default=0.0)
            if (quiet := time.time() - heard) > QUIET:
                continue
            last = _last_line(history)
            scores = {key: value for key, value in last.items() if key != "step" and isinstance(value, int | float)}
            yield {
                "name": path.parent.name,
                "experiment": config.get("origin", {}).get("experiment") or "",
                "step": last.get("step", 0),
                "steps": config.get("train", {}).get("steps", 0),
                "said": ", ".join(f"{key.replace('_', ' ')} {value:.4g}" for key, value in scores.items()),
                "quiet": round(quiet),
            }

    def _sweeps(self) -> dict[tuple[str, str], Experiment]:
        """The experiments under way by name and tier, as narrow as they were launched last."""
        sweeps: dict[tuple[str, str], Experiment] = {}
        for _, config in sorted(self.configs.values(), key=lambda item: item[0]):
            name, tier = str(config.get("origin", {}).get("experiment")), str(config.get("tier"))
            if name in self.declared and tier in self.declared[name].tiers:
                narrow = config.get("sweep", {})
                sweeps[name, tier] = self.declared[name].narrowed(narrow.get("arms", ()), narrow.get("tasks", ()))
        return sweeps

    def _committed(self, name: str, tier: str) -> list[Record]:
        """Committed records of an experiment: a sweep doesn't train those again."""
        if (name, tier) not in self.committed:
            path = records.committed(tier, name)
            lines: Iterable[Record | RecordError] = records.load_lines(path) if path.exists() else ()
            self.committed[name, tier] = [record for record in lines if not isinstance(record, RecordError)]
        return self.committed[name, tier]


def serve(path: Path, declared: Mapping[str, Experiment], make: Make, port: int, console: Console) -> int:
    """Until Ctrl-C. ``make`` makes the page of what is loaded."""
    server = server_of(Folder(path, declared), make, port)
    console.print(f"page: http://127.0.0.1:{server.server_port}/ follows {path}; Ctrl-C stops this page and nothing else")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
    return 0


def server_of(folder: Folder, make: Make, port: int = 0) -> ThreadingHTTPServer:
    """It answers this machine alone. Raises ``ValueError`` where the port is taken."""
    made: dict[str, str] = {}
    one_at_a_time = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hosts = [f"{name}:{server.server_port}" for name in ("127.0.0.1", "localhost")]
            if self.headers.get("Host") not in hosts:  # another site's name that leads here
                self.send_error(403)
            elif self.path == "/state.json":
                self._send("application/json", json.dumps(self._state()))
            elif self.path == "/":
                self._send("text/html", self._page())
            else:
                self.send_error(404)

        def _state(self) -> dict[str, Any]:
            with one_at_a_time:
                folder.look()
                return folder.state()

        def _page(self) -> str:
            with one_at_a_time:
                folder.look()
                if folder.version() not in made:
                    made.clear()
                    made[folder.version()] = make(folder.loaded())
                return made[folder.version()]

        def _send(self, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise ValueError(f"--serve {port}: {error.strerror}; give another port") from None
    return server


def _line(results: Results, name: str, running: int) -> dict[str, Any]:
    waiting = len(results.untuned) * len(results.planned_seeds)
    failed = len(results.records) - len(results.with_status("finished"))
    return _counts(name, len(results.planned) + waiting, len(results.with_status("finished")), running, failed)


def _counts(name: str, planned: int, done: int, running: int, failed: int) -> dict[str, Any]:
    left = max(0, planned - done - failed - running)
    return {"name": name, "planned": planned, "done": done, "running": running, "failed": failed, "left": left}


def _seconds_left(results: Results) -> float:
    """Of one process: each run that is missing takes as long as its task's runs took so far, or as all did."""
    took: dict[str, list[float]] = defaultdict(list)
    for record in results.with_status("finished"):
        took[record["plan"]["task"]].append(record["seconds"] or 0.0)
    if not took:
        return 0.0
    of_all = statistics.fmean(second for seconds in took.values() for second in seconds)
    mean = {task: statistics.fmean(seconds) for task, seconds in took.items()}
    waiting = [task for _, task in results.untuned for _ in results.planned_seeds]
    return sum(mean.get(task, of_all) for task in [*(run.task for run in results.missing), *waiting])


def _record(path: Path) -> Record | RecordError:
    try:
        return records.read(path)
    except RecordError as error:
        return error


def _config(path: Path) -> dict[str, Any]:
    try:
        node = yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeError):
        return {}
    return node if isinstance(node, dict) else {}


def _last_line(path: Path) -> dict[str, Any]:
    """The last whole line of a history; none where nothing was evaluated yet."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    for line in reversed(lines):
        try:
            return json.loads(line)
        except ValueError:
            continue
    return {}


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
