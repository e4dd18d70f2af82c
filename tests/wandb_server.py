"""A W&B server on the loopback, as far as logging and reading runs need one: it answers, refuses the key, or hangs."""

import http.server
import json
import re
import sys
import threading

KEY = "0123456789" * 4
PROJECT = {"id": "p", "internalId": "p", "name": "study", "entity": {"id": "e", "name": "team"}}
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
        self.summaries = []  # as they came in
        self.views = {}  # saved views by name, as they were sent
        self.runs = []  # names of runs, which it gives as a project; None: there is no project
        self.artifacts = {}  # of a run by its name: (artifact, type)
        self.files = {}  # their bytes by "artifact/file"
        self.closing = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})

    def keep(self, *records):
        """Have runs of a project, each with a record (or what was made of it) among its artifacts."""
        for record in records:
            name = record["name"]
            self.runs.append(name)
            self.artifacts[name] = [(f"record-{name}", "record")]
            self.files[f"record-{name}/record.json"] = json.dumps(record).encode()

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
            try:
                self.reply(200, {"data": self.answer(name, asked.get("variables"))})
            except LookupError as error:
                self.reply(200, {"errors": [{"message": error.args[0]}]})
            if name == self.server.hangs_after:
                self.server.manner = "hang"
        else:
            if self.path.endswith("/file_stream"):
                files = json.loads(body).get("files", {})
                for name, kept in (("history.jsonl", self.server.uploaded), ("summary.json", self.server.summaries)):
                    kept += map(json.loads, files.get(f"wandb-{name}", {}).get("content", []))
            elif self.path.startswith("/files/"):
                self.server.files[self.path.removeprefix("/files/")] = body
            self.reply(200, {})

    do_PUT = do_POST

    def do_GET(self):
        """A file of an artifact."""
        if self.server.manner == "hang":
            self.server.closing.wait()
        else:
            self.send(200, self.server.files[self.path.removeprefix("/files/")])

    def answer(self, name, variables):
        if name == "Viewer":
            return {"viewer": VIEWER}
        if name == "ServerFeaturesQuery":
            return {"serverInfo": {"features": []}}
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
        if name in ("View", "UpsertView2"):
            return self.of_views(name, variables)
        if name == "Runs" and self.server.runs is None:
            return {"project": None}
        if name == "Runs":
            edges = [{"node": self.run(name), "cursor": "c"} for name in self.server.runs]
            return {"project": {"internalId": "1", "runCount": len(edges), "runs": {"edges": edges, "pageInfo": PAGE}}}
        return self.of_artifacts(name, variables)

    def of_views(self, name, variables):
        """Looked for by name, then saved; in place of the one whose id is given."""
        if self.server.runs is None:
            if name == "View":
                return {"project": None}
            raise LookupError("project not found")
        if name == "View":
            found = [self.server.views[each] for each in [variables["viewName"]] if each in self.server.views]
            return {"project": {"allViews": {"edges": [{"node": view} for view in found]}}}
        name, known = variables["name"], {view["id"] for view in self.server.views.values()}
        assert variables.get("id") in known or name not in self.server.views, f"a second view {name}"
        self.server.views[name] = {"id": variables.get("id", f"id of {name}"), **variables}
        return {"upsertView": {"view": {"id": self.server.views[name]["id"], "name": name}, "inserted": True}}

    def of_artifacts(self, name, variables):
        """Logged in five steps, and read in two."""
        if name == "ArtifactType":
            return {"project": {"artifact": None}}
        if name == "CreateArtifact":
            asked = variables["input"]
            artifact = asked["artifactCollectionName"]
            self.server.artifacts.setdefault(asked["runName"], []).append((artifact, asked["artifactTypeName"]))
            made = {"id": artifact, "state": "PENDING", "artifactSequence": {"latestArtifact": None}}
            return {"createArtifact": {"artifact": made}}
        if name == "CreateArtifactManifest":
            artifact = variables["artifactID"]
            manifest = {"id": artifact, "file": {"id": artifact, **self.upload(artifact, variables["name"])}}
            return {"createArtifactManifest": {"artifactManifest": manifest}}
        if name == "CreateArtifactFiles":
            nodes = [
                {**self.upload(file["artifactID"], file["name"]), "artifact": {"id": file["artifactID"]}}
                for file in variables["input"]["artifactFiles"]
            ]
            return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}
        if name == "CommitArtifact":
            return {"commitArtifact": {"artifact": {"id": variables["artifactID"], "digest": ""}}}
        if name == "RunOutputArtifacts":
            edges = [{"node": self.artifact(*each)} for each in self.server.artifacts.get(variables["run"], [])]
            artifacts = {"totalCount": len(edges), "pageInfo": PAGE, "edges": edges}
            return {"project": {"run": {"artifacts": artifacts}}}
        if name == "ArtifactMembershipFiles":
            artifact = variables["collection"]
            paths = [f"{artifact}/{file}" for file in variables["fileNames"] if f"{artifact}/{file}" in self.server.files]
            nodes = [self.file(path) for path in paths]
            files = {"pageInfo": PAGE, "edges": [{"node": node} for node in nodes]}
            collection = {"__typename": "ArtifactSequence", "artifactMembership": {"files": files}}
            return {"project": {"artifactCollection": collection}}
        return {}

    def upload(self, artifact, file):
        place = {"uploadUrl": f"{self.server.url}/files/{artifact}/{file}", "uploadHeaders": []}
        return place | {"storagePath": None, "uploadMultipartUrls": None}

    def file(self, path):
        url = f"{self.server.url}/files/{path}"
        made = {"__typename": "File", "id": path, "name": path.partition("/")[2], "url": url, "directUrl": url}
        return made | {"sizeBytes": 1} | dict.fromkeys(["storagePath", "mimetype", "updatedAt", "digest", "md5"])

    def artifact(self, name, sort):
        made = {"__typename": "Artifact", "id": name, "artifactType": {"name": sort}, "state": "COMMITTED", "size": 1}
        made |= dict.fromkeys(["description", "metadata", "historyStep", "commitHash", "updatedAt"])
        return made | {
            "artifactSequence": {"__typename": "ArtifactSequence", "name": name, "project": PROJECT},
            "versionIndex": 0,
            "ttlDurationSeconds": -1,
            "ttlIsInherited": True,
            "tags": [],
            "aliases": [],
            "digest": name,
            "fileCount": 1,
            "createdAt": "2026-01-01T00:00:00",
        }

    def run(self, name):
        node = {"id": "r", "projectId": "1", "name": name, "displayName": name, "state": "finished", "tags": []}
        return node | {"config": "{}", "summaryMetrics": "{}", "systemMetrics": "{}", "historyLineCount": 0}

    def reply(self, status, answer):
        self.send(status, json.dumps(answer).encode())

    def send(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
