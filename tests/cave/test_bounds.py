"""The content of a link is bounded: bombs and endless streams are refused, with little memory."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import threading
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_MIB = 300

SCRIPT = """
import pathlib, re, sys
from synglancer import Link
from synglancer.errors import ServiceError
try:
    Link.from_url(sys.argv[1])
except ServiceError as error:
    print(error)
    status = pathlib.Path("/proc/self/status").read_text()  # of this process alone
    print(int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) // 1024)
"""


@cache
def pack(size: int, times: int = 1) -> bytes:
    """Compress a state that consists of many spaces, once or several times."""
    if times > 1:
        return gzip.compress(pack(size, times - 1))
    content = io.BytesIO()
    with gzip.GzipFile(fileobj=content, mode="wb", compresslevel=1) as file:
        file.write(b'{"layers": []')
        for _ in range(size // 2**20):
            file.write(b" " * 2**20)
    return content.getvalue()


class Attacker(BaseHTTPRequestHandler):
    """Serves what the path names."""

    def do_GET(self) -> None:
        self.send_response(200)
        kind = self.path.rpartition("/")[2]
        if kind == "endless":
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(b'{"layers": []')
                for _ in range(500):
                    self.wfile.write(b" " * 2**20)
        else:
            times = 2 if kind == "twice" else 1
            body = pack(500 * 2**20, times)
            self.send_header("Content-Encoding", ", ".join(["gzip"] * times))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def attacker() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Attacker)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("kind", ["bomb", "twice", "endless"])
def test_a_state_that_is_too_large_is_refused(attacker, kind) -> None:
    """A state of 500 MiB, compressed or not, is refused within 300 MiB of memory."""
    url = f"https://viewer.example.org/#!{attacker}/nglstate/{kind}"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, url], capture_output=True, text=True, check=True
    )
    said, memory = done.stdout.splitlines()
    assert "sends more than 100 MB, which is too large for a Neuroglancer state or" in said
    assert int(memory) < MOST_MIB
