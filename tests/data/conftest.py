"""A server on loopback that can be told to misbehave."""

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mfif.data import remote
from mfif.data.remote import RemoteFile

DEADLINE = 60.0  # guards against a hang; no test waits for it to pass


class Site(ThreadingHTTPServer):
    """Serves `bodies`; each request to a path uses up one of its `faults` and leaves its Range in `requests`."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.bodies, self.faults, self.requests, self.sent = {}, {}, [], 0
        self.gate = threading.Event()

    def add(self, path, body, *faults):
        self.bodies[f"/{path}"], self.faults[f"/{path}"] = body, list(faults)
        name = path.rsplit("/", 1)[-1]
        return RemoteFile(name, f"{self.address}/{path}", hashlib.sha256(body).hexdigest(), len(body))

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Site

    def log_message(self, *args):
        pass

    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.requests.append(asked)
        fault = next(iter(self.server.faults.get(self.path, [])), None)
        if fault:
            self.server.faults[self.path].pop(0)
        if fault == "silent":
            return
        if self.path not in self.server.bodies or (fault and fault.isdecimal()):
            self.send_error(int(fault or 404))
            return
        body = self.server.bodies[self.path]
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and fault != "no range" else 0
        self.answer(body, start, fault)

    def answer(self, body, start, fault):
        if fault == "wrong bytes":
            body = b"?" * len(body)
        chunked = fault in ("chunked short", "chunked long")
        body = {"short": body[:-10], "chunked short": body[:-10], "chunked long": body + b"more"}.get(fault, body)
        start += fault == "wrong range"
        payload = body[start:]
        self.protocol_version = "HTTP/1.1" if chunked else "HTTP/1.0"
        self.close_connection = True
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
            payload = b"%x\r\n%b\r\n0\r\n\r\n" % (len(payload), payload)
        elif fault != "no length":
            self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        middle = len(payload) // 2
        self.send(payload[:middle])
        if fault == "stall":
            self.server.gate.wait(DEADLINE)
        if fault != "drop":
            self.send(payload[middle:])

    def send(self, payload):
        self.server.sent += len(payload)  # before the client can have it, so that a test may look afterwards
        try:
            self.wfile.write(payload)
            self.wfile.flush()
        except OSError:  # the client went away
            self.close_connection = True


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setattr(remote, "_BACKOFF", 0.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Site() as site:
        thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield site
        site.gate.set()
        site.shutdown()
        thread.join()
