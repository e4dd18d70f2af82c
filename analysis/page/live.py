"""The page of runs that train, on this machine alone: what is planned, running, done and failed, read from the runs' folder.

It only reads, and takes no run's lock, so that starting and stopping it changes nothing for the runs.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rich.console import Console

from analysis.load import Loaded
from study import records, yamls
from study.experiments import Experiment, PlannedRun
from study.forecast import Pace, planned
from study.progress import duration
from study.records import Record, RecordError

QUIET = 300  # seconds without a sign of life after which a run is not taken as running
Make = Callable[[Loaded], str]
Key = tuple[str | None, str | None, str]


@dataclass
class Folder:
    """What a folder of runs says, read anew where a file has changed."""

    path: Path
    declared: Mapping[str, Experiment]
    found: dict[Path, tuple[int, Record | RecordError]] = field(default_factory=dict)
    configs: dict[Path, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    committed: dict[tuple[str, str], dict[Key, Record]] = field(default_factory=dict)

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
        kept = {
            _key(record["plan"], record["name"]): record
            for _, record in self.found.values()
            if not isinstance(record, RecordError)
        }
        at_work = {run["key"] for run in running}
        pace, lines, to_come = Pace(), [], []
        for (name, tier), (narrow, asked) in self._sweeps().items():
            known = (self._committed(name, tier) if asked.get("committed") else {}) | kept
            keys = {(name, tier, run.digest): run for run in _planned(narrow, tier, known, asked.get("further_seeds", False))}
            for key in keys.keys() & known.keys():
                pace.learn(keys[key], known[key])
            to_come += [run for key, run in keys.items() if key not in known]
            lines.append(
                _counts(f"{name}, {tier}", len(keys), [known[key] for key in keys if key in known], len(keys.keys() & at_work))
            )
            kept = {key: record for key, record in kept.items() if key not in keys}
            at_work -= keys.keys()
        if kept or at_work:
            lines.append(
                _counts(
                    "single runs, grids, and what no sweep asks for",
                    len(kept) + len(at_work),
                    list(kept.values()),
                    len(at_work),
                )
            )
        totals = {key: sum(line[key] for line in lines) for key in ("planned", "done", "failed", "left")}
        seconds = pace.seconds(to_come)
        return {
            "records": self.version(),
            **totals,
            "running": [{field: value for field, value in run.items() if field != "key"} for run in running],
            "experiments": lines,
            "time_left": duration(seconds / max(1, len(running))) if seconds else "",
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
                "key": _key({**config.get("origin", {}), "tier": config.get("tier")}, path.parent.name),
                "step": last.get("step", 0),
                "steps": config.get("train", {}).get("steps", 0),
                "said": ", ".join(f"{key.replace('_', ' ')} {value:.4g}" for key, value in scores.items()),
                "quiet": round(quiet),
            }

    def _sweeps(self) -> dict[tuple[str, str], tuple[Experiment, Mapping[str, Any]]]:
        """The experiments under way by name and tier, as narrow as they were launched last, and what was asked of the sweep."""
        sweeps: dict[tuple[str, str], tuple[Experiment, Mapping[str, Any]]] = {}
        for _, config in sorted(self.configs.values(), key=lambda item: item[0]):
            name, tier = str(config.get("origin", {}).get("experiment")), str(config.get("tier"))
            if name in self.declared and tier in self.declared[name].tiers:
                asked = config.get("sweep", {})
                arms, tasks, seeds = (asked.get(key, ()) for key in ("arms", "tasks", "seeds"))
                sweeps[name, tier] = self.declared[name].narrowed(arms, tasks, seeds=seeds), asked
        return sweeps

    def _committed(self, name: str, tier: str) -> dict[Key, Record]:
        """Committed records of an experiment."""
        if (name, tier) not in self.committed:
            path = records.committed(tier, name)
            lines: Iterable[Record | RecordError] = records.load_lines(path) if path.exists() else ()
            found = [record for record in lines if not isinstance(record, RecordError)]
            self.committed[name, tier] = {_key(record["plan"], record["name"]): record for record in found}
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


def _key(plan: Mapping[str, Any], name: str) -> Key:
    """What a run is known by to its sweep; a run of none by its name."""
    return plan.get("experiment"), plan.get("tier"), plan.get("digest") or name


def _planned(experiment: Experiment, tier: str, known: Mapping[Key, Record], further: bool) -> list[PlannedRun]:
    def record_of(run: PlannedRun) -> Record | None:
        return known.get((experiment.name, tier, run.digest))

    return planned(experiment, tier, record_of, experiment.cells(tier) if further else ())


def _counts(name: str, planned: int, ended: Sequence[Record], running: int) -> dict[str, Any]:
    done = sum(record["status"] == "finished" for record in ended)
    counts = {"planned": planned, "done": done, "running": running, "failed": len(ended) - done}
    return {"name": name, **counts, "left": planned - len(ended) - running}


def _record(path: Path) -> Record | RecordError:
    try:
        return records.read(path)
    except RecordError as error:
        return error


def _config(path: Path) -> dict[str, Any]:
    try:
        node = yamls.read(path)
    except ValueError:
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
