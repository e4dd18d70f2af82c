"""A W&B server on the loopback, as far as logging and reading runs need one: it answers, refuses the key, or hangs."""

import http.server
import json
import re
import sys
import threading

KEY = "0123456789" * 4
PROJECT = {"id": "p", "name": "study", "entity": {"id": "e", "name": "team"}}
VIEWER = {"id": "u", "entity": "team", "username": "someone", "email": "", "flags": "{}", "teams": {"edges": []}}
PAGE = {"endCursor": None, "hasNextPage": False}


class Server(http.server.ThreadingHTTPServer):
    """``manner``: answer, refuse (401 to everything) or hang; may be changed at any time."""

    daemon_threads = True

    def __init__(self, manner="answer"):
        super().__init__(("127.0.0.1", 0), Handler)
        self.manner = manner
        self.hangs_after = None  # the GraphQL operation after whose answer it hangs
        self.asked = []  # names of GraphQL operations
        self.requests = 0
        self.uploaded = []  # history rows
        self.configs = {}  # of runs that were logged here
        self.runs = []  # records, which it gives as a project; None: there is no project
        self.closing = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.shutdown()
        self.thread.join()
        self.server_close()

    def handle_error(self, request, address):
        if not isinstance(sys.exception(), OSError):  # clients are killed in these tests
            super().handle_error(request, address)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        """GraphQL, the upload of history rows, the upload of files."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.requests += 1
        if self.server.manner == "hang":
            self.server.closing.wait()
            return
        if self.server.manner == "refuse":
            self.reply(401, {"errors": [{"message": "invalid key"}]})
        elif self.path == "/graphql":
            asked = json.loads(body)
            name = re.search(r"(?:query|mutation)\s+(\w+)", asked["query"])[1]
            self.server.asked.append(name)
            self.reply(200, {"data": self.answer(name, asked.get("variables"))})
            if name == self.server.hangs_after:
                self.server.manner = "hang"
        else:
            if self.path.endswith("/file_stream"):
                lines = json.loads(body).get("files", {}).get("wandb-history.jsonl", {}).get("content", [])
                self.server.uploaded += map(json.loads, lines)
            self.reply(200, {})

    do_PUT = do_POST

    def answer(self, name, variables):
        if name == "Viewer":
            return {"viewer": VIEWER}
        if name == "RunResumeStatus":
            return {"model": None}
        if name == "UpsertBucket":
            name = variables["name"]
            if variables.get("config"):
                self.server.configs[name] = json.loads(variables["config"])
            bucket = {"id": "b", "name": name, "displayName": name, "config": "{}", "sweepName": None, "project": PROJECT}
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if name == "CreateRunFiles":
            files = [{"name": each, "uploadUrl": f"{self.server.url}/files/{each}"} for each in variables["files"]]
            return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}}
        if name == "GetDefaultEntity":
            return {"viewer": VIEWER}
        if name == "Runs" and self.server.runs is None:
            return {"project": None}
        if name == "Runs":
            edges = [{"node": self.run(record), "cursor": "c"} for record in self.server.runs]
            return {"project": {"internalId": "1", "runCount": len(edges), "runs": {"edges": edges, "pageInfo": PAGE}}}
        (record,) = [r for r in self.server.runs if r["name"] in (variables or {}).values()] or [None]
        if name == "RunHistoryKeys":
            return self.in_project(historyKeys={"lastStep": record["curve"][-1]["step"]})
        if name == "RunParquetHistory":
            return self.in_project(parquetHistory={"parquetUrls": [], "liveData": [{"_step": 0}]})
        if name == "HistoryPage":
            rows = [{"_step": row["step"], **{k: v for k, v in row.items() if k != "step"}} for row in record["curve"]]
            wanted = [row for row in rows if variables["minStep"] <= row["_step"] < variables["maxStep"]]
            return self.in_project(history=[json.dumps(row) for row in wanted])
        return {}

    def in_project(self, **fields):
        return {"project": {"run": fields}}

    def run(self, record):
        fields = {key: value for key, value in record.items() if key not in ("config", "curve")}
        config = self.server.configs.get(record["name"], {"settings": {"value": record.get("config")}})
        node = {"id": "r", "projectId": "1", "name": record["name"], "displayName": record["name"], "state": "finished"}
        return node | {
            "tags": [],
            "config": json.dumps(config),
            "summaryMetrics": json.dumps(fields),
            "systemMetrics": "{}",
            "historyLineCount": len(record.get("curve", [])),
        }

    def reply(self, status, answer):
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
