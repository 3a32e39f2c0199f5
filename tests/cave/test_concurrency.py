"""The number of simultaneous requests."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from synglancer.cave.access import Access
from synglancer.settings import Service

REQUESTS = 12


@pytest.fixture
def busy():
    """A server that answers once the allowed number of requests wait, and counts how many wait."""
    waiting = threading.Condition()
    counts = {"now": 0, "most": 0, "left": REQUESTS, "together": 1}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with waiting:
                counts["now"] += 1
                counts["most"] = max(counts["most"], counts["now"])
                waiting.notify_all()
                waiting.wait_for(
                    lambda: counts["now"] >= min(counts["together"], counts["left"]), timeout=20
                )
            self.send_response(200)
            self.send_header("Content-Length", "2")
            with waiting:  # before the answer, because the next request follows it at once
                counts["left"] -= 1
                counts["now"] -= 1
                waiting.notify_all()
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", counts
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("together", [1, 3])
def test_no_more_requests_are_under_way_than_asked(busy, together) -> None:
    """However many threads query, there are as many requests at a time as `concurrency` allows."""
    address, counts = busy
    counts["together"] = together
    access = Access(Service(server=address, concurrency=together))
    with ThreadPoolExecutor(REQUESTS) as pool:
        answers = [*pool.map(lambda _: access.fetcher.fetch(address), range(REQUESTS))]
    access.close()
    assert answers == [b"{}"] * REQUESTS
    assert counts["most"] == together
