"""The content of a published source is bounded: in size, compressed or not, in nesting and in
time."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import numpy as np
import pytest

from publish.tables import CELL, make_rows, run, write_parquet
from synglancer.errors import BadAnswerError, ServiceError, UnreachableError
from synglancer.publish.reading import access
from synglancer.publish.sharding import Sharding, build_shard, compress
from synglancer.publish.source import open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MIB = 2**20
MOST_MIB = 300

SCRIPT = """
import pathlib, re, sys
from synglancer.errors import ServiceError
from synglancer.publish.source import open_source
try:
    open_source(sys.argv[1])
except ServiceError as error:
    print(error)
    status = pathlib.Path("/proc/self/status").read_text()  # of this process alone
    print(int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) // 1024)
"""


@contextmanager
def answer(do: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Answer every request in the same way; yield the server's address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(OSError):
                do(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def stream(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(500):
        handler.wfile.write(b" " * MIB)


def send_bomb(handler: BaseHTTPRequestHandler, times: int = 1) -> None:
    body = gzip.compress(b" " * MIB, 1) * 500
    for _ in range(times - 1):
        body = gzip.compress(body)
    send(handler, body, Content_Encoding=", ".join(["gzip"] * times))


@pytest.mark.parametrize(
    "do",
    [stream, send_bomb, lambda handler: send_bomb(handler, 2)],
    ids=["stream", "bomb", "twice"],
)
def test_a_manifest_that_is_too_large_is_refused(do) -> None:
    """500 MiB, compressed or not, are refused within 300 MiB of memory."""
    with answer(do) as address:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, address], capture_output=True, text=True, check=True
        )
    said, memory = done.stdout.splitlines()
    assert said == f"{address} sent more data than was requested."
    assert int(memory) < MOST_MIB


def drip_body(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b" ")
        time.sleep(0.05)


def drip_headers(handler: BaseHTTPRequestHandler) -> None:
    while True:
        handler.wfile.write(b"X")
        time.sleep(0.05)


@pytest.mark.parametrize("do", [drip_body, drip_headers])
def test_an_answer_that_trickles_in_ends_with_its_time(do) -> None:
    """A server that sends a byte from time to time counts as not answering."""
    with answer(do) as address, pytest.raises(UnreachableError, match="does not answer"):
        open_source(address, 0.5)


def test_a_manifest_nested_without_end_is_no_manifest() -> None:
    """A million brackets are refused, without a crash."""
    with (
        answer(lambda handler: send(handler, b"[" * 10**6)) as address,
        pytest.raises(BadAnswerError, match="is not a manifest"),
    ):
        open_source(address)


def test_more_than_a_range_is_refused() -> None:
    """A server that is asked for two bytes and sends a thousand with status 206 is refused."""

    def do(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.endswith("info"):
            send(handler, b"x" * 1000, 206)
        else:
            send(handler, json.dumps(MANIFEST).encode())

    with answer(do) as address, pytest.raises(BadAnswerError, match="sent more"):
        open_source(address)


MANIFEST = {
    "@type": "synglancer_source_v1",
    "datastack": "minnie65_public",
    "version": 1718,
    "timestamp": None,
    "table": None,
    "tags": [{"tag": "spine", "folder": "spine", "rows": 1}],
    "properties": [],
    "lower_bound_nm": [0, 0, 0],
    "upper_bound_nm": [1, 1, 1],
}


def test_a_server_that_recovers_is_asked_again(monkeypatch) -> None:
    """A source whose proxy fails, and drops a connection, is read; one that refuses is named with
    its status."""
    asked = []

    def do(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        if len(asked) == 1:
            send(handler, b"", 503)
        elif len(asked) == 2:
            handler.connection.shutdown(socket.SHUT_RDWR)
        else:
            send(handler, json.dumps({**MANIFEST, "tags": []}).encode())

    monkeypatch.setattr(access, "_BACKOFF", 0.0)
    with answer(do) as address:
        assert open_source(address).manifest.version == 1718
    assert len(asked) == 3
    with (
        answer(lambda handler: send(handler, b"", 403)) as address,
        pytest.raises(ServiceError, match="status 403"),
    ):
        open_source(address)


def test_a_source_that_has_moved_is_followed() -> None:
    """Redirects are followed as in viewers, even to another server."""
    content = json.dumps({**MANIFEST, "tags": []}).encode()
    with (
        answer(lambda handler: send(handler, content)) as there,
        answer(
            lambda handler: send(handler, b"", 302, Location=f"{there}{handler.path}")
        ) as address,
    ):
        assert open_source(address).manifest.version == 1718


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run(tmp_path / "out", write_parquet(tmp_path / "rows.parquet", make_rows(800)))
    return tmp_path / "out"


def write_shard(folder: Path, chunk: bytes) -> None:
    """Replace the chunk of the cell's inputs with the first tag."""
    sharding = Sharding("murmurhash3_x86_128", 0, 0, "gzip")
    keys, sizes = np.array([CELL], np.uint64), np.array([len(chunk)])
    pieces = build_shard(sharding, keys, sizes, chunk)
    (folder / "spine/post/0.shard").write_bytes(b"".join(bytes(one) for one in pieces))


@pytest.mark.parametrize("count", [0, 5, 2**40])
def test_a_chunk_that_unpacks_to_more_than_a_cell_has_is_damaged(folder, count) -> None:
    """A bomb among the chunks is refused, whatever number of rows it claims."""
    write_shard(folder, compress(count.to_bytes(8, "little") + bytes(20 * MIB)))
    with pytest.raises(BadAnswerError, match="is missing or damaged"):
        open_source(str(folder)).read_rows(CELL, "inputs", "spine")


@pytest.mark.parametrize("chunk", [b"", bytes(7), (2).to_bytes(8, "little") + bytes(40)])
def test_a_chunk_of_another_length_than_its_rows_is_damaged(folder, chunk) -> None:
    """Half a row, or less than a count, is not read as fewer synapses."""
    write_shard(folder, compress(chunk))
    with pytest.raises(BadAnswerError, match=r"spine/post is missing or damaged"):
        open_source(str(folder)).read_rows(CELL, "inputs", "spine")


@pytest.mark.parametrize("change", [{"minishard_bits": 60}, {"shard_bits": -1}, {"hash": 3}])
def test_numbers_out_of_range_are_damage(folder, change) -> None:
    """An info file that implies an endless index is named, before the index is read."""
    path = folder / "spine/info"
    info = json.loads(path.read_bytes())
    for index in (info["by_id"], *info["relationships"]):
        index["sharding"] |= change
    path.write_text(json.dumps(info))
    with pytest.raises(BadAnswerError, match=r"spine/info has no valid value of by_id\.sharding"):
        open_source(str(folder)).read_rows(CELL, "inputs", "spine")
