"""Against a server of our own: no test here leaves the machine."""

import hashlib
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from study.tasks.download import pinned_file

CONTENT = b"what is past is prologue\n" * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        body = CONTENT
        if self.path == "/missing":
            return self.send_error(404)
        if self.path == "/changed":
            body = CONTENT.replace(b"past", b"gone")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.server.half_way(self.wfile.write(body[: len(body) // 2]))
        if self.path != "/truncated":
            self.wfile.write(body[len(body) // 2 :])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.requests, running.half_way = [], lambda _: None
        running.url = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "part" / "text.txt"


def left(path):
    return sorted(file.name for file in path.parent.iterdir()) if path.parent.exists() else []


def test_fetched_once_then_read(server, path):
    assert pinned_file(path, server.url + "/good", SHA256, download=True) == CONTENT
    assert path.read_bytes() == CONTENT
    assert pinned_file(path, server.url + "/good", SHA256, download=True) == CONTENT
    assert pinned_file(path, server.url + "/good", SHA256, download=False) == CONTENT
    assert server.requests == ["/good"]
    assert left(path) == ["text.txt"]
    assert path.stat().st_mode & 0o044 == 0o044, "others may read a shared cache"


def test_never_asks_without_leave(server, path):
    with pytest.raises(FileNotFoundError, match="is missing: set data.download=true, or put"):
        pinned_file(path, server.url + "/good", SHA256, download=False)
    assert server.requests == []


def test_nothing_is_seen_of_a_file_on_its_way(server, path):
    seen = []
    server.half_way = lambda _: seen.append(path.exists())
    pinned_file(path, server.url + "/good", SHA256, download=True)
    assert seen == [False]


@pytest.mark.parametrize("fault", ["truncated", "missing"])
def test_a_broken_download_leaves_nothing(server, path, fault):
    url = f"{server.url}/{fault}"
    with pytest.raises(OSError, match="^could not fetch ") as error:
        pinned_file(path, url, SHA256, download=True)
    message = str(error.value)
    assert url in message and str(path.parent) in message and "\n" not in message
    assert left(path) == []
    assert pinned_file(path, server.url + "/good", SHA256, download=True) == CONTENT, "and the next try works"


def test_no_server(server, path):
    url = server.url + "/good"
    server.shutdown()
    server.server_close()
    with pytest.raises(OSError, match="^could not fetch ") as error:
        pinned_file(path, url, SHA256, download=True)
    assert url in str(error.value) and str(path.parent) in str(error.value)
    assert left(path) == []


def test_other_content_is_not_kept(server, path):
    with pytest.raises(ValueError, match="/changed sent .* bytes with sha256 .*: nothing kept, try again$"):
        pinned_file(path, server.url + "/changed", SHA256, download=True)
    assert left(path) == []


def test_a_wrong_file_is_named_and_left_alone(server, path):
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT[:-1])
    for allowed in (True, False):
        with pytest.raises(ValueError, match="is not the published file") as error:
            pinned_file(path, server.url + "/good", SHA256, download=allowed)
        message = str(error.value)
        assert str(path) in message and server.url in message and SHA256 in message and "\n" not in message
        assert hashlib.sha256(CONTENT[:-1]).hexdigest() in message
    assert path.read_bytes() == CONTENT[:-1]
    assert server.requests == []


def test_a_full_disk_leaves_nothing(server, path, monkeypatch):
    def no_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(OSError, match="^could not fetch .*No space left on device"):
        pinned_file(path, server.url + "/good", SHA256, download=True)
    assert left(path) == []


def test_a_folder_that_cannot_be_made(server, path):
    path.parent.parent.write_text("a file where the folder should be")
    with pytest.raises(OSError, match="^could not fetch ") as error:
        pinned_file(path, server.url + "/good", SHA256, download=True)
    assert str(path.parent) in str(error.value)


def test_two_at_once(server, path):
    together = threading.Barrier(2, timeout=10)
    server.half_way = lambda _: together.wait()
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(pinned_file(path, server.url + "/good", SHA256, download=True)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [CONTENT, CONTENT]
    assert server.requests == ["/good", "/good"]
    assert os.listdir(path.parent) == ["text.txt"]
